"""Forms of OAuth: each parameter once, nothing in the URL; and how a refusal is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.access.tokens_errors import TokenInUrl, TokenPast, TokenRequestInvalid
from hub.context import Context
from hub.errors import AccessDenied, HubError, NotAuthenticated
from hub.wire.oauth.errors import challenge, described, refusal
from hub.wire.oauth.form import FORM, fields, one
from tests.every_error import EVERY_ERROR, example


def test_a_form() -> None:
    found = fields(f"{FORM}; charset=utf-8", "", b"grant_type=a%20b&scope=&resource=x&resource=y")
    assert found == {"grant_type": ("a b",), "resource": ("x", "y")}
    assert (one(found, "grant_type"), one(found, "scope")) == ("a b", "")


@pytest.mark.parametrize(
    ("content_type", "query", "body"),
    [
        ("application/json", "", b"{}"),
        ("", "", b"a=b"),
        (FORM, "", b"scope=a&scope=b"),
        (FORM, "", b"client_id=&client_id=b&client_id=c"),
        (FORM, "", "é=1".encode()),
        (FORM, "", b"a=%ff"),
        (FORM, "", b"&".join(b"%d=1" % number for number in range(60))),
    ],
)
def test_what_is_none(content_type: str, query: str, body: bytes) -> None:
    with pytest.raises(TokenRequestInvalid):
        fields(content_type, query, body)


def test_nothing_is_read_from_the_url() -> None:
    with pytest.raises(TokenInUrl):
        fields(FORM, "scope=a", b"")


@given(st.binary(max_size=300))
def test_any_bytes(body: bytes) -> None:
    try:
        found = fields(FORM, "", body)
    except TokenRequestInvalid:
        return
    assert all(values and all(values) for values in found.values())


@pytest.mark.parametrize("kind", EVERY_ERROR, ids=lambda kind: kind.__name__)
def test_every_error_has_its_answer(kind: type[HubError]) -> None:
    answer = refusal(example(kind, 'A "safe" text, déjà vu\n'), None, Context())
    assert 400 <= answer.status < 600
    assert b'"error":' in bytes(answer.chunks().__next__())


def test_challenges() -> None:
    context = Context()
    assert challenge(NotAuthenticated(), "fhir", context) == 'Bearer realm="fhir"'
    assert challenge(TokenPast(), "fhir", context).startswith('Bearer realm="fhir", error="invalid_token"')
    assert challenge(AccessDenied(), "fhir", context) == "", "of somebody who showed no token"
    assert described(HubError('a "b" \\ é\n')) == "a 'b' ' ''"
