"""An owner's word about its own numbers: A24, A37, A40, A47, A29, in every order, beside stewards' words."""

from collections.abc import Callable

import pytest

from hub.context import Context
from hub.patients.errors import IdentifierInUse, InsConflict, InvalidLink, UnknownIdentifier
from hub.patients.model import (
    CrossReference,
    Fed,
    FeedIdentity,
    Identity,
    IdentityStatus,
    MergeIdentities,
    TaskKind,
)
from hub.patients.service import PatientService
from hub.patients.steward_model import (
    ChangeIdentifier,
    LinkIdentities,
    OwnerLink,
    OwnerUnlink,
    UnlinkIdentities,
    WithdrawIdentity,
)
from hub.patients.stewardship import Stewardship
from hub.values import PatientIdentifier
from tests.patients.conftest import A, B, C, identity, ins

PROV = IdentityStatus.PROVISIONAL


def number(value: str, authority: str = A) -> PatientIdentifier:
    return PatientIdentifier(value, authority)


ONE, NINE, TWO, THREE = number("1"), number("9"), number("2", B), number("3", C)


class Region:
    """Everything that can be said, in short."""

    def __init__(self, patients: PatientService) -> None:
        self.patients = patients
        self.stewards = Stewardship(patients=patients)
        self.context = Context(source="HIS_C")

    def feed(self, item: Identity) -> Fed:
        return self.patients.feed(FeedIdentity(item), self.context)

    def merge(self, survivor: Identity, lost: PatientIdentifier) -> Fed:
        return self.patients.merge(MergeIdentities(survivor, lost), self.context)

    def a24(self, one: Identity, other: Identity) -> Fed:
        return self.patients.owner_link(OwnerLink(one, other), self.context)

    def a37(self, one: PatientIdentifier, other: PatientIdentifier) -> Fed:
        return self.patients.owner_unlink(OwnerUnlink(one, other), self.context)

    def a47(self, new: Identity, old: PatientIdentifier) -> Fed:
        return self.patients.change_identifier(ChangeIdentifier(new, old), self.context)

    def a29(self, gone: PatientIdentifier) -> Fed:
        return self.patients.withdraw(WithdrawIdentity(gone), self.context)

    def link(self, one: PatientIdentifier, other: PatientIdentifier) -> None:
        self.stewards.link(LinkIdentities(one, other, "seen"), Context())

    def unlink(self, one: PatientIdentifier, other: PatientIdentifier) -> None:
        self.stewards.unlink(UnlinkIdentities(one, other, "seen"), Context())

    def same(self, *numbers: PatientIdentifier) -> bool:
        found = {self.patients.resolve(item) for item in numbers}
        return len(found) == 1 and None not in found

    def kinds(self) -> set[TaskKind]:
        return {task.kind for task in self.patients.tasks()}


@pytest.fixture
def region(patients: PatientService) -> Region:
    return Region(patients)


def test_a24_joins_two_numbers_in_use_and_a37_parts_them_exactly(region: Region) -> None:
    first = region.feed(identity("1")).regional
    region.feed(identity("2", B))
    other = region.feed(identity("9", birth_name="Martin")).regional
    region.feed(identity("3", C, birth_name="Martin"))
    fed = region.a24(identity("1"), identity("9", birth_name="Martin"))
    assert (fed.regional, fed.reason, fed.linked) == (first, "owner", True)
    assert region.same(ONE, NINE, TWO, THREE)
    assert set(region.patients.cross_reference(CrossReference(ONE, (A,)), Context())) == {NINE}
    region.a37(NINE, ONE)
    assert region.patients.equivalents(ONE) == (first,)
    assert region.patients.equivalents(NINE) == (other,)
    assert (region.same(ONE, TWO), region.same(NINE, THREE), region.same(ONE, NINE)) == (True, True, False)
    region.a24(identity("9", birth_name="Martin"), identity("1"))  # and once more: the no-match of the A37 ends
    assert region.same(ONE, NINE, TWO, THREE)


def test_a24_of_new_numbers_and_one_that_another_hospital_matches(region: Region) -> None:
    region.a24(identity("1"), identity("9"))
    region.feed(identity("2", B))
    assert region.same(ONE, NINE, TWO)
    region.a37(ONE, NINE)
    assert not region.same(ONE, NINE)
    assert region.same(ONE, TWO) or region.same(NINE, TWO)


@pytest.mark.parametrize("other", [identity("1"), identity("9", B)])
def test_a24_needs_two_numbers_of_one_owner(region: Region, other: Identity) -> None:
    with pytest.raises(InvalidLink):
        region.a24(identity("1"), other)
    with pytest.raises(InvalidLink):
        region.a37(ONE, other.identifier)
    with pytest.raises(InvalidLink):
        region.a47(other, ONE)


