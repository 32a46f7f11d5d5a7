"""Whom nothing joins by itself: no rule, no score, on whatever way they come."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from hub.access.model import Principal
from hub.app.patients.matching import scorer_of, weigh
from hub.app.settings.model import Matching
from hub.context import Context
from hub.patients.authorities import AuthorityDirectory
from hub.patients.bulk import BulkService
from hub.patients.bulk_model import Entry
from hub.patients.lookup_model import Grade, MatchPerson
from hub.patients.matches import MatchService
from hub.patients.model import FeedIdentity, Identity, IdentityStatus, MergeIdentities, TaskKind, Traits
from hub.patients.relinking import Relinking
from hub.patients.service import PatientService
from hub.patients.steward_model import FindTasks, LinkIdentities, UnlinkIdentities
from hub.patients.stewardship import Stewardship
from hub.storage.engine import Database
from hub.usecase import Command, Dispatcher
from hub.values import PatientIdentifier
from tests.patients.conftest import DOMAIN, A, B, C, identity, ins

ON = Matching(enabled=True)
WHOLE: dict[str, Any] = {"postal_code": "29200", "address": "12 rue de Siam", "phone": "0298000000"}
#: of one household: everything that weighs is there
ONE = identity("1", **WHOLE)
HERVE = Traits(
    "LE GOFF", "Hervé", given_names="Hervé", birth_date="19470829", sex="M", birth_place="29019",
)  # fmt: skip
HIS = ins("1470829019001")
#: (one, other, what a steward is asked)
PAIRS: dict[str, tuple[Identity, Identity, set[TaskKind]]] = {
    "one INS, other birth dates": (
        identity("1", A, HERVE, ins=HIS, status=IdentityStatus.QUALIFIED),
        identity("2", B, replace(HERVE, birth_name="LEGOFF", birth_date="19470928"), ins=HIS,
                 status=IdentityStatus.QUALIFIED),
        {TaskKind.COLLISION},
    ),
    "one INS, another sex": (
        replace(ONE, ins=ins()), identity("2", B, **WHOLE, sex="M", ins=ins()), {TaskKind.COLLISION},
    ),
    "one INS, twins": (
        replace(ONE, ins=ins()),
        identity("2", B, **WHOLE, birth_given="Claire", given_names="Claire", ins=ins()),
        {TaskKind.COLLISION},
    ),
    "two INS": (replace(ONE, ins=ins()), identity("2", B, **WHOLE, ins=ins("2790329019321")), {TaskKind.INS_CONFLICT}),
    "one hospital": (ONE, identity("2", A, **WHOLE), {TaskKind.DUPLICATE}),
    "one hospital, misspelt": (ONE, identity("2", A, **WHOLE, birth_name="Le Gof"), {TaskKind.DUPLICATE}),
    "twins": (ONE, identity("2", B, **WHOLE, birth_given="Claire", given_names="Claire"), set()),
    "sister and brother": (
        ONE, identity("2", B, **WHOLE, birth_given="Marcel", given_names="Marcel", sex="M"), set(),
    ),
    "mother and daughter of one name": (ONE, identity("2", B, **WHOLE, birth_date="20010315"), set()),
    "not checked": (ONE, identity("2", B, **WHOLE, status=IdentityStatus.PROVISIONAL), set()),
    "retrieved": (ONE, identity("2", B, **WHOLE, status=IdentityStatus.RETRIEVED), set()),
    "homonym, misspelt": (
        ONE, identity("2", B, **WHOLE, birth_name="Le Gof", attributes=frozenset({"HOMO"})), {TaskKind.POSSIBLE},
    ),
    **{
        f"in doubt: {mark}": (ONE, identity("2", B, **WHOLE, attributes=frozenset({mark})), set())
        for mark in ("DOUT", "FICT", "USUR", "HOMA")
    },
}  # fmt: skip


@pytest.fixture(params=["rules", "score"])
def index(patients: PatientService, request: pytest.FixtureRequest) -> PatientService:
    patients.weigh = weigh(ON) if request.param == "score" else None
    return patients


NAMES = (
    "Abalain", "Bernicot", "Caradec", "Drogou", "Elleouet", "Fouquet", "Guivarch", "Hascoet", "Inizan", "Jaouen",
    "Kerbrat", "Lozachmeur", "Mazeas", "Nedelec", "Ollivier", "Pichavant", "Quemeneur", "Rolland", "Salaun", "Tanguy",
)  # fmt: skip


def people() -> dict[str, tuple[Identity, Identity, set[TaskKind]]]:
    """The pairs as people of one region: nobody has a name, a date, a telephone or an INS of another pair's."""
    return {
        name: (own(one, place), own(other, place), kinds)
        for place, (name, (one, other, kinds)) in enumerate(PAIRS.items())
    }


