"""Which identities become one person, and which never do."""

import dataclasses
from collections.abc import Callable

import pytest

from hub.context import Context
from hub.patients.model import Fed, FeedIdentity, Identity, IdentityStatus, TaskKind
from hub.patients.numbering import check_digit
from hub.patients.service import PatientService
from hub.values import PatientIdentifier
from tests.patients.conftest import DOMAIN, A, B, C, identity, ins

Feed = Callable[[Identity], Fed]
PROV = IdentityStatus.PROVISIONAL


def test_a_first_contact_makes_a_person(feed: Feed, patients: PatientService) -> None:
    fed = feed(identity("1"))
    assert (fed.created, fed.linked, fed.reason) == (True, False, "new")
    assert fed.regional.authority == DOMAIN
    value = fed.regional.value
    assert value[0] == "R"
    assert len(value) == 12
    assert check_digit(value[1:11]) == value[11]
    again = feed(identity("1"))
    assert (again.regional, again.created, again.reason) == (fed.regional, False, "known")


def test_validated_strict_traits_link_two_hospitals(feed: Feed) -> None:
    one = feed(identity("1"))
    other = feed(identity("2", B, birth_name="LEGOFF", birth_given="MARIE HELENE", used_name=""))
    assert (other.regional, other.linked, other.reason) == (one.regional, True, "strict-traits")


def test_the_same_qualified_ins_links(feed: Feed) -> None:
    one = feed(identity("1", ins=ins()))
    other = feed(identity("2", B, ins=ins(), birth_place="", used_name="Martin"))
    assert (other.regional, other.reason) == (one.regional, "same-ins")


@pytest.mark.parametrize(
    "other",
    [
        identity("2", A),
        identity("2", A, ins=ins()),
        identity("2", B, status=PROV),
        identity("2", B, status=IdentityStatus.RETRIEVED),
        identity("2", B, birth_given="Marie", given_names="Marie"),
        identity("2", B, given_names="Marie-Hélène Jeanne Anne Odile".replace("Jeanne", "Paule")),
        identity("2", B, birth_date="19790316"),
        identity("2", B, birth_date="197903"),
        identity("2", B, sex="M"),
        identity("2", B, sex="U"),
        identity("2", B, birth_place="29020"),
        identity("2", B, birth_place=""),
        identity("2", B, birth_name="Le Gof"),
        *(identity("2", B, attributes=frozenset({word})) for word in ("DOUT", "FICT", "HOMO", "HOMA", "CACH", "USUR")),
        *(identity("2", B, attributes=frozenset({word})) for word in ("INVA", "ANOM", "COLP", "HOMD")),
        identity("2", B, ins=ins("2790329019124")),
        identity("2", B, ins=ins(), birth_date="19790415"),
        identity("2", B, ins=ins(), sex="M"),
    ],
)
def test_never_joined(feed: Feed, other: Identity) -> None:
    one = feed(identity("1", ins=ins()))
    assert feed(other).regional != one.regional
    assert feed(identity("1", ins=ins())).regional == one.regional


def test_a_collision_and_a_duplicate_are_asked_once(feed: Feed, patients: PatientService) -> None:
    feed(identity("1", ins=ins()))
    for _ in range(2):
        feed(identity("2", B, ins=ins(), birth_date="19790415"))
        feed(identity("3", A, ins=ins()))
    asked = sorted((task.kind, *(item.value for item in task.identifiers)) for task in patients.tasks())
    assert asked == [(TaskKind.COLLISION, "2", "1"), (TaskKind.COLLISION, "3", "2"), (TaskKind.DUPLICATE, "3", "1")]


def test_an_ins_with_a_wrong_key_or_a_provisional_status_is_not_kept(feed: Feed, patients: PatientService) -> None:
    wrong = PatientIdentifier("279032901912300", "1.2.250.1.213.1.4.8")
    one = feed(identity("1", ins=wrong))
    other = feed(identity("2", B, ins=ins(), status=PROV))
    for fed in (one, other):
        person = patients.person(fed.regional)
        assert person is not None
        assert person.ins is None
    assert one.regional != other.regional


