"""Who asks, how they proved it, and what a permission is. Frozen values, no decisions."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum

#: So long before its last day the end of a token is told.
EXPIRY_TOLD = timedelta(days=30)


class Scheme(StrEnum):
    """How a caller proved who they are."""

    NONE = "none"
    CERTIFICATE = "certificate"  #: mutual TLS (ITI-19)
    TOKEN = "token"  # noqa: S105  #: bearer token of a system client
    AE_TITLE = "ae-title"  #: calling AE title of a DICOM association
    SESSION = "session"  #: a person signed in to the portal
    LOOPBACK = "loopback"  #: the open sandbox, loopback only
    INTERNAL = "internal"  #: the hub itself (workers)


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller. ``permissions`` are patterns: ``documents.query``, ``documents.*``, ``*``."""

    id: str
    name: str = ""
    scheme: Scheme = Scheme.NONE
    organisation: str = ""
    roles: frozenset[str] = field(default_factory=frozenset)
    permissions: frozenset[str] = field(default_factory=frozenset)
    source: str = ""  #: the configured source this client speaks for, "" when it speaks for itself
    person: bool = False  #: a human being rather than a system

    @property
    def authenticated(self) -> bool:
        """Whether anybody vouched for the caller."""
        return self.scheme is not Scheme.NONE


ANONYMOUS = Principal(id="anonymous")
HUB = Principal(id="hub", name="Maillage", scheme=Scheme.INTERNAL, permissions=frozenset({"*"}))


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a caller showed. All empty: nothing was shown. Never logged."""

    bearer: str = field(default="", repr=False)
    certificate: bytes = field(default=b"", repr=False)  #: DER of the verified peer certificate
    session: str = field(default="", repr=False)
    saml: bytes = field(default=b"", repr=False)
    peer: str = ""  #: address of the caller
    ae_title: str = ""  #: calling AE title that the DICOM port let in (dimse.callers, archive.senders)


@dataclass(frozen=True, slots=True)
class Client:
    """A configured system: recognised by its certificate or its bearer token (SHA-256, hexadecimal)."""

    name: str
    certificate_sha256: str = ""
    token_sha256: str = ""
    token_expires: date | None = None  #: last day (UTC) on which the token is good
    permissions: tuple[str, ...] = ()
    source: str = ""
    organisation: str = ""


@dataclass(frozen=True, slots=True)
class User:
    """A configured person who signs in to the portal with a password."""

    login: str
    name: str
    password_argon2: str = field(repr=False)
    roles: tuple[str, ...] = ("clinician",)
    organisation: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a permission is given, and by what (or why not): safe to show to the caller."""

    allowed: bool
    reason: str
