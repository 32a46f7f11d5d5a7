"""What stewards decide holds against every rule, and is undone exactly."""

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations

import pytest

from hub.access.model import Principal
from hub.context import Context
from hub.patients.errors import (
    DecisionNeedsReason,
    InvalidCursor,
    LinkRefused,
    SecondStewardNeeded,
    TaskChanged,
    TaskClosed,
    TaskNotFound,
    UnknownIdentifier,
)
from hub.patients.model import Fed, FeedIdentity, Identity, IdentityStatus, Link, MergeIdentities, Task, TaskKind
from hub.patients.service import PatientService
from hub.patients.steward_model import (
    ChangeIdentifier,
    Decided,
    DecideTask,
    ExplainPair,
    FindTasks,
    GetTask,
    LinkIdentities,
    UnlinkIdentities,
    Verdict,
    WithdrawProposal,
)
from hub.patients.stewardship import Stewardship
from hub.values import PatientIdentifier, now
from tests.patients.conftest import A, B, C, identity, ins

PROV = IdentityStatus.PROVISIONAL
Feed = Callable[[Identity], Fed]


def number(value: str, authority: str = A) -> PatientIdentifier:
    return PatientIdentifier(value, authority)


def by(name: str = "Claire") -> Context:
    return Context(principal=Principal(id=name.lower(), name=name, permissions=frozenset({"patients.steward"})))


@pytest.fixture
def feed(patients: PatientService) -> Feed:
    return lambda item: patients.feed(FeedIdentity(item), Context(source="HIS_C"))


@pytest.fixture
def stewards(patients: PatientService) -> Stewardship:
    return Stewardship(patients=patients)


ONE, TWO, THREE = number("1"), number("2", B), number("3", C)


def link(stewards: Stewardship, one: PatientIdentifier, other: PatientIdentifier) -> Decided:
    return stewards.link(LinkIdentities(one, other, "both cards seen"), by())


def unlink(stewards: Stewardship, one: PatientIdentifier, other: PatientIdentifier) -> Decided:
    return stewards.unlink(UnlinkIdentities(one, other, "two people"), by())


def together(patients: PatientService, *numbers: PatientIdentifier) -> bool:
    return len({patients.resolve(item) for item in numbers}) == 1


def edges(patients: PatientService, identifier: PatientIdentifier) -> list[Link]:
    return list(patients.links(identifier))


def test_a_stewards_link_joins_whatever_the_rules_say_and_is_undone_exactly(
    feed: Feed, stewards: Stewardship, patients: PatientService
) -> None:
    first = feed(identity("1"))
    other = feed(identity("2", B, birth_name="Martin", status=PROV))
    decided = link(stewards, ONE, TWO)
    assert (decided.changed, [item.value for item in decided.persons]) == (True, [first.regional.value])
    assert patients.equivalents(other.regional) == (first.regional, other.regional)
    (edge,) = edges(patients, ONE)
    assert (edge.rule, edge.author, edge.reason) == ("steward", "Claire", "both cards seen")
    assert not link(stewards, TWO, ONE).changed
    unlink(stewards, ONE, TWO)
    assert patients.resolve(ONE) == first.regional
    assert patients.resolve(TWO) == other.regional
    assert patients.equivalents(first.regional) == (first.regional,)
    assert [(item.rule, item.ended_at is None) for item in edges(patients, ONE)] == [
        ("steward", False),
        ("no-match", True),
    ]


def test_larger_persons_part_with_their_own_numbers(
    feed: Feed, stewards: Stewardship, patients: PatientService
) -> None:
    left = feed(identity("1")).regional
    right = feed(identity("2", B, birth_name="Martin")).regional
    feed(identity("3", C, birth_name="Martin"))
    before = [patients.equivalents(item) for item in (left, right)]
    link(stewards, ONE, TWO)
    unlink(stewards, ONE, TWO)
    assert [patients.equivalents(item) for item in (left, right)] == before
    assert together(patients, TWO, THREE)


