"""The connections that a client has open, so that a stop can cut them whatever they wait for."""

import contextlib
import os
import socket
import threading
from typing import Any, Self


class Lines:
    """A client's connections. Thread-safe. Once they are cut, no more are opened."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: set[Line] = set()
        self.cut_off = False

    def line(self) -> "Line":
        """For one connection."""
        return Line(self)

    def cut(self) -> None:
        """End every connection at once: whoever connects, reads or writes sees it broken."""
        with self._lock:
            self.cut_off = True
            lines, self._open = list(self._open), set()
        for line in lines:
            line.break_off()

    def add(self, line: "Line") -> bool:
        """False once they are cut."""
        with self._lock:
            if not self.cut_off:
                self._open.add(line)
            return not self.cut_off

    def remove(self, line: "Line") -> None:
        """It is closed."""
        with self._lock:
            self._open.discard(line)


class Line:
    """One connection. To be closed when its socket is: it holds a twin of it, as the socket itself may be wrapped."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._twin: socket.socket | None = None

    def connect(self, address: tuple[str, int], timeout: Any = None, *_: Any) -> socket.socket:
        """As ``socket.create_connection``; also what is still connecting can be cut. Raises OSError."""
        failure: OSError = OSError("the name leads to no address")
        for family, kind, protocol, _name, place in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
            link = socket.socket(family, kind, protocol)
            try:
                if isinstance(timeout, int | float):
                    link.settimeout(timeout)
                self._watch(link)
                link.connect(place)
            except OSError as error:
                failure = error
                self.close()
                link.close()
                continue
            return link
        raise failure

    def break_off(self) -> None:
        """End the connection, whoever uses it."""
        twin, self._twin = self._twin, None
        if twin is not None:
            with contextlib.suppress(OSError):
                twin.shutdown(socket.SHUT_RDWR)
            twin.close()

    def close(self) -> None:
        """Its socket is closed, or about to be."""
        self._lines.remove(self)
        twin, self._twin = self._twin, None
        if twin is not None:
            twin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _watch(self, link: socket.socket) -> None:
        self._twin = socket.socket(link.family, link.type, link.proto, fileno=os.dup(link.fileno()))
        if not self._lines.add(self):
            raise OSError("the client is closed")
