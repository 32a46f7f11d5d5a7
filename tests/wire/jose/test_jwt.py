"""Signed tokens: what is written is read, and whatever is wrong with one is told by its own name.

The attacks are put together by hand, with ``cryptography`` alone: no library that would refuse to make them."""

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from hub.access.errors import BadCredentials
from hub.access.tokens_errors import (
    TokenAlgorithm,
    TokenAudience,
    TokenClaims,
    TokenIssuer,
    TokenKey,
    TokenOutOfTime,
    TokenPast,
    TokenRefused,
    TokenSignature,
    TokenUnreadable,
)
from hub.wire.jose import jwt
from hub.wire.jose.keys import Keys, KeyUnusable, new_key, public_keys, signing_key, verifying
from tests.access.forge import b64, forge

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECONDS = int(AT.timestamp())
KEY = signing_key(new_key("ES256"))
RSA_KEY = signing_key(new_key("RS256"))
KEY_384 = signing_key(new_key("ES384"))
KEYS = verifying([KEY, RSA_KEY, KEY_384])
RULES = jwt.Rules("https://hub", frozenset({"https://hub"}))
GOOD: dict[str, Any] = {"iss": "https://hub", "aud": "https://hub", "exp": SECONDS + 60, "iat": SECONDS, "sub": "ris"}


def private(content: Any) -> Any:
    return content.key.private_key


@pytest.mark.parametrize("key", [KEY, RSA_KEY, KEY_384], ids=["ES256", "RS256", "ES384"])
def test_what_is_written_is_read(key: Any) -> None:
    token = jwt.write(GOOD, key)
    assert jwt.read(token, KEYS, RULES, AT) == GOOD
    assert jwt.peek(token)["iss"] == "https://hub"


