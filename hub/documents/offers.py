"""A person has one on-demand document of a kind: while persons are joined the others are set aside."""

from collections.abc import Sequence

from hub.context import Context
from hub.documents.criteria import Clause, Operator
from hub.documents.model import APPROVED, ON_DEMAND, AssociationType, DocumentEntry
from hub.documents.ondemand import OnDemandDocuments, offer_uid
from hub.documents.store import DocumentStore
from hub.documents.store_moving import MovingStore
from hub.storage.engine import UnitOfWork
from hub.values import PatientIdentifier


class OffersFollow:
    """Told when documents have moved with their persons (``DocumentsFollow.settled``)."""

    def __init__(self, on_demand: OnDemandDocuments) -> None:
        self.on_demand = on_demand
        self.documents = on_demand.documents

    def settled(self, work: UnitOfWork, persons: Sequence[PatientIdentifier], context: Context) -> None:
        """Each person keeps one offer, the survivor's own before those of its aliases; who has none and now has
        something to be asked for gets one."""
        for repository, provider in self.on_demand.providers.items():
            for person in persons:
                if self._one(work, repository, person):
                    continue
                items = self.documents.documents_of(person)
                if any(provider.offered(item) is not None for item in items if item.object_type != ON_DEMAND):
                    self.on_demand.enqueue(repository, person, context)

    def _one(self, work: UnitOfWork, repository: str, person: PatientIdentifier) -> bool:
        """Whether the person has an offer: it stands then, and no other."""
        documents, store = DocumentStore(work), MovingStore(work)
        uids = [offer_uid(repository, item) for item in self.documents.patients.equivalents(person)]
        clauses = [
            Clause("unique_id", Operator.IN, tuple(uids)),
            Clause("repository_unique_id", Operator.IN, (repository,)),
            Clause("object_type", Operator.IN, (ON_DEMAND,)),
        ]
        found = documents.find(DocumentEntry, clauses)
        aside = store.aside(item.id for item in found)
        offers = [item for item in found if item.status == APPROVED or item.id in aside]
        offers.sort(key=lambda item: uids.index(item.unique_id))
        for number, item in enumerate(offers):
            links = documents.associations(target=[item.id], types=[AssociationType.IS_SNAPSHOT_OF])
            with_snapshots = {item.id, *(link.source for link in links)}
            if number:
                store.set_aside(with_snapshots)
            else:
                store.restore(with_snapshots)
        return bool(offers)
