"""RAD-69 on the wire, written by hand: what a request may say, which error each mistake has, and a foreign manifest."""

import io
from collections.abc import Iterator

import pytest
from pydicom import dcmread

from hub.imaging.manifest import build_manifest, read_manifest
from hub.imaging.manifest_model import ManifestSpec
from hub.imaging.model import SourceInfo
from hub.values import PatientIdentifier, now
from hub.wire.dicom import DatasetReader, study_of_instances
from tests.app.test_hub_archive import PATIENT
from tests.app.test_rejected import REPOSITORY, Places
from tests.app.test_rejected import places as places  # noqa: PLC0414 - a fixture
from tests.imaging.archive import STUDY, part10, study_files
from tests.interop.by_hand import XDSB, Answer, Entry, Integrator, Set, oid

pytestmark = pytest.mark.interop
RAD = "urn:ihe:rad:xdsi-b:2009"
ACTION = "urn:ihe:rad:2009:RetrieveImagingDocumentSet"
EXPLICIT, IMPLICIT, RLE, JPEG = (
    "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50",
)  # fmt: skip
ONE, TWO, THREE = (f"{STUDY}.{number}.1" for number in (1, 2, 3))


def document(sop: str, repository: str = REPOSITORY) -> str:
    return (
        f"<x:DocumentRequest><x:RepositoryUniqueId>{repository}</x:RepositoryUniqueId>"
        f"<x:DocumentUniqueId>{sop}</x:DocumentUniqueId></x:DocumentRequest>"
    )


def series(number: int, *documents: str, study: str = STUDY) -> str:
    inner = "".join(documents or (document(f"{STUDY}.{number}.1"),))
    return f'<SeriesRequest seriesInstanceUID="{study}.{number}">{inner}</SeriesRequest>'


def request(*rows: str, study: str = STUDY, syntaxes: tuple[str, ...] = (EXPLICIT,)) -> str:
    listed = "".join(f"<TransferSyntaxUID>{item}</TransferSyntaxUID>" for item in syntaxes)
    return (
        f'<RetrieveImagingDocumentSetRequest xmlns="{RAD}" xmlns:x="{XDSB}">'
        f'<StudyRequest studyInstanceUID="{study}">{"".join(rows)}</StudyRequest>'
        f"<TransferSyntaxUIDList>{listed}</TransferSyntaxUIDList></RetrieveImagingDocumentSetRequest>"
    )


ALL = request(series(1), series(2), series(3))


@pytest.fixture
def consumer(places: Places) -> Iterator[Integrator]:
    url = places.hub.public_url()
    box = {"xds_registry": f"{url}/xds/registry", "xds_repository": f"{url}/xds/repository",
           "imaging": f"{url}/xds/imaging", "fhir": f"{url}/fhir"}  # fmt: skip
    with Integrator(box) as made:
        yield made


def ask(consumer: Integrator, body: str) -> Answer:
    return consumer.call("imaging", ACTION, body, {})


def test_what_may_be_asked_for(consumer: Integrator, places: Places) -> None:
    stored = {ds.SOPInstanceUID: part10(ds) for ds in places.images}
    in_the_other_namespace, spaced = ALL.replace("x:", ""), ALL.replace(f'"{STUDY}"', f'" {STUDY} "')
    for body in (ALL, in_the_other_namespace, spaced):
        answer = ask(consumer, body)
        assert (answer.outcome, answer.errors) == ("Success", [])
        assert answer.documents() == stored
    assert {item.findtext(f"{{{XDSB}}}mimeType") for item in answer.body.iterfind(f"{{{XDSB}}}DocumentResponse")} == {
        "application/dicom"
    }


def test_transfer_syntaxes(consumer: Integrator, places: Places) -> None:
    [rle] = study_files(patient="PA-1", names=("MR_small_RLE.dcm",))
    rle.SeriesInstanceUID, rle.SOPInstanceUID = f"{STUDY}.9", f"{STUDY}.9.1"
    rle.file_meta.MediaStorageSOPInstanceUID = rle.SOPInstanceUID
    places.source.archive.put(part10(rle))
    for syntaxes, given in (
        ((RLE,), RLE),  # as stored
        ((JPEG, RLE), RLE),  # the first one can't be had, the second can
        ((JPEG, EXPLICIT), EXPLICIT),  # decompressed
        ((IMPLICIT,), IMPLICIT),
    ):
        answer = ask(consumer, request(series(9), syntaxes=syntaxes))
        assert (answer.outcome, answer.errors) == ("Success", [])
        [content] = answer.documents().values()
        assert dcmread(io.BytesIO(content)).file_meta.TransferSyntaxUID == given
    answer = ask(consumer, request(series(9), syntaxes=(JPEG,)))
    assert (answer.outcome, answer.errors, answer.locations) == ("Failure", ["urn:dicom:wado:0007"], [f"{STUDY}.9.1"])
    answer = ask(consumer, request(series(1), series(9), syntaxes=(RLE,)))
    assert (answer.outcome, answer.errors, answer.locations) == ("PartialSuccess", ["urn:dicom:wado:0007"], [ONE])
    assert list(answer.documents()) == [f"{STUDY}.9.1"]


