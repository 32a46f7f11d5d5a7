"""Certificates that callers show: in time, not revoked, and vouched for where a proxy says what was shown."""

import logging
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from cryptography import x509

from hub.access.model import EXPIRY_TOLD, Credentials
from hub.app.keys.changing import Changing
from hub.app.keys.handshakes import Handshakes
from hub.app.keys.revocation import Revocation
from hub.app.keys.tls import server_context
from hub.app.settings.model import Settings
from hub.errors import Misconfigured
from hub.values import now
from hub.wire.x509 import chain
from hub.wire.x509.errors import CertificateRefused

log = logging.getLogger(__name__)

_GOOD_FOR = 60.0  #: seconds that a verdict stands, unless a list in a file changes
_KEPT = 4096

Authorities = tuple[x509.Certificate, ...]


class AuthorityUnreadable(Misconfigured):
    """A file of authorities holds no certificate."""

    code = "authority-unreadable"
    title = "A file of authorities holds no readable certificate."


@dataclass(frozen=True, slots=True)
class _Verdict:
    certificate: x509.Certificate
    generation: tuple[int, ...]
    until: float


@dataclass(frozen=True, slots=True)
class _Vouched:
    good: bool
    generation: tuple[int, ...]
    until: float


class Certificates:
    """What the hub believes of certificates. ``check`` is asked of every one that a caller shows.

    ``shown``: the last day of the certificates of configured systems, as far as they have called."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime] = now) -> None:
        self.settings = settings
        self.revocation = Revocation(settings.tls, clock=clock)
        self.handshakes = Handshakes()
        self.shown: dict[str, datetime] = {}
        self._clock = clock
        self._files = {file: Changing((file,), _reader(file)) for file in every_file(settings)}
        self._good: dict[tuple[bytes, bool], _Verdict] = {}
        self._vouched: dict[tuple[x509.Certificate, tuple[Path, ...]], _Vouched] = {}
        self._told: dict[str, str] = {}
        self._pinned = {
            client.certificate_sha256.replace(":", "").strip().lower(): client.name
            for client in settings.clients
            if client.certificate_sha256
        }

    def server_context(self, port: str) -> ssl.SSLContext | None:
        """The context of a port: ``web``, ``mllp``, ``dimse``."""
        settings = self.settings
        return server_context(settings.tls, port, every_file(settings), self.handshakes)

    def authorities(self, files: Iterable[Path]) -> Authorities:
        """What some of the configured files hold now."""
        return tuple(certificate for file in files for certificate in self._files[file]())

    def check(self, credentials: Credentials) -> None:
        """Raises CertificateRefused, of the kind that says why."""
        self.known(credentials)

    def known(self, credentials: Credentials) -> x509.Certificate:
        """The certificate that was shown, when it is good now. Raises CertificateRefused."""
        der, forwarded = credentials.certificate, credentials.forwarded
        digest = sha256(der)
        key, generation = (digest.digest(), forwarded), self._generation()
        verdict = self._good.get(key)
        if verdict is None or verdict.generation != generation or time.monotonic() > verdict.until:
            verdict = self._judged(der, generation, forwarded=forwarded)
            if len(self._good) >= _KEPT:
                self._good.clear()
            self._good[key] = verdict
            self.ends(self._pinned.get(digest.hexdigest(), ""), verdict.certificate)
        return verdict.certificate

    def vouched(self, certificate: x509.Certificate, files: Iterable[Path]) -> bool:
        """Whether one of the authorities in the files vouches for it. Looked at anew each minute, and when a file
        changes."""
        key, generation = (certificate, tuple(files)), self._generation()
        known = self._vouched.get(key)
        if known is None or known.generation != generation or time.monotonic() > known.until:
            known = self._chained(*key, generation)
            if len(self._vouched) >= _KEPT:
                self._vouched.clear()
            self._vouched[key] = known
        return known.good

    def _chained(self, certificate: x509.Certificate, files: tuple[Path, ...], generation: tuple[int, ...]) -> _Vouched:
        at = self._clock()
        try:
            chain.check_client(certificate)
            found = chain.chain(certificate, self.authorities(files), at)
        except CertificateRefused:
            return _Vouched(False, generation, time.monotonic() + _GOOD_FOR)
        until = min(at + timedelta(seconds=_GOOD_FOR), *(one.not_valid_after_utc for one in found))
        return _Vouched(True, generation, time.monotonic() + (until - at).total_seconds())

    def ends(self, client: str, certificate: x509.Certificate) -> None:
        """A configured system showed this one: in its last month that is told, once a day."""
        if not client:
            return
        last, today = certificate.not_valid_after_utc, self._clock()
        self.shown[client] = last
        if last - today <= EXPIRY_TOLD and self._told.get(client) != today.date().isoformat():
            self._told[client] = today.date().isoformat()
            log.warning("the certificate of a client ends on %s", last.date().isoformat(), extra={"source": client})

    def _generation(self) -> tuple[int, ...]:
        for file in self._files.values():
            file()
        return (*self.revocation.generation, *(file.generation for file in self._files.values()))

    def _judged(self, der: bytes, generation: tuple[int, ...], *, forwarded: bool) -> _Verdict:
        at = self._clock()
        certificate = chain.read(der)
        chain.check_time(certificate, at)
        known = self.authorities(self._files)
        if forwarded and known:
            chain.check_client(certificate)
            chain.chain(certificate, known, at)
        until = min(certificate.not_valid_after_utc, at + timedelta(seconds=_GOOD_FOR))
        for one, issuer in _upwards(certificate, known):
            told = self.revocation.check(one, issuer)
            until = min(until, told) if told is not None else until
        return _Verdict(certificate, generation, time.monotonic() + (until - at).total_seconds())


def _upwards(
    certificate: x509.Certificate, known: Authorities
) -> Iterable[tuple[x509.Certificate, x509.Certificate | None]]:
    """Each certificate with who may revoke it, as far as that is known; an authority that stands by itself has none."""
    current = certificate
    for _ in range(chain.DEEPEST):
        issuer = chain.issuer_of(current, known)
        if issuer == current or (issuer is None and current is not certificate):
            return
        yield current, issuer
        if issuer is None:
            return
        current = issuer


def every_file(settings: Settings) -> tuple[Path, ...]:
    """Files of authorities that the settings name."""
    files = (
        settings.tls.ca,
        *(client.ca for client in settings.clients),
        *settings.cards.authorities,
        *settings.drimbox.operators,
    )
    return tuple(dict.fromkeys(file for file in files if file is not None))


def read_authorities(file: Path) -> Authorities:
    """The certificates of a PEM file. Raises AuthorityUnreadable."""
    try:
        return tuple(x509.load_pem_x509_certificates(file.read_bytes()))
    except (OSError, ValueError) as error:
        raise AuthorityUnreadable(location=str(file)) from error


def _reader(file: Path) -> Callable[[], Authorities]:
    return lambda: read_authorities(file)
