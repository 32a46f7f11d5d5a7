"""A batch over the whole index: the same persons and questions as feeds one by one, and nothing twice."""

import random
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from rich.progress import Progress
from sqlalchemy import text

from hub.app.patients import readers, snapshot
from hub.app.patients.matching import weigh
from hub.app.patients.relink import Report, Wanted, relink
from hub.app.settings.model import Matching
from hub.context import Context
from hub.patients.authorities import AuthorityDirectory
from hub.patients.errors import InsConflict
from hub.patients.model import Authority, FeedIdentity, Identity, MergeIdentities, TaskKind
from hub.patients.relinking import Judged, Relinking
from hub.patients.scoring.keys import VERSION, keys
from hub.patients.scoring.scorer import prepared
from hub.patients.service import PatientService
from hub.patients.steward_model import DecideTask, FindTasks, Verdict
from hub.patients.stewardship import Stewardship
from hub.patients.store import PatientStore
from hub.patients.store_keys import KeyReader
from hub.patients.store_snapshot import Pair
from hub.storage.engine import Database
from hub.testing.population import AUTHORITY, Population
from tests.patients.scoring.people import A, B, someone

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ON = Matching(enabled=True)
C = "1.2.250.1.999.10.3"


@pytest.fixture
def patients(database: Database) -> PatientService:
    pytest.importorskip("splink")
    return PatientService(database=database, directory=directory(database), affinity_domain="1.2.250.1.999.1.1")


def directory(database: Database) -> AuthorityDirectory:
    authorities = [Authority(item) for item in (A, B, C, *(f"{AUTHORITY}.{number}" for number in range(1, 13)))]
    return AuthorityDirectory(database=database, configured=authorities)


def feed(patients: PatientService, *identities: Identity) -> None:
    for identity in identities:
        patients.feed(FeedIdentity(identity), Context())


def again(patients: PatientService) -> Report:
    patients.weigh = weigh(ON)
    return relink(patients, ON, dry_run=False)


def everybody() -> list[Identity]:
    """In random order."""
    people = [identity for _, identity in Population(seed=43, records=500, twice=0.0)]
    random.Random(3).shuffle(people)
    return people


def persons(patients: PatientService, identities: list[Identity]) -> set[frozenset[str]]:
    found = (patients.person(item.identifier) for item in identities)
    return {frozenset(x.identifier.value for x in person.identities) for person in found if person is not None}


def tasks(patients: PatientService) -> dict[TaskKind, int]:
    page = Stewardship(patients=patients).tasks(FindTasks(), Context())
    return {kind: number for kind, number in page.open if number}


def questions(patients: PatientService) -> set[tuple[TaskKind, frozenset[str]]]:
    page = Stewardship(patients=patients).tasks(FindTasks(limit=500), Context())
    return {(task.kind, frozenset(item.value for item in task.identifiers)) for task in page.tasks}


def test_what_feeds_would_have_joined_a_batch_joins(patients: PatientService, tmp_path: Path) -> None:
    """Fed with the score, or fed without it and looked at afterwards: the same persons and questions.

    But for who agrees with two people that differ from each other: whom it finds first it is joined with, and the other
    one is asked about."""
    people = everybody()
    feed(patients, *people)
    by_rules = persons(patients, people)
    report = again(patients)
    batch = persons(patients, people)
    assert report.linked > 0
    assert len(batch) < len(by_rules)
    database = Database(f"sqlite:///{tmp_path}/online.sqlite")
    database.create_all()
    fed = PatientService(database=database, directory=directory(database), affinity_domain="1.2.250.1.999.1.1")
    fed.weigh = weigh(ON)
    feed(fed, *people)
    bridged = {number for person in persons(fed, people) ^ batch for number in person}
    assert len(bridged) <= len(people) // 100
    assert bridged <= {number for _, numbers in questions(fed) | questions(patients) for number in numbers}
    # Who finds its person as it comes is not asked about others too.
    assert {one for one in questions(fed) if not one[1] & bridged} <= questions(patients)
    database.dispose()
    report = again(patients)
    assert (report.linked, report.questions, report.keys) == (0, 0, 0)
    assert persons(patients, people) == batch


def test_online_and_batch_make_the_same_persons(patients: PatientService) -> None:
    people = everybody()
    patients.weigh = weigh(ON)
    feed(patients, *people)
    online = persons(patients, people)
    report = again(patients)
    assert report.keys == 0
    assert report.linked == 0
    assert report.automatic <= len(people) // 100  # bridges, which stewards are asked about
    assert persons(patients, people) == online


def test_what_is_asked_already_is_not_looked_at_again(patients: PatientService) -> None:
    patients.weigh = weigh(ON)
    feed(patients, someone(A), someone(B, sex="M"))
    assert tasks(patients) == {TaskKind.POSSIBLE: 1}
    report = again(patients)
    assert (report.pairs, report.decisions) == (1, 0)
    stewards = Stewardship(patients=patients)
    [task] = stewards.tasks(FindTasks(), Context()).tasks
    stewards.decide(DecideTask(task.id, someone(A).identifier, Verdict.DIFFERENT, "two people"), Context())
    report = again(patients)
    assert (report.pairs, report.decisions, report.linked) == (0, 0, 0)
    assert tasks(patients) == {}


