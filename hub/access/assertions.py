"""Whether a verified assertion holds here, now, for this node, and who the user is (SAML profiles; ITI TF-2: 3.40)."""

import hmac
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from functools import lru_cache, partial
from hashlib import sha256

from hub.access.assertion_errors import (
    AssertionAudience,
    AssertionConfirmation,
    AssertionNotNow,
    AssertionRefused,
    AssertionReplayed,
    AssertionUnreadable,
)
from hub.access.assertion_model import BEARER, HOLDER_OF_KEY, Assertion, Claims, Coded, Confirmation, Terms
from hub.access.model import Principal, Professional, Purpose, Scheme
from hub.access.professions import roles_of
from hub.access.roles import permissions_of
from hub.access.store_assertions import AssertionStore
from hub.errors import Invalid
from hub.storage.engine import Database
from hub.values import PatientIdentifier, now

VIHF = "vihf"
#: Purposes by their codes: TRE_R248, HL7's ActReason, XSPA.
PURPOSES = {purpose.value: purpose for purpose in Purpose} | {
    "TREATMENT": Purpose.NORMAL,
    "TREAT": Purpose.NORMAL,
    "EMERGENCY": Purpose.BREAK_GLASS,
    "ETREAT": Purpose.BREAK_GLASS,
    "BTG": Purpose.BREAK_GLASS,
}
_READING = frozenset({"clinician"})
_KEPT = 100_000  #: uses that this process knows of without asking the database


class AssertionService:
    """Decides on assertions whose signature was verified.

    ``audience``: the hub's name in an AudienceRestriction. ``recipients``: what a confirmation's Recipient may begin
    with. ``skew``: by how much an issuer's clock may differ."""

    def __init__(
        self,
        *,
        database: Database,
        audience: Callable[[], str],
        recipients: Callable[[], tuple[str, ...]],
        skew: timedelta = timedelta(seconds=60),
        clock: Callable[[], datetime] = now,
    ) -> None:
        self.database = database
        self._audience = audience
        self._recipients = recipients
        self._skew = skew
        self._clock = clock
        self._noted: dict[str, str] = {}  # which node used it first, of assertions that were used through this process

    def admit(
        self, assertion: Assertion, claims: Claims, terms: Terms, node: Principal, certificate: bytes
    ) -> Principal:
        """Who the user is, with what both they and the node may do. ``certificate``: the node's, DER, "" without one.

        Raises AssertionRefused."""
        ends = self._check_times(assertion, terms)
        self._check_audience(assertion, terms)
        self._check_confirmation(assertion, terms, certificate)
        if claims.missing:
            raise AssertionUnreadable(f"{terms.name}: the assertion lacks {', '.join(claims.missing)}.")
        principal = self._principal(claims, terms, node)
        self._use(assertion, terms, principal.node, ends)
        return principal

    def forget(self) -> None:
        """Let go of uses of assertions that have expired by now: their time refuses them."""
        with self.database.transaction() as work:
            AssertionStore(work).forget(self._clock() - self._skew)

    def _check_times(self, assertion: Assertion, terms: Terms) -> datetime:
        """Until when it is good."""
        at = self._clock()
        limits = [assertion.issued_at + terms.longest, assertion.not_on_or_after, assertion.session_ends]
        ends = min(limit for limit in limits if limit is not None)
        starts = max(time for time in (assertion.issued_at, assertion.not_before) if time is not None)
        if terms.dialect != VIHF and assertion.not_on_or_after is None:
            raise AssertionNotNow(f"{terms.name}: the assertion does not say how long it is valid.")
        if starts > at + self._skew:
            raise AssertionNotNow(f"{terms.name}: the assertion is not valid yet.")
        if ends <= at - self._skew:
            raise AssertionNotNow(f"{terms.name}: the assertion has expired.")
        return ends

    def _check_audience(self, assertion: Assertion, terms: Terms) -> None:
        own = self._audience()
        if any(own not in restriction for restriction in assertion.audiences):
            raise AssertionAudience(f"{terms.name}: the assertion is meant for another audience.")
        if not assertion.audiences and terms.dialect != VIHF:
            raise AssertionAudience(f"{terms.name}: the assertion does not say for which audience it is.")

    def _check_confirmation(self, assertion: Assertion, terms: Terms, certificate: bytes) -> None:
        if not assertion.confirmations and terms.dialect == VIHF:
            return  # CI-SIS asks for none: the node's own proof and the signature stand for it
        if not any(self._confirmed(item, certificate) for item in assertion.confirmations):
            raise AssertionConfirmation(f"{terms.name}: the assertion is not confirmed for who presents it.")

    def _confirmed(self, item: Confirmation, certificate: bytes) -> bool:
        at = self._clock()
        if item.not_before is not None and item.not_before > at + self._skew:
            return False
        if item.not_on_or_after is not None and item.not_on_or_after <= at - self._skew:
            return False
        if item.recipient and not any(_at(item.recipient, place) for place in self._recipients()):
            return False
        if item.method == HOLDER_OF_KEY:
            return bool(certificate) and any(hmac.compare_digest(certificate, known) for known in item.certificates)
        return item.method == BEARER

    @staticmethod
    def _principal(claims: Claims, terms: Terms, node: Principal) -> Principal:
        professional = _professional(claims)
        if node.person and node.professional is not None and node.professional.id != professional.id:
            raise AssertionConfirmation(f"{terms.name}: the assertion speaks for somebody else than who presents it.")
        roles = _roles(claims, professional, terms)
        return Principal(
            id=professional.id,
            name=" ".join(claims.names) or professional.id,
            scheme=Scheme.ASSERTION,
            organisation=claims.structure_name or claims.structure or node.organisation,
            roles=roles,
            permissions=both(permissions_of(roles), node.permissions),
            source=node.source,
            person=True,
            professional=professional,
            purpose=_purpose(claims.purpose, terms),
            reason=claims.reason,
            about=_about(claims, terms),
            node=node.node or node.id,
            level=claims.mode,
            secret=claims.secret,
            vouched_by=terms.name,
        )

    def _use(self, assertion: Assertion, terms: Terms, node: str, ends: datetime) -> None:
        """Noted before anything is done for it: two requests at once can't both be the first, whichever process they
        reach. On the disk before anything is changed for it or answered (``Database.holding``)."""
        key = sha256(f"{terms.name}\n{assertion.id}".encode()).hexdigest()
        first = self._noted.get(key)
        if first is None:
            with self.database.promptly() as work:
                first = AssertionStore(work).used_by(key, node, ends)
                work.on_commit(partial(self._note, key, node if first is None else first))
        if first is None or (terms.reuse and not assertion.one_time and first == node):
            return
        if first != node:
            raise AssertionReplayed(f"{terms.name}: the assertion was used by another system before.")
        raise AssertionReplayed(f"{terms.name}: the assertion was used before; it is good once.")

    def _note(self, key: str, node: str) -> None:
        if len(self._noted) >= _KEPT:
            self._noted.clear()
        self._noted[key] = node


