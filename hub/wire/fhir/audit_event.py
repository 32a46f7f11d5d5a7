"""An audit record as an AuditEvent (FHIR R4: 6.4; RESTful ATNA; BALP's basic profiles where they apply)."""

from collections.abc import Mapping
from typing import Any

import orjson

from hub.audit.model import AuditOutcome, AuditRecord, Own
from hub.context import Touched
from hub.errors import HubError
from hub.values import PatientIdentifier
from hub.wire.atna.vocabulary import (
    DESTINATION,
    SOURCE,
    STRUCTURE,
    Coded,
    accessions,
    hub_gives,
    hub_sent,
    purpose_of,
    questions,
    roles_of,
    row_of,
    things,
)

BALP = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
ACCESSION = "http://hl7.org/fhir/StructureDefinition/auditevent-Accession"
TRANSACTIONS = "urn:ihe:event-type-code"
DCM = "http://dicom.nema.org/resources/ontology/DCM"
HL7 = "http://terminology.hl7.org/CodeSystem"
PROFESSIONALS = "urn:oid:1.2.250.1.71.4.2.1"
CLIENTS, THINGS, ROLES = "urn:maillage:client", "urn:maillage", "urn:maillage:role"
_SYSTEMS: Mapping[str, str] = {"DCM": DCM, "2.16.840.1.113883.5.8": f"{HL7}/v3-ActReason", "Maillage": ROLES}
ENTITY, ROLE = f"{HL7}/audit-entity-type", f"{HL7}/object-role"
REST, SEARCHED = f"{HL7}/audit-event-type", "http://hl7.org/fhir/restful-interaction"
_UIDS = ("document", "submission set", "folder", "study")


def audit_event(record: AuditRecord, own: Own) -> dict[str, Any]:
    """The resource; what another system told is given back as it came, under the id that it has here."""
    if record.original:
        return received(record)
    found: dict[str, Any] = {"resourceType": "AuditEvent", "id": record.id}
    if record.searched_fhir and record.outcome is AuditOutcome.SUCCESS:
        found["meta"] = {"profile": [f"{BALP}{'PatientQuery' if record.patients else 'Query'}"]}
    title = own.titles.get(record.transaction, record.transaction)
    if record.searched_fhir:
        found["type"] = _coding(("rest", REST, "Restful Operation"))
        found["subtype"] = [_coding(("search", SEARCHED, "search"))]
        found["subtype"].append(_coding((record.event_code, DCM, record.event_display)))
    else:
        found["type"] = _coding((record.event_code, DCM, record.event_display))
    found.setdefault("subtype", []).append(_coding((record.transaction, TRANSACTIONS, title)))
    if record.event_type:
        system = DCM if record.event_type.isdecimal() else TRANSACTIONS
        found["subtype"].append(_coding((record.event_type, system, own.titles.get(record.event_type, ""))))
    found["action"] = record.action
    found["recorded"] = record.at.isoformat(timespec="milliseconds")
    found["outcome"] = record.outcome.value
    if record.error_code:
        found["outcomeDesc"] = f"{record.error_code}: {record.detail}"
    purpose = purpose_of(record)
    if purpose is not None:
        found["purposeOfEvent"] = [_concept(purpose)]
    found["agent"] = _agents(record, own)
    found["source"] = {
        **({"site": own.site} if own.site else {}),
        "observer": {"identifier": {"system": THINGS, "value": own.source_id}, "display": "Maillage"},
        "type": [_coding(("4", f"{HL7}/security-source-type", "Application Server"))],
    }
    entities = [_thing(record, item) for item in things(record)]
    entities += [_question(record, question) for question in questions(record)]
    entities += _structure(record)
    entities.append(_correlation(record))
    found["entity"] = entities
    return found


def received(record: AuditRecord) -> dict[str, Any]:
    """What another system told, under the id that it has here."""
    found: dict[str, Any] = orjson.loads(record.original)
    meta = {key: value for key, value in (found.get("meta") or {}).items() if key in ("profile", "security", "tag")}
    return {**found, "id": record.id, "meta": {**meta, "source": f"{CLIENTS}:{record.origin}"}}


