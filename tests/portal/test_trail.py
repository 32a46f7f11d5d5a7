"""Who saw what of this person: the officer's page, the letter for the patient, the table; over a real hub."""

import csv
import io
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import httpx
import pytest

from hub.access.service import hash_password
from hub.app.outside import acknowledging, drimbox, mail, record
from hub.app.patients import fhir
from hub.app.settings.atna import Atna, Collector
from hub.app.settings.model import User
from hub.app.sharing import subscriptions
from hub.app.wiring import Hub
from hub.audit.forwarding import Forwarding
from hub.audit.model import AuditOutcome, AuditSearch
from hub.context import CREATED, DELETED, Touched
from hub.pipeline.catalogue import discover
from hub.pipeline.transaction import Transaction
from hub.portal import actions, trail_words
from hub.portal.texts import LANGUAGES
from hub.portal.trail import Asked
from hub.values import PatientIdentifier, new_key, now
from tests.portal.conftest import field
from tests.profiles import running
from tests.wire.atna.test_messages import BY_DOCTOR

PASSWORD = "officer-password"
NUMBER = PatientIdentifier("A-1", running.OIDS["A"])
TRAIL = "/portal/trail"
#: Event codes of what touches nobody in particular: application, alerts, sign-in.
NOBODYS = ("110100", "110113", "110114")
PATIENT_RECORD = "110110"
#: What the hub does of its own accord.
OWN = (record.SENT, mail.SENT, drimbox.EXPORTED, acknowledging.TOLD, subscriptions.SENT, fhir.SENT)
EVERY = (*(bound.transaction for bound in discover()), *actions.ACTIONS, *OWN)
AWAY = Atna(destinations=(Collector(name="away", address="127.0.0.1:9", timeout=1.0),))  #: nobody listens there


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    root = tmp_path_factory.mktemp("trail")
    users = tuple(
        User(login=login, name=login.title(), password_argon2=hash_password(PASSWORD), roles=(login,))
        for login in ("officer", "clinician", "operator")
    )
    hub = Hub(running.settings(f"sqlite:///{root / 'hub.sqlite'}", root / "content", users=users, atna=AWAY))
    hub.start()
    running.Region(hub).accepted(running.message("ADT^A28^ADT_A05", running.pid("A-1"), "PV1||N"))
    person = hub.patients.person(NUMBER)
    assert person is not None
    touched = (Touched("patient", person.regional.cx),)
    seen = replace(
        BY_DOCTOR, at=now(), objects=touched, transaction="ITI-43", event_code="110106", action="R", query="",
        principal_name="Dr Anne MARTIN", reason="=inconscient <b>",
    )  # fmt: skip
    hub.audit.add(replace(seen, id=new_key()))
    hub.audit.add(replace(seen, id=new_key(), transaction="PORTAL-PERSON", event_code=PATIENT_RECORD))
    hub.audit.add(replace(seen, id=new_key(), secret=True, principal_name="Dr Secret", professional=None))
    hub.audit.add(
        replace(seen, id=new_key(), outcome=AuditOutcome.SERIOUS_FAILURE, error_code="access-denied", reason="")
    )
    yield hub
    hub.stop()


@contextmanager
def entered(hub: Hub, login: str, language: str = "fr") -> Iterator[httpx.Client]:
    headers = {"Accept-Language": language}
    with httpx.Client(base_url=hub.public_url(), headers=headers, timeout=60) as client:
        form = client.get("/portal/sign-in")
        data = {"csrf": field(form.text, "csrf"), "login": login, "password": PASSWORD}
        assert client.post("/portal/sign-in", data=data).status_code == 303
        yield client


@pytest.fixture
def officer(hub: Hub) -> Iterator[httpx.Client]:
    with entered(hub, "officer") as client:
        yield client


def ask(client: httpx.Client, **fields: str) -> httpx.Response:
    form = {"csrf": field(client.get(TRAIL).text, "csrf"), "number": NUMBER.value, "authority": NUMBER.authority}
    return client.post(TRAIL, data={**form, **fields}, follow_redirects=True)


def test_who_saw_what(officer: httpx.Client) -> None:
    page = ask(officer)
    assert page.status_code == 200
    assert NUMBER.value not in str(page.url)
    text = page.text
    for said in (
        "Anne MARTIN",
        "Hôpital A",
        "899700000001",
        "A lu un document",
        "bris de glace",
        "par ris-a",
        "refusé",
    ):
        assert said in text, said
    assert "=inconscient &lt;b&gt;" in text
    assert "connexion secrète" in text
    assert "refusé" in text
    assert "A envoyé ou corrigé l'identité" in unescape(text)


@pytest.mark.parametrize("transaction", [item for item in EVERY if item.audit.code not in NOBODYS])
@pytest.mark.parametrize("action", ["", CREATED, DELETED])
def test_every_access_to_a_person_has_words(transaction: Transaction, action: str) -> None:
    if action and transaction.audit.code != PATIENT_RECORD:
        return
    one = replace(
        BY_DOCTOR, transaction=transaction.id, event_code=transaction.audit.code,
        action=action or transaction.audit.action,
    )  # fmt: skip
    assert trail_words.what(one) != "trail.what.other"
    assert all(trail_words.what(one) in texts for texts in LANGUAGES.values())
    if transaction in OWN:
        assert trail_words.what(one) != "trail.what.document_read", "what goes out is not read"


def test_words_are_given_to_transactions_that_exist() -> None:
    known = {item.id for item in EVERY}
    assert {key.partition(" ")[0] for key in trail_words.BY_TRANSACTION} <= known


