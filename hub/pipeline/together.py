"""Several messages along the one path, with one commit for all of them (docs/decisions/0005).

Only what goes well is answered here. A message that can't be decoded, may not be carried out or fails leaves no trace
and is handed back: :meth:`Pipeline.run` carries it out alone, and says, keeps and audits what is wrong with it. So it
is with all of them when their commit fails."""

import logging
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from hub.access.model import Credentials
from hub.context import Context
from hub.errors import HubError
from hub.pipeline.catalogue import Bound
from hub.pipeline.pipeline import Pipeline
from hub.pipeline.transaction import Transaction
from hub.usecase import Command

log = logging.getLogger(__name__)

_ATTEMPTS = 2  #: one message that fails costs the others one repetition, a second one sends them all their own way


@dataclass(frozen=True, slots=True)
class Call:
    """One message: what takes it, and who sent it."""

    bound: Bound
    message: Any
    credentials: Credentials
    context: Context


class Sources(Protocol):
    """The exchange room's order of sources, for several at a time."""

    def at_once(self, sources: Iterable[str]) -> AbstractContextManager[frozenset[str]]:
        """Those of the sources that nobody else works for: theirs is the turn until the end."""
        ...

    def hold(self, messages: Sequence[tuple[Any, Context]]) -> None:
        """Before the messages are kept: keep other processes from their sources, in the open unit of work."""
        ...


class Records(Protocol):
    """The audit room, as it takes part in a unit of work."""

    def record_within(self, entries: Sequence[tuple[Transaction, Context, int]]) -> None:
        """Records of successful transactions (with their milliseconds), durable with the open unit of work."""
        ...


@dataclass(slots=True)
class _Decoded:
    place: int
    call: Call
    command: Command
    started: float


class _Fails(Exception):
    def __init__(self, item: _Decoded) -> None:
        self.item = item


class Together:
    """Carries messages that came at the same time along the one path."""

    def __init__(self, pipeline: Pipeline, sources: Sources, records: Records) -> None:
        self.pipeline = pipeline
        self.sources = sources
        self.records = records

    def run(self, wire: str, calls: Sequence[Call]) -> list[Any]:
        """The answers, in the calls' order; None for each that has to be run alone.

        An answer means that the bytes, what they led to and the audit record are durable."""
        answers: list[Any] = [None] * len(calls)
        items = [item for place, call in enumerate(calls) if (item := self._decoded(place, call)) is not None]
        if len(items) != len({item.call.context.source for item in items}):
            items = _first_of_each_source(items)
        with self.sources.at_once([item.call.context.source for item in items]) as free:
            items = [item for item in items if item.call.context.source in free]
            for _ in range(_ATTEMPTS):
                failed = self._attempt(wire, items, answers)
                if failed is None:
                    break
                items = [item for item in items if item is not failed]
                for item in items:
                    item.call.context.forget()
        return answers

    def _decoded(self, place: int, call: Call) -> _Decoded | None:
        """As far as the database is not needed; None where it goes wrong."""
        started = time.monotonic()
        bound, context, access = call.bound, call.context, self.pipeline.access
        context.transaction = bound.id
        context.peer = context.peer or call.credentials.peer
        try:
            self.pipeline.admit(call.credentials, context)
            access.permit(context.principal, bound.transaction.permission, context)
            command = bound.decode(call.message, context)
            access.permit(context.principal, bound.transaction.permission, context, command)
        except Exception:  # Pipeline.run meets it again, and says what it is
            return None
        return _Decoded(place, call, command, started)

    def _attempt(self, wire: str, items: Sequence[_Decoded], answers: list[Any]) -> _Decoded | None:
        """Carry all out in one unit of work; the one that fails, None when all is done or nothing can be."""
        if not items:
            return None
        found: list[Any] = []
        try:
            with self.pipeline.database.transaction():
                self.sources.hold([(item.call.message, item.call.context) for item in items])
                self.pipeline.dispatch.ahead([(item.command, item.call.context) for item in items])
                for item in items:
                    try:
                        found.append(self._carry_out(wire, item))
                    except Exception as error:
                        raise _Fails(item) from error
                at = time.monotonic()
                self.records.record_within(
                    [
                        (item.call.bound.transaction, item.call.context, int((at - item.started) * 1000))
                        for item in items
                    ]
                )
        except _Fails as failed:
            return failed.item
        except Exception as error:
            # Their commit, or the database itself: each tries again alone and answers for itself.
            log.warning("%d messages could not be committed together", len(items), exc_info=not_ours(error))
            return None
        ended = time.monotonic()
        for item, answer in zip(items, found, strict=True):
            answers[item.place] = answer
            self.pipeline.metrics.transaction(item.call.bound.id, "success", ended - item.started)
        return None

    def _carry_out(self, wire: str, item: _Decoded) -> Any:
        bound, message, context = item.call.bound, item.call.message, item.call.context
        inbox, outcome = self.pipeline.inbox, None
        if inbox.keep(message, bound.id, wire, context):
            outcome = self.pipeline.dispatch(item.command, context)
            inbox.processed(context)
        return bound.encode(outcome, message, context)


def not_ours(error: Exception) -> Exception | None:
    """What deserves a traceback."""
    return None if isinstance(error, HubError) else error


def _first_of_each_source(items: Iterable[_Decoded]) -> list[_Decoded]:
    """A source's second message waits for the outcome of its first."""
    first: dict[str, _Decoded] = {}
    for item in items:
        first.setdefault(item.call.context.source, item)
    return list(first.values())
