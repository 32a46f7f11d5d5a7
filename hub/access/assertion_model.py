"""An assertion about a user: what SAML 2.0 says, as values. What is believed of it is decided elsewhere."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
HOLDER_OF_KEY = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"

UNSPECIFIED = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
X509_SUBJECT = "urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName"
ENTITY = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"


@dataclass(frozen=True, slots=True)
class Coded:
    """A code as a typed child of an AttributeValue: ``<Role xmlns="urn:hl7-org:v3" xsi:type="CE" .../>``."""

    code: str
    system: str
    display: str = ""
    system_name: str = ""
    element: str = "Role"  #: local name of the child


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute; its values in order."""

    name: str
    values: tuple[str | Coded, ...]
    friendly: str = ""


@dataclass(frozen=True, slots=True)
class Name:
    """A NameID or Issuer."""

    text: str
    format: str = ""
    qualifier: str = ""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """How who presents the assertion shows that it is meant for them. ``certificates``: DER, of a holder of key."""

    method: str = BEARER
    not_before: datetime | None = None
    not_on_or_after: datetime | None = None
    recipient: str = ""
    certificates: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Assertion:
    """One assertion. Times in UTC. ``audiences``: one set for each AudienceRestriction: all of them must hold."""

    id: str
    issuer: Name
    subject: Name = field(repr=False)
    issued_at: datetime
    authenticated_at: datetime
    context_class: str  #: how the user was authenticated (AuthnContextClassRef)
    attributes: tuple[Attribute, ...] = field(default=(), repr=False)
    not_before: datetime | None = None
    not_on_or_after: datetime | None = None
    audiences: tuple[frozenset[str], ...] = ()
    one_time: bool = False
    confirmations: tuple[Confirmation, ...] = (Confirmation(),)
    context_declaration: str = ""  #: AuthnContextDecl
    session_ends: datetime | None = None  #: SessionNotOnOrAfter

    def values(self, *names: str) -> tuple[str | Coded, ...]:
        """The values of the attribute, by the first of its names that is there."""
        return next((item.values for name in names for item in self.attributes if item.name == name), ())

    def text(self, *names: str) -> str:
        """The first value as text (a code's code); empty when the attribute is not there."""
        value = next(iter(self.values(*names)), "")
        return value.code if isinstance(value, Coded) else value

    def coded(self, *names: str) -> Iterator[Coded]:
        """The values that are codes."""
        return (value for value in self.values(*names) if isinstance(value, Coded))


@dataclass(frozen=True, slots=True)
class Claims:
    """What an assertion says about the user, whatever its dialect calls it."""

    subject: str = field(repr=False)
    names: tuple[str, ...] = field(default=(), repr=False)  #: name, or family name and given name
    roles: tuple[Coded, ...] = ()  #: the profession first, then specialities
    structure: str = ""
    structure_name: str = ""
    sector: str = ""
    purpose: Coded | None = None
    mode: str = ""  #: how they were authenticated
    about: str = field(default="", repr=False)  #: CX of a patient
    reason: str = field(default="", repr=False)
    secret: bool = False
    missing: tuple[str, ...] = ()  #: attributes that the dialect asks for


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms an issuer is believed (``saml.issuers``)."""

    name: str
    dialect: str = "xua"
    reuse: bool = False
    longest: timedelta = timedelta(minutes=60)
    reading_modes: frozenset[str] = frozenset()
    roles: Mapping[str, frozenset[str]] = field(default_factory=dict)  #: code^system -> roles
    purposes: Mapping[str, str] = field(default_factory=dict)