def _agents(record: AuditRecord, own: Own) -> list[dict[str, Any]]:
    sent = hub_sent(record)
    ours, theirs = (SOURCE, DESTINATION) if sent or hub_gives(record) else (DESTINATION, SOURCE)
    url = f"{own.url}{record.called}" if record.called.startswith("/") else record.called or own.url or own.source_id
    us: dict[str, Any] = {
        "type": _concept(ours),
        "who": {"identifier": {"system": THINGS, "value": own.source_id}, "display": url},
        "requestor": sent,
        "network": {"address": own.address or "localhost", "type": "1"},
    }
    if sent:
        name = record.source or record.peer or "unknown"
    else:
        name = record.node or (record.peer if record.person else record.principal_id) or "unknown"
    them: dict[str, Any] = {
        "type": _concept(theirs),
        "who": {"identifier": {"system": CLIENTS, "value": name}, "display": record.organisation or name},
        "requestor": not sent and not record.person,
    }
    if record.peer:
        them["network"] = {"address": record.peer, "type": "2"}
    found = [them, us]
    if record.person:
        found.append(_person(record))
    return found


def _person(record: AuditRecord) -> dict[str, Any]:
    who = record.professional
    number = (PROFESSIONALS, who.id) if who is not None and who.id else (f"{THINGS}:user", record.principal_id)
    found: dict[str, Any] = {
        "type": _concept(("IRCP", f"{HL7}/v3-ParticipationType", "information recipient")),
        "who": {"identifier": {"system": number[0], "value": number[1] or "unknown"}},
        "requestor": True,
    }
    if record.principal_name:
        found["who"]["display"] = found["name"] = record.principal_name
    if record.principal_id and record.principal_id != number[1]:
        found["altId"] = record.principal_id
    if roles := roles_of(record):
        found["role"] = [_concept(role) for role in roles]
    purpose = purpose_of(record)
    if purpose is not None:
        found["purposeOfUse"] = [_concept(purpose)]
    return found


def _thing(record: AuditRecord, item: Touched) -> dict[str, Any]:
    row = row_of(item.kind)
    found = _entity(row.type_code, row.role, _identifier(item))
    if item.kind == "patient" and record.reason:
        found["detail"] = [{"type": "reason", "valueString": record.reason}]
    numbers = accessions(record, item.reference) if item.kind == "study" else []
    if numbers:
        found["extension"] = [{"url": ACCESSION, "valueIdentifier": {"value": number}} for number in numbers]
    return found


def _identifier(item: Touched) -> dict[str, str]:
    value = item.reference or "unknown"
    if item.kind == "patient":
        try:
            number = PatientIdentifier.from_cx(value)
        except HubError:
            return {"system": f"{THINGS}:patient", "value": value}
        return {"system": f"urn:oid:{number.authority}", "value": number.value}
    if item.kind in _UIDS:
        system = "urn:dicom:uid" if item.kind == "study" else "urn:ietf:rfc:3986"
        return {"system": system, "value": f"urn:oid:{value}" if value[:1].isdigit() else value}
    return {"system": f"{THINGS}:{item.kind.replace(' ', '-')}", "value": value}


def _question(record: AuditRecord, question: str) -> dict[str, Any]:
    found = _entity("2", "24", {"value": question} if question else None)
    if record.query:
        found["query"] = record.query
    else:
        found["name"] = question
    return found


def _structure(record: AuditRecord) -> list[dict[str, Any]]:
    who = record.professional
    if who is None or not who.structure:
        return []
    found = _entity("3", "2", {"system": f"urn:oid:{STRUCTURE}", "value": who.structure})
    return [{**found, "name": who.structure_name} if who.structure_name else found]


def _correlation(record: AuditRecord) -> dict[str, Any]:
    return {
        "what": {"identifier": {"system": f"{THINGS}:correlation", "value": record.correlation_id}},
        "type": _coding(("XrequestId", "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "")),
    }


def _entity(type_code: str, role: str, identifier: dict[str, str] | None) -> dict[str, Any]:
    found: dict[str, Any] = {"what": {"identifier": identifier}} if identifier else {}
    found |= {"type": _coding((type_code, ENTITY, "")), "role": _coding((role, ROLE, ""))}
    return found


def _concept(code: Coded) -> dict[str, Any]:
    return {"coding": [_coding(code)]}


def _coding(code: Coded) -> dict[str, Any]:
    system = _SYSTEMS.get(code[1], code[1])
    system = f"urn:oid:{system}" if system[:1].isdigit() else system
    return {"system": system, "code": code[0], **({"display": code[2]} if code[2] else {})}
