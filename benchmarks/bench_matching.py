"""Who is it: precision and recall of the hub's online matcher, record by record, beside Splink's batch and
recordlinkage's ECM, on a made-up French population; F1 on FEBRL 1 to 4. Trained on one set, measured on another."""

import random
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import combinations
from typing import Any

from sqlalchemy import text

from benchmarks.febrl import f1_figures
from benchmarks.figures import Figure
from hub.app.patients.batch import meeting, scored
from hub.app.patients.training import train
from hub.context import Context
from hub.patients.authorities import AuthorityDirectory
from hub.patients.matching import SAME_AUTHORITY
from hub.patients.model import Authority, FeedIdentity, Identity
from hub.patients.scoring import Scorer, bits, prepared
from hub.patients.scoring.model import Model
from hub.patients.scoring.vetoes import DOUBTFUL, PROVISIONAL
from hub.patients.service import PatientService
from hub.patients.steward_model import FindTasks
from hub.patients.stewardship import Stewardship
from hub.patients.store_keys import KeyStore
from hub.patients.weighing import Policy, Weighing
from hub.storage import migrate
from hub.storage.engine import Database
from hub.testing.population import AUTHORITY, Population, population

TRAINED_ON, MEASURED_ON = 7, 100  # seeds
AUTOMATIC = 0.99
TOGETHER = 200  # records of one unit of work
DOMAIN = "1.2.250.1.999.1.1"
Pair = tuple[int, int]
_NEVER = frozenset({SAME_AUTHORITY, PROVISIONAL, DOUBTFUL})


def run(*, quick: bool) -> Iterator[Figure]:
    yield from f1_figures()
    records = 5_000 if quick else 100_000
    model = train((prepared(identity) for _, identity in population(TRAINED_ON, records)), "bench", told=_say)
    truth, identities = _measured(records)
    yield from _online(model, truth, identities)
    yield from _splink(model, truth, identities)
    yield from _ecm(truth, identities)


def _say(step: str) -> None:
    print(f"      {step}", file=sys.stderr, flush=True)


def _measured(records: int) -> tuple[list[int], list[Identity]]:
    """Who each record truly is, and the records in random order."""
    found = list(population(MEASURED_ON, records))
    random.Random(MEASURED_ON).shuffle(found)
    return [person for person, _ in found], [identity for _, identity in found]


class Truth:
    """What is true, and which of it a matcher may find: ``allowed`` leaves out what the rules forbid by themselves."""

    def __init__(self, persons: Sequence[int], identities: Sequence[Identity], scorer: Scorer) -> None:
        self.persons = persons
        of: defaultdict[int, list[int]] = defaultdict(list)
        for number, person in enumerate(persons):
            of[person].append(number)
        self.pairs = {pair for numbers in of.values() for pair in combinations(numbers, 2)}
        self.allowed = {
            (one, other)
            for one, other in self.pairs
            if not _NEVER & set(scorer.vetoes(identities[one], identities[other]))
        }

    def quality(self, found: set[Pair], *, allowed: bool = True) -> tuple[float, float]:
        """Precision, recall."""
        wanted = self.allowed if allowed else self.pairs
        right = len(found & self.pairs)
        return right / max(1, len(found)), len(found & wanted) / max(1, len(wanted))


def together(groups: Iterable[Iterable[int]]) -> set[Pair]:
    """Every two that are in one group."""
    return {pair for group in groups for pair in combinations(sorted(group), 2)}


# The hub, online


class Index:
    """A patient index of its own, fed record by record."""

    def __init__(self, directory: str, model: Model, name: str) -> None:
        self.database = Database(f"sqlite:///{directory}/{name}.sqlite")
        migrate.upgrade(self.database)
        authorities = [
            Authority(f"{AUTHORITY}.{number}", f"H{number}") for number in range(1, Population().hospitals + 1)
        ]
        known = AuthorityDirectory(database=self.database, configured=authorities)
        self.patients = PatientService(database=self.database, directory=known, affinity_domain=DOMAIN)
        scorer, policy = Scorer(model), Policy(AUTOMATIC, 0.5)
        self.patients.weigh = lambda work, store: Weighing(scorer, KeyStore(work), store, policy)

    def feed(self, identities: Sequence[Identity]) -> float:
        """Records a second."""
        started = time.perf_counter()
        for start in range(0, len(identities), TOGETHER):
            with self.database.transaction():
                for identity in identities[start : start + TOGETHER]:
                    self.patients.feed(FeedIdentity(identity), Context(source="bench"))
        return len(identities) / (time.perf_counter() - started)

    def persons(self, identities: Sequence[Identity]) -> dict[Hashable, list[int]]:
        """Record numbers of each person."""
        found: defaultdict[Hashable, list[int]] = defaultdict(list)
        with self.database.reading() as work:
            rows = work.connection.execute(text("SELECT value, authority, person FROM patients_identity"))
            where = {(value, authority): person for value, authority, person in rows}
        for number, identity in enumerate(identities):
            found[where[identity.identifier.value, identity.identifier.authority]].append(number)
        return found

    def open_tasks(self) -> dict[str, int]:
        """Open questions by kind."""
        page = Stewardship(patients=self.patients).tasks(FindTasks(limit=1), Context())
        return {kind.value: number for kind, number in page.open}


