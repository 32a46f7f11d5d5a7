"""The list of trusted DRIMboxes (``ListeBlancheDRIM-M``): who may ask for images, and where images may be asked for."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from urllib.parse import urlsplit

from cryptography import x509

from hub.errors import Invalid, Malformed
from hub.wire.drimbox.errors import WhiteListRefused
from hub.wire.drimbox.signature import content_of, unseal
from hub.wire.x509 import chain
from hub.wire.x509.errors import CertificateRefused, RevocationUnreadable
from hub.wire.x509.names import comparable, exact_name, subject_fits
from hub.wire.x509.revocation import in_list
from hub.wire.xml import Element, parse_xml

NAMESPACE = "https://github.com/ansforge/DRIM-M_DATA"
ROOT = "ListeBlancheDRIM-M"
VERSION = "1.0.0"
MAX_BYTES = 8 * 1024 * 1024
MAX_DOMAINS = 20_000
_MAX_TEXT = 500
_AFTER_COMMA = re.compile(r",\s+(?=[A-Za-z.0-9]+=)")
_HTTPS = 443


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose signature is believed. ``signer``: patterns for CN and OU of the certificate."""

    authorities: tuple[x509.Certificate, ...]
    lists: tuple[x509.CertificateRevocationList, ...]
    signer: tuple[tuple[str, str], ...] = (("CN", "Liste Blanche DRIM-M"), ("OU", "318751275100020"))
    algorithms: tuple[str, ...] = ("rsa-sha256",)
    namespace: str = NAMESPACE
    version: str = VERSION


@dataclass(frozen=True, slots=True)
class Domain:
    """One trusted DRIMbox. ``subject``: of its operator's certificate, parts in any order; empty when unreadable."""

    id: str
    source: str  #: host[:port] that gives images (db)
    viewer: str = ""  #: host[:port] of its viewer (vi)
    name: str = ""
    subject: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class WhiteList:
    """The list. ``good_until``: then it must be verified anew (its signer's certificate, the revocation lists)."""

    generated: datetime
    domains: tuple[Domain, ...]
    good_until: datetime

    def operator(self, certificate: x509.Certificate) -> Domain | None:
        """The DRIMbox whose operator's certificate this is; that somebody vouches for it is checked elsewhere."""
        subject = _parts(certificate.subject)
        return next((item for item in self.domains if item.subject and item.subject == subject), None)

    def source_of(self, url: str) -> Domain | None:
        """The DRIMbox that gives images at this URL; None for any other place, and for anything but https."""
        place = place_of(url, "https")
        return next((item for item in self.domains if place and item.source == place), None)


def read_white_list(data: bytes, trust: Trust, at: datetime) -> WhiteList:
    """The list, when its signature is one that is believed now. Raises WhiteListRefused."""
    try:
        root = parse_xml(data, max_bytes=MAX_BYTES)
    except Malformed as error:
        raise WhiteListRefused(f"The list is not readable: {error.message}") from error
    seal = unseal(root, trust.algorithms)
    until = _vouched(seal.certificates[0], trust, at)
    if not seal.by(chain.read(seal.certificates[0]).public_key()):
        raise WhiteListRefused("The list's signature does not fit the certificate that it names.")
    return _read(content_of(seal), trust, until)


def _vouched(der: bytes, trust: Trust, at: datetime) -> datetime:
    """Until when it is known that the signer's certificate is good."""
    try:
        certificate = chain.read(der)
        found = chain.chain(certificate, trust.authorities, at)
    except CertificateRefused as error:
        raise WhiteListRefused("No authority that is believed vouches for who signed the list.") from error
    constraints, usage = (
        chain.extension(certificate, x509.BasicConstraints),
        chain.extension(certificate, x509.KeyUsage),
    )
    may_sign = usage is None or usage.digital_signature or usage.content_commitment
    if len(found) < 2 or (constraints is not None and constraints.ca) or not may_sign:
        raise WhiteListRefused("The certificate of the list's signature is not one for this purpose.")
    if not subject_fits(dict(trust.signer), certificate.subject):
        raise WhiteListRefused("The list is signed by somebody else than the settings name.")
    until = min(item.not_valid_after_utc for item in found)
    for one, issuer in pairwise(found):
        until = min(until, _not_revoked(one, issuer, trust.lists, at))
    return until


def _not_revoked(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    lists: Sequence[x509.CertificateRevocationList],
    at: datetime,
) -> datetime:
    fresh = None
    for crl in lists:
        try:
            standing = in_list(crl, certificate, issuer)
        except RevocationUnreadable as error:
            raise WhiteListRefused(error.message) from error
        if standing is not None and standing.revoked:
            raise WhiteListRefused("The certificate of the list's signature was revoked.")
        if standing is not None and standing.fresh_until >= at:
            fresh = max(fresh or at, standing.fresh_until)
    if fresh is None:
        raise WhiteListRefused("No fresh revocation list speaks of the certificate of the list's signature.")
    return fresh


def _read(root: Element, trust: Trust, until: datetime) -> WhiteList:
    def name(text: str) -> str:
        return f"{{{trust.namespace}}}{text}"

    if root.tag != name(ROOT) or root.get("versionFormat") != trust.version:
        raise WhiteListRefused("The document is not a list of trusted DRIMboxes, or of another version.")
    rows = root.findall(f"{name('ListeDomaines')}/{name('Domaine')}")
    if len(rows) > MAX_DOMAINS:
        raise WhiteListRefused("The list is too long.")

    def text(row: Element, tag: str) -> str:
        value = (row.findtext(name(tag)) or "").strip()
        if len(value) > _MAX_TEXT:
            raise WhiteListRefused("A text of the list is too long.")
        return value

    domains = tuple(
        Domain(
            text(row, "Identifiant"),
            place_of(text(row, "db")),
            place_of(text(row, "vi")),
            text(row, "Denomination"),
            _subject(text(row, "DNCertificatOperateur")),
        )
        for row in rows
    )
    return WhiteList(_instant(text(root, "DateDeGeneration")), domains, until)


def place_of(text: str, scheme: str = "") -> str:
    """``host[:port]`` of an address, with or without a scheme, lower case; "" for what is none.

    ``scheme``: the only one that the address may have, and must."""
    if not scheme and "://" not in text:
        text = f"https://{text}"
    try:
        parts = urlsplit(text)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return ""
    if parts.scheme != (scheme or "https") or not host or parts.username is not None or not text.isascii():
        return ""
    return host if port in (None, _HTTPS) else f"{host}:{port}"


def _instant(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise WhiteListRefused("The list does not say when it was made.") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _subject(text: str) -> frozenset[tuple[str, str]]:
    try:
        return frozenset().union(*exact_name(_AFTER_COMMA.sub(",", text)))
    except Invalid:
        return frozenset()


def _parts(name: x509.Name) -> frozenset[tuple[str, str]]:
    return frozenset().union(*comparable(name))
