"""A transport for ``httpx`` that hands large bodies on as the socket gives them.

httpx's own moves every byte through h11's buffers, 64 KB at a time: that is most of the work of a hub that streams
studies. This one is ``http.client`` below httpx's interface: HTTP/1.1, connections kept and reused, at most
``max_connections`` at a time. The exceptions are httpx's.
"""

import contextlib
import http.client
import select
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping

import httpx

from hub.wire.lines import Lines

PIECE = 256 * 1024
Origin = tuple[str, str, int]


@contextlib.contextmanager
def cut_off_after(seconds: float, close: Callable[[], object]) -> Iterator[threading.Event]:
    """A time for a whole exchange, which no time-out of single reads is: whoever trickles, headers as well, is cut off.

    ``close``: of the client or transport. The event tells whether it was called."""
    cut = threading.Event()

    def cut_off() -> None:
        cut.set()
        close()

    timer = threading.Timer(seconds, cut_off)
    timer.daemon = True
    timer.start()
    try:
        yield cut
    finally:
        timer.cancel()


class StreamingTransport(httpx.BaseTransport):
    """``tls``: for https; None: certificates that the system trusts."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, max_connections: int = 10) -> None:
        self._tls = tls
        self._slots = threading.BoundedSemaphore(max_connections)
        self._idle: list[tuple[Origin, http.client.HTTPConnection]] = []
        self._lock = threading.Lock()
        self._closed = False
        self._lines = Lines()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and answer when the head of the answer is there."""
        limits: Mapping[str, float | None] = request.extensions.get("timeout", {})
        if not self._slots.acquire(timeout=_seconds(limits.get("pool"))):
            raise httpx.PoolTimeout("no connection is free", request=request)
        try:
            origin = (request.url.scheme, request.url.host, request.url.port or _PORTS[request.url.scheme])
            connection = self._reusable(origin) or self._connect(origin, limits, request)
            try:
                connection.sock.settimeout(limits.get("write"))
                with _translated(request, httpx.WriteTimeout, httpx.WriteError):
                    _send_head(connection, request)
                _send_body(connection, request)
                connection.sock.settimeout(limits.get("read"))
                with _translated(request, httpx.ReadTimeout, httpx.ReadError):
                    answer = connection.getresponse()
            except BaseException:
                _end(connection)
                raise
        except BaseException:
            self._slots.release()
            raise
        body = _Body(self, origin, connection, answer, request)
        return httpx.Response(answer.status, headers=answer.getheaders(), stream=body)

    def close(self) -> None:
        """Close every connection; whoever still uses one sees it broken."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for _, connection in idle:
            _end(connection)
        self._lines.cut()

    @property
    def closed(self) -> bool:
        """Whether its connections were cut."""
        return self._closed

    def finished(self, origin: Origin, connection: http.client.HTTPConnection, *, reusable: bool) -> None:
        """An answer has been read, or given up."""
        with self._lock:
            reusable = reusable and not self._closed
            if reusable:
                self._idle.append((origin, connection))
        if not reusable:
            _end(connection)
        self._slots.release()

    def _reusable(self, origin: Origin) -> http.client.HTTPConnection | None:
        with self._lock:
            found = [item for item in self._idle if item[0] == origin]
            self._idle = [item for item in self._idle if item[0] != origin]
            alive = [item for item in found if not _ended(item[1])]
            self._idle += alive[1:]
        for item in found:
            if item not in alive:
                _end(item[1])
        return alive[0][1] if alive else None

    def _connect(
        self, origin: Origin, limits: Mapping[str, float | None], request: httpx.Request
    ) -> http.client.HTTPConnection:
        scheme, host, port = origin
        timeout = limits.get("connect")
        connection: http.client.HTTPConnection
        if scheme == "https":
            self._tls = self._tls or httpx.create_ssl_context()
            connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=self._tls)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=timeout)
        line = self._lines.line()
        connection._create_connection = line.connect  # type: ignore[attr-defined]
        connection.line = line  # type: ignore[attr-defined]
        try:
            with _translated(request, httpx.ConnectTimeout, httpx.ConnectError):
                connection.connect()
        except BaseException:
            _end(connection)
            raise
        return connection


class _Body(httpx.SyncByteStream):
    """The body of an answer; gives its connection back when read to the end."""

    def __init__(
        self,
        transport: StreamingTransport,
        origin: Origin,
        connection: http.client.HTTPConnection,
        answer: http.client.HTTPResponse,
        request: httpx.Request,
    ) -> None:
        self._transport = transport
        self._origin = origin
        self._connection = connection
        self._answer = answer
        self._request = request
        self._complete = False
        self._open = True

    def __iter__(self) -> Iterator[bytes]:
        while True:
            with _translated(self._request, httpx.ReadTimeout, httpx.ReadError):
                piece = self._answer.read1(PIECE)
            if not piece:
                break
            yield piece
        if self._transport.closed:  # what ends with its connection only seems complete
            raise httpx.ReadError("the client was closed", request=self._request)
        if self._answer.length:  # http.client does not mind
            raise httpx.RemoteProtocolError("the answer is shorter than announced", request=self._request)
        self._complete = True

    def close(self) -> None:
        if not self._open:
            return
        self._open = False
        reusable = self._complete and not self._answer.will_close
        self._answer.close()
        self._transport.finished(self._origin, self._connection, reusable=reusable)


_PORTS = {"http": 80, "https": 443}


def _seconds(limit: float | None) -> float:
    return threading.TIMEOUT_MAX if limit is None else limit


def _end(connection: http.client.HTTPConnection) -> None:
    connection.close()
    connection.line.close()  # type: ignore[attr-defined]


def _ended(connection: http.client.HTTPConnection) -> bool:
    """Whether the peer has closed an idle connection (or speaks out of turn)."""
    waiting = select.poll()
    waiting.register(connection.sock, select.POLLIN)
    return bool(waiting.poll(0))


def _send_head(connection: http.client.HTTPConnection, request: httpx.Request) -> None:
    target = request.url.raw_path.decode("ascii")
    connection.putrequest(request.method, target, skip_host=True, skip_accept_encoding=True)
    for name, value in request.headers.raw:
        connection.putheader(name.decode("ascii"), value)
    connection.endheaders()


def _send_body(connection: http.client.HTTPConnection, request: httpx.Request) -> None:
    """What the pieces' own iterator raises is not an error of the connection."""
    chunked = request.headers.get("transfer-encoding", "").lower() == "chunked"
    assert isinstance(request.stream, httpx.SyncByteStream)
    for piece in request.stream:
        if piece:
            with _translated(request, httpx.WriteTimeout, httpx.WriteError):
                connection.send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
    if chunked:
        with _translated(request, httpx.WriteTimeout, httpx.WriteError):
            connection.send(b"0\r\n\r\n")


@contextlib.contextmanager
def _translated(
    request: httpx.Request, late: type[httpx.TimeoutException], broken: type[httpx.NetworkError]
) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise late(str(error), request=request) from error
    except OSError as error:
        raise broken(str(error), request=request) from error
    except http.client.HTTPException as error:
        raise httpx.RemoteProtocolError(type(error).__name__, request=request) from error
