"""A streamed body, written to its connection's socket by the thread that makes it.

Through the event loop every piece would change threads, and be copied into a frame of its own. Here the loop only waits
where the peer does: a thread writes for as long as the peer takes what comes, and is given back when it stops taking.
Stretches of files go from the page cache to the socket (``sendfile``). Not for TLS, which encrypts in the loop.
"""

import asyncio
import os
import select
import socket
from collections.abc import Iterator
from typing import Any, Protocol

from hub.errors import InternalError
from hub.wire.pieces import Chunk, FilePiece

#: Where a connection that can be written to directly stands in the scope's extensions.
EXTENSION = "maillage.direct"
#: What ends the connection in the middle of an answer.
BREAK_OFF = "maillage.break_off"
#: What says whether the request's whole body has arrived.
ARRIVED = "maillage.arrived"
BATCH = 256 * 1024  #: small pieces are joined up to this size
_BUFFERS = 256  #: at most so many at once: below the system's IOV_MAX
_PATIENCE = 0.1  #: seconds that a thread waits for a peer to take more before it is given back
_UNSENT_PAUSE = 0.005


class Connection(Protocol):
    """The connection of one request while its answer is written, as uvicorn's subclass in `hub.app.keys.tls` has it."""

    async def socket_of_its_own(self) -> socket.socket | None:
        """A second handle on the socket, once everything written so far has left; None when the peer has gone."""
        ...

    def wrote(self, size: int) -> None:
        """So many bytes of the body have been written."""
        ...

    def abandon(self) -> None:
        """Close the connection: the peer takes nothing any more."""
        ...

    @property
    def chunked(self) -> bool:
        """Whether the body is sent in HTTP's chunks."""
        ...


class DirectWriter:
    """Writes a body's pieces to a socket. ``run`` belongs into a thread; ``stop`` may come from anywhere."""

    def __init__(self, link: socket.socket, pieces: Iterator[Chunk], *, chunked: bool) -> None:
        self._link = link
        self._pieces = pieces
        self._chunked = chunked
        self._buffers: list[memoryview] = []
        self._file: FilePiece | None = None
        self._tail = b""  # what follows the file
        self._stopped = False
        self._poll = select.poll()
        self._poll.register(link, select.POLLOUT)
        self.size = 0  #: bytes of the body taken so far
        self.complete = False  #: all of it is written

    def stop(self) -> None:
        """Nobody listens any more."""
        self._stopped = True

    def run(self) -> bool:
        """Write until all is written or nobody listens (True), or until the peer takes nothing (False).

        Raises what the pieces' iterator raises."""
        try:
            while not self._stopped:
                if not self._buffers and self._file is None and not self._load():
                    self.complete = True
                    return True
                try:
                    self._write()
                except BlockingIOError:
                    if not self._poll.poll(_PATIENCE * 1000):
                        return False
        except ConnectionError:  # of the peer: sources raise HubError
            self._stopped = True
        return True

    def _load(self) -> bool:
        """Take the next pieces: small ones together, up to a stretch of a file."""
        pieces: list[bytes] = []
        size = 0
        for piece in self._pieces:
            size += len(piece)
            if isinstance(piece, FilePiece):
                self._file = piece
                break
            pieces.append(piece)
            if size >= BATCH or len(pieces) >= _BUFFERS:
                break
        self.size += size
        if self._chunked and size:
            pieces.insert(0, b"%x\r\n" % size)
            if self._file is None:
                pieces.append(b"\r\n")
            else:
                self._tail = b"\r\n"
        self._buffers = [memoryview(piece) for piece in pieces if piece]
        return bool(self._buffers) or self._file is not None

    def _write(self) -> None:
        if self._buffers:
            more = socket.MSG_MORE if self._file is not None else 0
            self._taken(self._link.sendmsg(self._buffers, (), more))
        elif self._file is not None:
            piece = self._file
            sent = os.sendfile(self._link.fileno(), piece.handle, piece.offset, piece.size) if piece.size else 0
            if not sent and piece.size:
                raise InternalError("A spooled file is shorter than what was written to it.")
            left = piece.size - sent
            self._file = FilePiece(piece.handle, piece.offset + sent, left) if left else None
            if not left and self._tail:
                self._buffers, self._tail = [memoryview(self._tail)], b""

    def _taken(self, size: int) -> None:
        while size:
            first = self._buffers[0]
            if size < len(first):
                self._buffers[0] = first[size:]
                return
            size -= len(first)
            del self._buffers[0]


async def writable(link: socket.socket, gone: "asyncio.Future[Any]", seconds: float) -> bool:
    """Wait until the peer takes more, or has gone. False when it does neither for so many seconds."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_writer(link.fileno(), wake)
    try:
        done, _ = await asyncio.wait((ready, gone), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)
    finally:
        loop.remove_writer(link.fileno())


async def second_handle(transport: asyncio.Transport) -> socket.socket | None:
    """See ``Connection.socket_of_its_own``."""
    while not transport.is_closing():
        if not transport.get_write_buffer_size():
            return duplicate(transport)
        await asyncio.sleep(_UNSENT_PAUSE)
    return None


def duplicate(transport: asyncio.Transport) -> socket.socket:
    """A second handle on the connection's socket; whoever asks for it closes it."""
    return socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