WRONG: dict[str, tuple[str, str, list[str], list[str]]] = {
    "another repository": (
        request(series(1, document(ONE, "1.2.3"))), "Failure", ["XDSUnknownRepositoryId"], [ONE],
    ),
    "one of two repositories": (
        request(series(1), series(2, document(TWO, "1.2.3"))), "PartialSuccess", ["XDSUnknownRepositoryId"], [TWO],
    ),
    "an unknown instance": (
        request(series(1, document("1.2.3.4"))), "Failure", ["XDSDocumentUniqueIdError"], ["1.2.3.4"],
    ),
    "one of three instances": (
        request(series(1), series(2), series(3, document("1.2.3.4"))),
        "PartialSuccess", ["XDSDocumentUniqueIdError"], ["1.2.3.4"],
    ),
    "an instance of another series": (
        request(series(1, document(TWO))), "Failure", ["XDSDocumentUniqueIdError"], [TWO],
    ),
    "an instance of another study": (
        request(series(1), study="1.2.3.4.5"), "Failure", ["XDSDocumentUniqueIdError"], [ONE],
    ),
    "no study": (ALL.replace(f'studyInstanceUID="{STUDY}"', ""), "Failure", ["XDSIRequestError"], ["studyInstanceUID"]),
    "a blank study": (request(series(1), study=""), "Failure", ["XDSIRequestError"], ["studyInstanceUID"]),
    "no UID as study": (request(series(1), study="1.2.x"), "Failure", ["XDSIRequestError"], ["studyInstanceUID"]),
    "a blank series": (
        ALL.replace(f'"{STUDY}.2"', '""'), "Failure", ["XDSIRequestError"], ["seriesInstanceUID"],
    ),
    "a study without series": (request(), "Failure", ["XDSIRequestError"], ["SeriesRequest"]),
    "a series without documents": (request(series(1, " ")), "Failure", ["XDSIRequestError"], ["DocumentRequest"]),
    "a blank document": (request(series(1, document(""))), "Failure", ["XDSIRequestError"], ["DocumentUniqueId"]),
    "a blank repository": (
        request(series(1, document(ONE, " "))), "Failure", ["XDSIRequestError"], ["RepositoryUniqueId"],
    ),
    "no repository": (
        ALL.replace(f"<x:RepositoryUniqueId>{REPOSITORY}</x:RepositoryUniqueId>", "", 1),
        "Failure", ["XDSIRequestError"], ["RepositoryUniqueId"],
    ),
    "a document twice in one": (
        ALL.replace("</x:DocumentRequest>", "<x:DocumentUniqueId>1.2</x:DocumentUniqueId></x:DocumentRequest>", 1),
        "Failure", ["XDSIRequestError"], ["DocumentUniqueId"],
    ),
    "no transfer syntax": (request(series(1), syntaxes=()), "Failure", ["XDSIRequestError"], ["TransferSyntaxUID"]),
    "a blank transfer syntax": (
        request(series(1), syntaxes=(EXPLICIT, "")), "Failure", ["XDSIRequestError"], ["TransferSyntaxUID"],
    ),
    "no list of transfer syntaxes": (
        ALL.replace("TransferSyntaxUIDList", "List"),
        "Failure", ["XDSIRequestError"], ["TransferSyntaxUID"],
    ),
    "nothing": (
        f'<RetrieveImagingDocumentSetRequest xmlns="{RAD}"/>', "Failure", ["XDSIRequestError"], ["StudyRequest"],
    ),
}  # fmt: skip


def test_every_mistake_has_its_error(consumer: Integrator) -> None:
    found = {}
    for name, (body, *_) in WRONG.items():
        answer = ask(consumer, body)
        found[name] = (answer.outcome, answer.errors, answer.locations)
    assert found == {name: tuple(expected) for name, (_, *expected) in WRONG.items()}


def test_a_foreign_manifest_and_its_images(consumer: Integrator, places: Places) -> None:
    """RAD-68: an imaging source submits its own manifest; whoever reads it fetches the images through the hub."""
    regional = places.hub.patients.resolve(PATIENT.identifier)
    assert regional is not None
    study = study_of_instances(map(DatasetReader, places.images), "FOREIGN")
    assert study is not None
    there = SourceInfo("FOREIGN", "Another source", "1.2.250.1.999.9", REPOSITORY, 1.0, ae_title="FOREIGN")
    spec = ManifestSpec(
        study=study, source=there, sop_instance_uid=oid(), series_instance_uid=oid(), created=now(),
        patient=PatientIdentifier("PA-1", "1.2.250.1.999.71"),
    )  # fmt: skip
    kos = Entry(
        patient=regional.cx, uid=spec.sop_instance_uid, content=build_manifest(spec), mime_type="application/dicom",
        codes={"formatCode": "1.2.840.10008.5.1.4.1.1.88.59"},
    )  # fmt: skip
    assert consumer.provide([kos], Set(patient=regional.cx)).outcome == "Success"
    repository = places.hub.settings.region.repository_unique_id
    manifest = read_manifest(consumer.retrieve((repository, kos.uid)).documents()[kos.uid])
    rows = [
        f'<SeriesRequest seriesInstanceUID="{item.series_instance_uid}">'
        + "".join(document(sop, item.retrieve_location_uid) for _, sop in item.instances)
        + "</SeriesRequest>"
        for item in manifest.series
    ]
    answer = ask(consumer, request(*rows, study=manifest.study_instance_uid))
    assert (answer.outcome, answer.errors) == ("Success", [])
    assert answer.documents() == {ds.SOPInstanceUID: part10(ds) for ds in places.images}


def test_a_community_that_is_not_this_one(consumer: Integrator) -> None:
    home = "<x:HomeCommunityId>urn:oid:1.2.3</x:HomeCommunityId>"
    named = document(ONE).replace("<x:RepositoryUniqueId>", f"{home}<x:RepositoryUniqueId>")
    answer = ask(consumer, request(series(1, named), series(2)))
    assert answer.outcome == "PartialSuccess"
    assert list(answer.documents()) == [TWO]
    assert answer.errors == ["XDSUnknownCommunity"]
