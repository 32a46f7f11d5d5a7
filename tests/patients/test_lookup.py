"""Searches with many criteria, matches with grades, feeds of several changes: on both databases."""

import threading
from dataclasses import replace
from typing import Any

import pytest

from hub.context import Context
from hub.errors import HubError
from hub.patients.discovery import DiscoveryIncomplete
from hub.patients.errors import AuthorityNotOwned, InvalidCursor, SearchTooBroad, UnknownDomain, UnknownIdentifier
from hub.patients.feeding import FeedService, NumberMerged
from hub.patients.feeding_model import ReceiveIdentities
from hub.patients.lookup import PatientLookup
from hub.patients.lookup_model import Criterion, FindNumbers, Grade, MatchPerson, SearchPersons, Trait
from hub.patients.matches import MatchService
from hub.patients.model import FeedIdentity, Identity, IdentityStatus, MergeIdentities, Person, Traits
from hub.patients.scoring import Scorer
from hub.patients.service import PatientService
from hub.values import PatientIdentifier
from tests.patients.conftest import DOMAIN, MARIE, NIR, A, B, C, identity, ins

NOBODY = PatientIdentifier("", "")
PEOPLE: tuple[tuple[str, str, str, str, str, dict[str, Any]], ...] = (
    ("1", A, "Martin", "Anne", "19800101", {"city": "Brest"}),
    ("2", A, "Martin", "Béa", "19800215", {"phone": "+33 2 98 00 00 00"}),
    ("3", A, "Martinez", "Carl", "1980", {"sex": "M"}),
    ("4", B, "Le Goff", "Dora", "19800101", {"mother_name": "Kermarrec"}),
    ("5", B, "martin", "Élise", "19900101", {"postal_code": "29200"}),
)


@pytest.fixture
def lookup(patients: PatientService) -> PatientLookup:
    return PatientLookup(patients=patients)


def feed(patients: PatientService, *identities: Identity) -> None:
    for item in identities:
        patients.feed(FeedIdentity(item), Context(source="HIS_C"))


def found(lookup: PatientLookup, **asked: Any) -> list[str]:
    """Names of the persons, over all pages."""
    names, command = [], SearchPersons(**{"limit": 2, **asked})
    for _ in range(50):
        page = lookup.search(command, Context())
        assert len(page.persons) <= command.limit
        names += [person.traits.birth_given for person in page.persons]
        if not page.cursor:
            return names
        command = replace(command, cursor=page.cursor)
    raise AssertionError("endless pages")


def born(*periods: str) -> Criterion:
    return Criterion(Trait.BORN, periods)


def family(*values: str, exact: bool = False) -> Criterion:
    return Criterion(Trait.FAMILY, values, exact)


