"""Attacks on the portal's doors: each is refused, with one audit record, and opens no session."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from starlette.routing import Route

from hub.app.wiring import Hub
from hub.audit.model import AuditSearch
from hub.portal.app import build
from hub.portal.doorway import safe_target
from hub.wire.oidc.tokens import LOGOUT_EVENT
from tests.hostile.lying_provider import Claims, LyingProvider
from tests.sign_in import Person, records, signing_hub, start
from tests.waiting import until
from tests.wire.oidc.people import ONE_PLACE, TWO_PLACES
from tests.wire.oidc.signing import bare


@dataclass
class Place:
    hub: Hub
    url: str
    provider: LyingProvider
    before: int = 0  #: audit records of earlier tests

    def told(self) -> list[str]:
        """Error codes of the audit records of this test, newest first."""
        self.hub.audit.flush()
        new = self.hub.audit.count() - self.before
        return [record.error_code for record in self.hub.audit.search(AuditSearch(limit=500)).records[:new]]

    def person(self) -> Person:
        return Person(self.url)

    def begin(self, person: Person, **query: str) -> str:
        """A sign-in has begun; its state. The provider learns the nonce."""
        answer = person.get("/portal/sign-in/provider", params=query)
        asked = parse_qs(urlsplit(answer.headers["location"]).query)
        (self.provider.nonce,) = asked["nonce"]
        (state,) = asked["state"]
        return state

    def back(self, person: Person, state: str, code: str = "c", **more: str) -> httpx.Response:
        return person.get("/portal/sign-in/provider/back", params={"code": code, "state": state, **more})

    def refused(self, person: Person, answer: httpx.Response, *codes: str) -> None:
        assert answer.status_code in {400, 401, 403}, answer.text
        assert "maillage_session" not in person.cookies
        assert "ESSAI" not in answer.text
        assert tuple(self.told()) == codes
        assert person.get("/portal/search").is_redirect


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("doors")
    with LyingProvider() as provider:
        hub = signing_hub(root, f"sqlite:///{root / 'hub.sqlite'}", provider.issuer)
        yield Place(hub, start(hub), provider)
        hub.stop()


@pytest.fixture
def place(running: Place) -> Place:
    running.provider.honest()
    running.provider.codes.clear()
    running.hub.audit.flush()
    with running.hub.database.transaction() as work:
        for table in ("access_session", "access_sign_in", "access_attempt", "access_logout"):
            work.connection.exec_driver_sql(f"delete from {table}")
    running.before = running.hub.audit.count()
    return running


def test_an_honest_provider_lets_in(place: Place) -> None:
    person = place.person()
    assert place.back(person, place.begin(person)).status_code == 200
    assert "Alix ESSAI" in person.get("/portal/search").text


@pytest.mark.parametrize("state", ["", "guess", "é", "x" * 5000])
def test_a_wrong_state(place: Place, state: str) -> None:
    person = place.person()
    place.begin(person)
    place.refused(person, place.back(person, state), "sign-in-state")


def test_another_browsers_state(place: Place) -> None:
    """Login CSRF: the attacker's answer in the victim's browser."""
    attacker, victim = place.person(), place.person()
    state = place.begin(attacker)
    place.refused(victim, place.back(victim, state), "sign-in-state")


def test_another_site_can_not_begin(place: Place) -> None:
    person = place.person()
    answer = person.get("/portal/sign-in/provider", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.headers["location"] == "/portal/sign-in"
    assert "maillage_sign_in" not in person.cookies


def test_an_answer_that_is_shown_twice(place: Place) -> None:
    person = place.person()
    state = place.begin(person)
    secret = person.cookies["maillage_sign_in"]
    place.back(person, state)
    thief = place.person()
    thief.cookies.set("maillage_sign_in", secret)
    answer = place.back(thief, state)
    place.refused(thief, answer, "sign-in-state", "")


def test_a_replayed_code(place: Place) -> None:
    person, thief = place.person(), place.person()
    place.back(person, place.begin(person), "c")
    place.refused(thief, place.back(thief, place.begin(thief), "c"), "provider-declined", "")


def test_an_answer_of_another_provider(place: Place) -> None:
    person = place.person()
    answer = place.back(person, place.begin(person), iss="https://other.example")
    place.refused(person, answer, "token-issuer")


def changed(**more: object) -> Callable[[Claims], Claims]:
    return lambda claims: claims | more


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (changed(nonce="another"), "provider-nonce"),
        (changed(aud="another-client"), "token-audience"),
        (changed(aud=["maillage", "another-client"]), "token-audience"),
        (changed(azp="another-client"), "token-audience"),
        (changed(iss="https://other.example"), "token-issuer"),
        (changed(acr="eidas0"), "provider-level"),
        (changed(acr=None), "provider-level"),
        (changed(exp=1), "token-past"),
        (changed(iat=time.time() + 3600), "token-time"),
        (changed(at_hash="x"), "provider-hash"),
        (changed(sub="f:1:another"), "provider-subject"),
    ],
)
def test_an_id_token_that_is_not_ours(place: Place, change: Callable[[Claims], Claims], code: str) -> None:
    person = place.person()
    place.provider.id_claims = change
    place.refused(person, place.back(person, place.begin(person)), code)


def test_an_id_token_without_a_signature(place: Place) -> None:
    person = place.person()
    place.provider.sign = place.provider.unsigned
    place.refused(person, place.back(person, place.begin(person)), "token-algorithm")


def test_an_id_token_that_somebody_else_signed(place: Place) -> None:
    person = place.person()
    place.provider.sign = place.provider.stranger.sign
    place.refused(person, place.back(person, place.begin(person)), "token-signature")


def test_an_id_token_keyed_with_the_public_key(place: Place) -> None:
    person = place.person()
    place.provider.sign = lambda claims: bare({"alg": "HS256", "kid": "k1"}, claims, b"x" * 32)
    place.refused(person, place.back(person, place.begin(person)), "token-algorithm")


def test_claims_about_somebody_else(place: Place) -> None:
    person = place.person()
    place.provider.person = dict(TWO_PLACES)
    place.refused(person, place.back(person, place.begin(person)), "provider-subject")


def test_a_national_id_with_markup_in_it(place: Place) -> None:
    person = place.person()
    place.provider.person |= {"SubjectNameID": "<script>1</script>"}
    place.refused(person, place.back(person, place.begin(person)), "provider-claims")


def test_a_name_with_markup_in_it_stays_a_name(place: Place) -> None:
    person = place.person()
    exercise = place.provider.person["SubjectRefPro"]["exercices"][0] | {"nomDexercice": "<img src=x onerror=alert(1)>"}
    place.provider.person |= {"SubjectRefPro": {"exercices": [exercise]}}
    place.back(person, place.begin(person))
    page = person.get("/portal/search").text
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page


def test_the_session_is_another_one_at_each_sign_in(place: Place) -> None:
    """Session fixation: what the browser had before means nothing afterwards."""
    person = place.person()
    person.cookies.set("maillage_session", "chosen-by-the-attacker", domain="127.0.0.1")
    place.back(person, place.begin(person))
    names = [cookie.value for cookie in person.cookies.jar if cookie.name == "maillage_session"]
    assert "chosen-by-the-attacker" not in names[-1:]
    attacker = place.person()
    attacker.cookies.set("maillage_session", "chosen-by-the-attacker")
    assert attacker.get("/portal/search").is_redirect


def test_the_phone_of_somebody_else(place: Place) -> None:
    """A provider's answer about another person than the one who was called."""
    person = place.person()
    page = person.submit(person.go("/portal/sign-in"), "/portal/sign-in/phone", number="899700000001")
    place.refused(person, page, "provider-subject")


