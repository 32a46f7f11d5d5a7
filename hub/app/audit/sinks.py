"""How a collector is given records: syslog over TLS, syslog by UDP, AuditEvents. Each says whether all arrived."""

import fcntl
import logging
import os
import socket
import ssl
import sys
import termios
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import httpx
import orjson

from hub.app.settings.atna import Collector
from hub.audit.model import AuditRecord, Own
from hub.errors import Unavailable
from hub.wire.atna.message import audit_message
from hub.wire.atna.syslog import frame, syslog_message
from hub.wire.fhir.audit_feed import feed
from hub.wire.fhir.r4 import MEDIA_TYPE
from hub.wire.http_client import StreamingTransport, cut_off_after

log = logging.getLogger(__name__)

APPLICATION = "maillage"
_PATIENCE, _LOOK_EVERY = 20.0, 0.005
_WHOLE = 3  #: times the silence that is allowed: what a whole exchange may take
_MOST_ANSWERED = 64 * 1024 * 1024
_LATE = "The collector does not answer in time."
_HEADERS = {"Content-Type": MEDIA_TYPE, "Accept": MEDIA_TYPE}
#: Statuses that say nothing of the event: who asks, where, when.
_NOT_OF_THE_EVENT = frozenset({401, 403, 404, 405, 407, 408, 421, 425, 429, 502, 503, 504})
Contexts = Callable[[], ssl.SSLContext]


class CollectorUnavailable(Unavailable):
    """A collector of the audit trail does not take what it is sent: the records wait."""

    code = "collector-unavailable"
    title = "The collector of the audit trail can't be reached, or does not take the records."


class EventRefused(CollectorUnavailable):
    """The collector answers, and does not take what it is sent: sent again as it is it will be refused again."""

    code = "event-refused"
    title = "The collector of the audit trail refuses an event."


class Sink(Protocol):
    """A way to a collector."""

    def send(self, records: Sequence[AuditRecord]) -> None:
        """Send; returns when the collector has all of them. Raises CollectorUnavailable: then any may be missing."""
        ...


class Syslog:
    """What both kinds of syslog share."""

    def __init__(self, collector: Collector, own: Callable[[], Own]) -> None:
        host, _, port = collector.address.rpartition(":")
        self.address = (host.strip("[]"), int(port))
        self.collector = collector
        self.own = own

    def messages(self, records: Sequence[AuditRecord]) -> list[bytes]:
        """The syslog messages."""
        own = self.own()
        host, process = own.address, own.process
        return [
            syslog_message(audit_message(record, own), record.at, host=host, application=APPLICATION, process=process)
            for record in records
        ]


class SyslogTls(Syslog):
    """RFC 5425. Syslog has no acknowledgement; so each batch ends the connection: the hub says that it has no more
    (close_notify), and waits until the collector, which has read everything then, ends it too. A collector that ends
    earlier or with a reset has not read everything: the batch is sent again."""

    def __init__(self, collector: Collector, own: Callable[[], Own], context: Contexts) -> None:
        super().__init__(collector, own)
        self.context = context

    def send(self, records: Sequence[AuditRecord]) -> None:
        """See Sink."""
        data = b"".join(map(frame, self.messages(records)))
        name = self.collector.server_name or self.address[0]
        timeout, context = self.collector.timeout, _tls(self.context)
        try:
            with socket.create_connection(self.address, timeout) as plain:
                plain.settimeout(timeout)
                with context.wrap_socket(plain, server_hostname=name) as secured:
                    secured.sendall(data)
                    _confirmed(secured)
        except OSError as error:
            raise CollectorUnavailable(_words(error)) from error


def _tls(context: Contexts) -> ssl.SSLContext:
    """Raises CollectorUnavailable when the files for it can't be used: that is not the collector's fault."""
    try:
        return context()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CollectorUnavailable(
            f"The hub's own files for TLS with the collector can't be used: {reason}."
        ) from error


def _words(error: BaseException) -> str:
    """Why a collector can't be reached, from what lies below the library's own error."""
    below = error
    while not isinstance(below, OSError) and (further := below.__cause__ or below.__context__) is not None:
        below = further
    match below:
        case ssl.SSLCertVerificationError():
            return f"The collector's certificate is not good: {below.verify_message.rstrip('.')}."
        case ssl.SSLError():
            return f"TLS with the collector failed: {below.reason or 'closed'}."
        case TimeoutError():
            return _LATE
        case OSError(strerror=str(reason)) if reason:
            return f"The collector does not answer: {reason}."
    return f"The collector does not answer: {type(error).__name__}."


