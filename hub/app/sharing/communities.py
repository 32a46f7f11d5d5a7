"""Other communities' responding gateways by SOAP: how the initiating gateway reaches them.

ITI-38, ITI-39, ITI-55, RAD-75."""

import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx

from hub.access.model import Principal
from hub.app.doors.assertion_issuer import AssertionIssuer
from hub.app.keys.tls import client_context
from hub.app.settings.model import Region, Settings
from hub.app.settings.sharing import Community as CommunitySettings
from hub.documents.errors import RegistryError
from hub.documents.model import DocumentRequest, RetrievedDocument, StoredQuery
from hub.errors import HubError
from hub.federation.errors import DiscoveryRefused
from hub.federation.model import (
    Candidate,
    Community,
    CommunityAnswer,
    CommunityDocuments,
    CommunityInstances,
    Discovery,
    Reference,
)
from hub.imaging.model import InstanceRequest, RetrievedInstance
from hub.patients.model import Traits
from hub.values import Oid, PatientIdentifier
from hub.wire.dicom_head import peek
from hub.wire.ebxml.errors import said_by
from hub.wire.ebxml.imaging import write_imaging_retrieve
from hub.wire.ebxml.names import FAILURE, query
from hub.wire.ebxml.queries import read_answer, write_stored_query
from hub.wire.ebxml.retrieve import ReceivedDocument, RetrieveAnswer, file_chunks, read_retrieved, write_retrieve
from hub.wire.hl7v3.answer import read_patient_answer
from hub.wire.hl7v3.location import read_time_to_live
from hub.wire.hl7v3.query import write_patient_query
from hub.wire.hl7v3.transmission import Party
from hub.wire.soap.client import SoapClient
from hub.wire.soap.message import Limits, Receive, SoapMessage
from hub.wire.xml import Element

DISCOVERY = "urn:hl7-org:v3:PRPA_IN201305UV02:CrossGatewayPatientDiscovery"
QUERY = "urn:ihe:iti:2007:CrossGatewayQuery"
RETRIEVE = "urn:ihe:iti:2007:CrossGatewayRetrieve"
IMAGES = "urn:ihe:rad:2011:CrossGatewayRetrieveImagingDocumentSet"


class FileLease:
    """Keeps a received file: it goes when released, or when this is forgotten because nobody came to read it."""

    def __init__(self, path: Path) -> None:
        self._gone = weakref.finalize(self, path.unlink, missing_ok=True)

    def release(self) -> None:
        """Let the file go now."""
        self._gone()


