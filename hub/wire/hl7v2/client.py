"""An MLLP client: one connection, one message at a time, one answer each."""

import socket
import ssl
import threading
import time
from typing import Self

from hub.errors import DeadlineExceeded, Unavailable
from hub.wire.hl7v2.mllp import END, START, frame


class PeerUnavailable(Unavailable):
    """The HL7 peer refuses or breaks the connection."""

    code = "hl7-peer-unavailable"
    title = "The HL7 v2 peer can't be reached."


class PeerSilent(DeadlineExceeded, PeerUnavailable):
    """The HL7 peer took the message and did not answer in time."""

    code = "hl7-peer-silent"
    title = "The HL7 v2 peer did not answer in time."


class MllpClient:
    """Sends messages to one peer over a connection that is opened when needed and kept. Safe between threads."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        timeout: float = 30.0,
        tls: ssl.SSLContext | None = None,
        max_bytes: int = 32 * 1024 * 1024,
    ) -> None:
        self.host = host
        self.port = port
        self.timeout = timeout
        self.tls = tls
        self.max_bytes = max_bytes
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def send(self, message: bytes) -> bytes:
        """The peer's answer, without its frame. Raises PeerUnavailable, PeerSilent."""
        with self._lock:
            try:
                connection = self._socket or self._connect()
                connection.sendall(frame(message))
                return self._receive(connection)
            except TimeoutError as error:
                self._drop()
                raise PeerSilent from error
            except OSError as error:
                self._drop()
                raise PeerUnavailable from error
            except PeerUnavailable:
                self._drop()
                raise

    def close(self) -> None:
        """Let the connection go."""
        with self._lock:
            self._drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connect(self) -> socket.socket:
        connection = socket.create_connection((self.host, self.port), timeout=self.timeout)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.tls is not None:
            connection = self.tls.wrap_socket(connection, server_hostname=self.host)
        self._socket = connection
        return connection

    def _receive(self, connection: socket.socket) -> bytes:
        buffer, until = bytearray(), time.monotonic() + self.timeout
        while not buffer.endswith(END):  # also of a peer that sends a byte now and then
            connection.settimeout(max(0.001, until - time.monotonic()))
            data = connection.recv(65536)
            if not data:
                raise PeerUnavailable("The peer closed the connection before it answered.")
            buffer += data
            if len(buffer) > self.max_bytes:
                raise PeerUnavailable("The peer's answer is larger than the limit.")
        if not buffer.startswith(START):
            raise PeerUnavailable("The peer's answer is not framed.")
        connection.settimeout(self.timeout)
        return bytes(buffer[1 : -len(END)])

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
