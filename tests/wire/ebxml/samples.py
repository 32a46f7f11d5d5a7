"""Objects with every attribute filled."""

from dataclasses import replace
from typing import Any

from hub.documents.model import (
    DEPRECATED,
    ONLINE,
    Association,
    AssociationType,
    Author,
    DocumentEntry,
    Folder,
    ReferenceId,
    RegistryObject,
    Submission,
    SubmissionSet,
)
from hub.values import Code, PatientIdentifier

PATIENT = PatientIdentifier("4711", "1.2.250.1.999.1.1")
AUTHOR = Author(
    person="0123^Müller^Éva^^^Dr^^^&1.2.250.1.71.4.2.1&ISO",
    institutions=("CH A^^^^^&1.2.250.1.71.4.2.2&ISO^^^^750000001", "CH B"),
    roles=("PRATICIEN",),
    specialties=("RADIOLOGY^&<>",),
    telecommunications=("^NET^Internet^eva@example.org",),
)
ENTRY = DocumentEntry(
    id="Document01",
    unique_id="1.2.3.4^ext",
    patient_id=PATIENT,
    mime_type="text/xml",
    class_code=Code("11", "1.2.250.1.213.1.1.4.1", "Comptes rendus"),
    type_code=Code("18748-4", "2.16.840.1.113883.6.1", "CR d'imagerie"),
    format_code=Code("urn:ihe:iti:xds-sd:pdf:2008", "1.3.6.1.4.1.19376.1.2.3"),
    healthcare_facility_type_code=Code("SA01", "1.2.250.1.71.4.2.4", "CH"),
    practice_setting_code=Code("AMBULATOIRE", "1.2.250.1.213.1.1.4.9"),
    confidentiality_codes=(Code("N", "2.16.840.1.113883.5.25", "normal"), Code("R", "2.16.840.1.113883.5.25")),
    event_codes=(Code("CT", "1.2.840.10008.2.16.4"), Code("T-D1100", "SRT", "Tête")),
    authors=(AUTHOR, Author(institutions=("CH C",))),
    creation_time="20240102030405",
    service_start_time="202401020304",
    service_stop_time="202401020305",
    language_code="fr-FR",
    legal_authenticators=(AUTHOR.person,),
    source_patient_id="89765^^^&1.2.3&ISO",
    source_patient_info=("PID-3|89765^^^&1.2.3&ISO", "PID-5|Dupont^Zoé", "PID-7|19700101"),
    reference_ids=(
        ReferenceId(
            "A1",
            "1.2.9",
            "urn:ihe:iti:xds:2013:accession",
            cxi="A1^^^&1.2.9&ISO^urn:ihe:iti:xds:2013:accession",
        ),
    ),
    title="CR d'IRM – été",
    comments="commentaire",
    hash="da39a3ee5e6b4b0d3255bfef95601890afd80709",
    size=0,
    uri="cr.xml",
    repository_unique_id="1.2.250.1.999.1.2",
    availability=ONLINE,
    extra={"urn:example:colour": ("red", "green")},
)
SET = SubmissionSet(
    id="SubmissionSet01",
    unique_id="1.2.5",
    source_id="1.2.250.1.999.1.4",
    patient_id=PATIENT,
    submission_time="20240102030405",
    content_type_code=Code("04", "1.2.250.1.213.2.2", "Hospitalisation"),
    authors=(AUTHOR,),
    intended_recipients=("CH A|0123^Müller^Éva|^NET^Internet^x@example.org",),
    title="Lot",
    comments="un lot",
)
FOLDER = Folder(
    id="Folder01",
    unique_id="1.2.6",
    patient_id=PATIENT,
    codes=(Code("neuro", "1.2.7", "Neurologie"),),
    last_update_time="20240102030405",
    title="Dossier",
    comments="un dossier",
)
MEMBER = Association(
    id="as01",
    type=AssociationType.HAS_MEMBER,
    source=SET.id,
    target=ENTRY.id,
    submission_set_status="Original",
    previous_version=2,
)
REPLACES = Association(
    id="as02",
    type=AssociationType.REPLACE,
    source=ENTRY.id,
    target="urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c2",
    documentation=Code("RPLC", "1.2.8", "remplace"),
)
SUBMISSION = Submission(SET, (ENTRY,), (FOLDER,), (MEMBER, REPLACES), home="urn:oid:1.2.250.1.999.1.3")
OBJECTS: tuple[RegistryObject, ...] = (ENTRY, SET, FOLDER, MEMBER, REPLACES)


def registered(number: int = 1) -> tuple[RegistryObject, ...]:
    """The same as a registry answers with them."""
    found: list[RegistryObject] = []
    for position, item in enumerate(OBJECTS):
        uuid = f"urn:uuid:00000000-0000-4000-8000-{number:06d}{position:06d}"
        facts: Any = {"id": uuid, "logical_id": uuid, "version": 3, "status": DEPRECATED, "home": SUBMISSION.home}
        found.append(replace(item, **facts))
    return tuple(found)
