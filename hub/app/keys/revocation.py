"""Whether certificates are revoked: lists in files, lists and OCSP answers from hosts that the settings allow."""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from cryptography import x509

from hub.app.keys.changing import Changing
from hub.app.settings.nodes import Tls
from hub.errors import HubError, Unavailable
from hub.values import now
from hub.wire.http_client import StreamingTransport, cut_off_after
from hub.wire.x509.errors import CertificateRevoked, RevocationUnknown, RevocationUnreadable
from hub.wire.x509.revocation import (
    Standing,
    in_list,
    is_list_of,
    list_urls,
    ocsp_request,
    ocsp_standing,
    ocsp_urls,
    read_lists,
)

log = logging.getLogger(__name__)

LARGEST = 64 << 20  #: bytes of a list
_PAUSE = 60.0  #: seconds before a host that failed is asked again
_TOLD_EVERY = 3600.0
_KEPT = 10_000  #: OCSP answers

Lists = tuple[x509.CertificateRevocationList, ...]


@dataclass(frozen=True, slots=True)
class _Kept:
    """What was fetched, or that it could not be: good till then (monotonic for a failure)."""

    lists: Lists | None
    standing: Standing | None
    again: float


class Revocation:
    """``check`` raises when a certificate is revoked, or when nobody can tell and ``hard`` wants to know.

    What is fetched is kept until its nextUpdate, and while nothing newer can be had: then it still revokes, and vouches
    for nobody. A host that fails is left alone for a minute."""

    def __init__(
        self,
        tls: Tls,
        *,
        clock: Callable[[], datetime] = now,
        ticks: Callable[[], float] = time.monotonic,
        get: "Fetch | None" = None,
    ) -> None:
        self.mode = tls.revocation
        self._clock, self._ticks = clock, ticks
        self._hosts = frozenset(host.lower() for host in tls.revocation_hosts)
        self._fetch = get or Fetch(tls.revocation_seconds)
        self.files = [Changing((file,), _reader(file)) for file in tls.crls]
        self._kept: dict[tuple[str, int], _Kept] = {}
        self._turns: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self._told: dict[str, float] = {}

    @property
    def generation(self) -> tuple[int, ...]:
        """Changes when a list in a file does."""
        for file in self.files:
            file()
        return tuple(file.generation for file in self.files)

    def check(self, certificate: x509.Certificate, issuer: x509.Certificate | None) -> datetime | None:
        """Until when it is known not to be revoked, None when nobody told. Raises CertificateRevoked,
        RevocationUnknown."""
        if self.mode == "off":
            return None
        at, until = self._clock(), None
        for source in self._sources(certificate, issuer) if issuer is not None else ():
            for standing in source:  # all that one kind of source says: a later list may revoke
                if standing.revoked:
                    raise CertificateRevoked()
                if standing.fresh_until >= at:
                    until = max(until or at, standing.fresh_until)
            if until is not None:
                return until
        if self.mode == "hard":
            raise RevocationUnknown()
        return None

    def _sources(self, certificate: x509.Certificate, issuer: x509.Certificate) -> Iterator[Iterator[Standing]]:
        """What files say, then what lists say that can be fetched, then what responders say."""
        yield (each for file in self.files for each in self._in_lists(file(), certificate, issuer))
        for url in self._permitted(list_urls(certificate)):
            yield self._in_lists(self._list(url, issuer) or (), certificate, issuer)
        for url in self._permitted(ocsp_urls(certificate)):
            standing = self._asked(url, certificate, issuer)
            yield iter((standing,) if standing is not None else ())

    def _in_lists(self, lists: Lists, certificate: x509.Certificate, issuer: x509.Certificate) -> Iterator[Standing]:
        for crl in lists:
            try:
                standing = in_list(crl, certificate, issuer)
            except RevocationUnreadable as error:
                self._tell(error.message)
                continue
            if standing is not None:
                yield standing

    def _permitted(self, urls: Sequence[str]) -> Iterator[str]:
        for url in urls:
            try:
                place = urlsplit(url)
                host, port = (place.hostname or "").lower(), place.port
            except ValueError:
                continue
            if {f"{host}:{port or 80}", host if port in (None, 80) else ""} & self._hosts:
                yield url

    def _list(self, url: str, issuer: x509.Certificate) -> Lists | None:
        name = f"{url} {issuer.subject.rfc4514_string()}"

        def ask() -> tuple[Lists, None, datetime]:
            lists = tuple(crl for crl in read_lists(self._fetch.get(url)) if is_list_of(crl, issuer))
            if not lists:  # plain http: anybody may have sent it, it does not take the place of the one before
                raise RevocationUnreadable("The revocation list is not signed by the authority that it names.")
            kept = self._kept.get((name, 0))
            if kept is not None and kept.lists and _made(lists) < _made(kept.lists):
                raise RevocationUnreadable("The revocation list is older than the one before.")
            return _listed(lists, self._clock())

        return self._once(name, 0, ask).lists

    def _asked(self, url: str, certificate: x509.Certificate, issuer: x509.Certificate) -> Standing | None:
        def ask() -> tuple[None, Standing, datetime]:
            nonce = secrets.token_bytes(16)
            answer = self._fetch.post(url, ocsp_request(certificate, issuer, nonce))
            standing = ocsp_standing(answer, certificate, issuer, nonce, self._clock())
            return None, standing, standing.fresh_until

        return self._once(f"{url} {issuer.subject.rfc4514_string()}", certificate.serial_number, ask).standing

    def _once(self, name: str, number: int, ask: Callable[[], tuple[Lists | None, Standing | None, datetime]]) -> _Kept:
        """What is kept, or what ``ask`` brings: one caller asks, the others wait for it."""
        key = (name, number)
        with self._lock:
            turn = self._turns.setdefault(f"{name} {number}", threading.Lock())
        with turn:
            kept = self._kept.get(key)
            if kept is not None and self._ticks() < kept.again:
                return kept
            try:
                lists, standing, until = ask()
                kept = _Kept(lists, standing, self._ticks() + max((until - self._clock()).total_seconds(), 1.0))
            except HubError as error:
                self._tell(error.message)  # what was told before still revokes, until it is told anew
                kept = replace(kept or _Kept(None, None, 0.0), again=self._ticks() + _PAUSE)
            with self._lock:
                if len(self._kept) >= _KEPT:
                    self._kept.clear()
                    self._turns.clear()
                self._kept[key] = kept
            return kept

    def _tell(self, message: str) -> None:
        """Each trouble once an hour: the same one may meet every request."""
        if self._ticks() - self._told.get(message, -_TOLD_EVERY) >= _TOLD_EVERY:
            self._told[message] = self._ticks()
            log.warning("revocation: %s", message)


