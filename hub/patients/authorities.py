"""Assigning authorities: the configured ones, and in a sandbox those learned at first sight."""

import dataclasses
import uuid
from collections.abc import Iterable
from typing import cast

from hub.context import Context
from hub.errors import Invalid
from hub.patients.errors import AuthorityNotOwned, UnknownAuthority
from hub.patients.ins_model import NAMESPACES
from hub.patients.model import Authority
from hub.patients.store import AuthorityStore
from hub.storage.engine import Database, UnitOfWork
from hub.values import Oid, PatientIdentifier

_MOST_CHARACTERS = 250  #: CX in HL7 v2.5; and an index holds no text of any length


class AuthorityDirectory:
    """Which authorities there are, by OID and by the namespace that HL7 v2 peers use.

    ``configured``: from the settings. ``accept_new``: learn what is not known (the sandbox only): an authority that
    comes without an OID gets a stable one made from its namespace (2.25, UUID version 5)."""

    def __init__(self, *, database: Database, configured: Iterable[Authority] = (), accept_new: bool = False) -> None:
        self.database = database
        self.accept_new = accept_new
        self.anybody = False  #: a feed that names no sender (FHIR, HL7 v3) may be any owner (the sandbox only)
        self.reserved: tuple[str, ...] = ()  #: OIDs that are never learned: those of regional identifiers
        self._configured = tuple(configured)
        self._by_oid: dict[str, Authority] = {}
        self._by_namespace: dict[str, Authority] = {}
        for oid, namespace in NAMESPACES.items():
            self._remember(Authority(oid, namespace, "INS"))
        self._by_namespace.clear()  # four INS authorities share a namespace: the OID decides
        for authority in self._configured:
            self._remember(authority)

    def __iter__(self) -> Iterable[Authority]:
        """The configured authorities."""
        return iter(self._configured)

    def all(self) -> tuple[Authority, ...]:
        """Configured and learned authorities of hospitals."""
        if not self.accept_new:
            return self._configured
        with self.database.reading() as work:
            learned = AuthorityStore(work).all()
        known = {authority.oid for authority in self._configured}
        return (*self._configured, *(authority for authority in learned if authority.oid not in known))

    def by_oid(self, oid: str) -> Authority | None:
        """The authority with this OID."""
        known = self._by_oid.get(oid)
        if known is not None or not self.accept_new or not oid or oid in self.reserved:
            return known
        return self._learned(oid, "")

    def by_namespace(self, namespace: str) -> Authority | None:
        """The authority with this namespace."""
        known = self._by_namespace.get(namespace)
        return known or (self._learned("", namespace) if self.accept_new and namespace else None)

    def namespace_of(self, oid: str) -> str:
        """The namespace of an OID, "" when there is none."""
        authority = self.by_oid(oid)
        return authority.namespace if authority else ""

    def resolve(self, identifier: PatientIdentifier, _context: Context | None = None) -> PatientIdentifier:
        """The identifier with its authority's OID, namespace and type. Raises UnknownAuthority, Invalid."""
        authority = self._authority(identifier)
        if authority is None:
            raise UnknownAuthority()
        return PatientIdentifier(
            identifier.value, authority.oid, identifier.type_code or authority.type, authority.namespace
        )

    def named(self, identifier: PatientIdentifier) -> PatientIdentifier:
        """A stored identifier with its authority's namespace and type."""
        authority = self.by_oid(identifier.authority)
        if authority is None:
            return identifier
        return dataclasses.replace(
            identifier, type_code=identifier.type_code or authority.type, namespace=authority.namespace
        )

    def trust(self, oid: str) -> int:
        """The rank of an authority's descriptions of people."""
        known = self._by_oid.get(oid)
        return known.trust if known is not None else 0

    def check_owner(self, identifier: PatientIdentifier, context: Context) -> None:
        """Raises AuthorityNotOwned when ``context.source`` is not the feed that owns the (resolved) authority."""
        authority = self.by_oid(identifier.authority)
        if self.anybody and not context.source:
            return
        if authority is not None and authority.owned and context.source not in authority.owners:
            raise AuthorityNotOwned(authority=authority.oid)

    def _authority(self, identifier: PatientIdentifier) -> Authority | None:
        oid, namespace = identifier.authority, identifier.namespace
        known = self.by_oid(oid) if oid else self.by_namespace(namespace)
        if known is not None and namespace and known.namespace != namespace:
            other = self._by_namespace.get(namespace)
            if other is not None and other in self._configured:
                raise UnknownAuthority("The assigning authority's namespace and OID name two different authorities.")
        if len(identifier.value) > _MOST_CHARACTERS:
            raise Invalid(f"A patient number has at most {_MOST_CHARACTERS} characters.")
        if known is not None or not self.accept_new or not (oid or namespace):
            return known
        if not oid:
            oid = f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, namespace).int}"
        return self._learn(Authority(Oid(oid), namespace))

    def _learn(self, authority: Authority) -> Authority:
        if len(authority.namespace) > 227:
            raise Invalid("A namespace has at most 227 characters.")
        with self.database.transaction() as work:
            AuthorityStore(work).add(authority)
            self._remember_at_commit(authority, work)
        return authority

    def _learned(self, oid: str, namespace: str) -> Authority | None:
        current = self.database.current
        known = current.notes.get(_learned_as(oid, namespace)) if current is not None else None
        if known is not None:
            return cast("Authority", known)
        with self.database.reading() as work:  # perhaps by another process
            found = AuthorityStore(work).find(oid, namespace)
        if found is not None and work.writing:
            self._remember_at_commit(found, work)
        elif found is not None:
            self._remember(found)
        return found

    def _remember_at_commit(self, authority: Authority, work: UnitOfWork) -> None:
        """Perhaps it was learned just now: this unit of work knows it, the others when it is there for good."""
        work.on_commit(lambda: self._remember(authority))
        for name in (_learned_as(authority.oid, ""), _learned_as("", authority.namespace)):
            work.notes.setdefault(name, authority)

    def _remember(self, authority: Authority) -> None:
        self._by_oid[authority.oid] = authority
        if authority.namespace:
            self._by_namespace.setdefault(authority.namespace, authority)


def _learned_as(oid: str, namespace: str) -> tuple[str, str, str]:
    """Note of a unit of work."""
    return ("patients:learned", oid, "" if oid else namespace)
