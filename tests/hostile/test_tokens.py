"""Tokens that mean harm, over real sockets: refused in the protocol's way, in clear words, with one audit record."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from hub.audit.model import AuditOutcome
from tests.access.forge import b64, forge
from tests.access.oauth_hub import ASSERTION, TokenHub, public_pem, token_hub
from tests.hostile.conftest import SECRET, clean

FOREIGN = ec.generate_private_key(ec.SECP256R1())
WEAK = rsa.generate_private_key(public_exponent=65537, key_size=2048)
NOW = int(time.time())
NONE = b64(b'{"alg":"NONE"}')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenHub]:
    with token_hub(tmp_path_factory.mktemp("tokens")) as site:
        yield site


@pytest.fixture
def lure() -> Iterator[tuple[str, list[str]]]:
    """A server that a token would like to be fetched from, and what was fetched."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Silent."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()
    thread.join(30)


def kid(site: TokenHub) -> str:
    return str(site.hub.oauth.issuer.jwks()["keys"][0]["kid"])


Made = Callable[[TokenHub], str]
#: What is wrong -> the token, and the error's code.
TOKENS: dict[str, tuple[Made, str]] = {
    "alg none": (lambda site: site.own(header={"alg": "none"}, key=b""), "token-algorithm"),
    "alg none without a signature": (
        lambda site: NONE + "." + site.own().split(".")[1] + ".",
        "token-algorithm",
    ),
    "HS256 with the public key": (
        lambda site: site.own(header={"alg": "HS256", "kid": kid(site)}, key=public_pem(site.signer)),
        "token-algorithm",
    ),
    "a foreign key under our kid": (
        lambda site: site.own(header={"alg": "ES256", "kid": kid(site)}, key=FOREIGN),
        "token-signature",
    ),
    "a foreign kid": (lambda site: site.own(header={"alg": "ES256", "kid": "theirs"}, key=FOREIGN), "token-key"),
    "another kind of key": (lambda site: site.own(header={"alg": "RS256", "kid": kid(site)}, key=WEAK), "token-key"),
    "its own key (jwk)": (
        lambda site: site.own(header={"alg": "ES256", "jwk": {"kty": "EC", "crv": "P-256"}}, key=FOREIGN),
        "token-key",
    ),
    "crit": (lambda site: site.own(header={"alg": "ES256", "crit": ["urn:x"], "urn:x": 1}), "token-unreadable"),
    "a client's assertion": (lambda site: site.assertion(aud=site.url), "bad-credentials"),
    "an assertion's type": (
        lambda site: site.own(header={"alg": "ES256", "typ": "client-authentication+jwt"}),
        "token-unreadable",
    ),
    "expired": (lambda site: site.own(exp=NOW - 3600), "token-past"),
    "without an end": (lambda site: site.own(exp=None), "token-time"),
    "from the future": (lambda site: site.own(iat=NOW + 36000), "token-time"),
    "another audience": (lambda site: site.own(aud="https://another.hub"), "token-audience"),
    "an audience that begins like ours": (lambda site: site.own(aud=site.url + ".evil"), "token-audience"),
    "another issuer": (lambda site: site.own(iss="https://evil", key=FOREIGN), "bad-credentials"),
    "a client that is gone": (lambda site: site.own(client_id="gone"), "token-ended"),
    "bound, without a certificate": (lambda site: site.own(cnf={"x5t#S256": b64(b"0" * 32)}), "token-binding"),
    "bound in an unknown way": (lambda site: site.own(cnf={"jkt": "x"}), "token-claims"),
    "bound to nothing": (lambda site: site.own(cnf={}), "token-claims"),
    "bound to a text": (lambda site: site.own(cnf="x"), "token-claims"),
    "huge": (lambda site: site.own(note="a" * 20_000), "token-unreadable"),
    "no JSON": (lambda _: f"{b64(b'x')}.{b64(b'y')}.z", "token-unreadable"),
    "opaque, guessed": (lambda _: "A" * 43, "bad-credentials"),
    "with what must not be shown": (lambda site: site.own(iss=SECRET, sub=SECRET), "bad-credentials"),
}
PLACES = {"fhir": "/fhir/ImagingStudy", "dicom-web": "/dicom-web/studies"}


