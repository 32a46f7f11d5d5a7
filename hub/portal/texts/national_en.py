"""English: reading in the national record."""

from collections.abc import Mapping

NATIONAL_EN: Mapping[str, str] = {
    "national.title": "In the national record",
    "national.look": "Look at it in the national record: masked, visible, archived",
    "national.search": "Search in the national record",
    "national.failed": "The national record could not be asked. The region's own timeline is complete without it.",
    "national.no_number": "The person's identity is not qualified: without an INS there is nothing to ask the "
    "national record with.",
    "national.standing.missing": "The person has no national record.",
    "national.standing.closed": "The person's national record is closed.",
    "national.forbidden": "The person has blocked your access to their national record.",
    "national.not_authorised": "You are not authorised on this person's national record. If you take part in "
    "their care, and they agree, you can declare it: the record keeps your name, and the person sees it.",
    "national.authorise": "I take part in this person's care: open their record",
    "national.withdraw": "I no longer take part in this person's care",
    "national.since": "Since {day}",
    "national.everything": "Of all years",
    "national.count": "{count} documents",
    "national.count_one": "1 document",
    "national.count_none": "no document",
    "national.study": "Imaging study",
    "national.open_study": "Open the study",
    "national.here": "also in the region",
    "national.own": "sent by this region",
    "national.more": "Show 20 more",
    "national.whole": "Search all years",
    "national.from": "This comes from the national record",
    "national.elsewhere": "The images are kept elsewhere:",
    "national.status.approved": "valid",
    "national.status.deprecated": "replaced",
    "national.status.archived": "archived",
    "national.mask.MASQUE_PS": "masked to professionals",
    "national.mask.INVISIBLE_PATIENT": "not yet visible to the patient",
    "national.mask.INVISIBLE_REPRESENTANTS_LEGAUX": "not visible to legal representatives",
    "national.told.authorised": "The record knows you as authorised now.",
    "national.told.withdrawn": "Your authorisation on this record is taken back.",
    "national.told.changed": "The national record has been changed.",
    "national.changes": "Change what the national record shows",
    "national.changes_lead": "This region has sent the document. What you change here is changed in the national "
    "record only.",
    "national.change.mask": "Mask to professionals",
    "national.change.unmask": "Show to professionals",
    "national.change.hide": "Hide from the patient for now",
    "national.change.show": "Show to the patient",
    "national.change.archive": "Archive",
    "national.change.restore": "Bring back from the archive",
    "national.delete": "Delete …",
    "national.change.delete": "Delete from the national record",
    "error.record-consultation-not-open": "The national record is read only by professionals who sign in with Pro "
    "Santé Connect: the record wants to know who reads.",
    "error.record-number-missing": "The person's identity is not qualified: without an INS there is nothing to "
    "ask the national record with.",
    "error.record-document-not-found": "The national record shows you no such document.",
    "error.record-refused": "The national record refused the request.",
    "error.record-missing": "The person has no national record.",
    "error.record-closed": "The person's national record is closed.",
    "error.record-not-authorised": "You are not authorised on this person's national record.",
    "error.record-certificate-refused": "The national record does not accept this hub's certificate: tell the "
    "operator.",
    "national.error.source-unavailable": "The national record does not answer. Try again later.",
}
