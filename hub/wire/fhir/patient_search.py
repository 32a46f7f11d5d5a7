"""PDQm's search parameters -> a search of persons, and its answer as a searchset (PDQm: 2:3.78)."""

from collections.abc import Mapping, Sequence
from typing import Any

from hub.errors import HubError, Invalid, NotFound, lookup
from hub.patients.errors import UnknownDomain
from hub.patients.lookup_model import Criterion, SearchPersons, Trait
from hub.patients.model import Person, PersonPage
from hub.values import PatientIdentifier
from hub.wire.fhir import fr_core, search
from hub.wire.fhir.errors import OUTCOMES, outcome
from hub.wire.fhir.patient import patient
from hub.wire.fhir.patient_reading import authority_of
from hub.wire.http import HttpRequest, HttpResponse

#: String parameters and what they look at.
_TEXTS: Mapping[str, Trait] = {
    "family": Trait.FAMILY,
    "given": Trait.GIVEN,
    "address": Trait.ADDRESS,
    "address-city": Trait.CITY,
    "address-postalcode": Trait.POSTAL_CODE,
    "address-state": Trait.STATE,
    "address-country": Trait.COUNTRY,
    "mothersMaidenName": Trait.MOTHER,
}
PARAMETERS = (
    ("_id", "token", "Regional identifier, also a former one"),
    ("active", "token", "true, false: a number that is not in use any more leads to the person who has it now"),
    ("identifier", "token", "Any identifier: urn:oid:[authority]|[number]; urn:oid:[authority]| restricts the domains"),
    ("family", "string", "Beginning of the birth or used name, or of a part of it"),
    ("given", "string", "Beginning of a given name, with another parameter that selects"),
    ("birthdate", "date", "Day of birth, also several; with a name also a month, a year, or a period by prefixes"),
    ("gender", "token", "male, female, other, unknown, with another parameter that selects"),
    ("telecom", "token", "A telephone number of nine digits or more"),
    ("address", "string", "Beginning of any part of the address; of a country, with another parameter that selects"),
    ("address-city", "string", "Beginning of the city"),
    ("address-postalcode", "string", "Beginning of the postal code"),
    ("address-state", "string", "Not kept: finds nobody"),
    ("address-country", "string", "Beginning of the country, with another parameter that selects"),
    ("mothersMaidenName", "string", "Beginning of the mother's maiden name"),
)
_SEARCH = search.Searchable(
    "Patient", frozenset(name for name, _, _ in PARAMETERS) | {f"{name}:exact" for name in _TEXTS}
)
_MOST_VALUES = 50
#: What these ask for holds of a date that is known in part where some day of it fulfils them (FHIR R4: 3.1.1.5.6).
_LOOSELY = ("ge", "gt", "le", "lt")


def persons_asked(message: HttpRequest) -> SearchPersons:
    """The search. Raises UnknownParameter, Invalid, FormatNotSupported."""
    wanted = message.path_parameters.get("id")
    if wanted:
        search.accept_json(message)
        return SearchPersons(ids=(wanted,), limit=1)
    found = search.parameters(message, _SEARCH)
    identifiers, domains = _identifiers(found)
    ids = _ids(found)
    born = tuple(text for text in found.get("birthdate", ()) if "," not in text)
    loosely = tuple(text for text in born if text.startswith(_LOOSELY))
    return SearchPersons(
        ids=ids,
        identifiers=identifiers,
        domains=domains,
        criteria=tuple(_criteria(found)),
        born=search.days([text for text in born if text not in loosely], "birthdate"),
        maybe_born=search.days(loosely, "birthdate"),
        active=_active(found),
        limit=0 if ("_summary", "count") in message.query else search.count(found),
        cursor=search.single(found, "_cursor"),
        counted=("_total", "accurate") in message.query,
    )


def persons_told(page: PersonPage, message: HttpRequest) -> HttpResponse:
    """A searchset, or the one patient of a read. Numbers of other domains than those asked for are left out."""
    wanted = message.path_parameters.get("id")
    if wanted:
        if not page.persons:
            raise NotFound()
        return search.read(message, patient(page.persons[0]))
    _, domains = _identifiers(search.parameters(message, _SEARCH))
    return search.bundle(
        message,
        _SEARCH,
        (patient(person, domains) for person in page.persons),
        total=page.total,
        next_page={"_cursor": page.cursor} if page.cursor else None,
    )


