"""MLLP, the minimal lower layer protocol (HL7 v2 Implementation Guide, appendix C): ``0x0B message 0x1C 0x0D``.

The event loop only frames. Messages of one connection are handled in order, each in a thread of the pool; every frame
gets one answer unless it asked for none, and so does anything else that a peer sends.
"""

import asyncio
import logging
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol, cast

import uvloop

from hub.errors import HubError, Malformed
from hub.wire.hl7v2.errors import Hl7Malformed, Hl7TooLarge
from hub.wire.tls import secured

log = logging.getLogger(__name__)

START = b"\x0b"
END = b"\x1c\r"
_KEPT = 64 * 1024  #: bytes kept of a frame that is too large
_WAITING = 64  #: messages that one connection may have waiting (or ``max_bytes``) before its socket is left unread
_TOGETHER = 64  #: messages in one batch
_GATHER = 0.001  #: seconds that a batch waits for those who were answered just now
_PATIENCE = 0.05  #: seconds that messages wait for the batch before them
_BLANK = b" \t\r\n\x1c"


def frame(message: bytes) -> bytes:
    """A message in its frame."""
    return START + message + END


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of a connection."""

    address: str = ""
    certificate: bytes = field(default=b"", repr=False)  #: DER, verified


class MllpHandler(Protocol):
    """What the server hands messages to. Called in threads; neither method raises."""

    def handle(self, raw: bytes, peer: Peer) -> bytes:
        """The answer to a framed message; empty: it asked for none."""
        ...

    def reject(self, raw: bytes, error: HubError, peer: Peer) -> bytes:
        """The answer to bytes that are no framed message; ``raw`` may be only their beginning."""
        ...


#: Answers to framed messages of several connections; None for one that ``MllpHandler.handle`` must answer.
Handle = Callable[[Sequence[tuple[bytes, Peer]]], "list[bytes | None]"]
Item = bytes | tuple[bytes, Malformed]


class Framer:
    """Bytes as they come in, cut into messages; what is not one comes out with the error that says why."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._buffer = bytearray()
        self._inside = False  # after 0x0B
        self._discarding = False  # the rest of a frame that was too large
        self._noise = False  # bytes outside a frame, already answered

    @property
    def unfinished(self) -> bytes:
        """The beginning of a frame that has not ended."""
        return bytes(self._buffer[:_KEPT]) if self._inside and not self._discarding else b""

    def feed(self, data: bytes) -> Iterator[Item]:
        """Messages, and rejected bytes with their error, in the order they came."""
        searched = max(0, len(self._buffer) - 1)
        self._buffer += data
        while self._buffer:
            if not self._inside:
                if (item := self._outside()) is not None:
                    yield item
                searched = 0
                continue
            end = self._buffer.find(END, searched)
            if end < 0:
                if self._discarding:
                    del self._buffer[:-1]
                elif len(self._buffer) > self.max_bytes:
                    yield self._too_large()
                return
            body = bytes(self._buffer[:end])
            del self._buffer[: end + len(END)]
            discarded, self._inside, self._discarding, searched = self._discarding, False, False, 0
            if not discarded:
                yield body if len(body) <= self.max_bytes else (body[:_KEPT], self._error())

    def _outside(self) -> Item | None:
        start = self._buffer.find(START)
        noise = bytes(self._buffer if start < 0 else self._buffer[:start])
        del self._buffer[: len(noise) + (start >= 0)]
        told, self._noise = self._noise, start < 0 and (self._noise or bool(noise.strip(_BLANK)))
        self._inside = start >= 0
        if noise.strip(_BLANK) and not told:
            return noise[:_KEPT], Hl7Malformed("The bytes are not framed as MLLP: 0x0B message 0x1C 0x0D.")
        return None

    def _too_large(self) -> Item:
        head = bytes(self._buffer[:_KEPT])
        del self._buffer[:-1]
        self._discarding = True
        return head, self._error()

    def _error(self) -> Hl7TooLarge:
        return Hl7TooLarge(f"The message is larger than {self.max_bytes} bytes.")