def test_an_alias_goes_back_with_its_own_person(feed: Feed, stewards: Stewardship, patients: PatientService) -> None:
    first = feed(identity("1")).regional
    second = feed(identity("2", B, birth_name="Martin", status=PROV)).regional
    third = feed(identity("3", C, birth_name="Martin", status=PROV)).regional
    link(stewards, TWO, THREE)
    link(stewards, ONE, TWO)
    assert set(patients.equivalents(first)) == {first, second, third}
    unlink(stewards, ONE, TWO)
    assert patients.equivalents(second) == (second, third)
    assert patients.equivalents(first) == (first,)


def test_three_are_linked_and_parted_in_every_order(
    feed: Feed, stewards: Stewardship, patients: PatientService
) -> None:
    """The history tells each decision once, in its order, and everybody has their own number back."""
    pairs = ((0, 1), (1, 2), (0, 2))
    plans = [(made, ended) for made in permutations(pairs) for ended in permutations(pairs)]
    for place, (made, ended) in enumerate(plans):
        names = ("Martin", "Petit", "Durand")
        people = [number(f"{place}", authority) for authority in (A, B, C)]
        own = [
            feed(identity(item.value, item.authority, birth_name=name, status=PROV)).regional
            for item, name in zip(people, names, strict=True)
        ]
        for one, other in made:
            link(stewards, people[one], people[other])
            assert together(patients, people[one], people[other])
        assert together(patients, *people)
        for one, other in ended:
            unlink(stewards, people[one], people[other])
            assert not together(patients, people[one], people[other])
        assert [patients.resolve(item) for item in people] == own
        assert [patients.equivalents(item) for item in own] == [(item,) for item in own]
        told = {item for person in people for item in edges(patients, person)}
        decided = sorted(told, key=lambda item: item.since)
        between = [({people.index(item.one), people.index(item.other)}, item.rule) for item in decided]
        assert between == [
            ({*pair}, rule) for rule, order in (("steward", made), ("no-match", ended)) for pair in order
        ]
        assert [item.rule for item in decided if item.ended_at is None] == ["no-match"] * 3


def test_a_no_match_beats_every_later_automatic_link(
    feed: Feed, stewards: Stewardship, patients: PatientService
) -> None:
    feed(identity("1", ins=ins()))
    feed(identity("2", B, ins=ins()))
    assert together(patients, ONE, TWO)
    unlink(stewards, ONE, TWO)
    for changed in (
        identity("2", B, ins=ins(), birth_place=""),
        identity("2", B, ins=ins()),
        identity("1", A, ins=ins(), given_names="Marie-Hélène"),
    ):
        feed(changed)
        assert not together(patients, ONE, TWO)
    patients.merge(MergeIdentities(identity("9", ins=ins()), ONE), Context())  # an A40 of one side
    assert not together(patients, number("9"), TWO)
    feed(identity("9", ins=ins(), sex="M"))
    feed(identity("9", ins=ins()))
    assert not together(patients, number("9"), TWO)
    assert [task for task in patients.tasks() if task.kind is not TaskKind.BRIDGE] == []
    link(stewards, number("9"), TWO)
    assert together(patients, ONE, TWO, number("9"))


def test_a_third_identity_does_not_bring_together_whom_a_steward_parted(
    feed: Feed, stewards: Stewardship, patients: PatientService
) -> None:
    feed(identity("1"))
    feed(identity("2", B))
    feed(identity("3", C))
    assert together(patients, ONE, TWO, THREE)
    unlink(stewards, ONE, TWO)
    assert not together(patients, ONE, TWO)
    feed(identity("3", C, phone="0102030405"))
    feed(identity("3", C, sex="M"))
    feed(identity("3", C))
    assert not together(patients, ONE, TWO)


