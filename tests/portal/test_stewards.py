"""The stewards' pages over a real socket, in the small region."""

import html
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from hub.patients.model import TaskKind
from hub.portal.casework import MOST_SIDES
from hub.values import now
from tests.portal.conftest import Server, field, sign_in
from tests.portal.stewarding import HOSTILE, QUESTIONS

SignedIn = Callable[[str], httpx.Client]
ROOT = "/portal/steward"


def task(number: int) -> str:
    return f"{ROOT}/task/{number}"


def decide(client: httpx.Client, number: int, verdict: str, reason: str = "Vérifié", **more: str) -> httpx.Response:
    query = {"other": more.pop("other")} if "other" in more else {}
    page = client.get(task(number), params=query)
    data = {"csrf": field(page.text, "csrf"), "asked": field(page.text, "asked"), "verdict": verdict, "reason": reason}
    return client.post(task(number), params=query, data=data | more, follow_redirects=True)


def test_a_steward_lands_on_the_worklist(signed_in: SignedIn) -> None:
    page = signed_in("sylvie").get("/portal", follow_redirects=True)
    assert page.url.path == ROOT
    for text in ("Doublon possible", "Collision d&#39;INS", "Lien peut-être faux", "Examens sans patient"):
        assert text in page.text
    order = [page.text.index(f'id="task-{number}"') for number in range(1, len(QUESTIONS) + 1)]
    assert order == sorted(order), "the oldest first"
    assert re.search(r"Toutes <b>8</b>", page.text)


@pytest.mark.parametrize("who", ["claire", "omar"])
def test_others_may_not_and_it_is_recorded(server: Server, signed_in: SignedIn, who: str) -> None:
    client = signed_in(who)
    for path in (ROOT, task(1), f"{ROOT}/orphans", f"{ROOT}/next"):
        answer = client.get(path)
        assert answer.status_code == 403, path
        assert "NGUYEN" not in answer.text
    csrf = field(client.get("/portal/search").text, "csrf") if who == "claire" else ""
    csrf = csrf or field(client.get("/portal/operator/messages").text, "csrf")
    assert client.post(task(1), data={"csrf": csrf, "verdict": "same", "reason": "x"}).status_code in (403, 404)
    refused = [one.transaction for one in server.hub.audit.records if one.error_code == "access-denied"]
    assert {"PORTAL-WORKLIST", "PORTAL-TASK", "PORTAL-ORPHANS"} <= set(refused)
    assert f'href="{ROOT}"' not in client.get("/portal/search" if who == "claire" else "/portal/operator").text


def test_by_kind_and_page_by_page(server: Server, signed_in: SignedIn) -> None:
    client = signed_in("sylvie")
    page = client.get(f"{ROOT}?kind=possible").text
    assert page.count('class="card task"') == 2
    assert "NGUYEN" not in page
    assert client.get(f"{ROOT}?kind=nonsense").text.count('class="card task"') == 8
    first = server.hub.index.questions[0]
    server.hub.index.questions += [replace(first, id=number) for number in range(9, 60)]
    page = client.get(ROOT).text
    assert page.count('class="card task"') == 25
    [more] = re.findall(r'href="([^"]+)" rel="next"', page)
    assert 'id="task-26"' in client.get(html.unescape(more)).text
    assert client.get(f"{ROOT}?kind={TaskKind.COLLISION}&cursor=3").text.count('class="card task"') == 0


def test_both_sides_with_their_differences(server: Server, signed_in: SignedIn) -> None:
    page = signed_in("sylvie").get(task(3)).text
    for text in ("LE GOFF", "LEGOFF", "A-412", "55-90", "Clinique Saint-Roch", "147082901900110", "Qualifiée"):
        assert text in page
    assert re.search(
        r'class="like-different">\s*<span class="sign" aria-hidden="true">≠</span>\s*<bdi>28/09/1947', page
    )
    assert re.search(r'class="like-near">\s*<span class="sign" aria-hidden="true">≈</span>\s*<bdi>LEGOFF', page)
    assert "(différent)" in page, "not by colour alone"
    assert "nom, prénom, lieu de naissance" in page, "the keys on which they meet"
    assert page.count('class="bar-of') == 7
    assert "french-1" in page or "Modèle" in page
    [record] = [one for one in server.hub.audit.records if one.transaction == "PORTAL-TASK"]
    assert {item.kind for item in record.objects} >= {"task", "patient"}


