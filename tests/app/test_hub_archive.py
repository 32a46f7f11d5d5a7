"""What is sent to the hub's DICOM port: indexed, shared when it is stable, given back byte by byte by every wire."""

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread

from hub.access.model import HUB
from hub.app.dimse.store import ObjectStore
from hub.app.settings.model import (
    Archive,
    Authority,
    DimsePort,
    HealthPort,
    Mllp,
    Security,
    Settings,
    Source,
    Storage,
    Web,
)
from hub.app.wiring import Hub
from hub.audit.model import AuditOutcome, AuditSearch
from hub.connector.contract import Deliverer
from hub.context import Context
from hub.imaging.archive import studies_of
from hub.imaging.errors import UnknownStudy
from hub.imaging.kept import Arrival, KeptObjects
from hub.imaging.model import FindStudies, IndexedStudy, Study, StudyArrived, StudyState
from hub.patients.model import Traits
from hub.testing import hl7
from hub.testing.dicom import COMPRESSED, PLAIN, Label, relabelled
from hub.testing.ports import free_port
from hub.testing.sites import DimseAddress, has_dcmtk, send
from hub.wire.dimse.part10 import header, pieces, read_meta
from hub.wire.hl7v2.client import MllpClient
from tests.app.dimse_hub import DimseHub
from tests.waiting import until

OID = "1.2.250.1.999.71"
PATIENT = hl7.Patient(
    identifier=hl7.local("PA-1", "HOSPITAL_A", OID),
    traits=Traits(birth_name="LEGER", birth_given="ZOE", birth_date="19520316", sex="F"),
)


def settings(directory: Path, database: str, station: int = 1) -> Settings:
    return Settings(
        authorities=(Authority(namespace="HOSPITAL_A", oid=OID), Authority(namespace="HOSPITAL_B", oid=f"{OID}.2")),
        archive=Archive(senders={"MODALITY": "HOSPITAL_A", "ELSEWHERE": "HOSPITAL_B"}, stable_after=0.5),
        web=Web(port=0),
        mllp=Mllp(port=0),
        dimse=DimsePort(port=0, destinations={"STATION": f"127.0.0.1:{station}"}),
        health=HealthPort(port=0),
        security=Security(node_authentication=False),
        storage=Storage(database=database, content=directory / "content"),
    )


@pytest.fixture
def station() -> int:
    return free_port()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def hub(request: pytest.FixtureRequest, tmp_path: Path, station: int) -> Iterator[Hub]:
    hub = Hub(settings(tmp_path, request.getfixturevalue(f"{request.param}_url"), station))
    hub.start()
    yield hub
    hub.stop()


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    relabelled(tmp_path / "files", Label("PA-1", "LEGER^ZOE"), (*PLAIN, *COMPRESSED))
    return sorted((tmp_path / "files").glob("*.dcm"))


def port(hub: Hub) -> DimseAddress:
    assert hub.dimse is not None
    return DimseAddress("MAILLAGE", "127.0.0.1", hub.dimse.port)


def feed(hub: Hub, message: bytes) -> str:
    host, _, number = hub.mllp_address().rpartition(":")
    with MllpClient(host, int(number)) as client:
        return client.send(message).decode()


def announce(hub: Hub) -> None:
    assert "MSA|AA" in feed(hub, hl7.adt(hl7.Sender(application="HIS_A", facility="HOSPITAL_A"), PATIENT))


def indexed(hub: Hub, uid: str) -> IndexedStudy | None:
    try:
        return hub.imaging.indexed(uid, "HUB")
    except UnknownStudy:
        return None


def wait_for(hub: Hub, uid: str, state: StudyState, instances: int) -> IndexedStudy:
    def there() -> bool:
        found = indexed(hub, uid)
        return found is not None and (found.state, found.study.instance_count) == (state, instances)

    until(there)
    found = indexed(hub, uid)
    assert found is not None
    return found


def data_set(path: Path) -> bytes:
    with path.open("rb") as file:
        read_meta(file)
        return b"".join(pieces(file))


def study_uid(files: list[Path]) -> str:
    return str(dcmread(files[0]).StudyInstanceUID)