def test_a_question_that_is_asked_again_stays_as_it_is(patients: PatientService) -> None:
    """As old as it was, with what a first steward proposed."""
    patients.weigh = weigh(ON)
    feed(patients, someone(A), someone(B, sex="M"))
    stewards, index = Stewardship(patients=patients), Relinking(patients)
    [task] = stewards.tasks(FindTasks(), Context()).tasks
    with patients.database.reading() as work:
        rows = [member.id for member in PatientStore(work).by_ids(range(1, 100))]
    assert len(rows) == 2
    index.look_again(rows, Context())
    assert stewards.tasks(FindTasks(), Context()).tasks == (task,)


def test_a_question_that_nobody_would_ask_today_is_closed(patients: PatientService) -> None:
    patients.weigh = weigh(ON)
    nobody_knows = {"birth_place": "", "phone": "", "address": "", "postal_code": ""}
    feed(patients, someone(A), someone(B, sex="M", **nobody_knows))
    assert tasks(patients) == {TaskKind.POSSIBLE: 1}
    stricter = Matching(enabled=True, automatic=0.9999999, review=0.9999998)
    patients.weigh = weigh(stricter)
    report = relink(patients, stricter, dry_run=True)
    assert (report.pairs, report.outdated, report.decisions) == (0, 1, 1)
    assert tasks(patients) == {TaskKind.POSSIBLE: 1}
    relink(patients, stricter, dry_run=False)
    assert tasks(patients) == {}


def test_keys_that_are_missing_or_old_are_stored(patients: PatientService) -> None:
    patients.weigh = weigh(ON)
    feed(patients, someone(A))
    patients.weigh = None
    feed(patients, someone(A, birth_name="Martin"), someone(C, birth_name="Durand", birth_given="Louise"))
    assert again(patients).keys == 2
    assert again(patients).keys == 0
    assert_keys_are_right(patients)
    with patients.database.transaction() as work:
        work.connection.execute(text("UPDATE patients_key SET key = key + 1"))
    assert relink(patients, ON, dry_run=False, all_keys=True).keys == 2
    assert_keys_are_right(patients)


def test_keys_of_who_changes_while_the_rest_is_read(patients: PatientService) -> None:
    """Keys that were made of other traits are made anew; those that somebody else stored meanwhile stay."""
    known = (someone(A), someone(B, "M", birth_name="Martin"), someone(C, birth_name="Durand", birth_given="Louise"))
    feed(patients, *known)
    index = Relinking(patients)
    [some] = snapshot.ranges(patients.database)
    stale = snapshot.portion(index, some, provisional=False).stale
    assert len(stale.ids) == 3
    feed(patients, someone(A, birth_name="Petit"))
    patients.weigh = weigh(ON)
    feed(patients, someone(B, "M", birth_name="Moreau"))
    before = stored(patients)
    for rows in stale.by_key(2):
        index.fill(rows)
    one, other, third = stale.ids.tolist()
    assert stored(patients)[other] == before[other]  # and of the others there is more than nothing: a run may end here
    assert {one, third} <= stored(patients).keys()
    [page] = stale.pages(10)
    index.remember(list(page), page)
    assert_keys_are_right(patients)
    assert again(patients).keys == 0