def test_a_bridge_is_a_question_for_a_steward(feed: Feed, patients: PatientService) -> None:
    by_ins = feed(identity("1", ins=ins(), birth_place=""))
    by_traits = feed(identity("2", B))
    assert by_ins.regional != by_traits.regional
    bridge = feed(identity("3", C, ins=ins()))
    assert bridge.regional not in (by_ins.regional, by_traits.regional)
    (task,) = patients.tasks()
    assert task.kind is TaskKind.BRIDGE
    assert {item.value for item in task.identifiers} == {"1", "2", "3"}


def test_an_identity_that_becomes_validated_joins_and_its_number_still_answers(
    feed: Feed, patients: PatientService
) -> None:
    one = feed(identity("1"))
    prov = feed(identity("2", B, status=PROV))
    joined = feed(identity("2", B))
    assert (joined.linked, joined.regional, joined.lost) == (True, one.regional, prov.regional)
    assert patients.resolve(prov.regional) == one.regional
    assert patients.equivalents(prov.regional) == (one.regional, prov.regional)
    assert patients.registered(prov.regional)


def test_the_link_ends_with_its_basis_and_the_old_number_comes_back(feed: Feed, patients: PatientService) -> None:
    one = feed(identity("1"))
    prov = feed(identity("2", B, status=PROV))
    feed(identity("2", B))
    left = feed(identity("2", B, birth_date="19800101"))
    assert (left.split, left.regional) == (True, prov.regional)
    assert patients.resolve(PatientIdentifier("1", A)) == one.regional
    (link,) = patients.links(left.regional)
    assert (link.rule, link.ended_why) == ("strict-traits", "basis-gone")
    assert link.ended_at is not None
    assert feed(identity("2", B)).regional == one.regional


@pytest.mark.parametrize(
    "change", [{"ins": ins("2790329019124")}, {"attributes": frozenset({"DOUT"})}, {"status": PROV}]
)
def test_a_founder_that_changes_leaves(feed: Feed, change: dict[str, object]) -> None:
    feed(identity("1", ins=ins()))
    other = feed(identity("2", B, ins=ins()))
    left = feed(dataclasses.replace(identity("1", ins=ins()), **change))  # type: ignore[arg-type]
    assert left.split
    assert left.regional != other.regional
    assert feed(identity("2", B, ins=ins())).regional == other.regional


def test_three_hospitals_one_leaves_two_stay(feed: Feed, patients: PatientService) -> None:
    regional = {feed(identity(str(number), domain)).regional for number, domain in enumerate((A, B, C))}
    assert len(regional) == 1
    feed(identity("0", A, sex="M"))
    assert patients.resolve(PatientIdentifier("1", B)) == patients.resolve(PatientIdentifier("2", C)) == regional.pop()


def test_somebody_in_between_does_not_keep_two_together_who_contradict_each_other(
    feed: Feed, patients: PatientService
) -> None:
    between = feed(identity("1"))
    feed(identity("2", B, ins=ins()))
    feed(identity("3", C))
    changed = feed(identity("3", C, ins=ins("2790329019124")))
    assert (changed.split, changed.reason) == (True, "contradiction")
    assert changed.regional != between.regional
    assert patients.resolve(PatientIdentifier("2", B)) == between.regional
    assert TaskKind.BRIDGE in {task.kind for task in patients.tasks()}


def test_listeners_hear_of_every_person_that_changed(feed: Feed, patients: PatientService) -> None:
    heard: list[PatientIdentifier] = []
    patients.listeners.append(lambda regional, _numbers, _context: heard.append(regional))
    one = feed(identity("1"))
    assert heard == [one.regional]
    feed(identity("2", B))
    left = feed(identity("2", B, sex="M"))
    assert set(heard[2:]) == {one.regional, left.regional}


def test_what_a_feed_did_is_noted(patients: PatientService) -> None:
    context = Context()
    fed = patients.feed(FeedIdentity(identity("1")), context)
    assert [(item.kind, item.reference) for item in context.touched] == [("patient", fed.regional.cx)]
    assert [(item.kind, item.reference) for item in context.effects] == [("person", fed.regional.cx)]
