"""zeep with the public WSDLs against a running hub; our own client plays the document source."""

import hashlib
import socket
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import zeep
from pymtom_xop import MtomTransport
from zeep.transports import Transport

from hub.documents.model import DocumentEntry, Submission, SubmissionSet
from hub.patients.model import Traits
from hub.testing.hl7 import Patient, Sender, adt, local
from hub.testing.sandbox import SandboxProcess
from hub.values import PatientIdentifier, new_uid
from hub.wire.ebxml.names import SUCCESS, rim
from hub.wire.ebxml.reading import read_objects
from hub.wire.ebxml.submissions import write_provided
from hub.wire.hl7v2.mllp import frame
from hub.wire.soap.client import SoapClient, SoapFault, spool_to
from hub.wire.soap.message import Outgoing
from tests.wire.ebxml.samples import ENTRY, MEMBER, SET
from tests.wire.ebxml.schemas import wsdl_directory

pytestmark = pytest.mark.interop
FIND_DOCUMENTS = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
PROVIDE = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
CONTENT = "<ClinicalDocument>élève</ClinicalDocument>".encode() * 5000


@pytest.fixture(scope="module")
def box() -> Iterator[SandboxProcess]:
    wsdl_directory()
    with SandboxProcess("--open") as running:
        yield running


@pytest.fixture(scope="module")
def patient(box: SandboxProcess) -> PatientIdentifier:
    """A patient that the affinity domain's own feed announced."""
    known = PatientIdentifier(f"P{uuid.uuid4().hex[:12]}", box["affinity_domain"])
    traits = Traits("LÉGER", "ZOÉ", birth_date="19790328", sex="F")
    message = adt(Sender(), Patient(identifier=local(known.value, "", known.authority), traits=traits), "A04")
    host, port = box["mllp"].split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(frame(message))
        assert b"MSA|AA" in connection.recv(65536)
    return known


@pytest.fixture(scope="module")
def submission(patient: PatientIdentifier) -> Submission:
    entry = replace(ENTRY, patient_id=patient, unique_id=new_uid(), hash="", size=None, repository_unique_id="")
    kept = SubmissionSet(
        id=SET.id,
        unique_id=new_uid(),
        source_id=SET.source_id,
        patient_id=patient,
        submission_time=SET.submission_time,
        content_type_code=SET.content_type_code,
        authors=SET.authors,
    )
    return Submission(kept, (entry,), (), (replace(MEMBER, previous_version=None),))


@pytest.fixture(scope="module")
def entry(box: SandboxProcess, submission: Submission, tmp_path_factory: pytest.TempPathFactory) -> DocumentEntry:
    """A document that the hub holds."""
    with SoapClient(httpx.Client(timeout=30), spool_to(tmp_path_factory.mktemp("spool"))) as client:
        body = write_provided(submission, {ENTRY.id: "document@source"})
        part = Outgoing("document@source", "text/xml", [CONTENT[:1000], CONTENT[1000:]])
        answer = client.call(box["xds_repository"], PROVIDE, body, (part,))
    assert answer.mtom
    assert answer.body.get("status") == SUCCESS, [dict(row.attrib) for row in answer.body.iter("{*}RegistryError")]
    return submission.entries[0]


def service(wsdl: str, address: str, transport: Transport | None = None) -> tuple[zeep.Client, Any]:
    client = zeep.Client(
        str(wsdl_directory() / wsdl),
        transport=transport or Transport(timeout=30, operation_timeout=30),
        # zeep knows no substitution groups: registry objects come as raw elements.
        settings=zeep.Settings(strict=False),
    )
    (binding,) = client.wsdl.bindings
    return client, client.create_service(binding, address)


def find(box: SandboxProcess, return_type: str, **parameters: str) -> Any:
    _, registry = service("iti18.wsdl", box["xds_registry"])
    slots = [{"name": f"${name}", "ValueList": {"_value_1": [{"Value": text}]}} for name, text in parameters.items()]
    return registry.DocumentRegistry_RegistryStoredQuery(
        ResponseOption={"returnType": return_type, "returnComposedObjects": True},
        AdhocQuery={"id": FIND_DOCUMENTS, "Slot": slots},
    )


def criteria(patient: PatientIdentifier) -> dict[str, str]:
    return {
        "XDSDocumentEntryPatientId": f"'{patient.cx}'",
        "XDSDocumentEntryStatus": "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')",
        "XDSDocumentEntryClassCode": f"('{ENTRY.class_code.key if ENTRY.class_code else ''}')",
    }


def test_iti_18_full_metadata(box: SandboxProcess, patient: PatientIdentifier, entry: DocumentEntry) -> None:
    answer = find(box, "LeafClass", **criteria(patient))
    assert answer.status == SUCCESS
    assert answer.RegistryErrorList is None
    (found,) = answer.RegistryObjectList["_raw_elements"]
    assert read_objects(found.getparent()) == (
        replace(
            entry,
            id=found.get("id"),
            logical_id=found.get("id"),
            hash=hashlib.sha1(CONTENT).hexdigest(),
            size=len(CONTENT),
            repository_unique_id=box["repository_unique_id"],
            home=f"urn:oid:{box['home_community_id']}",
        ),
    )


