"""An audit record as a DICOM audit message (DICOM PS3.15: A.5, ITI TF-2: 3.20.4)."""

import re
from base64 import b64encode
from collections.abc import Mapping

from lxml import etree

from hub.audit.model import AuditRecord, Own
from hub.context import Touched
from hub.wire.atna.vocabulary import (
    DESTINATION,
    SOURCE,
    STRUCTURE,
    Coded,
    accessions,
    event_types,
    hub_gives,
    hub_sent,
    purpose_of,
    questions,
    roles_of,
    row_of,
    sop_classes,
    things,
)
from hub.wire.xml import Element, serialise

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ADDRESS = re.compile(r"[0-9.]+|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*")
#: (AuditSourceTypeCode: an application server's process)
_SERVER = "4"
#: How a question is told to be encoded, by its form (ITI TF-2: 3.18.5.1.1, RAD TF-3: 4.14.5).
_ENCODINGS: Mapping[str, tuple[str, str]] = {
    "ebxml": ("QueryEncoding", "UTF-8"),
    "hl7v3": ("QueryEncoding", "UTF-8"),
    "http": ("QueryEncoding", "UTF-8"),
    "dicom": ("TransferSyntax", "1.2.840.10008.1.2"),
}


def audit_message(record: AuditRecord, own: Own) -> bytes:
    """The AuditMessage, UTF-8 with a declaration."""
    root = etree.Element("AuditMessage")
    _event(root, record, own)
    if hub_sent(record):
        _us(root, record, own, SOURCE, requestor=True)
        _them(root, record, DESTINATION, requestor=False)
    elif hub_gives(record):
        _us(root, record, own, SOURCE, requestor=False)
        _them(root, record, DESTINATION, requestor=True)
    else:
        _them(root, record, SOURCE, requestor=True)
        _us(root, record, own, DESTINATION, requestor=False)
    if record.person:
        _person(root, record)
    source = _element(root, "AuditSourceIdentification", AuditEnterpriseSiteID=own.site, AuditSourceID=own.source_id)
    _element(source, "AuditSourceTypeCode", **{"csd-code": _SERVER})
    for item in things(record):
        _thing(root, record, item)
    for question in questions(record):
        _question(root, record, question, own)
    if record.professional is not None and record.professional.structure:
        _object(root, "3", "2", ("Struct_IdNat", STRUCTURE, "Structure"), record.professional.structure,
                name=record.professional.structure_name)  # fmt: skip
    return b'<?xml version="1.0" encoding="UTF-8"?>' + serialise(root)


def _event(root: Element, record: AuditRecord, own: Own) -> None:
    event = _element(
        root, "EventIdentification", EventActionCode=record.action,
        EventDateTime=record.at.isoformat(timespec="milliseconds"), EventOutcomeIndicator=record.outcome.value,
    )  # fmt: skip
    _coded(event, "EventID", (record.event_code, "DCM", record.event_display))
    for code in event_types(record, own):
        _coded(event, "EventTypeCode", code)
    if record.error_code:
        _element(event, "EventOutcomeDescription").text = _clean(f"{record.error_code}: {record.detail}")
    purpose = purpose_of(record)
    if purpose is not None:
        _coded(event, "PurposeOfUse", purpose)


def _us(root: Element, record: AuditRecord, own: Own, role: Coded, *, requestor: bool) -> None:
    url = f"{own.url}{record.called}" if record.called.startswith("/") else record.called or own.url
    found = _participant(root, url or own.source_id, own.process, "", own.address, requestor=requestor)
    _coded(found, "RoleIDCode", role)


def _them(root: Element, record: AuditRecord, role: Coded, *, requestor: bool) -> None:
    """The system: the node where a person was vouched for by one, else the caller itself."""
    node = record.node or (record.peer if record.person else record.principal_id)
    name = record.organisation if not record.person else ""
    if hub_sent(record):
        node, name = record.source or record.peer, ""
    found = _participant(root, node or "unknown", "", name, record.peer, requestor=requestor and not record.person)
    _coded(found, "RoleIDCode", role)


def _person(root: Element, record: AuditRecord) -> None:
    who = record.professional
    national = who.id if who is not None else ""
    other = record.principal_id if national and national != record.principal_id else ""
    found = _participant(root, national or record.principal_id, other, record.principal_name, "", requestor=True)
    for role in roles_of(record):
        _coded(found, "RoleIDCode", role)


def _participant(root: Element, user: str, other: str, name: str, address: str, *, requestor: bool) -> Element:
    kind = "" if not address else "2" if _ADDRESS.fullmatch(address) else "1"
    return _element(
        root, "ActiveParticipant", UserID=user, AlternativeUserID=other, UserName=name,
        UserIsRequestor="true" if requestor else "false", NetworkAccessPointTypeCode=kind,
        NetworkAccessPointID=address,
    )  # fmt: skip


def _thing(root: Element, record: AuditRecord, item: Touched) -> None:
    row = row_of(item.kind)
    found = _object(root, row.type_code, row.role, row.id_type, item.reference)
    if item.kind == "patient" and record.reason:
        _detail(found, "urn:maillage:reason", record.reason)
    if item.kind == "study":
        classes, numbers = sop_classes(record, item.reference), accessions(record, item.reference)
        if classes or numbers:
            description = _element(found, "ParticipantObjectDescription")
            for number in numbers:
                _element(description, "Accession", Number=number)
            for uid, count in classes:
                _element(description, "SOPClass", UID=uid, NumberOfInstances=str(count))


def _question(root: Element, record: AuditRecord, question: str, own: Own) -> None:
    title = own.titles.get(record.transaction, record.transaction)
    id_type = (record.transaction, "IHE Transactions", title)
    found = _object(root, "2", "24", id_type, question or record.transaction, query=record.query)
    if record.query and record.query_form in _ENCODINGS:
        _detail(found, *_ENCODINGS[record.query_form])
    if record.query and record.query_form == "hl7v2" and record.control_id:
        _detail(found, "MSH-10", record.control_id)


def _object(
    root: Element, type_code: str, role: str, id_type: Coded, reference: str, *, name: str = "", query: str = ""
) -> Element:
    found = _element(
        root, "ParticipantObjectIdentification", ParticipantObjectID=reference or "unknown",
        ParticipantObjectTypeCode=type_code, ParticipantObjectTypeCodeRole=role,
    )  # fmt: skip
    _coded(found, "ParticipantObjectIDTypeCode", id_type)
    if query:
        _element(found, "ParticipantObjectQuery").text = query
    elif name:
        _element(found, "ParticipantObjectName").text = _clean(name)
    return found


def _detail(found: Element, kind: str, value: str) -> None:
    coded = b64encode(value.encode(errors="replace")).decode()
    _element(found, "ParticipantObjectDetail", type=kind, value=coded)


def _coded(parent: Element, name: str, code: Coded) -> None:
    _element(parent, name, **{"csd-code": code[0], "codeSystemName": code[1], "originalText": code[2]})


def _element(parent: Element, name: str, **attributes: str) -> Element:
    """A child; attributes without a value are left out."""
    made = etree.SubElement(parent, name)
    for key, value in attributes.items():
        if value:
            made.set(key, _clean(value))
    return made


def _clean(text: str) -> str:
    """What XML can say of any text."""
    return _NOT_XML.sub("\ufffd", text)
