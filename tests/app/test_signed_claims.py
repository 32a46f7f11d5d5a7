"""Claims about people that another server signs (userinfo as a JWT): believed when all of it is right."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from hub.access.tokens_errors import IssuerSilent, TokenRefused
from hub.app.oauth.peers import Peer, Signing
from hub.app.settings.nodes import Tls
from hub.wire.jose import jwt
from hub.wire.jose.keys import SigningKey, signing_key

ISSUER, CLIENT = "https://psc.example", "ris-at-the-provider"


def made() -> SigningKey:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return signing_key(pem)


class Server:
    """Says what it was told to."""

    def __init__(self) -> None:
        self.kind, self.body, self.keys = "application/jwt", b"", b"{}"
        self.fetched = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                keys = self.path == "/jwks"
                outer.fetched += keys
                body = outer.keys if keys else outer.body
                self.send_response(200)
                self.send_header("content-type", "application/json" if keys else outer.kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def publish(self, *keys: SigningKey) -> None:
        self.keys = json.dumps({"keys": [key.public for key in keys]}).encode()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return made()


@pytest.fixture
def server(key: SigningKey) -> Iterator[Server]:
    server = Server()
    server.publish(key)
    yield server
    server.stop()


def peer(server: Server, *, keys: bool = True, required: bool = False) -> Peer:
    signing = Signing(ISSUER, f"{server.url}/jwks" if keys else "", required=required)
    return Peer(Tls(), client_id="hub", secret="x", ca=None, timeout=60.0, signing=signing)


def claims(**changed: Any) -> dict[str, Any]:
    found = {"iss": ISSUER, "aud": CLIENT, "sub": "f:1:8997", "SubjectNameID": "899700000001", **changed}
    return {name: value for name, value in found.items() if value is not None}


def test_what_is_signed_is_believed(server: Server, key: SigningKey) -> None:
    asked = peer(server)
    for said in (claims(), claims(aud=None, iss=None), claims(aud=[CLIENT, "another"])):
        server.body = jwt.write(said, key, "JWT").encode()
        assert asked.userinfo(f"{server.url}/me", "token", issued_to=CLIENT)["SubjectNameID"] == "899700000001"
    assert server.fetched == 1, "keys are kept"


@pytest.mark.parametrize("changed", [{"iss": "https://evil"}, {"aud": "another"}, {"aud": []}, {"iss": 7}], ids=str)
def test_what_is_of_somebody_else_is_not(server: Server, key: SigningKey, changed: dict[str, Any]) -> None:
    server.body = jwt.write(claims(**changed), key, "JWT").encode()
    with pytest.raises(TokenRefused):
        peer(server).userinfo(f"{server.url}/me", "token", issued_to=CLIENT)


def test_what_is_not_signed_by_the_provider_is_not(server: Server, key: SigningKey) -> None:
    foreign = jwt.write(claims(), made(), "JWT").encode()
    good = jwt.write(claims(), key, "JWT")
    head, body, signature = good.split(".")
    none = "eyJhbGciOiJub25lIn0"
    for body_of in (foreign, f"{none}.{body}.".encode(), f"{head}.{body}.{signature[:-4]}AAAA".encode(), b"a.b", b""):
        server.body = body_of
        with pytest.raises(TokenRefused):
            peer(server).userinfo(f"{server.url}/me", "token", issued_to=CLIENT)


def test_signed_claims_without_keys_to_verify_them(server: Server, key: SigningKey) -> None:
    server.body = jwt.write(claims(), key, "JWT").encode()
    with pytest.raises(IssuerSilent):
        peer(server, keys=False).userinfo(f"{server.url}/me", "token", issued_to=CLIENT)
    server.keys = b"<html>"
    with pytest.raises(IssuerSilent):
        peer(server).userinfo(f"{server.url}/me", "token", issued_to=CLIENT)


def test_plain_claims_where_signed_ones_are_asked_for(server: Server) -> None:
    server.kind, server.body = "application/json", json.dumps(claims()).encode()
    assert peer(server).userinfo(f"{server.url}/me", "token")["sub"] == "f:1:8997"
    with pytest.raises(TokenRefused):
        peer(server, required=True).userinfo(f"{server.url}/me", "token")