def test_a_wait_for_the_phone_outlasts_a_provider_that_is_down(place: Place) -> None:
    person = place.person()
    place.provider.person |= {"SubjectNameID": "899700000002"}
    place.provider.down = 1
    person.submit(person.go("/portal/sign-in"), "/portal/sign-in/phone", number="899700000002")
    until(lambda: not place.provider.down or person.get("/portal/sign-in/phone").is_redirect)
    assert person.get("/portal/sign-in/phone").status_code == 200
    until(lambda: person.get("/portal/sign-in/phone").is_redirect)
    assert person.get("/portal/search").status_code == 200
    assert place.told() == [""]


def test_a_wait_for_the_phone_belongs_to_its_browser(place: Place) -> None:
    person, thief = place.person(), place.person()
    place.provider.person |= {"SubjectNameID": "899700000002"}
    key = person.go("/portal/sign-in").text.split('name="csrf" value="', 1)[1].split('"', 1)[0]
    person.post("/portal/sign-in/phone", data={"csrf": key, "number": "899700000002"})
    thief.cookies.set("maillage_sign_in", "guess")
    place.refused(thief, thief.get("/portal/sign-in/phone"), "sign-in-expired")


def test_a_phone_is_not_called_again_and_again(place: Place) -> None:
    person = place.person()
    page = person.go("/portal/sign-in")
    key = page.text.split('name="csrf" value="', 1)[1].split('"', 1)[0]
    answers = [person.post("/portal/sign-in/phone", data={"csrf": key, "number": "899700000001"}) for _ in range(8)]
    assert answers[0].status_code == 303
    assert answers[-1].status_code == 401
    assert "too-many-attempts" in place.told()


def logout(place: Place, **more: object) -> Claims:
    claims = place.provider.claims(**{"jti": "j", "events": {LOGOUT_EVENT: {}}, **more})
    return {name: value for name, value in claims.items() if value is not None}


