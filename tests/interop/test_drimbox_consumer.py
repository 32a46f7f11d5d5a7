"""DRIMbox consumer, over real sockets: a hospital's system calls with its certificate, a doctor signs in with a real
OpenID provider, finds the study in the simulated national record and reads its images from another region's box."""

import io
import re
from collections.abc import Iterator

import httpx
import pytest
from pydicom import dcmread

from hub.access.model import HUB
from hub.access.rights_model import Choice, Consent, Matter, RecordConsent
from hub.context import Context
from hub.imaging.model import InstanceRequest, RetrieveInstances
from hub.values import PatientIdentifier, now
from tests.connectors.dmp_site import INS
from tests.drimbox_site import Browser, Consumer, call, consumer, known
from tests.interop.oidc_provider import NUMBER, OpenIdProvider

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenIdProvider]:
    with OpenIdProvider() as provider:
        yield provider


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, provider: OpenIdProvider) -> Iterator[Consumer]:
    root = tmp_path_factory.mktemp("consumer")
    with consumer(root, provider, f"sqlite:///{root / 'hub.sqlite'}") as site:
        known(site)
        yield site


def called(site: Consumer, **changed: str) -> str:
    """Where a call leads."""
    with site.his() as his:
        answer = his.post("/portal/call", data=call(**changed))
    assert answer.status_code == 303, answer.text
    location = answer.headers["location"]
    assert re.fullmatch(rf"{re.escape(site.url)}/portal/call/[0-9a-f-]{{36}}", location)
    return str(location.removeprefix(site.url))


def arrived(browser: Browser, form: httpx.Response) -> httpx.Response:
    """Where somebody is whom the provider sends back, with what the page for signing in was opened for."""
    target = form.text.split('href="/portal/sign-in/provider?target=', 1)[1].split('"', 1)[0]
    return browser.go(browser.at_provider(f"f:550dc1c8:{NUMBER}", target=target))


def follow(browser: Browser, path: str) -> httpx.Response:
    """By the call's address, through the sign-in, to the patient."""
    form = browser.get(path)
    assert form.status_code == 200
    assert "/portal/sign-in/provider?target=" in form.text
    page = arrived(browser, form)
    if page.url.path == "/portal/sign-in/situation":
        page = browser.submit(page, "/portal/sign-in/situation", situation="1")
    return page


@pytest.mark.parametrize("situation", ["", "nowhere"])
def test_a_situation_that_is_none_of_theirs_is_not_chosen(site: Consumer, situation: str) -> None:
    with site.browser() as browser:
        page = choosing(browser, called(site, Situation=situation or "-"))
        assert " checked>" not in page.text


def test_the_call_s_situation_is_proposed_and_nothing_else_happens(site: Consumer) -> None:
    with site.browser() as browser:
        places = re.findall(r'<span class="number">([^<]+)</span>', choosing(browser, called(site)).text)
    assert len(places) == 2
    for number, place in enumerate(places):
        path = called(site, Situation=place)
        with site.browser() as browser:
            page = choosing(browser, path)
            assert re.findall(r'value="(\d+)" required checked', page.text) == [str(number)]
            page = browser.submit(page, "/portal/sign-in/situation", situation="1")
            assert page.status_code == 200, "the call is still theirs, and the person decided"
            assert "PAT-TROIS" in page.text


def choosing(browser: Browser, path: str) -> httpx.Response:
    """The page that asks in which situation somebody signs in for a call."""
    page = arrived(browser, browser.get(path))
    assert page.url.path == "/portal/sign-in/situation"
    return page


def shown(answer: httpx.Response) -> bool:
    """Every box answered: to the viewer, or to the page where no viewer is installed."""
    if answer.is_redirect:
        return str(answer.headers["location"]).startswith("/ohif/viewer?StudyInstanceUIDs=")
    return answer.status_code == 200 and "answers" in answer.text


def authorised(browser: Browser, page: httpx.Response) -> httpx.Response:
    """The doctor declares that they take part in the person's care (TD0.3), where they have not yet."""
    if "/national/authorise" not in page.text or "withdraw" in page.text:
        return page
    action = page.text.split('action="', 2)[2].split('"', 1)[0]
    answer = browser.post(action, data={"csrf": browser.csrf(page)})
    assert answer.is_redirect, answer.text
    browser.go(answer.headers["location"])
    return browser.get(str(page.url))


