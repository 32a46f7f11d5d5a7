"""AuditEvents that other systems send (ITI-20, RESTful feed) -> records for the trail. Strict about who and when."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from hub.audit.model import AuditOutcome, AuditRecord, KeepEvents
from hub.context import Context, Touched
from hub.errors import Invalid, TooLarge
from hub.values import PatientIdentifier, new_key, now
from hub.wire.atna.vocabulary import ROWS
from hub.wire.fhir.audit_event import TRANSACTIONS
from hub.wire.fhir.body import resource_in
from hub.wire.http import HttpRequest

MOST_EVENTS, MOST_BYTES, MOST_PARTS = 500, 256 * 1024, 200
#: A clock may go that wrong; an event of the future would stand in the way of retention.
_AHEAD = timedelta(minutes=10)
_KINDS = {row.role: kind for kind, row in reversed(tuple(ROWS.items()))}
_LONGEST = 500


def events_in(message: HttpRequest, context: Context) -> KeepEvents:
    """One AuditEvent, or a Bundle of them. Raises Malformed, Invalid, TooLarge; where nothing of a batch is good, what
    is wrong with its first entry."""
    found = resource_in(message, "AuditEvent", "Bundle")
    if found["resourceType"] == "AuditEvent":
        return KeepEvents((_record(found, "AuditEvent", context),))
    if found.get("type") not in ("batch", "transaction", "collection"):
        raise Invalid("A Bundle of AuditEvents is of type batch or transaction.", location="Bundle.type")
    entries = _list(found, "entry", "Bundle")
    if not entries:
        raise Invalid("The Bundle is empty.", location="Bundle.entry")
    if len(entries) > MOST_EVENTS:
        raise TooLarge(f"A Bundle may hold {MOST_EVENTS} events at most.")
    records, refused = [], {}
    for index, entry in enumerate(entries):
        try:
            records.append(_entry(entry, index, context))
        except (Invalid, TooLarge) as error:  # the entries of a batch are independent (FHIR R4: 3.1.0.11.1)
            if found["type"] != "batch":
                raise
            refused[index] = error
    if not records:
        raise next(iter(refused.values()))
    return KeepEvents(tuple(records), refused)


def _entry(entry: Mapping[str, Any], index: int, context: Context) -> AuditRecord:
    place = f"Bundle.entry[{index}].resource"
    request = entry.get("request", {"method": "POST", "url": "AuditEvent"})
    if not isinstance(request, dict) or (request.get("method"), request.get("url")) != ("POST", "AuditEvent"):
        raise Invalid("An event is recorded by POST to AuditEvent.", location=f"Bundle.entry[{index}].request")
    resource = entry.get("resource")
    if not isinstance(resource, dict) or resource.get("resourceType") != "AuditEvent":
        raise Invalid("Only AuditEvents are taken.", location=place)
    return _record(resource, place, context)


def _record(event: Mapping[str, Any], place: str, context: Context) -> AuditRecord:
    original = orjson.dumps(event).decode()
    if len(original) > MOST_BYTES:
        raise TooLarge(f"An AuditEvent may have {MOST_BYTES} bytes at most.")
    agents = _list(event, "agent", place)
    if not agents:
        raise Invalid("Who did it is missing.", location=f"{place}.agent")
    for index, agent in enumerate(agents):
        if not isinstance(agent.get("requestor"), bool):
            raise Invalid("Whether it asked for it is missing.", location=f"{place}.agent[{index}].requestor")
    requestor = next((agent for agent in agents if agent["requestor"]), agents[0])
    if not isinstance(event.get("source"), dict) or not isinstance(event["source"].get("observer"), dict):
        raise Invalid("Who saw it is missing.", location=f"{place}.source.observer")
    kind = _code(event.get("type"), f"{place}.type")
    subtypes = [_code(item, f"{place}.subtype") for item in _list(event, "subtype", place)]
    named = next((code for system, code, _ in subtypes if system == TRANSACTIONS), "")
    entities = _list(event, "entity", place)
    if len(entities) > MOST_PARTS or len(agents) > MOST_PARTS:
        raise TooLarge("The AuditEvent has too many parts.")
    return AuditRecord(
        id=new_key(),
        at=_moment(event.get("recorded"), f"{place}.recorded"),
        transaction=named or next((code for _, code, _ in subtypes), "AuditEvent"),
        event_code=kind[1],
        event_display=kind[2],
        action=_action(event.get("action", "E"), place),
        outcome=_outcome(event.get("outcome", "0"), place),
        principal_id=_who(requestor),
        principal_name=_text(requestor.get("name")) or _text(_of(requestor, "who").get("display")),
        scheme="told",
        purpose=_purpose(event, place),
        peer=_text(_of(requestor, "network").get("address")),
        source="",
        correlation_id=context.correlation_id,
        detail=_text(event.get("outcomeDesc")),
        objects=tuple(dict.fromkeys(_touched(entities, place))),
        origin=context.principal.id,
        original=original,
    )


def _touched(entities: list[Mapping[str, Any]], place: str) -> Iterator[Touched]:
    for index, entity in enumerate(entities):
        what = _of(entity, "what")
        role = _code(entity["role"], f"{place}.entity[{index}].role")[1] if "role" in entity else ""
        identifier = _of(what, "identifier")
        system, value = _text(identifier.get("system")), _text(identifier.get("value"))
        if role == "1" and value and system.startswith("urn:oid:"):
            yield Touched("patient", PatientIdentifier(value, system.removeprefix("urn:oid:")).cx)
            continue
        kind = "study" if system == "urn:dicom:uid" else "query" if role == "24" else _KINDS.get(role, "object")
        reference = value.removeprefix("urn:oid:") or _text(what.get("reference"))
        if reference:
            yield Touched(kind, reference)


def _who(agent: Mapping[str, Any]) -> str:
    who = _of(agent, "who")
    value = _text(_of(who, "identifier").get("value"))
    return value or _text(agent.get("altId")) or _text(who.get("reference")) or _text(who.get("display")) or "unknown"


def _purpose(event: Mapping[str, Any], place: str) -> str:
    for concept in _list(event, "purposeOfEvent", place):
        for coding in _list(concept, "coding", place):
            return _text(coding.get("code"))
    return ""


def _action(found: Any, place: str) -> str:
    if found not in ("C", "R", "U", "D", "E"):
        raise Invalid("The action is one of C, R, U, D, E.", location=f"{place}.action")
    return str(found)


def _outcome(found: Any, place: str) -> AuditOutcome:
    if found not in [item.value for item in AuditOutcome]:
        raise Invalid("The outcome is one of 0, 4, 8, 12.", location=f"{place}.outcome")
    return AuditOutcome(found)


def _moment(found: Any, place: str) -> datetime:
    try:
        moment = datetime.fromisoformat(_text(found))
        if moment.tzinfo is None:
            raise ValueError
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Invalid("An instant is expected.", location=place) from error
    if moment > now() + _AHEAD or moment.year < 1980:
        raise Invalid("The event is not of this time: look at the clock.", location=place)
    return moment


def _code(found: Any, place: str) -> tuple[str, str, str]:
    if not isinstance(found, dict) or not _text(found.get("code")):
        raise Invalid("A code is expected.", location=place)
    return _text(found.get("system")), _text(found["code"]), _text(found.get("display"))


def _list(found: Mapping[str, Any], name: str, place: str) -> list[Mapping[str, Any]]:
    items = found.get(name, [])
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise Invalid("A list of objects is expected.", location=f"{place}.{name}")
    return items


def _of(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = found.get(name)
    return part if isinstance(part, dict) else {}


def _text(found: Any) -> str:
    return found[:_LONGEST] if isinstance(found, str) else ""