def test_what_is_unknown(region: Region) -> None:
    region.feed(identity("1"))
    with pytest.raises(UnknownIdentifier):
        region.a37(ONE, NINE)
    with pytest.raises(UnknownIdentifier):
        region.a29(NINE)


def test_a24_against_a_no_match_of_others(region: Region) -> None:
    region.feed(identity("1"))
    region.feed(identity("2", B))
    region.feed(identity("9", birth_name="Martin"))
    region.feed(identity("3", C, birth_name="Martin"))
    region.unlink(TWO, THREE)
    region.a24(identity("1"), identity("9", birth_name="Martin"))
    assert region.same(ONE, NINE)
    assert not region.same(TWO, THREE)


def test_a24_against_a_no_match_with_one_of_the_two(region: Region) -> None:
    region.feed(identity("1"))
    region.feed(identity("2", B))
    region.feed(identity("9", birth_name="Martin"))
    region.unlink(TWO, NINE)
    region.a24(identity("1"), identity("9", birth_name="Martin"))
    assert region.same(ONE, NINE)
    assert not region.same(NINE, TWO)


@pytest.mark.parametrize("way", ["a24", "a40", "a40-new", "update"])
def test_different_ins_are_refused_and_asked(region: Region, way: str) -> None:
    mine, theirs = identity("1", ins=ins()), identity("9", ins=ins("2790329019124"))
    one = region.feed(mine).regional
    if way == "update":
        region.a24(mine, identity("9"))
    elif way != "a40-new":
        other = region.feed(theirs).regional
    tasks_before = region.patients.tasks()
    say: dict[str, Callable[[], Fed]] = {
        "a24": lambda: region.a24(mine, theirs),
        "a40": lambda: region.merge(theirs, ONE),
        "a40-new": lambda: region.merge(theirs, ONE),
        "update": lambda: region.feed(theirs),
    }
    with pytest.raises(InsConflict):
        say[way]()
    (task,) = [item for item in region.patients.tasks() if item not in tasks_before]
    assert task.kind is TaskKind.INS_CONFLICT
    assert ONE in task.identifiers
    assert region.patients.resolve(ONE) == one
    if way in ("a24", "a40"):
        assert region.patients.resolve(NINE) == other
        assert set(task.identifiers) == {ONE, NINE}
    if way == "a40-new":
        assert region.patients.resolve(NINE) is None


def test_a_refusal_within_other_work_keeps_the_question_only(region: Region) -> None:
    region.feed(identity("1", ins=ins()))
    region.feed(identity("9", sex="M", ins=ins("2790329019124")))

    def both() -> None:
        with region.patients.database.transaction():
            region.feed(identity("5", B, birth_name="Martin"))
            region.merge(identity("9", sex="M", ins=ins("2790329019124")), ONE)

    with pytest.raises(InsConflict):
        both()
    assert region.kinds() == {TaskKind.INS_CONFLICT}
    assert region.patients.resolve(number("5", B)) is None
    with pytest.raises(InsConflict):
        region.merge(identity("9", ins=ins("2790329019124")), ONE)
    assert len(region.patients.tasks()) == 1


def test_a40_takes_along_what_a_steward_linked_and_gives_it_back(region: Region) -> None:
    region.feed(identity("1"))
    other = region.feed(identity("3", C, birth_name="Martin")).regional
    survivor = region.feed(identity("9", birth_name="Legoff")).regional
    region.link(ONE, THREE)
    first = region.patients.resolve(ONE)
    region.merge(identity("9", birth_name="Legoff"), ONE)
    assert region.same(ONE, NINE, THREE)
    assert region.patients.resolve(ONE) == survivor
    region.merge(identity("1"), number("77"))  # alive again, as the survivor of another merge
    assert region.same(ONE, THREE)
    assert not region.same(ONE, NINE)
    assert region.patients.resolve(ONE) == first
    region.unlink(ONE, THREE)
    assert region.patients.resolve(THREE) == other


def test_a40_where_the_stewards_link_contradicts_the_survivor(region: Region) -> None:
    region.feed(identity("1", birth_name="Martin"))
    region.feed(identity("3", C, birth_name="Durand"))
    region.feed(identity("9"))
    region.feed(identity("4", C))  # the survivor's person has a number of C already
    region.link(ONE, THREE)
    region.merge(identity("9"), ONE)
    assert region.same(ONE, NINE, number("4", C))
    assert not region.same(ONE, THREE)
    assert TaskKind.BRIDGE in region.kinds()


def test_a40_into_somebody_from_whom_a_steward_parted_the_lost_one(region: Region) -> None:
    region.feed(identity("1"))
    region.feed(identity("2", B))
    region.unlink(ONE, TWO)
    region.feed(identity("9", birth_name="Martin"))
    region.feed(identity("9"))
    assert not region.same(ONE, TWO)
    region.merge(identity("9"), ONE)
    assert region.same(ONE, NINE)
    assert not region.same(NINE, TWO)


