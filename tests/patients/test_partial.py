"""What a version 2 message leaves empty is not deleted: a short PID takes nothing away, and mixes no two people."""

import pytest

from hub.patients.model import FeedIdentity, Identity, IdentityStatus, Traits
from hub.patients.partial import completed
from hub.values import PatientIdentifier

NUMBER = PatientIdentifier("7", "1.2.250.1.999.2.1")
INS = PatientIdentifier("279035121518989", "1.2.250.1.213.1.4.10", "INS")
FULL = Traits(
    birth_name="DURAND", birth_given="Anne", given_names="Anne Marie", birth_date="19800315", sex="F",
    birth_place="75056", city="Lyon", postal_code="69003", phone="0102030405", mother_name="PETIT", multiple_birth=True,
)  # fmt: skip
KNOWN = Identity(NUMBER, FULL, IdentityStatus.QUALIFIED, frozenset({"HOMO"}), INS)


def told(traits: Traits, *, checked: bool = False, cleared: frozenset[str] = frozenset()) -> Identity:
    said = Identity(NUMBER, traits, IdentityStatus.PROVISIONAL)
    return completed(KNOWN, said, FeedIdentity(said, partial=True, checked=checked, cleared=cleared))


def test_a_name_alone_takes_nothing_away() -> None:
    whole = told(Traits(birth_name="Durand", birth_given="Anne"))
    assert (whole.status, whole.ins, whole.attributes) == (KNOWN.status, INS, KNOWN.attributes)
    assert (whole.traits.birth_date, whole.traits.birth_place, whole.traits.city) == ("19800315", "75056", "Lyon")
    assert (whole.traits.phone, whole.traits.mother_name, whole.traits.multiple_birth) == ("0102030405", "PETIT", True)


def test_what_it_says_holds() -> None:
    whole = told(Traits(birth_name="DURAND", birth_given="Anne", city="Nantes"), checked=True)
    assert whole.status is IdentityStatus.PROVISIONAL
    assert whole.ins is None
    assert (whole.traits.city, whole.traits.postal_code) == ("Nantes", "")  # an address is told whole


def test_two_double_quotes_delete() -> None:
    whole = told(Traits(birth_name="DURAND", birth_given="Anne"), cleared=frozenset({"phone", "multiple_birth"}))
    assert (whole.traits.phone, whole.traits.multiple_birth, whole.traits.mother_name) == ("", False, "PETIT")


@pytest.mark.parametrize(
    "other",
    [
        Traits(birth_name="GRAND"),
        Traits(birth_name="DURAND", birth_date="19330102"),
        Traits(birth_name="DURAND", sex="M"),
    ],
)
def test_a_number_given_to_somebody_else_keeps_nothing(other: Traits) -> None:
    assert told(other).traits == other
    assert told(other).ins is None


def test_a_withdrawn_number_keeps_nothing() -> None:
    said = Identity(NUMBER, Traits(birth_name="DURAND"), IdentityStatus.PROVISIONAL)
    gone = Identity(NUMBER, FULL, IdentityStatus.QUALIFIED, frozenset(), INS, active=False)
    assert completed(gone, said, FeedIdentity(said, partial=True)) == said
