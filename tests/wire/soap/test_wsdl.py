"""WSDLs of operations: names, actions, elements, policies; and of everything that the hub offers."""

import pytest
from lxml import etree

from hub.pipeline.catalogue import discover
from hub.pipeline.transaction import Soap
from hub.wire.ebxml.names import query, rs, xdsb
from hub.wire.hl7v3.names import v3
from hub.wire.soap.wsdl import POLICY, SOAP12, TARGET, WSAM, WSDL, XSD, Operation, write_wsdl

NAMES = {"w": WSDL, "s": SOAP12, "x": XSD, "p": POLICY}
ASK = Operation("Document Registry", "urn:ihe:iti:2007:RegistryStoredQuery", "urn:answer", query("AdhocQueryRequest"))
GIVE = Operation(
    "Document Repository",
    "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b",
    "urn:given",
    xdsb("ProvideAndRegisterDocumentSetRequest"),
    mtom=True,
)
TELL = Operation("Recipient", "urn:tell", "", "{urn:x}Notify")


def test_names_and_answers() -> None:
    assert (ASK.name, ASK.answer) == ("DocumentRegistry_RegistryStoredQuery", query("AdhocQueryResponse"))
    assert (GIVE.name, GIVE.answer) == (
        "DocumentRepository_ProvideAndRegisterDocumentSet-b",
        rs("RegistryResponse"),
    )
    found = Operation(
        "Responding Gateway", "urn:hl7-org:v3:X:CrossGatewayPatientDiscovery", "u", v3("PRPA_IN201305UV02")
    )
    assert (found.name, found.answer) == ("RespondingGateway_PRPA_IN201305UV02", v3("PRPA_IN201306UV02"))


def test_a_document_holds_together() -> None:
    root = etree.fromstring(write_wsdl("xds/both", "http://127.0.0.1/xds/both", [ASK, GIVE, TELL]))
    assert root.get("targetNamespace") == TARGET
    messages = {f"tns:{item.get('name')}" for item in root.findall("w:message", NAMES)}
    used = {item.get("message") for item in root.iterfind("w:portType/w:operation/*[@message]", NAMES)}
    assert used == messages
    types = {f"tns:{item.get('name')}" for item in root.findall("w:portType", NAMES)}
    assert {item.get("type") for item in root.findall("w:binding", NAMES)} == types
    bindings = {f"tns:{item.get('name')}" for item in root.findall("w:binding", NAMES)}
    assert {item.get("binding") for item in root.iterfind("w:service/w:port", NAMES)} == bindings
    assert len(bindings) == 2, "what needs MTOM has a binding of its own"
    policies = {f"#{value}" for item in root.findall("p:Policy", NAMES) for value in map(str, item.attrib.values())}
    assert {item.get("URI") for item in root.iter(f"{{{POLICY}}}PolicyReference")} == policies
    declared = {
        f"{{{schema.get('targetNamespace')}}}{element.get('name')}"
        for schema in root.iterfind("w:types/x:schema", NAMES)
        for element in schema.findall("x:element", NAMES)
    }
    assert declared == {ASK.body, ASK.answer, GIVE.body, GIVE.answer, TELL.body}
    tell = root.find("w:portType/w:operation[@name='Recipient_tell']", NAMES)
    assert tell is not None
    assert [item.tag for item in tell] == [f"{{{WSDL}}}input"]
    actions = {item.get(f"{{{WSAM}}}Action") for item in root.iterfind("w:portType/w:operation/w:input", NAMES)}
    assert actions == {ASK.action, GIVE.action, TELL.action}


PATHS = sorted({binding.path for binding, _ in discover().bindings(Soap)})


@pytest.mark.parametrize("path", PATHS)
def test_every_endpoint_has_operations_with_names_of_their_own(path: str) -> None:
    every = [
        Operation(bound.transaction.responder, binding.action, binding.response_action, binding.body, binding.mtom)
        for binding, bound in discover().bindings(Soap)
        if binding.path == path
    ]
    names = [item.name for item in every]
    assert len(set(names)) == len(names)
    root = etree.fromstring(write_wsdl(path, f"http://127.0.0.1{path}", every))
    assert {item.get("name") for item in root.iterfind("w:binding/w:operation", NAMES)} == set(names)
