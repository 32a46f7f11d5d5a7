"""PIX and PDQ: who is behind a number, who answers to a description."""

from collections.abc import Callable

import pytest

from hub.context import Context
from hub.patients.errors import (
    AmbiguousIdentifier,
    InvalidCursor,
    SearchTooBroad,
    UnknownDomain,
    UnknownIdentifier,
)
from hub.patients.model import CrossReference, Fed, FindPersons, GetPerson, Identity, IdentityStatus
from hub.patients.service import PatientService
from hub.values import PatientIdentifier
from tests.patients.conftest import DOMAIN, NIR, A, B, C, identity, ins

Feed = Callable[[Identity], Fed]


def number(value: str, authority: str = A) -> PatientIdentifier:
    return PatientIdentifier(value, authority)


def find(patients: PatientService, **criteria: object) -> list[str]:
    """The local numbers of the persons found, over all pages."""
    values: list[str] = []
    cursor = ""
    for _ in range(100):
        page = patients.find(FindPersons(**criteria, cursor=cursor), Context())  # type: ignore[arg-type]
        values += ["+".join(item.identifier.value for item in person.identities) for person in page.persons]
        cursor = page.cursor
        if not cursor:
            return values
    raise AssertionError("pages without end")


def test_cross_references(feed: Feed, patients: PatientService) -> None:
    regional = feed(identity("1", ins=ins())).regional
    feed(identity("2", B, ins=ins()))
    context = Context()
    assert set(patients.cross_reference(CrossReference(number("1")), context)) == {regional, ins(), number("2", B)}
    assert [item.kind for item in context.touched] == ["patient"]
    assert patients.cross_reference(CrossReference(number("1"), (B,)), context) == (number("2", B),)
    assert patients.cross_reference(CrossReference(ins(), (DOMAIN,)), context) == (regional,)
    assert patients.cross_reference(CrossReference(regional, (C,)), context) == ()
    (found,) = patients.cross_reference(CrossReference(number("1"), (B,)), context)
    assert (found.namespace, found.type_code) == ("HOSP_B", "PI")
    with pytest.raises(UnknownIdentifier):
        patients.cross_reference(CrossReference(number("9")), context)
    with pytest.raises(UnknownDomain):
        patients.cross_reference(CrossReference(number("1"), ("1.2.3.4",)), context)
    with pytest.raises(UnknownDomain):
        patients.cross_reference(CrossReference(number("1", "1.2.3.4")), context)


def test_get_by_any_identifier(feed: Feed, patients: PatientService) -> None:
    regional = feed(identity("1", ins=ins())).regional
    for identifier in (number("1"), ins(), regional, PatientIdentifier("1", "", namespace="HOSP_A")):
        assert patients.get(GetPerson(identifier), Context()).regional == regional
    with pytest.raises(UnknownIdentifier):
        patients.get(GetPerson(ins("1790329019123")), Context())


def test_an_ins_of_two_persons_is_ambiguous(feed: Feed, patients: PatientService) -> None:
    feed(identity("1", ins=ins()))
    feed(identity("2", B, ins=ins(), sex="M"))
    with pytest.raises(AmbiguousIdentifier):
        patients.get(GetPerson(ins()), Context())
    assert patients.resolve(ins()) is None
    assert sorted(find(patients, identifier=ins())) == ["1", "2"]