@pytest.mark.parametrize(
    ("other", "why"),
    [(identity("2"), "one-authority"), (identity("2", B, ins=ins("2790329019124")), "ins"), (identity("1"), "same")],
)
def test_links_that_are_refused(
    feed: Feed, stewards: Stewardship, patients: PatientService, other: Identity, why: str
) -> None:
    feed(identity("1", ins=ins()))
    feed(replace(other, ins=ins() if why == "same" else other.ins))
    with pytest.raises(LinkRefused) as refused:
        link(stewards, ONE, other.identifier)
    assert refused.value.context["why"] == why
    asked = [task.kind for task in patients.tasks()]
    assert (TaskKind.INS_CONFLICT in asked) == (why == "ins")


def test_a_link_that_would_bring_two_numbers_of_one_authority_together(
    feed: Feed, stewards: Stewardship, patients: PatientService
) -> None:
    feed(identity("1"))
    feed(identity("2", B))
    feed(identity("5", birth_name="Martin"))
    feed(identity("6", C, birth_name="Martin"))
    with pytest.raises(LinkRefused):
        link(stewards, TWO, number("6", C))
    assert not together(patients, ONE, number("5"))


def test_reasons_and_numbers_are_needed(feed: Feed, stewards: Stewardship) -> None:
    feed(identity("1"))
    with pytest.raises(DecisionNeedsReason):
        stewards.link(LinkIdentities(ONE, TWO, "  "), by())
    with pytest.raises(UnknownIdentifier):
        link(stewards, ONE, TWO)
    with pytest.raises(InvalidCursor):
        stewards.tasks(FindTasks(cursor="x"), by())
    with pytest.raises(TaskNotFound):
        stewards.task(GetTask(7), by())


def collision(feed: Feed, stewards: Stewardship) -> Task:
    feed(identity("1", ins=ins()))
    feed(identity("2", B, ins=ins(), birth_date="19790415"))
    (task,) = stewards.tasks(FindTasks(), by()).tasks
    assert (task.kind, task.identifiers) == (TaskKind.COLLISION, (TWO, ONE)) or task.kind is TaskKind.COLLISION
    return task


def test_a_task_is_decided_once(feed: Feed, stewards: Stewardship, patients: PatientService) -> None:
    task = collision(feed, stewards)
    context = by()
    decided = stewards.decide(DecideTask(task.id, ONE, Verdict.SAME, "typing error"), context)
    assert decided.changed
    assert together(patients, ONE, TWO)
    kept = stewards.task(GetTask(task.id), by())
    assert (kept.decided, kept.decided_by, kept.decided_why) == ("same", "Claire", "typing error")
    assert "task" in {item.kind for item in context.touched}
    with pytest.raises(TaskClosed):
        stewards.decide(DecideTask(task.id, ONE, Verdict.LEAVE, "again"), by())
    assert stewards.tasks(FindTasks(), by()).tasks == ()


def test_different_is_never_asked_again(feed: Feed, stewards: Stewardship, patients: PatientService) -> None:
    task = collision(feed, stewards)
    stewards.decide(DecideTask(task.id, ONE, Verdict.DIFFERENT, "two people"), by())
    feed(identity("2", B, ins=ins(), birth_date="19790416"))
    feed(identity("2", B, ins=ins()))
    assert patients.tasks() == ()
    assert not together(patients, ONE, TWO)


def test_leave_is_not_asked_again_for_the_same_evidence(
    feed: Feed, stewards: Stewardship, patients: PatientService
) -> None:
    task = collision(feed, stewards)
    stewards.decide(DecideTask(task.id, ONE, Verdict.LEAVE, "waiting for a card"), by())
    feed(identity("2", B, ins=ins(), birth_date="19790415", status=PROV))
    feed(identity("2", B, ins=ins(), birth_date="19790415"))
    assert patients.tasks() == ()
    feed(identity("2", B, ins=ins(), birth_date="19790417"))
    assert [item.kind for item in patients.tasks()] == [TaskKind.COLLISION]


def test_a_question_closes_when_it_vanishes_on_either_side(feed: Feed, patients: PatientService) -> None:
    feed(identity("1", ins=ins()))
    feed(identity("2", B, ins=ins(), birth_date="19790415"))
    assert len(patients.tasks()) == 1
    feed(identity("1", ins=ins(), birth_date="19790415"))
    assert patients.tasks() == ()
    assert together(patients, ONE, TWO)


