"""Any proof of who somebody is: assertions, tokens, certificates, what a provider says. One answer, one audit record,
no defect, nothing of it in the answer or the log, bounded memory.

Hypothesis makes the bytes, the same ones at each run."""

import base64
import json
import resource
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hub.app.keys import pki
from hub.portal.certificate import HEADER
from tests.access.oauth_hub import TokenHub, token_hub
from tests.hostile.conftest import MEMORY, SECRET, clean
from tests.hostile.saml_hub import Believing, believing, security
from tests.hostile.test_proxy import PROXY, Site, site
from tests.hostile.test_sign_in import Place, place, running
from tests.saml import sign

__all__ = ["place", "running", "site"]
EXAMPLES = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(autouse=True)
def _bounded(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MEMORY
    assert not [line for line in caplog.records if line.levelname in ("ERROR", "CRITICAL")], caplog.text
    assert SECRET not in caplog.text


def sole(records: Any) -> None:
    """One record, of something that was foreseen."""
    (record,) = records
    assert record.error_code != "internal"
    assert SECRET not in record.detail


@st.composite
def changed(draw: st.DrawFn, good: bytes, pieces: tuple[bytes, ...] = ()) -> bytes:
    """Good bytes with some of them replaced, or just bytes."""
    if draw(st.integers(0, 4)) == 0:
        return draw(st.binary(max_size=300))
    put = st.one_of(st.sampled_from([b"", *pieces]), st.binary(max_size=12))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(good)))
        good = good[:start] + draw(put) + good[start + draw(st.integers(0, 30)) :]
    return good


@pytest.fixture(scope="module")
def believer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Believing]:
    with believing(tmp_path_factory.mktemp("saml")) as box:
        yield box


_XML = (b"<", b">", b"</", b"<!--", b"-->", b"<![CDATA[", b"&#0;", b"&x;", b"<!DOCTYPE x>", b'="', b' ID="x"', b"\xff")


@EXAMPLES
@given(data=st.data())
def test_an_assertion(believer: Believing, data: st.DataObject) -> None:
    good = security(sign(believer.draft().xml, believer.idp))
    security_block = data.draw(changed(good, _XML))
    believer.forget()
    answer = believer.ask(security_block)
    assert answer.headers["content-type"].startswith("application/soap+xml")
    assert answer.text.count("Envelope>") == 1
    clean(answer.text)
    sole(believer.records())


@EXAMPLES
@given(token=st.binary(min_size=1, max_size=200))
def test_an_assertion_in_the_header_of_http(believer: Believing, token: bytes) -> None:
    """IHE-SAML of RESTful requests."""
    believer.forget()
    with believer.http("a") as http:
        shown = b"IHE-SAML " + base64.b64encode(token)
        answer = http.get("/fhir/ImagingStudy", headers=[(b"Authorization", shown)])
    assert 400 <= answer.status_code < 500, answer.text
    clean(answer.text)
    sole(believer.records())


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenHub]:
    with token_hub(tmp_path_factory.mktemp("tokens")) as made:
        yield made


_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just(SECRET)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=8,
)
_CLAIMS = ("iss", "aud", "exp", "iat", "nbf", "scope", "client_id", "cnf", "jti", "sub", "act", "extensions")
_HEADERS = ("alg", "kid", "typ", "crit", "jku", "jwk", "x5c", "zip", "b64")
_DOTS = (b".", b"..", b"=", b"e30", b"eyJhbGciOiJub25lIn0", b"-", b"_")


@st.composite
def tokens(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Changes of claims and header."""
    claims = draw(st.dictionaries(st.sampled_from(_CLAIMS), _JSON, max_size=3))
    return claims, draw(st.dictionaries(st.sampled_from(_HEADERS), _JSON, max_size=2))


def shown(issuer: TokenHub, token: bytes) -> None:
    before = {record.id for record in issuer.records()}
    with issuer.caller() as http:
        answer = http.get("/fhir/ImagingStudy", headers=[(b"Authorization", b"Bearer " + token)])
    assert answer.status_code in (200, 400, 401, 403), answer.text
    clean(answer.text + answer.headers.get("www-authenticate", ""))
    sole([record for record in issuer.records() if record.id not in before])


@EXAMPLES
@given(data=st.data())
def test_a_token_of_any_bytes(issuer: TokenHub, data: st.DataObject) -> None:
    token = data.draw(changed(issuer.own().encode(), _DOTS))
    shown(issuer, bytes(byte for byte in token if 32 < byte < 127) or b"x")


@EXAMPLES
@given(changes=tokens())
def test_a_signed_token_of_any_claims(issuer: TokenHub, changes: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """The hub's own key signed it: what it says is still looked at."""
    claims, header = changes
    shown(issuer, issuer.own(header={"alg": "ES256", **header}, **claims).encode())


@EXAMPLES
@given(data=st.data(), how=st.booleans())
def test_a_certificate(site: Site, data: st.DataObject, how: bool) -> None:
    """What a proxy forwards: DER that is none, or nearly."""
    der = data.draw(changed(pki.load(site.keys / "his.crt").public_bytes(Encoding.DER), (b"\x30\x80", b"\x30\x84\xff")))
    text = base64.b64encode(der).decode()
    if how:
        text = f"-----BEGIN%20CERTIFICATE-----%0A{text}%0A-----END%20CERTIFICATE-----"
    site.records()
    answer = site.get(PROXY, "/fhir/ImagingStudy", (HEADER, text))
    assert answer.status_code in (200, 400, 401), answer.text
    clean(answer.text)
    records = site.records()
    assert len(records) <= 1
    assert not [item for item in records if item.error_code == "internal"]


_OIDC = ("iss", "aud", "sub", "acr", "exp", "iat", "nonce", "at_hash", "azp", "sid", "auth_time", "amr")
_PERSON = ("sub", "SubjectNameID", "SubjectRole", "SubjectOrganization", "SubjectRefPro", "given_name", "family_name")


@EXAMPLES
@given(
    claims=st.dictionaries(st.sampled_from(_OIDC), _JSON, max_size=2),
    person=st.dictionaries(st.sampled_from(_PERSON), _JSON, min_size=1, max_size=2),
)
@example(claims={}, person={"sub": {"\0": None}})
def test_a_provider_that_says_anything(place: Place, claims: dict[str, Any], person: dict[str, Any]) -> None:
    good: Callable[[Any], Any] = lambda value: json.loads(json.dumps(value, allow_nan=False))  # noqa: E731
    try:
        claims, person = good(claims), good(person)
    except ValueError:
        claims, person = {}, {"sub": 1}
    place.provider.honest()
    place.provider.codes.clear()
    place.provider.id_claims = lambda told: told | claims
    place.provider.person |= person
    browser = place.person()
    before = len(place.told())
    answer = place.back(browser, place.begin(browser))
    assert answer.status_code < 500, answer.text
    clean(answer.text.replace(SECRET, "") if answer.status_code == 200 else answer.text)
    told = place.told()
    assert len(told) <= before + 1
    assert "internal" not in told
