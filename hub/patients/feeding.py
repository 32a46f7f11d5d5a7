"""Identity feeds whose messages are no single event: several changes, all or none (PIXm: ITI-104, PMIR: ITI-93)."""

from dataclasses import replace
from itertools import repeat

from hub.context import Context
from hub.errors import Conflict
from hub.patients import doubts_model as doubts
from hub.patients import golden
from hub.patients.details_model import FeedDetails
from hub.patients.feeding_model import Change, Received, ReceiveIdentities
from hub.patients.model import Fed, MergeIdentities
from hub.patients.service import PatientService
from hub.patients.steward_model import WithdrawIdentity
from hub.patients.store import PatientStore
from hub.patients.store_details import DetailsStore
from hub.usecase import use_case
from hub.values import PatientIdentifier


class NumberMerged(Conflict):
    """A feed describes a number that its owner merged into another: a merge is not taken back this way."""

    code = "number-merged"
    title = "The patient number was merged into another one and is not in use any more."


class FeedService:
    """Carries such feeds out with the patients room's own use cases, in one unit of work."""

    def __init__(self, *, patients: PatientService) -> None:
        self.patients = patients

    @use_case
    def receive(self, command: ReceiveIdentities, context: Context) -> tuple[Received, ...]:
        """Raises what the patients room raises, and NumberMerged; then nothing of it was done."""
        with self.patients.database.transaction():
            found = tuple(self._noted(change, context) for change in command.changes)
            return tuple(map(self._shown, command.changes, found, repeat(context))) if command.shown else found

    def _noted(self, change: Change, context: Context) -> Received:
        """With what of this change is not kept."""
        earlier, context.effects = context.effects, {}
        found = self._received(change, context)
        told = doubts.told(context)
        earlier.update(context.effects)
        context.effects = earlier
        return replace(found, doubts=told) if told else found

    def _received(self, change: Change, context: Context) -> Received:
        if isinstance(change, WithdrawIdentity):
            if not self._in_use(change.identifier, context):
                return Received(None)
            return Received(self.patients.withdraw(change, context).regional)
        if isinstance(change, MergeIdentities):
            known = self._known(change.lost, context)
            return Received(self.patients.merge(change, context).regional, created=not known)
        known = self._known(change.identity.identifier, context)
        fed: Fed = self.patients.feed(change, context)
        if fed.reason == "merged":
            raise NumberMerged()
        if isinstance(change, FeedDetails) and change.details:
            with self.patients.database.transaction() as work:
                DetailsStore(work).keep(self._resolved(change.identity.identifier, context), change.details)
        return Received(fed.regional, created=not known)

    def _shown(self, change: Change, found: Received, context: Context) -> Received:
        if found.regional is None or isinstance(change, WithdrawIdentity):
            return found
        told = change.survivor if isinstance(change, MergeIdentities) else change.identity
        with self.patients.database.transaction() as work:
            member = PatientStore(work).identity(self._resolved(told.identifier, context))
            if member is None:
                return found
            details = DetailsStore(work).get(member.identity.identifier)
        named = self.patients.directory.named
        regional, number = named(found.regional), named(member.identity.identifier)
        alone = golden.person(regional, [replace(member.identity, identifier=number)], ())
        return replace(found, kept=replace(alone, details=details))

    def _known(self, identifier: PatientIdentifier, context: Context) -> bool:
        with self.patients.database.transaction() as work:
            return PatientStore(work).identity(self._resolved(identifier, context)) is not None

    def _in_use(self, identifier: PatientIdentifier, context: Context) -> bool:
        with self.patients.database.transaction() as work:
            found = PatientStore(work).identity(self._resolved(identifier, context))
            return found is not None and found.identity.active

    def _resolved(self, identifier: PatientIdentifier, context: Context) -> PatientIdentifier:
        """With its authority's OID, once it is sure that the source may speak of it."""
        if identifier.authority in self.patients.affinity_domains:
            return identifier
        resolved = self.patients.directory.resolve(identifier, context)
        self.patients.directory.check_owner(resolved, context)
        return resolved