class MllpServer:
    """Listens, frames, and has every message handled in a thread. TLS where ``tls`` is given.

    ``together``: what messages that wait at the same time are given to first, many at once. ``shared``: other processes
    listen on the same port, and the system spreads connections among them."""

    def __init__(
        self,
        handler: MllpHandler,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        max_bytes: int = 32 * 1024 * 1024,
        idle_timeout: float = 300.0,
        threads: int = 16,
        max_connections: int = 500,
        together: Handle | None = None,
        shared: bool = False,
    ) -> None:
        self.handler = handler
        self.shared = shared
        self.host = host
        self.port = port
        self.tls = tls
        self.max_bytes = max_bytes
        self.idle_timeout = idle_timeout
        self.max_connections = max_connections
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="mllp")
        self.connections: set[_Connection] = set()
        self.stopping = False
        self._together = together
        self._threads = threads
        self._loop: asyncio.AbstractEventLoop
        self._lane: _Lane | None = None
        self._server: asyncio.Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen; ``port`` is the real one afterwards. Raises OSError."""
        self._loop = uvloop.new_event_loop()  # not before: it has descriptors, and not every process listens
        if self._together is not None:
            self._lane = _Lane(self._together, self._loop, self.pool, self._threads)
        self._thread = threading.Thread(target=self._loop.run_forever, name="mllp-frames", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: secured(_Connection(self), self.tls),
            self.host,
            self.port,
            backlog=512,
            reuse_port=self.shared or None,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self, timeout: float = 30.0) -> None:
        """Take no more messages, finish and answer those that are running, close."""
        if self._thread is None or not self._thread.is_alive():
            return
        asyncio.run_coroutine_threadsafe(self._stop(timeout), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self.pool.shutdown(wait=True)

    def carry_out(self, item: Item, peer: Peer, done: Callable[[bytes | None], None]) -> None:
        """Have one item handled; ``done`` gets the answer, in the event loop; None when there will be none."""
        if self._lane is None or not isinstance(item, bytes):
            self._alone(item, peer, done)
            return

        def answered(answer: bytes | None) -> None:
            if answer is None:
                self._alone(item, peer, done)
            else:
                done(answer)

        self._lane.add(item, peer, answered)

    def _alone(self, item: Item, peer: Peer, done: Callable[[bytes | None], None]) -> None:
        if isinstance(item, bytes):
            running = self._loop.run_in_executor(self.pool, self.handler.handle, item, peer)
        else:
            running = self._loop.run_in_executor(self.pool, self.handler.reject, *item, peer)
        running.add_done_callback(lambda ended: _hand_over(done, ended))

    async def _stop(self, timeout: float) -> None:
        self.stopping = True
        if self._server is not None:
            self._server.close()
        running = [connection.drain() for connection in self.connections]
        if running:
            await asyncio.wait([asyncio.ensure_future(task) for task in running], timeout=timeout)
        for connection in list(self.connections):
            connection.close()
        await asyncio.sleep(0)


Waiting = tuple[tuple[bytes, Peer], Callable[["bytes | None"], None]]


class _Lane:
    """Messages of all connections, handed over as many as wait: one hand-over and one commit for all of them.

    Peers send their next message when the one before is answered. So the next batch waits for as many as have just
    been answered, a moment only: a feed that is alone is never kept waiting. One batch runs at a time, since two would
    wait for each other's locks; a second one is let past a slow one."""

    def __init__(
        self, together: Handle, loop: asyncio.AbstractEventLoop, pool: ThreadPoolExecutor, threads: int
    ) -> None:
        self._together = together
        self._loop = loop
        self._pool = pool
        self._most = max(1, threads // 2)  # the others are for what has to be handled alone
        self._waiting: deque[Waiting] = deque()
        self._running = 0
        self._expected = 1  # messages that will be there in a moment
        self._timer: asyncio.TimerHandle | None = None

    def add(self, raw: bytes, peer: Peer, done: Callable[[bytes | None], None]) -> None:
        """Have a message handled; ``done`` gets the answer, or None, in the event loop."""
        self._waiting.append(((raw, peer), done))
        if not self._running and len(self._waiting) >= self._expected:
            self._send()
        else:
            self._look_in(_GATHER if not self._running else _PATIENCE)

    def _send(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _TOGETHER))]
        self._running += 1
        self._pool.submit(self._carry_out, batch)
        if self._waiting:
            self._look_in(_PATIENCE)

    def _carry_out(self, batch: list[Waiting]) -> None:
        try:
            answers = self._together([item for item, _ in batch])
        except Exception:
            log.exception("%d HL7 messages could not be handled together", len(batch))
            answers = [None] * len(batch)
        self._loop.call_soon_threadsafe(self._done, batch, answers)

    def _done(self, batch: list[Waiting], answers: list[bytes | None]) -> None:
        self._running -= 1
        self._expected = min(len(batch) + len(self._waiting), _TOGETHER)
        for place, (_, done) in enumerate(batch):
            try:
                done(answers[place] if place < len(answers) else None)
            except Exception:  # one connection's trouble: the others get their answers
                log.exception("an HL7 answer could not be handed over")
        if self._running or not self._waiting:
            return
        if len(self._waiting) >= self._expected:
            self._send()
        else:
            self._look_in(_GATHER, anew=True)

    def _look_in(self, seconds: float, *, anew: bool = False) -> None:
        if self._timer is not None and anew:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_later(seconds, self._late)

    def _late(self) -> None:
        """No more have come; or the batch that runs takes long, waits for a lock perhaps, and others need not."""
        self._timer = None
        if self._waiting and self._running < self._most:
            self._send()
        elif self._waiting:
            self._look_in(_PATIENCE)


