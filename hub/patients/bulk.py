"""Takes in many identities: the feeds' own use cases, a batch of them in one unit of work together with the journal.

So an import links as the same messages, one by one and in that order, would; and after a crash it goes on behind the
last batch that was committed."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from hub.context import Context
from hub.errors import HubError
from hub.patients.bulk_errors import ImportElsewhere
from hub.patients.bulk_model import Entry, Imported, Refusal
from hub.patients.model import Fed
from hub.patients.store_bulk import ImportStore
from hub.storage.engine import Database, is_conflict
from hub.usecase import Command

BATCH = 1_000  #: records in one unit of work
_REPORTED = 5_000
_FIELD = 80
_ATTEMPTS = 5

#: Carries out a command, and tells which come next in the open unit of work: ``hub.usecase.Dispatcher``.
Ahead = Callable[[Sequence[tuple[Command, Context]]], None]


class _Fails(Exception):
    """A record can't be carried out; ``place`` in its batch."""

    def __init__(self, place: int, error: HubError) -> None:
        self.place = place
        self.error = error


class _Trial(Exception):
    """Take back what was only tried."""


class BulkService:
    """Imports. ``carry_out`` and ``ahead`` are the dispatcher's; ``context`` makes each record's own."""

    def __init__(
        self, *, database: Database, carry_out: Callable[[Command, Context], Any], ahead: Ahead, batch: int = BATCH
    ) -> None:
        self.database = database
        self.carry_out = carry_out
        self.ahead = ahead
        self.batch = batch

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
        while entries:
            try:
                return self._surely(at, entries, context)
            except _Fails as failed:
                place = failed.place
            if place:
                at = self._surely(at, entries[:place], context)
            at = self._alone(at, entries[place], context)
            entries = entries[place + 1 :]
        return at

    def _alone(self, at: Imported, entry: Entry, context: Callable[[], Context]) -> Imported:
        """One that failed among others; where it fails again it is refused."""
        try:
            return self._surely(at, [entry], context, together=False)
        except _Fails as failed:
            return self._surely(at, [replace(entry, command=None, error=failed.error)], context)

    def _surely(
        self, at: Imported, entries: Sequence[Entry], context: Callable[[], Context], *, together: bool = True
    ) -> Imported:
        """An attempt, repeated where it was only in another one's way."""
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._attempt(at, entries, context, together=together)
            except _Fails:
                raise
            except Exception as error:
                if not is_conflict(error):
                    raise
        return self._attempt(at, entries, context, together=together)

    def trial(
        self, at: Imported, entries: Sequence[Entry], context: Callable[[], Context]
    ) -> tuple[Imported, list[Refusal]]:
        """As ``take``, and everything is taken back: what would be refused for itself or for what is known already."""
        while True:
            try:
                with self.database.transaction():
                    after, found = self._carry_out(at, entries, context)
                    raise _Trial
            except _Fails as failed:
                entry = entries[failed.place]
                entries = [*entries]
                entries[failed.place] = replace(entry, command=None, error=failed.error)
            except _Trial:
                return after, found

    def _attempt(
        self, at: Imported, entries: Sequence[Entry], context: Callable[[], Context], *, together: bool
    ) -> Imported:
        with self.database.transaction() as work:
            after, refused = self._carry_out(at, entries, context, together=together)
            store = ImportStore(work)
            if not store.advance(at, after):
                raise ImportElsewhere()
            store.refuse(at.id, refused)
        return after

    def _carry_out(
        self, at: Imported, entries: Sequence[Entry], context: Callable[[], Context], *, together: bool = True
    ) -> tuple[Imported, list[Refusal]]:
        calls = [(place, entry.command, context()) for place, entry in enumerate(entries) if entry.command is not None]
        if together:
            self.ahead([(command, its) for _, command, its in calls])
        counts: Counter[str] = Counter()
        for place, command, its in calls:
            try:
                counts[_kind(self.carry_out(command, its))] += 1
            except HubError as error:
                raise _Fails(place, error) from error
        refused = [refusal(entry, entry.error) for entry in entries if entry.error is not None]
        after = replace(
            at,
            position=at.position + len(entries),
            taken=at.taken + len(calls),
            refused=at.refused + len(refused),
            **{name: getattr(at, name) + counts[name] for name in ("created", "linked", "known", "other")},
        )
        return after, refused

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
