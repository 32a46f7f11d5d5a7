"""The demo's region, published, with the portal up: what browsers look at."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hub.access.model import HUB
from hub.app.demo.region import TRAITS, Hospital, Sites, hospitals, settings
from hub.app.demo.report import wait_for
from hub.app.settings.roles import Role
from hub.app.wiring import Hub
from hub.context import Context
from hub.imaging.model import FindStudies, StudyState
from hub.portal.install_viewer import install
from hub.testing import hl7
from hub.testing.cda import ImagingReport, ReportAuthor, build_report
from hub.testing.dicom import relabelled
from hub.testing.ports import free_port
from hub.testing.sites import DimseAddress, Site
from hub.wire.hl7v2.client import MllpClient


@contextmanager
def region(directory: Path, viewer: Path | None) -> Iterator[tuple[Hub, tuple[Hospital, Hospital]]]:
    """Two hospitals, one person, two studies with their reports, published."""
    ports = (free_port(), free_port(), free_port())
    sites = Sites.start(directory, DimseAddress("MAILLAGE", "127.0.0.1", ports[2]))
    try:
        pair = hospitals()
        hub = Hub(settings(directory, sites, ports, pair).model_copy(update={"viewer": viewer}))
        hub.start(tuple(Role))
        try:
            host, _, port = hub.mllp_address().rpartition(":")
            with MllpClient(host, int(port)) as feed:
                for one, site in zip(pair, (sites.a, sites.b), strict=True):
                    _play(feed, directory, one, site)
            assert wait_for(lambda: all(_published(hub, one.study_instance_uid) for one in pair), seconds=60.0)
            yield hub, pair
        finally:
            hub.stop()
    finally:
        sites.stop()


def viewer() -> Path:
    """OHIF, installed where the project keeps it."""
    install(directory := Path("build/ohif"))
    return directory.resolve()


def _play(feed: MllpClient, directory: Path, one: Hospital, site: Site) -> None:
    ids = [one.patient.identifier, *([one.patient.ins] if one.patient.ins else [])]
    report = build_report(
        ImagingReport(
            patient_ids=ids,
            traits=TRAITS,
            study_instance_uid=one.study_instance_uid,
            accession_number=one.accession,
            placer_number=one.placer,
            text=one.report,
            title=f"Compte rendu : {one.procedure[1]}",
            author=ReportAuthor(organisation=one.title),
        )
    )
    files = directory / f"images-{one.letter}"
    relabelled(files, one.label, one.files)
    assert site.store(sorted(files.glob("*.dcm"))) == len(one.files)
    for message in (
        hl7.adt(one.sender("HIS"), one.patient, "A28"),
        hl7.orm(one.sender("RIS"), one.patient, one.examination),
        hl7.oru(one.sender("RIS"), one.patient, one.examination, report),
    ):
        assert b"MSA|AA" in feed.send(message)


def _published(hub: Hub, uid: str) -> bool:
    answer = hub.federation.find(FindStudies(study_instance_uids=(uid,)), Context(principal=HUB))
    return any(study.state is StudyState.PUBLISHED for study in answer.studies)