def _professional(claims: Claims) -> Professional:
    profession = claims.roles[0] if claims.roles else Coded("", "")
    family, given = (*claims.names, "", "")[:2]
    return Professional(
        id=claims.subject,
        family=family,
        given=given,
        profession=profession.code,
        profession_system=profession.system,
        specialities=tuple(item.code for item in claims.roles[1:]),
        structure=claims.structure,
        structure_name=claims.structure_name,
        sector=claims.sector,
    )


def _roles(claims: Claims, professional: Professional, terms: Terms) -> frozenset[str]:
    configured: Iterable[frozenset[str]] = (
        terms.roles[key] for item in claims.roles if (key := f"{item.code}^{item.system}") in terms.roles
    )
    roles = roles_of(professional).union(*configured)
    if terms.dialect == VIHF and claims.mode not in terms.reading_modes:
        roles -= _READING
    return roles


def _purpose(purpose: Coded | None, terms: Terms) -> str:
    if purpose is None:
        return Purpose.NORMAL.value
    known = terms.purposes.get(purpose.code) or PURPOSES.get(purpose.code)
    if known is None:
        raise AssertionRefused(f"{terms.name}: the assertion's purpose of use is not one that is admitted here.")
    return Purpose(known).value


def _about(claims: Claims, terms: Terms) -> str:
    if not claims.about:
        return ""
    try:
        return PatientIdentifier.from_cx(claims.about).cx
    except Invalid:
        raise AssertionUnreadable(f"{terms.name}: the assertion's resource-id is not a patient identifier.") from None


def _at(recipient: str, place: str) -> bool:
    return bool(place) and (recipient == place or recipient.startswith(place.rstrip("/") + "/"))


@lru_cache(maxsize=1024)
def both(some: frozenset[str], others: frozenset[str]) -> frozenset[str]:
    """Patterns for what both sets of patterns permit: of each pair the narrower one, where one holds the other."""
    return frozenset(
        one if fnmatchcase(one, other) else other
        for one in some
        for other in others
        if fnmatchcase(one, other) or fnmatchcase(other, one)
    )
