"""The initiating gateway (XCA, XCA-I): one question to this community and to others, merged, each one's part told."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from hub.access.model import Principal
from hub.access.rights_model import Rights
from hub.context import Context
from hub.documents.errors import (
    DocumentUniqueIdError,
    MissingHomeCommunityId,
    UnavailableCommunity,
)
from hub.documents.model import (
    APPROVED,
    DEPRECATED,
    ON_DEMAND,
    STABLE,
    Association,
    DocumentEntry,
    DocumentRequest,
    RegistryObject,
    RetrievedDocument,
    RetrievedDocuments,
    RetrieveDocuments,
    StoredQuery,
)
from hub.documents.queries import QUERIES, Question, read
from hub.errors import HubError
from hub.federation.discovery import DiscoveryService
from hub.federation.inquiry import NO_NUMBER, Inquiry, merged, silent
from hub.federation.model import (
    Community,
    CommunityAnswer,
    CommunityDocuments,
    CommunityInstances,
    Discovery,
    QueryCommunities,
    Reference,
    RetrieveFromCommunities,
    RetrieveInstancesFromCommunities,
)
from hub.federation.owners import Owners
from hub.federation.problems import located, said_of, unanswered, unavailable, undisguised, warned_of, without_home
from hub.federation.readers import Strangers, may_ask, shown
from hub.federation.responding import Documents, Images, Patients, admitted, check_home
from hub.imaging.errors import UnknownInstance
from hub.imaging.fanout import Call, FanOut, Reply
from hub.imaging.model import (
    FailedInstance,
    InstanceRequest,
    InstanceStream,
    RetrieveInstances,
    SourceState,
    SourceStatus,
)
from hub.imaging.readers import Disguise
from hub.patients.model import Traits
from hub.usecase import use_case
from hub.values import Oid, PatientIdentifier

#: Parameter of a query to an initiating gateway: the homeCommunityIds that it shall ask (ITI TF-2: 3.18.4.1.2.3.4).
TARGETS = "$targetCommunityIdList"
_IDS = {query.name: query.id for query in QUERIES.values()}


class CommunityClient(Protocol):
    """Another community's responding gateway. Every method raises HubError when it does not answer."""

    def on_behalf(self, principal: Principal) -> "CommunityClient":
        """The same, asked for this user."""
        ...

    def discover(self, traits: Traits, identifiers: Sequence[PatientIdentifier]) -> Discovery:
        """ITI-55."""
        ...

    def query(self, query: StoredQuery) -> CommunityAnswer:
        """ITI-38."""
        ...

    def retrieve(self, requests: Sequence[DocumentRequest]) -> CommunityDocuments:
        """ITI-39."""
        ...

    def retrieve_instances(
        self, requests: Sequence[InstanceRequest], transfer_syntaxes: Sequence[str]
    ) -> CommunityInstances:
        """RAD-75."""
        ...


class Studies(Protocol):
    """The studies of the index, as one caller may see them."""

    def disguise(self, requests: Sequence[InstanceRequest], context: Context) -> Disguise:
        """The requests as they may be carried out."""
        ...