def _confirmed(secured: ssl.SSLSocket) -> None:
    """Say the end, wait for the collector's: TLS's, or TCP's with every byte acknowledged. Raises OSError."""
    try:
        secured.unwrap().close()
    except ssl.SSLEOFError:
        # No close_notify (rsyslog's GnuTLS driver sends none). Who ends without having read answers with a reset.
        end = time.monotonic() + (secured.gettimeout() or _PATIENCE)
        while _unacknowledged(secured):
            if time.monotonic() > end:
                raise
            time.sleep(_LOOK_EVERY)
        if error := secured.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(error, os.strerror(error)) from None


def _unacknowledged(connection: socket.socket) -> int:
    """Bytes that the peer's machine has not taken yet."""
    found = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4))
    return int.from_bytes(found, sys.byteorder)


class SyslogUdp(Syslog):
    """RFC 5426, on this machine: what is too large for a datagram can't be sent."""

    def send(self, records: Sequence[AuditRecord]) -> None:
        """See Sink."""
        messages = self.messages(records)
        try:
            family = socket.getaddrinfo(*self.address, type=socket.SOCK_DGRAM)[0][0]
            with socket.socket(family, socket.SOCK_DGRAM) as plain:
                plain.connect(self.address)
                for message in messages:
                    plain.send(message[:65_000])
        except OSError as error:
            raise CollectorUnavailable(_words(error)) from error


class Restful:
    """AuditEvents in a Bundle (RESTful ATNA)."""

    def __init__(self, collector: Collector, own: Callable[[], Own], context: Contexts) -> None:
        self.collector = collector
        self.own = own
        self.context = context

    def send(self, records: Sequence[AuditRecord]) -> None:
        """See Sink."""
        status, content = self._asked(orjson.dumps(feed(records, self.own())))
        if not 200 <= status < 300:
            refused = status >= 400 and status not in _NOT_OF_THE_EVENT
            raise (EventRefused if refused else CollectorUnavailable)(f"The collector answers {status}.")
        if not content:  # "Prefer: return=minimal": all or nothing, by the status
            return
        try:
            answered = [str(item["response"]["status"]) for item in orjson.loads(content)["entry"]]
        except (ValueError, KeyError, TypeError) as error:
            raise CollectorUnavailable("The collector's answer does not say what became of each event.") from error
        taken = sum(status.startswith("2") for status in answered)
        if taken < len(records):
            words = next((f" It answers {status[:3]}." for status in answered if status[:1] in ("3", "4", "5")), "")
            kind = EventRefused if words else CollectorUnavailable
            raise kind(f"The collector took {taken} of {len(records)} events.{words}")

    def _asked(self, content: bytes) -> tuple[int, bytes]:
        """Status and body of the answer, within a time for the whole: a collector that drips is cut off."""
        url, timeout = self.collector.address, self.collector.timeout
        transport = StreamingTransport(tls=_tls(self.context) if url.startswith("https:") else None)
        with cut_off_after(timeout * _WHOLE, transport.close) as cut:
            try:
                with (
                    httpx.Client(transport=transport, timeout=timeout, trust_env=False) as client,
                    client.stream("POST", url, content=content, headers=_HEADERS) as answer,
                ):
                    body = bytearray()
                    for piece in answer.iter_bytes():
                        body += piece
                        if len(body) > _MOST_ANSWERED:
                            raise CollectorUnavailable("The collector answers too much.")
                    return answer.status_code, bytes(body)
            except (httpx.HTTPError, OSError) as error:
                raise CollectorUnavailable(_LATE if cut.is_set() else _words(error)) from error


def sink_of(collector: Collector, own: Callable[[], Own], context: Contexts) -> Sink:
    """The way to a collector. ``context``: TLS as the hub uses it elsewhere, for collectors that name no files."""
    contexts = _own_context(collector, context)
    if collector.kind == "fhir":
        return Restful(collector, own, contexts)
    return SyslogTls(collector, own, contexts) if collector.kind == "syslog-tls" else SyslogUdp(collector, own)


def _own_context(collector: Collector, shared: Contexts) -> Contexts:
    if collector.ca is None and collector.certificate is None:
        return shared

    def made() -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(collector.ca) if collector.ca else None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if collector.certificate is not None and collector.key is not None:
            context.load_cert_chain(collector.certificate, collector.key)
        return context

    return made


def host_name() -> str:
    """This machine's name."""
    return socket.gethostname()


def process_id() -> str:
    """This process's id."""
    return str(os.getpid())