@pytest.fixture
def people(patients: PatientService) -> PatientService:
    common: dict[str, Any] = {
        "used_name": "",
        "given_names": "",
        "birth_place": "",
        "status": IdentityStatus.PROVISIONAL,
    }
    feed(
        patients,
        *(
            identity(number, authority, birth_name=name, birth_given=given, birth_date=born, **{**more, **common})
            for number, authority, name, given, born, more in PEOPLE
        ),
    )
    return patients


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({"criteria": (family("mart"),)}, ["Anne", "Béa", "Carl", "Élise"]),
        ({"criteria": (family("Martin", exact=True),)}, ["Anne", "Béa"]),
        ({"criteria": (family("martinez", "goff"),)}, ["Carl", "Dora"]),
        ({"criteria": (family("martin", "martinez"),)}, ["Anne", "Béa", "Carl", "Élise"]),
        ({"criteria": (family("ma"), Criterion(Trait.GIVEN, ("eli",)))}, ["Élise"]),
        ({"criteria": (family("ma"), Criterion(Trait.GIVEN, ("anne", "carl")))}, ["Anne", "Carl"]),
        ({"criteria": (family("ma"), Criterion(Trait.SEX, ("M",)))}, ["Carl"]),
        ({"criteria": (family("ma"), Criterion(Trait.CITY, ("bre",)))}, ["Anne"]),
        ({"criteria": (family("ma"), Criterion(Trait.ADDRESS, ("292",)))}, ["Élise"]),
        ({"criteria": (family("ma"), Criterion(Trait.PHONE, ("0298000000",)))}, ["Béa"]),
        ({"criteria": (family("ma"), Criterion(Trait.STATE, ("x",)))}, []),
        ({"criteria": (Criterion(Trait.MOTHER, ("kerm",)),), "born": ("19800101", "19800101")}, ["Dora"]),
        ({"born": ("19800101", "19800101")}, ["Anne", "Dora"]),
        ({"criteria": (family("ma"),), "born": ("19800101", "19801231")}, ["Anne", "Béa", "Carl"]),
        ({"criteria": (family("ma"),), "born": ("19800201", "19800229")}, ["Béa"]),
        ({"criteria": (family("ma"),), "born": ("19810101", "")}, ["Élise"]),
        ({"criteria": (family("ma"),), "maybe_born": ("19800115", "19800120")}, ["Carl"]),
        ({"maybe_born": ("19800101", "19800101")}, ["Anne", "Dora"]),
        ({"criteria": (family("ma"),), "maybe_born": ("19800201", "19800229")}, ["Béa", "Carl"]),
        ({"criteria": (family("ma"),), "maybe_born": ("19800301", "")}, ["Carl", "Élise"]),
        ({"criteria": (family("ma"),), "maybe_born": ("19800301", ""), "born": ("", "19801231")}, ["Carl"]),
        ({"criteria": (family("ma"),), "domains": (B,)}, ["Élise"]),
        ({"criteria": (family("ma"),), "active": False}, []),
        ({"identifiers": ((PatientIdentifier("1", A), PatientIdentifier("4", B)),)}, ["Anne", "Dora"]),
        ({"identifiers": ((PatientIdentifier("5", ""),),), "criteria": (family("martin"),)}, ["Élise"]),
        ({"identifiers": ((PatientIdentifier("1", A),), (PatientIdentifier("2", A),))}, []),
        ({"identifiers": ((PatientIdentifier("1", "1.2.3.4"),),)}, []),
        ({"ids": ("nobody",)}, []),
    ],
)
def test_searches(people: PatientService, lookup: PatientLookup, asked: dict[str, Any], names: list[str]) -> None:
    assert sorted(found(lookup, **asked)) == sorted(names)


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({}, SearchTooBroad),
        ({"criteria": (family("m"),)}, SearchTooBroad),
        ({"criteria": (Criterion(Trait.SEX, ("F",)), Criterion(Trait.PHONE, ("1",)))}, SearchTooBroad),
        ({"born": ("19800101", "19801231")}, SearchTooBroad),
        ({"criteria": (family(*(f"n{number:02}x" for number in range(30))),)}, SearchTooBroad),
        ({"criteria": (family("ma"),), "domains": ("1.2.3.4",)}, UnknownDomain),
        ({"criteria": (family("ma"),), "cursor": "x"}, InvalidCursor),
        ({"criteria": (family("ma"),), "cursor": "9-"}, InvalidCursor),
    ],
)
def test_refused_searches(
    people: PatientService, lookup: PatientLookup, asked: dict[str, Any], error: type[HubError]
) -> None:
    with pytest.raises(error):
        lookup.search(SearchPersons(**asked), Context())


def test_only_who_is_told_is_audited(people: PatientService, lookup: PatientLookup) -> None:
    context = Context()
    command = SearchPersons(criteria=(family("ma"), Criterion(Trait.CITY, ("brest",))))
    page = lookup.search(command, context)
    assert [item.reference for item in context.touched] == [page.persons[0].regional.cx]
    assert page.total == 1


