"""The provider's client and its settings."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from pydantic import ValidationError

from hub.access.sign_in_errors import ProviderDeclined, ProviderUnavailable
from hub.app.provider.client import MAX_ANSWER, Provider
from hub.app.settings.nodes import Tls
from hub.app.settings.psc import ProSanteConnect
from hub.errors import Misconfigured
from hub.values import now
from hub.wire.jose import jwt
from hub.wire.jose.keys import new_key, signing_key, verifying

ISSUER = "https://provider.example/realms/wallet"
GIVEN = {"issuer": ISSUER, "client_id": "mail:lage"}
METADATA = {"issuer": ISSUER, "token_endpoint": f"{ISSUER}/token", "jwks_uri": f"{ISSUER}/jwks"}
TOKENS = {"access_token": "a", "token_type": "Bearer"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuer": None},
        {"client_id": ""},
        {"client_secret_file": None},
        {"authentication": "private_key_jwt"},
        {"issuer": "http://provider.example"},
        {"token_endpoint": "http://provider.example/token"},
        {"acr": ()},
        {"acr": ("",)},
        {"algorithms": ("none",)},
        {"algorithms": ("HS256",)},
        {"certificate": Path("x")},
        {"unknown": 1},
    ],
)
def test_settings_that_can_not_be_meant(wrong: dict[str, Any]) -> None:
    ProSanteConnect(**{**GIVEN, "client_secret_file": Path("x")})
    with pytest.raises(ValidationError):
        ProSanteConnect(**{**GIVEN, "client_secret_file": Path("x"), **wrong})


def test_without_settings_there_is_none() -> None:
    assert ProSanteConnect().issuer is None


@pytest.mark.parametrize("missing", ["client_secret_file", "client_key"])
def test_a_file_that_is_not_there_is_a_mistake_of_the_settings(tmp_path: Path, missing: str) -> None:
    way = {"client_secret_file": "client_secret_basic", "client_key": "private_key_jwt"}[missing]
    with pytest.raises(Misconfigured):
        Provider(ProSanteConnect(**GIVEN, authentication=way, **{missing: tmp_path / "none"}), Tls())


def test_a_certificate_is_needed_for_mutual_tls() -> None:
    with pytest.raises(Misconfigured):
        Provider(ProSanteConnect(**GIVEN, authentication="tls_client_auth"), Tls())


class Asked:
    """What the provider was asked, and what it answers."""

    def __init__(self, answer: httpx.Response | None = None) -> None:
        self.requests: list[httpx.Request] = []
        self.answer = answer

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.path.endswith("openid-configuration"):
            return httpx.Response(200, json=METADATA)
        return self.answer or httpx.Response(200, json=TOKENS)


def client(tmp_path: Path, asked: Asked, **more: Any) -> Provider:
    secret = tmp_path / "secret"
    secret.write_text("p+ss w:rd\n")
    provider = Provider(ProSanteConnect(**{**GIVEN, "client_secret_file": secret, **more}), Tls())
    provider._client = httpx.Client(transport=httpx.MockTransport(asked))
    return provider


def form(asked: Asked) -> dict[str, str]:
    return {name: value for name, (value,) in parse_qs(asked.requests[-1].content.decode()).items()}


def test_a_secret_in_the_header(tmp_path: Path) -> None:
    asked = Asked()
    client(tmp_path, asked).exchange("c", "v", "https://hub.example/back")
    expected = httpx.BasicAuth("mail%3Alage", "p%2Bss+w%3Ard")._auth_header
    assert asked.requests[-1].headers["authorization"] == expected
    assert form(asked) == {
        "grant_type": "authorization_code",
        "code": "c",
        "code_verifier": "v",
        "redirect_uri": "https://hub.example/back",
    }


def test_a_secret_in_the_form(tmp_path: Path) -> None:
    asked = Asked()
    client(tmp_path, asked, authentication="client_secret_post").renew("r")
    assert "authorization" not in asked.requests[-1].headers
    assert form(asked)["client_secret"] == "p+ss w:rd"


def test_a_signed_assertion(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(new_key("ES256"))
    asked = Asked()
    provider = client(tmp_path, asked, authentication="private_key_jwt", client_key=key)
    provider.renew("r")
    rules = jwt.Rules("mail:lage", frozenset({ISSUER}))
    claims = jwt.read(form(asked)["client_assertion"], verifying([signing_key(key.read_bytes())]), rules, now())
    assert claims["sub"] == "mail:lage"
    provider.renew("r")
    again = jwt.read(form(asked)["client_assertion"], verifying([signing_key(key.read_bytes())]), rules, now())
    assert claims["jti"] != again["jti"]


def test_metadata_is_asked_for_once(tmp_path: Path) -> None:
    asked = Asked()
    provider = client(tmp_path, asked)
    provider.renew("r")
    provider.renew("r")
    assert [request.url.path.rpartition("/")[2] for request in asked.requests] == [
        "openid-configuration",
        "token",
        "token",
    ]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(302, headers={"location": "https://evil.example"}), ProviderUnavailable),
        (httpx.Response(500), ProviderUnavailable),
        (httpx.Response(200, content=b"x" * (MAX_ANSWER + 1)), ProviderUnavailable),
        (httpx.Response(400, json={"error": "invalid_grant"}), ProviderDeclined),
        (httpx.Response(401, json={"error": "invalid_client"}), ProviderDeclined),
    ],
)
def test_answers_that_are_none(tmp_path: Path, answer: httpx.Response, error: type[Exception]) -> None:
    asked = Asked(answer)
    with pytest.raises(error):
        client(tmp_path, asked).renew("r")
    assert all(request.url.host == "provider.example" for request in asked.requests)


def test_nothing_secret_is_in_its_words(tmp_path: Path) -> None:
    provider = client(tmp_path, Asked())
    assert "p+ss" not in repr(provider.settings)
    assert "'a'" not in repr(provider.renew("r"))
