"""Identities that are looked at again together: the same persons, links and questions as one by one."""

import itertools
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from hub.app.patients.matching import weigh
from hub.app.settings.model import Matching
from hub.context import Context
from hub.patients.authorities import AuthorityDirectory
from hub.patients.linking import Linker, Placed
from hub.patients.model import Authority, FeedIdentity, Identity
from hub.patients.relinking import Relinking
from hub.patients.service import PatientService
from hub.patients.store import PatientStore
from hub.patients.store_again import AgainStore
from hub.patients.store_links import NO_MATCH, LinkStore, Word
from hub.storage.engine import Database
from hub.testing.population import AUTHORITY, Population
from tests.patients.scoring.people import A, B, someone

C, D = "1.2.250.1.999.10.3", "1.2.250.1.999.10.4"
ON = Matching(enabled=True)
CAREFUL = Matching(enabled=True, automatic=1 - 1e-14)
FIRST = ("1-P", "4-R", "6-T")
NOT_SAME = (("2-P", "2-Q"), ("3-T", "3-Q"), ("6-T", "6-Q"))


def service(database: Database) -> PatientService:
    authorities = [Authority(item) for item in (A, B, C, D, *(f"{AUTHORITY}.{number}" for number in range(1, 13)))]
    directory = AuthorityDirectory(database=database, configured=authorities)
    return PatientService(database=database, directory=directory, affinity_domain="1.2.250.1.999.1.1")


@pytest.fixture
def patients(database: Database) -> PatientService:
    return service(database)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[PatientService]:
    """A second index, to be looked at one by one."""
    database = Database(f"sqlite:///{tmp_path}/one-by-one.sqlite")
    database.create_all()
    yield service(database)
    database.dispose()


def special() -> list[Identity]:
    """Whom the score would join, if nobody spoke against it; the first of each is the oldest."""
    first = {"birth_given": "Berthe", "given_names": "Berthe", "birth_date": "19510203"}
    second = {"birth_given": "Chantal", "given_names": "Chantal", "phone": ""}
    third = {"birth_given": "Denise", "given_names": "Denise", "phone": ""}
    fourth = {"birth_given": "Odile", "given_names": "Odile", "birth_date": "19840506"}
    late = {**fourth, "birth_date": "19850506"}
    sixth = {"birth_given": "Viviane", "given_names": "Viviane"}
    unknown = {"birth_place": "", "phone": ""}
    return [
        # Two with different INS; X meets P by its telephone and Q by its date.
        someone(A, "1-P", ins="151022901900109", **{**first, "birth_date": "19520203"}),
        someone(B, "1-Q", ins="251022901900255", birth_name="Le Gof", **first, **unknown),
        someone(C, "1-X", birth_name="Le Goffe", **first),
        # Somebody said that they are two.
        someone(A, "2-P", **second),
        someone(B, "2-Q", birth_name="Le Gof", **second),
        # Somebody said it of the number that is with P by the rules.
        someone(A, "3-P", **third),
        someone(C, "3-T", **third),
        someone(B, "3-Q", birth_name="Le Gof", **third),
        # R meets Q only, and goes on with it to P.
        someone(A, "4-P", **fourth, **unknown),
        someone(B, "4-Q", birth_name="Le Gof", **fourth),
        someone(C, "4-R", birth_name="Le Goffe", **late),
        # As 3, but that T is with P by the score first.
        someone(A, "6-P", **sixth),
        someone(C, "6-T", birth_name="Le Goffe", **sixth),
        someone(B, "6-Q", birth_name="Le Gof", **sixth),
        # One hospital's.
        someone(D, "5-P", birth_given="Paule", given_names="Paule"),
        someone(D, "5-Q", birth_given="Paule", given_names="Paule", birth_name="Le Gof"),
    ]


def everybody() -> list[Identity]:
    people = [identity for _, identity in Population(seed=43, records=200, twice=0.02)]
    random.Random(3).shuffle(people)
    return people + special()


def filled(patients: PatientService) -> list[int]:
    """By the rules alone; the rows' ids in an order of their own."""
    for identity in everybody():
        patients.feed(FeedIdentity(identity), Context())
    with patients.database.transaction() as work:
        ids = {value: key for key, value in work.connection.execute(text("SELECT id, value FROM patients_identity"))}
        for one, other in NOT_SAME:
            LinkStore(work).add(ids[one], ids[other], NO_MATCH, Word(author="steward"))
    patients.weigh = weigh(CAREFUL)
    Relinking(patients).remember(list(ids.values()))
    names = sorted(ids)
    random.Random(5).shuffle(names)
    return [ids[name] for name in sorted(names, key=lambda name: name not in FIRST)]


def one_by_one(patients: PatientService, ids: Sequence[int]) -> int:
    joined = 0
    for key in ids:
        with patients.database.transaction() as work:
            store = PatientStore(work)
            assert patients.weigh is not None
            linker = Linker(store, patients.affinity_domain, Context(), patients.weigh(work, store))
            placed = Placed(store.by_ids([key])[0])
            linker.revisit([key], placed)
            joined += bool(placed.persons)
    return joined