def own(item: Identity, place: int) -> Identity:
    traits, number = item.traits, item.identifier
    return replace(
        item,
        identifier=PatientIdentifier(f"{place}-{number.value}", number.authority),
        traits=replace(
            traits,
            birth_name=f"{NAMES[place]} {traits.birth_name}",
            used_name="",
            birth_date=f"{int(traits.birth_date[:4]) - place}{traits.birth_date[4:]}",
            phone=f"02980000{place:02d}",
            address=f"{place} rue {NAMES[place]}",
        ),
        ins=ins(f"{item.ins.value[:10]}{int(item.ins.value[10:13]) + place:03d}") if item.ins else None,
    )


def say(patients: PatientService, *identities: Identity) -> None:
    for item in identities:
        patients.feed(FeedIdentity(item), Context(source="HIS_C"))


def apart(patients: PatientService, one: Identity, other: Identity) -> bool:
    return patients.resolve(one.identifier) != patients.resolve(other.identifier)


def asked(patients: PatientService, *about: Identity) -> set[TaskKind]:
    """What is asked, about some or all."""
    numbers = {item.identifier for item in about}
    tasks = Stewardship(patients=patients).tasks(FindTasks(limit=500), Context()).tasks
    return {task.kind for task in tasks if not about or numbers & set(task.identifiers)}


def told(patients: PatientService) -> dict[str, tuple[bool, set[TaskKind]]]:
    """Of each pair: whether it is apart, and what is asked."""
    return {
        name: (apart(patients, one, other), asked(patients, one, other)) for name, (one, other, _) in people().items()
    }


def expected(patients: PatientService) -> dict[str, tuple[bool, set[TaskKind]]]:
    """Apart, with the questions; what a score alone finds is asked where there is one."""
    unknown: set[TaskKind] = set() if patients.weigh is not None else {TaskKind.POSSIBLE}
    found = {name: (True, kinds - unknown) for name, (_, _, kinds) in people().items()}
    if patients.weigh is None:
        found["one hospital, misspelt"] = (True, set())
    return found


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_fed_one_after_the_other(index: PatientService, order: tuple[int, int]) -> None:
    for pair in people().values():
        two = (pair[0], pair[1])
        say(index, *(two[place] for place in order))
    assert told(index) == expected(index)


@pytest.mark.parametrize("given", ["Fille de Anne", "BEBE A", "Jumelle 1", "Nouveau-né"])
def test_newborns_before_they_have_a_name(index: PatientService, given: str) -> None:
    """All strict traits are the same, as twins' are: whose child it is says nothing of which."""
    one = identity("1", birth_given=given, given_names="")
    other = identity("2", B, birth_given=given, given_names="")
    say(index, one, other)
    assert apart(index, one, other)


def test_another_ins_is_asked_about_until_it_is_corrected(index: PatientService) -> None:
    one, other = identity("1", ins=ins()), identity("2", B, ins=ins("2790329019321"))
    say(index, one, replace(other, ins=None))
    assert not apart(index, one, other)
    say(index, other)
    assert (apart(index, one, other), asked(index)) == (True, {TaskKind.INS_CONFLICT})
    say(index, replace(other, ins=ins()))
    assert (apart(index, one, other), asked(index)) == (False, set())


def test_several_in_one_unit_of_work(index: PatientService) -> None:
    commands = [(FeedIdentity(item), Context()) for pair in people().values() for item in pair[:2]]
    with index.database.transaction():
        index.ahead(commands)
        for command, context in commands:
            index.feed(command, context)
    assert told(index) == expected(index)


def imported(patients: PatientService, *commands: Command) -> None:
    dispatch = Dispatcher([patients])
    service = BulkService(patients=patients, carry_out=dispatch)
    entries = [Entry(number, number, command) for number, command in enumerate(commands, 1)]
    service.take(service.begin(f"import {id(commands)}", "source"), entries, Context)


