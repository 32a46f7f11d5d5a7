"""Who asks, how they proved it, and what a permission is. Frozen values, no decisions."""

from collections.abc import Mapping
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
    CARD = "card"  #: a professional's CPS card (mutual TLS)
    PROVIDER = "provider"  #: a person whom Pro Santé Connect vouches for
    ASSERTION = "assertion"  #: a SAML assertion of a trusted issuer (ITI-40, VIHF)


class Purpose(StrEnum):
    """Why somebody asks: TRE_R248 (1.2.250.1.213.1.1.4.248), and what systems do for themselves."""

    NORMAL = "normal"
    BREAK_GLASS = "bris_de_glace"
    REGULATION = "centre_15"


@dataclass(frozen=True, slots=True)
class Professional:
    """A professional as a card, a provider or an assertion describes them: codes of the French tables."""

    id: str  #: idNat_PS (1.2.250.1.71.4.2.1), "899700000001"
    family: str = ""
    given: str = ""
    profession: str = ""  #: TRE_G15 "10", or another table's code
    profession_system: str = "1.2.250.1.71.1.2.7"
    specialities: tuple[str, ...] = ()  #: TRE_R01, "SM26"
    structure: str = ""  #: Struct_IdNat (1.2.250.1.71.4.2.2), "1750100125"
    structure_name: str = ""
    sector: str = ""  #: TRE_R02, "SA07"


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
    professional: Professional | None = None  #: who they are by profession, where somebody vouched for it
    purpose: str = ""  #: what the proof says it is for (Purpose), "" when it says nothing
    reason: str = field(default="", repr=False)  #: why the glass is broken, in the caller's words
    about: str = field(default="", repr=False)  #: CX of the only patient that the proof is good for, "" for any
    node: str = ""  #: the system that transmits for the person, "" when they call themselves
    level: str = ""  #: how the person was authenticated: DIRECTE, INDIRECTE, INDIRECTE_RENFORCEE, eidas1 ...
    vouched_by: str = ""  #: configured name of the issuer whose assertion says so
    by_manifest: bool = False  #: reads what a manifest refers to that the caller names, and nothing else (DRIM-M)
    secret: bool = False  #: secret connection: the patient's own trail does not show who it was
    #: Permissions that scopes of FHIR resources alone give -> the interactions for which they do: ImagingStudy.r ...
    interactions: Mapping[str, frozenset[str]] = field(default_factory=dict, compare=False)

    @property
    def authenticated(self) -> bool:
        """Whether anybody vouched for the caller."""
        return self.scheme is not Scheme.NONE


#: Permissions that nobody has to be given: of what is open to everybody, and to whoever proved who they are.
PUBLIC, KNOWN = "public", "known"

ANONYMOUS = Principal(id="anonymous")
HUB = Principal(id="hub", name="Maillage", scheme=Scheme.INTERNAL, permissions=frozenset({"*"}))


@dataclass(frozen=True, slots=True)
class Proven:
    """Whom a request's proofs were found to be of, and when (monotonic seconds)."""

    principal: Principal
    at: float


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a caller showed. All empty: nothing was shown. Never logged."""

    bearer: str = field(default="", repr=False)
    certificate: bytes = field(default=b"", repr=False)  #: DER of the verified peer certificate
    forwarded: bool = False  #: the certificate is what a trusted proxy says: its chain is to be verified here
    session: str = field(default="", repr=False)
    saml: bytes = field(default=b"", repr=False)
    peer: str = ""  #: address of the caller
    ae_title: str = ""  #: calling AE title that the DICOM port let in (dimse.callers, archive.senders)
    bearer_in_url: bool = False  #: a token stood in the URL (RFC 6750 2.3): it is not read
    client_id: str = ""  #: who asks for a token says they are (RFC 6749 2.2)
    client_assertion: str = field(default="", repr=False)  #: their signed proof (RFC 7523)
    proven: Proven | None = field(default=None, repr=False)  #: all but ``saml``, looked at when the head had come


@dataclass(frozen=True, slots=True)
class Client:
    """A configured system: recognised by its certificate or its bearer token (SHA-256, hexadecimal)."""

    name: str
    certificate_sha256: str = ""
    token_sha256: str = ""
    token_expires: date | None = None  #: last day (UTC) on which the token is good
    permissions: tuple[str, ...] = ()
    transactions: tuple[str, ...] = ()  #: patterns, "RAD-*"; empty: whatever the permissions allow
    source: str = ""
    organisation: str = ""
    assertion: str = "optional"  #: required: it does nothing without an assertion about a user


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
