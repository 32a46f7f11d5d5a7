"""The audit trail: one record for every transaction, chained by hashes, never changed.

A record is made when its transaction has ended, so it can't share the transaction's commit; and a commit of its own for
each would halve what the hub can take in. So ``record`` appends it to a spool file, which survives the process's death,
and a writer thread moves what has gathered into the database, many records a commit. What a killed process leaves in
its spool is taken up when the next one starts, each record once. An answer that takes long to send has its record
``begin`` before the first byte and written at the end, with what became of it; after a death it is as interrupted.
``sync`` makes every record survive a power failure as well, at the price of one disk flush each.
"""

import logging
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from hub.access.roles import purpose_of
from hub.audit.chain import dump, load
from hub.audit.errors import AuditUnavailable, SendingInterrupted
from hub.audit.model import AuditOutcome, AuditPage, AuditRecord, AuditSearch, ChainState
from hub.audit.spool import Batch, Spool
from hub.audit.store import AuditStore
from hub.audit.verification import Verification
from hub.context import TREATMENT, Context
from hub.errors import AccessDenied, Category, HubError, InternalError, NotAuthenticated
from hub.storage.engine import Database
from hub.values import new_key, now

log = logging.getLogger(__name__)

MAX_QUERY = 32 * 1024  #: bytes of a question that are kept
_MOST_WAITING = 20_000
_MOST_AT_ONCE = 1_000
_LINGER = 0.05
_REPLACED = "?"  #: by which ``dump`` replaces what no UTF-8 has
_RETRY_FIRST, _RETRY_LONGEST = 0.1, 5.0


class Event(Protocol):
    """What a transaction says about its audit message."""

    @property
    def code(self) -> str:
        """DCM event code."""
        ...

    @property
    def display(self) -> str:
        """The code's meaning."""
        ...

    @property
    def action(self) -> str:
        """C R U D E."""
        ...

    @property
    def type_code(self) -> str:
        """EventTypeCode where it is not the transaction."""
        ...


class Audited(Protocol):
    """A transaction's descriptor, as this room sees it."""

    @property
    def id(self) -> str:
        """ITI-18 ..."""
        ...

    @property
    def audit(self) -> Event:
        """Its audit message."""
        ...


