"""ITI-81's search parameters -> a search of the trail (RESTful ATNA: 3.81.4.1.2)."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from hub.audit.model import AuditOutcome, AuditSearch, SearchTrail, Trail
from hub.errors import Invalid, NotFound
from hub.values import PatientIdentifier
from hub.wire.atna.vocabulary import ROWS, TRE_R01, TRE_R02
from hub.wire.fhir import search, times
from hub.wire.fhir.audit_event import (
    CLIENTS,
    DCM,
    ENTITY,
    HL7,
    PROFESSIONALS,
    REST,
    ROLE,
    ROLES,
    SEARCHED,
    THINGS,
    TRANSACTIONS,
    audit_event,
)
from hub.wire.http import HttpRequest, HttpResponse

PARAMETERS = (
    ("date", "date", "When it was recorded, with ge and le for a period: required, unless _id is there"),
    ("_id", "token", "The record's id"),
    ("address", "string", "Address of the system that asked"),
    ("patient.identifier", "token", "A number of the person: urn:oid:[authority]|[number]; any of theirs will do"),
    ("patient", "reference", "The person: Patient/[regional identifier]"),
    ("agent.identifier", "token", "Who took part: a professional's national id, a user, a system"),
    ("agent", "reference", "The same, as a reference: Practitioner/[national id], Device/[system]"),
    ("user", "token", "The same"),
    ("altid", "token", "The same"),
    ("agent-name", "string", "How the name of who took part begins"),
    ("agent-role", "token", "Profession or role of who asked"),
    ("role", "token", "The same"),
    ("entity.identifier", "token", "What it was about: a person, a document, a study, a submission set"),
    ("entity", "reference", "The person, or what it was about: Patient/[regional identifier], [type]/[id]"),
    ("identity", "token", "The same"),
    ("object", "token", "The same"),
    ("entity-role", "token", "What kind of thing it was about (object-role): 1 patient, 3 report, 20 job, 24 query"),
    ("entity-type", "token", "What sort of thing it was about: 1 person, 2 system object, 3 organisation"),
    ("source", "reference", "The system that told of it: Device/[system]"),
    ("site", "token", "AuditEnterpriseSiteID of the source"),
    ("source.identifier", "token", "The system that told of it; the hub's own id for what it saw itself"),
    ("type", "token", "The event (DCM), or rest: a FHIR search"),
    ("subtype", "token", "The transaction: ITI-18 ..., a code of DCM, or search"),
    ("action", "token", "C R U D E"),
    ("outcome", "token", "0 4 8 12"),
)
_SEARCH = search.Searchable("AuditEvent", tuple(name for name, _, _ in PARAMETERS))
_THINGS = ("entity.identifier", "identity", "object")

#: entity-type -> kinds of things; of system objects there are too many to name: all that is none of the others.
_TYPES: Mapping[str, tuple[str, ...]] = {
    "1": tuple(kind for kind, row in ROWS.items() if row.type_code == "1"),
    "2": ("query",),
    "3": ("structure", *(kind for kind, row in ROWS.items() if row.type_code == "3")),
}
_BUT_OBJECTS = (*_TYPES["1"], *_TYPES["3"], "sop class", "accession")


def _of_type(code: str) -> AuditSearch:
    kinds = _TYPES.get(code, ("none",))
    return AuditSearch(other_kinds=kinds, but_kinds=_BUT_OBJECTS if code == "2" else ())


_OWN_THINGS = ("urn:dicom:uid", "urn:ietf:rfc:3986", *(f"{THINGS}:{kind.replace(' ', '-')}" for kind in ROWS))
#: What FHIR itself binds: nobody writes their systems (R4, and as terminology.hl7.org has them since).
_OF_FHIR: Mapping[str, tuple[str, ...]] = {
    name: (f"{HL7}/audit-event-{name}", f"http://hl7.org/fhir/audit-event-{name}") for name in ("action", "outcome")
}
#: Parameters of one meaning, the search for one of their codes, the systems in which the hub writes that code.
_CODES: tuple[tuple[tuple[str, ...], Callable[[str], AuditSearch], Callable[[str], Iterable[str]]], ...] = (
    (("type",), lambda code: AuditSearch(event_codes=(code,)), lambda code: (REST if code == "rest" else DCM,)),
    (
        ("subtype",),
        lambda code: AuditSearch(transactions=(code,)),
        lambda code: (DCM if code.isdecimal() else SEARCHED if code == "search" else TRANSACTIONS,),
    ),
    (("action",), lambda code: AuditSearch(actions=(code,)), lambda _: _OF_FHIR["action"]),
    (("outcome",), lambda code: AuditSearch(outcomes=(_outcome(code),)), lambda _: _OF_FHIR["outcome"]),
    (
        ("agent.identifier", "user", "altid"),
        lambda code: AuditSearch(agents=(code,)),
        lambda _: (PROFESSIONALS, CLIENTS, THINGS, f"{THINGS}:user"),
    ),
    (
        ("agent-role", "role"),
        lambda code: AuditSearch(roles=(code,)),
        lambda _: (ROLES, f"urn:oid:{TRE_R01}", f"urn:oid:{TRE_R02}"),
    ),
    (_THINGS, lambda code: AuditSearch(references=_names_of(code)), lambda _: _OWN_THINGS),
    (("entity-role",), lambda code: AuditSearch(kinds=_kinds(code)), lambda _: (ROLE,)),
    (("entity-type",), _of_type, lambda _: (ENTITY,)),
)


def asked(message: HttpRequest) -> SearchTrail:
    """The search, or the read of one record. Raises Invalid, UnknownParameter."""
    wanted = message.path_parameters.get("id")
    if wanted:
        search.accept_json(message)
        return SearchTrail(AuditSearch(ids=(wanted,), limit=1))
    found = search.parameters(message, _SEARCH)
    if not found.get("date") and not found.get("_id"):
        raise Invalid("A search of the audit trail names its period.", location="date")
    since, until = times.bounds(times.asked(found.get("date", ()), "date"))
    patient = _patient(found, message.base)
    limit = search.count(found)
    cursor = search.single(found, "_cursor")
    if cursor and not (cursor.isdecimal() and cursor.isascii() and len(cursor) < 19):
        raise Invalid("There is no such page.", location="_cursor")
    return SearchTrail(
        AuditSearch(
            ids=_codes(found, "_id"),
            since=_moment(since),
            until=_moment(until),
            peers=_codes(found, "address"),
            agents=_ends(found, "agent"),
            references=() if patient else _ends(found, "entity"),
            sources=(*_codes(found, "source.identifier"), *_ends(found, "source")),
            sites=_codes(found, "site"),
            names=tuple(search.alternatives(search.single(found, "agent-name"))),
            any_of=tuple(_any_of(found)),
            cursor=cursor,
            limit=limit,
        ),
        patient,
        count_only=limit == 0,
    )


def _tokens(found: Mapping[str, tuple[str, ...]], name: str) -> Iterator[search.Token]:
    return (search.token(part) for part in search.alternatives(search.single(found, name)))


def _codes(found: Mapping[str, tuple[str, ...]], name: str) -> tuple[str, ...]:
    return tuple(token.code for token in _tokens(found, name))


def _any_of(found: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[AuditSearch, ...]]:
    """For each parameter of codes that is there, the searches of which one holds."""
    for names, of_code, systems in _CODES:
        for name in names:
            each = [part for token in _tokens(found, name) for part in _in_system(token, of_code(token.code), systems)]
            if each:
                yield tuple(each)


def _in_system(
    token: search.Token, wanted: AuditSearch, systems: Callable[[str], Iterable[str]]
) -> Iterator[AuditSearch]:
    """What holds for a code of a system. Where the hub itself writes the code, its system is known; what others told
    must name it."""
    if token.system is None:
        yield wanted
    elif wanted.actions or wanted.outcomes:
        yield wanted if token.system in systems(token.code) else AuditSearch(ids=("",))
    elif not token.system:  # a code without a system: nobody's
        yield AuditSearch(ids=("",))
    else:
        yield replace(wanted, told_in=token.system, own=token.system in systems(token.code))
        if wanted.references and token.system.startswith("urn:oid:"):  # a person's number
            yield AuditSearch(references=(PatientIdentifier(token.code, token.system.removeprefix("urn:oid:")).cx,))


def answered(outcome: Trail, message: HttpRequest) -> HttpResponse:
    """A searchset of one page, or the one record. Raises NotFound."""
    if "id" in message.path_parameters:
        if not outcome.records:
            raise NotFound()
        return search.read(message, audit_event(outcome.records[0], outcome.own))
    following = {"_cursor": outcome.cursor} if outcome.cursor else None
    events = (audit_event(record, outcome.own) for record in outcome.records)
    return search.bundle(message, _SEARCH, events, total=outcome.total, next_page=following)


def _patient(found: dict[str, tuple[str, ...]], base: str) -> PatientIdentifier | None:
    reference, number = search.single(found, "patient"), search.single(found, "patient.identifier")
    thing = search.single(found, "entity")
    if not reference and not number and thing.rpartition("/")[0].endswith("Patient"):
        reference = thing
    if reference:
        return PatientIdentifier(search.reference_id(reference, "Patient", "patient", base), "")
    return search.identifier(number, "patient.identifier") if number else None


def _names_of(code: str) -> tuple[str, ...]:
    """What the trail may call a thing: a UID with and without its prefix."""
    return tuple(dict.fromkeys((code, code.removeprefix("urn:oid:"))))


def _ends(found: Mapping[str, tuple[str, ...]], name: str) -> tuple[str, ...]:
    """What references end with."""
    return tuple(part.rpartition("/")[2] for part in search.alternatives(search.single(found, name)))


def _kinds(role: str) -> tuple[str, ...]:
    found = tuple(kind for kind, row in ROWS.items() if row.role == role)
    return found or ({"24": ("query",)}.get(role) or ("none",))


def _outcome(code: str) -> AuditOutcome:
    try:
        return AuditOutcome(code)
    except ValueError as error:
        raise Invalid("The outcome is one of 0, 4, 8, 12.", location="outcome") from error


def _moment(dtm: str) -> datetime | None:
    return datetime.strptime(dtm, "%Y%m%d%H%M%S").replace(tzinfo=UTC) if dtm else None
