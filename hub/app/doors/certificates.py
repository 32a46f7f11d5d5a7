"""Certificates that are not pinned: nodes that an authority vouches for, professionals' cards."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509

from hub.access.model import Credentials, Principal, Scheme
from hub.access.professions import CARD_TYPE, EMPLOYEE, roles_of
from hub.access.roles import permissions_of
from hub.access.service import AccessService
from hub.app.keys.certificates import Certificates
from hub.app.settings.nodes import Cards, Client
from hub.wire.x509.names import subject_fits
from hub.wire.x509.subject import Facts, Kind, facts

if TYPE_CHECKING:
    from hub.app.rooms import Rooms

_READ = 4096  #: certificates whose contents are kept as they were read
LEVEL = "DIRECTE"  #: the person's own card in the handshake


def open_door(rooms: "Rooms") -> None:
    """Every certificate is checked; cards and subjects open doors where the settings say so."""
    settings, certificates = rooms.settings, rooms.certificates
    access = rooms.access
    access.certificate_checks.append(certificates.check)
    if settings.cards.authorities:
        access.certificate_doors.append(CardDoor(certificates, settings.cards))
    nodes = [client for client in settings.clients if client.certificate_subject is not None]
    if nodes:
        access.certificate_doors.append(NodeDoor(certificates, access, nodes, settings.tls.ca))


class CardDoor:
    """CPS and CPE cards of the authorities that the settings name."""

    def __init__(self, certificates: Certificates, cards: Cards) -> None:
        self.certificates = certificates
        self.cards = cards
        oids = cards.oids()
        self._person = lru_cache(maxsize=_READ)(lambda certificate: _person(facts(certificate, oids)))

    def enter(self, credentials: Credentials, node: Principal) -> Principal | None:  # noqa: ARG002
        """The person whose card it is; None for what is no card of these authorities."""
        certificate = self.certificates.known(credentials)
        person = self._person(certificate)
        return person if person is not None and self.certificates.vouched(certificate, self.cards.authorities) else None


def _person(found: Facts) -> Principal | None:
    """Whose card it is, as the certificate says."""
    professional = found.professional
    if professional is None:
        return None
    if found.kind is Kind.EMPLOYEE:  # feeds the region for a structure, reads nothing clinical
        professional = replace(professional, profession=EMPLOYEE, profession_system=CARD_TYPE)
    roles = roles_of(professional)
    return Principal(
        id=professional.id,
        name=f"{professional.given} {professional.family}".strip() or professional.id,
        scheme=Scheme.CARD,
        organisation=professional.structure_name or professional.structure,
        roles=roles,
        permissions=permissions_of(roles),
        person=True,
        professional=professional,
        level=LEVEL,
    )


class NodeDoor:
    """Systems by the subject of their certificate, whichever their authority issues next."""

    def __init__(
        self, certificates: Certificates, access: AccessService, clients: list[Client], ca: Path | None
    ) -> None:
        self.certificates = certificates
        self.access = access
        self.clients = clients
        self.ca = ca
        self._fits = lru_cache(maxsize=_READ)(lambda place, certificate: _fits(clients[place], certificate))

    def enter(self, credentials: Credentials, node: Principal) -> Principal | None:  # noqa: ARG002
        """The first configured system whose subject fits and whose authority vouches for the certificate."""
        certificate = self.certificates.known(credentials)
        for place, client in enumerate(self.clients):
            file = client.ca or self.ca
            wanted = client.certificate_subject
            if file is None or not self._fits(place, certificate):
                continue
            principal = self.access.named(client.name)
            if principal is not None and self.certificates.vouched(certificate, (file,)):
                self.certificates.ends(client.name, certificate)
                name = _subject(certificate) if isinstance(wanted, dict) else principal.name
                return replace(principal, name=name)
        return None


def _fits(client: Client, certificate: x509.Certificate) -> bool:
    return client.certificate_subject is not None and subject_fits(client.certificate_subject, certificate.subject)


@lru_cache(maxsize=_READ)
def _subject(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string()