def test_what_the_steward_did_not_see(feed: Feed, stewards: Stewardship) -> None:
    task = collision(feed, stewards)
    early = replace(task).created_at
    stewards.decide(DecideTask(task.id, ONE, Verdict.LEAVE, "seen", seen_at=now()), by())
    feed(identity("2", B, ins=ins(), birth_date="19790417"))
    (anew,) = stewards.tasks(FindTasks(), by()).tasks
    with pytest.raises(TaskChanged):
        stewards.decide(DecideTask(anew.id, ONE, Verdict.SAME, "late", seen_at=early), by())
    feed(identity("8", birth_name="Autre"))
    with pytest.raises(TaskNotFound):
        stewards.decide(DecideTask(anew.id, number("8"), Verdict.SAME, "nobody asked"), by())


def test_four_eyes(feed: Feed, patients: PatientService) -> None:
    stewards = Stewardship(patients=patients, four_eyes=True)
    task = collision(feed, stewards)
    verdict = DecideTask(task.id, ONE, Verdict.SAME, "typing error")
    assert stewards.decide(verdict, by()).pending
    assert not together(patients, ONE, TWO)
    shown = stewards.task(GetTask(task.id), by())
    assert (shown.proposed, shown.proposed_by, shown.closed_at) == ("same", "Claire", None)
    assert shown.proposed_about == ONE
    waiting = stewards.tasks(FindTasks(proposed=True), by())
    assert ([one.id for one in waiting.tasks], waiting.proposed) == ([task.id], 1)
    with pytest.raises(SecondStewardNeeded):
        stewards.decide(verdict, by())
    assert stewards.decide(replace(verdict, verdict=Verdict.LEAVE), by("Yann")).pending
    assert stewards.decide(replace(verdict, verdict=Verdict.LEAVE), by("Claire")).pending is False
    assert stewards.task(GetTask(task.id), by()).decided == "leave"
    assert stewards.tasks(FindTasks(proposed=True), by()).proposed == 0


def test_a_proposal_is_taken_back_by_who_made_it(feed: Feed, patients: PatientService) -> None:
    stewards = Stewardship(patients=patients, four_eyes=True)
    task = collision(feed, stewards)
    with pytest.raises(TaskChanged):  # nothing is proposed
        stewards.withdraw(WithdrawProposal(task.id), by())
    verdict = DecideTask(task.id, ONE, Verdict.SAME, "typing error")
    stewards.decide(verdict, by())
    seen = now()
    with pytest.raises(TaskChanged):  # not theirs
        stewards.withdraw(WithdrawProposal(task.id, seen), by("Yann"))
    context = by()
    stewards.withdraw(WithdrawProposal(task.id, seen), context)
    assert [item.reference for item in context.touched if item.kind == "task"] == [str(task.id)]
    shown = stewards.task(GetTask(task.id), by())
    assert (shown.proposed, shown.proposed_by, shown.proposed_about, shown.decided_why) == ("", "", None, "")
    assert stewards.tasks(FindTasks(proposed=True), by()).proposed == 0
    with pytest.raises(TaskChanged):  # seen before it was taken back
        stewards.decide(replace(verdict, seen_at=seen), by("Yann"))
    assert stewards.decide(verdict, by("Yann")).pending  # anew, by somebody else
    assert not stewards.decide(verdict, by()).pending
    assert together(patients, ONE, TWO)
    with pytest.raises(TaskClosed):
        stewards.withdraw(WithdrawProposal(task.id), by("Yann"))
    with pytest.raises(TaskNotFound):
        stewards.withdraw(WithdrawProposal(task.id + 1000), by())