def test_merges_in_a_chain_a_loop_and_back(region: Region) -> None:
    numbers = [region.feed(identity(value, birth_name=name)).regional for value, name in zip("123", "XYZ", strict=True)]
    one, two, three = (number(value) for value in "123")
    region.merge(identity("2", birth_name="Y"), one)
    region.merge(identity("3", birth_name="Z"), two)
    assert region.same(one, two, three)
    region.merge(identity("1", birth_name="X"), three)  # the loop closes: 1 lives again, 2 follows 3, 3 follows 1
    assert region.same(one, two, three)
    assert region.patients.resolve(two) == numbers[0]
    person = region.patients.person(one)
    assert person is not None
    assert [item.identifier for item in person.identities] == [one]
    region.merge(identity("3", birth_name="Z"), number("8"))
    assert not region.same(one, three)
    assert region.same(two, three)
    region.merge(identity("1", birth_name="X"), two)  # merged anew, into another one
    assert region.same(one, two)
    assert not region.same(two, three)


def test_a_merge_of_unknown_numbers_and_a_repeated_one(region: Region) -> None:
    fed = region.merge(identity("9"), ONE)
    assert region.same(ONE, NINE)
    assert region.merge(identity("9"), ONE).regional == fed.regional
    assert len([link for link in region.patients.links(NINE) if link.ended_at is None]) == 1


def test_a47_the_old_number_still_answers_and_is_never_given_again(region: Region) -> None:
    region.feed(identity("1", birth_name="Martin"))
    region.feed(identity("2", B))
    region.link(ONE, TWO)
    fed = region.a47(identity("9", birth_name="Martin"), ONE)
    assert (fed.reason, region.same(ONE, NINE, TWO)) == ("change-id", True)
    person = region.patients.person(ONE)
    assert person is not None
    assert {item.identifier for item in person.identities} == {NINE, TWO}
    assert set(region.patients.cross_reference(CrossReference(ONE, (A, B)), Context())) == {NINE, TWO}
    assert region.feed(identity("1", birth_name="Nobody")).reason == "merged"
    for again in (identity("1"), identity("7", birth_name="Seven")):
        region.feed(identity("7", birth_name="Seven"))
        with pytest.raises(IdentifierInUse):
            region.a47(again, number("7")) if again.identifier == ONE else region.merge(again, ONE)
    with pytest.raises(IdentifierInUse):
        region.merge(identity("1"), number("7"))
    assert region.a47(identity("9", birth_name="Martin"), ONE).regional == fed.regional  # repeated
    region.a47(identity("1", birth_name="Martin"), NINE)  # and back
    assert region.same(ONE, NINE, TWO)
    found = region.patients.person(NINE)
    assert found is not None
    assert ONE in {item.identifier for item in found.identities}


def test_a47_to_a_number_that_was_merged_into_this_one(region: Region) -> None:
    """It was another identity's. Else the old number would be no alias but that one, and could live again (A40)."""
    region.feed(identity("1", birth_name="X"))
    region.merge(identity("5", birth_name="Y"), ONE)
    with pytest.raises(IdentifierInUse):
        region.a47(identity("1", birth_name="Y"), number("5"))
    region.merge(identity("5", birth_name="Y"), number("8"))
    assert region.same(ONE, number("5"), number("8"))


def test_a47_of_an_unknown_number(region: Region) -> None:
    region.a47(identity("9"), ONE)
    assert region.same(ONE, NINE)
    assert region.feed(identity("1")).reason == "merged"


def test_a29_the_number_means_nobody_until_it_is_announced_again(region: Region) -> None:
    region.feed(identity("1"))
    other = region.feed(identity("2", B)).regional
    assert region.same(ONE, TWO)
    region.a29(TWO)
    with pytest.raises(UnknownIdentifier):
        region.patients.cross_reference(CrossReference(TWO), Context())
    assert region.patients.cross_reference(CrossReference(ONE, (B,)), Context()) == ()
    assert region.patients.resolve(ONE) == other
    region.feed(identity("2", B))
    assert region.same(ONE, TWO)


def test_people_of_all_persons_concerned_hear_of_it(region: Region) -> None:
    heard: list[PatientIdentifier] = []
    grouped: list[tuple[PatientIdentifier, ...]] = []
    first = region.feed(identity("1")).regional
    other = region.feed(identity("9", birth_name="Martin")).regional
    region.patients.listeners.append(lambda regional, _numbers, _context: heard.append(regional))
    region.patients.regrouped.append(lambda persons, _context: grouped.append(tuple(persons)))
    region.a24(identity("1"), identity("9", birth_name="Martin"))
    assert heard == [first]
    assert grouped == [(first,)]
    region.a37(ONE, NINE)
    assert set(heard[1:]) == set(grouped[1]) == {first, other}