def refused(error: HubError) -> tuple[int, dict[str, Any]]:
    """HTTP status and OperationOutcome: a domain that is not known has its own (2:3.78.4.1.3, case 4)."""
    if isinstance(error, UnknownDomain):
        return 404, outcome("warning", "not-found", "targetSystem not found", code=error.code, expression="identifier")
    row = lookup(OUTCOMES, error)
    return row.status, outcome("error", row.issue, error.told, code=error.code, expression=error.location)


def domain_of(system: str, name: str) -> PatientIdentifier:
    """An authority as an identifier without a number. Raises Invalid."""
    oid, namespace = authority_of(system, name)
    return PatientIdentifier("", oid, "", namespace)


def _ids(found: Mapping[str, tuple[str, ...]]) -> tuple[str, ...] | None:
    groups = [search.alternatives(text) for text in found.get("_id", ())]
    if not groups:
        return None
    return _bounded(tuple(item for item in dict.fromkeys(groups[0]) if all(item in group for group in groups)), "_id")


def _identifiers(
    found: Mapping[str, tuple[str, ...]],
) -> tuple[tuple[tuple[PatientIdentifier, ...], ...], tuple[str, ...]]:
    """Numbers (of each parameter one), and the domains that it is restricted to (``system|``)."""
    numbers: list[tuple[PatientIdentifier, ...]] = []
    domains: list[str] = []
    for text in found.get("identifier", ()):
        tokens = [search.token(part) for part in _bounded(search.alternatives(text), "identifier")]
        if any(not item.code for item in tokens) and any(item.code for item in tokens):
            raise Invalid("Either numbers or domains are given in one parameter.", location="identifier")
        if tokens and not tokens[0].code:
            domains += [domain_of(item.system or "", "identifier").authority for item in tokens]
            continue
        numbers.append(tuple(_numbered(item) for item in tokens))
    if any(not domain for domain in domains):
        raise Invalid("A domain is urn:oid:[authority]|.", location="identifier")
    return tuple(numbers), tuple(dict.fromkeys(domains))


def _numbered(item: search.Token) -> PatientIdentifier:
    if not item.system:
        return PatientIdentifier(item.code, "")
    oid, namespace = authority_of(item.system, "identifier")
    return PatientIdentifier(item.code, oid, "", namespace)


def _criteria(found: Mapping[str, tuple[str, ...]]) -> Sequence[Criterion]:
    criteria = []
    for name, trait in _TEXTS.items():
        for suffix in ("", ":exact"):
            for text in found.get(f"{name}{suffix}", ()):
                values = _bounded(search.alternatives(text), name)
                criteria.append(Criterion(trait, values, exact=bool(suffix)))
    for text in found.get("birthdate", ()):
        if "," in text:
            criteria.append(Criterion(Trait.BORN, _periods(_bounded(search.alternatives(text), "birthdate"))))
    for text in found.get("gender", ()):
        codes = [search.token(part).code for part in search.alternatives(text)]
        if any(code not in fr_core.SEXES for code in codes):
            raise Invalid("gender is male, female, other or unknown.", location="gender")
        criteria.append(Criterion(Trait.SEX, tuple(fr_core.SEXES[code] for code in codes)))
    for text in found.get("telecom", ()):
        tokens = [search.token(part) for part in _bounded(search.alternatives(text), "telecom")]
        phones = tuple(item.code for item in tokens if item.system in (None, "", "phone"))
        criteria.append(Criterion(Trait.PHONE, phones))
    return criteria


def _periods(values: tuple[str, ...]) -> tuple[str, ...]:
    """Alternatives of a birth date: days, months or years. Raises Invalid."""
    if not values or not all(value.removeprefix("eq")[:1].isdecimal() for value in values):
        raise Invalid("Alternatives of a birth date are YYYY[-MM[-DD]], without a prefix.", location="birthdate")
    return tuple("-".join(search.days((value,), "birthdate")) for value in values)


def _active(found: Mapping[str, tuple[str, ...]]) -> bool | None:
    text = search.single(found, "active")
    if text not in ("", "true", "false"):
        raise Invalid("active is true or false.", location="active")
    return {"true": True, "false": False}.get(text)


def _bounded(values: tuple[str, ...], name: str) -> tuple[str, ...]:
    if len(values) > _MOST_VALUES:
        raise Invalid(f"At most {_MOST_VALUES} alternatives are searched at once.", location=name)
    return values


def person_reference(person: Person) -> str:
    """``Patient/[regional identifier]``."""
    return f"Patient/{person.regional.value}"