def test_the_golden_traits_come_from_the_best_identity(feed: Feed, patients: PatientService) -> None:
    feed(identity("1", phone="0102030405", birth_given="MARIE HELENE", ins=ins()))
    fed = feed(identity("2", B, city="Brest"))
    person = patients.person(fed.regional)
    assert person is not None
    assert person.status is IdentityStatus.QUALIFIED
    assert (person.traits.birth_given, person.traits.phone, person.traits.city) == (
        "MARIE HELENE",
        "0102030405",
        "Brest",
    )
    assert person.ins == ins()
    assert person.ins.authority == NIR


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ({"name": "le goff"}, ["1"]),
        ({"name": "LEGO"}, ["1"]),
        ({"name": "goff"}, ["1"]),
        ({"name": "Dup"}, ["1", "2", "3"]),
        ({"name": "dupônt", "given": "jeanne"}, ["1"]),
        ({"name": "tour"}, ["4"]),
        ({"name": "maubourg"}, ["4"]),
        ({"name": "dup", "sex": "M"}, ["2"]),
        ({"name": "dup", "birth_date": "1979"}, ["1", "3"]),
        ({"birth_date": "19790315"}, ["1", "3", "4"]),
        ({"birth_date": "19790315", "name": "d"}, ["1", "3", "4"]),
        ({"birth_date": "19790315", "name": "la"}, ["4"]),
        ({"birth_date": "19790315", "given": "zo"}, ["3"]),
        ({"birth_date": "19790315", "postal_code": "29200"}, ["3"]),
        ({"name": "zz"}, []),
        ({"name": "%%"}, None),
        ({"name": "d"}, None),
        ({"given": "marie"}, None),
        ({"birth_date": "1979"}, None),
        ({}, None),
        ({"identifier_value": "2"}, ["2"]),
        ({"identifier_value": "2", "name": "Martin"}, []),
        ({"identifier_value": "nothing"}, []),
        ({"identifier": PatientIdentifier("3", A)}, ["3"]),
        ({"identifier": PatientIdentifier("33", A)}, []),
        ({"name": "dup", "domains": (B,)}, ["2"]),
        ({"name": "dup", "domains": (DOMAIN,)}, ["1", "2", "3"]),
    ],
)
def test_search(feed: Feed, patients: PatientService, criteria: dict[str, object], expected: list[str] | None) -> None:
    feed(identity("1"))
    feed(identity("2", B, birth_name="Dupond", used_name="", sex="M", birth_date="19800101"))
    feed(identity("3", birth_name="Dupuis-Morel", used_name="", birth_given="Zoé", given_names="", postal_code="29200"))
    feed(identity("4", birth_name="de La Tour d'Auvergne-Maubourg", used_name="", status=IdentityStatus.PROVISIONAL))
    if expected is None:
        with pytest.raises(SearchTooBroad):
            find(patients, **criteria)
    else:
        assert sorted(find(patients, **criteria)) == expected


def test_pages_hold_each_person_once(feed: Feed, patients: PatientService) -> None:
    for index in range(30):
        born = f"197901{index + 1:02d}"
        name = f"Durand-{chr(65 + index % 26) * 3}"
        feed(identity(f"a{index:02d}", A, birth_name=name, birth_date=born))
        feed(identity(f"b{index:02d}", B, birth_name=name, birth_date=born, used_name="Zimmer"))
    found = find(patients, name="du", limit=7)
    assert len(found) == len(set(found)) == 30
    assert sorted(found) == [f"a{index:02d}+b{index:02d}" for index in range(30)]
    assert len(find(patients, name="zi", limit=7)) == 30
    with pytest.raises(InvalidCursor):
        patients.find(FindPersons(name="du", cursor="x"), Context())
    with pytest.raises(InvalidCursor):
        patients.find(FindPersons(name="du", cursor="1.99"), Context())


def test_an_identity_is_found_under_its_new_name_only(feed: Feed, patients: PatientService) -> None:
    feed(identity("1", used_name="Martin"))
    feed(identity("1", used_name="Bernard"))
    assert find(patients, name="martin") == []
    assert find(patients, name="bernard") == ["1"]


def test_a_number_alone_means_somebody_only_where_it_can_mean_nobody_else(feed: Feed, patients: PatientService) -> None:
    one = feed(identity("77", ins=ins())).regional
    assert patients.meant_by("77") == one
    assert patients.meant_by(one.value) == one
    assert patients.meant_by("78") is None
    feed(identity("77", B, birth_name="AUTRE", birth_date="19500101"))
    assert patients.meant_by("77") is None