class SoapCommunity:
    """One community's gateway. ``soap`` carries the hub's certificate and the community's deadline."""

    def __init__(
        self,
        settings: CommunitySettings,
        soap: SoapClient,
        region: Region,
        issuer: AssertionIssuer | None = None,
        asked_by: Principal | None = None,
    ) -> None:
        self.settings = settings
        self.soap = soap
        self.region = region
        self.issuer = issuer
        self.asked_by = asked_by

    def on_behalf(self, principal: Principal) -> "SoapCommunity":
        """The same gateway, asked for this user: it is told so where the settings want it (ITI-40)."""
        if self.issuer is None:
            return self
        return SoapCommunity(self.settings, self.soap, self.region, self.issuer, principal)

    def _call(self, url: str, action: str, body: Element, *, mtom: bool = False) -> SoapMessage:
        security = None
        if self.issuer is not None and self.asked_by is not None:
            audience = self.settings.audience or Oid(self.settings.home_community_id).urn
            security = self.issuer.header(self.asked_by, audience)
        return self.soap.call(url, action, body, mtom=mtom, security=security)

    def discover(self, traits: Traits, identifiers: Sequence[PatientIdentifier]) -> Discovery:
        """ITI-55. Raises what SoapClient.call raises, Hl7v3Invalid, DiscoveryRefused."""
        own, other = self.region.home_community_id, self.settings.home_community_id
        me, them = Party(own, own), Party(other, other)
        body = write_patient_query(traits, identifiers, me, them, authority=self.region.affinity_domain)
        message = self._call(self.settings.discovery_url or self.settings.query_url, DISCOVERY, body)
        try:
            answer = read_patient_answer(message.body)
            lasts = read_time_to_live(message.blocks)
        finally:
            message.discard()
        if answer.acknowledgement != "AA" or answer.response not in ("OK", "NF"):
            raise DiscoveryRefused()
        candidates = tuple(
            Candidate((item.identifier, *item.others), item.traits, Oid(item.community).urn if item.community else "")
            for item in answer.subjects
        )
        return Discovery(candidates, answer.requested, lasts)

    def query(self, query: StoredQuery) -> CommunityAnswer:
        """ITI-38. Raises what SoapClient.call raises; RegistryError when the answer is none."""
        message = self._call(self.settings.query_url, QUERY, write_stored_query(query))
        try:
            return _answer(message)
        finally:
            message.discard()

    def retrieve(self, requests: Sequence[DocumentRequest]) -> CommunityDocuments:
        """ITI-39; the documents lie in files that go when they are forgotten."""
        url = self.settings.retrieve_url or self.settings.query_url
        answer = _documents(self._call(url, RETRIEVE, write_retrieve(requests), mtom=True))
        documents = tuple(
            RetrievedDocument(
                item.request,
                item.mime_type,
                item.content.path,
                item.content.size,
                lease,
                item.new_document_unique_id,
                item.new_repository_unique_id,
            )
            for item, lease in _leased(answer)
        )
        return CommunityDocuments(documents, tuple(said_by(row) for row in answer.problems))

    def retrieve_instances(
        self, requests: Sequence[InstanceRequest], transfer_syntaxes: Sequence[str]
    ) -> CommunityInstances:
        """RAD-75."""
        url = self.settings.imaging_url or self.settings.retrieve_url or self.settings.query_url
        answer = _documents(self._call(url, IMAGES, write_imaging_retrieve(requests, transfer_syntaxes), mtom=True))
        instances = []
        problems: list[HubError] = [said_by(row) for row in answer.problems]
        for item, lease in _leased(answer):
            try:
                instances.append(_instance(item.content.path, item.content.size, lease))
            except HubError as error:  # one object that is none spoils no other
                error.location = item.request.document_unique_id
                problems.append(error)
        return CommunityInstances(tuple(instances), tuple(problems))

    def close(self) -> None:
        """Close the connections."""
        self.soap.close()


def clients(settings: Settings, receive: Receive, limits: Limits) -> list[tuple[Community, SoapCommunity]]:
    """A client for every configured community."""
    if not settings.communities:
        return []
    tls, found = client_context(settings.tls), []
    asserts = any(item.assertion == "xua" for item in settings.communities)
    issuer = AssertionIssuer(settings) if asserts else None
    for item in settings.communities:
        community = Community(
            item.name,
            Oid(item.home_community_id).urn,
            item.deadline,
            item.retrieve_deadline,
            item.authority or "",
            discovers=item.discovery_url is not None,
        )
        http = httpx.Client(verify=tls, timeout=item.deadline, trust_env=False)
        asserting = issuer if item.assertion == "xua" else None
        found.append((community, SoapCommunity(item, SoapClient(http, receive, limits), settings.region, asserting)))
    return found


def _answer(message: SoapMessage) -> CommunityAnswer:
    if message.body.tag != query("AdhocQueryResponse"):
        raise RegistryError("The community's answer is not an AdhocQueryResponse.")
    answer = read_answer(message.body)
    references = tuple(Reference(*pair) for pair in answer.references)
    problems = tuple(said_by(row) for row in answer.problems)
    return CommunityAnswer((*answer.objects, *references), problems, answer.status != FAILURE)


def _documents(message: SoapMessage) -> RetrieveAnswer:
    try:
        answer = read_retrieved(message)
    except HubError:
        message.discard()
        raise
    used = {item.content.path for item in answer.documents}
    for attachment in message.attachments.values():
        if attachment.path not in used:
            attachment.path.unlink(missing_ok=True)
    return answer


def _leased(answer: RetrieveAnswer) -> Iterator[tuple[ReceivedDocument, FileLease]]:
    leases = {item.content.path: FileLease(item.content.path) for item in answer.documents}
    for item in answer.documents:
        yield item, leases[item.content.path]


def _instance(path: Path, size: int, lease: FileLease) -> RetrievedInstance:
    head, _ = peek(file_chunks(path))
    return RetrievedInstance(
        head.study_instance_uid,
        head.series_instance_uid,
        head.sop_instance_uid,
        head.sop_class_uid,
        head.transfer_syntax,
        _held(path, lease),
        size=size,
    )


def _held(path: Path, lease: FileLease) -> Iterator[bytes]:
    try:
        yield from file_chunks(path)
    finally:
        lease.release()