@pytest.mark.parametrize("where", sorted(PLACES))
@pytest.mark.parametrize("wrong", sorted(TOKENS))
def test_a_token(site: TokenHub, wrong: str, where: str) -> None:
    make, code = TOKENS[wrong]
    token, before = make(site), len(site.records())
    with site.caller(token=token) as http:
        answer = http.get(PLACES[where])
    assert answer.status_code == 401, answer.text
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith(f'Bearer realm="{where}", error="invalid_token", error_description="')
    assert code in answer.text
    clean(answer.text + challenge)
    records = site.records()
    assert len(records) == before + 1
    assert (records[0].error_code, records[0].outcome) == (code, AuditOutcome.SERIOUS_FAILURE)
    assert token not in repr(records[0])


def test_nothing_shown_is_told_no_more_than_that(site: TokenHub) -> None:
    with site.caller() as http:
        assert http.get("/fhir/ImagingStudy").headers["www-authenticate"] == 'Bearer realm="fhir"'


@pytest.mark.parametrize("header", ["jku", "x5u"])
def test_no_address_of_a_token_is_fetched(site: TokenHub, lure: tuple[str, list[str]], header: str) -> None:
    url, asked = lure
    with site.caller(token=site.own(header={"alg": "ES256", header: f"{url}/keys"}, key=FOREIGN)) as http:
        answer = http.get("/fhir/ImagingStudy")
    assert answer.status_code == 401
    assert "token-key" in answer.text
    form = {"grant_type": "client_credentials", "scope": "imaging.query"}
    form |= site.proof(header={"alg": "ES256", header: f"{url}/keys"}, key=FOREIGN)
    assert site.ask(form).json()["error"] == "invalid_client"
    assert asked == []


def test_a_bound_token_with_another_certificate(site: TokenHub) -> None:
    token = site.token(node="pacs")
    for node, status in (("pacs", 200), ("stranger", 401), ("", 401)):
        with site.caller(node, token) as http:
            answer = http.get("/fhir/ImagingStudy")
        assert answer.status_code == status, answer.text
    assert "token-binding" in answer.text


@pytest.mark.parametrize("path", [*PLACES.values(), "/xds/registry"])
def test_a_token_in_the_url(site: TokenHub, path: str) -> None:
    """Even a good one, and even beside a good one in the header."""
    token, before = site.token(), len(site.records())
    with site.caller(token=token) as http:
        if path.startswith("/xds"):
            answer = http.post(path, params={"access_token": token}, headers={"Content-Type": "application/soap+xml"})
        else:
            answer = http.get(path, params={"access_token": token})
    assert answer.status_code == 400, answer.text
    assert token not in answer.text
    assert "URL" in answer.text
    if not path.startswith("/xds"):
        assert 'error="invalid_request"' in answer.headers["www-authenticate"]
    assert len(site.records()) == before + 1


def test_a_scope_is_no_more_than_it_says(site: TokenHub) -> None:
    with site.caller(token=site.token("system/ImagingStudy.rs")) as http:
        answer = http.get("/fhir/DocumentReference")
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


# The token endpoint

#: Scope -> what is asked with it, and whether that is permitted.
SMART = [
    ("system/ImagingStudy.s", "/fhir/ImagingStudy", True),
    ("system/ImagingStudy.r", "/fhir/ImagingStudy", False),
    ("system/ImagingStudy.r", "/fhir/ImagingStudy/1.2.3", True),
    ("system/ImagingStudy.s", "/fhir/ImagingStudy/1.2.3", False),
    ("system/List.rs", "/fhir/List?patient=Patient/x", True),
    ("system/List.rs", "/fhir/DocumentReference?patient=Patient/x", False),
    ("system/List.read", "/fhir/DocumentReference/x", False),
    ("system/List.read system/DocumentReference.r", "/fhir/DocumentReference/x", True),
    ("system/List.rs documents.query", "/fhir/DocumentReference?patient=Patient/x", True),
    ("system/List.rs ITI-67", "/fhir/DocumentReference?patient=Patient/x", True),
    ("system/*.s", "/fhir/DocumentReference?patient=Patient/x", True),
    ("system/*.s", "/fhir/DocumentReference/x", False),
    ("system/*.read", "/fhir/DocumentReference/x", True),
]


