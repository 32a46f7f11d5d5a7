"""The inbox and the outbox: what came in is kept, what must go out is delivered."""

import hashlib
import logging
import random
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import datetime, timedelta
from typing import Any, Protocol

from hub.access.model import HUB
from hub.context import Context, Touched
from hub.errors import Category, HubError, InternalError
from hub.exchange.errors import DeliveryNotFound, MessageNotFound, NotReplayable, Preempted
from hub.exchange.model import (
    Delivery,
    DeliveryState,
    DiscardDelivery,
    DiscardMessage,
    InboxMessage,
    MessageState,
    Page,
    ReplayDelivery,
    ReplayMessage,
    Summary,
)
from hub.exchange.store import DeliveryStore, MessageStore, Repeated, day_ago, new_id
from hub.storage.engine import Database, UnitOfWork, is_conflict
from hub.usecase import use_case
from hub.values import now

log = logging.getLogger(__name__)

#: Carries out the raw bytes of a kept message, inside the open unit of work. Raises HubError.
Processor = Callable[[bytes, Context], Any]

_LOCKS = 256
_CLOSED = (MessageState.PROCESSED, MessageState.RECEIVED)  # bytes that need not be taken a second time


class KeptMessage(Protocol):
    """What is kept of a message, whatever its wire."""

    @property
    def raw(self) -> bytes: ...  # noqa: D102

    @property
    def control_id(self) -> str: ...  # noqa: D102

    @property
    def event(self) -> str: ...  # noqa: D102


