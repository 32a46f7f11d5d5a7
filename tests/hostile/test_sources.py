"""Archives that are down, hang or lie: the answer names them and why, in time. Studies of nobody known are held."""

import html
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from hub.testing.ports import free_port
from hub.testing.sandbox import SandboxProcess
from hub.testing.simulators.dicomweb import DicomwebSimulator, WebMisbehaviour
from hub.testing.simulators.pacs import Misbehaviour, PacsSimulator
from tests.hostile.conftest import Operator, clean
from tests.hostile.hospital import KOS, Hospital, formats, published, regional
from tests.interop.by_hand import XDSB, Answer, Integrator

#: Well above a source's own deadline (10 s), well below what a caller's patience or a hang would be.
PATIENCE = 20.0
GOOD = Hospital(name="GOOD", oid="1.2.250.1.999.91", number="G-1", family="BON", accession="ACC-G")
LIAR = Hospital(name="LIAR", oid="1.2.250.1.999.92", number="L-1", family="MENTEUR", accession="ACC-L")
CHEAT = Hospital(name="CHEAT", oid="1.2.250.1.999.93", number="C-1", family="TRICHEUR", accession="ACC-C")
LATER = replace(GOOD, number="G-2", family="TARDIF", accession="ACC-T", study_uid="1.2.250.1.999.91.2")
GONE = Hospital(name="GONE", oid="1.2.250.1.999.94", number="P-1", family="PARTI", accession="ACC-P")


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    root = tmp_path_factory.mktemp("archives")
    found: dict[str, Any] = {
        "GOOD": DicomwebSimulator(root / "good"),
        "HANGS": DicomwebSimulator(root / "hangs", wrong=WebMisbehaviour(hang=True)),
        "BROKEN": DicomwebSimulator(root / "broken", wrong=WebMisbehaviour(status=503)),
        "PAGES": DicomwebSimulator(root / "pages", wrong=WebMisbehaviour(not_json=True)),
        "LIAR": PacsSimulator(root / "liar", ae_title="LIAR", wrong=Misbehaviour(declared_instances=99)),
        "MUTE": PacsSimulator(root / "mute", ae_title="MUTE", wrong=Misbehaviour(hang_in_find=True)),
        "CHEAT": PacsSimulator(root / "cheat", ae_title="CHEAT", wrong=Misbehaviour(no_objects=True)),
        "GONE": DicomwebSimulator(root / "gone"),
    }
    for hospital in (GOOD, LATER, LIAR, CHEAT, GONE):
        _, files = hospital.files(root / f"files-{hospital.number}")
        found[hospital.name].store(files)
    yield found
    for site in found.values():
        site.stop()


@pytest.fixture(scope="module")
def box(archives: dict[str, Any]) -> Iterator[SandboxProcess]:
    sources = [f"DOWN=dicomweb:http://127.0.0.1:{free_port()}/dicom-web", f"AWAY=dimse:AWAY@127.0.0.1:{free_port()}"]
    for name, site in archives.items():
        place = site.dimse
        where = f"dimse:{place.ae_title}@{place.host}:{place.port}" if place else f"dicomweb:{site.dicomweb_url}"
        sources.append(f"{name}={where}")
    with SandboxProcess("--open", *(part for source in sources for part in ("--source", source))) as running:
        yield running


@pytest.fixture
def system(box: SandboxProcess) -> Iterator[Integrator]:
    with Integrator(box) as vendor:
        yield vendor
    clean(box.log)
    assert " ERROR " not in box.log, box.log[-3000:]


FAILING = {"DOWN", "AWAY", "HANGS", "BROKEN", "PAGES", "MUTE"}


def test_a_search_names_who_failed_and_why(system: Integrator) -> None:
    started = time.monotonic()
    bundle = system.http.get(f"{system.box['fhir']}/ImagingStudy", timeout=PATIENCE * 2).json()
    assert time.monotonic() - started < PATIENCE
    rows = bundle["entry"]
    matches = {row["resource"]["id"] for row in rows if row["search"]["mode"] == "match"}
    assert {GOOD.study_uid, LIAR.study_uid, GONE.study_uid} <= matches
    issues = [issue for row in rows if row["search"]["mode"] == "outcome" for issue in row["resource"]["issue"]]
    told = {text.partition(":")[0]: text for text in (str(issue["diagnostics"]) for issue in issues)}
    assert set(told) == FAILING, told
    assert all(len(text.partition(":")[2].strip()) > 10 for text in told.values())
    assert {issue["severity"] for issue in issues} == {"warning"}


def test_qido_names_them_too(system: Integrator) -> None:
    started = time.monotonic()
    answer = system.http.get(f"{system.box['dicomweb']}/studies", timeout=PATIENCE * 2)
    assert time.monotonic() - started < PATIENCE
    assert answer.status_code in (200, 206)
    warning = answer.headers.get("warning", "")
    assert all(name in warning for name in FAILING), warning


def test_a_healthy_study_is_published_whatever_the_others_do(system: Integrator) -> None:
    for message in (GOOD.announcement(), GOOD.order(), GOOD.report()):
        assert "MSA|AA|" in system.feed(message)
    assert sorted(published(system, GOOD)).count(KOS) == 1


