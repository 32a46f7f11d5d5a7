"""What is asked across communities (XCA, XCA-I): commands, and answers that say who gave what. Frozen values."""

from dataclasses import dataclass

from hub.documents.model import DocumentRequest, RegistryObject, RetrievedDocument, StoredQuery
from hub.errors import HubError
from hub.imaging.model import InstanceRequest, RetrievedInstance, SourceStatus
from hub.usecase import Command


@dataclass(frozen=True, slots=True)
class CrossGatewayQuery(Command):
    """ITI-38: another community asks this one. Outcome: QueryResult."""

    query: StoredQuery


@dataclass(frozen=True, slots=True)
class CrossGatewayRetrieve(Command):
    """ITI-39: another community reads documents of this one. Outcome: RetrievedDocuments."""

    requests: tuple[DocumentRequest, ...]


@dataclass(frozen=True, slots=True)
class CrossGatewayRetrieveInstances(Command):
    """RAD-75: another community reads instances of this one. Outcome: InstanceStream."""

    requests: tuple[InstanceRequest, ...]
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QueryCommunities(Command):
    """ITI-18 at the initiating gateway: this community and all others. Outcome: CommunityAnswer."""

    query: StoredQuery


@dataclass(frozen=True, slots=True)
class RetrieveFromCommunities(Command):
    """ITI-43 at the initiating gateway. Outcome: RetrievedDocuments."""

    requests: tuple[DocumentRequest, ...]


@dataclass(frozen=True, slots=True)
class RetrieveInstancesFromCommunities(Command):
    """RAD-69 at the initiating gateway. Outcome: InstanceStream."""

    requests: tuple[InstanceRequest, ...]
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Community:
    """Another community, as this one knows it."""

    name: str
    home: str  #: homeCommunityId, urn:oid: form
    deadline: float = 10.0  #: seconds that a query waits for it
    retrieve_deadline: float = 120.0  #: seconds that a retrieval from it may take altogether
    authority: str = ""  #: OID whose patient numbers it knows; "": it is asked with the identifier as given


@dataclass(frozen=True, slots=True)
class Reference:
    """An ObjectRef: all that is known of an object that another community names."""

    id: str
    home: str = ""


@dataclass(frozen=True, slots=True)
class CommunityAnswer:
    """What one or several communities answered. ``problems``: what is missing, and why; each names its community.

    ``answered``: at least one of them did."""

    objects: tuple[RegistryObject | Reference, ...] = ()
    problems: tuple[HubError, ...] = ()
    answered: bool = True
    statuses: tuple[SourceStatus, ...] = ()


@dataclass(frozen=True, slots=True)
class CommunityDocuments:
    """Documents that another community gave, and what it said about the rest."""

    documents: tuple[RetrievedDocument, ...] = ()
    problems: tuple[HubError, ...] = ()


@dataclass(frozen=True, slots=True)
class CommunityInstances:
    """Instances that another community gave, and what it said about the rest."""

    instances: tuple[RetrievedInstance, ...] = ()
    problems: tuple[HubError, ...] = ()
