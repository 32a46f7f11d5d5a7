import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from hub.access.sign_in_errors import (
    HashMismatch,
    LevelTooLow,
    LogoutRefused,
    NonceMismatch,
    ProviderUnavailable,
    SubjectMismatch,
)
from hub.access.tokens_errors import (
    TokenAudience,
    TokenClaims,
    TokenIssuer,
    TokenKey,
    TokenOutOfTime,
    TokenPast,
    TokenRefused,
)
from hub.errors import HubError
from hub.wire.jose.keys import public_keys
from hub.wire.oidc import tokens
from hub.wire.oidc.tokens import LOGOUT_EVENT, Expected
from tests.wire.oidc.signing import AT, CLIENT, ISSUER, Signer, bare, claims

SIGNER, OTHER, CURVE = Signer(), Signer(), Signer("k2", "P-256")
KEYS = public_keys(json.dumps({"keys": [SIGNER.public, CURVE.public]}).encode())
NOW = datetime.fromtimestamp(AT, UTC)
EXPECTED = Expected(ISSUER, CLIENT)


def read(text: str, **more: Any) -> Any:
    return tokens.id_token(text, KEYS, EXPECTED, NOW, **{"nonce": "n", "acr": ("eidas1",), **more})


def test_a_sound_token_is_read() -> None:
    assert read(SIGNER.sign(claims()))["sub"] == "f:1:899700000001"
    assert read(CURVE.sign(claims(), "ES256"))["sub"]
    assert read(SIGNER.sign(claims(aud=["account", CLIENT], azp=CLIENT), "PS256"))["sub"]


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"iss": "https://other.example"}, TokenIssuer),
        ({"iss": None}, TokenClaims),
        ({"aud": "another"}, TokenAudience),
        ({"aud": ["another"]}, TokenAudience),
        ({"aud": None}, TokenClaims),
        ({"aud": [CLIENT, "another"]}, TokenAudience),
        ({"aud": [CLIENT, "another"], "azp": "another"}, TokenAudience),
        ({"azp": "another"}, TokenAudience),
        ({"exp": AT - 31}, TokenPast),
        ({"exp": None}, TokenOutOfTime),
        ({"exp": "soon"}, TokenClaims),
        ({"exp": True}, TokenClaims),
        ({"iat": AT + 31}, TokenOutOfTime),
        ({"iat": None}, TokenOutOfTime),
        ({"nbf": AT + 31}, TokenOutOfTime),
        ({"sub": None}, TokenClaims),
        ({"sub": 7}, TokenClaims),
        ({"nonce": "m"}, NonceMismatch),
        ({"nonce": None}, NonceMismatch),
        ({"acr": "eidas0"}, LevelTooLow),
        ({"acr": None}, LevelTooLow),
        ({"acr": ["eidas1"]}, LevelTooLow),
    ],
)
def test_each_rule_has_its_refusal(more: dict[str, Any], error: type[HubError]) -> None:
    with pytest.raises(HubError) as refused:
        read(SIGNER.sign(claims(**more)))
    assert type(refused.value) is error


def test_clocks_may_differ_a_little() -> None:
    assert read(SIGNER.sign(claims(exp=AT - 29, iat=AT + 29)))


def test_the_access_token_is_bound_by_its_hash() -> None:
    half = base64.urlsafe_b64encode(hashlib.sha256(b"token").digest()[:16]).rstrip(b"=").decode()
    assert read(SIGNER.sign(claims(at_hash=half)), access_token="token")
    with pytest.raises(HashMismatch):
        read(SIGNER.sign(claims(at_hash=half)), access_token="another")


