"""The whole index, looked at again: keys for every identity, and the rules and the score for those named.

Never clustered anew: an identity joins, or a steward is asked, as if it had just been fed."""

from collections.abc import Iterable, Iterator, Sequence

from hub.context import Context
from hub.patients.linking import Linker, Placed
from hub.patients.service import PatientService
from hub.patients.store import Member, PatientStore
from hub.patients.store_keys import KeyReader
from hub.patients.weighing import SCORE

PAGE = 1000


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

    def remember(self, members: Iterable[Member]) -> None:
        """Store the blocking keys of identities, in one unit of work."""
        with self.patients.database.transaction() as work:
            store = PatientStore(work)
            weighing = self.patients.weigh(work, store) if self.patients.weigh is not None else None
            if weighing is not None:
                for member in store.by_ids([member.id for member in members]):
                    weighing.remember(member)

    def linked_by_score(self) -> set[tuple[int, int]]:
        """Pairs that a score linked, the smaller number first."""
        with self.patients.database.reading() as work:
            return KeyReader(work).linked_by(SCORE)

    def look_again(self, identities: Sequence[int], context: Context) -> int:
        """Join each where the rules or the score say so, else ask; how many found somebody. One unit of work."""
        joined = 0
        with self.patients.database.transaction() as work:
            store = PatientStore(work)
            store.lock_links()
            weighing = self.patients.weigh(work, store) if self.patients.weigh is not None else None
            linker = Linker(store, self.patients.affinity_domain, context, weighing)
            for member in store.by_ids(identities):
                placed = Placed(member)
                linker.revisit([member.id], placed)
                if placed.persons:
                    joined += 1
                    touched = list(self.patients.survivors(store, placed.persons).values())
                    self.patients.tell(touched, placed, context)
        return joined
