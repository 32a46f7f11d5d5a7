"""Systems and cards: who is let in by certificate or token, how certificates are checked (ITI-19)."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from hub.app.settings.table import OidText, Table
from hub.errors import Invalid
from hub.wire.x509.names import SubjectPattern, exact_name
from hub.wire.x509.subject import LABELS, Oids


def _dn(text: str) -> str:
    try:
        exact_name(text)
    except Invalid as error:
        raise ValueError(error.message) from error
    return text


def _pattern(table: Mapping[str, str]) -> Mapping[str, str]:
    try:
        SubjectPattern(table)
    except Invalid as error:
        raise ValueError(error.message) from error
    return table


DnText = Annotated[str, AfterValidator(_dn)]
SubjectPatternTable = Annotated[dict[str, str], AfterValidator(_pattern)]


class Client(Table):
    """A system that may call, and what it may do: known by its certificate (SHA-256 of its DER, or its subject when an
    authority vouches for it), or by its bearer token (SHA-256)."""

    name: str = Field(examples=["ris-b"])
    """How the audit trail calls it."""
    certificate_sha256: str = Field(default="", examples=["0" * 64])
    """Fingerprint of its certificate: `maillage pki show` tells it."""
    certificate_subject: DnText | SubjectPatternTable | None = Field(
        default=None, examples=[{"OU": "1750100125", "CN": "*.hospital-b.example"}]
    )
    """Subject of its certificate, whichever the authority issues next: the whole name as RFC 4514 writes it, or a table
    of patterns for CN, O and OU, where * stands for any text."""
    ca: Path | None = Field(default=None, examples=["pki/operators.crt"])
    """PEM file of the authorities that may vouch for certificate_subject; unset: tls.ca."""
    token_sha256: str = ""
    """SHA-256 of its bearer token, 64 hexadecimal digits."""
    token_expires: date | None = Field(default=None, examples=[date(2027, 1, 31)])
    """Last day (UTC) on which the token is accepted; unset: for ever. Told a month before, at start and in the log."""
    permissions: tuple[str, ...] = Field(default=(), examples=[("documents.*", "imaging.*", "patients.query")])
    """Patterns such as documents.query, imaging.*, *."""
    transactions: tuple[str, ...] = Field(default=(), examples=[("ITI-18", "ITI-43", "RAD-*")])
    """Transactions that it may use, patterns; empty: every one that its permissions allow."""
    source: str = ""
    """The feed or source that it speaks for, and for no other; empty: for whichever its messages name (an integration
    engine)."""
    organisation: str = Field(default="", examples=["Hôpital B"])
    """Whose it is, for the audit trail."""
    assertion: Literal["optional", "required"] = "optional"
    """required: it does nothing, on any port, without an assertion about the user for whom it asks ([saml])."""


class Tls(Table):
    """Node authentication (ITI-19). Files are read again when they change; new connections count with them."""

    certificate: Path | None = Field(default=None, examples=["pki/hub.crt"])
    """PEM file; unset: everything is served without TLS."""
    key: Path | None = Field(default=None, examples=["pki/hub.key"])
    """PEM file of its private key."""
    ca: Path | None = Field(default=None, examples=["pki/ca.crt"])
    """PEM file of the authorities whose certificates are believed, those between root and certificates included."""
    client_certificates: Literal["required", "optional", "none"] = "optional"
    """Whether a caller must show one. Optional: a bearer token will do instead."""
    revocation: Literal["off", "soft", "hard"] = "soft"
    """Whether certificates are looked up in revocation lists and at OCSP responders. soft: what can be had counts, and
    where nothing can be had the certificate is believed; hard: nothing fresh, no entry."""
    crls: tuple[Path, ...] = Field(default=(), examples=[("pki/ca.crl",)])
    """Files of revocation lists, PEM or DER."""
    revocation_hosts: tuple[str, ...] = Field(
        default=(), examples=[("igc-sante.esante.gouv.fr", "ocsp.esante.gouv.fr")]
    )
    """Hosts (HOST or HOST:PORT) from which the lists and OCSP answers that certificates name are fetched, by http;
    empty: none."""
    revocation_seconds: float = Field(default=3.0, gt=0, le=30)
    """How long such a host may take."""


class Cards(Table):
    """Professionals' cards (CPS, CPE; IGC-Santé), by mutual TLS."""

    authorities: tuple[Path, ...] = Field(default=(), examples=[("igc-sante-personnes.crt",)])
    """PEM files of the authorities that issue cards, up to their root; empty: no card opens a door."""
    card_type: OidText = Oids.card_type
    """Extension: kind of card."""
    card_serial: OidText = Oids.card_serial
    """Extension: serial number of the card."""
    profession: OidText = Oids.profession
    """Extension: profession, a code of the table with the same OID (TRE_G15)."""
    specialities: OidText = Oids.specialities
    """Extension: specialities (TRE_R01)."""
    employee_types: tuple[int, ...] = Oids.employee_types
    """Values of card_type that mean an employee of a structure (CPE): feeds the region, reads no document."""
    professions: dict[str, str] = Field(default_factory=lambda: dict(LABELS))
    """Words of a subject (title; OU of old cards) -> code of the profession, for cards without the extension."""

    def oids(self) -> Oids:
        """The extensions, as the wire wants them."""
        return Oids(
            card_type=self.card_type,
            card_serial=self.card_serial,
            profession=self.profession,
            specialities=self.specialities,
            employee_types=self.employee_types,
            labels=dict(self.professions),
        )