def test_a_bridge_is_compared_with_each_and_every_member(signed_in: SignedIn) -> None:
    client = signed_in("sylvie")
    page = client.get(task(4)).text
    assert all(number in page for number in ("D-7", "A-501", "55-41", "A-502"))
    assert "Même personne aujourd&#39;hui" in page
    decision = page.split('class="card decision"')[1]
    assert "A-501" in decision
    assert "A-502" not in decision
    decision = client.get(f"{task(4)}?other=1").text.split('class="card decision"')[1]
    assert "A-502" in decision
    assert client.get(f"{task(4)}?other=99").status_code == 200


def test_a_decision_opens_the_next_one(server: Server, signed_in: SignedIn) -> None:
    client = signed_in("sylvie")
    after = decide(client, 2, "different", "Jumelles")
    assert after.url.path == task(3)
    assert "Question n° 2" in after.text
    edge = server.hub.index.edges[-1]
    assert (edge.rule, edge.author, edge.reason) == ("no-match", "Sylvie Arnaud", "Jumelles")
    closed = client.get(task(2)).text
    assert "Question close" in closed
    assert "Jumelles" in closed
    assert 'name="verdict"' not in closed
    assert decide(client, 8, "leave").url.path == task(1), "round again"
    record = next(one for one in server.hub.audit.records if one.transaction == "PORTAL-DECIDE")
    assert (record.event_code, record.action, record.principal_id) == ("110110", "U", "sylvie")


def test_the_kind_is_kept_from_one_to_the_next(signed_in: SignedIn) -> None:
    client = signed_in("sylvie")
    page = client.get(f"{task(2)}?kind=possible")
    data = {"csrf": field(page.text, "csrf"), "asked": field(page.text, "asked"), "verdict": "leave", "reason": "x"}
    after = client.post(f"{task(2)}?kind=possible", data=data, follow_redirects=True)
    assert after.url.path == task(8)
    assert after.url.params["kind"] == "possible"
    assert client.get(f"{ROOT}/next?kind=collision&after=3").headers["location"] == f"{ROOT}?kind=collision"


def test_the_last_decision_is_told_with_its_number(signed_in: SignedIn) -> None:
    client = signed_in("sylvie")
    page = client.get(f"{task(3)}?kind=collision")
    data = {"csrf": field(page.text, "csrf"), "asked": field(page.text, "asked"), "verdict": "leave", "reason": "x"}
    after = client.post(f"{task(3)}?kind=collision", data=data, follow_redirects=True)
    assert after.url.path == ROOT
    assert "Question n° 3" in after.text


def test_the_other_of_several_is_the_one_that_was_asked_about(server: Server, signed_in: SignedIn) -> None:
    decide(signed_in("sylvie"), 4, "different", other="1")
    edge = server.hub.index.edges[-1]
    assert {edge.one.value, edge.other.value} == {"D-7", "A-502"}


def test_the_same_in_spite_of_strict_traits_is_asked_twice(server: Server, signed_in: SignedIn) -> None:
    client = signed_in("sylvie")
    asked = decide(client, 3, "same", "Vérifié à l'INSi")
    assert "Êtes-vous sûr" in asked.text
    assert "<li>Date de naissance</li>" in asked.text
    assert 'value="Vérifié à l&#39;INSi"' in asked.text
    assert server.hub.index.questions[2].closed_at is None
    after = decide(client, 3, "same", confirmed="yes")
    assert after.url.path == task(4)
    assert server.hub.index.questions[2].decided == "same"


@pytest.mark.parametrize(("verdict", "reason", "said"), [("same", "  ", "motif"), ("", "x", "Choisissez")])
def test_an_incomplete_answer_says_what_is_missing(
    server: Server, signed_in: SignedIn, verdict: str, reason: str, said: str
) -> None:
    answer = decide(signed_in("sylvie"), 2, verdict, reason)
    assert answer.status_code == 422
    assert said in answer.text
    assert server.hub.index.questions[1].closed_at is None


def test_what_changed_meanwhile_is_shown_anew(server: Server, signed_in: SignedIn) -> None:
    client = signed_in("sylvie")
    server.hub.index.changed_at = now() + timedelta(hours=1)
    answer = decide(client, 2, "different")
    assert answer.url.path == task(2)
    assert "ont changé depuis" in answer.text
    server.hub.index.changed_at = now() - timedelta(hours=1)
    stale = client.get(task(2)).text
    decide(client, 2, "leave")
    data = {"csrf": field(stale, "csrf"), "asked": field(stale, "asked"), "verdict": "different", "reason": "x"}
    late = client.post(task(2), data=data, follow_redirects=True)
    assert "close entre-temps" in late.text


