"""The closed sandbox as somebody outside meets it: everything is built from its JSON object with tools that are not the
hub's, and beside every refusal stands what is let in."""

import base64
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from lxml import etree
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from hub.testing.sandbox import SandboxProcess
from tests.interop.by_hand import Entry, Set, identity, read
from tests.interop.outsider import (
    SAML,
    Outsider,
    Pair,
    foreign_authority,
    key_pem,
    security,
    signed,
)
from tests.interop.outsiders_patient import Person, someone
from tests.interop.outsiders_view import DS, NOBODY, Left, fault, images, people, run, studies, unsigned

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def box() -> Iterator[SandboxProcess]:
    with SandboxProcess() as running:
        yield running


@pytest.fixture(scope="module")
def outside(box: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> Outsider:
    return Outsider(box.description, tmp_path_factory.mktemp("outside"))


@pytest.fixture(scope="module")
def person(outside: Outsider) -> Person:
    """Somebody with a document, a masked one, and a study."""
    return someone(outside)


# --- ports


@pytest.mark.parametrize("port", ["web", "mllp", "dimse"])
def test_nothing_is_said_without_tls(outside: Outsider, port: str) -> None:
    with socket.create_connection(outside.place(port), timeout=60) as clear:
        clear.sendall(b"GET /fhir/metadata HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            said = clear.makefile("rb").read(100)
        except ConnectionResetError:
            said = b""
    assert not said.startswith((b"HTTP/1.1 2", b"HTTP/1.1 3"))
    with outside.tls(None).wrap_socket(socket.create_connection(outside.place(port), timeout=60),
                                       server_hostname="localhost") as secret:  # fmt: skip
        assert secret.version() in ("TLSv1.2", "TLSv1.3")


def test_curl_and_openssl(outside: Outsider) -> None:
    host, port = outside.place("web")
    url = f"{host}:{port}/fhir/ImagingStudy"
    code = ["curl", "-s", "-o", os.devnull, "-w", "%{http_code}"]
    key = ["--cacert", outside.told["ca"], "--cert", outside.told["client_cert"], "--key", outside.told["client_key"]]
    bearer = ["--cacert", outside.told["ca"], "-H", f"Authorization: Bearer {outside.told['token']}"]
    for options, scheme, answer in (
        (key, "https", "200"), (bearer, "https", "200"), (key[:2], "https", "401"), (key, "http", "000"),
    ):  # fmt: skip
        done = run(*code, *options, f"{scheme}://{url}")
        assert done.stdout == answer, (options, scheme, done)
    for old in ("-tls1", "-tls1_1"):
        call = ["openssl", "s_client", "-connect", f"{host}:{port}", old, "-cipher", "DEFAULT@SECLEVEL=0"]
        done = run(*call)
        assert done.returncode != 0, old


def test_without_any_proof(outside: Outsider) -> None:
    left = Left(outside)
    with outside.http() as client:
        for url in (outside.told["fhir"] + "/ImagingStudy", outside.told["dicomweb"] + "/studies"):
            answer = client.get(url)
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        answer = client.post(
            outside.told["xds_registry"],
            content=b"<x/>",
            headers={"Content-Type": 'application/soap+xml; action="urn:ihe:iti:2007:RegistryStoredQuery"'},
        )
        assert answer.status_code >= 400
        assert b"Fault" in answer.content
    assert outside.find(NOBODY).status_code == 200
    with outside.mllp(None) as nobody, outside.mllp(outside.node) as node:
        assert "MSA|AR" in nobody.send(identity("A28", "S1^^^A&1.2.3.4&ISO^PI"))
        assert "MSA|AA" in node.send(identity("A28", "S1^^^A&1.2.3.4&ISO^PI"))
    events = left.events()
    assert [event["outcome"] != "0" for event in events].count(True) == 4
    assert len(events) == 6


def echo(outside: Outsider, shown: Pair | None) -> bool:
    ae = AE(ae_title="VENDOR")
    ae.add_requested_context(Verification)
    host, port = outside.place("dimse")
    association = ae.associate(host, port, ae_title="MAILLAGE", tls_args=(outside.tls(shown), "localhost"))
    if not association.is_established:
        return False
    status = association.send_c_echo()
    association.release()
    return bool(status.Status == 0)


def test_dicom_wants_a_certificate(outside: Outsider) -> None:
    assert not echo(outside, None)
    assert echo(outside, outside.node)


# --- certificates


BAD: dict[str, Callable[[Outsider], Pair]] = {
    "expired": lambda o: o.authority.issue("expired", starts=timedelta(days=-5)),
    "not yet valid": lambda o: o.authority.issue("future", starts=timedelta(hours=6)),
    "self-signed": lambda o: o.authority.issue("alone", alone=True),
    "foreign authority": lambda o: foreign_authority(o.authority.certificate, o.directory / "foreign").issue(
        "stranger"
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_certificates(outside: Outsider, name: str) -> None:
    bad, good = BAD[name](outside), outside.authority.issue("good")
    assert images(outside, good).status_code == 200
    assert echo(outside, good)
    with pytest.raises(httpx.TransportError):
        images(outside, bad)
    assert not echo(outside, bad)
    with pytest.raises((OSError, AssertionError)), outside.mllp(bad) as connection:
        assert "MSA" in connection.send(identity("A28", "S2^^^A&1.2.3.4&ISO^PI"))


def test_a_revoked_certificate(outside: Outsider) -> None:
    one = outside.authority.issue("to-be-revoked")
    assert images(outside, one).status_code == 200
    Path(outside.told["crl"]).write_bytes(outside.authority.revocations([one]))
    try:
        left = Left(outside)
        answer = images(outside, one)
        assert answer.status_code == 401
        assert "revoked" in answer.json()["issue"][0]["diagnostics"]
        left.one(failure=True)
        assert fault(outside.find(NOBODY, shown=one)) == "FailedAuthentication"
        with outside.mllp(one) as connection:
            assert "MSA|AR" in connection.send(identity("A28", "S3^^^A&1.2.3.4&ISO^PI"))
        assert not echo(outside, one)
        assert images(outside, outside.node).status_code == 200
    finally:
        Path(outside.told["crl"]).write_bytes(outside.authority.revocations([]))
    assert images(outside, one).status_code == 200


def test_a_card_is_its_professional(outside: Outsider) -> None:
    left = Left(outside)
    assert images(outside, outside.authority.card("899700000042")).status_code == 200
    event = left.one(failure=False)
    assert people(event)["899700000042"] == "Zoé DURAND"


# --- assertions


def test_a_good_assertion(outside: Outsider, person: Person) -> None:
    left = Left(outside)
    answer = outside.find(person.regional, assertion=outside.assertion(about=person.regional))
    assert person.document in read(answer).uids
    event = left.one(failure=False)
    assert people(event)["899700000001"] == "MARTIN Anne"
    assert "sandbox-node" in people(event)
    assert event["purposeOfEvent"][0]["coding"][0]["code"] == "normal"
    found = outside.trail(left.since, user="899700000001", subtype="ITI-18")
    assert event["id"] in {row["id"] for row in found}


def test_an_assertion_over_fhir_and_dicomweb(outside: Outsider) -> None:
    for asked in (outside.told["fhir"] + "/ImagingStudy?_count=1", outside.told["dicomweb"] + "/studies?limit=1"):
        shown = base64.urlsafe_b64encode(outside.assertion()).decode()
        with outside.http(outside.node) as client:
            first, again = (client.get(asked, headers={"Authorization": f"IHE-SAML {shown}"}) for _ in range(2))
        assert first.status_code in (200, 204)
        assert again.status_code == 401


def _edited(raw: bytes, old: str, new: str) -> bytes:
    assert old.encode() in raw
    return raw.replace(old.encode(), new.encode())


def _method(outside: Outsider, algorithm: str) -> bytes:
    root = etree.fromstring(outside.assertion())
    method = root.find(f".//{{{DS}}}SignatureMethod")
    assert method is not None
    method.set("Algorithm", algorithm)
    return etree.tostring(root)


def _other_key(outside: Outsider) -> bytes:
    other = outside.authority.issue("not-the-idp")
    return signed(outside.says().xml(), key_pem(other.key), other.file.read_bytes().partition(b"-----BEGIN PRIV")[0])


def _replayed(outside: Outsider) -> bytes:
    shown = outside.assertion()
    assert outside.find(NOBODY, assertion=shown).status_code == 200
    return shown


def _wrapped(outside: Outsider, how: str) -> bytes:
    """Signature wrapping: a good assertion somewhere, and one about somebody else where it is looked for."""
    good = etree.fromstring(outside.assertion())
    evil = etree.fromstring(unsigned(outside).replace(b"899700000001", b"899700000666"))
    signature = good.find(f"{{{DS}}}Signature")
    assert signature is not None
    if how == "same id, moved signature":
        evil.set("ID", str(good.get("ID")))
        evil.insert(1, signature)
    elif how == "original in the signature's Object":
        good.remove(signature)
        etree.SubElement(signature, f"{{{DS}}}Object").append(good)
        evil.insert(1, signature)
    elif how == "original in Advice":
        conditions = evil.find(f"{{{SAML}}}Conditions")
        assert conditions is not None
        advice = etree.Element(f"{{{SAML}}}Advice")
        conditions.addnext(advice)
        advice.append(good)
    elif how == "original in the confirmation":
        confirmation = evil.find(f".//{{{SAML}}}SubjectConfirmation")
        assert confirmation is not None
        etree.SubElement(confirmation, f"{{{SAML}}}SubjectConfirmationData").append(good)
    elif how == "original as an attribute's value":
        value = evil.find(f".//{{{SAML}}}AttributeValue")
        assert value is not None
        value.append(good)
        evil.insert(1, etree.fromstring(etree.tostring(signature)))
    else:
        good.append(evil)
        return etree.tostring(good)
    return etree.tostring(evil)


WRAPPINGS = (
    "same id, moved signature", "original in the signature's Object", "original in Advice",
    "original in the confirmation", "original as an attribute's value", "evil inside the original",
)  # fmt: skip
REFUSED: dict[str, Callable[[Outsider], bytes]] = {
    "unsigned": unsigned,
    "tampered": lambda o: _edited(o.assertion(), "MARTIN Anne", "MARTIN Inna"),
    "another key": _other_key,
    "expired": lambda o: o.assertion(starts=-900, ends=-300),
    "not yet good": lambda o: o.assertion(starts=600, ends=900),
    "another audience": lambda o: o.assertion(audience="https://elsewhere.example"),
    "another issuer": lambda o: o.assertion(issuer="https://idp.elsewhere.example/saml"),
    "replayed": _replayed,
    "no signature algorithm": lambda o: _method(o, "http://www.w3.org/2000/09/xmldsig#none"),
    "hmac": lambda o: _method(o, "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"),
    "sha1": lambda o: o.sign(o.says().xml(), digest="sha1"),
    "no AuthnStatement": lambda o: o.assertion(statements=""),
    "AuthnStatement twice": lambda o: o.assertion(more='<saml:AuthnStatement AuthnInstant="2026-01-01T00:00:00Z"/>'),
    "no role": lambda o: o.sign(o.says().xml().replace("xacml:2.0:subject:role", "xacml:2.0:subject:rule")),
    **{f"wrapped: {how}": partial(_wrapped, how=how) for how in WRAPPINGS},
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_assertion_is_refused_and_told_once(outside: Outsider, person: Person, name: str) -> None:
    bad = REFUSED[name](outside)
    left = Left(outside)
    answer = outside.find(person.regional, assertion=bad)
    assert fault(answer), answer.text
    assert answer.status_code in (400, 401, 500)
    for secret in (person.number, person.document, "899700000001", "MARTIN"):
        assert secret not in answer.text
    event = left.one(failure=True)
    assert event["subtype"][0]["code"] == "ITI-18"
    assert "899700000666" not in people(event)
    found = outside.trail(left.since, outcome=event["outcome"])
    assert event["id"] in {row["id"] for row in found}


def test_two_assertions(outside: Outsider, person: Person) -> None:
    left = Left(outside)
    block = security(outside.assertion(), outside.assertion(subject="899700000002"))
    assert fault(outside.find(person.regional, block=block))
    left.one(failure=True)
    block = security(outside.assertion()) + security(outside.assertion())
    left = Left(outside)
    assert read(outside.find(person.regional, block=block)).outcome.startswith("Fault")
    left.one(failure=True)


def test_nothing_is_done_for_a_bad_assertion(outside: Outsider, person: Person) -> None:
    entry = Entry(patient=person.regional)
    for shown, outcome in ((unsigned(outside), "Fault Sender"), (outside.assertion(), "Success")):
        answer = outside.provide([entry], Set(patient=person.regional), block=security(shown))
        assert answer.outcome == outcome, answer.errors
        assert (entry.uid in read(outside.find(person.regional)).uids) is (outcome == "Success")


# --- tokens


def _everywhere(outside: Outsider, token: str, shown: Pair | None = None) -> list[httpx.Response]:
    return [
        images(outside, shown, token),
        studies(outside, shown, token),
        outside.find(NOBODY, token=token, shown=shown),
    ]


GOOD_TOKENS: dict[str, Callable[[Outsider], str]] = {
    "system/*.read": lambda o: o.token(),
    "SMART 2": lambda o: o.token(scope="system/ImagingStudy.rs system/DocumentReference.rs"),
    "patterns": lambda o: o.token(scope="documents.* imaging.*"),
    "everything": lambda o: o.token(scope="*"),
    "minimal": lambda o: o.token(without=("client_id", "jti", "iat")),
    "audience as a list": lambda o: o.token(aud=["https://else.example", o.told["token_audience"]]),
    "typ at+jwt": lambda o: o.token(head={"typ": "at+jwt"}),
    "bound to the certificate": lambda o: o.token(cnf={"x5t#S256": o.node.thumbprint}),
}


@pytest.mark.parametrize("name", GOOD_TOKENS)
def test_a_token_of_ones_own(outside: Outsider, name: str) -> None:
    left = Left(outside)
    answers = _everywhere(outside, GOOD_TOKENS[name](outside), outside.node if "bound" in name else None)
    assert [answer.status_code for answer in answers] == [200, 204, 200], [answer.text for answer in answers]
    events = left.events()
    assert len(events) == 3
    assert all("my-app" in people(event) for event in events)


BAD_TOKENS: dict[str, Callable[[Outsider], str]] = {
    "alg none": lambda o: o.unsigned(),
    "HS256 with the public key": lambda o: o.confused(),
    "expired": lambda o: o.token(exp=int(time.time()) - 60),
    "not yet good": lambda o: o.token(nbf=int(time.time()) + 600),
    "without an end": lambda o: o.token(without=("exp",)),
    "another audience": lambda o: o.token(aud="https://elsewhere.example"),
    "another issuer": lambda o: o.token(iss="https://elsewhere.example"),
    "another key": lambda o: o.token(key=ECKey.generate_key("P-256")),
    "another kid": lambda o: o.token(head={"kid": "nobody-has-it"}),
    "its own key": lambda o: o.token(head={"jku": "https://elsewhere.example/jwks"}),
    "tampered": lambda o: o.token()[:-8] + "AAAAAAAA",
    "bound to another certificate": lambda o: o.token(cnf={"x5t#S256": o.authority.issue("else").thumbprint}),
    "not a token": lambda _: "what-is-this",
}


@pytest.mark.parametrize("name", BAD_TOKENS)
def test_a_bad_token_is_refused_and_told_once(outside: Outsider, name: str) -> None:
    token = BAD_TOKENS[name](outside)
    left = Left(outside)
    fhir, dicomweb, soap = _everywhere(outside, token, outside.node if "bound" in name else None)
    for answer in (fhir, dicomweb):
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert soap.status_code == 401
    assert fault(soap) == "FailedAuthentication"
    events = left.events()
    assert len(events) == 3
    assert all(event["outcome"] != "0" for event in events)


def test_a_scope_that_is_too_small(outside: Outsider) -> None:
    answer = images(outside, token=outside.token(scope="system/Patient.read"))
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
    assert images(outside, token=outside.token(scope="system/ImagingStudy.read")).status_code == 200


# --- the authorisation server


def assertion_of_the_client(outside: Outsider, **claims: Any) -> str:
    key, at = ECKey.import_key(outside.told["client_jwk"]), int(time.time())
    client = outside.told["client_id"]
    said = {"iss": client, "sub": client, "aud": outside.told["token_endpoint"], "jti": f"j{time.time_ns()}"}
    return jwt.encode({"alg": "ES256", "kid": key.kid}, {**said, "iat": at, "exp": at + 60, **claims}, key)


def test_client_credentials(outside: Outsider) -> None:
    with outside.http() as client:
        server = client.get(f"{outside.told['token_issuer']}/.well-known/oauth-authorization-server").json()
        assert server["issuer"] == outside.told["token_issuer"]
        assert server["token_endpoint"] == outside.told["token_endpoint"]
        (public,) = client.get(server["jwks_uri"]).json()["keys"]
        assert public["kid"] == outside.told["token_key"]["kid"]
        assert "d" not in public
        form = {"grant_type": "client_credentials", "scope": "system/ImagingStudy.rs",
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}  # fmt: skip
        shown = assertion_of_the_client(outside)
        left = Left(outside)
        first, again = (client.post(server["token_endpoint"], data=form | {"client_assertion": shown}) for _ in "12")
        assert first.status_code == 200, first.text
        assert again.status_code in (400, 401)
        assert again.json()["error"] == "invalid_client"
        assert sorted(event["outcome"] != "0" for event in left.events()) == [False, True]
        claims = jwt.decode(first.json()["access_token"], ECKey.import_key(public)).claims
        assert claims["iss"] == outside.told["token_issuer"]
        assert images(outside, token=first.json()["access_token"]).status_code == 200
        assert outside.find(NOBODY, token=first.json()["access_token"]).status_code == 403
        for wrong in ({"aud": "https://elsewhere.example"}, {"exp": int(time.time()) - 60}, {"sub": "somebody"}):
            bad = client.post(
                server["token_endpoint"], data=form | {"client_assertion": assertion_of_the_client(outside, **wrong)}
            )
            assert bad.json()["error"] == "invalid_client", wrong
        assert client.post(server["token_endpoint"], data=form).json()["error"] == "invalid_client"


def test_client_credentials_by_certificate(outside: Outsider) -> None:
    found = ssl.create_default_context(cafile=outside.told["ca"])
    found.load_cert_chain(outside.told["client_cert"], outside.told["client_key"])
    form = {"grant_type": "client_credentials", "client_id": outside.told["client_id"], "scope": "imaging.query"}
    with httpx.Client(verify=found, timeout=60) as client:
        token = client.post(outside.told["token_endpoint"], data=form).json()["access_token"]
        header = {"Authorization": f"Bearer {token}"}
        assert client.get(f"{outside.told['fhir']}/ImagingStudy?_count=1", headers=header).status_code == 200
    assert images(outside, token=token).status_code == 401  # it is bound to the certificate
    assert images(outside, outside.node, token).status_code == 401
