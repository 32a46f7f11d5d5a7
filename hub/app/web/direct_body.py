"""A large request body, read from its connection's socket by the thread that works on it.

Through the event loop every piece is copied three times and changes threads. Here the loop stops reading the connection
(so nothing else does), and starts again when the body has come or the answer is written. Not for TLS, which decrypts in
the loop, nor for chunked bodies, whose end only the loop's parser knows."""

import select
import socket
import time
from typing import Protocol

import anyio.from_thread

from hub.errors import DeadlineExceeded, Malformed

#: Where a request whose body can be read directly stands in the scope's extensions.
EXTENSION = "maillage.direct_body"
LARGE = 1024 * 1024  #: bytes that must be left of a body to make it worth while
STRETCH = 512 * 1024  #: bytes that have to come within the time allowed
_PIECE = 1024 * 1024
_SLICE = 1.0  #: seconds after which is looked whether the connection is being closed


class Source(Protocol):
    """A request's body on its connection, as uvicorn's subclass in ``hub.app.keys.tls`` offers it."""

    @property
    def transport(self) -> "Closing":
        """The connection."""
        ...

    async def take(self) -> "tuple[bytes, socket.socket | None, int]":
        """Stop reading in the loop: what had come and was not taken yet, a handle on the socket, bytes that are left.

        Without a handle (None) the loop goes on reading."""
        ...

    async def done(self) -> None:
        """All of it was read: what comes next on the connection is another request."""
        ...


class Closing(Protocol):
    """What is asked of a transport."""

    def is_closing(self) -> bool:
        """Whether the connection is being closed."""
        ...


class DirectBody:
    """Belongs into a thread that anyio started. What is left unread is never taken for a request: see ``Source``."""

    def __init__(self, source: Source, link: socket.socket, left: int, seconds: float) -> None:
        self._source = source
        self._link = link
        self._seconds = seconds
        self._poll = select.poll()
        self._poll.register(link, select.POLLIN)
        self._due = 0.0  # when the current stretch has to be complete
        self._come = 0  # bytes of it
        self.left = left  #: bytes still to come

    def read(self) -> bytes:
        """The next piece, b"" at the end. Raises DeadlineExceeded when it pauses, Malformed when the caller goes."""
        if not self.left:
            return b""
        if not self._come or self._come >= STRETCH:
            self._due, self._come = time.monotonic() + self._seconds, 0
        piece = self._receive(min(_PIECE, self.left))
        self._come += len(piece)
        self.left -= len(piece)
        if not self.left:
            anyio.from_thread.run(self._source.done)
        return piece

    def close(self) -> None:
        """Give the handle back."""
        self._link.close()

    def _receive(self, size: int) -> bytes:
        try:
            while True:
                try:
                    piece = self._link.recv(size)
                except BlockingIOError:
                    self._wait()
                    continue
                if not piece:
                    raise Malformed("The caller went before the request was complete.")
                return piece
        except OSError as error:
            raise Malformed("The caller went before the request was complete.") from error

    def _wait(self) -> None:
        """Until something has come. The loop does not see the caller go, nor the hub's stop ends a thread."""
        while not self._poll.poll(max(0.0, min(_SLICE, self._due - time.monotonic())) * 1000):
            if self._source.transport.is_closing():
                raise Malformed("The connection was closed before the request was complete.")
            if time.monotonic() >= self._due:
                raise DeadlineExceeded("The request's body stopped arriving.")
