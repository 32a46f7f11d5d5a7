"""Archives that are down, slow, or lie: the error names the source, and nothing outlives its deadline."""

import socket
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.connector.contract import (
    Connector,
    ConnectorError,
    DescribesStudy,
    FindsStudies,
    GivesMetadata,
    RetrievesInstances,
    SourceLied,
    SourceMisconfigured,
    SourceUnavailable,
    StudyQuery,
)
from hub.connector.loader import BadSourceSettings, SourceConfig, Sources, UnknownKind
from hub.imaging.model import InstanceRequest, RetrievedInstance, Study
from hub.testing.ports import free_port
from hub.testing.simulators.dicomweb import DicomwebSimulator, WebMisbehaviour
from hub.testing.simulators.pacs import Misbehaviour, PacsSimulator
from hub.testing.sites import DimseAddress
from hub.values import AETitle
from tests.app.dimse_hub import DimseHub
from tests.connectors.conftest import Opener

Studies = dict[str, tuple[Study, list[Path]]]
FOREVER = 60.0


@pytest.fixture
def pacs(tmp_path: Path, studies: Studies) -> Iterator[object]:
    made: list[PacsSimulator] = []

    def make(**wrong: object) -> PacsSimulator:
        site = PacsSimulator(tmp_path / str(len(made)), wrong=Misbehaviour(**wrong))  # type: ignore[arg-type]
        made.append(site)
        site.store(studies["mixed"][1])
        return site

    yield make
    for site in made:
        site.stop()


@pytest.fixture
def web(tmp_path: Path, studies: Studies) -> Iterator[object]:
    made: list[DicomwebSimulator] = []

    def make(bearer: str = "", **wrong: object) -> DicomwebSimulator:
        site = DicomwebSimulator(
            tmp_path / f"w{len(made)}", wrong=WebMisbehaviour(**wrong), bearer=bearer,  # type: ignore[arg-type]
        )  # fmt: skip
        made.append(site)
        site.store(studies["mixed"][1])
        return site

    yield make
    for site in made:
        site.stop()


def find(connector: Connector, timeout: float = 10.0, **criteria: object) -> list[Study]:
    assert isinstance(connector, FindsStudies)
    return list(connector.find_studies(StudyQuery(**criteria), timeout=timeout))  # type: ignore[arg-type]


def drain(connector: Connector, study: Study, timeout: float = 10.0) -> int:
    assert isinstance(connector, RetrievesInstances)
    return sum(
        1 for item in connector.retrieve(InstanceRequest(study.study_instance_uid), ("*",), timeout=timeout)
        for _ in [b"".join(item.chunks)]
    )  # fmt: skip


# DIMSE


def test_a_pacs_that_is_down(connect: Opener, pacs: object) -> None:
    site = pacs()  # type: ignore[operator]
    connector = connect(site, "dimse")
    site.stop()
    with pytest.raises(SourceUnavailable) as caught:
        find(connector)
    assert caught.value.context["source"] == "PACS"


@pytest.mark.parametrize("wrong", [{"hang_in_find": True}, {"pending_forever": True}, {"find_delay": 5.0}])
def test_a_pacs_that_hangs_is_left_at_the_deadline(connect: Opener, pacs: object, wrong: dict[str, object]) -> None:
    connector = connect(pacs(**wrong), "dimse", timeout=FOREVER)  # type: ignore[operator]
    started = time.monotonic()
    with pytest.raises(SourceUnavailable):
        find(connector, timeout=0.5)
    assert time.monotonic() - started < FOREVER / 2


def test_a_pacs_that_accepts_connections_and_says_nothing(connect: Opener, pacs: object) -> None:
    site = pacs()  # type: ignore[operator]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        connector = connect(site, "dimse", port=silent.getsockname()[1], timeout=0.3)
        with pytest.raises(SourceUnavailable):
            find(connector, timeout=FOREVER)


def test_a_pacs_that_refuses_our_title(connect: Opener, pacs: object) -> None:
    connector = connect(pacs(refuse_association=True), "dimse")  # type: ignore[operator]
    with pytest.raises(SourceMisconfigured, match="calling AE title not recognised"):
        find(connector)
    assert not connector.check()[0].passed


def test_a_pacs_that_ignores_keys_is_filtered_again(connect: Opener, pacs: object) -> None:
    connector = connect(pacs(ignore_keys=True), "dimse")  # type: ignore[operator]
    assert not find(connector, patient_ids=("NOBODY",))
    assert len(find(connector, patient_ids=("PA-1",))) == 1


def test_a_pacs_that_declares_more_than_it_lists(connect: Opener, pacs: object, studies: Studies) -> None:
    connector = connect(pacs(declared_instances=99), "dimse")  # type: ignore[operator]
    assert isinstance(connector, DescribesStudy)
    with pytest.raises(SourceLied, match="99 instances"):
        connector.describe_study(studies["mixed"][0].study_instance_uid, timeout=10)


