import json
from urllib.parse import parse_qs, urlsplit

import pytest

from hub.access.sign_in_errors import ProviderDeclined, ProviderUnavailable
from hub.access.tokens_errors import TokenIssuer
from hub.wire.oidc import provider, request
from hub.wire.sealed import NotSealedHere, seal, unseal

ISSUER = "https://provider.example"


def test_the_request_is_that_of_pro_sante_connect() -> None:
    mine = request.Secrets()
    url = request.authorisation(
        "https://wallet.example/auth?x=1",
        mine,
        client_id="maillage",
        redirect_uri="https://hub.example/back",
        scope="openid scope_all",
        acr_values="eidas1",
    )
    found = {name: value for name, (value,) in parse_qs(urlsplit(url).query).items()}
    assert found == {
        "x": "1",
        "response_type": "code",
        "client_id": "maillage",
        "redirect_uri": "https://hub.example/back",
        "scope": "openid scope_all",
        "acr_values": "eidas1",
        "state": mine.state,
        "nonce": mine.nonce,
        "code_challenge": mine.challenge,
        "code_challenge_method": "S256",
    }
    assert mine.verifier not in url
    assert mine.verifier not in repr(mine)


def test_the_challenge_of_rfc_7636_appendix_b() -> None:
    mine = request.Secrets(verifier="dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert mine.challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_endpoints_are_discovered_and_overridden() -> None:
    document = {"issuer": ISSUER, "token_endpoint": f"{ISSUER}/token", "authorization_endpoint": f"{ISSUER}/auth"}
    found = provider.discovered(
        json.dumps(document).encode(), ISSUER, {"authorization_endpoint": "https://wallet.example/auth"}
    )
    assert (found.authorization_endpoint, found.token_endpoint) == ("https://wallet.example/auth", f"{ISSUER}/token")
    with pytest.raises(TokenIssuer):
        provider.discovered(json.dumps(document).encode(), "https://other.example", {})
    for endpoint in ("http://provider.example/token", "file:///etc/passwd", "https:///", "javascript:0"):
        with pytest.raises(ProviderUnavailable):
            provider.discovered(json.dumps(document | {"token_endpoint": endpoint}).encode(), ISSUER, {})


def test_plain_http_is_for_this_machine() -> None:
    assert provider.is_safe("http://127.0.0.1:8080/x")
    assert provider.is_safe("http://[::1]/x")
    assert not provider.is_safe("http://127.0.0.1.example/x")


def test_tokens_are_read() -> None:
    found = provider.tokens(200, b'{"access_token":"a","token_type":"bearer","expires_in":120,"refresh_token":"r"}')
    assert (found.access_token, found.refresh_token, found.seconds) == ("a", "r", 120.0)
    assert "'a'" not in repr(found)


@pytest.mark.parametrize(
    ("status", "body"),
    [(502, b"<html>"), (200, b"<html>"), (200, b"{}"), (200, b'{"access_token":"a","token_type":"mac"}'), (200, b"[]")],
)
def test_what_is_no_answer_is_an_absent_provider(status: int, body: bytes) -> None:
    with pytest.raises(ProviderUnavailable):
        provider.tokens(status, body)


def test_a_refusal_keeps_its_code_and_nothing_else() -> None:
    body = b'{"error":"invalid_grant","error_description":"Camille ESSAI"}'
    with pytest.raises(ProviderDeclined) as refused:
        provider.tokens(400, body)
    assert refused.value.context == {"error": "invalid_grant"}
    assert provider.declined("<script>").context == {"error": "unknown"}


def test_a_request_to_a_phone_is_read() -> None:
    found = provider.phone_request(200, b'{"auth_req_id":"1c26","expires_in":120}')
    assert (found.auth_req_id, found.seconds, found.interval) == ("1c26", 120.0, 5.0)
    with pytest.raises(ProviderUnavailable):
        provider.phone_request(200, b'{"expires_in":120}')


def test_a_sealed_record_opens_for_its_secret_and_purpose_only() -> None:
    text = seal("secret", "tokens", {"access": "a"})
    assert unseal("secret", "tokens", text) == {"access": "a"}
    for secret, purpose, other in (("x", "tokens", text), ("secret", "x", text), ("secret", "tokens", "AAAA" + text)):
        with pytest.raises(NotSealedHere):
            unseal(secret, purpose, other)
