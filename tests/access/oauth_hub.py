"""A hub over TLS that issues tokens, and systems that ask it for some: by a key of theirs, or by their certificate."""

import ssl
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hub.app.keys import pki
from hub.app.settings.model import Settings, Storage, Web
from hub.app.settings.nodes import Client, Tls
from hub.app.settings.roles import Role
from hub.app.wiring import Hub
from hub.audit.model import AuditRecord, AuditSearch
from hub.wire.jose.keys import new_key
from tests.access.forge import forge

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
READER = ("documents.query", "documents.retrieve", "imaging.query", "imaging.retrieve")


@dataclass
class TokenHub:
    """The hub and what its callers need."""

    hub: Hub
    directory: Path
    keys: Mapping[str, ec.EllipticCurvePrivateKey] = field(default_factory=dict)
    signer: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def url(self) -> str:
        return self.hub.public_url()

    def trust(self, node: str = "") -> ssl.SSLContext:
        """TLS of a caller; ``node``: shows this certificate."""
        context = ssl.create_default_context(cafile=self.directory / "ca.crt")
        if node:
            context.load_cert_chain(self.directory / f"{node}.crt", self.directory / f"{node}.key")
        return context

    @contextmanager
    def caller(self, node: str = "", token: str = "") -> Iterator[httpx.Client]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with httpx.Client(base_url=self.url, verify=self.trust(node), headers=headers, timeout=60) as http:
            yield http

    def assertion(self, client: str = "ris", *, key: Any = None, header: Any = None, **changed: Any) -> str:
        """A client's signed proof, made by hand; None leaves a claim out."""
        now = int(time.time())
        claims = {"iss": client, "sub": client, "aud": f"{self.url}/oauth2/token", "exp": now + 120, "iat": now}
        claims |= {"jti": uuid.uuid4().hex, **changed}
        good = {name: value for name, value in claims.items() if value is not None}
        return forge(header or {"alg": "ES256"}, good, key or self.keys[client])

    def ask(
        self, form: Mapping[str, Any], *, node: str = "", path: str = "/oauth2/token", **options: Any
    ) -> httpx.Response:
        with self.caller(node) as http:
            return http.post(path, data=dict(form), **options)

    def token(self, scope: str = "system/ImagingStudy.rs", *, node: str = "", client: str = "ris", **more: str) -> str:
        form = {"grant_type": "client_credentials", "scope": scope, **more}
        form |= {"client_id": node} if node else self.proof(client)
        answer = self.ask(form, node=node)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def proof(self, client: str = "ris", **changed: Any) -> dict[str, str]:
        return {"client_assertion_type": ASSERTION, "client_assertion": self.assertion(client, **changed)}

    def own(self, *, header: Any = None, key: Any = None, **changed: Any) -> str:
        """A token as the hub itself would sign it, changed."""
        now = int(time.time())
        claims = {"iss": self.url, "aud": self.url, "sub": "ris", "client_id": "ris", "exp": now + 120, "iat": now}
        claims |= {"jti": uuid.uuid4().hex, "scope": "system/ImagingStudy.rs", **changed}
        good = {name: value for name, value in claims.items() if value is not None}
        return forge(header or {"alg": "ES256"}, good, self.signer if key is None else key)

    def records(self) -> tuple[AuditRecord, ...]:
        """The audit trail, newest first."""
        assert self.hub.audit.flush(60)
        return self.hub.audit.search(AuditSearch(limit=500)).records


def public_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


@contextmanager
def token_hub(directory: Path, **oauth: Any) -> Iterator[TokenHub]:
    """Started: ``ris`` and ``other`` prove by key, ``pacs`` by certificate or key, ``stranger``
    by certificate, for nothing."""
    pki.init(directory / "pki")
    for node in ("hub", "pacs", "stranger"):
        pki.issue(directory / "pki", node)
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("ris", "other", "pacs")}
    for name, key in keys.items():
        (directory / f"{name}.pem").write_bytes(public_pem(key))
    (directory / "token.pem").write_bytes(new_key("ES256"))
    clients = [
        Client(name="ris", permissions=READER, organisation="Hôpital B"),
        Client(name="other", permissions=("*",)),
        *(
            Client(name=name, certificate_sha256=pki.fingerprint(directory / "pki" / f"{name}.crt"), permissions=given)
            for name, given in (("pacs", (*READER, "oauth.introspect")), ("stranger", ()))
        ),
    ]
    settings = Settings.model_validate(
        {
            "clients": clients,
            "tls": Tls(
                certificate=directory / "pki" / "hub.crt",
                key=directory / "pki" / "hub.key",
                ca=directory / "pki" / "ca.crt",
            ),
            "web": Web(port=0),
            "storage": Storage(database=f"sqlite:///{directory / 'hub.sqlite'}", content=directory / "content"),
            "oauth": {
                "signing_keys": (directory / "token.pem",),
                "client_keys": {name: directory / f"{name}.pem" for name in keys},
                **oauth,
            },
        }
    )
    signer = serialization.load_pem_private_key((directory / "token.pem").read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    hub = Hub(settings)
    hub.start({Role.WEB})
    try:
        yield TokenHub(hub, directory / "pki", keys, signer)
    finally:
        hub.stop()