def test_pages_and_counts(feed: Feed, stewards: Stewardship) -> None:
    feed(identity("1", ins=ins()))
    for value in ("2", "3", "4", "5"):
        feed(identity(value, B, ins=ins(f"279032901912{value}")))
        feed(identity(value, C, ins=ins(f"279032901912{value}"), sex="M"))
    first = stewards.tasks(FindTasks(limit=2), by())
    rest = stewards.tasks(FindTasks(limit=100, cursor=first.cursor), by())
    every = [task.id for task in (*first.tasks, *rest.tasks)]
    assert (len(first.tasks), rest.cursor) == (2, "")
    assert every == sorted(set(every))
    assert dict(first.open) == dict(stewards.waiting())
    assert sum(stewards.waiting().values()) == len(every)
    only = stewards.tasks(FindTasks(kind=TaskKind.COLLISION, limit=100), by())
    assert len(only.tasks) == stewards.waiting()[TaskKind.COLLISION] > 0


def test_an_explanation(feed: Feed, stewards: Stewardship) -> None:
    feed(identity("1", ins=ins()))
    feed(identity("2", B, ins=ins()))
    feed(identity("3", C, sex="M"))
    joined = stewards.explain(ExplainPair(ONE, TWO), by())
    assert (joined.outcome, joined.rule, joined.keys) == ("link", "same-ins", ("same-ins", "strict-traits"))
    apart = stewards.explain(ExplainPair(ONE, THREE), by())
    assert (apart.outcome, apart.rule, apart.contradiction) == ("apart", "", "sex")
    unlink(stewards, ONE, TWO)
    parted = stewards.explain(ExplainPair(TWO, ONE), by())
    assert (parted.outcome, parted.rule) == ("apart", "no-match")
    assert [item.rule for item in parted.links] == ["same-ins", "no-match"]


def test_two_numbers_of_one_identity_are_explained_by_their_owners_word(
    feed: Feed, patients: PatientService, stewards: Stewardship
) -> None:
    """Merged or renumbered: no rule joined them, and none is told."""
    one, lost, new, other = (number(value) for value in ("1", "10", "11", "12"))
    for item in (one, lost, other):
        feed(identity(item.value, A, birth_name=f"N{item.value}"))
    survivor = identity("1", A)
    patients.merge(MergeIdentities(survivor, lost), Context(source="HIS_A"))
    patients.merge(MergeIdentities(survivor, other), Context(source="HIS_A"))
    for pair in ((one, lost), (lost, one), (lost, other)):
        merged = stewards.explain(ExplainPair(*pair), by())
        assert (merged.outcome, merged.rule, merged.keys) == ("link", "merge", ())
        assert (merged.one.identifier, merged.other.identifier) == pair
        assert {lost, one} <= {end for link in merged.links for end in (link.one, link.other)}
    patients.change_identifier(ChangeIdentifier(identity("11", A), one), Context(source="HIS_A"))
    assert stewards.explain(ExplainPair(one, new), by()).rule == "change-id"
    (regional,) = {patients.resolve(new)}
    assert regional is not None
    assert stewards.explain(ExplainPair(regional, new), by()).links == ()


def test_contradictions_and_changed_strict_traits_are_asked(
    feed: Feed, stewards: Stewardship, patients: PatientService
) -> None:
    feed(identity("1"))
    feed(identity("2", B))
    feed(identity("2", B, sex="M"))
    (task,) = patients.tasks()
    assert (task.kind, task.reason) == (TaskKind.STRICT_TRAITS, "strict trait changed: sex")
    feed(identity("2", B))
    assert patients.tasks() == ()
    link(stewards, ONE, TWO)
    feed(identity("2", B, sex="M"))
    assert [item.kind for item in patients.tasks()] == [TaskKind.WRONG_JOIN]
    assert together(patients, ONE, TWO)


def test_another_ins_separates_what_a_steward_linked(
    feed: Feed, stewards: Stewardship, patients: PatientService
) -> None:
    feed(identity("1", ins=ins()))
    feed(identity("2", B, birth_name="Martin"))
    link(stewards, ONE, TWO)
    feed(identity("2", B, birth_name="Martin", ins=ins("2790329019124")))
    assert not together(patients, ONE, TWO)
    assert TaskKind.INS_CONFLICT in {item.kind for item in patients.tasks()}
