"""ITI-21 Patient Demographics Query (ITI TF-2: 3.21)."""

import re
from collections.abc import Callable
from typing import Any

from hub.context import Context
from hub.errors import HubError
from hub.patients.errors import InvalidCursor, SearchTooBroad, UnknownDomain
from hub.patients.model import FindPersons, PersonPage
from hub.pipeline.transaction import AuditEvent, Hl7, Kind, Transaction
from hub.values import Oid, PatientIdentifier
from hub.wire.hl7v2 import query
from hub.wire.hl7v2.datatypes import date
from hub.wire.hl7v2.errors import UNKNOWN_KEY, DataTypeError, FieldMissing, TableValueUnknown
from hub.wire.hl7v2.message import Hl7Message, Segment
from hub.wire.hl7v2.pid import person_segment

TRANSACTION = Transaction(
    id="ITI-21",
    title="Patient Demographics Query",
    profile="PDQ",
    initiator="Patient Demographics Consumer",
    responder="Patient Demographics Supplier",
    bindings=(Hl7(events=("QBP^Q22",)),),
    section="ITI TF-2: 3.21",
    kind=Kind.QUERY,
    permission="patients.query",
    audit=AuditEvent("110112", "Query", "E"),
    options=("Continuation (DSC)", "Domains returned (QPD-8)"),
)
_KIND, _STRUCTURE = "RSP^K22", "RSP_K21"
_CRITERIA, _DOMAINS = 3, 8
_DEFAULT, _MOST = 50, 200
_NAME = re.compile(r"@PID\.(\d+)((?:\.\d+)*)")


def _prefix(value: str, _: str) -> str:
    return value.rstrip("*%")


def _sex(value: str, location: str) -> str:
    if value.upper() not in ("M", "F", "O", "U"):
        raise TableValueUnknown("PID-8 is not a value of HL7 table 0001.", location=location)
    return value.upper()


#: Parameter (QPD-3.1 without "@PID.") -> criterion, and how its value is read (ITI TF-2: Table 3.21.4.1.2.2.1-1).
PARAMETERS: dict[str, tuple[str, Callable[[str, str], str]]] = {
    "3.1": ("identifier_value", lambda value, _: value),
    "3.4.1": ("namespace", lambda value, _: value),
    "3.4.2": ("oid", lambda value, _: value),
    "3.4.3": ("", lambda value, _: value),
    "3.5": ("", lambda value, _: value),
    "5.1.1": ("name", _prefix),
    "5.2": ("given", _prefix),
    "7.1": ("birth_date", date),
    "8": ("sex", _sex),
    "11.5": ("postal_code", lambda value, _: value),
}
_ALIASES = {"3": "3.1", "3.4": "3.4.1", "5.1": "5.1.1", "5": "5.1.1", "5.2.1": "5.2", "7": "7.1", "8.1": "8"}


def decode(message: Hl7Message, context: Context) -> FindPersons:  # noqa: ARG001
    """QPD-3 the criteria, QPD-8 the domains, RCP-2 the page's length, DSC-1 where to go on."""
    found = _criteria(message.require("QPD"))
    number, oid, namespace = found.pop("identifier_value", ""), found.pop("oid", ""), found.pop("namespace", "")
    identifier = PatientIdentifier(number, oid, namespace=namespace) if number and (oid or namespace) else None
    dsc = message.first("DSC")
    criteria: dict[str, Any] = dict(found)
    return FindPersons(
        identifier=identifier,
        identifier_value="" if identifier else number,
        domains=query.domains(message, _DOMAINS),
        limit=query.quantity(message, _DEFAULT, _MOST),
        cursor=dsc.value(1) if dsc else "",
        **criteria,
    )


def _criteria(qpd: Segment) -> dict[str, str]:
    found: dict[str, str] = {}
    items = qpd.repetitions(_CRITERIA)
    for number, item in enumerate(items, 1):
        location = f"{qpd.at(_CRITERIA)}[{number}]"
        name, value = item.value(1), item.value(2).strip()
        shape = _NAME.fullmatch(name)
        key = name.removeprefix("@PID.")
        key = _ALIASES.get(key, key)
        if shape is None or key not in PARAMETERS:
            raise TableValueUnknown("This parameter can't be searched by.", location=f"{location}.1")
        criterion, read = PARAMETERS[key]
        if value and criterion:
            found[criterion] = read(value, f"{location}.2")
    if not found:
        raise FieldMissing("The query names no parameter.", location=qpd.at(_CRITERIA))
    if "oid" in found:
        _check_oid(found["oid"], qpd.at(_CRITERIA))
    return found


def _check_oid(oid: str, location: str) -> None:
    try:
        Oid(oid)
    except HubError:
        raise DataTypeError("The assigning authority is not an OID.", location=location) from None


def encode(outcome: PersonPage, message: Hl7Message, context: Context) -> bytes:  # noqa: ARG001
    """One PID per person, numbers of the wanted domains only; DSC when there is more."""
    wanted = query.domains(message, _DOMAINS)
    records: list[str] = []
    for person in outcome.persons:
        identifiers = query.within(person.identifiers, wanted)
        if identifiers:
            records.append(person_segment(len(records) + 1, person, identifiers))
    remaining = None if outcome.cursor else 0
    total = outcome.total if outcome.total is not None or outcome.cursor else len(records)
    hits = query.Hits(total, len(records), remaining)
    return query.respond(message, _KIND, _STRUCTURE, records, hits=hits, cursor=outcome.cursor)


def refuse(error: HubError, message: Hl7Message, context: Context) -> bytes:  # noqa: ARG001
    """AE with the parameter or the domain at fault (3.21.4.2.2.8)."""
    location, condition = "", ""
    if isinstance(error, UnknownDomain):
        asked = query.domain_location(message, _DOMAINS, error.context.get("domain", ""))
        location, condition = asked or "QPD-3", UNKNOWN_KEY
    elif isinstance(error, SearchTooBroad):
        location = "QPD-3"
    elif isinstance(error, InvalidCursor):
        location = "DSC-1"
    return query.refuse_query(message, _KIND, _STRUCTURE, error, location=location, condition=condition)
