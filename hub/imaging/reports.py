"""What becomes of the reports that a message takes back."""

from hashlib import sha256
from typing import Any

from hub.imaging.errors import UnknownReport
from hub.imaging.finding import Wanted
from hub.imaging.model import Report
from hub.imaging.store_reports import ReportStore
from hub.patients.model import INS_AUTHORITIES
from hub.values import now

#: OBX-11: final, corrected.
FINAL = frozenset({"F", "C"})
#: OBX-11: deleted, no result can be had, posted in error (HL7 table 0085).
WITHDRAWN = frozenset({"D", "X", "W"})


def withdraw_report(store: ReportStore, report: Report) -> tuple[str, ...]:
    """Every version of the report that the message speaks of is withdrawn; entryUUIDs of those that are registered.

    A message without a document takes back all reports of its order, accession number or study and patient.
    Raises UnknownReport where the report must be known and is not."""
    entries = []
    meant = [row for row in store.like(report) if _meant(row, report)]
    if report.known and not meant:
        raise UnknownReport()
    for row in meant:
        if row.state in ("waiting", "published"):
            store.withdrawn(row.id)
            if row.entry:
                entries.append(row.entry)
    return tuple(entries)


def _meant(row: Any, report: Report) -> bool:
    if report.set_id and row.set_id:
        return bool(row.set_id == report.set_id)
    if report.document_id:
        return bool(row.document_id == report.document_id)
    return (row.patient_id, row.patient_authority) == (report.patient.value, report.patient.authority)


def wanted_report(report: Report) -> Wanted:
    """What to publish for a report."""
    # An INS says nothing about the archive: no hospital gives it.
    authority = "" if report.patient.authority in INS_AUTHORITIES else report.patient.authority
    return Wanted(report.study_instance_uid, report.accession_number, report.placer_number, authority=authority)


def report_values(report: Report, address: str) -> dict[str, Any]:
    """The columns of a report's row; ``address`` of its bytes in the content store."""
    return {
        # A report that names itself nowhere is named by its bytes: sent twice, it is one document.
        "document_id": report.document_id or f"2.25.{int.from_bytes(sha256(report.content).digest()[:16])}",
        "set_id": report.set_id,
        "source": report.source,
        "patient_id": report.patient.value,
        "patient_authority": report.patient.authority,
        "status": report.status,
        "state": "waiting" if report.status in FINAL else "withdrawn" if report.status in WITHDRAWN else "preliminary",
        "content": address,
        "mime_type": report.mime_type,
        "placer_number": report.placer_number,
        "filler_number": report.filler_number,
        "accession_number": report.accession_number,
        "study_instance_uid": report.study_instance_uid,
        "title": report.title,
        "author": report.author,
        "institution": report.institution,
        "created": report.created,
        "replaces": report.replaces,
        "masks": "|".join(report.sending.masks) if report.sending else "",
        "received_at": now(),
    }