def test_a_forged_logout_token(place: Place) -> None:
    person = place.person()
    place.back(person, place.begin(person))
    provider, path = place.provider, "/portal/sign-in/provider/logout"
    forged = [
        "",
        "text",
        provider.unsigned(logout(place)),
        provider.stranger.sign(logout(place)),
        provider.signer.sign(logout(place, aud="another")),
        provider.signer.sign(logout(place, events={})),
        provider.signer.sign(logout(place, nonce="n")),
        provider.signer.sign(provider.claims(nonce="n")),  # an ID token
    ]
    for token in forged:
        answer = httpx.post(place.url + path, data={"logout_token": token})
        assert answer.status_code == 400
    assert httpx.post(place.url + path, content=b"\xff" * 100_000).status_code == 400
    assert person.get("/portal/search").status_code == 200
    assert [code != "" for code in place.told()] == [True] * 9 + [False]
    good = provider.signer.sign(logout(place))
    assert httpx.post(place.url + path, data={"logout_token": good}).status_code == 200
    assert person.get("/portal/search").is_redirect
    assert httpx.post(place.url + path, data={"logout_token": good}).status_code == 400  # a replay


def test_a_logout_of_a_person_ends_all_their_sessions(place: Place) -> None:
    people = [place.person(), place.person()]
    for number, person in enumerate(people):
        place.back(person, place.begin(person), str(number))
    token = place.provider.signer.sign(logout(place, sid=None, jti="all"))
    answer = httpx.post(f"{place.url}/portal/sign-in/provider/logout", data={"logout_token": token})
    assert answer.status_code == 200
    assert all(person.get("/portal/search").is_redirect for person in people)


@pytest.mark.parametrize("session", ["s1", None])
def test_a_logout_of_a_person_closes_their_choice_of_a_situation(place: Place, session: str | None) -> None:
    place.provider.person = TWO_PLACES | {"sub": ONE_PLACE["sub"]}
    person, path = place.person(), "/portal/sign-in/situation"
    place.back(person, place.begin(person))
    page = person.get(path)
    assert page.status_code == 200
    token = place.provider.signer.sign(logout(place, sid=session, jti=f"choice {session}"))
    assert httpx.post(f"{place.url}/portal/sign-in/provider/logout", data={"logout_token": token}).status_code == 200
    key = page.text.split('name="csrf" value="', 1)[1].split('"', 1)[0]
    place.refused(person, person.post(path, data={"csrf": key, "situation": "0"}), "sign-in-expired", "")


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "/portal/search",
        "/IHEInvokeImageDisplay?x=1\r\nLocation: https://evil.example",
        "/IHEInvokeImageDisplay?\\",
        "/IHEInvokeImageDisplay?" + "x" * 5000,
    ],
)
def test_a_target_on_another_site_is_forgotten(place: Place, target: str) -> None:
    assert safe_target(target) == ""
    person = place.person()
    answer = place.back(person, place.begin(person, target=target))
    assert "evil" not in answer.text
    assert "url=/portal/" in answer.text


def test_a_target_here_is_kept(place: Place) -> None:
    person = place.person()
    target = "/IHEInvokeImageDisplay?requestType=STUDY&studyUID=1.2.3"
    answer = place.back(person, place.begin(person, target=target))
    assert target.replace("&", "&amp;") in answer.text


def test_every_form_of_the_portal_needs_its_key(place: Place) -> None:
    """CSRF: each POST without the key of its session (or, before one, of its browser), and with another's."""
    paths = sorted(
        re.sub(r"\{[^}]*\}", "1", route.path)
        for route in build(place.hub).routes
        if isinstance(route, Route) and "POST" in (route.methods or ()) and "/provider/logout" not in route.path
    )
    assert len(paths) > 10
    assert {"/portal/sign-in", "/portal/sign-in/phone", "/portal/sign-in/situation", "/portal/sign-out"} <= {*paths}
    person = place.person()
    place.back(person, place.begin(person))
    for signed_in in (True, False):
        if not signed_in:
            person = place.person()
        for path in paths:
            for form in ({}, {"csrf": ""}, {"csrf": "0" * 64}):
                before = len(place.told())
                answer = person.post(path, data=form)
                assert answer.status_code in ({403} if signed_in else {403, 303}), path
                if answer.is_redirect:
                    assert answer.headers["location"].startswith("/portal/sign-in")
                assert len(place.told()) == before + 1


def test_cookies_are_closed(place: Place) -> None:
    person = place.person()
    begun = person.get("/portal/sign-in/provider").headers["set-cookie"]
    assert "HttpOnly" in begun
    assert "SameSite=lax" in begun
    answer = place.back(person, place.begin(person))
    session = next(line for line in answer.headers.get_list("set-cookie") if line.startswith("maillage_session="))
    assert "HttpOnly" in session
    assert "SameSite=strict" in session


def test_an_absent_provider_is_told_kindly(tmp_path: Path) -> None:
    with LyingProvider() as provider:
        issuer = provider.issuer
    hub = signing_hub(tmp_path, f"sqlite:///{tmp_path / 'hub.sqlite'}", issuer, timeout=5)
    person = Person(start(hub))
    try:
        answer = person.get("/portal/sign-in/provider")
        assert answer.status_code == 503
        assert "ne répond pas" in answer.text
        assert [record.error_code for record in records(hub)] == ["provider-unavailable"]
    finally:
        hub.stop()