def test_iti_18_references(box: SandboxProcess, patient: PatientIdentifier, entry: DocumentEntry) -> None:
    answer = find(box, "ObjectRef", **criteria(patient))
    (row,) = answer.RegistryObjectList["_raw_elements"]
    assert row.tag == rim("ObjectRef")
    assert row.get("id").startswith("urn:uuid:")


def test_iti_18_refusals_carry_the_code(box: SandboxProcess, patient: PatientIdentifier) -> None:
    asked = criteria(patient)
    del asked["XDSDocumentEntryStatus"]
    answer = find(box, "LeafClass", **asked)
    assert answer.status.endswith(":Failure")
    assert [row.errorCode for row in answer.RegistryErrorList.RegistryError] == ["XDSStoredQueryMissingParam"]


def retrieve(box: SandboxProcess, unique_id: str, transport: Transport | None = None) -> Any:
    _, repository = service("iti43.wsdl", box["xds_repository"], transport)
    return repository.DocumentRepository_RetrieveDocumentSet(
        DocumentRequest=[{"RepositoryUniqueId": box["repository_unique_id"], "DocumentUniqueId": unique_id}]
    )


def test_iti_43_plain(box: SandboxProcess, entry: DocumentEntry) -> None:
    answer = retrieve(box, entry.unique_id)
    assert answer.RegistryResponse.status == SUCCESS
    (document,) = [row["DocumentResponse"] for row in rows(answer)]
    assert (document["DocumentUniqueId"], document["mimeType"]) == (entry.unique_id, "text/xml")
    assert document["Document"] == CONTENT


def rows(answer: Any) -> list[Any]:
    """zeep gives an unnamed sequence of groups as ``_value_1``, or the repeated element itself."""
    value = getattr(answer, "_value_1", None)
    if value is None:
        return [{"DocumentResponse": item} for item in answer.DocumentResponse]
    return list(value)


def test_iti_43_as_a_package(box: SandboxProcess, entry: DocumentEntry) -> None:
    answer = retrieve(box, entry.unique_id, MtomTransport(timeout=30, operation_timeout=30))
    pack = answer if hasattr(answer, "RegistryResponse") else answer.root
    assert pack.RegistryResponse.status == SUCCESS


def test_iti_43_says_what_is_not_here(box: SandboxProcess) -> None:
    answer = retrieve(box, "1.2.3.4.5.6")
    assert answer.RegistryResponse.status.endswith(":Failure")
    (row,) = answer.RegistryResponse.RegistryErrorList.RegistryError
    assert (row.errorCode, row.location) == ("XDSDocumentUniqueIdError", "1.2.3.4.5.6")


def test_an_unknown_patient_is_refused_and_nothing_is_stored(
    box: SandboxProcess, submission: Submission, tmp_path: Path
) -> None:
    stranger = PatientIdentifier("nobody", box["affinity_domain"])
    kept = replace(submission.submission_set, patient_id=stranger, unique_id=new_uid())
    unknown = replace(submission.entries[0], patient_id=stranger, unique_id=new_uid())
    refused = replace(submission, submission_set=kept, entries=(unknown,))
    with SoapClient(httpx.Client(timeout=30), spool_to(tmp_path)) as client:
        body = write_provided(refused, {ENTRY.id: "a"})
        answer = client.call(box["xds_repository"], PROVIDE, body, (Outgoing("a", "text/xml", [b"<a/>"]),))
    assert [row.get("errorCode") for row in answer.body.iter("{*}RegistryError")] == ["XDSUnknownPatientId"]
    answer = retrieve(box, unknown.unique_id)
    assert [row.errorCode for row in answer.RegistryResponse.RegistryErrorList.RegistryError] == [
        "XDSDocumentUniqueIdError"
    ]


def test_faults_reach_the_client(box: SandboxProcess, tmp_path: Path) -> None:
    with SoapClient(httpx.Client(timeout=30), spool_to(tmp_path)) as client:
        with pytest.raises(SoapFault) as caught:
            client.call(box["xds_repository"], "urn:x:Nothing", write_provided(Submission(SET), {}), mtom=True)
        assert (caught.value.fault_code, caught.value.subcode) == ("Sender", "ActionNotSupported")
        with pytest.raises(SoapFault) as caught:
            client.call(box["xds_repository"], PROVIDE, write_provided(Submission(SET), {}))
        assert caught.value.fault_code == "Sender"


@pytest.mark.parametrize(
    "data", [b"<a>" * 3_000_000, b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', b"not xml", b"", b"<a/>"]
)
def test_hostile_xml_gets_a_fault(box: SandboxProcess, data: bytes) -> None:
    answer = httpx.post(box["xds_registry"], content=data, headers={"Content-Type": "application/soap+xml"}, timeout=30)
    assert answer.status_code == 400
    assert "Fault" in answer.text
