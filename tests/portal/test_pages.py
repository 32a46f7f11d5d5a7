"""The clinicians' pages over a real socket."""

import re
from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest

from hub.imaging.model import SourceState, SourceStatus, StudyAnswer
from hub.portal.clinical import counted_index
from tests.portal.conftest import Server, field, sign_in
from tests.portal.made_up import CT, MARTIN, MR

SignedIn = Callable[[str], httpx.Client]


def search(client: httpx.Client, **criteria: str) -> httpx.Response:
    page = client.get("/portal/search")
    return client.post("/portal/search", data={"csrf": field(page.text, "csrf"), **criteria}, follow_redirects=True)


def open_person(client: httpx.Client) -> httpx.Response:
    found = search(client, identifier="A-10023")
    (path,) = re.findall(r'href="(/portal/person/[^"]+)"', found.text)
    return client.get(path)


def test_everything_needs_a_session(client: httpx.Client) -> None:
    for path in ("/", "/portal", "/portal/search", "/portal/person/x", "/portal/operator", "/portal/operator/audit"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/portal/sign-in"), path


def test_signing_in_and_out(server: Server, client: httpx.Client) -> None:
    answer = sign_in(client, "claire")
    assert answer.url.path == "/portal/search"
    assert "Dr Claire Fontaine" in answer.text
    cookie = next(one for one in answer.history[0].headers.get_list("set-cookie") if one.startswith("maillage_session"))
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    client.post("/portal/sign-out", data={"csrf": field(answer.text, "csrf")})
    assert client.get("/portal/search").status_code == 303
    told = [record.transaction for record in server.hub.audit.records[:3]]
    assert told == ["PORTAL-PAGE", "PORTAL-SIGN-OUT", "PORTAL-SIGN-IN"]


def test_a_wrong_password_is_refused_and_audited(server: Server, client: httpx.Client) -> None:
    form = client.get("/portal/sign-in")
    data = {"csrf": field(form.text, "csrf"), "login": "claire", "password": "wrong"}
    answer = client.post("/portal/sign-in", data=data)
    assert answer.status_code == 401
    assert "incorrect" in answer.text
    assert "wrong" not in answer.text
    (record,) = server.hub.audit.records
    assert (record.transaction, record.error_code) == ("PORTAL-SIGN-IN", "not-authenticated")


@pytest.mark.parametrize(
    "criteria", [{"identifier": "778812"}, {"identifier": "2 56 05 13 055 001 13"}, {"name": "martin"}]
)
def test_a_search_finds_the_person_and_its_address_says_nothing(signed_in: SignedIn, criteria: dict[str, str]) -> None:
    answer = search(signed_in("claire"), **criteria)
    assert "MARTIN" in answer.text
    for word in (*criteria.values(), "martin", "MARTIN", "1956"):
        assert word not in str(answer.url)
        assert all(word not in link for link in re.findall(r'href="([^"]+)"', answer.text))
    assert "<title>Trouver un patient · Maillage</title>" in answer.text


@pytest.mark.parametrize(
    ("criteria", "said"),
    [
        ({}, "Saisissez un identifiant"),
        ({"name": "martin", "birth_date": "31/02/1956"}, "JJ/MM/AAAA"),
        ({"name": "m"}, "trop large"),
        ({"name": "zzz"}, "Aucun patient ne correspond"),
    ],
)
def test_a_search_that_finds_nobody_says_why(signed_in: SignedIn, criteria: dict[str, str], said: str) -> None:
    assert said in search(signed_in("claire"), **criteria).text


def test_a_page_of_persons_is_not_all_of_them(
    server: Server, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody = [replace(MARTIN, regional=replace(MARTIN.regional, value=f"REG-{number}")) for number in range(30)]
    monkeypatch.setattr(server.hub.patients, "everybody", lambda: everybody)
    client = signed_in("claire")
    first = search(client, name="martin")
    assert "25 sur cette page" in first.text
    assert "Première page" not in first.text
    (path,) = re.findall(r'href="(/portal/search/[^"]+)">Page suivante', first.text)
    second = client.get(path).text
    assert "5 sur cette page" in second
    (path,) = re.findall(r'href="(/portal/search/[^"]+)">Première page', second)
    assert "25 sur cette page" in client.get(path).text


def test_the_timeline_has_studies_and_documents_with_their_origin(signed_in: SignedIn) -> None:
    page = open_person(signed_in("claire")).text
    for text in ("TDM thoracique avec injection", "CH d&#39;Aix", "Lettre de sortie", "626 images", "En attente"):
        assert text in page
    assert "Manifest" not in page, "manifests are for systems"
    order = [page.index(text) for text in ("TDM thoracique", "IRM du genou", "Lettre de sortie", "Fichier joint")]
    assert order == sorted(order)
    assert page.count("Compte rendu de scanner thoracique") == 1, "a study's report is shown with the study only"


def test_each_archive_answers_for_itself(signed_in: SignedIn) -> None:
    client = signed_in("claire")
    page = open_person(client)
    paths = re.findall(r'data-load="([^"]+)"', page.text)
    assert len(paths) == 3
    aix, roch, digne = (client.get(path, headers={"X-Requested-With": "portal"}).text for path in paths)
    assert "1 examen" in aix
    assert "Échographie abdominale" in roch
    assert "pas encore publié" in roch
    assert "elle en contient d&#39;autres · 2 examens" in roch
    assert 'data-reveal="#incomplete"' in roch
    assert "incomplete" not in aix
    assert "n&#39;a pas répondu à temps" in digne
    assert 'data-reveal="#incomplete"' in digne
    keys = set(re.findall(r'data-key="([^"]+)"', page.text))
    assert set(re.findall(r'data-key="([^"]+)"', aix)) <= keys, "rows are recognised whoever told of them"
    whole = client.get(f"{page.url}?live=1").text
    assert "Échographie abdominale" in whole
    assert "La liste peut être incomplète" in whole


def test_an_index_that_holds_more_than_a_page_says_so() -> None:
    status = SourceStatus("index", SourceState.INDEX, 1)
    assert counted_index(StudyAnswer((CT,), (status,), 1)) == status
    assert counted_index(StudyAnswer((CT,), (status,), 501, more=True)).state is SourceState.CUT


def test_a_long_timeline_has_further_pages(server: Server, signed_in: SignedIn) -> None:
    client = signed_in("claire")
    page = open_person(client)
    assert "?offset=" not in page.text
    server.hub.imaging.page = 1
    first = client.get(page.url)
    assert ("TDM thoracique" in first.text, "IRM du genou" in first.text) == (True, False)
    assert "Lettre de sortie" in first.text
    (after,) = re.findall(r'href="([^"]+[?]offset=1)"', first.text)
    second = client.get(after).text
    assert ("TDM thoracique" in second, "IRM du genou" in second, "Lettre de sortie" in second) == (False, True, False)
    assert ("data-load" in second, "?offset=" in second, "Première page" in second) == (False, False, True)
    assert client.get(f"{page.url}?offset=x").text.count("TDM thoracique") == first.text.count("TDM thoracique")


def test_a_study_shows_series_and_report(signed_in: SignedIn) -> None:
    client = signed_in("claire")
    path = re.findall(r'<h3><a href="(/portal/study/[^"]+)"', open_person(client).text)[0]
    page = client.get(path).text
    for text in ("Thorax 1.0 Br40", "312", "ACC-2024-118", "Compte rendu de scanner thoracique", "BERNARD PAUL"):
        assert text in page
    assert "python -m hub.portal.install_viewer" in page
    assert client.get(f"{path}/images").status_code == 501


def test_a_report_is_shown_safely_and_can_be_downloaded(server: Server, signed_in: SignedIn) -> None:
    client = signed_in("claire")
    path = re.findall(r'href="(/portal/document/[^"]+)"', open_person(client).text)[0]
    page = client.get(path).text
    assert "<strong>recherche de\nnodule</strong>" in page
    assert "alert(1)" not in page
    assert "onclick" not in page
    original = client.get(f"{path}/original")
    assert original.headers["content-disposition"].startswith("attachment")
    assert original.content.startswith(b"<?xml")
    assert "default-src 'none'" in original.headers["content-security-policy"]
    assert "PORTAL-DOCUMENT" in {record.transaction for record in server.hub.audit.records}


def test_documents_of_other_types(signed_in: SignedIn) -> None:
    client = signed_in("claire")
    page = open_person(client).text
    titles = {}
    for path, title in re.findall(r'<h3><a href="(/portal/document/[^"]+)">([^<]+)', page):
        titles[title] = client.get(path).text, path
    text, _ = titles["Lettre de sortie"]
    assert "&lt;b&gt;tout&lt;/b&gt; va bien." in text
    pdf, path = titles["Compte rendu opératoire"]
    assert f'src="{path}/original?inline=1"' in pdf
    shown = client.get(f"{path}/original?inline=1")
    assert (shown.headers["content-type"], shown.headers["content-disposition"]) == ("application/pdf", "inline")
    unknown, path = titles["Fichier joint"]
    assert "téléchargez" in unknown
    assert client.get(f"{path}/original?inline=1").headers["content-type"] == "application/octet-stream"


def test_handles_do_not_outlive_the_session(signed_in: SignedIn) -> None:
    client = signed_in("claire")
    path = open_person(client).url.path
    client.cookies.clear()
    again = signed_in("claire").get(path)
    assert again.status_code == 404
    assert "n&#39;existe pas" in again.text
    assert "appartient à une autre session" in again.text, "in the page's language"


def test_every_step_is_audited(server: Server, signed_in: SignedIn) -> None:
    open_person(signed_in("claire"))
    seen = [record.transaction for record in reversed(server.hub.audit.records)]
    assert seen == ["PORTAL-SIGN-IN", "PORTAL-SEARCH", "PORTAL-PERSON", "PORTAL-STUDIES", "PORTAL-DOCUMENTS"]
    assert {record.principal_id for record in server.hub.audit.records} == {"claire"}


def test_the_language_switch(signed_in: SignedIn) -> None:
    client = signed_in("claire")
    answer = client.get("/portal/language/en?next=/portal/search", follow_redirects=True)
    assert '<html lang="en">' in answer.text
    assert "Find a patient" in answer.text
    for target in ("https://example.org/", "//example.org/", "/portal/\\example.org"):
        assert client.get("/portal/language/fr", params={"next": target}).headers["location"] == "/portal"


def test_the_language_switch_comes_back_to_the_page(server: Server, signed_in: SignedIn) -> None:
    """With what narrowed it; from what answers a form, to the form's page."""
    client = signed_in("zoe")
    (path,) = re.findall(
        r'href="(/portal/language/en[^"]+)"', client.get("/portal/operator/messages?state=refused").text
    )
    answer = client.get(path, follow_redirects=True)
    assert (answer.url.path, answer.url.query) == ("/portal/operator/messages", b"state=refused")
    message = client.get("/portal/operator/messages/m3")
    data = {"csrf": field(message.text, "csrf")}
    for referer, expected in (
        (f"{server.url}/portal/operator/messages/m3", "/portal/operator/messages/m3"),
        ("https://elsewhere.example/portal/x", "/portal/operator/messages/m3/raw"),
    ):
        raw = client.post("/portal/operator/messages/m3/raw", data=data, headers={"Referer": referer}).text
        assert f'"/portal/language/fr?next={expected}"' in raw


def test_how_an_identity_was_checked_is_shown(signed_in: SignedIn) -> None:
    page = open_person(signed_in("claire")).text
    for words in ("téléservice INSi", "05/01/2024", "31/12/2030", "31/02/1979", "autre, sans activité professionnelle"):
        assert words in page
    assert "&lt;b&gt;X" in page, "a code that no table has is shown as it came"


def test_a_report_stands_with_its_study_on_a_later_page(server: Server, signed_in: SignedIn) -> None:
    client = signed_in("claire")
    server.hub.imaging.page, server.hub.imaging.indexed = 1, (MR, CT)
    page = open_person(client)
    assert "Compte rendu de scanner thoracique" not in page.text
    assert "Lettre de sortie" in page.text
    assert "Compte rendu de scanner thoracique" in client.get(f"{page.url}?offset=1").text