def test_tokens_of_another_hand_are_read() -> None:
    for algorithm, key in (("ES256", KEY), ("RS256", RSA_KEY), ("PS256", RSA_KEY)):
        keys = public_keys(
            private(key)
            .public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        token = forge({"alg": algorithm}, GOOD, private(key))
        assert jwt.read(token, keys, RULES, AT)["sub"] == "ris"


def test_ours_is_verified_by_another_hand() -> None:
    head, payload, signature = jwt.write(GOOD, RSA_KEY).split(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    private(RSA_KEY).public_key().verify(raw, f"{head}.{payload}".encode(), padding.PKCS1v15(), hashes.SHA256())
    head, payload, signature = jwt.write(GOOD, KEY).split(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    both = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    private(KEY).public_key().verify(both, f"{head}.{payload}".encode(), ec.ECDSA(hashes.SHA256()))


def test_what_a_header_says_beside_is_ignored() -> None:
    token = forge({"alg": "ES256", "kid": KEY.kid, "x5t": "abc", "region": "north"}, GOOD, private(KEY))
    assert jwt.read(token, KEYS, RULES, AT)


OTHER = ec.generate_private_key(ec.SECP256R1())
PUBLIC_PEM = (
    private(RSA_KEY)
    .public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
)
HEADERS: dict[str, tuple[dict[str, Any], Any, type[TokenRefused]]] = {
    "none": ({"alg": "none"}, None, TokenAlgorithm),
    "None, in another case": ({"alg": "nOnE"}, None, TokenAlgorithm),
    "no algorithm": ({}, None, TokenAlgorithm),
    "HS256 with the public key": ({"alg": "HS256", "kid": RSA_KEY.kid}, PUBLIC_PEM, TokenAlgorithm),
    "an algorithm that is not text": ({"alg": ["ES256"]}, OTHER, TokenAlgorithm),
    "a foreign key": ({"alg": "ES256", "kid": "foreign"}, OTHER, TokenKey),
    "our kid over a foreign key": ({"alg": "ES256", "kid": KEY.kid}, OTHER, TokenSignature),
    "our kid with another algorithm": ({"alg": "RS256", "kid": KEY.kid}, private(RSA_KEY), TokenKey),
    "a kid that is a path": ({"alg": "ES256", "kid": "../../etc/passwd"}, OTHER, TokenKey),
    "a kid that is no text": ({"alg": "ES256", "kid": {"a": 1}}, OTHER, TokenKey),
    "jku": ({"alg": "ES256", "jku": "http://127.0.0.1:1/keys"}, OTHER, TokenKey),
    "x5u": ({"alg": "ES256", "x5u": "http://169.254.169.254/"}, OTHER, TokenKey),
    "jwk": ({"alg": "ES256", "jwk": {"kty": "EC"}}, OTHER, TokenKey),
    "x5c": ({"alg": "ES256", "x5c": ["MII"]}, OTHER, TokenKey),
    "crit": ({"alg": "ES256", "kid": KEY.kid, "crit": ["exp"]}, private(KEY), TokenUnreadable),
    "b64": ({"alg": "ES256", "kid": KEY.kid, "b64": False}, private(KEY), TokenUnreadable),
    "an ID token": ({"alg": "ES256", "kid": KEY.kid, "typ": "logout+jwt"}, private(KEY), TokenUnreadable),
}


@pytest.mark.parametrize("name", sorted(HEADERS))
def test_a_header_that_lies(name: str) -> None:
    header, key, expected = HEADERS[name]
    with pytest.raises(expected) as caught:
        jwt.read(forge(header, GOOD, key), KEYS, RULES, AT)
    assert type(caught.value) is expected


CLAIMS: dict[str, tuple[dict[str, Any], type[TokenRefused]]] = {
    "expired": ({"exp": SECONDS - 11}, TokenPast),
    "without an end": ({"exp": None}, TokenOutOfTime),
    "an end that is text": ({"exp": "2099"}, TokenClaims),
    "an end that is true": ({"exp": True}, TokenClaims),
    "an end beyond every calendar": ({"exp": 1e300}, TokenClaims),
    "not yet": ({"nbf": SECONDS + 11}, TokenOutOfTime),
    "from the future": ({"iat": SECONDS + 11}, TokenOutOfTime),
    "good for a day": ({"exp": SECONDS + 86400}, TokenOutOfTime),
    "good for ever since": ({"iat": SECONDS - 86400}, TokenOutOfTime),
    "another issuer": ({"iss": "https://evil"}, TokenIssuer),
    "no issuer": ({"iss": None}, TokenClaims),
    "another audience": ({"aud": "https://other"}, TokenAudience),
    "several others": ({"aud": ["https://other", "https://hub.evil"]}, TokenAudience),
    "no audience": ({"aud": None}, TokenClaims),
    "an audience that is no text": ({"aud": [1]}, TokenClaims),
}


@pytest.mark.parametrize("name", sorted(CLAIMS))
def test_claims_that_do_not_hold(name: str) -> None:
    changed, expected = CLAIMS[name]
    claims = {key: value for key, value in {**GOOD, **changed}.items() if value is not None}
    rules = jwt.Rules(RULES.issuer, RULES.audiences, longest=300)
    with pytest.raises(expected) as caught:
        jwt.read(forge({"alg": "ES256", "kid": KEY.kid}, claims, private(KEY)), KEYS, rules, AT)
    assert type(caught.value) is expected


@pytest.mark.parametrize("late", [9, -9])
def test_clocks_may_differ_a_little(late: int) -> None:
    claims = {**GOOD, "exp": SECONDS + 5, "iat": SECONDS, "nbf": SECONDS}
    assert jwt.read(jwt.write(claims, KEY), KEYS, RULES, AT + timedelta(seconds=late))


TOKEN = jwt.write(GOOD, KEY)
FORMS = {
    "nothing": "",
    "words": "a b c",
    "two parts": "e30.e30",
    "five parts": "a.b.c.d.e",
    "no JSON": f"{b64(b'x')}.{b64(b'y')}.z",
    "a list": f"{b64(b'[]')}.{b64(b'[]')}.z",
    "padding": TOKEN.replace(".", "=.", 1),
    "huge": "a" * 20_000 + "." + "b" * 20_000 + ".c",
    "a long header": f"{b64(b' ' * 4000 + b'{}')}.{b64(b'{}')}.z",
    "deep": f"{b64(b'[' * 4000)}.{b64(b'{}')}.z",
}


@pytest.mark.parametrize("name", sorted(FORMS))
def test_what_is_no_token(name: str) -> None:
    with pytest.raises(TokenUnreadable):
        jwt.read(FORMS[name], KEYS, RULES, AT)


def test_a_changed_byte_is_seen() -> None:
    head, payload, signature = TOKEN.split(".")
    claims = b64(json.dumps({**GOOD, "sub": "somebody"}).encode())
    for changed in (f"{head}.{claims}.{signature}", f"{head}.{payload}.", f"{head}.{payload}.AAAA"):
        with pytest.raises(TokenSignature):
            jwt.read(changed, KEYS, RULES, AT)


@given(st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,20}"))
def test_any_text_is_refused(token: str) -> None:
    with pytest.raises(BadCredentials):
        jwt.read(token, KEYS, RULES, AT)


@given(st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "jku"]), st.none() | st.text() | st.integers()))
def test_any_header_is_refused(header: dict[str, Any]) -> None:
    with pytest.raises(BadCredentials):
        jwt.read(forge(header, GOOD, None), KEYS, RULES, AT)


