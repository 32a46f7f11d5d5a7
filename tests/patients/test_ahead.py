"""Feeds that share a unit of work and are looked at together before: what each finds is what the ones before left."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from sqlalchemy import update

from hub.context import Context
from hub.patients.model import Fed, FeedIdentity, GetPerson, Identity, IdentityStatus, MergeIdentities
from hub.patients.service import PatientService
from hub.patients.store_tables import IDENTITY
from hub.storage.engine import Database
from hub.values import PatientIdentifier
from tests.patients.conftest import A, B, C, identity, ins


def together(database: Database, patients: PatientService, *identities: Identity) -> list[Fed]:
    commands = [(FeedIdentity(item), Context()) for item in identities]
    with database.transaction():
        patients.ahead(commands)
        return [patients.feed(command, context) for command, context in commands]


@pytest.mark.parametrize(
    "pair",
    [
        (identity("1"), identity("2", B)),
        (identity("1", ins=ins()), identity("2", B, ins=ins(), birth_place="")),
    ],
)
def test_two_that_come_at_once_are_linked(
    database: Database, patients: PatientService, pair: tuple[Identity, Identity]
) -> None:
    one, other = together(database, patients, *pair)
    assert (one.created, other.linked) == (True, True)
    assert one.regional == other.regional


def test_the_same_identity_twice_is_one(database: Database, patients: PatientService) -> None:
    one, other = together(database, patients, identity("1"), identity("1", birth_name="Autre"))
    assert (one.created, other.created, other.reason) == (True, False, "known")
    assert one.regional == other.regional
    person = patients.get(GetPerson(PatientIdentifier("1", A)), Context())
    assert person.traits.birth_name == "Autre"


def test_what_is_known_is_found(database: Database, patients: PatientService) -> None:
    [first] = together(database, patients, identity("1"))
    again, linked, new = together(
        database, patients, identity("1"), identity("2", B), identity("3", B, birth_name="Martin")
    )
    assert (again.reason, linked.reason, new.reason) == ("known", "strict-traits", "new")
    assert first.regional == again.regional == linked.regional != new.regional


def test_one_that_is_refused_hides_none(database: Database, patients: PatientService) -> None:
    unknown = FeedIdentity(identity("9", "1.2.3.4"))
    good = FeedIdentity(identity("1"))
    with database.transaction():
        patients.ahead([(unknown, Context()), (good, Context())])
        assert patients.feed(good, Context()).created


def test_who_listens_is_told_every_number_of_a_person(database: Database, patients: PatientService) -> None:
    martin = identity("7", birth_name="Martin")
    for item in (identity("1"), martin, identity("8", birth_name="Petit")):
        patients.feed(FeedIdentity(item), Context())
    patients.merge(MergeIdentities(identity("1"), PatientIdentifier("8", A)), Context())  # leaves an alias
    told: dict[PatientIdentifier, set[PatientIdentifier]] = {}
    expected: list[set[PatientIdentifier]] = []

    def listener(regional: PatientIdentifier, numbers: Iterable[PatientIdentifier], _context: Context) -> None:
        told[regional] = {*numbers}
        assert {*numbers} == told[regional]  # for whoever listens besides

    patients.listeners.append(listener)
    patients.expecting.append(lambda numbers: expected.append({*numbers}))
    linked, other, new = together(
        database, patients,
        identity("2", B, ins=ins(), status=IdentityStatus.QUALIFIED), identity("3", B, birth_name="Martin"),
        identity("4", B, birth_name="Nouvel", others=(PatientIdentifier("9", C),)),
    )  # fmt: skip
    for fed in (linked, other):
        person = patients.get(GetPerson(fed.regional), Context())
        assert told[fed.regional] == {*person.identifiers} == {*person.identifiers} & expected[0]
    assert len(patients.get(GetPerson(linked.regional), Context()).aliases) == 1
    assert told[new.regional] == {PatientIdentifier("4", B), PatientIdentifier("9", C)} < expected[0]


def test_the_ins_of_a_person_is_one_for_who_listens_too(database: Database, patients: PatientService) -> None:
    """Two INS in one person are refused wherever they would come to be: here from a time before that."""
    for item in (identity("1", ins=ins(), status=IdentityStatus.QUALIFIED), identity("2", B)):
        patients.feed(FeedIdentity(item), Context())
    other = ins("2790329019124")
    with database.transaction() as work:
        second = {"ins_value": other.value, "ins_authority": other.authority, "status": "QUAL"}
        work.connection.execute(update(IDENTITY).where(IDENTITY.c.value == "2").values(second))
    told: list[set[PatientIdentifier]] = []
    patients.listeners.append(lambda _regional, numbers, _context: told.append({*numbers}))
    again = identity("2", B, ins=other, status=IdentityStatus.QUALIFIED, phone="0102030405")
    patients.feed(FeedIdentity(again), Context())
    together(database, patients, replace(again, traits=replace(again.traits, phone="0102030406")))
    assert told[0] == told[1]
    assert len(told[0] & {ins(), other}) == 1
