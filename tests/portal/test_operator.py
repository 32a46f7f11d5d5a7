"""The operators' pages over a real socket."""

import re
from collections.abc import Callable
from html import unescape

import httpx
import pytest

from hub.connector.loader import SourceHealth
from tests.portal.conftest import Server, field

SignedIn = Callable[[str], httpx.Client]
ROOT = "/portal/operator"


def post(client: httpx.Client, path: str, page: str, **headers: str) -> httpx.Response:
    csrf = field(client.get(page).text, "csrf")
    return client.post(path, data={"csrf": csrf}, headers=headers, follow_redirects=True)


def test_an_operator_lands_on_the_overview(signed_in: SignedIn) -> None:
    client = signed_in("omar")
    page = client.get("/portal", follow_redirects=True)
    assert page.url.path == ROOT
    assert "Messages refusés" in page.text
    assert "CH de Digne" in page.text
    assert 'href="/portal/search"' not in page.text
    part = client.get(ROOT, headers={"X-Requested-With": "portal"})
    assert "<html" not in part.text


def test_a_vocabulary_file_that_is_not_used_is_told_of(server: Server, signed_in: SignedIn) -> None:
    client = signed_in("omar")
    assert "vocabulaire" not in client.get(ROOT).text
    server.hub.problem = "The vocabulary file is not readable JSON <b>."
    page = client.get(ROOT).text
    assert "vocabulaire" in page
    assert "not readable JSON &lt;b&gt;." in page


def test_an_operator_sees_no_patient_and_a_clinician_no_message(signed_in: SignedIn) -> None:
    client = signed_in("omar")
    csrf = field(client.get(ROOT).text, "csrf")
    found = client.post("/portal/search", data={"csrf": csrf, "name": "martin"}, follow_redirects=True)
    assert found.status_code == 403
    assert "MARTIN" not in found.text
    client.cookies.clear()
    client = signed_in("claire")
    for path in (
        ROOT,
        f"{ROOT}/messages",
        f"{ROOT}/messages/m1",
        f"{ROOT}/deliveries",
        f"{ROOT}/sources",
        f"{ROOT}/audit",
    ):
        assert client.get(path).status_code == 403, path


def test_the_last_check_of_what_is_published(signed_in: SignedIn) -> None:
    page = signed_in("omar").get(ROOT).text
    assert "face à ce que détiennent les sources" in page
    for label, count in (("Examens vérifiés", "1\u202f204"), ("Examens différents", 3), ("Réparations demandées", 3)):
        assert re.search(rf"{label}</span> <span class=\"source-state\">{count}<", page), label


def test_subscriptions_without_patient_or_path(signed_in: SignedIn) -> None:
    page = signed_in("omar").get(ROOT).text
    assert "Abonnements" in page
    assert "ris-digne" in page
    assert "ris.digne.example" in page
    assert "point de retrait du hub" in page
    assert page.count("tous les patients") == 1
    assert "SECRET-NUMBER" not in page
    assert "secret-path" not in page


def test_messages_with_state_reason_and_effects(signed_in: SignedIn) -> None:
    client = signed_in("omar")
    page = client.get(f"{ROOT}/messages").text
    for text in ("ADT^A28", "PID-3 names no assigning authority.", "Refusé", "2.25.100"):
        assert text in page
    only = client.get(f"{ROOT}/messages?state=refused").text
    assert "ADT^A28" in only
    assert "ORU^R01" not in only


def test_filters_stay_out_of_the_address(signed_in: SignedIn) -> None:
    client = signed_in("omar")
    csrf = field(client.get(f"{ROOT}/messages").text, "csrf")
    data = {"csrf": csrf, "state": "processed", "source": "HIS_A", "text": ""}
    answer = client.post(f"{ROOT}/messages", data=data, follow_redirects=True)
    assert "HIS_A" not in str(answer.url)
    assert "ADT^A04" in answer.text
    assert "ADT^A28" not in answer.text
    assert 'value="HIS_A"' in answer.text