def opened(site: Consumer, browser: Browser) -> tuple[str, httpx.Response]:
    """(path of the study's page in the national record, the answer to "open the images")."""
    page = authorised(browser, follow(browser, called(site)))
    path = re.search(r'href="(/portal/national/[^"]+)"', page.text)
    assert path is not None, page.text
    return path.group(1), browser.get(f"{path.group(1)}/images")


def test_from_the_call_to_the_pixels(site: Consumer) -> None:
    """The whole way; no address says anything about the patient."""
    with site.browser() as browser:
        page = follow(browser, called(site, StudyInstanceUID=site.study.study_instance_uid, Modality="CT"))
        page = authorised(browser, page)
        assert "PAT-TROIS" in page.text
        assert "Only what the calling system looks for" in page.text
        for secret in (INS.value, "PAT-TROIS", site.study.study_instance_uid):
            assert secret not in str(page.url)
        path = re.search(r'href="(/portal/national/[^"]+)"', page.text)
        assert path is not None
        study = browser.get(path.group(1))
        assert "localhost" in study.text
        images = browser.get(f"{path.group(1)}/images")
        uid = site.study.study_instance_uid
        assert shown(images), images.text
        found = browser.get("/dicom-web/studies", params={"StudyInstanceUID": uid}).json()
        assert found[0]["0020000D"]["Value"] == [uid]
        assert found[0]["00080061"]["Value"] == ["CT"]
        series = browser.get(f"/dicom-web/studies/{uid}/series").json()
        assert len(series) == 2
        originals = {ds.SOPInstanceUID: ds for ds in map(dcmread, site.files.glob("*.dcm"))}
        metadata = browser.get(f"/dicom-web/studies/{uid}/metadata").json()
        assert {item["00080018"]["Value"][0] for item in metadata} == originals.keys()
        for one in site.study.series:
            root = f"/dicom-web/studies/{uid}/series/{one.series_instance_uid}"
            instance = one.instances[0].sop_instance_uid
            single = browser.get(f"{root}/instances/{instance}", headers={"Accept": "application/dicom"})
            assert dcmread(io.BytesIO(single.content)).PixelData == originals[instance].PixelData
            frame = browser.get(f"{root}/instances/{instance}/frames/1")
            assert originals[instance].PixelData in frame.content
            rendered = browser.get(f"{root}/instances/{instance}/rendered", headers={"Accept": "image/png"})
            assert rendered.content.startswith(b"\x89PNG")
    paths, manifests, tokens = zip(*site.source.asked, strict=True)
    assert set(manifests) == {site.manifest}
    assert all(path.startswith(f"/rs/studies/{uid}/series/") for path in paths)
    assert len(set(tokens)) >= 1
    assert site.tokens.seen
    calls, remote = site.records("DRIM-CALL"), site.records("PORTAL-REMOTE")
    assert (calls[0].principal_id, calls[0].error_code) == ("his", "")
    assert (remote[0].principal_id, remote[0].error_code) == (NUMBER, "")
    assert uid in str(remote[0])
    assert site.manifest in str(remote[0])
    assert any(record.principal_id == NUMBER for record in site.records("RAD-107"))


def test_nobody_else_sees_what_is_open_in_a_session(site: Consumer) -> None:
    with site.browser() as browser, site.browser() as other, site.his() as his:
        opened(site, browser)
        uid = site.study.study_instance_uid
        other.enter()
        assert browser.get(f"/dicom-web/studies/{uid}/series").status_code == 200
        assert other.get(f"/dicom-web/studies/{uid}/series").status_code == 204
        assert other.get(f"/dicom-web/studies/{uid}").status_code == 404
        assert his.get(f"/dicom-web/studies/{uid}").status_code == 403
        stray = "2.25.123456789"
        series = site.study.series[0].series_instance_uid
        assert browser.get(f"/dicom-web/studies/{uid}/series/{stray}").status_code == 404
        assert browser.get(f"/dicom-web/studies/{uid}/series/{series}/instances/{stray}").status_code == 404
        browser.post("/portal/sign-out", data={"csrf": browser.csrf(browser.get("/portal/search"))})
        assert browser.get(f"/dicom-web/studies/{uid}/series").status_code == 401