@pytest.mark.parametrize(("scope", "asked", "permitted"), SMART)
def test_a_letter_is_for_its_resource_alone(site: TokenHub, scope: str, asked: str, permitted: bool) -> None:
    before = len(site.records())
    with site.caller(token=site.token(scope, client="other")) as http:
        answer = http.get(asked)
    assert answer.status_code in ((200, 404) if permitted else (403,)), answer.text
    if not permitted:
        assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
        assert "A scope for " in answer.text
    asking, *_ = site.records()
    assert (len(site.records()), asking.outcome is not AuditOutcome.SUCCESS) == (
        before + 2, answer.status_code != 200
    )  # fmt: skip


GRANT = {"grant_type": "client_credentials", "scope": "imaging.query"}
Form = Callable[[TokenHub], dict[str, Any]]
#: What is wrong -> the form, OAuth's error, the hub's code.
REQUESTS: dict[str, tuple[Form, str, str]] = {
    "no proof": (lambda _: GRANT, "invalid_client", "not-authenticated"),
    "a name without a proof": (lambda _: {**GRANT, "client_id": "ris"}, "invalid_client", "oauth-client"),
    "a secret": (lambda _: {**GRANT, "client_id": "ris", "client_secret": "x"}, "invalid_client", "oauth-client"),
    "another kind of assertion": (
        lambda site: {**GRANT, **site.proof(), "client_assertion_type": "urn:x"},
        "invalid_client",
        "oauth-client",
    ),
    "alg none": (
        lambda site: {**GRANT, **site.proof(header={"alg": "none"}, key=b"")},
        "invalid_client",
        "token-algorithm",
    ),
    "HS256 with the client's public key": (
        lambda site: {**GRANT, **site.proof(header={"alg": "HS256"}, key=public_pem(site.keys["ris"]))},
        "invalid_client",
        "token-algorithm",
    ),
    "the assertion of another client": (
        lambda site: {**GRANT, "client_id": "ris", **site.proof("other")},
        "invalid_client",
        "oauth-client",
    ),
    "another client's key": (
        lambda site: {**GRANT, **site.proof(key=site.keys["other"])},
        "invalid_client",
        "token-signature",
    ),
    "another client's subject": (lambda site: {**GRANT, **site.proof(sub="other")}, "invalid_client", "token-claims"),
    "a client that is not there": (
        lambda site: {**GRANT, **site.proof(key=FOREIGN, iss="nobody", sub="nobody")},
        "invalid_client",
        "oauth-client",
    ),
    "a client without a key": (
        lambda site: {**GRANT, **site.proof(key=FOREIGN, iss="stranger", sub="stranger")},
        "invalid_client",
        "oauth-client",
    ),
    "made for another server": (
        lambda site: {**GRANT, **site.proof(aud="https://other/oauth2/token")},
        "invalid_client",
        "token-audience",
    ),
    "expired": (lambda site: {**GRANT, **site.proof(exp=NOW - 3600)}, "invalid_client", "token-past"),
    "good for an hour": (
        lambda site: {**GRANT, **site.proof(exp=int(time.time()) + 3600)},
        "invalid_client",
        "token-time",
    ),
    "without jti": (lambda site: {**GRANT, **site.proof(jti=None)}, "invalid_client", "token-claims"),
    "an access token as assertion": (
        lambda site: {**GRANT, "client_assertion_type": ASSERTION, "client_assertion": site.own()},
        "invalid_client",
        "oauth-client",
    ),
    "more scope than one has": (
        lambda site: {**GRANT, **site.proof(), "scope": "imaging.query documents.submit"},
        "invalid_scope",
        "oauth-scope",
    ),
    "all there is": (lambda site: {**GRANT, **site.proof(), "scope": "*"}, "invalid_scope", "oauth-scope"),
    "no scope": (lambda site: {**GRANT, **site.proof(), "scope": ""}, "invalid_scope", "oauth-scope"),
    "a person's scope": (
        lambda site: {**GRANT, **site.proof(), "scope": "user/ImagingStudy.rs"},
        "invalid_scope",
        "oauth-scope",
    ),
    "another system's resource": (
        lambda site: {**GRANT, **site.proof(), "resource": ["https://elsewhere/fhir"]},
        "invalid_target",
        "oauth-target",
    ),
    "a resource that begins like ours": (
        lambda site: {**GRANT, **site.proof(), "resource": [site.url + ".evil/fhir"]},
        "invalid_target",
        "oauth-target",
    ),
    "another grant": (
        lambda site: {**site.proof(), "grant_type": "password", "username": "a", "password": SECRET},
        "unsupported_grant_type",
        "oauth-grant-type",
    ),
    "exchange that is switched off": (
        lambda site: {**site.proof(), "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange"},
        "unsupported_grant_type",
        "oauth-grant-type",
    ),
    "no grant": (lambda site: {**site.proof()}, "invalid_request", "oauth-request"),
    "another kind of token": (
        lambda site: {**GRANT, **site.proof(), "requested_token_type": "urn:ietf:params:oauth:token-type:saml2"},
        "unsupported_token_type",
        "oauth-token-type",
    ),
}
STATUS = {"invalid_client": 401}