def test_numbers_of_one_hospital_and_different_ins(signed_in: SignedIn) -> None:
    client = signed_in("sylvie")
    page = client.get(task(1)).text
    assert 'value="same"' not in page
    assert "lui seul les fusionne" in page
    refused = decide(client, 7, "same", confirmed="yes")
    assert refused.status_code == 422
    assert "INS qualifiées sont différentes" in refused.text


def test_four_eyes(server: Server, signed_in: SignedIn, client: httpx.Client) -> None:
    server.hub.index.four_eyes = True
    after = decide(signed_in("sylvie"), 2, "different", "Jumelles")
    assert "seconde personne" in after.text
    own = client.get(task(2)).text
    assert "Vous avez proposé" in own
    assert 'name="verdict"' not in own
    assert client.get(f"{ROOT}/next?after=1").headers["location"].startswith(task(3)), "not one's own proposal"
    assert "Attend une seconde personne" in client.get(ROOT).text
    only = client.get(f"{ROOT}?proposed=1").text
    assert only.count('class="card task"') == 1
    assert 'id="task-2"' in only
    with httpx.Client(base_url=server.url, headers={"Accept-Language": "en"}) as second:
        sign_in(second, "marc")
        assert "Sylvie Arnaud proposes" in second.get(task(2)).text
        decide(second, 2, "different")
    closed = server.hub.index.questions[1]
    assert (closed.decided, closed.decided_by) == ("different", "Marc Vidal")


def test_a_sealed_question_answers_no_other(signed_in: SignedIn) -> None:
    client = signed_in("sylvie")
    page = client.get(task(2)).text
    data = {"csrf": field(page, "csrf"), "asked": field(page, "asked"), "verdict": "leave", "reason": "x"}
    assert client.post(task(5), data=data).status_code == 404
    assert client.post(task(2), data=data | {"asked": "x"}).status_code == 404
    assert client.post(task(2), data=data | {"csrf": "0" * 64}).status_code == 403


def test_why_records_are_one_person(server: Server, signed_in: SignedIn) -> None:
    client = signed_in("sylvie")
    page = open_person(client, "A-700").text
    why = page.split('id="why"')[1]
    for text in ("gestionnaire", "Marc Vidal", "Pièce d&#39;identité vérifiée", "D-70"):
        assert text in why
    assert 'id="timeline"' not in page, "a steward's role reads no images"
    past = open_person(client, "A-310").text.split('id="why"')[1]
    assert "la règle ne tient plus" in past
    assert "Liens passés" in past


def test_unlinked_and_linked_again_from_a_persons_page(server: Server, signed_in: SignedIn) -> None:
    client = signed_in("sylvie")
    page = open_person(client, "A-700").text
    [pair] = set(re.findall(r'action="(/portal/steward/pair/[^"]+)"', page))
    data = {"csrf": field(page, "csrf"), "verdict": "different", "reason": "Deux personnes"}
    assert client.post(pair, data=data | {"reason": " "}).status_code == 422
    after = client.post(pair, data=data, follow_redirects=True)
    assert "ne seront plus reliées automatiquement" in after.text
    assert "Deux personnes" in after.text
    assert "Relier à nouveau" in after.text
    again = client.post(pair, data=data | {"verdict": "same"}, follow_redirects=True)
    assert "Êtes-vous sûr" in again.text, "their birth dates differ"
    done = client.post(pair, data=data | {"verdict": "same", "confirmed": "yes"}, follow_redirects=True)
    assert "Les deux identités sont reliées." in done.text
    assert "séparées par" in done.text or "reliées par un gestionnaire" in done.text, "the past stays visible"


def test_linked_by_number(server: Server, signed_in: SignedIn) -> None:
    client = signed_in("sylvie")
    page = open_person(client, "A-201").text
    [action] = re.findall(r'action="(/portal/person/[^"]+/link)"', page)
    [identity] = re.findall(r'<option value="([^"]+)"', page)
    data = {"csrf": field(page, "csrf"), "identity": identity}
    assert "Aucun patient" in client.post(action, data=data | {"number": "nobody"}).text
    found = client.post(action, data=data | {"number": "55-17"}).text
    [pair] = re.findall(r'href="(/portal/steward/pair/[^"]+)"', found)
    shown = client.get(pair).text
    assert "Comparer deux identités" in shown
    assert 'value="leave"' not in shown
    after = client.post(
        pair, data=data | {"verdict": "same", "reason": "Même patiente", "confirmed": "yes"}, follow_redirects=True
    )
    assert "55-17" in after.text.split('id="why"')[1]