def test_numbers(patients: PatientService, lookup: PatientLookup) -> None:
    number = ins()
    feed(patients, *(identity(value, where, ins=number) for value, where in (("a", A), ("b", B))))
    asked = PatientIdentifier("a", A)
    every = lookup.numbers(FindNumbers(asked), Context())
    assert set(every.identifiers) == {every.regional, number, PatientIdentifier("b", B)}
    only = lookup.numbers(FindNumbers(asked, (PatientIdentifier("", B), PatientIdentifier("", C))), Context())
    assert only.identifiers == (PatientIdentifier("b", B),)
    by_id = lookup.numbers(FindNumbers(PatientIdentifier(every.regional.value, ""), regional=True), Context())
    assert set(by_id.identifiers) == {asked, number, PatientIdentifier("b", B)}
    for command, error, domain in (
        (FindNumbers(PatientIdentifier("x", A)), UnknownIdentifier, None),
        (FindNumbers(PatientIdentifier("x", ""), regional=True), UnknownIdentifier, None),
        (FindNumbers(PatientIdentifier("x", "1.2.3.4")), UnknownDomain, None),
        (FindNumbers(asked, (PatientIdentifier("", "1.2.3.4"),)), UnknownDomain, "1.2.3.4"),
    ):
        with pytest.raises(error) as caught:
            lookup.numbers(command, Context())
        assert caught.value.context.get("domain") == domain


def matched(
    patients: PatientService, described: Identity, *, score: bool = False, **more: Any
) -> list[tuple[str, Grade]]:
    service = MatchService(patients=patients, scorer=Scorer() if score else None)
    rows = service.match(MatchPerson(described, **more), Context())
    assert all(0.0 <= item.probability <= 1.0 for item in rows)
    assert [item.probability for item in rows] == sorted((item.probability for item in rows), reverse=True)
    return [(item.person.traits.birth_given, item.grade) for item in rows]


def described(status: IdentityStatus = IdentityStatus.VALIDATED, **changes: str) -> Identity:
    return Identity(NOBODY, replace(MARIE, **changes), status)  # type: ignore[arg-type]


@pytest.mark.parametrize("score", [False, True])
def test_matches(patients: PatientService, score: bool) -> None:
    feed(patients, identity("1", A), identity("2", B, birth_given="Anne-Lise", given_names="Anne-Lise", sex="F"))
    assert matched(patients, described(), score=score)[0] == ("Marie-Hélène", Grade.CERTAIN)
    assert matched(patients, described(), score=score, only_certain=True) == [("Marie-Hélène", Grade.CERTAIN)]
    unchecked = matched(patients, described(IdentityStatus.PROVISIONAL), score=score)
    assert unchecked[0][0] == "Marie-Hélène"
    assert unchecked[0][1] is not Grade.CERTAIN
    assert matched(patients, described(IdentityStatus.PROVISIONAL), score=score, only_certain=True) == []
    twin = matched(patients, described(birth_given="Zoé", given_names="Zoé"), score=score)
    assert all(grade is Grade.POSSIBLE for _, grade in twin)
    assert matched(patients, described(birth_name="ZZZ", used_name="", birth_date="19010101"), score=score) == []


@pytest.mark.parametrize("score", [False, True])
def test_only_one_person_is_compared(patients: PatientService, score: bool) -> None:
    """Graded as among all; nobody else is found, and nobody at all where the number means nobody."""
    feed(patients, identity("1", A), identity("2", B, birth_given="Anne-Lise", given_names="Anne-Lise", sex="F"))
    one, other = PatientIdentifier("1", A), PatientIdentifier("2", B)
    every = matched(patients, described(), score=score)
    assert matched(patients, described(), score=score, only=one) == every[:1] == [("Marie-Hélène", Grade.CERTAIN)]
    assert ("Marie-Hélène", Grade.CERTAIN) not in matched(patients, described(), score=score, only=other)
    stranger = described(birth_name="ZZZ", used_name="", birth_date="19010101")
    for nobody in (PatientIdentifier("x", A), PatientIdentifier("x", "1.2.3.4")):
        assert matched(patients, described(), score=score, only=nobody) == []
    assert matched(patients, stranger, score=score, only=one) == []


def test_matches_by_number(patients: PatientService) -> None:
    feed(patients, identity("1", A, ins=ins()), identity("2", B, birth_given="Anne", given_names="", ins=None))
    number = PatientIdentifier("1", A)
    nobody = Identity(NOBODY, Traits(), IdentityStatus.VALIDATED)
    assert matched(patients, nobody, numbers=(number,)) == [("Marie-Hélène", Grade.CERTAIN)]
    assert matched(patients, nobody, numbers=(ins(),)) == [("Marie-Hélène", Grade.CERTAIN)]
    other = Identity(NOBODY, replace(MARIE, birth_date="19500101"), IdentityStatus.VALIDATED)
    assert matched(patients, other, numbers=(number,)) == [("Marie-Hélène", Grade.POSSIBLE)]
    both = matched(patients, nobody, numbers=(number, PatientIdentifier("2", B)))
    assert {grade for _, grade in both} == {Grade.POSSIBLE}
    assert matched(patients, nobody, numbers=(number,), limit=0) == []
    with pytest.raises(DiscoveryIncomplete):
        matched(patients, Identity(NOBODY, Traits(birth_name="Le Goff"), IdentityStatus.VALIDATED))


