"""Patient search and read (FHIR R4: 8.1): whom the references of other resources mean."""

from hub.context import Context
from hub.errors import Invalid, NotFound
from hub.patients.model import FindPersons, Person, PersonPage
from hub.pipeline.transaction import AuditEvent, Fhir, Kind, Transaction
from hub.wire.fhir import search
from hub.wire.fhir.patient import patient
from hub.wire.http import HttpRequest, HttpResponse

_PARAMETERS = (
    ("_id", "token", "Regional identifier"),
    ("identifier", "token", "Any identifier: urn:oid:[authority]|[number]"),
    ("family", "string", "Beginning of the birth or used name"),
    ("given", "string", "Beginning of a given name"),
    ("birthdate", "date", "Day of birth"),
    ("gender", "token", "male, female"),
)
_NAMES = tuple(name for name, _, _ in _PARAMETERS)
_SEXES = {"male": "M", "female": "F", "other": "O", "unknown": "U"}
TRANSACTION = Transaction(
    id="FHIR-Patient",
    title="Patient search and read",
    profile="FHIR Imaging",
    initiator="Patient Demographics Consumer",
    responder="Patient Demographics Supplier",
    bindings=(
        Fhir("GET", "/Patient", "Patient", "search-type", _PARAMETERS),
        Fhir("POST", "/Patient/_search", "Patient", "search-type"),
        Fhir("GET", "/Patient/{id}", "Patient", "read"),
    ),
    section="FHIR R4: 8.1",
    kind=Kind.QUERY,
    permission="patients.query",
    audit=AuditEvent("110112", "Query", "E"),
    options=("_count and links to the next page",),
)


def decode(message: HttpRequest, context: Context) -> FindPersons:  # noqa: ARG001
    """Search parameters or an id -> FindPersons."""
    wanted = message.path_parameters.get("id")
    if wanted:
        search.accept_json(message)
        return FindPersons(identifier_value=wanted)
    found = search.parameters(message, _NAMES)
    start, end = search.days(found.get("birthdate", ()), "birthdate")
    if start != end:
        raise Invalid("birthdate takes one day.", location="birthdate")
    text = search.single(found, "identifier")
    qualified = search.identifier(text, "identifier") if text else None
    plain = qualified.value if qualified is not None and not qualified.authority else search.single(found, "_id")
    return FindPersons(
        identifier=qualified if qualified is not None and qualified.authority else None,
        identifier_value=plain,
        name=search.single(found, "family"),
        given=search.single(found, "given"),
        birth_date=start,
        sex=_SEXES.get(search.token(search.single(found, "gender")).code, ""),
        limit=search.count(found),
        cursor=search.single(found, "_cursor"),
    )


def encode(outcome: PersonPage, message: HttpRequest, context: Context) -> HttpResponse:  # noqa: ARG001
    """A searchset, or the one patient."""
    wanted = message.path_parameters.get("id")
    if wanted:
        person = _named(outcome.persons, wanted)
        if person is None:
            raise NotFound()
        return search.answer(patient(person))
    only = message.parameter("_id")
    persons = [person for person in outcome.persons if not only or _named((person,), only) is not None]
    return search.bundle(
        message,
        (patient(person) for person in persons),
        total=outcome.total if not only else len(persons),
        next_page={"_cursor": outcome.cursor} if outcome.cursor else None,
    )


def _named(persons: tuple[Person, ...], regional: str) -> Person | None:
    """The person whose regional identifier, present or former, this is; another authority's equal number is not."""
    for person in persons:
        former = {item.value for item in person.aliases}
        if person.regional.value == regional or regional in former:
            return person
    return None
