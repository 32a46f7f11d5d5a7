"""What is asked across communities (XCA, XCA-I, XCPD): commands, and answers that say who gave what. Frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar

from hub.documents.model import Content, DocumentRequest, RegistryObject, RetrievedDocument, StoredQuery, Submission
from hub.errors import HubError
from hub.imaging.model import InstanceRequest, RetrievedInstance, SourceStatus
from hub.patients.model import Person, Traits
from hub.usecase import Command
from hub.values import PatientIdentifier


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
class CrossGatewayProvide(Command):
    """ITI-80: another community gives documents to this one. Outcome: Registered."""

    repeatable: ClassVar[bool] = False

    submission: Submission
    contents: tuple[Content, ...]
    home: str  #: for which community, as the request says it


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
    discovers: bool = False  #: persons are looked for there first (ITI-55)


@dataclass(frozen=True, slots=True)
class Reference:
    """An ObjectRef: all that is known of an object that another community names."""

    id: str
    home: str = ""


@dataclass(frozen=True, slots=True)
class CommunityAnswer:
    """What one or several communities answered. ``problems``: what is missing, and why; each names its community.

    ``answered``: at least one of them did. ``owners``: whom the objects are about, by the community's number; several
    where more than one person of this region is known by it there. Not known for a query that names a person."""

    objects: tuple[RegistryObject | Reference, ...] = ()
    problems: tuple[HubError, ...] = ()
    answered: bool = True
    statuses: tuple[SourceStatus, ...] = ()
    owners: Mapping[PatientIdentifier, tuple[PatientIdentifier, ...]] = field(default_factory=dict)


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


@dataclass(frozen=True, slots=True)
class DiscoverPatient(Command):
    """ITI-55: another community asks whether this one knows a person. Outcome: Discovered."""

    traits: Traits
    identifiers: tuple[PatientIdentifier, ...] = ()
    community: str = ""  #: homeCommunityId of the asker, urn:oid: form
    only: PatientIdentifier | None = None  #: nobody but whom this means: looked up by it, whoever is described


@dataclass(frozen=True, slots=True)
class Discovered:
    """Whom an ITI-55 found here: exactly one person or none. ``lacking``: traits that could decide."""

    person: Person | None = None
    lacking: tuple[str, ...] = ()
    community: str = ""  #: this community, urn:oid: form
    time_to_live: timedelta | None = None  #: how long the asker may rely on it


@dataclass(frozen=True, slots=True)
class Candidate:
    """A person as another community describes it; the first identifier is the one to ask with."""

    identifiers: tuple[PatientIdentifier, ...]
    traits: Traits
    community: str  #: urn:oid: form


@dataclass(frozen=True, slots=True)
class Discovery:
    """What another community answered to an ITI-55. ``time_to_live``: None: not to be relied on later."""

    candidates: tuple[Candidate, ...] = ()
    lacking: tuple[str, ...] = ()  #: what it would want to know: codes of XCPD
    time_to_live: timedelta | None = None


@dataclass(frozen=True, slots=True)
class LocatePatient(Command):
    """ITI-56: where is a person known? Outcome: tuple of PatientLocation."""

    identifier: PatientIdentifier


@dataclass(frozen=True, slots=True)
class PatientLocation:
    """A community that knows a person, and by which number."""

    community: str  #: urn:oid: form
    identifier: PatientIdentifier


@dataclass(frozen=True, slots=True)
class Correlation:
    """That a person of this region is known elsewhere, by a number, until an instant."""

    community: str
    identifier: PatientIdentifier
    expires_at: datetime
