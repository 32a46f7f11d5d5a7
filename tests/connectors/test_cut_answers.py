"""Archives that tell less than they hold: asked on where that helps, and said where it does not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.connector.contract import Connector, CutShort, FindsStudies, StudyQuery
from hub.imaging.model import Study
from hub.testing.dicom import Label, synthetic_ct
from hub.testing.simulators.dicomweb import DicomwebSimulator, WebMisbehaviour
from hub.testing.simulators.pacs import Misbehaviour, PacsSimulator
from hub.testing.sites import OrthancSite, has_orthanc
from tests.connectors.conftest import Opener

COUNT = 120


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Studies of one patient, ten a day."""
    root = tmp_path_factory.mktemp("many")
    for number in range(COUNT):
        label = Label("PA-1", accession_number=f"ACC-{number}", study_date=f"202601{1 + number // 10:02}")
        synthetic_ct(root / str(number), label, slices=1, size=16)
    return sorted(root.glob("*/*.dcm"))


@pytest.fixture(scope="module")
def one_day(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("day")
    for number in range(4):
        synthetic_ct(root / str(number), Label("PA-1", accession_number=f"ACC-{number}"), slices=1, size=16)
    return sorted(root.glob("*/*.dcm"))


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[object]:
    made: list[PacsSimulator] = []

    def make(files: list[Path], cut_at: int) -> PacsSimulator:
        made.append(PacsSimulator(tmp_path / "pacs", wrong=Misbehaviour(cut_at=cut_at)))
        made[-1].store(files)
        return made[-1]

    yield make
    for site in made:
        site.stop()


@pytest.fixture
def web(tmp_path: Path) -> Iterator[object]:
    made: list[DicomwebSimulator] = []

    def make(files: list[Path], **wrong: object) -> DicomwebSimulator:
        made.append(DicomwebSimulator(tmp_path / "web", wrong=WebMisbehaviour(**wrong)))  # type: ignore[arg-type]
        made[-1].store(files)
        return made[-1]

    yield make
    for site in made:
        site.stop()


def find(connector: Connector, **criteria: object) -> tuple[int, bool]:
    """How many are told, and whether there may be more."""
    assert isinstance(connector, FindsStudies)
    found = connector.find_studies(StudyQuery(**criteria), timeout=60)  # type: ignore[arg-type]
    assert len({study.study_instance_uid for study in found}) == len(found)
    assert all(isinstance(study, Study) for study in found)
    return len(found), isinstance(found, CutShort)


def test_a_server_whose_largest_page_is_not_known_is_asked_on(connect: Opener, web: object, many: list[Path]) -> None:
    connector = connect(web(many, page_size=50), "dicomweb")  # type: ignore[operator]
    assert find(connector, limit=500) == (COUNT, False)


def test_dicomweb_at_the_questions_limit(connect: Opener, web: object, many: list[Path]) -> None:
    connector = connect(web(many), "dicomweb")  # type: ignore[operator]
    assert find(connector, limit=COUNT - 1) == (COUNT - 1, True)
    assert find(connector, limit=COUNT + 1) == (COUNT, False)


def test_the_limit_may_be_reached_by_what_does_not_match(connect: Opener, web: object, many: list[Path]) -> None:
    connector = connect(web(many, ignore_keys=True), "dicomweb")  # type: ignore[operator]
    assert find(connector, patient_ids=("NOBODY",), limit=100) == (0, True)
    assert find(connector, patient_ids=("NOBODY",), limit=500) == (0, False)


def test_a_pacs_that_ends_at_a_round_number_is_asked_by_halves(connect: Opener, pacs: object, many: list[Path]) -> None:
    connector = connect(pacs(many, cut_at=100), "dimse")  # type: ignore[operator]
    assert find(connector, patient_ids=("PA-1",), limit=500) == (COUNT, False)
    assert find(connector, patient_ids=("PA-1",), limit=COUNT - 1) == (COUNT - 1, True)


def test_more_of_one_day_than_a_pacs_tells(connect: Opener, pacs: object, one_day: list[Path]) -> None:
    connector = connect(pacs(one_day, cut_at=2), "dimse", max_results=2)  # type: ignore[operator]
    assert find(connector, patient_ids=("PA-1",), limit=500) == (2, True)


@pytest.mark.skipif(not has_orthanc(), reason="Orthanc with its DICOMweb plugin is not installed")
def test_orthanc_that_ends_its_answers(connect: Opener, tmp_path: Path, many: list[Path], one_day: list[Path]) -> None:
    site = OrthancSite(tmp_path, find_at_most=3)
    try:
        site.store(one_day)
        assert find(connect(site, "dimse"), limit=500) == (3, True)
        site.store(many[:COUNT:10])
        narrowed = {"started_from": "20260101", "started_to": "20260112", "limit": 500}
        assert find(connect(site, "dimse"), **narrowed) == (COUNT // 10, False)
    finally:
        site.stop()