def test_what_is_decided_meanwhile_changes_nothing_of_what_is_judged(
    patients: PatientService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each pair is a page of its own, and whoever is found is decided at once: the same, in the same order."""
    feed(patients, *everybody())
    patients.weigh = weigh(ON)
    alone = relink(patients, ON, dry_run=True)
    monkeypatch.setattr("hub.app.patients.relink.PAGE", 1)
    monkeypatch.setattr("hub.app.patients.relink._TOGETHER", 1)
    decided: list[int] = []
    decide = Relinking.look_again

    def noted(index: Relinking, identities: list[int], context: Context) -> int:
        decided.extend(identities)
        return decide(index, identities, context)

    monkeypatch.setattr(Relinking, "look_again", noted)
    done = relink(patients, ON, dry_run=False)
    assert done.linked > 1
    assert replace(done, linked=0, seconds=alone.seconds) == alone
    assert len(decided) == len(set(decided)) == alone.decisions


def test_the_heaviest_pairs_first(patients: PatientService, monkeypatch: pytest.MonkeyPatch) -> None:
    """An identity by its heaviest pair, of the same weight the older row; whoever a score joined too easily is last."""
    feed(patients, someone(A))
    pairs = [(1, 9), (2, 8), (3, 7), (4, 6), (5, 9), (2, 5)]
    weights = dict(zip(pairs, (20.0, 30.0, 20.0, 30.0, 40.0, 5.0), strict=True))
    looked = Wanted(Relinking(patients), ON, Report())
    looked.by_score = {(1, 3), (1, 9)}

    def judged(_index: Relinking, some: Iterable[Pair]) -> list[Judged]:
        return [Judged(pair, True, TaskKind.POSSIBLE, "") for pair in some if pair != (2, 5)]

    monkeypatch.setattr(Relinking, "judge", judged)
    with readers.Readers(patients, ON) as here, Progress(disable=True) as shown:
        assert list(looked.of(weights, here, shown)) == [9, 6, 8, 7, 3]
    assert looked.report.pairs == len(pairs) - 1


def test_keys_follow_whatever_feeds_and_owners_say(patients: PatientService) -> None:
    """With matching on no re-link has anything to do; what is told while it is off waits for one."""
    chance = random.Random(7)
    known = everybody()[:60]
    for matching in (ON, Matching(enabled=False), ON):
        patients.weigh = weigh(matching)
        for identity in chance.sample(known, 40):
            traits, ins = identity.traits, identity.ins
            match chance.randrange(5):
                case 0:
                    traits = replace(traits, birth_given=chance.choice(("Zoé", "Louis", traits.birth_given)))
                case 1:
                    traits = replace(traits, phone="0612345678")
                case 2:  # and alive again below
                    patients.feed(FeedIdentity(identity), Context())
                    domain = identity.identifier.authority
                    same = [item for item in known if item.identifier.authority == domain and item != identity]
                    with suppress(InsConflict):
                        patients.merge(MergeIdentities(chance.choice(same), identity.identifier), Context())
                case 3:
                    ins = None
            with suppress(InsConflict):
                patients.feed(FeedIdentity(replace(identity, traits=traits, ins=ins)), Context())
        if matching is ON:
            assert_keys_are_right(patients, every=False)
    assert again(patients).keys > 0
    assert again(patients).keys == 0
    assert_keys_are_right(patients)


def stored(patients: PatientService) -> dict[int, set[int]]:
    """Identity -> its stored keys."""
    found: dict[int, set[int]] = {}
    with patients.database.reading() as work:
        for key, identity in work.connection.execute(text("SELECT key, identity FROM patients_key")):
            found.setdefault(identity, set()).add(key)
    return found


def assert_keys_are_right(patients: PatientService, *, every: bool = True) -> None:
    """Those that are said to be stored; ``every``: they are said to be for each identity in use."""
    with patients.database.reading() as work:
        members = [item for item in KeyReader(work).page(0, 1000) if item.identity.active]
        keyed = set(
            work.connection.execute(text("SELECT id FROM patients_identity WHERE keys_version = :v"), {"v": VERSION})
            .scalars()
            .all()
        )
    checked = {item.id: {key for _, key in keys(prepared(item.identity))} for item in members if item.id in keyed}
    assert {identity: found for identity, found in stored(patients).items() if identity in checked} == checked
    assert checked
    assert not every or len(checked) == len(members)


def test_processes_of_their_own_read_the_same(patients: PatientService, monkeypatch: pytest.MonkeyPatch) -> None:
    feed(patients, *everybody()[:150])
    made = partial(snapshot.portion, provisional=False)
    kinds = ("name", "given", "born", "place", "sex", "home", "phone", "ins")
    told = partial(snapshot.described, kinds=kinds)
    with readers.Readers(patients, ON) as alone:
        here = list(alone.each(made, snapshot.ranges(patients.database)))
        records = list(alone.each(told, [here[0].stale.ids.tolist()]))
    monkeypatch.setattr(readers, "ALONE", 0)
    monkeypatch.setattr(snapshot, "PORTION", 40)
    with readers.Readers(patients, ON, processes=2) as others:
        there = list(others.each(made, snapshot.ranges(patients.database)))
        parts = rows(others.each(told, [item.stale.ids.tolist() for item in there]))
    assert sorted(parts, key=repr) == sorted(rows(records), key=repr)
    assert (len(here), len(there)) == (1, 4)
    assert [number for item in there for number in item.stale.ids] == list(here[0].stale.ids)
    assert rows(item.keys for item in there) == rows(item.keys for item in here)
    assert rows(item.known for item in there) == rows(item.known for item in here)


def test_processes_of_their_own_judge_the_same(patients: PatientService, monkeypatch: pytest.MonkeyPatch) -> None:
    feed(patients, *everybody()[:150])
    patients.weigh = weigh(ON)
    alone = relink(patients, ON, dry_run=True)
    monkeypatch.setattr(readers, "ALONE", 0)
    monkeypatch.setattr(snapshot, "PORTION", 40)
    together = relink(patients, ON, dry_run=True, processes=2)
    assert alone.pairs > alone.automatic > 0
    assert replace(together, seconds=alone.seconds) == alone


def rows(streams: Iterable[bytes]) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for content in streams for row in snapshot.unstream(content).to_pylist()]
