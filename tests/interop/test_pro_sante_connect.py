"""Signing in with a real OpenID provider that has Pro Santé Connect's claims."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Thread

import httpx
import pytest

from hub.app.provider.tokens import ProviderTokens
from hub.app.wiring import Hub
from tests.interop.oidc_provider import DOCTOR_ID, NUMBER, NURSE, NURSE_ID, STRANGER_ID, OpenIdProvider
from tests.sign_in import Person, records, signing_hub, start

pytestmark = pytest.mark.interop


@dataclass
class Region:
    hub: Hub
    url: str
    provider: OpenIdProvider


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenIdProvider]:
    with OpenIdProvider() as provider:
        yield provider


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def region(request: pytest.FixtureRequest, tmp_path: Path, provider: OpenIdProvider) -> Iterator[Region]:
    hub = signing_hub(tmp_path, request.getfixturevalue(f"{request.param}_url"), provider.issuer)
    url = start(hub)
    provider.register(url)
    yield Region(hub, url, provider)
    hub.stop()


def session_of(person: Person) -> str:
    return person.cookies["maillage_session"]


def tokens_of(hub: Hub) -> ProviderTokens:
    assert hub.ways_in.provider is not None
    return hub.ways_in.provider.tokens


def enter(region: Region, account: str = NURSE_ID) -> Person:
    person = Person(region.url)
    person.go(person.at_provider(account))
    return person


def test_a_nurse_with_one_situation_is_in_at_once(region: Region) -> None:
    person = Person(region.url)
    page = person.go(person.at_provider(NURSE_ID))
    assert page.url.path == "/portal/search"
    assert "Alix ESSAI" in page.text
    assert "CHU Essai" in page.text
    (record,) = records(region.hub)
    assert (record.transaction, record.principal_id, record.error_code) == ("PORTAL-SIGN-IN", NURSE, "")
    assert record.scheme == "provider"


def test_a_doctor_chooses_as_whom_to_act(region: Region) -> None:
    person = Person(region.url)
    page = person.go(person.at_provider(DOCTOR_ID))
    assert page.url.path == "/portal/sign-in/situation"
    assert "CHU Essai" in page.text
    assert "Médecin · Radio-diagnostic" in page.text
    assert records(region.hub) == ()
    nothing = person.submit(page, "/portal/sign-in/situation")
    assert nothing.status_code == 400
    page = person.submit(page, "/portal/sign-in/situation", situation="1")
    assert page.url.path == "/portal/search"
    assert "Cabinet Essai" in page.text
    principal = region.hub.access._session(session_of(person))
    assert principal.professional is not None
    assert (principal.id, principal.professional.structure, principal.level) == (NUMBER, "499700000001007", "eidas1")
    assert principal.roles >= {"clinician"}
    assert [record.error_code for record in records(region.hub)] == [""]
    again = person.post("/portal/sign-in/situation", data={"csrf": "x", "situation": "0"})
    assert again.status_code in {303, 401, 403}


def test_who_has_no_role_is_told_so(region: Region) -> None:
    person = Person(region.url)
    page = person.go(person.at_provider(STRANGER_ID))
    assert page.status_code == 401
    assert "aucun accès" in page.text.lower()
    assert [record.error_code for record in records(region.hub)] == ["no-role"]


def test_who_refuses_there_is_not_in(region: Region) -> None:
    person = Person(region.url)
    page = person.go(person.at_provider(""))
    assert page.status_code == 401
    assert "La demande a été refusée." in page.text
    assert [record.error_code for record in records(region.hub)] == ["provider-declined"]


def test_too_low_a_level_is_refused(region: Region) -> None:
    person = Person(region.url)
    assert person.go(person.at_provider(NURSE_ID, acr="eidas2")).status_code == 401
    assert [record.error_code for record in records(region.hub)] == ["provider-level"]


def test_signing_out_ends_the_session_there_as_well(region: Region) -> None:
    person = enter(region)
    session = session_of(person)
    answer = person.post("/portal/sign-out", data={"csrf": csrf_of(person)})
    assert "maillage_session" not in person.cookies
    target = answer.text.split("url=", 1)[1].split('"', 1)[0].replace("&amp;", "&")
    assert target.startswith(f"{region.provider.issuer}/session/end?id_token_hint=")
    asks = person.get(target)
    xsrf = asks.text.split('name="xsrf" value="', 1)[1].split('"', 1)[0]
    done = person.post(f"{region.provider.issuer}/session/end/confirm", data={"xsrf": xsrf, "logout": "yes"})
    assert done.headers["location"] == f"{region.url}/portal/sign-in?bye=1"
    assert "/interaction/" in str(person.to_provider().url)  # it asks again who it is
    with pytest.raises(Exception, match="session has ended"):
        region.hub.access._session(session)


def test_the_provider_ends_a_session_from_behind(region: Region) -> None:
    person, other = enter(region), enter(region)
    asks = person.get(f"{region.provider.issuer}/session/end")
    xsrf = asks.text.split('name="xsrf" value="', 1)[1].split('"', 1)[0]
    person.post(f"{region.provider.issuer}/session/end/confirm", data={"xsrf": xsrf, "logout": "yes"})
    assert person.get("/portal/search").is_redirect
    assert other.get("/portal/search").status_code == 200
    ended = [record for record in records(region.hub) if record.transaction == "PORTAL-ENDED"]
    assert [record.error_code for record in ended] == [""]


def test_the_provider_ends_a_session_while_somebody_chooses_as_whom_to_act(region: Region) -> None:
    person, other = Person(region.url), Person(region.url)
    page, others = person.go(person.at_provider(DOCTOR_ID)), other.go(other.at_provider(DOCTOR_ID))
    asks = person.get(f"{region.provider.issuer}/session/end")
    xsrf = asks.text.split('name="xsrf" value="', 1)[1].split('"', 1)[0]
    person.post(f"{region.provider.issuer}/session/end/confirm", data={"xsrf": xsrf, "logout": "yes"})
    page = person.submit(page, "/portal/sign-in/situation", situation="0")
    assert page.status_code == 401
    assert "La demande a expiré" in page.text
    assert other.submit(others, "/portal/sign-in/situation", situation="0").url.path == "/portal/search"
    assert [record.error_code for record in records(region.hub)] == ["", "sign-in-expired", ""]
    assert person.get("/portal/search").is_redirect


def test_the_phone_is_asked_and_says_yes(region: Region) -> None:
    person = Person(region.url)
    page = person.submit(person.go("/portal/sign-in"), "/portal/sign-in/phone", number="8 99700000002")
    message = region.provider.steer("phones")[NURSE]
    assert len(message) == 2
    assert f"<strong>{message}</strong>" in page.text
    assert person.get("/portal/sign-in/phone").status_code == 200
    region.provider.steer("answer", number=NURSE, accept=True)
    page = wait(region, person)
    assert page.url.path == "/portal/search"
    assert "Alix ESSAI" in page.text
    assert [(record.principal_id, record.error_code) for record in records(region.hub)] == [(NURSE, "")]


def test_the_phone_says_no(region: Region) -> None:
    person = Person(region.url)
    person.submit(person.go("/portal/sign-in"), "/portal/sign-in/phone", number=NURSE)
    region.provider.steer("answer", number=NURSE, accept=False)
    page = wait(region, person)
    assert page.status_code == 401
    assert "La demande a été refusée." in page.text
    assert [record.error_code for record in records(region.hub)] == ["provider-declined"]


def test_the_wait_for_the_phone_is_cancelled(region: Region) -> None:
    person = Person(region.url)
    page = person.submit(person.go("/portal/sign-in"), "/portal/sign-in/phone", number=NURSE)
    page = person.submit(page, "/portal/sign-in/phone/cancel")
    assert "La demande est annulée." in page.text
    region.provider.steer("answer", number=NURSE, accept=True)
    assert person.go("/portal/sign-in/phone").status_code == 401
    assert [record.error_code for record in records(region.hub)] == ["sign-in-expired", "sign-in-cancelled"]


def test_an_unknown_number_calls_nobody(region: Region) -> None:
    person = Person(region.url)
    for number in ("899700009999", "nobody"):
        page = person.submit(person.go("/portal/sign-in"), "/portal/sign-in/phone", number=number)
        assert page.status_code == 401
        assert "pas connu" in page.text


def test_tokens_are_renewed_once_however_many_ask(region: Region) -> None:
    person = enter(region)
    session, hub = session_of(person), region.hub
    tokens = tokens_of(hub)
    first = tokens.access_token(session)
    assert tokens.access_token(session) == first
    later = tokens._sign_ins.clock() + timedelta(minutes=11)
    tokens._sign_ins.clock = lambda: later
    barrier, found = Barrier(4), []

    def use() -> None:
        barrier.wait()
        tokens.keep(session)
        found.append(tokens.access_token(session))

    threads = [Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 4
    assert first not in found


def test_a_session_ends_when_the_provider_renews_no_more(region: Region) -> None:
    person = enter(region)
    region.provider.steer("revoke")
    assert person.get("/portal/search").status_code == 200  # not asked yet
    tokens = tokens_of(region.hub)
    later = tokens._sign_ins.clock() + timedelta(minutes=11)
    tokens._sign_ins.clock = lambda: later
    assert person.get("/portal/search").is_redirect
    assert "maillage_session" not in person.cookies


def test_a_session_goes_on_for_a_while_without_the_provider(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    person = enter(region)
    tokens = tokens_of(region.hub)

    def cut(*_: object, **__: object) -> httpx.Response:
        raise httpx.ConnectError("cut")

    monkeypatch.setattr(tokens._provider._client, "send", cut)
    begin = tokens._sign_ins.clock()
    tokens._sign_ins.clock = lambda: begin + timedelta(minutes=11)
    assert person.get("/portal/search").status_code == 200
    tokens._sign_ins.clock = lambda: begin + timedelta(minutes=31)
    assert person.get("/portal/search").is_redirect


def test_no_token_can_be_read_from_the_database(region: Region) -> None:
    person = enter(region)
    access = tokens_of(region.hub).access_token(session_of(person))
    with region.hub.database.reading() as work:
        rows = work.connection.exec_driver_sql("select * from access_grant").all()
        sessions = work.connection.exec_driver_sql("select * from access_session").all()
    assert len(rows) == 1
    assert access not in str(rows)
    assert session_of(person) not in str([*rows, *sessions])


def test_the_keys_of_the_provider_may_change(region: Region, tmp_path: Path) -> None:
    enter(region)
    provider = tokens_of(region.hub)._provider
    assert provider._keys._kept is not None
    at, keys = provider._keys._kept
    provider._keys._kept = (at - 60, type(keys)())  # a set that its tokens are not signed with
    assert enter(region).get("/portal/search").status_code == 200


def wait(region: Region, person: Person) -> httpx.Response:
    """Ask until somebody has answered: the interval is over at once."""
    tokens = tokens_of(region.hub)
    begin, steps = tokens._sign_ins.clock(), iter(range(6, 1000, 6))
    tokens._sign_ins.clock = lambda: begin + timedelta(seconds=next(steps))
    return person.go("/portal/sign-in/phone")


def csrf_of(person: Person) -> str:
    return person.get("/portal/search").text.split('name="csrf" value="', 1)[1].split('"', 1)[0]