@pytest.mark.parametrize("wrong", [{"send_at_most": 1}, {"no_objects": True}])
def test_a_pacs_that_says_success_without_sending(
    connect: Opener, pacs: object, studies: Studies, wrong: dict[str, object]
) -> None:
    site = pacs(**wrong)  # type: ignore[operator]
    site.store(studies["ct"][1])
    with pytest.raises(SourceLied, match="announced"):
        drain(connect(site, "dimse"), studies["ct"][0])


@pytest.mark.parametrize("way", ["get", "move"])
def test_a_series_that_a_pacs_cannot_send_keeps_no_other_from_coming(
    connect: Opener, tmp_path: Path, studies: Studies, way: str
) -> None:
    expected, files = studies["ct"]
    unable = min(series.series_instance_uid for series in expected.series)  # the first one to be asked for
    hub = DimseHub(tmp_path / "hub")
    address = DimseAddress(AETitle("MAILLAGE"), "127.0.0.1", hub.port)
    site = PacsSimulator(tmp_path / "pacs", destinations={"MAILLAGE": address}, wrong=Misbehaviour(unable=unable))
    try:
        site.store(files)
        connector = connect(site, "dimse", receive=hub.endpoint, retrieve=way, move_grace=0.5)
        assert isinstance(connector, RetrievesInstances)
        got: list[str] = []

        def take(item: RetrievedInstance) -> None:
            b"".join(item.chunks)
            got.append(item.series_instance_uid)

        items = connector.retrieve(InstanceRequest(expected.study_instance_uid), ("*",), timeout=30)
        with pytest.raises(SourceUnavailable, match="A702"):
            deque(map(take, items))
        assert len(got) == 12
        assert unable not in got
    finally:
        site.stop()
        hub.stop()


def test_a_pacs_that_tells_no_sop_classes(connect: Opener, pacs: object, studies: Studies) -> None:
    expected = studies["mixed"][0]
    connector = connect(pacs(omit=("SOPClassUID", "ModalitiesInStudy")), "dimse")  # type: ignore[operator]
    assert isinstance(connector, DescribesStudy)
    found = connector.describe_study(expected.study_instance_uid, timeout=20)
    assert found is not None
    assert all(instance.sop_class_uid for _, instance in found.instances)
    assert set(found.modalities) == set(expected.modalities)


def test_a_pacs_that_cuts_answers_is_asked_by_halves(connect: Opener, tmp_path: Path, studies: Studies) -> None:
    site = PacsSimulator(tmp_path / "cut", wrong=Misbehaviour(cut_at=2))
    try:
        for _, files in studies.values():
            site.store(files)
        connector = connect(site, "dimse", max_results=2)
        found = find(connector)
        assert {study.study_instance_uid for study in found} >= {studies["ct"][0].study_instance_uid}
        assert site.finds > 3
    finally:
        site.stop()


def test_a_failure_status_is_said(connect: Opener, pacs: object) -> None:
    with pytest.raises(ConnectorError, match="C001"):
        find(connect(pacs(find_status=0xC001), "dimse"))  # type: ignore[operator]
    with pytest.raises(SourceUnavailable, match="A700"):
        find(connect(pacs(find_status=0xA700), "dimse"))  # type: ignore[operator]


# C-MOVE to the hub's own port


@pytest.fixture
def moving(tmp_path: Path, studies: Studies) -> Iterator[tuple[DimseHub, PacsSimulator]]:
    hub = DimseHub(tmp_path / "hub")
    home = DimseAddress(AETitle("MAILLAGE"), "127.0.0.1", hub.port)
    site = PacsSimulator(tmp_path / "pacs", destinations={"hub": home})
    site.store(studies["ct"][1])
    yield hub, site
    site.stop()
    hub.stop()


def test_a_study_is_moved_to_the_hub(
    connect: Opener, moving: tuple[DimseHub, PacsSimulator], studies: Studies, tmp_path: Path
) -> None:
    hub, site = moving
    connector = connect(site, "dimse", receive=hub.endpoint, retrieve="move", move_grace=0.5)
    assert all(step.passed for step in connector.check())
    assert drain(connector, studies["ct"][0], timeout=60) == studies["ct"][0].instance_count
    left = list((tmp_path / "hub" / "dimse" / "incoming").iterdir())
    assert not [path for path in left if path.stat().st_size]  # an empty one may be ready for the next object
    assert not hub.rooms.arrived


def test_a_move_destination_that_the_pacs_does_not_know(
    connect: Opener, tmp_path: Path, moving: tuple[DimseHub, PacsSimulator], studies: Studies
) -> None:
    hub, _ = moving
    site = PacsSimulator(tmp_path / "strange")
    try:
        site.store(studies["mixed"][1])
        connector = connect(site, "dimse", receive=hub.endpoint, retrieve="move", move_grace=0.2)
        assert "A801" in connector.check()[-1].detail
        with pytest.raises(SourceMisconfigured):
            drain(connector, studies["mixed"][0])
    finally:
        site.stop()


# DICOMweb


