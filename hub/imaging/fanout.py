"""One question to several sources at once, each with its own deadline; threads that come late are bounded."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hub.errors import DeadlineExceeded, HubError, InternalError
from hub.imaging.errors import SourceBusy

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """A question to one source and the seconds that it may take."""

    ask: Callable[[], Any]
    deadline: float


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of it: a value, or an error. ``error`` is DeadlineExceeded when the source was late."""

    source: str
    value: Any = None
    error: HubError | None = None
    milliseconds: int = 0


class FanOut:
    """Asks in daemon threads: a source that hangs costs at most ``per_source`` of them, and never an answer."""

    def __init__(self, *, per_source: int = 8) -> None:
        self.per_source = per_source
        self._slots: dict[str, threading.BoundedSemaphore] = {}
        self._lock = threading.Lock()

    def ask(self, calls: Mapping[str, Call]) -> Iterator[Reply]:
        """One reply per source, as they come; the late ones when their deadlines pass."""
        answers: queue.SimpleQueue[Reply] = queue.SimpleQueue()
        started = time.monotonic()
        pending: dict[str, float] = {}
        for source, call in calls.items():
            slot = self._slot(source)
            if not slot.acquire(blocking=False):
                yield Reply(source, error=SourceBusy())
                continue
            pending[source] = started + call.deadline
            threading.Thread(
                target=self._run, args=(source, call, slot, answers, started), name=f"ask-{source}", daemon=True
            ).start()
        while pending:
            try:
                reply = answers.get(timeout=max(0.0, min(pending.values()) - time.monotonic()))
            except queue.Empty:
                now = time.monotonic()
                for source in [name for name, end in pending.items() if end <= now]:
                    del pending[source]
                    yield Reply(source, error=DeadlineExceeded(), milliseconds=int((now - started) * 1000))
                continue
            if pending.pop(reply.source, None) is not None:
                yield reply

    def _slot(self, source: str) -> threading.BoundedSemaphore:
        with self._lock:
            return self._slots.setdefault(source, threading.BoundedSemaphore(self.per_source))

    @staticmethod
    def _run(
        source: str,
        call: Call,
        slot: threading.BoundedSemaphore,
        answers: "queue.SimpleQueue[Reply]",
        started: float,
    ) -> None:
        value: Any = None
        error: HubError | None = None
        try:
            value = call.ask()
        except HubError as failure:
            error = failure
        except Exception:
            log.exception("source %s failed", source)
            error = InternalError()
        finally:
            slot.release()
        answers.put(Reply(source, value, error, int((time.monotonic() - started) * 1000)))
