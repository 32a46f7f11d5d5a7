"""Each transaction of XCA and XCA-I from bytes to command, and from outcome to bytes that the public schemas accept."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from hub.context import Context
from hub.documents.errors import DocumentUniqueIdError, MissingHomeCommunityId, UnavailableCommunity, UnknownPatientId
from hub.documents.model import DocumentRequest, QueryResult, RetrievedDocuments
from hub.federation.errors import CommunityError
from hub.federation.model import (
    CommunityAnswer,
    CrossGatewayQuery,
    CrossGatewayRetrieve,
    CrossGatewayRetrieveInstances,
    QueryCommunities,
    Reference,
    RetrieveFromCommunities,
    RetrieveInstancesFromCommunities,
)
from hub.imaging.model import FailedInstance, InstanceRequest
from hub.pipeline.catalogue import discover
from hub.wire.ebxml.imaging import write_imaging_retrieve
from hub.wire.ebxml.names import FAILURE, PARTIAL_SUCCESS, SUCCESS
from hub.wire.ebxml.queries import read_query, write_query, write_stored_query
from hub.wire.ebxml.retrieve import write_retrieve
from hub.wire.soap.client import spool_to
from hub.wire.soap.message import SoapMessage, SoapResponse
from hub.wire.soap.reading import parse_response
from hub.wire.soap.writing import render
from profiles.xca import (
    initiating_iti18,
    initiating_iti43,
    initiating_rad69,
    iti38_cross_gateway_query,
    iti39_cross_gateway_retrieve,
    rad75_cross_gateway_retrieve_imaging_document_set,
)
from tests.wire.ebxml.samples import registered
from tests.wire.ebxml.schemas import validate

HOME, OTHER = "urn:oid:1.2.3", "urn:oid:1.2.4"
FIND = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
WANTED = (DocumentRequest("1.2.8", "1.2.8.1", HOME), DocumentRequest("1.2.8", "1.2.8.2", OTHER))
IMAGE = InstanceRequest("1.2", "1.2.3", "1.2.3.4", repository_unique_id="1.2.8", home=HOME)
QUERIES = {iti38_cross_gateway_query: CrossGatewayQuery, initiating_iti18: QueryCommunities}
RETRIEVALS = {iti39_cross_gateway_retrieve: CrossGatewayRetrieve, initiating_iti43: RetrieveFromCommunities}
IMAGES = {
    rad75_cross_gateway_retrieve_imaging_document_set: CrossGatewayRetrieveInstances,
    initiating_rad69: RetrieveInstancesFromCommunities,
}
MODULES: list[Any] = [*QUERIES, *RETRIEVALS, *IMAGES]
CONTEXT = Context(community=HOME)


def sent(response: SoapResponse, directory: Path) -> SoapMessage:
    answer = render(response, SoapMessage("urn:x", etree.Element("a"), message_id="urn:uuid:1", mtom=True))
    return parse_response(answer.media_type, answer.chunks(), spool_to(directory))


def rows(message: SoapMessage) -> list[tuple[str, str]]:
    return [(row.get("errorCode", ""), row.get("location", "")) for row in message.body.iter("{*}RegistryError")]


def status(message: SoapMessage) -> str:
    return str(message.body.xpath("string(//@status)"))


def test_the_catalogue_finds_them() -> None:
    catalogue = discover()
    for module in MODULES:
        bound = catalogue[module.TRANSACTION.id]
        assert (bound.module, bound.refuse is not None) == (module.__name__, True)
        actor = "initiating" if module.TRANSACTION.id.startswith("XCA-") else "responding"
        assert module.TRANSACTION.bindings[0].path == f"/xca/{actor}"


@pytest.mark.parametrize("module", QUERIES, ids=lambda module: module.TRANSACTION.id)
def test_a_query(module: Any) -> None:
    message = SoapMessage("urn:x", write_query(FIND, {"$a": "b"}, leaf_class=False, home=OTHER))
    command = module.decode(message, Context())
    assert isinstance(command, CrossGatewayQuery | QueryCommunities)
    assert type(command) is QUERIES[module]
    assert (command.query.query_id, command.query.leaf_class, command.query.home) == (FIND, False, OTHER)


def test_a_query_is_passed_on_as_it_came() -> None:
    parameters = {
        "$XDSDocumentEntryPatientId": "1^^^&1.2&ISO",
        "$XDSDocumentEntryStatus": ["a", "it's"],
        "$XDSDocumentEntryCreationTimeFrom": "2004",
    }
    query = read_query(write_query(FIND, parameters, home=HOME))
    query = replace(query, parameters={**query.parameters, "$XDSDocumentEntryEventCodeList": (("a",), ("b", "c"))})
    query = replace(query, lists=frozenset({*(query.lists or ()), "$XDSDocumentEntryEventCodeList"}))
    element = write_stored_query(query)
    validate(element, "ebRS30/query.xsd")
    assert read_query(element) == query
    values = [value.text for value in element.iter("{*}Value")]
    assert values == ["'1^^^&1.2&ISO'", "('a')", "('it''s')", "2004", "('a')", "('b')", "('c')"]


def test_iti_38(tmp_path: Path) -> None:
    module = iti38_cross_gateway_query
    for leaf_class in (True, False):
        request = SoapMessage("urn:x", write_query(FIND, {}, leaf_class=leaf_class))
        result = QueryResult(tuple(replace(item, home=HOME) for item in registered()))
        answer = sent(module.encode(result, request, CONTEXT), tmp_path)
        validate(answer.body, "ebRS30/query.xsd")
        assert {item.get("home") for item in answer.body[0]} == {HOME}
        assert answer.action == "urn:ihe:iti:2007:CrossGatewayQueryResponse"


@pytest.mark.parametrize(
    ("problems", "answered", "outcome"),
    [
        ((), True, SUCCESS),
        ((CommunityError.said("XDSExtra", "x", location=OTHER, warning=True),), True, SUCCESS),
        ((UnavailableCommunity(location=OTHER),), True, PARTIAL_SUCCESS),
        ((UnavailableCommunity(location=OTHER), UnavailableCommunity(location=OTHER)), False, FAILURE),
        ((CommunityError.said("XDSTooManyResults", "x", location=OTHER),), False, FAILURE),
    ],
)
def test_an_answer_of_several_communities(tmp_path: Path, problems: Any, answered: bool, outcome: str) -> None:
    objects = (*(replace(item, home=HOME) for item in registered()), Reference("urn:uuid:1", OTHER))
    request = SoapMessage("urn:x", write_query(FIND, {}))
    gathered = CommunityAnswer(objects, problems, answered)
    answer = sent(initiating_iti18.encode(gathered, request, CONTEXT), tmp_path)
    validate(answer.body, "ebRS30/query.xsd")
    assert status(answer) == outcome
    assert [location for _, location in rows(answer)] == [OTHER][: len(problems)]
    assert {item.get("home") for item in answer.body.find("{*}RegistryObjectList")} == {HOME, OTHER}


@pytest.mark.parametrize("module", RETRIEVALS, ids=lambda module: module.TRANSACTION.id)
def test_a_retrieval(module: Any, tmp_path: Path) -> None:
    request = SoapMessage("urn:x", write_retrieve(WANTED))
    assert module.decode(request, Context()) == RETRIEVALS[module](WANTED)
    failures = [
        (WANTED[0], DocumentUniqueIdError(location="1.2.8.1")),
        (WANTED[1], UnavailableCommunity(location=OTHER)),
    ]
    answer = sent(module.encode(RetrievedDocuments((), tuple(failures)), request, CONTEXT), tmp_path)
    validate(answer.body, "IHE/IHEXDSB.xsd")
    located = HOME if module is iti39_cross_gateway_retrieve else OTHER
    assert rows(answer) == [("XDSDocumentUniqueIdError", HOME), ("XDSUnavailableCommunity", located)]
    assert "1.2.8.1" in next(answer.body.iter("{*}RegistryError")).get("codeContext", "")


@pytest.mark.parametrize("module", IMAGES, ids=lambda module: module.TRANSACTION.id)
def test_images(module: Any, tmp_path: Path) -> None:
    request = SoapMessage("urn:x", write_imaging_retrieve([IMAGE], ["1.2.840.10008.1.2.1"]))
    assert module.decode(request, Context()) == IMAGES[module]((IMAGE,), ("1.2.840.10008.1.2.1",))
    outcome = iter((FailedInstance(IMAGE, MissingHomeCommunityId()),))
    answer = sent(module.encode(outcome, request, CONTEXT), tmp_path)
    validate(answer.body, "IHE/IHEXDSB.xsd")
    assert (status(answer), rows(answer)) == (FAILURE, [("XDSMissingHomeCommunityId", IMAGE.sop_instance_uid)])


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.TRANSACTION.id)
def test_refusals(module: Any, tmp_path: Path) -> None:
    answer = sent(
        module.refuse(UnknownPatientId(location="$x"), SoapMessage("urn:x", etree.Element("a")), CONTEXT), tmp_path
    )
    validate(answer.body, "ebRS30/query.xsd" if module in QUERIES else "IHE/IHEXDSB.xsd")
    by_community = module in (iti38_cross_gateway_query, iti39_cross_gateway_retrieve)
    assert (status(answer), rows(answer)) == (FAILURE, [("XDSUnknownPatientId", HOME if by_community else "$x")])
    assert answer.action == module.TRANSACTION.bindings[0].response_action