def test_a_clinician_sees_no_such_section(signed_in: SignedIn) -> None:
    page = open_person(signed_in("claire"), "A-10023").text
    assert 'id="why"' not in page
    assert "/steward" not in page


def test_hostile_names_stay_text_and_foreign_ones_stay_names(signed_in: SignedIn) -> None:
    client = signed_in("sylvie")
    pages = [client.get(path).text for path in (ROOT, task(8), f"{ROOT}/orphans")]
    pages.append(open_person(client, "A-900").text)
    for page in pages:
        assert "<img src=x" not in page
        assert "\u202e" not in page
        assert "{{7*7}}" in html.unescape(page) or "img src" in html.unescape(page)
    assert html.escape(HOSTILE, quote=False)[:10] in pages[0]
    assert "[U+202E]" in pages[1]
    assert "الحسيني" in pages[1]
    assert "<bdi" in pages[1]
    for page in pages:
        assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=\"|javascript:", page)


def test_no_address_and_no_log_tells_of_a_person(signed_in: SignedIn, caplog: pytest.LogCaptureFixture) -> None:
    client = signed_in("sylvie")
    answers = [client.get(ROOT), client.get(task(3)), decide(client, 3, "leave"), open_person(client, "A-700")]
    for answer in answers:
        addresses = [str(answer.url), *re.findall(r'(?:href|action)="([^"]+)"', answer.text)]
        for word in ("GOFF", "A-412", "55-90", "19470829", "147082901900110", "A-700", "GARNIER"):
            assert all(word not in address for address in addresses)
            assert word not in caplog.text


def test_what_a_steward_may_not_read_is_not_said_to_be_nothing(server: Server, signed_in: SignedIn) -> None:
    told = re.compile(r"<tr><th scope=\"row\">(?:Examens|Documents)</th>.*?</tr>")
    rows = told.findall(signed_in("sylvie").get(task(1)).text)
    assert len(rows) == 2
    assert all("non communiqué" in row and "<td>0" not in row for row in rows)
    with httpx.Client(base_url=server.url, headers={"Accept-Language": "fr"}) as client:
        sign_in(client, "zoe")
        assert not any("non communiqué" in row for row in told.findall(client.get(task(1)).text))


def test_studies_without_a_patient(signed_in: SignedIn) -> None:
    client = signed_in("sylvie")
    page = client.get(f"{ROOT}/orphans").text
    assert page.count('class="card task"') == 25
    assert "Le numéro du patient n&#39;est pas encore connu" in page
    assert client.get(f"{ROOT}/orphans?from=25").text.count('class="card task"') == 5
    assert client.get(f"{ROOT}/orphans?from=-1").text.count('class="card task"') == 25


def test_the_worklist_is_a_figure_on_the_operators_page(signed_in: SignedIn) -> None:
    page = signed_in("omar").get("/portal/operator").text
    assert re.search(r"<b>8</b><span>Identités à vérifier", page)
    assert re.search(r"<b>30</b><span>Examens sans patient", page)
    assert "/portal/steward" not in page


NOWHERE = ("/task/0", "/task/99", "/task/x", "/task/-1", "/task/²", "/pair/none", f"/task/{'9' * 40}")


@pytest.mark.parametrize("path", NOWHERE)
def test_what_is_not_there(signed_in: SignedIn, path: str) -> None:
    assert signed_in("sylvie").get(ROOT + path).status_code == 404


def test_a_large_person_is_cut_and_said_so(server: Server, signed_in: SignedIn) -> None:
    index = server.hub.index
    first = index.identities[index.number("A-700")]
    for number in range(20):
        identifier = replace(first.identifier, value=f"Z-{number}")
        index.identities[identifier] = replace(first, identifier=identifier)
        index.homes[identifier] = index.homes[first.identifier]
    page = signed_in("sylvie").get(task(6)).text
    assert page.count('class="role"') == MOST_SIDES
    assert "10 autres identités" in page


def open_person(client: httpx.Client, number: str) -> httpx.Response:
    page = client.get("/portal/search")
    data = {"csrf": field(page.text, "csrf"), "identifier": number}
    found = client.post("/portal/search", data=data, follow_redirects=True).text
    [path, *_] = re.findall(r'href="(/portal/person/[^"]+)"', found)
    return client.get(path)