# Keys


def test_a_key_without_a_name_is_found_while_it_is_alone() -> None:
    alone = verifying([KEY])
    token = forge({"alg": "ES256"}, GOOD, private(KEY))
    assert jwt.read(token, alone, RULES, AT)
    with pytest.raises(TokenKey):
        jwt.read(token, verifying([KEY, signing_key(new_key())]), RULES, AT)


def test_an_old_key_still_verifies_after_a_new_one() -> None:
    new = signing_key(new_key())
    both = verifying([new, KEY])
    assert jwt.read(TOKEN, both, RULES, AT)
    assert jwt.read(jwt.write(GOOD, new), both, RULES, AT)
    with pytest.raises(TokenKey):
        jwt.read(TOKEN, verifying([new]), RULES, AT)


def pem(key: Any) -> bytes:
    made: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b'{"keys":[]}',
        b'{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}',
        b'{"kty":"RSA","n":"AQAB","e":"AQAB"}',
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        pem(rsa.generate_private_key(public_exponent=65537, key_size=1024)),
        pem(ec.generate_private_key(ec.SECP521R1())),
    ],
)
def test_keys_that_are_none(content: bytes) -> None:
    with pytest.raises(KeyUnusable):
        public_keys(content)


def test_a_public_key_does_not_sign() -> None:
    with pytest.raises(KeyUnusable):
        signing_key(json.dumps(KEY.public).encode())


def test_a_jwk_signs_as_it_says() -> None:
    row = {**KEY.key.as_dict(private=True), "kid": "2026", "alg": "ES256"}
    key = signing_key(json.dumps(row).encode())
    assert (key.kid, key.algorithm) == ("2026", "ES256")
    assert "d" not in key.public


def test_a_set_with_two_of_a_name_is_refused() -> None:
    row = {**KEY.public, "kid": "a"}
    other = {**signing_key(new_key()).public, "kid": "a"}
    with pytest.raises(KeyUnusable, match="same kid"):
        public_keys(json.dumps({"keys": [row, other]}).encode())


def test_keys_for_encryption_verify_nothing() -> None:
    rows = [{**KEY.public, "use": "enc"}, RSA_KEY.public]
    found = public_keys(json.dumps({"keys": rows}).encode())
    assert found.find(KEY.kid, "ES256") is None
    assert found.find(RSA_KEY.kid, "RS256") is not None
    assert not Keys()


def test_the_hash_is_the_hash() -> None:
    assert jwt.thumbprint(b"der") == b64(sha256(b"der").digest())
    assert hmac.compare_digest(jwt.thumbprint(b"der"), jwt.thumbprint(b"der"))
