"""The one path of every transaction.

receive -> authenticate -> permit the transaction -> decode strictly -> permit the command -> keep the raw message
(where it changes state) -> service in one unit of work -> encode -> answer; audit always, in a ``finally``.
"""

import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from hub.access.assertion_errors import AssertionRefused
from hub.access.model import Credentials, Principal
from hub.context import Context
from hub.errors import AccessDenied, HubError, InternalError, Malformed, NotAuthenticated, TooLarge
from hub.pipeline.catalogue import Bound
from hub.pipeline.transaction import UNREADABLE, Durability, Kind, Transaction
from hub.storage.engine import Database, is_conflict
from hub.usecase import Command, Dispatcher

log = logging.getLogger(__name__)

#: Errors that say the request was never understood or allowed: answered in the wire's own way (SOAP fault, 401, AR).
OF_THE_WIRE = (Malformed, NotAuthenticated, AccessDenied, InternalError, TooLarge)

_ATTEMPTS = 3  #: of a message whose unit of work the database took back for the sake of another one

Refuse = Callable[[HubError, Any, Context], Any]
Question = Callable[[str, Any], tuple[bytes, str]]  #: of a wire's message, with the form that it has


class Message(Protocol):
    """What the pipeline needs of a received message, whatever its wire."""

    @property
    def raw(self) -> bytes:
        """The bytes as received."""
        ...

    @property
    def control_id(self) -> str:
        """What the sender calls it."""
        ...

    @property
    def event(self) -> str:
        """What it is about."""
        ...


class Access(Protocol):
    """The access room, as the pipeline sees it."""

    def authenticate(self, credentials: Credentials) -> Principal:
        """Who the caller is; ANONYMOUS when nothing was shown. Raises NotAuthenticated."""
        ...

    def transmitter(self, credentials: Credentials) -> Principal:
        """The system that calls, for whomever it does. Raises NotAuthenticated."""
        ...

    def prove(self, credentials: Credentials) -> Credentials:
        """The same credentials, with whom they are of. Raises NotAuthenticated."""
        ...

    def permit(self, principal: Principal, permission: str, context: Context, command: Command | None = None) -> None:
        """Raises NotAuthenticated or AccessDenied."""
        ...


class Audit(Protocol):
    """The audit room, as the pipeline sees it."""

    def record(self, transaction: Transaction, context: Context, error: HubError | None, milliseconds: int) -> None:
        """Keep what happened."""
        ...

    def begin(self, transaction: Transaction, context: Context, milliseconds: int) -> Callable[[HubError | None], None]:
        """Keep that an answer is about to be sent; what is returned keeps what became of it."""
        ...


class Inbox(Protocol):
    """The exchange room's inbox, as the pipeline sees it. Calls join the open unit of work."""

    def keep(self, message: Message, transaction: str, wire: str, context: Context) -> bool:
        """Keep the bytes, set ``context.message_id``. False: these bytes were processed before (a repeat)."""
        ...

    def receive(self, message: Message, transaction: str, wire: str, context: Context) -> bool:
        """Keep the bytes only, durably, to be processed later in order. False: a repeat."""
        ...

    def processed(self, context: Context) -> None:
        """Note what the kept message led to."""
        ...

    def refused(self, message: Message, transaction: str, wire: str, context: Context, error: HubError) -> None:
        """Keep a message that could not be processed, with its reason."""
        ...

    def in_order(self, source: str) -> Any:
        """A context manager: one message per source at a time."""
        ...


class Metrics(Protocol):
    """Counts and times of transactions."""

    def transaction(self, transaction_id: str, outcome: str, seconds: float) -> None:
        """Count one: ``outcome`` is success, or the error's code."""
        ...


