"""The page of a document's life, in the small region."""

import re

import httpx

from tests.portal.conftest import Server
from tests.portal.test_pages import SignedIn, open_person


def life_of(client: httpx.Client, title: str = "Compte rendu de scanner thoracique") -> httpx.Response:
    person = open_person(client).text
    paths = re.findall(r'href="(/portal/document/[^"/]+)"', person)
    path = next(path for path in dict.fromkeys(paths) if title in client.get(path).text)
    assert f'href="{path}/life"' in client.get(path).text
    return client.get(f"{path}/life")


def test_everything_is_told_in_both_directions(signed_in: SignedIn) -> None:
    page = life_of(signed_in("claire"))
    assert page.status_code == 200
    for text in (
        "remplace", "Compte rendu provisoire", "est complété par", "Lettre de sortie", "est lié à", "Envoi du soir",
        "a apporté le document", "Rappel", "y a fait référence", "Suivi du thorax", "Thorax",
    ):  # fmt: skip
        assert text in page.text
    assert page.text.index("Envoi du soir") < page.text.index("Rappel"), "by time of submission"
    assert "<title>Vie d&#39;un document" in page.text


def test_another_persons_document_stays_unnamed(signed_in: SignedIn) -> None:
    page = life_of(signed_in("claire")).text
    assert "quelqu&#39;un d&#39;autre" not in page
    assert "Un document absent de ce dossier" in page


def test_who_read_it_is_for_those_who_may_read_the_trail(server: Server, signed_in: SignedIn) -> None:
    page = life_of(signed_in("claire")).text
    assert "personnes habilitées" in page
    assert not [one for one in server.hub.audit.records if one.transaction == "PORTAL-READERS"]
    with httpx.Client(base_url=server.url, headers={"Accept-Language": "en"}) as client:
        from tests.portal.conftest import sign_in

        assert sign_in(client, "zoe").status_code == 200
        seen = life_of(client).text
    assert "Dr Claire Fontaine" in seen
    assert "Read a document" in seen
    assert "PORTAL-DOCUMENT" not in seen
    [record] = [one for one in server.hub.audit.records if one.transaction == "PORTAL-READERS"]
    assert record.event_code == "110101", "looking at the trail is itself recorded"


def test_an_operator_may_not(signed_in: SignedIn, server: Server) -> None:
    path = life_of(signed_in("claire")).url.path
    with httpx.Client(base_url=server.url) as client:
        from tests.portal.conftest import sign_in

        sign_in(client, "omar")
        assert client.get(path).status_code == 404, "a handle of another session is none"
    with httpx.Client(base_url=server.url) as client:
        assert client.get(path).status_code == 303


def test_no_address_tells_of_a_person(signed_in: SignedIn) -> None:
    page = life_of(signed_in("claire"))
    for word in ("MARTIN", "REG-000417", "2.25.100", "1956"):
        assert word not in str(page.url)
        assert all(word not in link for link in re.findall(r'href="([^"]+)"', page.text))