def shown(operator: Operator, words: str, seconds: float = PATIENCE) -> str:
    """What the operator's page of deliveries says, once it says the words."""
    end = time.monotonic() + seconds
    while True:
        page = operator.http.get("/portal/operator/deliveries").text
        for path in dict.fromkeys(re.findall(r"/portal/operator/deliveries/[0-9a-f]{8,}", page)):
            text = html.unescape(operator.http.get(path).text)
            if words in text:
                return text
        assert time.monotonic() < end, re.sub(r"<[^>]+>|\s+", " ", page)
        time.sleep(0.2)


def test_an_archive_that_lies_about_counts(system: Integrator) -> None:
    for message in (LIAR.announcement(), LIAR.order(), LIAR.report()):
        assert "MSA|AA|" in system.feed(message)
    operator = Operator(system.process)
    text = shown(operator, "99 instances")
    assert "LIAR" in text
    assert KOS not in formats(system, regional(system, LIAR))
    operator.http.close()


def images(system: Integrator, hospital: Hospital) -> tuple[Answer, float]:
    """RAD-69 of everything that the study's manifest names, and how long it took."""
    found = system.find(regional(system, hospital), FormatCode=f"('{KOS}^^1.2.840.10008.2.6.1')")
    (content,) = system.retrieve((system.box["repository_unique_id"], found.uids[0])).documents().values()
    manifest = dcmread(BytesIO(content))
    (study,) = manifest.CurrentRequestedProcedureEvidenceSequence
    rows = "".join(
        f'<r:SeriesRequest seriesInstanceUID="{series.SeriesInstanceUID}">'
        + "".join(
            f"<x:DocumentRequest><x:RepositoryUniqueId>{series.RetrieveLocationUID}</x:RepositoryUniqueId>"
            f"<x:DocumentUniqueId>{item.ReferencedSOPInstanceUID}</x:DocumentUniqueId></x:DocumentRequest>"
            for item in series.ReferencedSOPSequence
        )
        + "</r:SeriesRequest>"
        for series in study.ReferencedSeriesSequence
    )
    body = (
        f'<r:RetrieveImagingDocumentSetRequest xmlns:r="urn:ihe:rad:xdsi-b:2009" xmlns:x="{XDSB}">'
        f'<r:StudyRequest studyInstanceUID="{hospital.study_uid}">{rows}</r:StudyRequest>'
        "<r:TransferSyntaxUIDList><r:TransferSyntaxUID>1.2.840.10008.1.2.1</r:TransferSyntaxUID>"
        "</r:TransferSyntaxUIDList></r:RetrieveImagingDocumentSetRequest>"
    )
    started = time.monotonic()
    answer = system.call("xds_imaging", "urn:ihe:rad:2009:RetrieveImagingDocumentSet", body, {})
    return answer, time.monotonic() - started


def test_images_of_an_archive_that_says_success_and_sends_nothing(system: Integrator) -> None:
    for message in (CHEAT.announcement(), CHEAT.order(), CHEAT.report()):
        assert "MSA|AA|" in system.feed(message)
    published(system, CHEAT)
    started = time.monotonic()
    answer = system.http.get(f"{system.box['dicomweb']}/studies/{CHEAT.study_uid}", timeout=PATIENCE * 2)
    assert time.monotonic() - started < PATIENCE
    assert answer.status_code >= 400
    assert "CHEAT" in answer.text or "CHEAT" in answer.headers.get("warning", ""), (answer.text, answer.headers)


def test_images_of_an_archive_that_went_away(system: Integrator, archives: dict[str, Any]) -> None:
    for message in (GONE.announcement(), GONE.order(), GONE.report()):
        assert "MSA|AA|" in system.feed(message)
    published(system, GONE)
    answer, _ = images(system, GONE)
    assert answer.outcome == "Success"
    archives["GONE"].stop()
    answer, seconds = images(system, GONE)
    assert seconds < PATIENCE
    assert answer.outcome == "Failure"
    said = " ".join(str(row.get("codeContext")) for row in answer.root.iter("{*}RegistryError"))
    assert "GONE" in said, said
    retrieved = system.http.get(f"{system.box['dicomweb']}/studies/{GONE.study_uid}", timeout=PATIENCE * 2)
    assert retrieved.status_code >= 500
    assert "GONE" in retrieved.text


def test_a_study_of_nobody_known_is_held_until_the_identity_arrives(system: Integrator) -> None:
    assert "MSA|AA|" in system.feed(LATER.report())
    operator = Operator(system.process)
    operator.http.get("/portal/language/en")
    assert LATER.study_uid in shown(operator, "study held back")
    assert regional(system, LATER) == ""
    assert "MSA|AA|" in system.feed(LATER.announcement())
    found = published(system, LATER)
    assert (len(found), found.count(KOS)) == (2, 1)
    operator.http.close()


def test_the_operator_sees_which_source_is_ill(system: Integrator) -> None:
    operator = Operator(system.process)
    page = operator.http.get("/portal/operator/sources").text
    assert all(name in page for name in (*FAILING, "GOOD", "LIAR"))
    operator.http.close()


def test_it_stops_in_time_whatever_hangs(archives: dict[str, Any], tmp_path: Path) -> None:
    box = SandboxProcess("--open", "--source", f"HANGS=dicomweb:{archives['HANGS'].dicomweb_url}").start()
    with Integrator(box) as system:
        lost = replace(GOOD, name="HANGS", oid="1.2.250.1.999.95")
        for message in (lost.announcement(), lost.order(), lost.report()):
            assert "MSA|AA|" in system.feed(message)
        time.sleep(0.5)
    started = time.monotonic()
    assert box.stop() == 0
    assert time.monotonic() - started < PATIENCE
