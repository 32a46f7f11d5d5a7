"""Why a TLS handshake fails, in words: with the hub, or with a peer that the hub calls."""

import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from hub.app.keys.certificates import read_authorities
from hub.app.keys.tls import client_context
from hub.app.settings.nodes import Tls
from hub.errors import HubError, Invalid
from hub.values import now
from hub.wire.x509 import chain
from hub.wire.x509.errors import CertificateExpired, CertificateNotYetValid, CertificateRefused, RevocationUnreadable
from hub.wire.x509.revocation import in_list, read_lists

SECONDS = 10.0
_ANSWER = 2.0  #: seconds that a server has to refuse our certificate: in TLS 1.3 it says so after the handshake
#: Alerts of the peer (RFC 8446: 6), as OpenSSL names them -> what they mean for us.
_ALERTS: tuple[tuple[str, str], ...] = (
    ("CERTIFICATE_REQUIRED", "The peer wants a client certificate, and none was shown (--certificate, --key)."),
    ("CERTIFICATE_EXPIRED", "The peer says that our certificate has expired."),
    ("CERTIFICATE_REVOKED", "The peer says that our certificate is revoked."),
    ("UNSUPPORTED_CERTIFICATE", "The peer says that our certificate is for another purpose, or of another kind."),
    ("CERTIFICATE_UNKNOWN", "The peer refuses our certificate and does not say why."),
    ("BAD_CERTIFICATE", "The peer refuses our certificate: none was shown, or it can't be verified there."),
    ("UNKNOWN_CA", "The peer does not believe the authority of our certificate."),
    ("PROTOCOL_VERSION", "The peer wants another version of TLS than 1.2 or 1.3."),
    ("UNSUPPORTED_PROTOCOL", "The peer speaks a version of TLS before 1.2, which the hub does not."),
    ("HANDSHAKE_FAILURE", "The peer finds no cipher suite in common, or wants a client certificate of another kind."),
    ("UNRECOGNIZED_NAME", "The peer does not know the name that was asked for (--name)."),
    ("ACCESS_DENIED", "The peer does not let our certificate in."),
    ("WRONG_VERSION_NUMBER", "The peer does not speak TLS on this port."),
    ("HTTP_REQUEST", "The peer does not speak TLS on this port."),
    ("UNEXPECTED_EOF", "The peer ends the connection during the handshake: it may not speak TLS on this port, or may "
                       "want a client certificate."),
)  # fmt: skip