@pytest.mark.parametrize("wrong", sorted(REQUESTS))
def test_a_request_for_a_token(site: TokenHub, wrong: str) -> None:
    make, error, code = REQUESTS[wrong]
    form, before = make(site), len(site.records())
    answer = site.ask(form)
    assert answer.json()["error"] == error, answer.text
    assert answer.status_code == STATUS.get(error, 400)
    assert answer.json()["error_description"]
    assert answer.headers["cache-control"] == "no-store"
    clean(answer.text)
    records = site.records()
    assert len(records) == before + 1
    assert (records[0].transaction, records[0].error_code) == ("ITI-71", code)
    assert records[0].outcome is not AuditOutcome.SUCCESS


def test_an_assertion_is_good_once(site: TokenHub) -> None:
    form = {**GRANT, **site.proof()}
    assert site.ask(form).status_code == 200
    before = len(site.records())
    answer = site.ask(form)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert "used before" in answer.json()["error_description"]
    assert len(site.records()) == before + 1


def test_a_certificate_is_no_proof_for_another_client(site: TokenHub) -> None:
    before = len(site.records())
    answer = site.ask({**GRANT, "client_id": "ris"}, node="pacs")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    answer = site.ask({**GRANT, "client_id": "stranger"}, node="stranger")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")
    assert len(site.records()) == before + 2


BODIES: dict[str, tuple[dict[str, str], str, bytes]] = {
    "JSON": ({"Content-Type": "application/json"}, "", b'{"grant_type":"client_credentials"}'),
    "nothing": ({"Content-Type": "application/x-www-form-urlencoded"}, "", b""),
    "a parameter twice": (
        {"Content-Type": "application/x-www-form-urlencoded"},
        "",
        b"grant_type=client_credentials&grant_type=password",
    ),
    "bytes": ({"Content-Type": "application/x-www-form-urlencoded"}, "", bytes(range(256))),
    "many fields": ({"Content-Type": "application/x-www-form-urlencoded"}, "", b"&".join([b"a=1"] * 200)),
    "a huge form": ({"Content-Type": "application/x-www-form-urlencoded"}, "", b"a=" + b"b" * 300_000),
    "in the URL": ({"Content-Type": "application/x-www-form-urlencoded"}, "?grant_type=client_credentials", b""),
    "an assertion in the URL": (
        {"Content-Type": "application/x-www-form-urlencoded"},
        "?client_assertion=x&access_token=y",
        b"",
    ),
    "a basic password": (
        {"Content-Type": "application/x-www-form-urlencoded", "Authorization": "Basic cmlzOng="},
        "",
        b"grant_type=client_credentials",
    ),
}