def test_an_empty_list_says_whether_it_was_filtered(server: Server, signed_in: SignedIn) -> None:
    client = signed_in("omar")
    assert "Aucun message ne correspond" in client.get(f"{ROOT}/messages?state=received").text
    assert "Aucun envoi ne correspond" in client.get(f"{ROOT}/deliveries?state=discarded").text
    server.hub.exchange.inbox.clear()
    server.hub.exchange.outbox.clear()
    for path, words in (("", "Aucun message"), ("/messages", "Aucun message"), ("/deliveries", "Aucun envoi")):
        assert f"{words} pour l'instant" in unescape(client.get(ROOT + path).text), path


def test_a_refused_message_is_replayed(server: Server, signed_in: SignedIn) -> None:
    client = signed_in("omar")
    answer = post(client, f"{ROOT}/messages/m3/replay", f"{ROOT}/messages/m3")
    assert "Le message a été rejoué." in answer.text
    assert server.hub.exchange.inbox["m3"].state == "processed"
    assert "PORTAL-MESSAGE-REPLAY" in {record.transaction for record in server.hub.audit.records}


def test_a_message_is_put_away(server: Server, signed_in: SignedIn) -> None:
    post(signed_in("omar"), f"{ROOT}/messages/m3/discard", f"{ROOT}/messages/m3")
    assert server.hub.exchange.inbox["m3"].state == "discarded"


def test_raw_content_is_for_those_who_may(server: Server, signed_in: SignedIn) -> None:
    client = signed_in("omar")
    page = client.get(f"{ROOT}/messages/m3").text
    assert "MARTIN" not in page
    assert "/raw" not in page
    assert post(client, f"{ROOT}/messages/m3/raw", f"{ROOT}/messages/m3").status_code == 403
    client.cookies.clear()
    client = signed_in("zoe")
    shown = post(client, f"{ROOT}/messages/m3/raw", f"{ROOT}/messages/m3").text
    assert "PID|||778812||MARTIN^JEANNE␁" in shown
    record = next(
        one for one in server.hub.audit.records if one.transaction == "PORTAL-MESSAGE-RAW" and not one.error_code
    )
    assert record.principal_id == "zoe"


def test_a_dead_letter_is_replayed(server: Server, signed_in: SignedIn) -> None:
    client = signed_in("omar")
    page = client.get(f"{ROOT}/deliveries?state=dead").text
    assert "La source ne répond pas." in page
    assert "Abandonné" in page
    answer = post(client, f"{ROOT}/deliveries/d1/replay", f"{ROOT}/deliveries/d1")
    assert "relancé" in answer.text
    assert server.hub.exchange.outbox["d1"].state == "waiting"


def test_sources_are_tested(signed_in: SignedIn) -> None:
    client = signed_in("omar")
    page = client.get(f"{ROOT}/sources").text
    assert "CH de Digne" in page
    assert "jamais" in page
    part = post(client, f"{ROOT}/sources/PACS_B/check", f"{ROOT}/sources", **{"X-Requested-With": "portal"}).text
    assert "<html" not in part
    assert "réussi" in part
    assert "échoué" in part
    whole = post(client, f"{ROOT}/sources/PACS_C/check", f"{ROOT}/sources").text
    assert "La source ne répond pas." in whole
    assert post(client, f"{ROOT}/sources/NOWHERE/check", f"{ROOT}/sources").status_code == 404


def test_the_hubs_own_archive_has_a_name(server: Server, signed_in: SignedIn) -> None:
    server.hub.sources.states["HUB"] = SourceHealth("HUB", "hub", "HUB")
    client = signed_in("omar")
    for page in (client.get(ROOT).text, client.get(f"{ROOT}/sources").text):
        assert "Archive du hub" in page


def test_the_audit_trail_is_paged(server: Server, signed_in: SignedIn) -> None:
    client = signed_in("omar")
    for _ in range(60):
        client.get(f"{ROOT}/messages/m1")
    first = client.get(f"{ROOT}/audit").text
    assert first.count("<tr>") == 51
    assert "cursor=50" in first
    assert "PORTAL-SIGN-IN" in client.get(f"{ROOT}/audit?cursor=50").text


@pytest.mark.parametrize("path", ["/messages/none", "/deliveries/none", "/messages?filter=nonsense"])
def test_what_is_not_there(signed_in: SignedIn, path: str) -> None:
    answer = signed_in("omar").get(ROOT + path)
    assert answer.status_code == 404
