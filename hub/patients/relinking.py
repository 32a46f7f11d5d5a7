"""The whole index, looked at again: keys for every identity, and the rules and the score for those named.

Never clustered anew: an identity joins, or a steward is asked, as if it had just been fed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hub.context import Context
from hub.errors import Misconfigured
from hub.patients.asking import evidence_of
from hub.patients.linking import Linker, Placed
from hub.patients.model import TaskKind
from hub.patients.service import PatientService
from hub.patients.store import Member, PatientStore
from hub.patients.store_again import AgainStore
from hub.patients.store_keys import KeyReader, KeyStore
from hub.patients.store_snapshot import Asked, Pair, SnapshotReader
from hub.patients.weighing import SCORE, Found, Weighing
from hub.storage.engine import UnitOfWork

PAGE = 1000


@dataclass(frozen=True, slots=True)
class Made:
    """Blocking keys of an identity, made of what was read of it."""

    mark: int  #: (``hub.patients.store_snapshot.mark``)
    keys: Sequence[int]


@dataclass(frozen=True, slots=True)
class Judged:
    """What the score says of a pair of two persons that no veto settles. ``link``: it links them, else it asks."""

    pair: Pair
    link: bool
    kind: TaskKind
    evidence: str


@dataclass(frozen=True, slots=True)
class Said:
    """What is known of pairs already: two people; asked."""

    barred: set[Pair]
    asked: Mapping[tuple[Pair, TaskKind], Asked]

    def news(self, found: Judged) -> bool:
        """Whether it has not been asked or answered before."""
        asked = self.asked.get((found.pair, found.kind))
        return found.link or asked is None or asked.evidence != found.evidence

    def outdated(self, asked: set[tuple[Pair, TaskKind]]) -> set[int]:
        """Whose open questions nobody would ask today."""
        return {item.identity for key, item in self.asked.items() if item.open and item.evidence and key not in asked}


class Relinking:
    """Needs ``patients.weigh``: matching must be on."""

    def __init__(self, patients: PatientService) -> None:
        self.patients = patients

    def count(self) -> int:
        """Identities in use."""
        with self.patients.database.reading() as work:
            return KeyReader(work).count()

    def identities(self) -> Iterator[Sequence[Member]]:
        """Every identity in use, a page at a time: no reading lasts longer than a page."""
        after = 0
        while True:
            with self.patients.database.reading() as work:
                page = KeyReader(work).page(after, PAGE)
            if not page:
                return
            yield page
            after = page[-1].id

    def fill(self, rows: Sequence[tuple[int, int]]) -> None:
        """Store (key, identity) of those whose keys nobody has stored yet. ``remember`` is to follow: until then they
        are missing as before."""
        with self.patients.database.transaction() as work:
            KeyStore(work).fill(rows)

    def remember(self, identities: Sequence[int], made: Mapping[int, Made] | None = None) -> None:
        """Store the blocking keys of identities, in one unit of work. ``made``: keys for those that are still as they
        were when these were made."""
        if not identities:
            return
        with self.patients.database.transaction() as work:
            store, weighing = self._weighing(work)
            marks, made = SnapshotReader(work).hold(identities), made or {}
            right = {key: its.keys for key, its in made.items() if its.mark == marks.get(key)}
            weighing.remember_all(store.by_ids([key for key in identities if key not in right]), right)

    def linked_by_score(self) -> set[Pair]:
        """Pairs that a score linked."""
        with self.patients.database.reading() as work:
            return SnapshotReader(work).linked_by(SCORE)

    def said(self) -> "Said":
        """What is known of pairs already."""
        with self.patients.database.reading() as work:
            reader = SnapshotReader(work)
            return Said(reader.barred(), {(item.pair, item.kind): item for item in reader.asked()})

    def judge(self, pairs: Iterable[Pair]) -> list[Judged]:
        """Pairs of two persons as a feed would judge them: those that are not settled. Whose they are is not asked:
        what is decided meanwhile changes nothing here."""
        some, judged = list(pairs), []
        with self.patients.database.reading() as work:
            store, weighing = self._weighing(work)
            members = {item.id: item for item in store.by_ids({key for pair in some for key in pair})}
            for one, other in some:
                if one in members and other in members:
                    found = weighing.judged(members[one].identity, members[other])
                    if found:
                        judged.append(_judged((one, other), found))
        return judged

    def _weighing(self, work: UnitOfWork) -> tuple[PatientStore, Weighing]:
        store = PatientStore(work)
        return store, self._weigh(work, store)

    def _weigh(self, work: UnitOfWork, store: PatientStore) -> Weighing:
        if self.patients.weigh is None:
            raise Misconfigured("Matching is off.")
        return self.patients.weigh(work, store)

    def look_again(self, identities: Sequence[int], context: Context) -> int:
        """Join each, in this order, where the rules or the score say so, else ask; how many found somebody. One unit
        of work, for which everything that concerns them is read at once."""
        joined = 0
        with self.patients.database.transaction() as work:
            store = AgainStore(work, self.patients.affinity_domain)
            weighing = self._weigh(work, store)
            store.lock_links()
            store.revise(identities)
            weighing.gather(store)
            linker = Linker(store, self.patients.affinity_domain, context, weighing)
            for identity in identities:
                [member] = store.by_ids([identity])
                placed = Placed(member)
                linker.revisit([identity], placed)
                if placed.persons:
                    joined += 1
                    self.patients.tell(store, self.patients.survivors(store, placed.persons), placed, context)
        return joined


def _judged(pair: Pair, found: Found) -> Judged:
    if found.allies:
        return Judged(pair, True, TaskKind.POSSIBLE, "")
    kind = TaskKind.DUPLICATE if found.duplicates else TaskKind.POSSIBLE
    [score] = (found.duplicates or found.possible).values()
    return Judged(pair, False, kind, evidence_of(score))