class Pipeline:
    """Carries every message along the one path."""

    def __init__(  # noqa: PLR0917 (the parts, in the order of the path)
        self,
        database: Database,
        dispatch: Dispatcher,
        access: Access,
        audit: Audit,
        inbox: Inbox,
        wires: Mapping[str, Refuse],
        metrics: Metrics,
    ) -> None:
        self.database = database
        self.dispatch = dispatch
        self.access = access
        self.audit = audit
        self.inbox = inbox
        self.wires = wires
        self.metrics = metrics
        self.question: Question | None = None  #: what was asked in a message, for the audit trail

    def run(self, bound: Bound, wire: str, message: Any, credentials: Credentials, context: Context) -> Any:
        """The wire's answer to a message; never raises a HubError.

        An answer that says that it is ``lasting`` is audited at its end, of which ``context.end`` is told by whoever
        sends it; and as interrupted should this process not live to see the end."""
        context.transaction = bound.id
        context.peer = context.peer or credentials.peer
        started = time.monotonic()
        failure: HubError | None = None
        lasting = False
        try:
            with self.database.holding():
                self.admit(credentials, context)
                self._note(bound, wire, message, context)
                self.access.permit(context.principal, bound.transaction.permission, context)
                answer = self._carry_out(bound, wire, message, context)
                failure, lasting = context.failed, getattr(answer, "lasting", False)
                return answer
        except HubError as error:
            failure = error
            return self.refusal(bound, wire, message, error, context)
        except Exception:
            log.exception("%s failed", bound.id, extra={"correlation_id": context.correlation_id})
            failure = InternalError(correlation_id=context.correlation_id)
            self._keep_refused(bound, wire, message, context, failure)
            return self.refusal(bound, wire, message, failure, context)
        finally:
            seconds = time.monotonic() - started
            if lasting:
                self._begin(bound, context, seconds)
            else:
                self.metrics.transaction(bound.id, failure.code if failure else "success", seconds)
                self.audit.record(bound.transaction, context, failure, int(seconds * 1000))

    def _begin(self, bound: Bound, context: Context, seconds: float) -> None:
        keep = self.audit.begin(bound.transaction, context, int(seconds * 1000))

        def ended(failure: HubError | None) -> None:
            self.metrics.transaction(bound.id, failure.code if failure else "success", seconds)
            keep(failure)

        context.at_end = ended

    def perform(self, transaction: Transaction, command: Command, principal: Principal, context: Context) -> Any:
        """The same path for a command that no wire carried (the portal, a worker). Raises HubError."""
        context.transaction, context.principal = transaction.id, principal
        started = time.monotonic()
        failure: HubError | None = None
        try:
            self.access.permit(principal, transaction.permission, context, command)
            return self.dispatch(command, context)
        except HubError as error:
            failure = error
            raise
        except Exception as error:
            log.exception("%s failed", transaction.id, extra={"correlation_id": context.correlation_id})
            failure = InternalError(correlation_id=context.correlation_id)
            raise failure from error
        finally:
            seconds = time.monotonic() - started
            self.metrics.transaction(transaction.id, failure.code if failure else "success", seconds)
            self.audit.record(transaction, context, failure, int(seconds * 1000))

    def accept(self, bound: Bound, wire: str, message: Any, credentials: Credentials, context: Context) -> None:
        """Keep the bytes and no more (HL7's enhanced mode); ``replay`` carries them out later. Raises HubError."""
        context.transaction = bound.id
        context.peer = context.peer or credentials.peer
        started = time.monotonic()
        failure: HubError | None = None
        try:
            self.admit(credentials, context)
            self.access.permit(context.principal, bound.transaction.permission, context)
            self.inbox.receive(message, bound.id, wire, context)
        except HubError as error:
            failure = error
            raise
        finally:
            self.audit.record(bound.transaction, context, failure, int((time.monotonic() - started) * 1000))

    def replay(self, bound: Bound, message: Any, context: Context) -> Any:
        """The answer to a kept message, carried out in the unit of work of the room that kept it. Raises HubError."""
        context.transaction = bound.id
        started = time.monotonic()

        def told(failure: HubError | None) -> None:
            seconds = time.monotonic() - started
            self.metrics.transaction(bound.id, failure.code if failure else "success", seconds)
            self.audit.record(bound.transaction, context, failure, int(seconds * 1000))

        with self.database.transaction() as work:
            try:
                command = bound.decode(message, context)
                self.access.permit(context.principal, bound.transaction.permission, context, command)
                outcome = self.dispatch(command, context)
            except Exception as error:
                failure = error if isinstance(error, HubError) else InternalError()
                work.on_rollback(partial(told, failure))  # within this unit of work the record would be lost with it
                raise
            told(None)
        return bound.encode(outcome, message, context)

    def unreadable(
        self, wire: str, message: Message, error: HubError, credentials: Credentials, context: Context
    ) -> HubError:
        """Bytes that no transaction takes: kept as refused where the caller is known, audited. What to answer with."""
        context.transaction = UNREADABLE.id
        context.peer = context.peer or credentials.peer
        failure = error
        try:
            self.admit(credentials, context)
            if not context.principal.authenticated:
                raise NotAuthenticated()
            self.inbox.refused(message, UNREADABLE.id, wire, context, error)
        except HubError as refused:
            failure = refused
        finally:
            self.metrics.transaction(UNREADABLE.id, failure.code, 0.0)
            self.audit.record(UNREADABLE, context, failure, 0)
        return failure

    def turned_away(
        self, error: HubError, credentials: Credentials, context: Context, bound: Bound | None = None
    ) -> HubError:
        """What came by HTTP and no transaction could take: audited, not kept. What to answer with."""
        transaction = bound.transaction if bound is not None else UNREADABLE
        context.transaction = transaction.id
        context.peer = context.peer or credentials.peer
        failure = error
        try:
            self.admit(credentials, context)
        except HubError as refused:
            failure = refused
        finally:
            self.metrics.transaction(transaction.id, failure.code, 0.0)
            self.audit.record(transaction, context, failure, 0)
        return failure

    def refusal(self, bound: Bound, wire: str, message: Any, error: HubError, context: Context) -> Any:
        """The answer that says no: the transaction's own form where it has one and the request was understood."""
        if bound.refuse is not None and not isinstance(error, OF_THE_WIRE):
            return bound.refuse(error, message, context)
        return self.wires[wire](error, message, context)

    def admit(self, credentials: Credentials, context: Context) -> None:
        """Who calls, and for which source: a client that is bound to one source can't speak for another."""
        try:
            context.principal = self.access.authenticate(credentials)
        except AssertionRefused:
            context.principal = self.access.transmitter(credentials)  # the audit trail tells which system showed it
            raise
        context.session = credentials.session
        own = context.principal.source
        if own and context.source and context.source != own:
            raise AccessDenied("This client may not speak for the sender that the message names.")
        context.source = context.source or own
        context.purpose = context.principal.purpose or context.purpose

    def _note(self, bound: Bound, wire: str, message: Any, context: Context) -> None:
        """What the audit trail tells of a message beside what was touched."""
        context.control_id = str(getattr(message, "control_id", ""))
        context.called = str(getattr(message, "path", "") or getattr(message, "called", ""))
        if self.question is not None and bound.transaction.kind is Kind.QUERY:
            context.query, context.query_form = self.question(wire, message)

    def _carry_out(self, bound: Bound, wire: str, message: Any, context: Context) -> Any:
        try:
            command = bound.decode(message, context)
            self.access.permit(context.principal, bound.transaction.permission, context, command)
            outcome = self._perform(bound, wire, message, command, context)
        except HubError as error:
            self._keep_refused(bound, wire, message, context, error)
            raise
        return bound.encode(outcome, message, context)

    def _perform(self, bound: Bound, wire: str, message: Any, command: Command, context: Context) -> Any:
        if bound.transaction.durability is Durability.NONE:
            return self.dispatch(command, context)
        again = _ATTEMPTS - 1 if command.repeatable else 0
        with self.inbox.in_order(context.source):
            for left in range(again, -1, -1):
                try:
                    return self._in_one(bound, wire, message, command, context)
                except Exception as error:
                    if not left or not is_conflict(error):
                        raise
                    log.info("%s is carried out again", bound.id, extra={"correlation_id": context.correlation_id})
                    context.forget()
        return None

    def _in_one(self, bound: Bound, wire: str, message: Any, command: Command, context: Context) -> Any:
        """Bytes and effect in one unit of work."""
        with self.database.transaction():
            if not self.inbox.keep(message, bound.id, wire, context):
                return None
            outcome = self.dispatch(command, context)
            self.inbox.processed(context)
            return outcome

    def _keep_refused(self, bound: Bound, wire: str, message: Any, context: Context, error: HubError) -> None:
        if bound.transaction.durability is Durability.INBOX and not isinstance(error, NotAuthenticated | AccessDenied):
            self.inbox.refused(message, bound.id, wire, context, error)