def _online(model: Model, persons: list[int], identities: list[Identity]) -> Iterator[Figure]:
    scorer = Scorer(model)
    truth = Truth(persons, identities, scorer)
    with tempfile.TemporaryDirectory() as directory:
        first = Index(directory, model, "one")
        speed = first.feed(identities)
        groups = first.persons(identities)
        found = together(groups.values())
        tasks = first.open_tasks()
        precision, recall = truth.quality(found)
        every = truth.quality(found, allowed=False)[1]
        note = (
            f"{len(identities):,} records; recall of pairs of one person in two hospitals that are both checked; of "
            f"all pairs, unchecked (PROV, RECUP) and twice in one hospital too: {every:.4f}"
        )
        yield Figure("matching", "automatic joins, precision", precision * 100, "%", goal=">= 99.95 %",
                     met=precision >= 0.9995, note=f"{len(found - truth.pairs)} wrong of {len(found):,}")  # fmt: skip
        yield Figure("matching", "automatic joins, recall", recall * 100, "%", goal=">= 98.5 %", met=recall >= 0.985,
                     note=note)  # fmt: skip
        per = sum(tasks.values()) / len(identities) * 1000
        kinds = ", ".join(f"{kind} {number}" for kind, number in sorted(tasks.items()) if number)
        yield Figure("matching", "worklist per 1,000 records", per, "tasks", goal="<= 20", met=per <= 20, note=kinds)
        yield Figure("matching", "feed with matching, SQLite, one writer", speed, "records/s",
                     note=f"{TOGETHER} records to a unit of work")  # fmt: skip
        order = list(range(len(identities)))
        random.Random(2).shuffle(order)
        second = Index(directory, model, "two")
        second.feed([identities[number] for number in order])
        again = second.persons(identities)
        same = {frozenset(group) for group in groups.values()}
        moved = same - {frozenset(group) for group in again.values()}
        twice = [group for group in moved if _twice(group, persons, identities)]
        share = (len(moved) - len(twice)) / len(same) * 100
        yield Figure("matching", "persons that another order of arrival changes", share, "%", goal="<= 0.1 %",
                     met=share <= 0.1, note=f"beside {len(twice) / len(same):.2%} whom one hospital has twice: their "
                     "other records join the one that is there first, and bridge them when both are")  # fmt: skip
        first.database.dispose()
        second.database.dispose()


def _twice(group: Iterable[int], persons: Sequence[int], identities: Sequence[Identity]) -> bool:
    """Whether one hospital has somebody of the group under two numbers."""
    wanted = {persons[number] for number in group}
    seen = [(who, identities[number].identifier.authority) for number, who in enumerate(persons) if who in wanted]
    return len(seen) > len(set(seen))


# The peers


def _clusters(size: int, pairs: Iterable[Pair]) -> set[Pair]:
    """Pairs of connected components: what a batch calls persons."""
    parent = list(range(size))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    for one, other in pairs:
        parent[root(one)] = root(other)
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for number in range(size):
        groups[root(number)].append(number)
    return together(groups.values())


def _splink(model: Model, persons: list[int], identities: list[Identity]) -> Iterator[Figure]:
    scorer = Scorer(model)
    truth = Truth(persons, identities, scorer)
    started = time.perf_counter()
    pairs = {(one, other) for one, other, weight in scored(model, identities) if weight >= bits(AUTOMATIC)}
    took = time.perf_counter() - started
    for name, kept in (
        ("Splink batch", pairs),
        ("Splink batch with the hub's vetoes",
         {pair for pair in pairs if not scorer.vetoes(identities[pair[0]], identities[pair[1]])}),
    ):  # fmt: skip
        precision, recall = truth.quality(_clusters(len(identities), kept))
        yield Figure("matching", f"peer: {name}, precision", precision * 100, "%", note=f"same model, {took:.0f} s")
        yield Figure("matching", f"peer: {name}, recall", recall * 100, "%")


def _ecm(persons: list[int], identities: list[Identity]) -> Iterator[Figure]:
    import pandas  # noqa: PLC0415 (of the benchmarks alone)
    import recordlinkage  # noqa: PLC0415

    truth = Truth(persons, identities, Scorer())
    records = [prepared(identity) for identity in identities]
    columns = ("name", "given", "born", "place", "sex", "postcode", "phone", "ins")
    frame = pandas.DataFrame({name: [getattr(record, name) or None for record in records] for name in columns})
    pairs = sorted({(min(pair), max(pair)) for pair in meeting(records)})
    index = pandas.MultiIndex.from_tuples(pairs)
    compare: Any = recordlinkage.Compare()
    for name in ("name", "given"):
        compare.string(name, name, method="jarowinkler", threshold=0.92, label=name)
    for name in columns[2:]:
        compare.exact(name, name, label=name)
    found = recordlinkage.ECMClassifier(binarize=None).fit_predict(compare.compute(index, frame))
    precision, recall = truth.quality(_clusters(len(identities), [(int(a), int(b)) for a, b in found]))
    yield Figure("matching", "peer: recordlinkage ECM, precision", precision * 100, "%", note="on the hub's keys")
    yield Figure("matching", "peer: recordlinkage ECM, recall", recall * 100, "%")
