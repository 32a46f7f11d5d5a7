"""SAML assertions about users (ITI-40, VIHF)."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509

from hub.access.assertion_errors import AssertionConfirmation, AssertionRefused, AssertionUnreadable, UnknownIssuer
from hub.access.assertion_model import Name, Terms
from hub.access.assertions import AssertionService
from hub.access.model import Credentials, Principal
from hub.app.keys.changing import Changing
from hub.app.settings.saml import SamlIssuer
from hub.errors import HubError
from hub.values import now
from hub.wire.saml import trust
from hub.wire.saml.claims import READERS
from hub.wire.saml.header import assertion_of
from hub.wire.saml.reading import issuer_of, read
from hub.wire.saml.signature import Seal, unseal
from hub.wire.x509.errors import CertificateRefused

if TYPE_CHECKING:
    from hub.app.rooms import Rooms

_DIRECT = "DIRECTE"
#: Raises CertificateRefused when the certificate (by its issuer) was taken back.
Revoked = Callable[[x509.Certificate, x509.Certificate], object]


def open_door(rooms: "Rooms") -> None:
    """Where the settings name an issuer, assertions are looked at."""
    settings = rooms.settings.saml
    if not settings.issuers:
        return
    own = rooms._url
    service = AssertionService(
        database=rooms.database,
        audience=lambda: settings.audience or own(),
        recipients=lambda: tuple(filter(None, (settings.audience, own()))),
        skew=timedelta(seconds=settings.clock_skew),
    )
    believed = [Believed(item, rooms.certificates.revocation.check) for item in settings.issuers]
    rooms.sweeps.append(service.forget)
    rooms.access.assertion_doors.append(AssertionDoor(service, believed))


class Believed:
    """One issuer of the settings. Its file is read again when it changes."""

    def __init__(self, settings: SamlIssuer, revoked: Revoked) -> None:
        self.settings = settings
        self.terms = Terms(
            name=settings.name,
            dialect=settings.dialect,
            reuse=settings.reuse,
            longest=timedelta(minutes=settings.longest_minutes),
            reading_modes=frozenset(settings.reading_modes),
            roles={key: frozenset(roles) for key, roles in settings.roles.items()},
            purposes=settings.purposes,
        )
        self._revoked = revoked
        self._name = trust.same_name(settings.issuer) if settings.issuer else None
        self._pinned, self._authorities = _from(settings.certificate), _from(settings.ca)

    def is_named(self, issuer: Name) -> bool:
        """Whether the Issuer is this one, as far as its name goes."""
        if issuer.text == self.settings.issuer:
            return True
        name = trust.same_name(issuer.text)
        return name is not None and (not self.settings.issuer or name == self._name)

    def holder(self, seal: Seal, issuer: Name, at: datetime) -> str | None:
        """Who signed it, as an authority calls them; None: the certificate is pinned. Raises AssertionSignature,
        UnknownIssuer."""
        if self._pinned is not None:
            try:
                trust.pinned(seal, self._pinned(), at)
                return None
            except AssertionRefused:
                if self._authorities is None:
                    raise
        authorities = self._authorities() if self._authorities is not None else ()
        found = trust.vouched(seal, issuer, authorities, self.settings.subject, at)
        try:
            for certificate, authority in pairwise(found):
                self._revoked(certificate, authority)
        except CertificateRefused as error:
            raise UnknownIssuer(f"{self.terms.name}: {error.message}") from None
        return trust.holder(found[0])


class AssertionDoor:
    """Lets users in for whom a believed issuer vouches, through a node that is known itself."""

    def __init__(
        self, service: AssertionService, believed: list[Believed], clock: Callable[[], datetime] = now
    ) -> None:
        self.service = service
        self.believed = believed
        self._clock = clock

    def enter(self, credentials: Credentials, node: Principal) -> Principal | None:
        """The user; the node itself when its security header says nothing. Raises AssertionRefused."""
        assertion = assertion_of(credentials.saml)
        if assertion is None:
            return node
        try:
            claimed = issuer_of(assertion)
            named = [item for item in self.believed if item.is_named(claimed)]
            if not named:
                raise UnknownIssuer()
            accepted = tuple({name: None for item in named for name in item.settings.algorithms})
            seal = unseal(assertion, accepted)
            return self._admitted(seal, claimed, named, node, credentials.certificate)
        except AssertionRefused:
            raise
        except HubError as error:  # the XML of what was signed
            raise AssertionUnreadable(error.message) from None

    def _admitted(
        self, seal: Seal, claimed: Name, named: list[Believed], node: Principal, certificate: bytes
    ) -> Principal:
        believed, holder = self._signed_by(seal, claimed, named)
        name = believed.terms.name
        try:
            assertion = read(seal.content)
        except AssertionRefused as error:
            raise type(error)(f"{name}: {error.message}") from None
        if assertion.issuer != claimed:
            raise UnknownIssuer(f"{name}: the Issuer that was signed is another one.")
        claims = READERS[believed.terms.dialect](assertion)
        if claims.mode == _DIRECT and holder not in (None, claims.subject):
            raise AssertionConfirmation(f"{name}: the assertion is not signed with the card of who it speaks for.")
        return self.service.admit(assertion, claims, believed.terms, node, certificate)

    def _signed_by(self, seal: Seal, claimed: Name, named: list[Believed]) -> tuple[Believed, str | None]:
        """The first issuer of that name who signed it so. Raises what the last one says against it."""
        refusal: AssertionRefused = UnknownIssuer()
        for item in named:
            if seal.algorithm not in item.settings.algorithms:
                continue
            try:
                return item, item.holder(seal, claimed, self._clock())
            except AssertionRefused as error:
                said = error.message
                refusal = type(error)(said if said.startswith(item.terms.name) else f"{item.terms.name}: {said}")
        raise refusal


def _from(path: Path | None) -> Changing[tuple[x509.Certificate, ...]] | None:
    return Changing((path,), lambda: trust.certificates(path.read_bytes())) if path is not None else None