def confused() -> str:
    """HS256 with the public key as the shared secret."""
    signed = bare({"alg": "HS256", "kid": "k1"}, claims()).rpartition(".")[0]
    secret = SIGNER.key.as_pem(private=False)
    mac = base64.urlsafe_b64encode(hmac.new(secret, signed.encode(), "sha256").digest()).rstrip(b"=").decode()
    return f"{signed}.{mac}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text",
        "a.b",
        "a.b.c",
        "....",
        "é.é.é",
        bare({"alg": "none"}, claims()),
        bare({"alg": "None", "kid": "k1"}, claims()),
        bare({"alg": ["RS256"]}, claims()),
        bare({"kid": "k1"}, claims()),
        bare({"alg": "RS256", "kid": "k1"}, claims(), b"\0" * 256),
        confused(),
        SIGNER.sign(claims(), "RS512"),  # sound, and not on the list
        bare({"alg": "RS256", "kid": "k1", "crit": ["exp"], "exp": 1}, claims()),
        SIGNER.sign(claims(), typ="at+jwt"),
        SIGNER.sign(claims(), typ="logout+jwt"),
        SIGNER.sign("[]"),
        SIGNER.sign("text"),
        SIGNER.sign("[" * 50_000),
        OTHER.sign(claims()),  # the right kid, another key
        SIGNER.sign(claims(padding="x" * 70_000)),
        OTHER.sign(claims(), jwk=OTHER.public),
    ],
    ids=range(22),
)
def test_what_is_not_signed_as_it_must_be_is_refused(text: str) -> None:
    with pytest.raises(TokenRefused):
        read(text)


def test_a_key_that_is_not_published_may_be_asked_for_again() -> None:
    with pytest.raises(TokenKey):
        read(Signer("k9").sign(claims()))


def test_claims_come_as_json_or_signed() -> None:
    said = {"sub": "s", "SubjectNameID": "899700000001"}
    assert tokens.userinfo("application/json; charset=utf-8", json.dumps(said).encode(), KEYS, EXPECTED, "s") == said
    signed = SIGNER.sign({**said, "iss": ISSUER, "aud": CLIENT}).encode()
    assert tokens.userinfo("application/jwt", signed, KEYS, EXPECTED, "s", signed=True)["sub"] == "s"


@pytest.mark.parametrize(
    ("kind", "body", "error"),
    [
        ("application/json", b'{"sub":"another"}', SubjectMismatch),
        ("application/json", b"{}", SubjectMismatch),
        ("application/json", b"[]", ProviderUnavailable),
        ("application/json", b'{"sub":"s","sub":"s"}', ProviderUnavailable),
        ("application/json", b'{"sub":"s","x":NaN}', ProviderUnavailable),
        ("text/html", b"<p>", ProviderUnavailable),
        ("application/jwt", SIGNER.sign({"sub": "another"}).encode(), SubjectMismatch),
        ("application/jwt", OTHER.sign({"sub": "s"}).encode(), TokenRefused),
        ("application/jwt", bare({"alg": "none"}, {"sub": "s"}).encode(), TokenRefused),
        ("application/jwt", SIGNER.sign({"sub": "s", "iss": "https://x.example"}).encode(), TokenIssuer),
        ("application/jwt", SIGNER.sign({"sub": "s", "aud": ["x"]}).encode(), TokenAudience),
    ],
)
def test_claims_about_somebody_else_are_refused(kind: str, body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        tokens.userinfo(kind, body, KEYS, EXPECTED, "s")


def test_claims_without_a_signature_can_be_forbidden() -> None:
    with pytest.raises(TokenRefused):
        tokens.userinfo("application/json", b'{"sub":"s"}', KEYS, EXPECTED, "s", signed=True)


def over(**more: Any) -> dict[str, Any]:
    return claims(**{"nonce": None, "acr": None, "jti": "j", "sid": "1", "events": {LOGOUT_EVENT: {}}, **more})


def test_a_logout_token_is_read() -> None:
    found = tokens.logout_token(SIGNER.sign(over(), typ="logout+jwt"), KEYS, EXPECTED, NOW)
    assert (found.session, found.subject, found.jti) == ("1", "f:1:899700000001", "j")


@pytest.mark.parametrize(
    "text",
    [
        SIGNER.sign(over(events=None)),
        SIGNER.sign(over(events={})),
        SIGNER.sign(over(events={LOGOUT_EVENT: True})),
        SIGNER.sign(over(nonce="n")),
        SIGNER.sign(over(jti=None)),
        SIGNER.sign(over(sid=None, sub=None)),
        SIGNER.sign(over(iss="https://x.example")),
        SIGNER.sign(over(aud="x")),
        SIGNER.sign(over(exp=AT - 60)),
        OTHER.sign(over()),
        bare({"alg": "none"}, over()),
    ],
    ids=range(11),
)
def test_a_forged_logout_token_is_refused(text: str) -> None:
    with pytest.raises(LogoutRefused):
        tokens.logout_token(text, KEYS, EXPECTED, NOW)