def test_imported(index: PatientService) -> None:
    imported(index, *(FeedIdentity(item) for pair in people().values() for item in pair[:2]))
    assert told(index) == expected(index)


def test_looked_at_again(patients: PatientService) -> None:
    for pair in people().values():
        say(patients, pair[0], pair[1])
    patients.weigh = weigh(ON)
    relinked(patients)
    assert told(patients) == expected(patients)


def relinked(patients: PatientService) -> None:
    again = Relinking(patients)
    pages = list(again.identities())
    for page in pages:
        again.remember([member.id for member in page])
    again.look_again([member.id for page in pages for member in page], Context())


def test_described_by_a_correction(index: PatientService) -> None:
    """The second was a stranger until its owner corrects it."""
    stranger = identity("2", birth_name="Martin", birth_given="Paul", given_names="Paul", birth_date="19550102",
                        sex="M", birth_place="75056")  # fmt: skip
    strangers = [own(stranger, place) for place in range(len(PAIRS))]
    for one, other, _ in people().values():
        say(index, one, replace(other, traits=strangers.pop().traits, ins=None))
    for _, other, _ in people().values():
        say(index, other)
    # A number that is another person's from now on is asked about as well.
    found = {name: (parted, kinds - {TaskKind.STRICT_TRAITS}) for name, (parted, kinds) in told(index).items()}
    assert found == {
        name: (parted, kinds - {TaskKind.STRICT_TRAITS}) for name, (parted, kinds) in expected(index).items()
    }
    assert all(TaskKind.STRICT_TRAITS in asked(index, one, other) for one, other, _ in people().values())


def test_parted_by_a_correction(index: PatientService) -> None:
    """The second was the first's very self until its owner corrects it."""
    linked = {name: pair for name, pair in people().items() if pair[1].identifier.authority != A}
    for one, other, _ in linked.values():
        say(index, one, replace(one, identifier=other.identifier))
        assert not apart(index, one, other)
    for _, other, _ in linked.values():
        say(index, other)
    found, wanted = told(index), expected(index)
    for name in linked:
        assert found[name][0], name
        assert wanted[name][1] <= found[name][1] <= wanted[name][1] | {TaskKind.STRICT_TRAITS}, name


def test_met_through_a_third(index: PatientService) -> None:
    """Somebody agrees with both, and is with the first already: the second joins neither."""
    for one, other, _ in people().values():
        third = replace(one, identifier=PatientIdentifier(one.identifier.value, C), ins=None)
        say(index, one, replace(third, status=IdentityStatus.VALIDATED), other)
        assert not apart(index, one, third)
        assert apart(index, one, other)


def test_no_certain_match(index: PatientService) -> None:
    service = MatchService(patients=index, scorer=scorer_of(ON) if index.weigh is not None else None)
    for name, (one, other, _) in people().items():
        if other.identifier.authority == A:  # whoever asks names no hospital: they can't tell
            continue
        say(index, one)
        described = replace(other, identifier=PatientIdentifier("", ""))
        numbers = (other.ins,) if other.ins else ()
        for question in (MatchPerson(described), MatchPerson(described, numbers)):
            found = service.match(question, Context())
            assert Grade.CERTAIN not in {item.grade for item in found}, name
            assert service.match(replace(question, only_certain=True), Context()) == (), name


# A steward's no-match


@pytest.fixture
def stewards(index: PatientService) -> Stewardship:
    return Stewardship(patients=index)


def by() -> Context:
    return Context(principal=Principal(id="claire", name="Claire", permissions=frozenset({"patients.steward"})))


ALIKE = (ONE, identity("2", B, **WHOLE), identity("3", C, **WHOLE))
NEAR = (ONE, identity("2", B, **WHOLE, birth_name="Le Gof"), identity("3", C, **WHOLE, birth_name="Le Goffe"))


@pytest.fixture
def three(index: PatientService) -> Sequence[Identity]:
    return NEAR if index.weigh is not None else ALIKE


def part(stewards: Stewardship, one: Identity, other: Identity) -> None:
    stewards.unlink(UnlinkIdentities(one.identifier, other.identifier, "two people"), by())


