"""RAD-69 from the request's XML to the answer's, with the imaging room and real files."""

from lxml import etree

from hub.context import Context
from hub.imaging.model import InstanceRequest, PublishStudy
from hub.pipeline.catalogue import discover
from hub.values import PatientIdentifier
from hub.wire.ebxml.imaging import write_imaging_retrieve
from hub.wire.pieces import plain
from hub.wire.soap.message import SoapMessage
from profiles.xds_i_b import rad69_retrieve_imaging_document_set as rad69
from tests.imaging.archive import STUDY, A, B, part10, study_files
from tests.imaging.conftest import Room
from tests.imaging.conftest import room as room  # noqa: PLC0414 - a fixture

EXPLICIT, RLE, J2K = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.91"


def ask(room: Room, repository: str, *syntaxes: str, home: str = "") -> tuple[str, list[bytes], list[tuple[str, str]]]:
    """The status, the documents, and (code, location) of each error."""
    wanted = [
        InstanceRequest(STUDY, f"{STUDY}.{number}", f"{STUDY}.{number}.1", repository_unique_id=repository, home=home)
        for number in range(1, 6)
    ]
    message = SoapMessage("urn:x", write_imaging_retrieve(wanted, syntaxes), mtom=True)
    command = rad69.decode(message, Context())
    answer = rad69.encode(room.service.retrieve(command, Context()), message, Context())
    documents = [b"".join(plain(part.chunks)) for part in answer.attachments]
    assert answer.body is not None
    status = str(answer.body.xpath("string(//@status)")).rpartition(":")[2]
    errors = [(row.get("errorCode", ""), row.get("location", "")) for row in answer.body.iter("{*}RegistryError")]
    assert etree.QName(answer.body).localname == "RetrieveDocumentSetResponse"
    return status, documents, errors


def publish(room: Room) -> None:
    room.patients.add("R1", PatientIdentifier("A-1", A.authority_oid))
    room.a.datasets = study_files()
    room.service.publish_study(PublishStudy("PACS_A", STUDY), Context())


def test_it_is_a_transaction() -> None:
    assert discover()["RAD-69"].transaction.bindings[0].wire == "soap"


def test_all_as_stored(room: Room) -> None:
    publish(room)
    status, documents, errors = ask(room, A.repository_unique_id, EXPLICIT, RLE, J2K)
    assert (status, errors) == ("Success", [])
    assert documents == [part10(ds) for ds in study_files()]


def test_what_has_no_acceptable_transfer_syntax_fails_alone(room: Room) -> None:
    publish(room)
    status, documents, errors = ask(room, A.repository_unique_id, RLE)
    assert (status, len(documents)) == ("PartialSuccess", 1)
    assert {code for code, _ in errors} == {"urn:dicom:wado:0007"}
    assert {location for _, location in errors} == {f"{STUDY}.{number}.1" for number in (1, 2, 4, 5)}


def test_another_sources_oid(room: Room) -> None:
    publish(room)
    status, documents, errors = ask(room, B.repository_unique_id, EXPLICIT)
    assert (status, documents) == ("Failure", [])
    assert {code for code, _ in errors} == {"XDSDocumentUniqueIdError"}


def test_an_unknown_oid(room: Room) -> None:
    publish(room)
    status, _, errors = ask(room, "1.2.3", EXPLICIT)
    assert status == "Failure"
    assert {code for code, _ in errors} == {"XDSUnknownRepositoryId"}


def test_another_community(room: Room) -> None:
    publish(room)
    room.service.retriever.planner.home = "urn:oid:1.2.250.1.999.1.3"
    status, documents, errors = ask(room, A.repository_unique_id, EXPLICIT, home="urn:oid:1.2.3")
    assert (status, documents, len(errors)) == ("Failure", [], 5)
    assert {code for code, _ in errors} == {"XDSUnknownCommunity"}
    status, _, _ = ask(room, A.repository_unique_id, EXPLICIT, RLE, J2K, home="urn:oid:1.2.250.1.999.1.3")
    assert status == "Success"
