"""The closed sandbox: TLS and proof on every port, and what it tells for an integrator's own negative tests."""

import base64
import json
import shutil
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from joserfc import jwt
from joserfc.jwk import ECKey
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from hub.app.keys import cards as pki_cards
from hub.app.keys import pki
from hub.app.keys.cards import Card, Layout
from hub.patients.model import Traits
from hub.testing import hl7
from hub.testing.sandbox import SandboxProcess
from hub.wire.hl7v2.client import MllpClient
from tests import saml

TRAITS = Traits(birth_name="TEST", birth_given="ANNE", given_names="ANNE", birth_date="19800101", sex="F")
PLACE = "/studies?limit=1"


@pytest.fixture(scope="module")
def box() -> Iterator[SandboxProcess]:
    with SandboxProcess() as running:
        yield running


@pytest.fixture(scope="module")
def made(box: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates that an integrator makes with ``ca`` and ``ca_key``."""
    directory = tmp_path_factory.mktemp("made")
    shutil.copy(box["ca"], directory / "ca.crt")
    shutil.copy(box["ca_key"], directory / "ca.key")
    pki.issue(directory, "node")
    pki.issue(directory, "revoked")
    pki_cards.issue(directory, "cps", Card())
    pki_cards.issue(directory, "cpe", Card(layout=Layout.CPE))
    pki_cards.issue(directory, "expired", Card(days=-3))
    pki_cards.issue(directory, "seal", Card(layout=Layout.SEAL))
    pki.init(directory / "foreign")
    pki.issue(directory / "foreign", "node")
    return directory


def context(box: SandboxProcess, certificate: Path | None = None) -> ssl.SSLContext:
    found = ssl.create_default_context(cafile=box["ca"])
    if certificate is not None:
        found.load_cert_chain(certificate, certificate.with_suffix(".key"))
    return found


def status(box: SandboxProcess, certificate: Path | None = None, url: str = "", **headers: str) -> int:
    with httpx.Client(verify=context(box, certificate), timeout=60, headers=headers) as client:
        return client.get(url or box["dicomweb"] + PLACE).status_code


def address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition("@")[2].rpartition(":")
    return host, int(port)


# --- who is let in


def test_any_valid_certificate_of_the_authority_is_a_node(box: SandboxProcess, made: Path) -> None:
    assert status(box, made / "node.crt") < 300
    assert status(box, Path(box["client_cert"])) < 300


def test_a_card_is_its_professional(box: SandboxProcess, made: Path) -> None:
    assert status(box, made / "cps.crt") < 300
    assert status(box, made / "cpe.crt") == 403


def test_without_anything_every_address_refuses(box: SandboxProcess) -> None:
    assert status(box) == 401
    assert status(box, url=box["fhir"] + "/Patient?family=x") == 401
    with httpx.Client(verify=context(box), timeout=60) as client:
        assert client.post(box["xds_registry"], content=b"<x/>").status_code >= 400


@pytest.mark.parametrize("name", ["expired", "seal", "foreign/node"])
def test_bad_certificates_get_no_handshake(box: SandboxProcess, made: Path, name: str) -> None:
    with pytest.raises(httpx.TransportError):
        status(box, made / f"{name}.crt")
    with MllpClient(*address(box["mllp"]), tls=context(box, made / f"{name}.crt")) as client, pytest.raises(Exception):  # noqa: B017, PT011
        client.send(b"MSH|^~\\&|A|B|C|D|20260101||ADT^A28^ADT_A05|1|P|2.5\r")


def test_a_revoked_certificate_is_refused_as_soon_as_the_list_names_it(box: SandboxProcess, made: Path) -> None:
    assert status(box, made / "revoked.crt") < 300
    shutil.copy(pki.revoke(made, "revoked"), box["crl"])
    assert status(box, made / "revoked.crt") == 401
    assert status(box, made / "node.crt") < 300


@pytest.mark.parametrize("port", ["web", "mllp", "dimse"])
def test_no_port_speaks_without_tls(box: SandboxProcess, port: str) -> None:
    place = address(box["portal"].removeprefix("https://").removesuffix("/portal") if port == "web" else box[port])
    with socket.create_connection(place, timeout=60) as clear:
        clear.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" if port == "web" else b"\x0bMSH|^~\\&|\x1c\r")
        try:
            answer = clear.makefile("rb").read(200)
        except ConnectionResetError:
            answer = b""
    assert b"HTTP/1.1 2" not in answer
    assert b"MSA|" not in answer


def test_the_hl7_port_wants_a_certificate(box: SandboxProcess, made: Path) -> None:
    sender = hl7.Sender(application="HIS_A", facility="HOSP_A")
    patient = hl7.Patient(identifier=hl7.local("1", "SITE_A", "1.2.3.4"), traits=TRAITS)
    for certificate, answer in ((None, b"MSA|AR|"), (made / "cps.crt", b"MSA|AR|"), (made / "node.crt", b"MSA|AA|")):
        with MllpClient(*address(box["mllp"]), tls=context(box, certificate)) as client:
            assert answer in client.send(hl7.adt(sender, patient, "A28"))


def test_the_dicom_port_wants_a_certificate(box: SandboxProcess, made: Path) -> None:
    host, port = address(box["dimse"])
    for certificate, good in ((None, False), (made / "revoked.crt", False), (made / "node.crt", True)):
        ae = AE(ae_title="STRANGER")
        ae.add_requested_context(Verification)
        association = ae.associate(host, port, ae_title="MAILLAGE", tls_args=(context(box, certificate), "localhost"))
        try:
            assert association.is_established is good
            if good:
                assert association.send_c_echo().Status == 0
        finally:
            if association.is_established:
                association.release()


# --- tokens and assertions of one's own


def token(box: SandboxProcess, **claims: Any) -> str:
    key = ECKey.import_key(box["token_key"])
    at = int(time.time())
    said = {"iss": box["token_issuer"], "aud": box["token_audience"], "sub": "me", "client_id": "me", "jti": str(at)}
    said |= {"iat": at, "exp": at + 120, "scope": "system/*.*"} | claims
    return jwt.encode({"alg": box["token_key"]["alg"], "kid": box["token_key"]["kid"], "typ": "at+jwt"}, said, key)


def test_a_token_of_ones_own(box: SandboxProcess) -> None:
    place = box["dicomweb"] + PLACE
    assert status(box, url=place, Authorization=f"Bearer {token(box)}") < 300
    for wrong in ({"aud": "https://elsewhere"}, {"iss": "https://elsewhere"}, {"exp": int(time.time()) - 600}):
        assert status(box, url=place, Authorization=f"Bearer {token(box, **wrong)}") == 401


def keys(box: SandboxProcess) -> saml.KeyPair:
    key: Any = serialization.load_pem_private_key(Path(box["saml"]["key"]).read_bytes(), None)
    return saml.KeyPair(key, x509.load_pem_x509_certificate(Path(box["saml"]["cert"]).read_bytes()))


def test_an_assertion_of_ones_own(box: SandboxProcess, made: Path) -> None:
    def shown(**draft: Any) -> str:
        one = saml.Draft(issuer=box["saml"]["issuer"], audience=box["saml"]["audience"], **draft)
        return "IHE-SAML " + base64.b64encode(saml.sign(one.xml, keys(box))).decode()

    place = box["dicomweb"] + PLACE
    assert status(box, made / "node.crt", place, Authorization=shown()) < 300
    assert status(box, made / "node.crt", place, Authorization=shown(issued=-900, starts=-900, ends=-600)) == 401
    assert status(box, None, place, Authorization=shown()) == 401


def test_what_it_tells_is_private_to_its_owner(box: SandboxProcess) -> None:
    for name in ("ca_key", "client_key"):
        assert Path(box[name]).stat().st_mode & 0o077 == 0
    assert Path(box["saml"]["key"]).stat().st_mode & 0o077 == 0
    assert json.dumps(box["token_key"])
    assert box["audit"] == box["fhir"]