_WANTED = "The peer ends the connection after the handshake: it wants a client certificate, and none was shown."
_REFUSED = (
    "The peer ends the connection after the handshake: it refuses our certificate (another authority, revoked, not "
    "listed there); its log says why."
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    good: bool
    text: str


class PlaceUnreadable(Invalid):
    """What ``maillage doctor tls`` is to look at is no HOST:PORT."""

    code = "place-unreadable"
    title = "Say where as HOST:PORT."


def place_of(text: str) -> tuple[str, int]:
    """``HOST:PORT``. Raises PlaceUnreadable."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise PlaceUnreadable()
    return host.strip("[]"), int(port)


def examine(
    host: str, port: int, tls: Tls, *, name: str = "", clock: Callable[[], datetime] = now
) -> Iterator[Finding]:
    """What is found, in the order of a connection; the first bad finding is usually the cause.

    ``tls``: our certificate and key, and the authorities that we believe. ``name``: that the peer's certificate must
    have, where it is another one than ``host``."""
    at = clock()
    if problem := _unusable(tls):
        yield Finding(False, problem)
        return
    yield from _own(tls, at)
    try:
        with socket.create_connection((host, port), SECONDS):
            yield Finding(True, f"{host}:{port} can be reached.")
    except OSError as error:
        yield Finding(False, f"{host}:{port} can't be reached: {error.strerror or type(error).__name__}.")
        return
    peer, failure = _peer_certificate(host, port, name or host, tls)
    if peer is None:
        yield Finding(False, told(failure))
        return
    yield from _theirs(peer, tls, at)
    yield from _handshake(host, port, tls, name or host, peer)


def _unusable(tls: Tls) -> str:
    """Why our files can't be used; "" where they can."""
    if (tls.certificate is None) != (tls.key is None):
        return "Our certificate can't be used: a certificate and its key are needed, and one of them is not given."
    if tls.certificate is not None and tls.key is not None:
        try:
            serialization.load_pem_private_key(tls.key.read_bytes(), None)
            x509.load_pem_x509_certificate(tls.certificate.read_bytes())
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(tls.certificate, tls.key)
        except TypeError:
            return "Our certificate can't be used: its key wants a password, and the hub has none."
        except ssl.SSLError:
            return "Our certificate can't be used: the key is not its key."
        except (OSError, ValueError):
            return "Our certificate can't be used: a file is missing or unreadable."
    try:
        found = read_authorities(tls.ca) if tls.ca is not None else None
    except HubError:
        found = ()
    return f"There is no certificate of an authority to be read in {tls.ca}." if found == () else ""


def _own(tls: Tls, at: datetime) -> Iterator[Finding]:
    if tls.certificate is None:
        yield Finding(True, "No certificate of ours is configured: none will be shown.")
        return
    certificate = x509.load_pem_x509_certificate(tls.certificate.read_bytes())
    yield _dated("Our certificate", certificate, at)
    try:
        chain.check_client(certificate)
    except CertificateRefused:
        yield Finding(False, "Our certificate is not for client authentication (keyUsage, extendedKeyUsage).")
    if tls.ca is not None:
        yield from _revoked("Our certificate", certificate, tls.ca, tls.crls)


def _dated(whose: str, certificate: x509.Certificate, at: datetime) -> Finding:
    try:
        chain.check_time(certificate, at)
    except CertificateExpired:
        return Finding(False, f"{whose} expired on {_day(certificate.not_valid_after_utc)}.")
    except CertificateNotYetValid:
        begins = _day(certificate.not_valid_before_utc)
        return Finding(False, f"{whose} is valid from {begins} on: is this machine's clock right ({_day(at)})?")
    return Finding(True, f"{whose} is valid until {_day(certificate.not_valid_after_utc)}.")


def _peer_certificate(
    host: str, port: int, name: str, tls: Tls
) -> tuple[x509.Certificate | None, ssl.SSLError | OSError | None]:
    """What the peer shows, whether we believe it or not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # to look at only: nothing is sent
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.certificate is not None and tls.key is not None:
        context.load_cert_chain(tls.certificate, tls.key)
    try:
        with (
            socket.create_connection((host, port), SECONDS) as link,
            context.wrap_socket(link, server_hostname=name) as connection,
        ):
            der = connection.getpeercert(binary_form=True)
            return (chain.read(der) if der else None), None
    except (OSError, HubError) as error:
        return None, error if isinstance(error, OSError) else None


def _theirs(peer: x509.Certificate, tls: Tls, at: datetime) -> Iterator[Finding]:
    yield _dated("The peer's certificate", peer, at)
    if tls.ca is not None:
        yield from _trust(peer, tls.ca, at)
        yield from _outdated(tls.crls, at)
        yield from _revoked("The peer's certificate", peer, tls.ca, tls.crls)


def _trust(peer: x509.Certificate, ca: Path, at: datetime) -> Iterator[Finding]:
    try:
        chain.chain(peer, read_authorities(ca), at)
    except (CertificateExpired, CertificateNotYetValid):
        return  # told before, or told by the handshake
    except HubError:
        issuer = peer.issuer.rfc4514_string()
        how = "is self-signed" if peer.issuer == peer.subject else f"was issued by {issuer}"
        yield Finding(False, f"The peer's certificate {how}, which {ca.name} does not vouch for.")
        return
    yield Finding(True, f"{ca.name} vouches for the peer's certificate.")


def _outdated(lists: tuple[Path, ...], at: datetime) -> Iterator[Finding]:
    """Lists that can't be used, or whose time is over."""
    for file in lists:
        try:
            ends = [crl.next_update_utc for crl in read_lists(file.read_bytes())]
        except (OSError, RevocationUnreadable):
            yield Finding(False, f"The revocation list {file.name} can't be used.")
            continue
        for end in ends:
            if end is not None and end < at:
                yield Finding(False, f"The revocation list {file.name} ended on {_day(end)}: fetch the next one.")


def _revoked(whose: str, shown: x509.Certificate, ca: Path, lists: tuple[Path, ...]) -> Iterator[Finding]:
    try:
        issuer = chain.issuer_of(shown, read_authorities(ca))
    except HubError:
        return
    for file in lists if issuer is not None else ():
        assert issuer is not None
        try:
            found = [in_list(crl, shown, issuer) for crl in read_lists(file.read_bytes())]
        except (OSError, RevocationUnreadable):
            continue  # told by itself
        if any(standing is not None and standing.revoked for standing in found):
            yield Finding(False, f"{whose} is revoked ({file.name}).")


def _handshake(host: str, port: int, tls: Tls, name: str, peer: x509.Certificate) -> Iterator[Finding]:
    """As the hub would do it."""
    try:
        context = client_context(tls)
        with (
            socket.create_connection((host, port), SECONDS) as link,
            context.wrap_socket(link, server_hostname=name) as connection,
        ):
            version = connection.version()
            connection.settimeout(_ANSWER)
            if _hung_up(connection):
                yield Finding(False, _REFUSED if tls.certificate is not None else _WANTED)
                return
            yield Finding(True, f"The handshake succeeds ({version}).")
    except ssl.SSLCertVerificationError as error:
        if "ostname" in error.verify_message or "IP address" in error.verify_message:
            names = ", ".join(_names(peer)) or "none"
            yield Finding(False, f"The peer's certificate is not for {name}; its names are: {names}.")
        else:
            yield Finding(False, f"We refuse the peer's certificate: {error.verify_message}.")
    except (OSError, HubError) as error:
        yield Finding(False, told(error if isinstance(error, OSError) else None))


def _hung_up(connection: ssl.SSLSocket) -> bool:
    """Whether the peer ends the connection before anything was said; one that waits for us has let us in."""
    try:
        return not connection.recv(1)
    except TimeoutError:
        return False


def told(error: OSError | None) -> str:
    """A failed handshake in words."""
    if error is None:
        return "The peer shows no readable certificate."
    reason = str(getattr(error, "reason", "") or "")
    for mark, text in _ALERTS:
        if mark in reason:
            return text
    if isinstance(error, TimeoutError):
        return "The peer does not answer: it may not speak TLS on this port."
    if isinstance(error, ConnectionError):
        return "The peer ends the connection during the handshake: it may want a client certificate."
    return f"The handshake fails: {reason or type(error).__name__}."


def _names(certificate: x509.Certificate) -> list[str]:
    names = chain.extension(certificate, x509.SubjectAlternativeName)
    if names is None:
        return []
    return [str(name.value) for name in names if isinstance(name, x509.DNSName | x509.IPAddress)]


def _day(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M UTC")