def problems(answer: httpx.Response) -> tuple[int, str, list[str]]:
    found = answer.json()
    assert INS.value not in answer.text
    assert "PAT-TROIS" not in answer.text
    return answer.status_code, found["code"], found.get("fields", [])


def test_what_is_wrong_with_a_call_is_said_field_by_field(site: Consumer) -> None:
    informed = "InformationEtOppositionConsultation"
    before = len(site.records("DRIM-CALL"))
    with site.his() as his:

        def refused(**changed: str) -> tuple[int, str, list[str]]:
            return problems(his.post("/portal/call", data=call(**changed)))

        wrong = (400, "call-unfit")
        assert refused(**{informed: "-"}) == (*wrong, [informed])
        assert refused(**{informed: "false"}) == (*wrong, [informed])
        assert refused(Patient__gender="-", Patient__birthDate="1979-02-30") == (
            *wrong, ["Patient.gender", "Patient.birthDate"],
        )  # fmt: skip
        assert refused(Patient__identifier__value="12345") == (*wrong, ["Patient.identifier.value"])
        assert refused(Address__district="Rennes") == (*wrong, ["Address.district"])
        assert refused(StudyInstanceUID="../../etc/passwd") == (*wrong, ["StudyInstanceUID"])
        assert refused(Modality="ct'--") == (*wrong, ["Modality"])
        assert refused(Foo="bar") == (*wrong, ["?"])
        twice = {**call(), "Patient.gender": ["female", "female"], "patientid": "7"}
        assert problems(his.post("/portal/call", data=twice)) == (*wrong, ["Patient.gender", "PatientID"])
        assert refused(PatientIDIssuer="1.2.3.999") == (400, "unknown-authority", [])
        assert problems(his.post("/portal/call", data={"Modality": "CT"}))[2][0] == "Patient.identifier.value"
        assert his.post("/portal/call?Modality=CT", data=call()).status_code == 400
        assert his.post("/portal/call", json=call()).status_code == 400
        older = call(InformationEtConsentement="true", **{informed: "-"})
        assert his.post("/portal/call", data=older).status_code == 303
    assert len(site.records("DRIM-CALL")) == before + 14


def test_a_call_cannot_be_forged(site: Consumer) -> None:
    with site.his("") as nobody, site.his("other") as other, site.browser() as browser:
        assert nobody.post("/portal/call", data=call()).status_code == 401
        assert other.post("/portal/call", data=call()).status_code == 403
        browser.enter()
        assert browser.post("/portal/call", data=call()).status_code == 401, "a session is no system"
        assert browser.get("/portal/call/00000000-0000-4000-8000-000000000000").status_code == 404
        assert browser.get("/portal/call/..%2f..%2fx").status_code == 404


def test_a_call_is_for_one_session_and_for_a_while(site: Consumer) -> None:
    with site.browser() as browser, site.browser() as other:
        path = called(site)
        page = follow(browser, path)
        assert "PAT-TROIS" in page.text
        assert browser.get(path).status_code == 303, "the same session may come again"
        other.enter()
        before = len(site.records("PORTAL-CALL"))
        again = other.get(path)
        assert again.status_code == 404
        assert "PAT-TROIS" not in again.text
        assert len(site.records("PORTAL-CALL")) == before + 1
        late = called(site)
        with site.hub.database.transaction() as work:
            work.connection.exec_driver_sql("UPDATE drimbox_call SET expires_at = created_at")
        assert browser.get(late).status_code == 404
        site.hub.drimbox.calls.sweep()
        assert not _rows(site, "drimbox_call")


def _rows(site: Consumer, table: str) -> int:
    with site.hub.database.reading() as work:
        return int(work.connection.exec_driver_sql(f"SELECT COUNT(*) FROM {table}").scalar() or 0)


def test_what_the_database_keeps_of_a_call_says_nothing(site: Consumer) -> None:
    called(site)
    with site.hub.database.reading() as work:
        rows = str(work.connection.exec_driver_sql("SELECT * FROM drimbox_call").fetchall())
    assert "PAT-TROIS" not in rows
    assert INS.value not in rows


