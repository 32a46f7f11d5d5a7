"""TLS handshakes that fail: counted and told, by port and reason, since nobody is known yet."""

import contextlib
import logging
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from hub.wire.tls import PEER

log = logging.getLogger(__name__)

_TOLD_EVERY = 10.0  #: seconds between two lines about the same port and reason: anybody can make a handshake fail
_LINGER = 1.0  #: seconds that a refused peer has to read why
#: X.509 verification errors of OpenSSL.
_VERIFY: Mapping[int, str] = {
    9: "certificate-not-yet-valid",
    10: "certificate-expired",
    18: "certificate-self-signed",
    19: "certificate-self-signed",
    20: "certificate-of-another-authority",
    21: "certificate-of-another-authority",
    23: "certificate-revoked",
    26: "certificate-for-another-purpose",
}
_REASONS: Mapping[str, str] = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "no-certificate",
    "HTTP_REQUEST": "not-tls",
    "WRONG_VERSION_NUMBER": "not-tls",
    "UNSUPPORTED_PROTOCOL": "protocol-version",
    "NO_SHARED_CIPHER": "no-shared-cipher",
    "NO_SUITABLE_SIGNATURE_ALGORITHM": "no-shared-cipher",
}
#: Why a peer that speaks TLS could not prove who it is.
CERTIFICATE_REASONS = frozenset(_VERIFY.values()) | {"certificate-refused", "no-certificate"}


def reason_of(error: ssl.SSLError | OSError) -> str:
    """Why a handshake failed, one of a few words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _VERIFY.get(error.verify_code, "certificate-refused")
    reason = str(getattr(error, "reason", "") or "")
    if "ALERT" in reason:
        return "refused-by-the-peer"
    return _REASONS.get(reason, "failed")


class Handshakes(Collector):
    """Those that failed, as a metric and in the log. ``listener``: told of each (port, reason, the peer's address)."""

    def __init__(self) -> None:
        self.listener: Callable[[str, str, str], None] | None = None
        self._lock = threading.Lock()
        self._failed: Counter[tuple[str, str]] = Counter()
        self._told: dict[tuple[str, str], float] = {}

    def failed(self, port: str, error: ssl.SSLError | OSError, peer: str = "") -> None:
        """Count one."""
        key = (port, reason_of(error))
        with self._lock:
            self._failed[key] += 1
            count, at = self._failed[key], time.monotonic()
            tell = at - self._told.get(key, -_TOLD_EVERY) >= _TOLD_EVERY
            if tell:
                self._told[key] = at
        if tell:
            log.warning("a TLS handshake on the port %s failed: %s (%d so far)", *key, count)
        if self.listener is not None:
            self.listener(*key, peer)

    def count(self, port: str, reason: str) -> int:
        """How many so far."""
        return self._failed[port, reason]

    def classes(self, port: str) -> tuple[type[ssl.SSLObject], type[ssl.SSLSocket]]:
        """What a context makes its connections of, so that failures of this port are seen."""
        told = self.failed

        class Object(ssl.SSLObject):
            refused: ssl.SSLError | None = None
            peer = ""

            def do_handshake(self) -> None:
                if self.refused is not None:
                    raise self.refused
                self.peer = self.peer or PEER.get()  # it begins when the connection is made, and goes on later
                try:
                    super().do_handshake()
                except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    raise
                except ssl.SSLCertVerificationError as error:
                    told(port, error, self.peer)
                    # An event loop that is told of the failure drops the connection, and with it the alert that says
                    # what is wrong with the certificate. One that is told to wait sends it first; the peer, or the
                    # loop's limit for handshakes, ends the connection.
                    self.refused = error
                    raise ssl.SSLWantReadError() from error
                except ssl.SSLError as error:
                    told(port, error, self.peer)
                    raise

        class Socket(ssl.SSLSocket):
            def do_handshake(self, *arguments: Any, **options: Any) -> None:
                peer = _address(self)  # who has gone when it is refused has none any more
                try:
                    super().do_handshake(*arguments, **options)
                except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    raise
                except ssl.SSLError as error:
                    told(port, error, peer)
                    if isinstance(error, ssl.SSLCertVerificationError):
                        _let_read(self)
                    raise

        return Object, Socket

    def collect(self) -> Iterable[Metric]:
        """The metric."""
        family = CounterMetricFamily(
            "maillage_tls_handshakes_failed",
            "TLS handshakes that failed, by port and reason.",
            labels=("port", "reason"),
        )
        with self._lock:
            failed = dict(self._failed)
        for key, count in failed.items():
            family.add_metric(key, count)
        yield family


def _address(connection: socket.socket) -> str:
    try:
        return str(connection.getpeername()[0])
    except OSError:  # gone already
        return ""


def _let_read(connection: socket.socket) -> None:
    """The alert has been sent; a peer that sent more meanwhile would lose it by a reset: wait a little for its end."""
    until = time.monotonic() + _LINGER
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_WR)
        while (left := until - time.monotonic()) > 0:
            connection.settimeout(left)
            if not socket.socket.recv(connection, 65536):
                return