@pytest.mark.parametrize("name", sorted(BODIES))
def test_a_body(site: TokenHub, name: str) -> None:
    headers, query, body = BODIES[name]
    before = len(site.records())
    with site.caller() as http:
        answer = http.post(f"/oauth2/token{query}", content=body, headers=headers)
    assert answer.status_code in (400, 401, 413), answer.text
    assert answer.json()["error"] in ("invalid_request", "invalid_client")
    assert len(site.records()) == before + 1


# Introspection and revocation


def test_introspection_is_for_those_who_may(site: TokenHub) -> None:
    token = site.token()
    before = len(site.records())
    answer = site.ask({"token": token, **site.proof()}, path="/oauth2/introspect")
    assert (answer.status_code, answer.json()["error"]) == (403, "unauthorized_client")
    assert site.ask({"token": token}, path="/oauth2/introspect").status_code == 401
    assert token not in answer.text
    with site.caller(token=token) as http:
        answer = http.post("/oauth2/introspect", data={"token": token})
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert len(site.records()) == before + 3


@pytest.mark.parametrize("wrong", sorted(TOKENS))
def test_introspection_of_what_is_no_good_says_so_and_no_more(site: TokenHub, wrong: str) -> None:
    token = TOKENS[wrong][0](site)
    if wrong.startswith(("bound", "a client that is gone")):
        return  # of the caller, not of the token
    answer = site.ask({"token": token, "client_id": "pacs"}, node="pacs", path="/oauth2/introspect")
    assert answer.json() == {"active": False}


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "whatever"])
def test_a_hint_about_a_token_is_no_more_than_that(site: TokenHub, hint: str) -> None:
    told = {"token": site.token(), "token_type_hint": hint}
    found = site.ask({**told, "client_id": "pacs"}, node="pacs", path="/oauth2/introspect")
    assert (found.status_code, found.json().get("active")) == (200, True)
    assert site.ask({**told, **site.proof()}, path="/oauth2/revoke").status_code == 200
    found = site.ask({**told, "client_id": "pacs"}, node="pacs", path="/oauth2/introspect")
    assert found.json() == {"active": False}


@pytest.mark.parametrize("path", ["/oauth2/introspect", "/oauth2/revoke"])
def test_where_a_client_proves_itself_is_an_audience(site: TokenHub, path: str) -> None:
    shown = site.proof("pacs", aud=site.url + path)
    assert site.ask({"token": site.token(), **shown}, path=path).status_code == 200
    answer = site.ask({"token": "", **site.proof("pacs", aud=site.url + path)}, path=path)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert site.ask({"token": "x", **site.proof("pacs", aud=site.url + "/oauth2")}, path=path).status_code == 401


def test_nobody_ends_another_clients_token(site: TokenHub) -> None:
    token = site.token()
    answer = site.ask({"token": token, **site.proof("other")}, path="/oauth2/revoke")
    assert (answer.status_code, answer.json()) == (200, {})
    with site.caller(token=token) as http:
        assert http.get("/fhir/ImagingStudy").status_code == 200
    assert site.ask({"token": token, **site.proof()}, path="/oauth2/revoke").status_code == 200
    with site.caller(token=token) as http:
        answer = http.get("/fhir/ImagingStudy")
    assert answer.status_code == 401
    assert "token-ended" in answer.text
    found = site.ask({"token": token, "client_id": "pacs"}, node="pacs", path="/oauth2/introspect")
    assert found.json() == {"active": False}


def test_the_log_and_the_database_hold_no_token(site: TokenHub, caplog: pytest.LogCaptureFixture) -> None:
    opaque = site.token(requested_token_type="urn:ietf:params:oauth:token-type:access_token")
    signed = site.token()
    for token in (opaque, signed):
        with site.caller(token=token) as http:
            assert http.get("/fhir/ImagingStudy").status_code == 200
    kept = (Path(site.hub.settings.storage.content).parent / "hub.sqlite").read_bytes()
    for token in (opaque, signed):
        assert token.encode() not in kept
        assert token not in caplog.text
    assert json.dumps(forge({"alg": "none"}, {}, None))