class AuditService:
    """Records, finds and verifies.

    ``spool``: directory for records on their way; without one they wait in memory only (tests). Start it (or use it as
    a context manager) and stop it: an orderly stop writes everything."""

    def __init__(self, *, database: Database, spool: Path | None = None, sync: bool = False) -> None:
        self.database = database
        self._spool: Spool | _Memory = Spool(spool, sync=sync) if spool is not None else _Memory()
        self._changed = threading.Condition()
        self._records: list[AuditRecord] = []  # those of the spool, so that they need not be read again
        self._waiting = 0  # records put and not yet in the database
        self._put = 0  # records put so far
        self._kept = 0  # of these, in the database
        self._hurry = False
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._refused = False  # the disk took no record
        self._behind = False  # the database took none; the writer tries again and again

    def start(self) -> Self:
        """Take up what an earlier process left, start the writer. Calling it again does nothing."""
        with self._changed:
            if self._thread is not None:
                return self
            self._stopping = False
            self._thread = threading.Thread(target=self._run, name="audit-writer", daemon=True)
        for batch in self._spool.orphans():
            with self.database.transaction() as work:
                count = AuditStore(work).append(batch.bodies, unsure=True)
            log.info("audit records of an earlier process taken up", extra={"records": count})
        self._thread.start()
        return self

    def stop(self, timeout: float = 30.0) -> None:
        """Write everything and end. What can't be written within ``timeout`` seconds stays in the spool."""
        with self._changed:
            thread, self._thread = self._thread, None
            self._stopping = True
            self._changed.notify_all()
        if thread is not None:
            thread.join(timeout)
            if thread.is_alive():
                log.error("the audit writer did not end in time; its records stay in the spool")
                return
        self._spool.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    # Writing

    def record(self, transaction: Audited, context: Context, error: HubError | None, milliseconds: int) -> None:
        """Keep what happened. Raises AuditUnavailable when it can't be kept: then nothing may be answered."""
        self.add(_record(transaction, context, error, milliseconds))

    def begin(self, transaction: Audited, context: Context, milliseconds: int) -> Callable[[HubError | None], None]:
        """Note that an answer is about to be sent; what is returned records it, with what became of it.

        Raises AuditUnavailable: then nothing may be sent."""
        record = _record(transaction, context, SendingInterrupted(), milliseconds)
        if self._stopping:
            raise AuditUnavailable("The audit trail is closed.")
        try:
            self._spool.begin(record.id, dump(record))
        except OSError as error:
            raise self._no_room() from error

        def ended(error: HubError | None) -> None:
            self.add(replace(_record(transaction, context, error, milliseconds), id=record.id))
            self._spool.ended(record.id)

        return ended

    def record_within(self, entries: Sequence[tuple[Audited, Context, int]]) -> None:
        """Records of successful transactions (with their milliseconds), written in the open unit of work: they are
        there when its effect is, and only then. Raises AuditUnavailable."""
        if self._stopping:
            raise AuditUnavailable("The audit trail is closed.")
        with self.database.transaction() as work:
            AuditStore(work).add(
                [_record(transaction, context, None, milliseconds) for transaction, context, milliseconds in entries]
            )

    def add(self, record: AuditRecord) -> None:
        """Keep a record. Waits while too many are on their way. Raises AuditUnavailable."""
        body = dump(record)
        if self._thread is None and not self._stopping:
            self.start()
        with self._changed:
            self._changed.wait_for(lambda: self._waiting < _MOST_WAITING or self._stopping)
            if self._stopping:
                raise AuditUnavailable("The audit trail is closed.")
            try:
                self._spool.put(body)
            except OSError as error:
                raise self._no_room() from error
            # What no UTF-8 has was replaced in the text: there the record is what the text says.
            self._records.append(load(body) if _REPLACED in body else record)
            self._waiting += 1
            self._put += 1
            if self._waiting in (1, _MOST_AT_ONCE):
                self._changed.notify_all()

    def _no_room(self) -> AuditUnavailable:
        self._refused = True
        log.critical("the audit spool can't be written", exc_info=True)
        return AuditUnavailable()

    def trouble(self) -> str:
        """Why nothing can be recorded now, "" when it can: what the last writing said. Nothing is written to find out,
        but where the disk took no record the last time."""
        if self._refused:
            with self._changed:
                self._refused = not self._spool.writable()
        if self._refused:
            return "the audit trail's directory can't be written"
        return "the database can't be written: audit records wait" if self._behind else ""

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until everything recorded so far is in the database; False when that takes longer.

        Never call it inside a unit of work that writes: the writer would wait for its end."""
        with self._changed:
            goal = self._put
            if self._kept >= goal:
                return True
            self._hurry = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._kept >= goal, timeout)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopping)
                if not self._waiting:
                    return
                # A moment for others to come along: one commit for all of them.
                self._changed.wait_for(
                    lambda: self._hurry or self._stopping or self._waiting >= _MOST_AT_ONCE, timeout=_LINGER
                )
                self._hurry = False
                batch = self._spool.take()
                records, self._records = self._records, []
            if not self._write(batch, records):
                return
            self._spool.done(batch)
            with self._changed:
                self._waiting -= len(batch.bodies)
                self._kept += len(batch.bodies)
                self._changed.notify_all()

    def _write(self, batch: Batch, records: Sequence[AuditRecord]) -> bool:
        """Append, however long the database takes to come back; False when the hub stops before."""
        pause, unsure = _RETRY_FIRST, False
        while True:
            try:
                with self.database.transaction() as work:
                    store = AuditStore(work)
                    if unsure:
                        store.append(batch.bodies, unsure=True)
                    else:
                        store.add(records, batch.bodies)
                self._behind = False
                return True
            except Exception:
                # Whatever the database's trouble is, the records must not be lost: they are in the spool as well.
                log.exception("audit records can't be written; trying again", extra={"records": len(batch.bodies)})
                unsure = self._behind = True  # the commit may have worked without our hearing of it
            if self._stopping and pause > 1.0:
                return False
            time.sleep(pause)
            pause = min(pause * 2, _RETRY_LONGEST)

    # Reading

    def keep(self, records: Sequence[AuditRecord]) -> None:
        """Add records of other systems, in one unit of work. Raises AuditUnavailable."""
        if self._stopping:
            raise AuditUnavailable("The audit trail is closed.")
        with self.database.transaction() as work:
            AuditStore(work).add(records)

    def search(self, search: AuditSearch) -> AuditPage:
        """One page, newest first, with everything that this process recorded so far."""
        self.flush(2.0)
        with self.database.reading() as work:
            return AuditStore(work).search(search)

    def recent(self, *, limit: int = 50, before: str = "") -> Sequence[AuditRecord]:
        """The latest records, newest first; ``before``: older than the record of this id."""
        self.flush(2.0)
        with self.database.reading() as work:
            store = AuditStore(work)
            position = store.position_of(before) if before else None
            return store.search(AuditSearch(limit=limit, cursor=str(position) if position else "")).records

    def count(self, search: AuditSearch | None = None) -> int:
        """How many records a search finds; without one, all."""
        self.flush(2.0)
        with self.database.reading() as work:
            return AuditStore(work).count(search or AuditSearch())

    def head(self) -> tuple[int, str]:
        """Position and hash of the last record: noted elsewhere, they prove later that nothing was cut off."""
        self.flush(2.0)
        with self.database.reading() as work:
            return AuditStore(work).head()

    def verify(
        self, *, noted: tuple[int, str] | None = None, progress: Callable[[int], None] | None = None
    ) -> ChainState:
        """Check every record against the hash before it, the chain against its head, and against a head that was
        ``noted`` elsewhere. ``progress`` is told a position now and then."""
        self.flush(2.0)
        with self.database.reading() as work:
            return Verification(work, noted, progress or (lambda _position: None)).run()


def _record(transaction: Audited, context: Context, error: HubError | None, milliseconds: int) -> AuditRecord:
    return AuditRecord(
        id=new_key(),
        at=now(),
        transaction=transaction.id,
        event_code=transaction.audit.code,
        event_display=transaction.audit.display,
        action=context.action or transaction.audit.action,
        outcome=outcome_of(error),
        principal_id=context.principal.id,
        principal_name=context.principal.name,
        scheme=context.principal.scheme.value,
        purpose=_purpose(context),
        peer=context.peer,
        source=context.source,
        correlation_id=context.correlation_id,
        message_id=context.message_id,
        error_code=error.code if error else "",
        detail=error.message if error else "",
        milliseconds=milliseconds,
        objects=tuple(context.touched),
        event_type=transaction.audit.type_code if transaction.audit.type_code != transaction.id else "",
        control_id=context.control_id,
        organisation=context.principal.organisation,
        roles=tuple(sorted(context.principal.roles)),
        person=context.principal.person,
        professional=context.principal.professional,
        reason=context.principal.reason,
        node=context.principal.node,
        level=context.principal.level,
        secret=context.principal.secret,
        called=context.called,
        query=b64encode(context.query[:MAX_QUERY]).decode(),
        query_form=context.query_form,
    )


def _purpose(context: Context) -> str:
    """What was said; else what the roles are for of a person who treats nobody."""
    said = context.purpose
    return (purpose_of(context.principal.roles) if said == TREATMENT and context.principal.person else "") or said


def outcome_of(error: HubError | None) -> AuditOutcome:
    """EventOutcomeIndicator (DICOM PS3.15: A.5.3): 4 for a request that can't be, 8 for a refusal or a failure that may
    pass, 12 for a defect of the hub."""
    if error is None:
        return AuditOutcome.SUCCESS
    if isinstance(error, InternalError):
        return AuditOutcome.MAJOR_FAILURE
    refused = isinstance(error, NotAuthenticated | AccessDenied)
    if refused or error.category in (Category.TRANSIENT, Category.CONFIGURATION):
        return AuditOutcome.SERIOUS_FAILURE
    return AuditOutcome.MINOR_FAILURE


class _Memory:
    """A spool without a file."""

    def __init__(self) -> None:
        self._bodies: list[str] = []

    def put(self, body: str) -> None:
        self._bodies.append(body)

    def begin(self, key: str, body: str) -> None:
        """Nothing outlives the process."""

    def ended(self, key: str) -> None:
        """Nothing to remove."""

    def take(self) -> Batch:
        batch = Batch(self._bodies, Path())
        self._bodies = []
        return batch

    def done(self, batch: Batch) -> None:
        """Nothing to remove."""

    def close(self) -> None:
        """Nothing to close."""

    def writable(self) -> bool:
        return True

    def orphans(self) -> tuple[Batch, ...]:
        return ()
