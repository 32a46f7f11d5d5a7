"""Each transaction of XDS.b from bytes to command, and from outcome to bytes that the public schemas accept."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from hub.context import Context
from hub.documents.errors import (
    MissingDocument,
    MissingDocumentMetadata,
    RegistryMetadataError,
    RepositoryMetadataError,
    UnknownPatientId,
)
from hub.documents.model import (
    MultiPatientQuery,
    ProvideDocuments,
    QueryResult,
    RegisterDocuments,
    Registered,
    RegisterOnDemand,
    RetrievedDocuments,
)
from hub.pipeline.catalogue import discover
from hub.wire.ebxml.names import FAILURE, SUCCESS, lcm, xdsb
from hub.wire.ebxml.queries import write_query
from hub.wire.ebxml.retrieve import write_retrieve
from hub.wire.ebxml.submissions import write_provided, write_submission
from hub.wire.soap.client import spool_to
from hub.wire.soap.errors import MtomRequired
from hub.wire.soap.message import Outgoing, SoapMessage, SoapResponse
from hub.wire.soap.reading import expect, parse_request, parse_response
from hub.wire.soap.writing import build_envelope, mtom_package, plain_type, render
from hub.wire.xml import serialise
from profiles.mpq import iti51_multi_patient_stored_query
from profiles.xds_b import (
    iti18_registry_stored_query,
    iti41_provide_and_register,
    iti42_register_document_set,
    iti43_retrieve_document_set,
    iti61_register_on_demand_document_entry,
)
from tests.wire.ebxml.samples import ENTRY, SUBMISSION, registered
from tests.wire.ebxml.schemas import validate
from tests.wire.ebxml.test_retrieve import FIRST

MODULES = [
    iti18_registry_stored_query,
    iti41_provide_and_register,
    iti42_register_document_set,
    iti43_retrieve_document_set,
    iti51_multi_patient_stored_query,
    iti61_register_on_demand_document_entry,
]
QUERIES = [iti18_registry_stored_query, iti51_multi_patient_stored_query]
FIND = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
CONTENT = b"<ClinicalDocument/>" * 1000


def binding(module: Any) -> Any:
    return module.TRANSACTION.bindings[0]


def receive(module: Any, body: Any, directory: Path, parts: Iterable[Outgoing] = (), *, mtom: bool) -> SoapMessage:
    envelope = build_envelope(body, binding(module).action)
    if mtom:
        content_type, chunks = mtom_package(envelope, parts, binding(module).action)
        message = parse_request(content_type, chunks, spool_to(directory))
    else:
        message = parse_request(plain_type(binding(module).action), [serialise(envelope)], spool_to(directory))
    expect(message, binding(module).body)
    return message


def sent(response: SoapResponse, message: SoapMessage, directory: Path) -> SoapMessage:
    answer = render(response, message)
    assert answer.status == 200
    return parse_response(answer.media_type, answer.chunks(), spool_to(directory))


def provided(
    directory: Path, *, content_ids: dict[str, str] | None = None, parts: tuple[str, ...] = ("a",)
) -> SoapMessage:
    body = write_provided(SUBMISSION, {ENTRY.id: "a"} if content_ids is None else content_ids)
    validate(body)
    outgoing = [Outgoing(part, "text/xml", [CONTENT]) for part in parts]
    return receive(iti41_provide_and_register, body, directory, outgoing, mtom=True)


def test_the_catalogue_finds_them() -> None:
    catalogue = discover()
    for module in MODULES:
        bound = catalogue[module.TRANSACTION.id]
        assert bound.module == module.__name__
        assert bound.refuse is not None
        assert binding(module).response_action == f"{binding(module).action}Response"


@pytest.mark.parametrize("module", QUERIES, ids=lambda module: module.TRANSACTION.id)
def test_queries(tmp_path: Path, module: Any) -> None:
    context = Context()
    for leaf_class in (True, False):
        message = receive(module, write_query(FIND, {"$a": "b"}, leaf_class=leaf_class), tmp_path, mtom=False)
        decoded = module.decode(message, context)
        command = decoded.query if isinstance(decoded, MultiPatientQuery) else decoded
        assert (command.query_id, command.leaf_class) == (FIND, leaf_class)
        answer = sent(module.encode(QueryResult(registered()), message, context), message, tmp_path)
        validate(answer.body, "ebRS30/query.xsd")
        assert answer.body.get("status") == SUCCESS
        assert answer.action == binding(module).response_action
        kinds = {etree.QName(item).localname for item in answer.body[0]}
        assert kinds == ({"ExtrinsicObject", "RegistryPackage", "Association"} if leaf_class else {"ObjectRef"})
    assert [item.reference for item in context.touched] == [FIND]


def test_iti_42(tmp_path: Path) -> None:
    module = iti42_register_document_set
    message = receive(module, write_submission(SUBMISSION), tmp_path, mtom=False)
    assert module.decode(message, Context()) == RegisterDocuments(SUBMISSION)


def test_iti_61(tmp_path: Path) -> None:
    module = iti61_register_on_demand_document_entry
    message = receive(module, write_submission(SUBMISSION), tmp_path, mtom=False)
    assert module.decode(message, Context()) == RegisterOnDemand(SUBMISSION)


def test_iti_41(tmp_path: Path) -> None:
    module = iti41_provide_and_register
    message = provided(tmp_path)
    command = module.decode(message, Context())
    assert isinstance(command, ProvideDocuments)
    assert command.submission == SUBMISSION
    (content,) = command.contents
    assert (content.entry_id, content.size) == (ENTRY.id, len(CONTENT))
    assert content.sha1 == hashlib.sha1(CONTENT).hexdigest()
    assert content.path.read_bytes() == CONTENT
    assert CONTENT not in message.raw


@pytest.mark.parametrize(
    ("content_ids", "parts", "error"),
    [
        ({}, (), MissingDocument),
        ({}, ("a",), MissingDocument),
        ({ENTRY.id: "a", "other": "b"}, ("a", "b"), MissingDocumentMetadata),
        ({ENTRY.id: "a", "other": "a"}, ("a",), RepositoryMetadataError),
        ({ENTRY.id: "a", "": "b"}, ("a", "b"), RepositoryMetadataError),
    ],
)
def test_iti_41_pairs_documents_and_entries(
    tmp_path: Path, content_ids: dict[str, str], parts: tuple[str, ...], error: type[Exception]
) -> None:
    message = provided(tmp_path, content_ids=content_ids, parts=parts)
    with pytest.raises(error):
        iti41_provide_and_register.decode(message, Context())
    message.discard()
    assert list(tmp_path.iterdir()) == []


def test_iti_41_must_be_a_package_with_a_submission(tmp_path: Path) -> None:
    module = iti41_provide_and_register
    body = write_provided(SUBMISSION, {})
    with pytest.raises(MtomRequired):
        module.decode(receive(module, body, tmp_path, mtom=False), Context())
    body = write_provided(SUBMISSION, {})
    body.remove(body.find(lcm("SubmitObjectsRequest")))
    with pytest.raises(RepositoryMetadataError):
        module.decode(receive(module, body, tmp_path, mtom=True), Context())


@pytest.mark.parametrize(
    "module", [iti41_provide_and_register, iti42_register_document_set, iti61_register_on_demand_document_entry]
)
@pytest.mark.parametrize(
    ("outcome", "count"),
    [(None, 0), (Registered(SUBMISSION), 0), (Registered(SUBMISSION, ("A slot was not stored.",)), 1)],
)
def test_a_registration_is_answered(tmp_path: Path, module: Any, outcome: Registered | None, count: int) -> None:
    message = SoapMessage("urn:x", etree.Element("a"), mtom=binding(module).mtom)
    answer = sent(module.encode(outcome, message, Context()), message, tmp_path)
    validate(answer.body, "ebRS30/rs.xsd")
    assert answer.body.get("status") == SUCCESS
    assert answer.mtom is binding(module).mtom
    assert [item.get("errorCode") for item in answer.body.iter("{*}RegistryError")] == [
        "XDSExtraMetadataNotSaved"
    ] * count


def test_iti_43(tmp_path: Path) -> None:
    module = iti43_retrieve_document_set
    message = receive(module, write_retrieve([FIRST]), tmp_path, mtom=True)
    assert module.decode(message, Context()).requests == (FIRST,)
    answer = sent(module.encode(RetrievedDocuments(()), message, Context()), message, tmp_path)
    assert answer.body.tag == xdsb("RetrieveDocumentSetResponse")


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.TRANSACTION.id)
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnknownPatientId(location="patientId"), "XDSUnknownPatientId"),
        (RegistryMetadataError("title is too long."), "XDSRegistryMetadataError"),
    ],
)
def test_refusals(tmp_path: Path, module: Any, error: Any, code: str) -> None:
    message = SoapMessage("urn:x", etree.Element("a"), message_id="urn:uuid:1", mtom=binding(module).mtom)
    answer = sent(module.refuse(error, message, Context()), message, tmp_path)
    validate(answer.body, "ebRS30/query.xsd" if module in QUERIES else "IHE/IHEXDSB.xsd")
    (row,) = answer.body.iter("{*}RegistryError")
    assert row.get("errorCode") == code
    assert answer.relates_to == "urn:uuid:1"
    status = next(item.get("status") for item in answer.body.iter() if item.get("status"))
    assert status == FAILURE