class Fetch:
    """HTTP, as lists and responders speak it: no redirection, no proxy, so many seconds, so many bytes."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def get(self, url: str) -> bytes:
        """A list. Raises Unavailable."""
        return self._exchange("GET", url, None)

    def post(self, url: str, question: bytes) -> bytes:
        """An OCSP answer. Raises Unavailable."""
        return self._exchange("POST", url, question)

    def _exchange(self, method: str, url: str, body: bytes | None) -> bytes:
        headers = {"Content-Type": "application/ocsp-request", "Accept": "application/ocsp-response"} if body else {}
        transport, size, pieces = StreamingTransport(), 0, []
        try:
            with (
                cut_off_after(4 * self.seconds, transport.close),
                httpx.Client(transport=transport, timeout=self.seconds, trust_env=False) as client,
                client.stream(method, url, content=body, headers=headers) as answer,
            ):
                if answer.status_code != 200:
                    raise Unavailable("A revocation host answered with an error.")
                for piece in answer.iter_bytes():
                    size += len(piece)
                    pieces.append(piece)
                    if size > LARGEST:
                        raise Unavailable("A revocation host sends too much.")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise Unavailable("A revocation host can't be reached, or is too slow.") from error
        return b"".join(pieces)


def _made(lists: Lists) -> datetime:
    return max(crl.last_update_utc for crl in lists)


def _listed(lists: Lists, at: datetime) -> tuple[Lists, None, datetime]:
    """Kept until the first list ends; what has ended already is asked for again soon."""
    ends = [crl.next_update_utc or at for crl in lists]
    return lists, None, max(min(ends), at + timedelta(seconds=_PAUSE))


def _reader(file: Path) -> Callable[[], Lists]:
    return lambda: read_lists(file.read_bytes())