def together(patients: PatientService, ids: Sequence[int], size: int = 50) -> int:
    index = Relinking(patients)
    return sum(index.look_again(ids[start : start + size], Context()) for start in range(0, len(ids), size))


Row = tuple[object, ...]


def found(patients: PatientService) -> tuple[list[tuple[str, str]], list[Row], list[Row], list[Row]]:
    """Persons, aliases, links, questions: by the identities' numbers."""
    with patients.database.reading() as work:
        run = work.connection.execute
        rows = [tuple(row) for row in run(text("SELECT id, value, person FROM patients_identity ORDER BY id"))]
        names = {key: value for key, value, _ in rows}
        oldest: dict[int, str] = {}
        for _, value, person in rows:
            oldest.setdefault(person, value)
        aliases = run(text("SELECT id, survivor, external FROM patients_person ORDER BY id"))
        links = run(text("SELECT one, other, rule, evidence, ended_why, ended_at IS NULL FROM patients_link"))
        tasks = [tuple(row) for row in run(text(_TASKS))]
        about = [tuple(row) for row in run(text("SELECT identity, task FROM patients_task_about ORDER BY task"))]
    who = {task: sorted(names[key] for key, _ in every) for task, every in itertools.groupby(about, lambda row: row[1])}
    return (
        [(value, oldest[person]) for _, value, person in rows],
        [(survivor and oldest[survivor], bool(external)) for _, survivor, external in aliases],
        sorted((names[one], names[two], *rest, bool(live)) for one, two, *rest, live in links),
        sorted(
            (kind, names[identity], reason, evidence, mark, bool(live), who.get(key, []))
            for key, kind, identity, reason, evidence, mark, live in tasks
        ),
    )


_TASKS = "SELECT id, kind, identity, reason, evidence, fingerprint, closed_at IS NULL FROM patients_task"


def test_together_as_one_by_one(patients: PatientService, other: PatientService) -> None:
    """With a no-match, different INS, chains of those who are moved, and questions that are asked anew."""
    ids, others = filled(patients), filled(other)
    assert found(patients) == found(other)
    assert together(patients, ids) == one_by_one(other, others) > 0
    asked = found(patients)
    assert asked == found(other)
    patients.weigh = other.weigh = weigh(ON)  # what was a question is a link now, and the question is closed
    assert together(patients, ids) == one_by_one(other, others) > 0
    assert found(patients) == found(other)
    persons, _, links, questions = found(patients)
    home = dict(persons)
    assert home["1-X"] == home["1-P"] != home["1-Q"]
    assert home["2-P"] != home["2-Q"]
    assert home["3-P"] == home["3-T"] != home["3-Q"]
    assert home["4-P"] == home["4-Q"] == home["4-R"]
    assert home["6-P"] == home["6-T"] != home["6-Q"]
    kinds = {(row[0], row[5]) for row in questions}
    assert {("bridge", True), ("possible", True), ("possible", False), ("duplicate", True)} <= kinds
    assert len(links) > len(asked[2])


def test_few_statements(patients: PatientService, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is decided alone is not read alone."""
    ids = filled(patients)
    alone: list[str] = []

    def noted(kind: type, name: str) -> None:
        plain = getattr(kind, name)

        def note(*args: Any, **others: Any) -> Any:
            alone.append(name)
            return plain(*args, **others)

        monkeypatch.setattr(kind, name, note)

    for name in ("members", "person", "by_ids", "candidates"):
        noted(PatientStore, name)
    for name in ("barred", "apart"):
        noted(LinkStore, name)
    assert together(patients, ids[:100], 100) > 0
    assert len(alone) < 5, alone


def test_what_changed_in_between_is_asked_for(patients: PatientService) -> None:
    """Somebody else's store in the same unit of work: nothing that was read is believed."""
    [key, *_] = ids = filled(patients)
    with patients.database.transaction() as work:
        assert patients.weigh is not None
        store = AgainStore(work, patients.affinity_domain)
        store.lock_links()
        store.revise(ids)
        patients.weigh(work, store).gather(store)
        [member] = store.by_ids([key])
        assert store.links.barred(key) == set()
        others = PatientStore(work)
        others.retire(member)
        others.links.add(key, ids[1], NO_MATCH, Word())
        assert not store.by_ids([key])[0].identity.active
        assert store.links.barred(key) == {ids[1]}


def test_keys_of_a_page(patients: PatientService) -> None:
    """Those that are missing come, those that are old go; who is in use no more has none."""
    ids = filled(patients)
    stored = keys(patients)
    with patients.database.transaction() as work:
        work.connection.execute(text("DELETE FROM patients_key WHERE identity % 3 = 0"))
        work.connection.execute(text("INSERT INTO patients_key (key, identity) SELECT id, id FROM patients_identity"))
        store = PatientStore(work)
        store.retire(store.by_ids(ids[:1])[0])
    assert keys(patients) != stored
    Relinking(patients).remember(ids)
    assert keys(patients) == {row for row in stored if row[1] != ids[0]}


def keys(patients: PatientService) -> set[Row]:
    with patients.database.reading() as work:
        return {tuple(row) for row in work.connection.execute(text("SELECT key, identity FROM patients_key"))}