def person(patients: PatientService, value: str, authority: str = A) -> Person:
    found = patients.person(PatientIdentifier(value, authority))
    assert found is not None
    return found


def test_feeds_of_several_changes_are_carried_out_or_not(patients: PatientService) -> None:
    service, context = FeedService(patients=patients), Context(source="HIS_A")
    one, other = FeedIdentity(identity("1", A)), FeedIdentity(identity("2", A, birth_given="Zoé"))
    assert [item.created for item in service.receive(ReceiveIdentities((one, other)), context)] == [True, True]
    assert [item.created for item in service.receive(ReceiveIdentities((one,)), context)] == [False]
    foreign = FeedIdentity(identity("3", C))
    with pytest.raises(AuthorityNotOwned):
        service.receive(ReceiveIdentities((FeedIdentity(identity("9", A)), foreign)), context)
    assert patients.person(PatientIdentifier("9", A)) is None
    survivor = Identity(PatientIdentifier("1", A), Traits())
    service.receive(ReceiveIdentities((MergeIdentities(survivor, PatientIdentifier("2", A)),)), context)
    assert person(patients, "2") == person(patients, "1")
    assert person(patients, "1").traits.birth_name == "Le Goff"
    with pytest.raises(NumberMerged):
        service.receive(ReceiveIdentities((other,)), context)


def test_eight_feeds_at_once_make_one_person(patients: PatientService) -> None:
    service, number, errors = FeedService(patients=patients), ins(), []
    start = threading.Barrier(8)

    def announce(value: int) -> None:
        try:
            start.wait(60)
            feed = FeedIdentity(identity(str(value), (A, B)[value % 2] if value < 2 else C, ins=number))
            service.receive(ReceiveIdentities((feed,)), Context(source="HIS_C"))
        except Exception as error:  # told below, where pytest hears of it
            errors.append(error)

    threads = [threading.Thread(target=announce, args=(value,)) for value in (0, 1, 2, 0, 1, 2, 0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert errors == []
    assert len({person(patients, str(value), (A, B, C)[value]).regional for value in range(3)}) == 1
    assert number.authority == NIR
    assert person(patients, "0").regional.authority == DOMAIN


def test_one_of_several_birth_dates(people: PatientService, lookup: PatientLookup) -> None:
    """Days select by themselves; months and years beside a name only."""
    day, other, year = "19800101-19800101", "19900101-19900101", "19800101-19801231"
    assert sorted(found(lookup, criteria=(born(day, other),))) == ["Anne", "Dora", "Élise"]
    assert found(lookup, criteria=(born(day, other, day), family("martin"))) == ["Anne", "Élise"]
    assert sorted(found(lookup, criteria=(born(year, other), family("martin")))) == ["Anne", "Béa", "Carl", "Élise"]
    assert found(lookup, criteria=(born(day, other),), born=("19900101", "19900101")) == ["Élise"]
    assert found(lookup, criteria=(born(day, other), born(other, "19800215-19800215"))) == ["Élise"]
    with pytest.raises(SearchTooBroad):
        found(lookup, criteria=(born(day, year),))


def test_a_family_name_of_one_sign(patients: PatientService, lookup: PatientLookup) -> None:
    """Most Chinese families have one; a single letter of an alphabet selects nobody."""
    feed(
        patients,
        identity("1", A, birth_name="李", birth_given="明"),
        identity("2", A, birth_name="김", birth_given="민"),
    )
    assert found(lookup, criteria=(family("李"),)) == ["明"]
    assert found(lookup, criteria=(family("김"),)) == ["민"]
    for letter in ("m", "é", "م", "*", "Ⅿ", "ｱ"):
        with pytest.raises(SearchTooBroad):
            found(lookup, criteria=(family(letter),))