def test_what_is_asked_narrows(officer: httpx.Client) -> None:
    assert "A envoyé ou corrigé" not in ask(officer, kind="read").text
    changes = unescape(ask(officer, kind="changed").text)
    assert "A envoyé ou corrigé" in changes
    assert "A consulté l'identité" not in changes, "opening a record changes nothing"
    assert "A consulté l'identité" in unescape(ask(officer, kind="read").text)
    assert "Aucune trace" in ask(officer, until="2020-01-01").text
    assert "Anne MARTIN" in ask(officer, who="899700000001", since="2020-01-01").text
    assert "Aucune trace" in ask(officer, number="nobody").text


def test_a_day_is_one_of_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Days are asked for as they are shown: in the server's time zone."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Pacific/Auckland")
        time.tzset()
        search = Asked(NUMBER.value, NUMBER.authority, since="2026-07-02", until="2026-07-02").search().search
    time.tzset()
    assert search.since == datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert search.until == datetime(2026, 7, 2, 12, tzinfo=UTC)


def test_the_letter_in_another_language(officer: httpx.Client) -> None:
    """The way to the other language keeps what was asked; the letter leads back, its days are as people write."""
    page = officer.get(letter(ask(officer, since="2020-01-31")))
    assert "31/01/2020" in page.text
    assert "2020-01-31" not in page.text
    found = re.search(r'href="(/portal/language/en[^"]+)"', page.text)
    assert found is not None
    english = officer.get(found[1].replace("&amp;", "&"), follow_redirects=True)
    officer.cookies.delete("maillage_language")
    assert english.status_code == 200
    assert "Accesses to your medical images" in english.text
    assert "31 Jan 2020" in english.text
    back = re.search(r'href="(/portal/trail\?q=[^"]+)"', english.text)
    assert back is not None
    assert 'value="2020-01-31"' in officer.get(back[1]).text


@pytest.mark.parametrize("fields", [{"number": ""}, {"since": "2026-02-30"}, {"authority": "x"}])
def test_what_can_not_be_asked(officer: httpx.Client, fields: dict[str, str]) -> None:
    page = ask(officer, **fields)
    assert page.status_code == 200
    assert 'role="alert"' in page.text


def test_a_number_that_is_no_text(officer: httpx.Client) -> None:
    assert ask(officer, number="a\0").status_code == 400


def letter(page: httpx.Response) -> str:
    found = re.search(r'href="(/portal/trail/letter\?q=[^"]+)"', page.text)
    assert found is not None
    return found[1].replace("&amp;", "&")


def test_the_letter_hides_secret_connections_and_refusals(hub: Hub, officer: httpx.Client) -> None:
    text = officer.get(letter(ask(officer))).text
    assert "Anne MARTIN" in text
    assert "Dr Secret" not in text
    assert "connexion secrète" not in text
    assert text.count("A lu un document") == 1
    assert "A consulté ces traces" not in text
    with entered(hub, "officer", "en") as english:
        assert "Accesses to your medical images" in english.get(letter(ask(english))).text


def test_the_table(hub: Hub, officer: httpx.Client) -> None:
    page = ask(officer)
    data = {"csrf": field(page.text, "csrf"), "q": field(page.text, "q")}
    before = hub.audit.count(AuditSearch(transaction="PORTAL-TRAIL-EXPORT"))
    answer = officer.post(f"{TRAIL}/export", data=data)
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff")), delimiter=";"))
    assert {row["Qui"] for row in rows} >= {"Anne MARTIN"}
    assert all(not row["Pourquoi"].startswith("=") for row in rows)
    assert hub.audit.count(AuditSearch(transaction="PORTAL-TRAIL-EXPORT")) == before + 1


def test_only_the_officer(hub: Hub) -> None:
    with entered(hub, "clinician") as client:
        before = hub.audit.count(AuditSearch(transaction="PORTAL-TRAIL"))
        assert client.get(TRAIL).status_code == 403
        assert 'href="/portal/trail"' not in client.get("/portal/search").text
        assert hub.audit.count(AuditSearch(transaction="PORTAL-TRAIL")) == before + 1
    with httpx.Client(base_url=hub.public_url()) as stranger:
        assert stranger.get(TRAIL).status_code in (303, 401)


def test_the_operator_sees_how_far_the_collectors_are_behind(hub: Hub) -> None:
    with entered(hub, "operator") as client:
        page = client.get("/portal/operator/collectors")
        assert "Traces en attente" in page.text
        assert re.search(r'<td class="right number">[1-9]', page.text)
        assert "set-aside" not in page.text
        forwarding = Forwarding(hub.database, ["away"])
        forwarding.failed(
            "away", "The collector took 0 of 1 events. It answers 422.", forwarding.lags()[0].position + 1
        )
        page = client.get("/portal/operator/collectors")
        assert "maillage audit set-aside away" in page.text
        assert "The collector" not in page.text, "a sentence of the hub, so it is told in French"
        assert forwarding.set_aside("away") is not None
        assert re.search(r"Mises de côté, pas perdues\s: 1", client.get("/portal/operator/collectors").text)
        assert client.get(TRAIL).status_code == 403


def test_screens(hub: Hub, officer: httpx.Client, tmp_path: Path) -> None:
    """The pages say what they are before any script runs: one title, one main heading, a label for each field."""
    for page in (officer.get(TRAIL), ask(officer), officer.get(letter(ask(officer)))):
        assert page.text.count("<h1") == 1
        for found in re.findall(r'<(?:input|select) id="([a-z]+)"', page.text):
            assert f'for="{found}"' in page.text
