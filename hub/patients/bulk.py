"""Takes in many identities: the feeds' own use cases, a batch of them in one unit of work together with the journal.

So an import links as the same messages, one by one and in that order, would; and after a crash it goes on behind the
last batch that was committed."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from hub.context import Context
from hub.errors import HubError
from hub.patients.bulk_errors import ImportElsewhere
from hub.patients.bulk_feeding import BulkFeed, CarryOut
from hub.patients.bulk_model import Entry, Imported, Refusal
from hub.patients.model import Fed
from hub.patients.service import PatientService
from hub.patients.store_bulk import ImportStore
from hub.storage import savepoint
from hub.storage.engine import UnitOfWork, is_conflict

BATCH = 1_000  #: records in one unit of work
_REPORTED = 5_000
_FIELD = 80
_ATTEMPTS = 5
_FAILURES = 4  # in a batch, before each of the rest is carried out for itself
_AROUND = 32  # records that are carried out so from one that failed


class _Fails(Exception):
    """A record can't be carried out; ``place`` in its batch."""

    def __init__(self, place: int) -> None:
        self.place = place


class _Trial(Exception):
    """Take back what was only tried."""


class BulkService:
    """Imports. ``carry_out`` is the dispatcher's, for whatever is not a plain announcement; ``context`` makes each
    record's own."""

    def __init__(self, *, patients: PatientService, carry_out: CarryOut) -> None:
        self.database = patients.database
        self.feed = BulkFeed(patients, carry_out)

    @staticmethod
    def identify(source: str, *parts: bytes) -> str:
        """The id of an import: of one source, one content, one way to read it."""
        digest = hashlib.sha256()
        for part in (source.encode(), *parts):
            digest.update(hashlib.sha256(part).digest())
        return digest.hexdigest()

    def begin(self, import_id: str, source: str, *, again: bool = False) -> Imported:
        """Where the import is: at 0, or where an earlier run of it ended. ``again``: a complete one starts anew."""
        with self.database.transaction() as work:
            store = ImportStore(work)
            found = store.get(import_id)
            if found is not None and found.done_at is not None and again:
                store.forget(import_id)
                found = None
            return found or store.start(import_id, source)

    def take(self, at: Imported, entries: Sequence[Entry], context: Callable[[], Context]) -> Imported:
        """Take in a batch that follows ``at``; where the import is then. Durable when it returns.

        Raises ImportElsewhere when another process goes on with the same import."""
        failed = 0
        while entries:
            if failed == _FAILURES:
                return self._surely(at, entries, context, apart=True)
            try:
                return self._surely(at, entries, context)
            except _Fails as found:
                place = found.place
            failed += 1
            at = self._good(at, entries[:place], context)
            at = self._surely(at, entries[place : place + _AROUND], context, apart=True)
            entries = entries[place + _AROUND :]
        return at

    def _good(self, at: Imported, entries: Sequence[Entry], context: Callable[[], Context]) -> Imported:
        """Those before one that failed; nobody else may have changed anything meanwhile, but that is not certain."""
        if not entries:
            return at
        try:
            return self._surely(at, entries, context)
        except _Fails:
            return self._surely(at, entries, context, apart=True)

    def _surely(
        self, at: Imported, entries: Sequence[Entry], context: Callable[[], Context], *, apart: bool = False
    ) -> Imported:
        """An attempt, repeated where it was only in another one's way."""
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._attempt(at, entries, context, apart=apart)
            except Exception as error:
                if not is_conflict(error):
                    raise
        return self._attempt(at, entries, context, apart=apart)

    def trial(
        self, at: Imported, entries: Sequence[Entry], context: Callable[[], Context]
    ) -> tuple[Imported, list[Refusal]]:
        """As ``take``, and everything is taken back: what would be refused for itself or for what is known already."""
        for carry_out in (self._together, self._apart):
            try:
                with self.database.transaction() as work:
                    after, found = carry_out(work, at, entries, context)
                    raise _Trial
            except _Fails:
                continue
            except _Trial:
                break
        return after, found

    def _attempt(
        self, at: Imported, entries: Sequence[Entry], context: Callable[[], Context], *, apart: bool
    ) -> Imported:
        with self.database.transaction() as work:
            after, refused = (self._apart if apart else self._together)(work, at, entries, context)
            store = ImportStore(work)
            if not store.advance(at, after):
                raise ImportElsewhere()
            store.refuse(at.id, refused)
        return after

    def _together(
        self, work: UnitOfWork, at: Imported, entries: Sequence[Entry], context: Callable[[], Context]
    ) -> tuple[Imported, list[Refusal]]:
        """All, or none: _Fails names the first that can't be carried out for what was there before it."""
        commands = {place: entry.command for place, entry in enumerate(entries) if entry.command is not None}
        ahead = {id(entry.command): entry.forms for entry in entries if entry.forms is not None}
        batch = self.feed.batch(work, list(commands.values()), context(), ahead)
        counts: Counter[str] = Counter()
        errors: dict[int, HubError] = {}
        for place, command in commands.items():
            error = batch.refused.get(id(command))
            if error is not None:
                errors[place] = error
                continue
            try:
                counts[_kind(batch.carry_out(command, context))] += 1
            except HubError as failure:
                raise _Fails(place) from failure
        return _after(at, entries, counts, errors)

    def _apart(
        self, work: UnitOfWork, at: Imported, entries: Sequence[Entry], context: Callable[[], Context]
    ) -> tuple[Imported, list[Refusal]]:
        """Each for itself; those that fail are refused."""
        self.feed.alone(work)
        counts: Counter[str] = Counter()
        errors: dict[int, HubError] = {}
        for place, entry in enumerate(entries):
            if entry.command is None:
                continue
            try:
                with savepoint.apart(self.database):
                    counts[_kind(self.feed.dispatch(entry.command, context()))] += 1
            except HubError as failure:
                errors[place] = failure
        return _after(at, entries, counts, errors)

    def end(self, import_id: str) -> None:
        """The file's end was reached."""
        with self.database.transaction() as work:
            ImportStore(work).done(import_id)

    def refusals(self, import_id: str) -> Iterator[Refusal]:
        """Everything that was refused, in the file's order."""
        last = 0
        while True:
            with self.database.reading() as work:
                found = ImportStore(work).refusals(import_id, last, _REPORTED)
            if not found:
                return
            yield from found
            last = found[-1].record

    def reasons(self, import_id: str) -> list[tuple[str, int]]:
        """How many records were refused for what, the most frequent first."""
        with self.database.reading() as work:
            return ImportStore(work).reasons(import_id)


def _after(
    at: Imported, entries: Sequence[Entry], counts: Mapping[str, int], errors: Mapping[int, HubError]
) -> tuple[Imported, list[Refusal]]:
    """Where the import is behind these, and what of them was refused."""
    found = ((entry, entry.error or errors.get(place)) for place, entry in enumerate(entries))
    refused = [refusal(entry, error) for entry, error in found if error is not None]
    after = replace(
        at,
        position=at.position + len(entries),
        taken=at.taken + len(entries) - len(refused),
        refused=at.refused + len(refused),
        **{name: getattr(at, name) + counts.get(name, 0) for name in ("created", "linked", "known", "other")},
    )
    return after, refused


def refusal(entry: Entry, error: HubError) -> Refusal:
    """What is told of a record that was refused."""
    return Refusal(entry.record, entry.line, error.code, error.location[:_FIELD])


def _kind(outcome: object) -> str:
    if not isinstance(outcome, Fed):
        return "other"
    if outcome.created:
        return "created"
    if outcome.linked:
        return "linked"
    return "known" if outcome.reason == "known" else "other"
