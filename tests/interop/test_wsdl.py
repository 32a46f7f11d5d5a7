"""The hub's own WSDLs, as zeep reads them: every endpoint is described, and can be called by its description."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import zeep
from lxml import etree
from pymtom_xop import MtomTransport
from zeep.transports import Transport

from hub.testing.sandbox import SandboxProcess
from hub.wire.soap.wsdl import MTOM, POLICY, WSDL
from tests.interop.by_hand import FIND_DOCUMENTS, XDSB, Entry, Integrator, Set
from tests.interop.by_hand import query as written

pytestmark = pytest.mark.interop
SUCCESS = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"
SOAP12 = "{http://schemas.xmlsoap.org/wsdl/soap12/}"
ENDPOINTS = (
    "xds_registry", "xds_repository", "xds_imaging", "xca_responding", "xca_initiating", "xcpd_responding",
    "pixv3", "pdqv3",
)  # fmt: skip
APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"


@pytest.fixture(scope="module")
def system() -> Iterator[Integrator]:
    with SandboxProcess("--open") as box, Integrator(box) as running:
        yield running


def client(system: Integrator, endpoint: str, transport: Transport | None = None) -> zeep.Client:
    settings = zeep.Settings(strict=True, raw_response=True)
    given = transport or Transport(timeout=30, operation_timeout=30)
    return zeep.Client(f"{system.box[endpoint]}?wsdl", settings=settings, transport=given)


def operations(described: zeep.Client) -> set[str]:
    return {name for binding in described.wsdl.bindings.values() for name in binding.all()}


def envelope(answer: Any) -> etree._Element:
    """What zeep was answered, a package's root part too."""
    content = answer.content
    if answer.headers["content-type"].startswith("multipart/"):
        start = content.index(b"<soap:Envelope")
        content = content[start : content.index(b"</soap:Envelope>") + len(b"</soap:Envelope>")]
    return etree.fromstring(content)


def children(xml: str) -> tuple[list[Any], dict[str, str]]:
    root = etree.fromstring(xml)
    return list(root), {str(name): str(value) for name, value in root.attrib.items()}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_every_endpoint_is_described(system: Integrator, endpoint: str) -> None:
    described = client(system, endpoint)
    (service,) = described.wsdl.services.values()
    for port in service.ports.values():
        assert port.binding_options["address"] == system.box[endpoint]
    assert operations(described)
    for asked in ("?WSDL", "?wsdl", ""):
        told = httpx.get(f"{system.box[endpoint]}{asked}")
        assert (told.status_code, told.headers["content-type"]) == (200, "text/xml; charset=utf-8")
        assert etree.fromstring(told.content).tag == f"{{{WSDL}}}definitions"


def test_operations_have_the_names_of_the_standard(system: Integrator) -> None:
    assert {"DocumentRegistry_RegistryStoredQuery", "DocumentRegistry_RegisterDocumentSet-b"} <= operations(
        client(system, "xds_registry")
    )
    assert {
        "DocumentRepository_RetrieveDocumentSet",
        "DocumentRepository_ProvideAndRegisterDocumentSet-b",
    } <= operations(client(system, "xds_repository"))
    assert {"RespondingGateway_CrossGatewayQuery", "RespondingGateway_CrossGatewayRetrieve"} <= operations(
        client(system, "xca_responding")
    )
    assert "RespondingGateway_PRPA_IN201305UV02" in operations(client(system, "xcpd_responding"))


def test_what_needs_a_package_says_so(system: Integrator) -> None:
    root = etree.fromstring(httpx.get(f"{system.box['xds_repository']}?wsdl").content)
    optional = {}
    for policy in root.iter(f"{{{POLICY}}}Policy"):
        for assertion in policy.iter(f"{{{MTOM}}}OptimizedMimeSerialization"):
            identifier = next(value for name, value in policy.attrib.items() if str(name).endswith("}Id"))
            optional["#" + str(identifier)] = assertion.get(f"{{{POLICY}}}Optional") == "true"
    found = {}
    for binding in root.iter(f"{{{WSDL}}}binding"):
        reference = binding.find(f"{{{POLICY}}}PolicyReference")
        assert reference is not None
        for operation in binding.iter(f"{{{WSDL}}}operation"):
            found[operation.get("name")] = optional[str(reference.get("URI"))]
    assert found["DocumentRepository_ProvideAndRegisterDocumentSet-b"] is False
    assert found["DocumentRepository_RetrieveDocumentSet"] is True


def test_the_registry_is_queried_by_its_description(system: Integrator) -> None:
    patient = system.announce("WSDL1", system.box["affinity_domain"])
    entry = Entry(patient=patient, content=b"found by description")
    assert system.provide([entry], Set(patient=patient)).outcome == "Success"
    asked = {"XDSDocumentEntryPatientId": f"'{patient}'", "XDSDocumentEntryStatus": f"('{APPROVED}')"}
    elements, attributes = children(written(FIND_DOCUMENTS, asked))
    answer = envelope(
        client(system, "xds_registry").service.DocumentRegistry_RegistryStoredQuery(
            _value_1=elements, _attr_1=attributes
        )
    )
    (body,) = answer.iter("{*}AdhocQueryResponse")
    assert body.get("status") == SUCCESS
    assert [item.get("mimeType") for item in body.iter("{*}ExtrinsicObject")] == ["text/plain"]

    request = (
        f'<r xmlns:x="{XDSB}"><x:DocumentRequest><x:RepositoryUniqueId>{system.box["repository_unique_id"]}'
        f"</x:RepositoryUniqueId><x:DocumentUniqueId>{entry.uid}</x:DocumentUniqueId></x:DocumentRequest></r>"
    )
    for transport in (None, MtomTransport(timeout=30, operation_timeout=30)):
        described = client(system, "xds_repository", transport)
        service = described.bind("XdsRepository_Service", "XdsRepository_Port_Soap12")
        answer = envelope(service.DocumentRepository_RetrieveDocumentSet(_value_1=children(request)[0]))
        assert answer.findtext(".//{*}DocumentUniqueId") == entry.uid
