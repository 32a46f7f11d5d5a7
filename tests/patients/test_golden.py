"""What a person is called, whose word counts, and that nobody is put together from two."""

from datetime import UTC, datetime, timedelta

from hub.patients import golden
from hub.patients.model import Identity, IdentityStatus, Traits
from hub.values import PatientIdentifier
from tests.patients.conftest import DOMAIN, A, B, C, identity, ins

REGIONAL = PatientIdentifier("R1", DOMAIN)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def said(hours: int, item: Identity) -> Identity:
    return Identity(
        item.identifier, item.traits, item.status, item.attributes, item.ins, item.others, NOON + timedelta(hours=hours)
    )


def traits(*identities: Identity, trust: dict[str, int] | None = None) -> Traits:
    ranks = trust or {}
    return golden.person(REGIONAL, identities, (), lambda authority: ranks.get(authority, 0)).traits


def test_strict_traits_come_from_one_identity() -> None:
    one = said(0, identity("1", ins=ins(), status=IdentityStatus.QUALIFIED))
    other = said(1, identity("2", B, birth_name="Legoff", birth_date="19790316", birth_place="29232"))
    found = traits(one, other)
    assert (found.birth_name, found.birth_date, found.birth_place) == ("Le Goff", "19790315", "29019")


def test_what_the_best_does_not_say_comes_from_who_contradicts_nothing() -> None:
    best = said(0, identity("1", status=IdentityStatus.QUALIFIED, ins=ins(), birth_place=""))
    other = said(2, identity("2", B, birth_date="19790316", birth_place="75056"))
    third = said(1, identity("3", C))
    assert traits(best, other).birth_place == ""
    assert traits(best, other, third).birth_place == "29019"


def test_status_then_trust_then_the_latest() -> None:
    one = said(0, identity("1", birth_name="Un"))
    two = said(1, identity("2", B, birth_name="Deux"))
    checked = said(0, identity("3", C, birth_name="Trois", ins=ins(), status=IdentityStatus.QUALIFIED))
    assert traits(one, two).birth_name == "Deux"
    assert traits(one, two, trust={A: 5}).birth_name == "Un"
    assert traits(one, two, checked, trust={A: 5}).birth_name == "Trois"


def test_the_rest_is_the_latest_an_address_never_of_two_places() -> None:
    one = said(1, identity("1", address="1 rue A", city="Brest", phone="01", ins=ins()))
    two = said(2, identity("2", B, city="Quimper", used_name="Durand", used_given=""))
    found = traits(one, two)
    assert (found.address, found.city, found.phone, found.used_name) == ("", "Quimper", "01", "Durand")


def test_nobody() -> None:
    assert golden.person(REGIONAL, (), ()).traits == Traits()