def test_a_sent_study_is_shared_and_read_by_every_wire(hub: Hub, files: list[Path], tmp_path: Path) -> None:
    announce(hub)
    assert send(port(hub), files[:3]) == 3
    assert send(port(hub), files[3:]) == len(files) - 3
    uid = study_uid(files)
    found = wait_for(hub, uid, StudyState.PUBLISHED, len(files))
    assert found.manifest_id
    assert found.study.issuer == OID
    base = f"{hub.public_url()}/dicom-web"
    (study,) = httpx.get(f"{base}/studies", params={"PatientID": "PA-1", "IssuerOfPatientID": OID}).json()
    assert study["0020000D"]["Value"] == [uid]
    for path in files:
        one = dcmread(path, stop_before_pixels=True)
        place = f"{base}/studies/{uid}/series/{one.SeriesInstanceUID}/instances/{one.SOPInstanceUID}"
        accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
        body = httpx.get(place, headers={"Accept": accept}).raise_for_status().content
        assert data_set(path) in body
    metadata = httpx.get(f"{base}/studies/{uid}/metadata", headers={"Accept": "application/dicom+json"}).json()
    assert len(metadata) == len(files)


@pytest.mark.interop
@pytest.mark.skipif(not has_dcmtk(), reason="DCMTK is not installed (apt-get install dcmtk)")
def test_dcmtk_sends_finds_gets_and_moves(hub: Hub, files: list[Path], tmp_path: Path, station: int) -> None:
    plain = files[: len(PLAIN)]
    to = ("-aec", "MAILLAGE", "127.0.0.1", str(port(hub).port))
    _run("storescu", "-aet", "MODALITY", *to, *plain)
    uid = study_uid(files)
    wait_for(hub, uid, StudyState.HELD, len(plain))  # nobody has announced the patient yet
    announce(hub)
    wait_for(hub, uid, StudyState.PUBLISHED, len(plain))
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={uid}")
    answer = _run("findscu", "-v", "-S", *keys, "-k", "NumberOfStudyRelatedInstances", *to)
    assert f"[{len(plain)} ]" in answer or f"[{len(plain)}]" in answer
    got, moved = tmp_path / "got", tmp_path / "moved"
    for directory in (got, moved):
        directory.mkdir()
    _run("getscu", "-S", "-od", got, *keys, *to)
    with subprocess.Popen(["storescp", "-aet", "STATION", "-od", str(moved), str(station)]) as receiver:
        try:
            until(lambda: _listens(station))
            _run("movescu", "-S", "-aem", "STATION", *keys, *to)
        finally:
            receiver.terminate()
    sent = {dcmread(path).SOPInstanceUID: dcmread(path) for path in plain}
    for directory in (got, moved):
        back = {item.SOPInstanceUID: item for item in map(dcmread, directory.iterdir())}
        assert back.keys() == sent.keys()
        assert all(back[key].PixelData == item.PixelData for key, item in sent.items())


@pytest.mark.interop
@pytest.mark.skipif(not has_dcmtk(), reason="DCMTK is not installed (apt-get install dcmtk)")
def test_an_object_in_a_rare_syntax_is_moved_as_it_is(
    hub: Hub, files: list[Path], tmp_path: Path, station: int
) -> None:
    rare, moved = tmp_path / "rare.dcm", tmp_path / "moved"
    jpeg_2000 = files[len(PLAIN)]
    meta = _meta(jpeg_2000)
    rare.write_bytes(header(meta["sop_class"], meta["sop_instance"], "1.2.840.10008.1.2.4.107") + data_set(jpeg_2000))
    moved.mkdir()
    assert send(port(hub), [rare, files[1]]) == 2
    wait_for(hub, study_uid(files), StudyState.HELD, 2)
    study = f"{hub.public_url()}/dicom-web/studies/{study_uid(files)}"
    uncompressed = httpx.get(study, headers={"Accept": 'multipart/related; type="application/dicom"'})
    assert uncompressed.status_code == 206
    assert uncompressed.headers["warning"] == '299 maillage "1 instances could not be had"'
    assert uncompressed.content.count(b"application/dicom;") == 1
    (told,) = hub.audit.search(AuditSearch(transaction="RAD-107")).records
    assert (told.outcome, told.detail[:6]) == (AuditOutcome.MINOR_FAILURE, "1 of 2")
    with subprocess.Popen(["storescp", "+xa", "-aet", "STATION", "-od", str(moved), str(station)]) as receiver:
        try:
            until(lambda: _listens(station))
            keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study_uid(files)}")
            _run("movescu", "-aet", "MODALITY", "-S", "-aem", "STATION", *keys, "-aec", "MAILLAGE", "127.0.0.1",
                 str(port(hub).port))  # fmt: skip
        finally:
            receiver.terminate()
    assert {_meta(path)["transfer_syntax"] for path in moved.iterdir()} == {
        "1.2.840.10008.1.2.4.107",
        _meta(files[1])["transfer_syntax"],
    }