def test_a_server_that_is_down(connect: Opener, web: object) -> None:
    connector = connect(web(), "dicomweb", url=f"http://127.0.0.1:{free_port()}/dicom-web")  # type: ignore[operator]
    with pytest.raises(SourceUnavailable):
        find(connector)


@pytest.mark.parametrize("wrong", [{"hang": True}, {"delay": 5.0}])
def test_a_server_that_hangs_is_left_at_the_deadline(connect: Opener, web: object, wrong: dict[str, object]) -> None:
    connector = connect(web(**wrong), "dicomweb", timeout=FOREVER)  # type: ignore[operator]
    started = time.monotonic()
    with pytest.raises(SourceUnavailable):
        find(connector, timeout=0.5)
    assert time.monotonic() - started < FOREVER / 2


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, SourceMisconfigured), (403, SourceMisconfigured), (429, SourceUnavailable), (503, SourceUnavailable),
     (400, ConnectorError)],
)  # fmt: skip
def test_refusals(connect: Opener, web: object, status: int, kind: type[ConnectorError]) -> None:
    with pytest.raises(kind, match=str(status)):
        find(connect(web(status=status), "dicomweb"))  # type: ignore[operator]


def test_a_bearer_token_is_sent(connect: Opener, web: object) -> None:
    site = web(bearer="secret")  # type: ignore[operator]
    with pytest.raises(SourceMisconfigured):
        find(connect(site, "dicomweb"))
    assert find(connect(site, "dicomweb", bearer="secret"))


def test_an_answer_that_is_not_json(connect: Opener, web: object) -> None:
    with pytest.raises(SourceLied):
        find(connect(web(not_json=True), "dicomweb"))  # type: ignore[operator]


def test_there_is_no_metadata_of_what_is_not_there(connect: Opener, web: object, studies: Studies) -> None:
    connector = connect(web(), "dicomweb")  # type: ignore[operator]
    assert isinstance(connector, GivesMetadata)
    known = studies["mixed"][0].study_instance_uid
    assert list(connector.metadata(InstanceRequest(known), timeout=10.0))
    for request in (InstanceRequest("1.2.3"), InstanceRequest(known, "1.2.3"), InstanceRequest(known, "1.2.3", "1.2")):
        assert not list(connector.metadata(request, timeout=10.0))


def test_a_body_that_ends_too_early(connect: Opener, web: object, studies: Studies) -> None:
    with pytest.raises(ConnectorError):
        drain(connect(web(cut_multipart=True), "dicomweb"), studies["mixed"][0])  # type: ignore[operator]


def test_objects_of_another_study(connect: Opener, web: object, studies: Studies) -> None:
    site = web(other_study=True)  # type: ignore[operator]
    with pytest.raises(SourceLied, match="another study"):
        drain(connect(site, "dicomweb"), studies["ct"][0])


def test_a_server_with_small_pages_and_no_content(connect: Opener, web: object, studies: Studies) -> None:
    site = web(page_size=1, empty_204=True)  # type: ignore[operator]
    connector = connect(site, "dicomweb", page=1)
    assert isinstance(connector, DescribesStudy)
    found = connector.describe_study(studies["mixed"][0].study_instance_uid, timeout=20)
    assert found is not None
    assert found.instance_count == studies["mixed"][0].instance_count
    assert not find(connector, patient_ids=("NOBODY",))


def test_a_single_part_answer(connect: Opener, web: object, studies: Studies) -> None:
    expected = studies["mixed"][0]
    connector = connect(web(single_part=True), "dicomweb")  # type: ignore[operator]
    series = expected.series[0]
    request = InstanceRequest(
        expected.study_instance_uid, series.series_instance_uid, series.instances[0].sop_instance_uid
    )
    assert isinstance(connector, RetrievesInstances)
    assert [item.sop_instance_uid for item in connector.retrieve(request, ("*",), timeout=10)] == [
        request.sop_instance_uid
    ]


# The loader


def test_wrong_settings_are_named_by_key() -> None:
    with pytest.raises(BadSourceSettings, match=r"sources\.A\.config\.colour"):
        Sources([SourceConfig("A", "dicomweb", config={"url": "http://a", "colour": "red"})])
    with pytest.raises(BadSourceSettings, match=r"sources\.B\.config\.port"):
        Sources([SourceConfig("B", "dimse", config={"host": "a", "port": 0, "ae_title": "B"})])
    with pytest.raises(UnknownKind, match="fax"):
        Sources([SourceConfig("C", "fax")])


def test_the_health_of_a_source_follows_its_calls(web: object) -> None:
    site = web()  # type: ignore[operator]
    sources = Sources([SourceConfig("A", "dicomweb", "Hospital A", config={"url": site.dicomweb_url})])
    (health,) = sources.health()
    assert health.healthy is None
    find(sources.get("A").connector)
    assert health.healthy
    site.stop()
    with pytest.raises(SourceUnavailable):
        find(sources.get("A").connector)
    assert health.healthy is False
    assert health.last_error_code == "source-unavailable"
    assert health.last_contact is not None
    sources.close()