def again(item: Identity) -> Identity:
    """As it is announced anew, moved house."""
    return replace(item, traits=replace(item.traits, address="1 rue du Port", city="BREST"))


Way = Callable[[PatientService, Identity], None]
WAYS: dict[str, Way] = {
    "fed": lambda patients, item: say(patients, again(item)),
    "imported": lambda patients, item: imported(patients, FeedIdentity(again(item))),
    "merged into": lambda patients, item: void(
        patients.merge(
            MergeIdentities(item, PatientIdentifier("9", item.identifier.authority)), Context(source="HIS_C")
        )
    ),
    "looked at again": lambda patients, _item: relinked(patients) if patients.weigh is not None else None,
}


def void(_outcome: object) -> None:
    """Nothing is looked at."""


@pytest.mark.parametrize("way", WAYS)
def test_a_no_match_holds(index: PatientService, stewards: Stewardship, three: Sequence[Identity], way: str) -> None:
    one, other, _ = three
    say(index, one, other)
    assert not apart(index, one, other)
    part(stewards, one, other)
    for item in (one, other):
        WAYS[way](index, item)
        assert apart(index, one, other)


@pytest.mark.parametrize("way", WAYS)
def test_a_no_match_holds_against_whoever_agrees_with_both(
    index: PatientService, stewards: Stewardship, three: Sequence[Identity], way: str
) -> None:
    """A is not C. B is with A: so C may not come to B. And where B comes last it goes to neither."""
    one, between, other = three
    say(index, one, between)
    stranger = replace(other, traits=replace(other.traits, birth_date="19610203", birth_given="Odile", given_names=""))
    say(index, stranger)
    part(stewards, one, other)
    say(index, other)
    assert apart(index, other, one)
    assert apart(index, other, between)
    assert asked(index) == {TaskKind.BRIDGE}
    for item in (other, between, one):
        WAYS[way](index, item)
        assert apart(index, other, one)


def test_who_agrees_with_two_that_are_parted_joins_neither(
    index: PatientService, stewards: Stewardship, three: Sequence[Identity]
) -> None:
    one, last, other = three
    say(index, one, other)
    part(stewards, one, other)
    say(index, last)
    assert len({index.resolve(item.identifier) for item in three}) == 3
    assert asked(index) == {TaskKind.BRIDGE}


def test_a_merge_does_not_bring_together_whom_a_steward_parted(
    index: PatientService, stewards: Stewardship, three: Sequence[Identity]
) -> None:
    """The survivor has a no-match against the person that the lost number is in."""
    one, lost, other = three[0], identity("8", A, **WHOLE, birth_given="Odile", given_names="Odile"), three[1]
    say(index, one, other, lost)
    part(stewards, one, other)
    stewards.link(LinkIdentities(lost.identifier, other.identifier, "seen"), by())
    index.merge(MergeIdentities(one, lost.identifier), Context(source="HIS_C"))
    assert apart(index, one, other)
    assert index.resolve(lost.identifier) == index.resolve(one.identifier)


# Imports that only try


@pytest.fixture
def empty(database: Database) -> PatientService:
    directory = AuthorityDirectory(database=database, accept_new=True)
    return PatientService(database=database, directory=directory, affinity_domain=DOMAIN)


def test_a_trial_asks_nothing(empty: PatientService) -> None:
    """Neither what would be asked, nor what is refused for two INS and kept as a question when it really happens."""
    empty.weigh = weigh(ON)
    say(empty, identity("1", ins=ins()), identity("2", ins=ins("2790329019321"), birth_name="Martin"))
    commands: list[Command] = [
        MergeIdentities(identity("1", ins=ins()), PatientIdentifier("2", A)),
        FeedIdentity(identity("5", B, sex="M", ins=ins())),
    ]
    dispatch = Dispatcher([empty])
    service = BulkService(patients=empty, carry_out=dispatch)
    entries = [Entry(number, number, command) for number, command in enumerate(commands, 1)]
    after, refused = service.trial(service.begin("import", "source"), entries, Context)
    assert [(item.record, item.code) for item in refused] == [(1, "ins-conflict")]
    assert after.taken == 1
    assert asked(empty) == set()
    service.take(service.begin("import", "source"), entries, Context)
    assert asked(empty) == {TaskKind.INS_CONFLICT, TaskKind.COLLISION}
