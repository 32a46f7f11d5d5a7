"""Submission sets and metadata as the record wants them on the wire: ebXML with ``^NH``, the signature beside them."""

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from connectors.dmp import rules
from connectors.dmp.config import DmpConfig
from hub.connector.record import Lot
from hub.documents.model import (
    Association,
    AssociationType,
    Author,
    DocumentEntry,
    Submission,
    SubmissionSet,
)
from hub.values import Code, PatientIdentifier, new_uid, new_uuid, now
from hub.wire.ebxml.fields import LAYOUTS
from hub.wire.ebxml.names import rim
from hub.wire.soap.message import Outgoing
from hub.wire.xades import DS, Form, Signed, sign_submission
from hub.wire.xml import Element

_PATIENT_SCHEMES = frozenset(
    field.scheme for layout in LAYOUTS.values() for field in layout.identifiers if field.attribute == "patient_id"
)
NORMAL = Code("N", rules.CONFIDENTIALITY, "Normal")
MASKED = (
    Code("MASQUE_PS", rules.MASKS, "Masqué aux professionnels de santé"),
    Code("INVISIBLE_PATIENT", rules.MASKS, "Non visible par le patient"),
)
#: The codes of a signature's entry (IHE DSG as CI-SIS takes it).
SIGNATURE_CLASS = Code("urn:oid:1.3.6.1.4.1.19376.1.2.1.1.1", "URN", "Signature")
SIGNATURE_TYPE = Code("E1762", "ASTM", "Full Document")
SIGNATURE_FORMAT = Code(DS, "URN", "Signature")
SIGNATURE_EVENT = Code("1.2.840.10065.1.12.1.14", "1.2.840.10065.1.12", "Source")


@dataclass(frozen=True, slots=True)
class Seal:
    """The organisation's key and certificate for signatures, PEM."""

    key: bytes
    certificate: bytes


@dataclass(frozen=True, slots=True)
class Prepared:
    """A submission ready to be sent: what the parts are, by the entries' ids."""

    submission: Submission
    parts: tuple[Outgoing, ...]
    content_ids: dict[str, str]


def prepare(lot: Lot, config: DmpConfig, seal: Seal) -> Prepared:
    """The lot with its signature. Raises RecordMetadataUnfit, Misconfigured, Malformed."""
    entries, contents = [], {}
    relations = []
    for document in lot.documents:
        rules.check(document.entry)
        entry = _own(document.entry, lot.patient, document.content)
        entries.append(entry)
        contents[entry.id] = document.content
        if document.replaces:
            relations.append(Association(new_uuid(), AssociationType.REPLACE, entry.id, document.replaces))
    set_id = new_uuid()
    signature_content = sign_submission(
        lot.unique_id,
        [Signed(entry.unique_id, entry.mime_type, contents[entry.id]) for entry in entries],
        key=seal.key,
        certificate=seal.certificate,
        form=Form(config.algorithm, config.xades_namespace),
        at=now(),
    )
    signature = _signature(lot, entries[0], signature_content)
    contents[signature.id] = signature_content
    everything = (*entries, signature)
    members = [
        Association(new_uuid(), AssociationType.HAS_MEMBER, set_id, entry.id, "Original") for entry in everything
    ]
    signs = Association(new_uuid(), AssociationType.SIGNS, signature.id, set_id)
    submission = Submission(submission_set(lot, set_id), everything, associations=(*members, *relations, signs))
    content_ids = {entry.id: f"{entry.id.removeprefix('urn:uuid:')}@maillage" for entry in everything}
    parts = tuple(
        Outgoing(content_ids[entry.id], entry.mime_type, (contents[entry.id],), len(contents[entry.id]))
        for entry in everything
    )
    return Prepared(submission, parts, content_ids)


def submission_set(lot: Lot, set_id: str) -> SubmissionSet:
    """The lot's set."""
    return SubmissionSet(
        id=set_id,
        unique_id=lot.unique_id,
        source_id=lot.source_id,
        patient_id=lot.patient,
        submission_time=lot.submission_time,
        content_type_code=lot.content_type,
        authors=lot.authors,
        title=lot.title,
    )


def change_set(entry: DocumentEntry, author: Author, source_id: str, content_type: Code) -> SubmissionSet:
    """The set of a change of metadata (ITI-57)."""
    return SubmissionSet(
        id=new_uuid(),
        unique_id=new_uid(),
        source_id=source_id,
        patient_id=entry.patient_id,
        submission_time=datetime.now(UTC).strftime("%Y%m%d%H%M%S"),
        content_type_code=content_type,
        authors=(author,),
    )


def _own(entry: DocumentEntry, patient: PatientIdentifier, content: bytes) -> DocumentEntry:
    """Without what only another registry says of it."""
    return replace(
        entry,
        id=new_uuid(),
        patient_id=patient,
        hash=hashlib.sha1(content, usedforsecurity=False).hexdigest(),
        size=len(content),
        uri="",
        repository_unique_id="",
        availability="",
        logical_id="",
        version=1,
        home="",
        limited=False,
        extra={},
    )


def _signature(lot: Lot, first: DocumentEntry, content: bytes) -> DocumentEntry:
    return DocumentEntry(
        id=new_uuid(),
        unique_id=new_uid(),
        patient_id=lot.patient,
        mime_type="text/xml",
        class_code=SIGNATURE_CLASS,
        type_code=SIGNATURE_TYPE,
        format_code=SIGNATURE_FORMAT,
        event_codes=(SIGNATURE_EVENT,),
        healthcare_facility_type_code=first.healthcare_facility_type_code,
        practice_setting_code=first.practice_setting_code,
        confidentiality_codes=(NORMAL, *MASKED),
        authors=lot.authors,
        creation_time=lot.submission_time,
        service_start_time=first.service_start_time,
        language_code="art",
        legal_authenticators=first.legal_authenticators,
        source_patient_id=first.source_patient_id,
        source_patient_info=first.source_patient_info,
        title="Signature du lot de soumission",
        hash=hashlib.sha1(content, usedforsecurity=False).hexdigest(),
        size=len(content),
    )


def name_as_nh(body: Element) -> Element:
    """Patient identifiers of registry objects as the record has them: the INS with its type."""
    for item in body.iter(rim("ExternalIdentifier")):
        if item.get("identificationScheme") in _PATIENT_SCHEMES:
            item.set("value", f"{item.get('value')}^NH")
    return body


def without_nh(body: Element) -> Element:
    """The other way round: as the rest of the hub reads them."""
    for item in body.iter(rim("ExternalIdentifier")):
        if item.get("identificationScheme") in _PATIENT_SCHEMES:
            item.set("value", (item.get("value") or "").removesuffix("^NH"))
    return body