class ExchangeService:
    """Inbox (``hub.pipeline.pipeline.Inbox``) and outbox.

    ``processors``: by wire, what carries out messages that were only received so far (enhanced mode, replay); the
    wiring fills it. ``blocking``: destinations whose dead deliveries hold back the later ones. ``max_attempts``: after
    so many transient failures a message is refused, a delivery dead. ``backoff``: seconds before the second attempt,
    doubled each time up to ``longest_backoff``, with jitter."""

    def __init__(
        self,
        *,
        database: Database,
        processors: Mapping[str, Processor] | None = None,
        blocking: tuple[str, ...] = (),
        max_attempts: int = 20,
        backoff: float = 2.0,
        longest_backoff: float = 900.0,
    ) -> None:
        self.database = database
        self.processors: dict[str, Processor] = dict(processors or {})
        self.blocking = blocking
        self.max_attempts = max_attempts
        self.backoff = backoff
        self.longest_backoff = longest_backoff
        self.listeners: list[Callable[[], None]] = []  #: called after a commit that left work to do
        # A fixed number: names may come from messages, and two sources that share a lock only wait a little longer.
        self._sources = tuple(threading.RLock() for _ in range(_LOCKS))

    # The inbox

    def in_order(self, source: str) -> AbstractContextManager[Any]:
        """One message of a source at a time. Enter it before a unit of work, never inside one.

        Other processes are kept out by a lock that ``keep`` takes; an unknown source ("") has no order."""
        return self._sources[hash(source) % _LOCKS] if source else nullcontext()

    @contextmanager
    def at_once(self, sources: Iterable[str]) -> Iterator[frozenset[str]]:
        """As ``in_order`` for several: those of the sources that nobody works for at this moment."""
        with ExitStack() as held:
            yield frozenset(source for source in sources if not source or self._free(source, held))

    def _free(self, source: str, held: ExitStack) -> bool:
        lock = self._sources[hash(source) % _LOCKS]
        if not lock.acquire(blocking=False):
            return False
        held.callback(lock.release)
        return True

    def hold(self, messages: Sequence[tuple[KeptMessage, Context]]) -> None:
        """Before several are kept in the open unit of work: keep other processes from their sources till its end, and
        see which are repeats, in one statement each."""
        with self.database.transaction() as work:
            MessageStore(work).hold(
                [f"inbox:{context.source or message.control_id}" for message, context in messages],
                [(context.source, message.control_id) for message, context in messages],
            )

    def keep(self, message: KeptMessage, transaction: str, wire: str, context: Context) -> bool:
        """Keep the bytes in the open unit of work as processed: its commit makes bytes and effect durable together.

        Sets ``context.message_id``. False: the same bytes came under the same control id from the same source and
        were taken (a repeat); the id is that of the first, and so is what ``context`` tells that it led to."""
        return self._keep(message, transaction, wire, context, MessageState.PROCESSED)

    def processed(self, context: Context) -> None:
        """Note what the message led to, in the unit of work that kept it."""
        with self.database.transaction() as work:
            MessageStore(work).done(context.message_id, _stored(context.effects))

    def receive(self, message: KeptMessage, transaction: str, wire: str, context: Context) -> bool:
        """Keep the bytes only: durable when this returns, processed later in the source's order (enhanced mode).

        False: a repeat of what was taken before."""
        with self.in_order(context.source), self.database.transaction() as work:
            work.on_commit(self.wake)
            return self._keep(message, transaction, wire, context, MessageState.RECEIVED)

    def refused(self, message: KeptMessage, transaction: str, wire: str, context: Context, error: HubError) -> None:
        """Keep a message that could not be processed, with its reason; call it after its unit of work has ended."""
        with self.database.transaction() as work:
            store = MessageStore(work)
            sha256 = hashlib.sha256(message.raw).hexdigest()
            reason = {"state": MessageState.REFUSED, "reason": error.message, "error_code": error.code}
            found = self._repeat(store, message, transaction, context, sha256)
            if found is not None and found.state is MessageState.PROCESSED:
                return  # it was taken before: what failed was the answer to a repeat
            if found is not None:
                context.message_id = found.id
            if not store.change(context.message_id, attempts=MessageStore.ATTEMPTS + 1, processed_at=now(), **reason):
                context.message_id = context.message_id or new_id()
                row = self._row(
                    message, context, transaction=transaction, wire=wire, sha256=sha256, state=MessageState.REFUSED
                )
                store.add({**row, **reason})

    def _keep(self, message: KeptMessage, transaction: str, wire: str, context: Context, state: MessageState) -> bool:
        with self.database.transaction() as work:
            store = MessageStore(work)
            store.lock(f"inbox:{context.source or message.control_id}")
            sha256 = hashlib.sha256(message.raw).hexdigest()
            found = self._repeat(store, message, transaction, context, sha256)
            if found is not None:
                context.message_id = found.id
                if found.state in _CLOSED:
                    context.effects.update(dict.fromkeys(found.effects))  # its answer is the first one's
                    return False
                return store.change(found.id, state=state, due_at=None, attempts=MessageStore.ATTEMPTS + 1)
            context.message_id = new_id()
            store.add(self._row(message, context, transaction=transaction, wire=wire, sha256=sha256, state=state))
            return True

    @staticmethod
    def _repeat(
        store: MessageStore, message: KeptMessage, transaction: str, context: Context, sha256: str
    ) -> Repeated | None:
        if not message.control_id:
            return None  # without a control id nobody can tell a repeat from the same thing said twice
        return store.repeat(context.source, message.control_id, transaction, sha256)

    @staticmethod
    def _row(
        message: KeptMessage, context: Context, *, transaction: str, wire: str, sha256: str, state: MessageState
    ) -> dict[str, Any]:
        return {
            "id": context.message_id,
            "transaction": transaction,
            "wire": wire,
            "source": context.source,
            "control_id": message.control_id,
            "event": message.event,
            "state": state,
            "received_at": context.received_at,
            "processed_at": None if state is MessageState.RECEIVED else now(),
            "due_at": None,
            "attempts": 0 if state is MessageState.RECEIVED else 1,
            "reason": "",
            "error_code": "",
            "correlation_id": context.correlation_id,
            "peer": context.peer,
            "effects": [],
            "size": len(message.raw),
            "sha256": sha256,
            "raw": message.raw,
        }

    # Processing what was received

    def process_next(self) -> bool:
        """Process the oldest due message of each source that has one; False when there was nothing to do."""
        with self.database.reading() as work:
            heads = MessageStore(work).heads(now())
        done = [self.process(message_id, source) for source, message_id in heads]
        return any(done)

    def process(self, message_id: str, source: str) -> bool:
        """Process one RECEIVED message: effect and state in one commit. False: not ours to do.

        A transient failure leaves it RECEIVED for later, and with it what its source sent after it."""
        with self.in_order(source or message_id):  # until a refusal is kept, so that it is tried once
            return self._process(message_id, source)

    def _process(self, message_id: str, source: str) -> bool:
        message: InboxMessage | None = None
        try:
            with self.database.transaction() as work:
                store = MessageStore(work)
                store.lock(f"inbox:{source or message_id}")
                message = store.get(message_id)
                if message is None or message.state is not MessageState.RECEIVED:
                    return False
                processor = self.processors.get(message.wire)
                if processor is None:
                    return False
                context = _context(message)
                processor(message.raw, context)
                context.message_id = message_id
                store.change(message_id, attempts=MessageStore.ATTEMPTS + 1)
                self.processed(context)
        except HubError as error:
            self._failed(message_id, message.attempts if message else 0, error)
        except Exception as error:
            if is_conflict(error):
                self._failed(message_id, message.attempts if message else 0, Preempted())
                return True
            log.exception("message failed", extra={"correlation_id": message.correlation_id if message else ""})
            self._failed(message_id, 0, InternalError())
        return True

    def _failed(self, message_id: str, attempts: int, error: HubError) -> None:
        values: dict[str, Any] = {"reason": error.message, "error_code": error.code, "attempts": attempts + 1}
        if error.category is Category.TRANSIENT and attempts + 1 < self.max_attempts:
            values |= {"due_at": self.again_at(attempts + 1)}
        else:
            values |= {"state": MessageState.REFUSED, "processed_at": now()}
        with self.database.transaction() as work:
            MessageStore(work).change(message_id, **values)

    def again_at(self, attempts: int) -> datetime:
        """When to try again after so many attempts."""
        seconds: float = min(self.longest_backoff, self.backoff * 2 ** min(attempts - 1, 30))
        return now() + timedelta(seconds=seconds * random.uniform(0.75, 1.25))  # noqa: S311 (spreads load, no secret)

    # The outbox

    def enqueue(
        self,
        destination: str,
        kind: str,
        payload: Mapping[str, Any],
        context: Context,
        *,
        key: str = "",
        due_at: datetime | None = None,
    ) -> str:
        """Have something delivered once the open unit of work is committed; the delivery's id.

        ``payload``: JSON values. With ``key`` a delivery of the same destination, kind and key that still waits takes
        the newer payload (and ``due_at``) instead of a second one being queued."""
        with self.database.transaction() as work:
            store = DeliveryStore(work)
            work.on_commit(self.wake)
            found = store.coalesce(destination, kind, key, payload, due_at) if key else None
            if found is not None:
                return found
            created = now()
            delivery_id = new_id(created)
            store.add(
                {
                    "id": delivery_id,
                    "destination": destination,
                    "kind": kind,
                    "payload": dict(payload),
                    "state": DeliveryState.WAITING,
                    "key": key,
                    "attempts": 0,
                    "created_at": created,
                    "due_at": due_at or created,
                    "owner": "",
                    "reason": "",
                    "error_code": "",
                    "message_id": context.message_id,
                    "correlation_id": context.correlation_id,
                    "effects": [],
                }
            )
            return delivery_id

    def wake(self) -> None:
        """Tell the workers of this process that there is something to do."""
        for listener in self.listeners:
            listener()

    # What the operator sees and does

    def messages(self, page: Page) -> tuple[InboxMessage, ...]:
        """Kept messages, newest first, without their bytes."""
        with self.database.reading() as work:
            return MessageStore(work).list(page)

    def message(self, message_id: str) -> InboxMessage:
        """One message with its bytes. Raises MessageNotFound."""
        with self.database.reading() as work:
            return _found(MessageStore(work).get(message_id))

    def deliveries(self, page: Page) -> tuple[Delivery, ...]:
        """Deliveries, newest first; ``page.source`` names a destination."""
        with self.database.reading() as work:
            return DeliveryStore(work).list(page)

    def delivery(self, delivery_id: str) -> Delivery:
        """One delivery. Raises DeliveryNotFound."""
        with self.database.reading() as work:
            return _delivery(work, delivery_id)

    def summary(self) -> Summary:
        """Counts by state; PROCESSED and DONE of the last 24 hours."""
        with self.database.reading() as work:
            messages, oldest_message = MessageStore(work).counts(day_ago())
            deliveries, oldest_delivery = DeliveryStore(work).counts(day_ago())
        return Summary(messages, deliveries, oldest_message, oldest_delivery)

    @use_case
    def replay_message(self, command: ReplayMessage, context: Context) -> InboxMessage:
        """Process a refused or discarded message again: at once where this process can, else by the worker."""
        context.touch("message", command.message_id)
        message = self._set_message(command.message_id, MessageState.RECEIVED)
        if message.wire in self.processors:
            self.process(message.id, message.source)
        return self.message(command.message_id)

    @use_case
    def discard_message(self, command: DiscardMessage, context: Context) -> InboxMessage:
        """Put a refused message away."""
        context.touch("message", command.message_id)
        return self._set_message(command.message_id, MessageState.DISCARDED)

    @use_case
    def replay_delivery(self, command: ReplayDelivery, context: Context) -> Delivery:
        """Have a dead or discarded delivery tried again; one that waits after a failure is tried now."""
        context.touch("delivery", command.delivery_id)
        values = {"state": DeliveryState.WAITING, "due_at": now(), "attempts": 0, "done_at": None}
        return self._set_delivery(command.delivery_id, **values)

    @use_case
    def discard_delivery(self, command: DiscardDelivery, context: Context) -> Delivery:
        """Put a dead or waiting delivery away."""
        context.touch("delivery", command.delivery_id)
        return self._set_delivery(command.delivery_id, state=DeliveryState.DISCARDED, done_at=now())

    def _set_message(self, message_id: str, state: MessageState) -> InboxMessage:
        with self.database.transaction() as work:
            work.on_commit(self.wake)
            store = MessageStore(work)
            message = _found(store.get(message_id, raw=False))
            if message.state not in (MessageState.REFUSED, MessageState.DISCARDED):
                raise NotReplayable()
            store.change(message_id, state=state, due_at=None)
            return _found(store.get(message_id, raw=False))

    def _set_delivery(self, delivery_id: str, **values: Any) -> Delivery:
        with self.database.transaction() as work:
            work.on_commit(self.wake)
            if _delivery(work, delivery_id).state in (DeliveryState.RUNNING, DeliveryState.DONE):
                raise NotReplayable()
            DeliveryStore(work).change(delivery_id, **values)
            return _delivery(work, delivery_id)


def _stored(effects: Iterable[Touched]) -> list[list[str]]:
    return [[effect.kind, effect.reference] for effect in effects]


def _found(message: InboxMessage | None) -> InboxMessage:
    if message is None:
        raise MessageNotFound()
    return message


def _delivery(work: UnitOfWork, delivery_id: str) -> Delivery:
    delivery = DeliveryStore(work).get(delivery_id)
    if delivery is None:
        raise DeliveryNotFound()
    return delivery


def _context(message: InboxMessage) -> Context:
    return Context(
        transaction=message.transaction,
        principal=HUB,
        source=message.source,
        peer=message.peer,
        correlation_id=message.correlation_id,
        message_id=message.id,
        received_at=message.received_at,
    )