class _Connection(asyncio.Protocol):
    """One peer: its frames wait in a queue, one at a time is handled."""

    def __init__(self, server: MllpServer) -> None:
        self.server = server
        self.framer = Framer(server.max_bytes)
        self.waiting: deque[Item] = deque()
        self.peer = Peer()
        self.transport: asyncio.Transport | None = None
        self.loop = asyncio.get_running_loop()
        self._running = False
        self._idle_again = asyncio.Event()
        self._heard = self.loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._ended = False
        self._bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # the loop has set TCP_NODELAY
        if len(self.server.connections) >= self.server.max_connections:
            log.warning("an HL7 connection was closed at once: %d are open", self.server.max_connections)
            self.transport.abort()
            return
        tls = transport.get_extra_info("ssl_object")
        name = transport.get_extra_info("peername") or ("",)
        self.peer = Peer(str(name[0]), (tls.getpeercert(binary_form=True) or b"") if tls else b"")
        self.server.connections.add(self)
        self._timer = self.loop.call_later(self.server.idle_timeout, self._idle)

    def data_received(self, data: bytes) -> None:
        self._heard = self.loop.time()
        if not self.server.stopping:
            self._take(self.framer.feed(data))

    def eof_received(self) -> bool:
        self._cut("The connection ended inside a message.")
        return self._running and self.transport is not None and not self.server.tls

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.server.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        self.waiting.clear()

    def close(self) -> None:
        """Close once what was written is out."""
        if self.transport is not None:
            self.transport.close()

    async def drain(self) -> None:
        """Wait until every message that has arrived is answered."""
        while self._running:
            self._idle_again.clear()
            await self._idle_again.wait()

    def _take(self, items: Iterator[Item]) -> None:
        for item in items:
            self.waiting.append(item)
            self._bytes += _size(item)
        if self.waiting and not self._running:
            self._next()
        if (len(self.waiting) > _WAITING or self._bytes > self.server.max_bytes) and self.transport is not None:
            self.transport.pause_reading()

    def _next(self) -> None:
        """Have the oldest item handled; where none waits, rest."""
        self._running = bool(self.waiting)
        if self._running:
            item = self.waiting.popleft()
            self._bytes -= _size(item)
            self.server.carry_out(item, self.peer, self._answered)
            return
        self._idle_again.set()
        if self._ended:
            self.close()

    def _answered(self, answer: bytes | None) -> None:
        try:
            told = self._tell(answer)
        except Exception:  # whatever it is, the peer must not wait for an answer that will not come
            log.exception("an HL7 answer could not be handed over")
            told = False
        if not told:
            self.close()
            self.waiting.clear()
        self._next()

    def _tell(self, answer: bytes | None) -> bool:
        """Write the answer, if the message asked for one; False where nobody can be told."""
        if answer is None or self.transport is None or self.transport.is_closing():
            return False
        if answer:
            self.transport.write(frame(answer))
        self._heard = self.loop.time()
        if len(self.waiting) <= _WAITING // 2 and self._bytes <= self.server.max_bytes:
            self.transport.resume_reading()
        return True

    def _idle(self) -> None:
        silent = self.loop.time() - self._heard
        if silent < self.server.idle_timeout or self._running:
            wait = max(0.05, self.server.idle_timeout - silent)
            self._timer = self.loop.call_later(wait, self._idle)
            return
        self._cut("The message did not end before the idle timeout.")
        if not self._running:
            self.close()

    def _cut(self, reason: str) -> None:
        """The peer says no more: a message that has begun is answered as it is."""
        self._ended = True
        unfinished = self.framer.unfinished
        if unfinished:
            self._take(iter([(unfinished, Hl7Malformed(reason))]))


def _hand_over(done: Callable[[bytes | None], None], ended: "asyncio.Future[bytes]") -> None:
    """A handler never raises. Should it do so, its peer must not wait for ever: None closes the connection."""
    if ended.cancelled() or ended.exception() is not None:
        log.error("an HL7 message was not answered", exc_info=None if ended.cancelled() else ended.exception())
        done(None)
    else:
        done(ended.result())


def _size(item: Item) -> int:
    return len(item) if isinstance(item, bytes) else len(item[0])