def test_a_call_that_contradicts_what_is_known(site: Consumer) -> None:
    with site.browser() as browser:
        browser.enter()
        for changed in (
            {"Patient__birthDate": "1980-03-01"},
            {"Patient__gender": "male"},
            {"Patient__name__family": "PAT-QUATRE"},
            {"Patient__identifier__value": "279035121519088"},
        ):
            answer = browser.get(called(site, **changed))
            assert answer.status_code == 409, changed
            assert "PAT-TROIS" not in answer.text


def test_a_patient_whom_nobody_knows_is_announced_by_the_call(site: Consumer) -> None:
    """The calling system may announce patients (patients.feed); who may not is told so."""
    with site.browser() as browser:
        browser.enter()
        path = called(
            site, PatientID="LYON-8", Patient__identifier__value="180017500100005", Patient__name__family="NOUVEAU",
            Patient__name__given="LEON", Patient__gender="male", Patient__birthDate="19800101",
        )  # fmt: skip
        page = browser.go(path)
        assert "NOUVEAU" in page.text
        person = site.hub.patients.person(PatientIdentifier("LYON-8", "1.2.250.1.999.83"))
        assert person is not None
        assert person.ins == PatientIdentifier("180017500100005", INS.authority)


def test_each_answer_of_the_box_is_said(site: Consumer) -> None:
    held = site.source.manifests[site.manifest]
    with site.browser() as browser:
        path, _ = opened(site, browser)
        held.gone = True
        try:
            gone = browser.get(f"{path}/images")
        finally:
            held.gone = False
        assert (gone.status_code, "withdrawn by who published it" in gone.text) == (502, True)
        site.tokens.refuse = True
        try:
            refused = browser.get(f"{path}/images")
        finally:
            site.tokens.refuse = False
        assert (refused.status_code, "does not let the reader in" in refused.text) == (502, True)
        site.source.manifests.pop(site.manifest)
        try:
            unknown = browser.get(f"{path}/images")
        finally:
            site.source.manifests[site.manifest] = held
        assert (unknown.status_code, "does not know them" in unknown.text) == (502, True)
        asked = len(site.source.asked)
        site.trust("somewhere.test", "2026-01-02T00:00:00Z")
        try:
            stranger = browser.get(f"{path}/images")
            assert (stranger.status_code, "not on the list of trusted DRIMboxes" in stranger.text) == (502, True)
            uid = site.study.study_instance_uid
            assert browser.get(f"/dicom-web/studies/{uid}").status_code == 502, "open before, and not trusted now"
            assert len(site.source.asked) == asked, "nothing was asked of it"
        finally:
            site.trust(site.place, "2026-01-03T00:00:00Z")
        assert shown(browser.get(f"{path}/images"))


def test_an_opposition_counts_at_the_next_request(site: Consumer) -> None:
    person = site.hub.patients.person(INS)
    assert person is not None
    uid = site.study.study_instance_uid

    def say(choice: Choice) -> None:
        consent = Consent("", person.regional, Matter.CONSULTATION, choice, now())
        site.hub.consents.record(RecordConsent(consent), Context(principal=HUB))

    with site.browser() as browser:
        path, _ = opened(site, browser)
        assert browser.get(f"/dicom-web/studies/{uid}/series").status_code == 200
        say(Choice.OPPOSITION)
        try:
            assert browser.get(f"/dicom-web/studies/{uid}/series").status_code == 204
            assert browser.get(f"/dicom-web/studies/{uid}").status_code == 404
            assert browser.get(f"{path}/images").status_code in (403, 404)
        finally:
            say(Choice.CONSENT)
        assert browser.get(f"/dicom-web/studies/{uid}/series").status_code == 200


def test_the_hub_itself_reads_nothing_of_another_region(site: Consumer) -> None:
    """Without a session there is nothing to ask with."""
    request = InstanceRequest(site.study.study_instance_uid)
    items = list(site.hub.imaging.retrieve(RetrieveInstances((request,)), Context(principal=HUB)))
    assert all(not hasattr(item, "chunks") for item in items)
