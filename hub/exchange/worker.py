"""Carries out deliveries and processes messages that were only received so far."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy.exc import OperationalError

from hub.access.model import HUB
from hub.context import Context
from hub.errors import Category, HubError, InternalError
from hub.exchange.model import Delivery, DeliveryState
from hub.exchange.service import ExchangeService
from hub.exchange.store import DeliveryStore
from hub.storage.presence import Presence
from hub.values import new_key, now

log = logging.getLogger(__name__)

Handler = Callable[[Delivery, Context], None]


class Worker:
    """Threads that carry out deliveries by kind, at least once each, and one that processes received messages.

    A handler runs outside any unit of work and must bear being run twice: a worker that dies in the middle leaves its
    delivery to another, at once when it can be seen to have gone, at the latest when its lease ends. Half of the
    ``threads`` try nothing again: destinations that hang keep nobody else waiting. ``lease`` and ``poll``: seconds."""

    def __init__(
        self,
        service: ExchangeService,
        handlers: Mapping[str, Handler],
        *,
        threads: int = 4,
        lease: float = 60.0,
        poll: float = 1.0,
    ) -> None:
        self.service = service
        self.handlers = dict(handlers)
        self.threads = threads
        self.lease = lease
        self.poll = poll
        self.owner = new_key()
        self.presence = Presence(service.database, self.owner)
        self._stopping = threading.Event()
        self._stopped = threading.Event()
        self._condition = threading.Condition()
        self._wakes = 0
        self._running: list[threading.Thread] = []
        self._leases: threading.Thread | None = None

    def start(self) -> None:
        """Start the threads."""
        self._stopping.clear()
        self._stopped.clear()
        self.service.listeners.append(self._wake)
        self._take_over()
        outbox = range(self.threads if self.handlers else 0)
        steps = [partial(self._outbox_step, first_only=number < self.threads // 2) for number in outbox]
        self._running = [
            threading.Thread(target=self._loop, args=(step,), name=f"exchange-{number}", daemon=True)
            for number, step in enumerate([self._inbox_step, *steps])
        ]
        for thread in self._running:
            thread.start()
        self._leases = threading.Thread(target=self._heartbeat, name="exchange-leases", daemon=True)
        self._leases.start()

    def cease(self) -> None:
        """Start nothing more."""
        self._stopping.set()
        self._wake()

    def stop(self, timeout: float = 30.0) -> None:
        """Let what runs finish for so many seconds, start nothing more."""
        self.cease()
        end = time.monotonic() + timeout
        for thread in self._running:
            thread.join(max(0.0, end - time.monotonic()))
        self._running = []
        self._stopped.set()
        if self._leases is not None:
            self._leases.join(timeout)
            self._leases = None
        self.presence.leave()
        if self._wake in self.service.listeners:
            self.service.listeners.remove(self._wake)

    @property
    def alive(self) -> bool:
        """Whether all threads run."""
        return bool(self._running) and all(thread.is_alive() for thread in self._running)

    def run_pending(self) -> int:
        """Carry out in this thread everything that is due now; how many steps it took. For tests and tools."""
        count = 0
        while self._inbox_step() or self._outbox_step():
            count += 1
        return count

    def _wake(self) -> None:
        with self._condition:
            self._wakes += 1
            self._condition.notify_all()

    def _loop(self, step: Callable[[], bool]) -> None:
        while not self._stopping.is_set():
            seen = self._wakes
            try:
                if step():
                    continue
            except OperationalError:  # the database is away or busy: what was claimed comes back when its lease ends
                log.exception("the exchange waits for its database")
            with self._condition:
                if self._wakes == seen and not self._stopping.is_set():
                    self._condition.wait(self.poll)

    def _inbox_step(self) -> bool:
        return self.service.process_next()

    def _outbox_step(self, *, first_only: bool = False) -> bool:
        """``first_only``: nothing that was tried before."""
        delivery = self._claim(first_only=first_only)
        if delivery is None:
            return False
        self._finish(delivery, self._carry_out(delivery))
        return True

    def _claim(self, *, first_only: bool) -> Delivery | None:
        if not self.handlers:
            return None
        at, database, blocking = now(), self.service.database, self.service.blocking
        with database.reading() as work:  # most looks find nothing: they must not take the writer's place
            if DeliveryStore(work).ready(self.handlers, blocking, at, first_only=first_only) is None:
                return None
        with database.transaction() as work:
            until = at + timedelta(seconds=self.lease)
            return DeliveryStore(work).claim(self.handlers, blocking, at, until, self.owner, first_only=first_only)

    def _heartbeat(self) -> None:
        """Prolong the leases of what runs here, and end those of workers that have gone."""
        while not self._stopped.wait(self.lease / 3):
            try:
                with self.service.database.transaction() as work:
                    DeliveryStore(work).renew(self.owner, now() + timedelta(seconds=self.lease))
                self._take_over()
            except OperationalError:
                log.exception("a lease could not be prolonged")

    def _take_over(self) -> None:
        """Leases of workers that have gone end now: nobody waits for a process that was killed."""
        self.presence.hold()
        with self.service.database.reading() as work:
            owners = DeliveryStore(work).owners()
        gone = self.presence.gone(owners)
        if gone:
            with self.service.database.transaction() as work:
                count = DeliveryStore(work).end_leases(gone, now())
            log.info("%d deliveries of workers that have gone are taken over", count)
            self._wake()

    def _carry_out(self, delivery: Delivery) -> dict[str, Any]:
        """The row's changes after one attempt."""
        context = Context(
            transaction=delivery.kind,
            principal=HUB,
            message_id=delivery.message_id,
            correlation_id=delivery.correlation_id,
        )
        error: HubError | None = None
        try:
            self.handlers[delivery.kind](delivery, context)
        except HubError as failure:
            error = failure
        except Exception:
            log.exception("delivery failed", extra={"correlation_id": delivery.correlation_id})
            error = InternalError()
        effects = [[effect.kind, effect.reference] for effect in context.effects]
        if error is None:
            return {"state": DeliveryState.DONE, "done_at": now(), "reason": "", "error_code": "", "effects": effects}
        changes = {"reason": error.message, "error_code": error.code, "effects": effects}
        if error.category is Category.TRANSIENT and delivery.attempts < self.service.max_attempts:
            return changes | {"state": DeliveryState.WAITING, "due_at": self.service.again_at(delivery.attempts)}
        return changes | {"state": DeliveryState.DEAD, "done_at": now()}

    def _finish(self, delivery: Delivery, changes: dict[str, Any]) -> None:
        with self.service.database.transaction() as work:
            if not DeliveryStore(work).change(delivery.id, owner=self.owner, **changes):
                log.warning("delivery %s was taken over before it ended", delivery.id)
        self._wake()  # the next one of the destination may go
