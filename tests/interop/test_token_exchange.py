"""A professional's token for one of the hub's (RFC 8693), and foreign tokens that are introspected: with a real OpenID
provider (npm ``oidc-provider``) that plays Pro Santé Connect, and with one that lies."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from joserfc import jws

from hub.access.tokens_model import ACCESS_TOKEN_TYPE, JWT_TYPE, TOKEN_EXCHANGE
from hub.app.oauth.peers import KEPT, Recent
from hub.values import now
from hub.wire.jose import jwt
from hub.wire.jose.keys import new_key, signing_key
from tests.access.oauth_hub import TokenHub, token_hub
from tests.interop.oidc_provider import NUMBER, NURSE, STRANGER_ID, OpenIdProvider
from tests.wire.oidc.people import ONE_PLACE

pytestmark = pytest.mark.interop
CIBA = "urn:openid:params:grant-type:ciba"
SECRET = "a secret of the tests"
RIS, OTHER, HUB = "ris-at-the-provider", "other-at-the-provider", "hub-at-the-provider"
SIGNED = "signed-at-the-provider"  #: claims about its users come as JWT


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenIdProvider]:
    with OpenIdProvider() as provider:
        for client in (RIS, OTHER, HUB, SIGNED):
            provider.steer(
                "client",
                client_id=client,
                client_secret=SECRET,
                redirect_uris=[],
                response_types=[],
                grant_types=[CIBA],
                backchannel_token_delivery_mode="poll",
                **({"userinfo_signed_response_alg": "RS256"} if client == SIGNED else {}),
            )
        yield provider


def professionals_token(provider: OpenIdProvider, number: str = NUMBER, client: str = RIS) -> str:
    """Signed in by phone (CIBA) at some software: its access token."""
    with httpx.Client(auth=(client, SECRET), timeout=30) as http:
        form = {"login_hint": number, "binding_message": "42", "scope": "openid scope_all", "acr_values": "eidas1"}
        asked = http.post(f"{provider.issuer}/backchannel", data=form)
        assert asked.status_code == 200, asked.text
        provider.steer("answer", number=number, accept=True)
        form = {"grant_type": CIBA, "auth_req_id": asked.json()["auth_req_id"]}
        answer = http.post(f"{provider.issuer}/token", data=form)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])


def exchange_of(issuer: str, **more: Any) -> dict[str, Any]:
    return {
        "issuer": issuer,
        "introspection": f"{issuer}/token/introspection",
        "client_id": HUB,
        "client_secret": SECRET,
        "clients": {"pacs": (RIS,), "ris": (RIS,)},
        **more,
    }


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, provider: OpenIdProvider) -> Iterator[TokenHub]:
    exchange = exchange_of(provider.issuer, userinfo=f"{provider.issuer}/me", acr=())
    with token_hub(tmp_path_factory.mktemp("exchange"), exchange=exchange) as site:
        yield site


def form(token: str, scope: str = "user/ImagingStudy.rs", **more: str) -> dict[str, str]:
    kind = {"grant_type": TOKEN_EXCHANGE, "subject_token": token, "subject_token_type": ACCESS_TOKEN_TYPE}
    return {**kind, "scope": scope, "client_id": "pacs", **more}


def test_a_nurse_of_one_place(site: TokenHub, provider: OpenIdProvider) -> None:
    """From the phone to the study list; the audit trail knows who it was, and through which software."""
    answer = site.ask(form(professionals_token(provider, NURSE)), node="pacs")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["issued_token_type"], found["token_type"]) == (ACCESS_TOKEN_TYPE, "Bearer")
    assert 0 < found["expires_in"] <= 120, "never longer than the provider's own"
    said = json.loads(jws.extract_compact(found["access_token"].encode()).payload)
    assert (said["sub"], said["act"], said["client_id"]) == (NURSE, {"sub": "pacs"}, "pacs")
    assert set(said["cnf"]) == {"x5t#S256"}
    with site.caller("pacs", found["access_token"]) as http:
        assert http.get("/fhir/ImagingStudy").status_code == 200
        assert http.get("/fhir/DocumentReference").status_code == 403
    asked = next(row for row in site.records() if row.transaction == "FHIR-ImagingStudy")
    assert (asked.principal_id, asked.principal_name, asked.scheme) == (NURSE, "Alix ESSAI", "provider")
    with site.caller(token=found["access_token"]) as http:
        assert http.get("/fhir/ImagingStudy").status_code == 401, "bound to the certificate"


def test_claims_that_come_signed(tmp_path: Path, provider: OpenIdProvider) -> None:
    """application/jwt of userinfo, for the client that the token was issued to: verified, and refused where it can't
    be; a provider that does not sign where it must is refused as well."""
    keys = f"{provider.issuer}/jwks"
    about = {"userinfo": f"{provider.issuer}/me", "acr": (), "clients": {"pacs": (RIS, SIGNED)}}
    with token_hub(tmp_path / "a", exchange=exchange_of(provider.issuer, jwks=keys, **about)) as site:
        answer = site.ask(form(professionals_token(provider, NURSE, SIGNED)), node="pacs")
        assert answer.status_code == 200, answer.text
        said = json.loads(jws.extract_compact(answer.json()["access_token"].encode()).payload)
        assert said["sub"] == NURSE
        assert site.ask(form(professionals_token(provider, NURSE)), node="pacs").status_code == 200, "JSON is read too"
    with token_hub(tmp_path / "b", exchange=exchange_of(provider.issuer, **about)) as site:
        refused(site, "temporarily_unavailable", form(professionals_token(provider, NURSE, SIGNED)), status=503)
    strict = exchange_of(provider.issuer, jwks=keys, signed_claims=True, **about)
    with token_hub(tmp_path / "c", exchange=strict) as site:
        assert site.ask(form(professionals_token(provider, NURSE, SIGNED)), node="pacs").status_code == 200
        assert "not signed" in refused(site, "invalid_grant", form(professionals_token(provider, NURSE)))


def refused(site: TokenHub, error: str, asked: dict[str, str], *, node: str = "pacs", status: int = 400) -> str:
    before = len(site.records())
    answer = site.ask(asked, node=node)
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text
    assert len(site.records()) == before + 1
    assert not asked.get("subject_token") or asked["subject_token"] not in answer.text
    return str(answer.json()["error_description"])


def test_a_token_that_was_issued_to_another_software(site: TokenHub, provider: OpenIdProvider) -> None:
    """The confused deputy: a token that some other software got is no good here."""
    told = refused(site, "invalid_grant", form(professionals_token(provider, NURSE, OTHER)))
    assert "another client" in told


def test_who_may_not_exchange(site: TokenHub, provider: OpenIdProvider) -> None:
    token = professionals_token(provider, NURSE)
    refused(site, "unauthorized_client", form(token, client_id="stranger"), node="stranger")
    without = {name: value for name, value in form(token).items() if name != "client_id"} | site.proof("ris")
    assert "mutual TLS" in refused(site, "unauthorized_client", without, node="")
    for scope in ("user/DocumentReference.c", "patients.feed", "*", "system/ImagingStudy.rs"):
        refused(site, "invalid_scope", form(token, scope))
    refused(site, "invalid_target", form(token, audience="https://elsewhere"))


def test_tokens_that_are_no_good(site: TokenHub, provider: OpenIdProvider) -> None:
    assert "not valid" in refused(site, "invalid_grant", form("guessed"))
    refused(site, "invalid_grant", form(site.token()))
    refused(site, "unsupported_token_type", form("x", subject_token_type="urn:ietf:params:oauth:token-type:id_token"))
    refused(site, "invalid_request", {**form("x"), "subject_token": ""})
    refused(site, "invalid_request", form("x" * 20_000))
    token = professionals_token(provider, NURSE)
    assert site.ask(form(token), node="pacs").status_code == 200
    provider.steer("revoke")
    refused(site, "invalid_grant", form(token))


def test_a_profession_without_a_role(site: TokenHub, provider: OpenIdProvider) -> None:
    refused(site, "invalid_scope", form(professionals_token(provider, STRANGER_ID.rpartition(":")[2])))


def test_a_professional_of_two_places_says_where(tmp_path: Path, provider: OpenIdProvider) -> None:
    """The actor token, signed by the software, names the situation of exercise."""
    exchange = exchange_of(provider.issuer, userinfo=f"{provider.issuer}/me", acr=())
    with token_hub(tmp_path, exchange=exchange) as site:
        token = professionals_token(provider)
        assert "situation" in refused(site, "invalid_grant", form(token))
        for key, status in (("ris", 400), ("pacs", 200)):
            actor = actor_token(site, key)
            answer = site.ask(form(token, actor_token=actor, actor_token_type=JWT_TYPE), node="pacs")
            assert answer.status_code == status, answer.text
        said = json.loads(jws.extract_compact(answer.json()["access_token"].encode()).payload)
        assert said["extensions"]["ihe_iua"]["subject_organization_id"] == "1750100125"
        assert said["act"] == {"sub": "pacs", "lps_nom": "RIS Essai", "lps_id": "42"}


def actor_token(site: TokenHub, client: str) -> str:
    changed = {"situation_exercice": "1750100125", "lps_nom": "RIS Essai", "lps_id": "42", "aud": site.url}
    return site.assertion(client, **changed)


# A provider that lies, and foreign tokens


class Liar:
    """Introspects as it was told to."""

    def __init__(self) -> None:
        self.says: Any = {"active": True}
        self.status = 200
        self.asked: list[dict[str, list[str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                outer.asked.append(parse_qs(self.rfile.read(length).decode()))
                body = outer.says if isinstance(outer.says, bytes) else json.dumps(outer.says).encode()
                self.send_response(outer.status)
                self.send_header("location", "http://127.0.0.1:1/")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(30)


@pytest.fixture(scope="module")
def liar() -> Iterator[Liar]:
    liar = Liar()
    yield liar
    liar.stop()


@pytest.fixture(scope="module")
def lied_to(tmp_path_factory: pytest.TempPathFactory, liar: Liar) -> Iterator[TokenHub]:
    issuer = {
        "issuer": "https://other.as",
        "introspection": f"{liar.url}/introspect",
        "client_id": HUB,
        "client_secret": SECRET,
        "permissions": ("imaging.query",),
    }
    exchange = exchange_of("https://psc", introspection=f"{liar.url}/introspect", audience="https://hub.example")
    with token_hub(tmp_path_factory.mktemp("lied"), exchange=exchange, issuers=[issuer]) as site:
        yield site


def facts(**changed: Any) -> dict[str, Any]:
    claims = {**ONE_PLACE, "active": True, "iss": "https://psc", "client_id": RIS, "acr": "eidas1"}
    claims |= {"aud": ["https://hub.example"], "exp": int(time.time()) + 100, **changed}
    return {name: value for name, value in claims.items() if value is not None}


LIES: dict[str, tuple[Any, int, str]] = {
    "not active": (facts(active=False), 200, "invalid_grant"),
    "active in words": (facts(active="true"), 200, "invalid_grant"),
    "another issuer": (facts(iss="https://evil"), 200, "invalid_grant"),
    "another client": (facts(client_id=OTHER), 200, "invalid_grant"),
    "no client": (facts(client_id=None), 200, "invalid_grant"),
    "another audience": (facts(aud="https://evil"), 200, "invalid_grant"),
    "no audience": (facts(aud=None), 200, "invalid_grant"),
    "too low a level": (facts(acr="eidas0"), 200, "invalid_grant"),
    "no level": (facts(acr=None), 200, "invalid_grant"),
    "expired": (facts(exp=1), 200, "invalid_grant"),
    "no end": (facts(exp=None), 200, "invalid_grant"),
    "an end of words": (facts(exp="tomorrow"), 200, "invalid_grant"),
    "nobody": (facts(SubjectNameID=None), 200, "invalid_grant"),
    "claims of another kind": (facts(SubjectRefPro=[1]), 200, "invalid_grant"),
    "a list": ([], 200, "temporarily_unavailable"),
    "no JSON": (b"<html>", 200, "temporarily_unavailable"),
    "endless": (b" " * 1_000_000, 200, "temporarily_unavailable"),
    "deep": (b"[" * 100_000, 200, "temporarily_unavailable"),
    "an error": (facts(), 500, "temporarily_unavailable"),
    "a redirection": (facts(), 302, "temporarily_unavailable"),
    "not for us": (facts(), 401, "temporarily_unavailable"),
}


@pytest.mark.parametrize("lie", sorted(LIES))
def test_an_exchange_with_a_provider_that_lies(lied_to: TokenHub, liar: Liar, lie: str) -> None:
    liar.says, liar.status, error = LIES[lie]
    refused(lied_to, error, form("a token"), status=503 if error.startswith("temporarily") else 400)


def test_an_exchange_with_one_that_does_not(lied_to: TokenHub, liar: Liar) -> None:
    liar.says, liar.status = facts(), 200
    answer = lied_to.ask(form("a token"), node="pacs")
    assert answer.status_code == 200, answer.text
    asked = len(liar.asked)
    assert lied_to.ask(form("a token"), node="pacs").status_code == 200
    assert len(liar.asked) == asked + 1, "asked at each exchange"


def test_a_provider_that_is_away(tmp_path: Path) -> None:
    exchange = exchange_of("https://psc", introspection="http://127.0.0.1:1/introspect")
    with token_hub(tmp_path, exchange=exchange) as site:
        refused(site, "temporarily_unavailable", form("a token"), status=503)


def foreign(site: TokenHub, **changed: Any) -> dict[str, Any]:
    claims = {"active": True, "client_id": "theirs", "scope": "imaging.query documents.query", "aud": site.url}
    return {**claims, "exp": int(time.time()) + 100, **changed}


@contextmanager
def says(liar: Liar, what: Any, status: int = 200) -> Iterator[None]:
    liar.says, liar.status = what, status
    yield


def test_a_foreign_token_is_introspected(lied_to: TokenHub, liar: Liar) -> None:
    liar.says, liar.status = foreign(lied_to), 200
    asked = len(liar.asked)
    with lied_to.caller(token="theirs-1") as http:
        assert http.get("/fhir/ImagingStudy").status_code == 200
        assert http.get("/fhir/DocumentReference").status_code == 403, "not within what the issuer may give"
        assert http.get("/fhir/ImagingStudy").status_code == 200
    assert len(liar.asked) == asked + 1, "for half a minute once"
    assert liar.asked[-1]["token"] == ["theirs-1"]
    assert lied_to.records()[0].principal_id == "theirs@https://other.as"


FOREIGN: dict[str, tuple[dict[str, Any], int]] = {
    "not active": ({"active": False}, 401),
    "expired": ({"exp": 5}, 401),
    "without an end": ({"exp": None}, 401),
    "another audience": ({"aud": "https://elsewhere"}, 401),
    "no audience": ({"aud": None}, 401),
    "another issuer": ({"iss": "https://evil"}, 401),
    "bound to another certificate": ({"cnf": {"x5t#S256": "x"}}, 401),
}


@pytest.mark.parametrize("wrong", sorted(FOREIGN))
def test_a_foreign_token_that_is_no_good(lied_to: TokenHub, liar: Liar, wrong: str) -> None:
    changed, status = FOREIGN[wrong]
    before = len(lied_to.records())
    liar.says, liar.status = foreign(lied_to, **changed), 200
    with lied_to.caller(token=f"theirs {wrong}".replace(" ", "-")) as http:
        answer = http.get("/fhir/ImagingStudy")
    assert answer.status_code == status
    assert len(lied_to.records()) == before + 1


def test_when_the_issuer_is_away_the_hub_says_so(lied_to: TokenHub, liar: Liar) -> None:
    liar.says, liar.status = {}, 500
    with lied_to.caller(token="theirs-away") as http:
        answer = http.get("/fhir/ImagingStudy")
    assert answer.status_code == 503
    assert "token-issuer-silent" in answer.text


def test_an_answer_is_used_again_no_longer_than_the_token_lives() -> None:
    at, asked = [now()], list[str]()

    def ask(token: str) -> dict[str, Any]:
        asked.append(token)
        return {"active": True, "exp": int(at[0].timestamp()) + (5 if token == "short" else 500)}

    recent = Recent(ask, clock=lambda: at[0])
    for token in ("short", "long"):
        recent(token)
        recent(token)
    assert asked == ["short", "long"]
    at[0] += KEPT / 3
    for token in ("short", "long"):
        recent(token)
    assert asked == ["short", "long", "short"]
    at[0] += KEPT
    recent("long")
    assert asked[-1] == "long"


def test_a_foreign_token_is_verified_by_its_issuers_key(tmp_path: Path) -> None:
    """Signed by another server, good for what the settings leave to it."""
    made = signing_key(new_key("ES256"))
    (tmp_path / "as.jwks.json").write_text(json.dumps({"keys": [made.public]}))
    issuer = {"issuer": "https://as.example", "jwks": tmp_path / "as.jwks.json", "permissions": ("imaging.query",)}
    with token_hub(tmp_path, issuers=[issuer]) as site:
        claims = {"iss": "https://as.example", "aud": site.url, "sub": "theirs", "exp": int(time.time()) + 60}
        claims["scope"] = "imaging.query documents.query"
        with site.caller(token=jwt.write(claims, made)) as http:
            assert http.get("/fhir/ImagingStudy").status_code == 200
            assert http.get("/fhir/DocumentReference").status_code == 403
        for wrong in ({"aud": "https://elsewhere"}, {"iss": site.url}, {"exp": 5}):
            with site.caller(token=jwt.write({**claims, **wrong}, made)) as http:
                assert http.get("/fhir/ImagingStudy").status_code == 401
        with site.caller(token=site.own(iss="https://as.example", client_id="other")) as http:
            assert http.get("/fhir/ImagingStudy").status_code == 401, "our key is not theirs"
        with site.caller(token="opaque") as http:
            assert http.get("/fhir/ImagingStudy").status_code == 401