class CommunityService:
    """Asks this community's own rooms, and the others through their clients, each within its deadline."""

    def __init__(
        self,
        *,
        communities: Iterable[tuple[Community, CommunityClient]],
        documents: Documents,
        images: Images,
        studies: Studies,
        patients: Patients,
        home_community_id: str,
        discovery: DiscoveryService | None = None,
        fanout: FanOut | None = None,
        rights: Rights,
    ) -> None:
        self.rights = rights
        self.others: Mapping[str, tuple[Community, CommunityClient]] = {
            community.home: (community, client) for community, client in communities
        }
        self.documents = documents
        self.images = images
        self.studies = studies
        self.patients = patients
        self.discovery = discovery
        self.owners = Owners(patients, discovery)
        self.home = Oid.from_urn(home_community_id).urn
        self.fanout = fanout or FanOut(per_source=32)

    # ITI-18

    @use_case
    def query(self, command: QueryCommunities, context: Context) -> CommunityAnswer:
        """Ask everybody, or the one community that the query names (ITI TF-2: 3.18.4.1.3).

        Raises MissingHomeCommunityId for a query without a patient that names none, UnknownCommunity, and what is
        wrong with the query itself: a bad one leaves the house for nobody."""
        query = command.query
        question = read(query.query_id, query.parameters, query.lists)
        if query.home:
            self._check(query.home)
        elif question.patient is None:
            raise MissingHomeCommunityId(location="home")
        asked, strangers = self._meant(query)
        query = replace(query, parameters={name: each for name, each in query.parameters.items() if name != TARGETS})
        parts = [CommunityAnswer(problems=(error,), answered=False) for error in strangers]
        parts += [self._own(query, context)] if self.home in asked else []
        parts += self._foreign(query, question, [home for home in asked if home != self.home], context)
        return merged(parts)

    def _meant(self, query: StoredQuery) -> tuple[list[str], list[HubError]]:
        """Who is to be asked: the query's home, those of its list of communities, or everybody; and unknown ones."""
        if query.home:
            return [query.home], []
        wanted = [home for group in query.parameters.get(TARGETS, ()) for home in group]
        asked: list[str] = []
        strangers: list[HubError] = []
        for home in dict.fromkeys(wanted):
            try:
                self._check(home)
                asked.append(home)
            except HubError as error:
                strangers.append(error)
        return (asked, strangers) if wanted else ([self.home, *self.others], [])

    def _own(self, query: StoredQuery, context: Context) -> CommunityAnswer:
        started = time.monotonic()
        try:
            found = self.documents.query(replace(query, home=self.home), context)
        except HubError as error:
            return CommunityAnswer(problems=(error,), answered=False, statuses=(unanswered(self.home, error),))
        objects: tuple[RegistryObject | Reference, ...] = found.objects
        if not query.leaf_class:
            objects = tuple(Reference(item.id, item.home) for item in found.objects)
        milliseconds = int((time.monotonic() - started) * 1000)
        status = SourceStatus(self.home, SourceState.ANSWERED, len(objects), milliseconds)
        return CommunityAnswer(objects, statuses=(status,))

    def _foreign(
        self, query: StoredQuery, question: Question, homes: Sequence[str], context: Context
    ) -> list[CommunityAnswer]:
        patient = question.patient
        known = self.patients if may_ask(self.rights, patient, context) else Strangers()
        inquiry = Inquiry(query, question, known, self.discovery)
        parts: list[CommunityAnswer] = []
        calls: dict[str, Call] = {}
        for home in homes:
            community, client = self.others[home]
            ask = inquiry.ask(community, client.on_behalf(context.principal))
            if ask is None:
                parts.append(silent(community.name, NO_NUMBER))
            else:
                calls[home] = Call(ask, community.deadline)
        if patient is None and not self.rights.plain(context):
            calls = {home: self._with_owners(home, call, context) for home, call in calls.items()}
        for reply in self._replies(calls, context):
            answer = shown(self.rights, reply.value, patient, context) if reply.error is None else None
            parts.append(self._part(replace(reply, value=answer)))
        return parts

    def _with_owners(self, home: str, call: Call, context: Context) -> Call:
        """The same question, and whom what was found is about: the query names nobody."""
        community, client = self.others[home]
        asked = client.on_behalf(context.principal)
        return replace(call, ask=lambda: self.owners.told(call.ask(), community, asked))

    def _part(self, reply: Reply) -> CommunityAnswer:
        community, _ = self.others[reply.source]
        if reply.error is not None:
            problem = unavailable(community, reply.error)
            status = unanswered(community.name, reply.error, reply.milliseconds)
            return CommunityAnswer(problems=(problem,), answered=False, statuses=(status,))
        answer: CommunityAnswer = reply.value
        nameless = [item for item in answer.objects if not item.home and not isinstance(item, Association)]
        kept = tuple(
            item if item.home else replace(item, home=community.home) for item in answer.objects if item not in nameless
        )
        problems = [located(error, community) for error in answer.problems]
        reason = next((status.reason for status in answer.statuses), "")
        if nameless:
            problems.append(
                MissingHomeCommunityId(
                    f"The gateway of {community.name} gave {len(nameless)} objects without home.",
                    location=community.home,
                )
            )
        status = SourceStatus(community.name, SourceState.ANSWERED, len(kept), reply.milliseconds, reason)
        return CommunityAnswer(kept, tuple(problems), answer.answered, (status,))

    # ITI-43

    @use_case
    def retrieve(self, command: RetrieveFromCommunities, context: Context) -> RetrievedDocuments:
        """Documents of any community; each request names its own (ITI TF-2: 3.43.4.1.3)."""
        good, failures = admitted(command.requests, self._check)
        groups = _by_home(good)
        hidden = self._withheld(groups, context)
        failures += hidden.items()
        groups = _by_home(request for request in good if request not in hidden)
        documents: list[RetrievedDocument] = []
        for reply in self._retrievals(groups, context, lambda client, wanted: client.retrieve(wanted)):
            found, missing = self._documents(reply, groups[reply.source])
            documents += found
            failures += missing
        own = self.documents.retrieve(RetrieveDocuments(tuple(groups.get(self.home, ()))), context)
        return RetrievedDocuments((*documents, *own.documents), (*failures, *own.failures))

    def _withheld(
        self, groups: Mapping[str, Sequence[DocumentRequest]], context: Context
    ) -> dict[DocumentRequest, HubError]:
        """The documents of others that the caller may not read, and what is said instead.

        A request names nobody: the community is asked for the entries first (ITI-38), which are judged as if the caller
        had asked for them. What has no entry there is not given either: nobody can tell whom it is about."""
        if self.rights.plain(context):
            return {}
        calls = {}
        for home, wanted in groups.items():
            if home != self.home:
                community, client = self.others[home]
                query = _by_unique_id(home, [item.document_unique_id for item in wanted])
                asked = client.on_behalf(context.principal)
                calls[home] = self._with_owners(home, Call(_bound(asked.query, query), community.deadline), context)
        found: dict[DocumentRequest, HubError] = {}
        for reply in self._replies(calls, context):
            found.update(self._unreadable(reply, groups[reply.source], context))
        return found

    def _unreadable(
        self, reply: Reply, wanted: Sequence[DocumentRequest], context: Context
    ) -> Iterator[tuple[DocumentRequest, HubError]]:
        community, _ = self.others[reply.source]
        if reply.error is not None:
            yield from ((item, unavailable(community, reply.error)) for item in wanted)
            return
        answer: CommunityAnswer = reply.value
        if not answer.answered:
            error = next(iter(answer.problems), UnavailableCommunity(location=community.home))
            yield from ((item, error) for item in wanted)
            return
        entries = [item for item in answer.objects if isinstance(item, DocumentEntry)]
        seen = {item.id for item in shown(self.rights, answer, None, context).objects}
        readable = {item.unique_id for item in entries} - {item.unique_id for item in entries if item.id not in seen}
        left = [item for item in wanted if item.document_unique_id not in readable]
        if left:
            readable |= self._of_the_named(community.home, context)
        for item in left:
            if item.document_unique_id not in readable:
                yield item, DocumentUniqueIdError(location=item.document_unique_id)

    def _of_the_named(self, home: str, context: Context) -> set[str]:
        """The documents that a caller finds whose proof names a person: the community may know them by a number that
        means nobody here unless it is asked about the person."""
        if not context.principal.about:
            return set()
        query = _about(home, context.principal.about)
        question = read(query.query_id, query.parameters, query.lists)
        answers = self._foreign(query, question, [home], context)
        return {item.unique_id for part in answers for item in part.objects if isinstance(item, DocumentEntry)}

    def _documents(
        self, reply: Reply, wanted: Sequence[DocumentRequest]
    ) -> tuple[list[RetrievedDocument], list[tuple[DocumentRequest, HubError]]]:
        community, _ = self.others[reply.source]
        if reply.error is not None:
            return [], [(request, unavailable(community, reply.error)) for request in wanted]
        answer: CommunityDocuments = reply.value
        given = {
            (item.request.repository_unique_id, item.request.document_unique_id): item for item in answer.documents
        }
        found: list[RetrievedDocument] = []
        missing: list[tuple[DocumentRequest, HubError]] = []
        for request in wanted:
            item = given.get((request.repository_unique_id, request.document_unique_id))
            if item is None:
                uid = request.document_unique_id
                missing.append((request, said_of(uid, answer.problems) or DocumentUniqueIdError(location=uid)))
            elif not item.request.home:
                missing.append((request, without_home(community)))
            else:
                found.append(replace(item, request=request))
        return found, missing

    # RAD-69

    @use_case
    def retrieve_instances(self, command: RetrieveInstancesFromCommunities, context: Context) -> InstanceStream:
        """Instances of any community; each request names its own (RAD TF-3: 4.75)."""
        good, failures = admitted(command.requests, self._check)
        for request in good:
            context.touch("study", request.study_instance_uid)
        mine = tuple(request for request in good if request.home == self.home)
        # Whom a study is about is known where the index holds a copy of it; no other question tells it.
        disguise = self.studies.disguise([request for request in good if request.home != self.home], context)
        groups, syntaxes = _by_home(disguise.requests), command.transfer_syntaxes
        own = self.images.retrieve(RetrieveInstances(mine, syntaxes), context)
        replies = self._retrievals(groups, context, lambda client, wanted: client.retrieve_instances(wanted, syntaxes))
        return self._stream(failures, undisguised(self._elsewhere(replies, groups), disguise.originals), own)

    @staticmethod
    def _stream(
        failures: Iterable[tuple[InstanceRequest, HubError]], others: InstanceStream, own: InstanceStream
    ) -> InstanceStream:
        yield from (FailedInstance(request, error) for request, error in failures)
        yield from others
        yield from own

    def _elsewhere(self, replies: Iterable[Reply], groups: Mapping[str, Sequence[InstanceRequest]]) -> InstanceStream:
        for reply in replies:
            yield from self._instances(reply, groups[reply.source])

    def _instances(self, reply: Reply, wanted: Sequence[InstanceRequest]) -> InstanceStream:
        community, _ = self.others[reply.source]
        if reply.error is not None:
            problem = unavailable(community, reply.error)
            yield from (FailedInstance(request, problem) for request in wanted)
            return
        answer: CommunityInstances = reply.value
        requests = {request.sop_instance_uid: request for request in wanted}
        for item in answer.instances:
            request = requests.pop(item.sop_instance_uid, None)
            if request is not None:
                yield replace(item, source=community.name)
                yield from (FailedInstance(request, one) for one in warned_of(item.sop_instance_uid, answer.problems))
        for uid, request in requests.items():
            yield FailedInstance(request, said_of(uid, answer.problems) or UnknownInstance())

    # The others

    def _check(self, home: str) -> None:
        check_home(home, (self.home, *self.others))

    def _retrievals(
        self,
        groups: Mapping[str, Sequence[Any]],
        context: Context,
        ask: Callable[[CommunityClient, Sequence[Any]], Any],
    ) -> Iterable[Reply]:
        calls = {}
        for home, wanted in groups.items():
            if home != self.home:
                community, client = self.others[home]
                asked = client.on_behalf(context.principal)
                calls[home] = Call(_bound(ask, asked, wanted), community.retrieve_deadline)
        return self._replies(calls, context)

    def _replies(self, calls: Mapping[str, Call], context: Context) -> Iterable[Reply]:
        for home in calls:
            context.touch("community", home)
        return self.fanout.ask(calls)


def _bound(function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    return lambda: function(*arguments)


def _by_unique_id(home: str, uids: Iterable[str]) -> StoredQuery:
    name = "$XDSDocumentEntryUniqueId"
    return StoredQuery(_IDS["GetDocuments"], {name: (tuple(dict.fromkeys(uids)),)}, home=home, lists=frozenset({name}))


def _about(home: str, patient: str) -> StoredQuery:
    """Every document of a person. ``patient``: CX."""
    lists = {"$XDSDocumentEntryStatus": (APPROVED, DEPRECATED), "$XDSDocumentEntryType": (STABLE, ON_DEMAND)}
    parameters = {"$XDSDocumentEntryPatientId": ((patient,),), **{name: (each,) for name, each in lists.items()}}
    return StoredQuery(_IDS["FindDocuments"], parameters, home=home, lists=frozenset(lists))


def _by_home(requests: Iterable[Any]) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for request in requests:
        groups.setdefault(request.home, []).append(request)
    return groups
