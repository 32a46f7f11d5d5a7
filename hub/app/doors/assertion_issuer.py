"""The hub as X-Service User (ITI-40): assertions of its own for the user on whose behalf it asks others."""

from datetime import timedelta
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from hub.access.assertion_model import Assertion, Attribute, Coded, Confirmation, Name
from hub.access.model import Principal, Purpose
from hub.app.keys.changing import Changing
from hub.errors import Misconfigured
from hub.values import Oid, now
from hub.wire.saml import names
from hub.wire.saml.issuing import issue, new_id, security
from hub.wire.xml import Element

if TYPE_CHECKING:
    from hub.app.settings.model import Settings

_UNSPECIFIED = "urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified"


class AssertionIssuer:
    """Issues with ``saml.key``; key and certificate are read again when they change. Raises Misconfigured."""

    def __init__(self, settings: "Settings") -> None:
        saml, region = settings.saml, settings.region
        self.settings = saml
        self.home = Oid(region.home_community_id).urn
        self.name = saml.issuer or settings.web.public_url or self.home
        self.organisation = region.name
        if saml.key is None or saml.certificate is None:
            raise Misconfigured(
                "communities.assertion is xua: the hub needs saml.key and saml.certificate.", location="saml.key"
            )
        key, certificate = saml.key, saml.certificate
        self._pair = Changing((key, certificate), lambda: (key.read_bytes(), certificate.read_bytes()))

    def header(self, principal: Principal, audience: str) -> Element:
        """The wsse:Security header of one request: every request has an assertion of its own."""
        key, certificate = self._pair()
        algorithm = self.settings.algorithm or f"{_kind(key)}-sha256"
        return security(issue(self.assertion(principal, audience), key, certificate, algorithm))

    def assertion(self, principal: Principal, audience: str) -> Assertion:
        """What is said of the user: who, of which profession and organisation, why."""
        at = now()
        ends = at + timedelta(minutes=self.settings.minutes)
        return Assertion(
            id=new_id(),
            issuer=Name(self.name),
            subject=Name(principal.id),
            issued_at=at,
            authenticated_at=at,
            context_class=_UNSPECIFIED,
            not_before=at,
            not_on_or_after=ends,
            audiences=(frozenset({audience}),),
            confirmations=(Confirmation(not_on_or_after=ends),),
            attributes=tuple(self._attributes(principal)),
        )

    def _attributes(self, principal: Principal) -> list[Attribute]:
        professional, purpose = principal.professional, principal.purpose or Purpose.NORMAL.value
        organisation = professional.structure_name if professional else ""
        values: list[tuple[str, tuple[str | Coded, ...]]] = [
            (names.SUBJECT_ID, (principal.name or principal.id,)),
            (names.ORGANIZATION, (organisation or principal.organisation or self.organisation,)),
            (names.ORGANIZATION_ID, ((professional.structure if professional else "") or self.home,)),
            (names.HOME_COMMUNITY, (self.home,)),
            (names.ROLE, _roles(principal)),
            (names.PURPOSE, (Coded(purpose, names.PURPOSES, element="PurposeOfUse"),)),
            (names.REASON, (principal.reason,)),
        ]
        return [Attribute(name, told) for name, told in values if any(told)]


def _roles(principal: Principal) -> tuple[str | Coded, ...]:
    """A professional's profession; a system is told as what the hub knows it to be."""
    professional = principal.professional
    if professional is None or not professional.profession:
        return (Coded("DISPOSITIF", "1.2.250.1.213.1.1.4.6"),)
    return (Coded(professional.profession, professional.profession_system),)


def _kind(key: bytes) -> str:
    try:
        return "ecdsa" if isinstance(load_pem_private_key(key, None), ec.EllipticCurvePrivateKey) else "rsa"
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Misconfigured("saml.key is not a readable key.", location="saml.key") from None
