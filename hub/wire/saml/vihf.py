"""The VIHF: the assertion that French national services ask for (CI-SIS, DMP), in its three modes of authentication."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from cryptography import x509
from cryptography.x509.oid import NameOID

from hub.access.assertion_model import X509_SUBJECT, Assertion, Attribute, Coded, Name
from hub.access.model import Professional, Purpose
from hub.errors import Invalid, Misconfigured
from hub.values import PatientIdentifier, now
from hub.wire.saml import names
from hub.wire.saml.issuing import new_id

_SHORT = {NameOID.SURNAME: "SN", NameOID.GIVEN_NAME: "GN", NameOID.TITLE: "title"}
_CLASSES = "urn:oasis:names:tc:SAML:2.0:ac:classes:"
_PURPOSES: Mapping[Purpose, str] = {
    Purpose.NORMAL: "Accès normal",
    Purpose.BREAK_GLASS: "Accès bris de glace",
    Purpose.REGULATION: "Accès centre de régulation",
}


class Mode(StrEnum):
    """How the professional was authenticated (Authentification_mode)."""

    DIRECT = "DIRECTE"  #: their own card signs
    INDIRECT = "INDIRECTE"  #: the structure vouches for them
    REINFORCED = "INDIRECTE_RENFORCEE"  #: the structure vouches, after Pro Santé Connect (AIR)


@dataclass(frozen=True, slots=True)
class Software:
    """Whose software asks: LPS_ID, LPS_Nom, LPS_Version, LPS_ID_HOMOLOGATION_DMP."""

    name: str
    version: str
    id: str = ""
    homologation: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """What moves from release to release: all of it is the caller's setting. ``minutes``: validity, 0 says none."""

    version: str = "3.0"
    mode_attribute: str = names.MODE
    resource: str = "urn:dmp"  #: Ressource_URN
    sector_system: str = "1.2.250.1.71.4.2.4"
    speciality_system: str = "1.2.250.1.71.4.2.5"
    classes: Mapping[Mode, str] = field(
        default_factory=lambda: {
            Mode.DIRECT: f"{_CLASSES}SmartcardPKI",
            Mode.INDIRECT: f"{_CLASSES}SmartcardPKI",
            Mode.REINFORCED: f"{_CLASSES}TLSClient",
        }
    )
    declaration: str = "APP_BROWSER_AUTH"  #: AuthnContextDecl, in the reinforced mode
    minutes: int = 0


def vihf(
    professional: Professional,
    patient: PatientIdentifier | None,
    purpose: Purpose,
    mode: Mode,
    software: Software,
    *,
    certificate: bytes,
    reason: str = "",
    secret: str = "",
    profession_name: str = "",
    speciality_names: Mapping[str, str] | None = None,
    form: Form | None = None,
    authenticated_at: datetime | None = None,
) -> Assertion:
    """The assertion, to be signed with the key of ``certificate`` (PEM): its subject is the Issuer.

    ``patient``: whose record it is for, None where the service has no patient yet. ``reason``: why the glass is broken.
    ``secret``: the code of a secret connection. In direct mode the structure must be the one read from the card.
    Raises Invalid when something is missing that the mode needs, Misconfigured when the certificate is none."""
    form = form or Form()
    _check(professional, purpose, reason)
    at = now()
    return Assertion(
        id=new_id(),
        issuer=Name(subject_name(certificate), X509_SUBJECT),
        subject=Name(professional.id),
        issued_at=at,
        authenticated_at=authenticated_at or at,
        context_class=form.classes[mode],
        context_declaration=form.declaration if mode is Mode.REINFORCED else "",
        not_before=at if form.minutes else None,
        not_on_or_after=at + timedelta(minutes=form.minutes) if form.minutes else None,
        confirmations=(),
        attributes=tuple(
            Attribute(name, values)
            for name, values in (
                (names.VERSION, (form.version,)),
                (names.STRUCTURE, (professional.structure,)),
                (names.SECTOR, (f"{professional.sector}^{form.sector_system}" if professional.sector else "",)),
                (names.SUBJECT_ID, (_called(professional),)),
                (names.ROLE, tuple(_roles(professional, form, profession_name, speciality_names or {}))),
                (form.mode_attribute, (mode.value,)),
                (names.RESOURCE, (_nh(patient) if patient else "",)),
                (names.RESOURCE_URN, (form.resource,)),
                (names.PURPOSE, (_purpose(purpose),)),
                (names.CONFIDENTIALITY, (secret,)),
                (names.REASON, (reason,)),
                (names.SOFTWARE_ID, (software.id,)),
                (names.SOFTWARE_NAME, (software.name,)),
                (names.SOFTWARE_VERSION, (software.version,)),
                (names.HOMOLOGATION, (software.homologation,)),
            )
            if any(values)
        ),
    )


def subject_name(certificate: bytes) -> str:
    """The subject of a PEM certificate as an Issuer of format X509SubjectName: RFC 2253's order, readable letters."""
    try:
        return distinguished_name(x509.load_pem_x509_certificate(certificate).subject)
    except ValueError:
        raise Misconfigured("The certificate that signs assertions is not readable.") from None


def distinguished_name(name: x509.Name) -> str:
    """A name in the form of RFC 2253, with the short names that French certificates are read with."""
    return name.rfc4514_string(_SHORT)


def _check(professional: Professional, purpose: Purpose, reason: str) -> None:
    for label, value in (
        ("professional", professional.id),
        ("profession", professional.profession),
        ("structure", professional.structure),
    ):
        if not value:
            raise Invalid(f"A VIHF needs the {label} who asks.", location=label)
    if purpose is Purpose.BREAK_GLASS and not reason.strip():
        raise Invalid("Breaking the glass needs a reason.", location="reason")


def _called(professional: Professional) -> str:
    return " ".join(filter(None, (professional.family, professional.given)))


def _roles(professional: Professional, form: Form, profession: str, specialities: Mapping[str, str]) -> Iterable[Coded]:
    yield Coded(professional.profession, professional.profession_system, profession, "professions")
    for code in professional.specialities:
        yield Coded(code, form.speciality_system, specialities.get(code, ""), "specialites")


def _purpose(purpose: Purpose) -> Coded:
    return Coded(purpose.value, names.PURPOSES, _PURPOSES[purpose], "mode acces VIHF 2.0", "PurposeOfUse")


def _nh(patient: PatientIdentifier) -> str:
    """``<INS>^^^&<OID>&ISO^NH``: a number of the national identity, whatever its type is called here."""
    return f"{patient.cx}^NH"
