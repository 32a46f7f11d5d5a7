"""A study of another region is stored in a local archive (Orthanc), under the patient's number there."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread

from hub.access.model import HUB
from hub.access.rights_model import Choice, Consent, Matter, RecordConsent
from hub.connector.contract import SourceUnavailable
from hub.context import Context
from hub.errors import HubError
from hub.exchange.model import DeliveryState, Page, ReplayDelivery
from hub.testing.sites import Site, dicomweb_site, has_orthanc
from tests.drimbox_site import LOCAL, OID, Browser, Consumer, consumer, known
from tests.interop.oidc_provider import NUMBER, OpenIdProvider
from tests.interop.test_drimbox_consumer import opened
from tests.waiting import until

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenIdProvider]:
    with OpenIdProvider() as provider:
        yield provider


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if not has_orthanc():
        pytest.skip("Orthanc with its DICOMweb plugin is not installed")
    site = dicomweb_site(tmp_path_factory.mktemp("archive"))
    yield site
    site.stop()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def site(request: pytest.FixtureRequest, tmp_path: Path, provider: OpenIdProvider, archive: Site) -> Iterator[Consumer]:
    database = request.getfixturevalue(f"{request.param}_url")
    kind = {"kind": "dicomweb", "config": {"url": archive.dicomweb_url}}
    with consumer(tmp_path, provider, database, kind) as site:
        known(site)
        yield site


def exported(browser: Browser, path: str, archive: str = "PACS_A") -> httpx.Response:
    page = browser.get(path)
    return browser.post(f"{path}/export", data={"csrf": browser.csrf(page), "archive": archive})


def state(site: Consumer) -> str:
    with site.hub.database.reading() as work:
        row = work.connection.exec_driver_sql("SELECT state, error_code FROM drimbox_export ORDER BY id DESC").first()
    return f"{row[0]} {row[1]}".strip() if row is not None else ""


def count(site: Consumer) -> int:
    return len(list(site.study.instances))


def stored(archive: Site, uid: str) -> list[dict[str, object]]:
    found = httpx.get(f"{archive.dicomweb_url}/studies/{uid}/metadata", timeout=60)
    return list(found.json()) if found.status_code == 200 else []


def test_a_study_of_another_region_is_stored_under_the_local_number(
    site: Consumer, archive: Site, tmp_path: Path
) -> None:
    uid = site.study.study_instance_uid
    with site.browser() as browser:
        path, _ = opened(site, browser)
        answer = exported(browser, path)
        assert answer.is_redirect, answer.text
        assert until(lambda: state(site) == "done"), state(site)
        page = browser.get(path)
        assert f"{count(site)} stored" in page.text
        watched = page.text.split("/portal/exports/")
        assert len(watched) == 1, "nothing changes by itself any more"
    found = stored(archive, uid)
    assert len(found) == count(site)
    originals = {ds.SOPInstanceUID: ds for ds in map(dcmread, site.files.glob("*.dcm"))}
    for item in found:
        instance = item["00080018"]["Value"][0]  # type: ignore[index]
        series = item["0020000E"]["Value"][0]  # type: ignore[index]
        url = f"{archive.dicomweb_url}/studies/{uid}/series/{series}/instances/{instance}"
        body = httpx.get(url, headers={"Accept": 'multipart/related; type="application/dicom"'}, timeout=60).content
        file = tmp_path / "stored.dcm"
        file.write_bytes(body.split(b"\r\n\r\n", 1)[1].rsplit(b"\r\n--", 1)[0])
        ds, original = dcmread(file), originals[instance]
        assert (ds.PatientID, ds.IssuerOfPatientID) == (LOCAL.value, "LYON")
        assert ds.IssuerOfPatientIDQualifiersSequence[0].UniversalEntityID == OID
        assert ds.OtherPatientIDsSequence[-1].PatientID == original.PatientID
        change = ds.OriginalAttributesSequence[-1]
        assert change.ReasonForTheAttributeModification == "COERCE"
        assert change.ModifiedAttributesSequence[0].PatientID == original.PatientID
        assert ds.PixelData == original.PixelData
        assert ds.PatientName == original.PatientName
    asked, sent = site.records("PORTAL-EXPORT"), site.records("DRIM-EXPORT")
    assert (asked[0].principal_id, asked[0].error_code) == (NUMBER, "")
    assert (len(sent), sent[0].error_code) == (1, "")
    assert uid in str(sent[0])
    assert _objects(site) == 0


def _objects(site: Consumer) -> int:
    with site.hub.database.reading() as work:
        return int(work.connection.exec_driver_sql("SELECT COUNT(*) FROM drimbox_export_object").scalar() or 0)


def _failing(site: Consumer) -> list[bool]:
    """The archive is down, until what is given back is made False."""
    connector = site.hub.sources.get("PACS_A").connector
    store, down = connector.store, [True]  # type: ignore[attr-defined]

    def refusing(file: Path, *, timeout: float) -> None:
        if down[0]:
            raise SourceUnavailable(source="PACS_A")
        store(file, timeout=timeout)

    connector.store = refusing  # type: ignore[attr-defined]
    return down


def _again(site: Consumer) -> None:
    """What waits is due now."""
    with site.hub.database.transaction() as work:
        work.connection.exec_driver_sql("UPDATE exchange_delivery SET due_at = created_at")
    site.hub.exchange.wake()


def _says(site: Consumer, choice: Choice) -> None:
    command = RecordConsent(Consent("", LOCAL, Matter.CONSULTATION, choice, datetime.now(UTC)))
    site.hub.consents.record(command, Context(principal=HUB))


def test_who_opposes_while_the_archive_is_down_is_not_stored(site: Consumer, archive: Site) -> None:
    """Rights are asked last, at the delivery; taken back, what waits goes on."""
    before = len(stored(archive, site.study.study_instance_uid))
    down = _failing(site)
    with site.browser() as browser:
        path, _ = opened(site, browser)
        exported(browser, path)
        assert until(lambda: state(site) == "sending source-unavailable"), state(site)
        assert until(lambda: len(site.hub.exchange.deliveries(Page(state=DeliveryState.WAITING.value))) == 1)
        _says(site, Choice.OPPOSITION)
        down[0] = False
        _again(site)
        assert until(lambda: state(site) == "failed not-permitted-for-this-person"), state(site)
        assert until(lambda: len(site.hub.exchange.deliveries(Page(state=DeliveryState.DEAD.value))) == 1)
    (failed,) = site.hub.exchange.deliveries(Page(state=DeliveryState.DEAD.value))
    assert failed.error_code == "not-permitted-for-this-person"
    assert len(stored(archive, site.study.study_instance_uid)) == before
    assert site.records("DRIM-EXPORT")[0].error_code == "not-permitted-for-this-person"
    _says(site, Choice.CONSENT)
    site.hub.exchange.replay_delivery(ReplayDelivery(failed.id), Context(principal=HUB))
    assert until(lambda: state(site) == "done"), state(site)
    assert len(stored(archive, site.study.study_instance_uid)) == count(site)


def test_an_archive_that_is_down_gets_it_later(site: Consumer, archive: Site) -> None:
    """The outbox holds it, visibly, and nothing is fetched again."""
    down = _failing(site)
    with site.browser() as browser:
        path, _ = opened(site, browser)
        exported(browser, path)
        assert until(lambda: state(site) == "sending source-unavailable"), state(site)
        # the worker notes its attempt a moment after the room did
        assert until(lambda: len(site.hub.exchange.deliveries(Page(state=DeliveryState.WAITING.value))) == 1)
        (waiting,) = site.hub.exchange.deliveries(Page(state=DeliveryState.WAITING.value))
        assert (waiting.kind, waiting.destination, waiting.error_code) == (
            "export-study", "source:PACS_A", "source-unavailable",
        )  # fmt: skip
        assert "on its way" in browser.get(path).text
        down[0] = False
        _again(site)
        assert until(lambda: state(site) == "done"), state(site)
        assert len([item for item in site.source.asked if "/instances/" not in item[0]]) == 2, "each series once"
    assert len(stored(archive, site.study.study_instance_uid)) == count(site)


def test_what_is_refused(site: Consumer) -> None:
    with site.browser() as browser:
        path, _ = opened(site, browser)
        assert browser.post(f"{path}/export", data={"archive": "PACS_A"}).status_code == 403, "forged"
        assert exported(browser, path, "PACS_B").status_code == 404
        assert state(site) == ""


def test_a_box_that_fails_midway_leaves_nothing(site: Consumer) -> None:
    with site.browser() as browser:
        path, _ = opened(site, browser)
        held = site.source.manifests[site.manifest]
        last = site.study.series[-1].series_instance_uid
        kept = dict(held.files)
        held.files = {key: content for key, content in kept.items() if key[0] != last}
        assert exported(browser, path).is_redirect
        assert until(lambda: state(site).startswith("failed")), state(site)
        assert state(site) == "failed remote-unknown"
        assert _objects(site) == 0
        assert "not stored" in browser.get(path).text
        held.files = kept
        assert exported(browser, path).is_redirect
        assert until(lambda: state(site) == "done"), state(site)


def test_a_study_of_somebody_else_is_never_stored_as_this_persons(site: Consumer) -> None:
    """Past the pages: the room itself looks whose study it is."""
    from hub.drimbox.model import ExportStudy

    assert site.hub.drimbox.exports is not None
    person = site.hub.patients.person(LOCAL)
    assert person is not None
    command = ExportStudy(person.regional, site.study.study_instance_uid, "PACS_A")
    with pytest.raises(HubError, match="not known here"):
        site.hub.drimbox.exports.start(command, Context(principal=HUB))