def _meta(path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        return read_meta(file)


def _run(*command: object) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def _listens(number: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", number)) == 0


def test_what_comes_later_replaces_the_manifest(hub: Hub, files: list[Path]) -> None:
    announce(hub)
    send(port(hub), files[:2])
    first = wait_for(hub, study_uid(files), StudyState.PUBLISHED, 2)
    send(port(hub), files[2:])
    until(lambda: indexed(hub, study_uid(files)).manifest_id != first.manifest_id)  # type: ignore[union-attr]
    assert len({item.sop_instance_uid for _, item in wait_for(
        hub, study_uid(files), StudyState.PUBLISHED, len(files)
    ).study.instances}) == len(files)  # fmt: skip


def test_the_same_object_again_changes_nothing_and_another_one_is_refused(hub: Hub, files: list[Path]) -> None:
    announce(hub)
    assert send(port(hub), files[:1]) == 1
    assert send(port(hub), files[:1]) == 1
    uid = study_uid(files)
    wait_for(hub, uid, StudyState.PUBLISHED, 1)
    other = dcmread(files[0])
    kept = hub.kept.path(uid, str(other.SOPInstanceUID))
    before = kept.read_bytes()
    other.PixelData = bytes(reversed(other.PixelData))
    forged = files[0].with_name("forged.dcm")
    other.save_as(forged, enforce_file_format=True)
    assert send(port(hub), [forged]) == 0
    assert kept.read_bytes() == before


def test_objects_of_another_patient_never_join_a_study(hub: Hub, files: list[Path], tmp_path: Path) -> None:
    announce(hub)
    send(port(hub), files[:1])
    uid = study_uid(files)
    wait_for(hub, uid, StudyState.PUBLISHED, 1)
    relabelled(tmp_path / "foreign", Label("PA-2", "OTHER^ONE", study_instance_uid=uid), PLAIN)
    send(port(hub), sorted((tmp_path / "foreign").glob("*.dcm")))
    held = wait_for(hub, uid, StudyState.HELD, 1)
    assert "different patients" in held.held_because
    send(port(hub), files[1:2])  # and it stays held
    assert wait_for(hub, uid, StudyState.HELD, 2).held_because == held.held_because


def test_who_sends_tells_whose_numbers_the_images_bear(hub: Hub, files: list[Path]) -> None:
    send(port(hub), files[:1], calling="ELSEWHERE")
    assert wait_for(hub, study_uid(files), StudyState.HELD, 1).study.issuer == f"{OID}.2"


def test_a_killed_process_leaves_nothing_unindexed(tmp_path: Path, files: list[Path]) -> None:
    told = settings(tmp_path, f"sqlite:///{tmp_path / 'hub.sqlite'}")
    kept = KeptObjects(tmp_path / "content" / "dimse")
    uid = study_uid(files)
    arrival = Arrival(uid, "MODALITY", peer="127.0.0.1")
    kept.announce(arrival)
    for number, path in enumerate(files):
        copy = tmp_path / f"incoming-{number}"
        copy.write_bytes(path.read_bytes())
        kept.keep(copy, uid, str(dcmread(path).SOPInstanceUID))
    assert not list(kept.left_behind()), "its process lives"
    kept.release(arrival, known=False)  # what the end of a process does
    hub = Hub(told)
    hub.start()
    try:
        wait_for(hub, uid, StudyState.HELD, len(files))
        until(lambda: not list((tmp_path / "content" / "dimse" / "arrivals").iterdir()))
    finally:
        hub.stop()


def test_several_senders_of_one_study_at_once(hub: Hub, files: list[Path]) -> None:
    errors: list[Exception] = []

    def bring(path: Path) -> None:
        (study,) = studies_of([path])
        try:
            hub.dispatch(StudyArrived(study.study_instance_uid, "MODALITY", (study,)), Context())
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=bring, args=(path,)) for path in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    found = indexed(hub, study_uid(files))
    assert found is not None
    assert found.study.instance_count == len(files)
    answer = hub.dispatch(FindStudies(study_instance_uids=(study_uid(files),)), Context(principal=HUB))
    assert [item.study.source for item in answer.studies] == ["HUB"]


class TestWhoMaySend:
    @pytest.fixture
    def study(self, files: list[Path]) -> Study:
        (study,) = studies_of(files)
        return study

    @pytest.fixture
    def pacs(self) -> Source:
        return Source(name="PACS_B", kind="dimse", config={"host": "192.0.2.7", "port": 104, "ae_title": "PACSB"})

    def test_callers_ask_and_senders_send(self, tmp_path: Path, files: list[Path]) -> None:
        hub = DimseHub(tmp_path / "hub", node_authentication=True, callers=("STATION",), senders={"CT_1": ""})
        try:
            place = DimseAddress("MAILLAGE", "127.0.0.1", hub.port)
            assert send(place, files[:1], calling="STATION") == 0
            assert send(place, files[:1], calling="CT_1") == 1
            until(lambda: ("RAD-8", "success") in hub.noted.audited)
            assert hub.noted.audited[0] == ("RAD-8", "access-denied")
        finally:
            hub.stop()

    def test_a_source_delivers_from_where_it_is_only(
        self, tmp_path: Path, files: list[Path], study: Study, pacs: Source
    ) -> None:
        hub = DimseHub(tmp_path / "hub", node_authentication=True, sources=(pacs,))
        place = DimseAddress("MAILLAGE", "127.0.0.1", hub.port)
        uid = str(study.study_instance_uid)
        try:
            with hub.endpoint.expect(uid, Deliverer("PACS_B", ("192.0.2.7",)), timeout=5) as arrivals:
                assert send(place, files[:2], calling="PACSB") == 0, "it bears the title, and comes from elsewhere"
                assert arrivals.empty()
            assert hub.noted.audited == [("RAD-8", "not-authenticated")]
            with hub.endpoint.expect(uid, Deliverer("PACS_B", ("192.0.2.7", "127.0.0.0/8")), timeout=5) as arrivals:
                assert send(place, files[:2], calling="PACSB") == 2
                assert arrivals.qsize() == 2
            with hub.endpoint.expect("1.2.3", Deliverer("PACS_B", ("localhost",)), timeout=5) as arrivals:
                assert send(place, files[:1], calling="PACSB") == 0, "another study than the one that was asked for"
            assert not list((tmp_path / "hub" / "dimse" / "kept").iterdir())
            assert not list((tmp_path / "hub" / "dimse" / "incoming").iterdir())
        finally:
            hub.stop()

    @pytest.mark.parametrize(
        ("hosts", "address", "is_at"),
        [
            (("10.1.0.5",), "10.1.0.5", True),
            (("10.1.0.5",), "::ffff:10.1.0.5", True),
            (("10.1.0.5",), "10.1.0.6", False),
            (("10.1.0.0/16",), "10.1.9.9", True),
            (("localhost",), "127.0.0.1", True),
            (("no-such-host.invalid",), "127.0.0.1", False),
            ((), "127.0.0.1", False),
            (("10.1.0.5",), "", False),
        ],
    )
    def test_where_a_deliverer_is(self, hosts: tuple[str, ...], address: str, is_at: bool) -> None:
        assert Deliverer("PACS_B", hosts).is_at(address) is is_at

    def test_the_request_and_the_object_must_agree(self, tmp_path: Path, files: list[Path]) -> None:
        hub = DimseHub(tmp_path / "hub")
        liar = tmp_path / "liar.dcm"
        dataset = dcmread(files[0])
        dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
        dataset.save_as(liar)
        try:
            assert isinstance(hub.endpoint.store, ObjectStore)
            assert send(DimseAddress("MAILLAGE", "127.0.0.1", hub.port), [liar]) == 0
        finally:
            hub.stop()
