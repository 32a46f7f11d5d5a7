"""What a sandbox makes at each start: an authority, certificates, an issuer of assertions, a key for tokens."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joserfc.jwk import ECKey

from hub.app.keys import cards as pki_cards
from hub.app.keys import pki
from hub.app.keys.cards import Card, Layout
from hub.app.settings.nodes import Cards, Client, Tls
from hub.app.settings.oauth import OAuth
from hub.app.settings.saml import Saml, SamlIssuer

ISSUER = "https://idp.sandbox.example/saml"
ANY_NODE = "sandbox-node"
CLIENT = "sandbox"  #: whose client_cert, token and client_jwk are
ALGORITHM = "ES256"


@dataclass(frozen=True, slots=True)
class Keys:
    """Everything below one directory; made anew unless it is there."""

    directory: Path

    @property
    def crl(self) -> Path:
        """The authority's revocation list: read again when it changes."""
        return self._file("ca.crl")

    def make(self) -> None:
        """Make the authority if there is none, and everything else."""
        if not self._file("ca.crt").exists():
            pki.init(self.directory)
        pki.crl(self.directory)
        for node in ("hub", "client"):
            pki.issue(self.directory, node)
        pki_cards.issue(self.directory, "saml", Card(layout=Layout.SEAL, common_name="idp.sandbox.example"))
        for name in ("token.jwk", "client.jwk"):
            key = ECKey.generate_key("P-256", {"use": "sig", "alg": ALGORITHM})
            key.ensure_kid()
            pki.write_secret(self._file(name), json.dumps(key.as_dict(private=True)).encode())
            if name == "client.jwk":
                public = {"keys": [key.as_dict(private=False)]}
                self._file("client.jwks.json").write_text(json.dumps(public), encoding="ascii")

    def tls(self) -> Tls:
        """Certificates of the authority are asked for on every port, and looked up in its list."""
        return Tls(
            certificate=self._file("hub.crt"), key=self._file("hub.key"), ca=self._file("ca.crt"), crls=(self.crl,)
        )

    def cards(self) -> Cards:
        """Certificates of the authority that look like a card are that professional."""
        return Cards(authorities=(self._file("ca.crt"),))

    def any_node(self) -> Client:
        """Any other certificate of the authority is a system that may do everything."""
        return Client(name=ANY_NODE, certificate_subject={"CN": "*"}, permissions=("*",), organisation="Sandbox")

    def saml(self) -> Saml:
        """One issuer, in both dialects: as XUA under its name, as VIHF under its certificate's subject."""
        certificate = self._file("saml.crt")
        subject = pki.load(certificate).subject.rfc4514_string()
        return Saml(
            issuers=(
                SamlIssuer(name="sandbox", issuer=ISSUER, certificate=certificate),
                SamlIssuer(name="sandbox-vihf", issuer=subject, certificate=certificate, dialect="vihf"),
            )
        )

    def oauth(self) -> OAuth:
        """Tokens signed with the key, by the hub or by an integrator; the client may ask with a signed assertion."""
        return OAuth(
            signing_keys=(self._file("token.jwk"),),
            client_keys={CLIENT: self._file("client.jwks.json")},
            unlisted_permissions=("*",),
        )

    def told(self, base: str) -> dict[str, Any]:
        """What an integrator needs to make certificates, assertions and tokens, good ones and bad ones."""
        return {
            "client_cert": str(self._file("client.crt")),
            "client_key": str(self._file("client.key")),
            "client_id": CLIENT,
            "client_jwk": json.loads(self._file("client.jwk").read_bytes()),
            "ca": str(self._file("ca.crt")),
            "ca_key": str(self._file("ca.key")),
            "crl": str(self.crl),
            "saml": {
                "key": str(self._file("saml.key")),
                "cert": str(self._file("saml.crt")),
                "issuer": ISSUER,
                "audience": base,
            },
            "token_key": json.loads(self._file("token.jwk").read_bytes()),
            "token_issuer": base,
            "token_audience": base,
            "token_endpoint": f"{base}/oauth2/token",
            "audit": f"{base}/fhir",
        }

    def _file(self, name: str) -> Path:
        return self.directory / name
