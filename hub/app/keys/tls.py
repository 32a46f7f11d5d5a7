"""Node authentication (ITI-19): TLS contexts, and the peer's certificate in every request's scope."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from hub.app.keys.changing import Changing
from hub.app.keys.handshakes import Handshakes
from hub.app.settings.nodes import Tls
from hub.app.web import direct_body
from hub.app.web.direct import ARRIVED, BREAK_OFF, EXTENSION, duplicate, second_handle

_VERIFY = {"required": ssl.CERT_REQUIRED, "optional": ssl.CERT_OPTIONAL, "none": ssl.CERT_NONE}
MAX_HEADER_BYTES = 64 * 1024
HEADER_SECONDS = 30.0
GOODBYE_SECONDS = 1.0  #: how long an idle peer may take to end TLS when the hub stops


def server_context(
    tls: Tls, port: str = "", authorities: Iterable[Path] = (), handshakes: Handshakes | None = None
) -> ssl.SSLContext | None:
    """The context of everything that listens; None when no certificate is configured.

    ``authorities``: files of further authorities whose certificates may be shown; ``handshakes``: where those that fail
    are counted, by the name of the ``port``."""
    certificate, key = tls.certificate, tls.key
    if certificate is None or key is None:
        return None
    believed = tuple(dict.fromkeys(file for file in (tls.ca, *authorities) if file is not None))

    def configure(context: ssl.SSLContext) -> None:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(certificate, key)
        for file in believed:
            context.load_verify_locations(file)
        if believed:
            context.verify_mode = _VERIFY[tls.client_certificates]
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # an authority below a root is believed by itself
        if handshakes is not None:
            context.sslobject_class, context.sslsocket_class = handshakes.classes(port)

    return _renewing(ssl.PROTOCOL_TLS_SERVER, (certificate, key, *believed), configure)


def client_context(tls: Tls) -> ssl.SSLContext:
    """The context of calls to other nodes: their certificate is verified, ours is shown."""
    return calling_context(tls.certificate, tls.key, (tls.ca,) if tls.ca is not None else ())


def calling_context(certificate: Path | None, key: Path | None, authorities: tuple[Path, ...]) -> ssl.SSLContext:
    """The context of calls to who is vouched for by one of the authorities (none named: the system's)."""

    def configure(context: ssl.SSLContext) -> None:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        for file in authorities:
            context.load_verify_locations(file)
        if not authorities:
            context.load_default_certs()
        if certificate is not None and key is not None:
            context.load_cert_chain(certificate, key)

    files = (file for file in (certificate, key, *authorities) if file is not None)
    return _renewing(ssl.PROTOCOL_TLS_CLIENT, tuple(files), configure)


class _Renewing(ssl.SSLContext):
    """A context whose files may change: each new connection is made with what they hold by then."""

    current: Changing[ssl.SSLContext]

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        return self.current().wrap_socket(*arguments, **options)

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        return self.current().wrap_bio(*arguments, **options)


def _renewing(protocol: int, files: tuple[Path, ...], configure: Callable[[ssl.SSLContext], None]) -> ssl.SSLContext:
    def made() -> ssl.SSLContext:
        context = ssl.SSLContext(protocol)
        configure(context)
        return context

    context = _Renewing(protocol)
    configure(context)  # its own attributes tell the truth to whoever looks
    context.current = Changing(files, made)
    return context


class PeerCertificateProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with the ASGI TLS extension, limits on the head of a request, and direct writing without TLS.

    ``scope["extensions"]["tls"]`` holds ``client_cert_chain`` (PEM, the ASGI extension's name), ``client_cert_der``,
    ``tls_version`` and ``cipher_suite``. The TLS stack has verified the certificate before."""

    _tls: dict[str, Any] | None = None
    _head: asyncio.TimerHandle | None = None
    _head_bytes = 0
    stopping = False  #: the hub stops: no further request on this connection
    body_bytes = 0  #: of the current request's body that the parser has seen

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep what TLS knows of the peer; it does not change while the connection lasts."""
        super().connection_made(transport)
        connection = transport.get_extra_info("ssl_object")
        if connection is not None:
            self._tls = _extension(connection)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting for a head."""
        self._head_came()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The hub stops: an idle peer that never answers the end of TLS does not hold it up."""
        super().shutdown()
        self.stopping = True
        if self.transport.is_closing():
            self.loop.call_later(GOODBYE_SECONDS, self.transport.abort)

    def data_received(self, data: bytes) -> None:
        """An offer to change the protocol is ignored (RFC 9110 7.8): Java's clients offer h2c at first."""
        self._unset_keepalive_if_required()
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._parsed(rest) :]
        except httptools.HttpParserError:
            self.logger.warning("Invalid HTTP request received.")
            self.send_400_response("Invalid HTTP request received.")

    def _parsed(self, data: memoryview) -> int:
        """How many bytes were taken. After an offer a new parser is told the request again, without the offer."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            method, version = self.parser.get_method(), self.parser.get_http_version().encode()
            if method == b"CONNECT":
                raise httptools.HttpParserError("no proxy") from offer
            kept = [(name, value) for name, value in self.headers if name != b"upgrade"]
            head = [method, b" ", self.url, b" HTTP/", version, b"\r\n"]
            for name, value in kept:
                head += [name, b": ", value, b"\r\n"]
            self.expect_request()
            self.parser.feed_data(b"".join([*head, b"\r\n"]))
            return int(offer.args[0])
        return len(data)

    def expect_request(self) -> None:
        """What comes next is the beginning of a request, whatever came before."""
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def on_message_begin(self) -> None:
        """Add the extension to the new request's scope."""
        super().on_message_begin()
        self._head_bytes = self.body_bytes = 0
        self.scope["extensions"] = {} if self._tls is None else {"tls": self._tls}  # type: ignore[dict-item]
        if self._head is None:
            self._expect_head()

    def on_url(self, url: bytes) -> None:
        """Count towards the head's limit."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count towards the head's limit."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is here."""
        self._head_came()
        if self.parser.should_upgrade():
            return
        super().on_headers_complete()
        cycle = self.cycle
        extensions: dict[str, Any] = self.scope["extensions"]  # to uvicorn they are dictionaries
        extensions[ARRIVED] = lambda: not cycle.more_body
        extensions[BREAK_OFF] = cycle.transport.abort
        if self._tls is None:
            extensions[EXTENSION] = _Direct(cycle)
            extensions[direct_body.EXTENSION] = _Body(self)

    def on_body(self, body: bytes) -> None:
        """Count what the parser has seen."""
        self.body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The body is here, unless the request will be told again."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEADER_BYTES:
            raise ValueError("head too large")  # the parser turns it into an HttpParserError: 400 and close

    def _expect_head(self) -> None:
        self._head = self.loop.call_later(HEADER_SECONDS, self.transport.abort)

    def _head_came(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None


class _Direct:
    """The answer to one request: see ``hub.app.web.direct.Connection``.

    Not the protocol's current cycle: a peer that has the whole body may have sent its next request by now."""

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle

    async def socket_of_its_own(self) -> socket.socket | None:
        return await second_handle(self._cycle.transport)

    def wrote(self, size: int) -> None:
        if not self._cycle.chunked_encoding:
            self._cycle.expected_content_length -= size

    def abandon(self) -> None:
        self._cycle.transport.abort()

    @property
    def chunked(self) -> bool:
        return bool(self._cycle.chunked_encoding)


class _Body:
    """The body of one request: see ``hub.app.web.direct_body.Source``."""

    def __init__(self, protocol: PeerCertificateProtocol) -> None:
        self._protocol = protocol
        self._cycle = protocol.cycle
        self._lasting = False
        self.transport = protocol.transport

    async def take(self) -> tuple[bytes, socket.socket | None, int]:
        protocol, cycle = self._protocol, self._cycle
        headers = dict(cycle.scope["headers"])
        length = headers.get(b"content-length", b"")
        certain = length.isdigit() and b"transfer-encoding" not in headers
        if not certain or protocol.cycle is not cycle or not cycle.more_body or self.transport.is_closing():
            return b"", None, 0
        cycle.flow.pause_reading()
        held, cycle.body = bytes(cycle.body), bytearray()
        # Till all of it was read, the parser waits for as many bytes as it has not seen, and the connection ends with
        # the answer: nothing of a body can be taken for a request.
        self._lasting, cycle.keep_alive = cycle.keep_alive, False
        return held, duplicate(self.transport), int(length) - protocol.body_bytes

    async def done(self) -> None:
        if self.transport.is_closing():
            return
        self._protocol.expect_request()
        self._cycle.more_body = False
        self._cycle.keep_alive = self._lasting and not self._protocol.stopping


def _extension(connection: Any) -> dict[str, Any]:
    certificate = connection.getpeercert(binary_form=True)
    cipher = connection.cipher()
    return {
        "client_cert_der": certificate or b"",
        "client_cert_chain": (ssl.DER_cert_to_PEM_cert(certificate),) if certificate else (),
        "tls_version": connection.version(),
        "cipher_suite": cipher[0] if cipher else None,
    }
