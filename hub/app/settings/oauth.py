"""Tokens for systems: an authorisation server of the hub's own (ITI-71, ITI-102), and tokens of others."""

from datetime import timedelta
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from hub.app.settings.table import HttpUrl, Table

SignatureAlgorithm = Literal["RS256", "PS256", "ES256", "RS384", "ES384"]


class Issuer(Table):
    """Another authorisation server whose tokens are accepted: signed ones by its keys, others by asking it."""

    issuer: str = Field(examples=["https://as.example.org"])
    """Its name: iss of its tokens."""
    jwks: Path | None = Field(default=None, examples=["pki/as.jwks.json"])
    """JWK set (or PEM file) of its public keys: its signed tokens are verified here, the others introspected."""
    introspection: HttpUrl | None = Field(default=None, examples=["https://as.example.org/introspect"])
    """Where its tokens are introspected (RFC 7662), at most 30 seconds ago."""
    audience: str = ""
    """aud that its tokens must have; default: this hub's own."""
    permissions: tuple[str, ...] = Field(default=(), examples=[("documents.query", "documents.retrieve")])
    """The most that its tokens permit, whatever their scopes say."""
    client_id: str = ""
    """As whom the hub introspects."""
    client_secret: str = Field(default="", repr=False)
    """Its secret there; empty: the hub shows its certificate (tls.certificate)."""
    ca: Path | None = Field(default=None, examples=["pki/provider-ca.crt"])
    """PEM file of the authorities of its certificate; unset: those that the system trusts."""

    @model_validator(mode="after")
    def _some_way(self) -> Self:
        if self.jwks is None and self.introspection is None:
            raise ValueError("an issuer has jwks or introspection")
        return self


class Exchange(Table):
    """Exchange of a professional's token (Pro Santé Connect) for one of the hub's (RFC 8693)."""

    issuer: str = Field(default="", examples=["https://auth.esw.esante.gouv.fr/auth/realms/esante-wallet"])
    """iss of the provider's tokens; empty: nothing is exchanged."""
    introspection: HttpUrl | None = Field(
        default=None,
        examples=["https://auth.esw.esante.gouv.fr/auth/realms/esante-wallet/protocol/openid-connect/token/introspect"],
    )
    """Where the provider introspects them: at each exchange."""
    userinfo: HttpUrl | None = Field(
        default=None,
        examples=["https://auth.esw.esante.gouv.fr/auth/realms/esante-wallet/protocol/openid-connect/userinfo"],
    )
    """Where it tells who the professional is, when introspection does not."""
    jwks: HttpUrl | None = Field(
        default=None,
        examples=["https://auth.esw.esante.gouv.fr/auth/realms/esante-wallet/protocol/openid-connect/certs"],
    )
    """Where its public keys are: what it tells may be signed (application/jwt), for the client of the token."""
    algorithms: tuple[SignatureAlgorithm, ...] = ("RS256", "PS256", "ES256")
    """Signatures that are accepted there."""
    signed_claims: bool = False
    """Whether what it tells must be signed; what is signed is verified in any case."""
    audience: str = ""
    """aud that its tokens must have; empty: it is not looked at (the client they were issued to always is)."""
    acr: tuple[str, ...] = ("eidas1",)
    """How the professional must have been authenticated there; empty: in any way."""
    client_id: str = ""
    """As whom the hub introspects."""
    client_secret: str = Field(default="", repr=False)
    """Its secret there; empty: the hub shows its certificate (tls.certificate)."""
    ca: Path | None = Field(default=None, examples=["pki/provider-ca.crt"])
    """PEM file of the authorities of the provider's certificate; unset: those that the system trusts."""
    clients: dict[str, tuple[str, ...]] = Field(default_factory=dict, examples=[{"ris-b": ("ris-b-at-the-provider",)}])
    """Who may exchange: name of a system of [[clients]] -> its client ids at the provider. Tokens that were issued to
    another client are refused."""
    timeout: float = Field(default=5.0, gt=0, le=30)
    """Seconds that the provider has to answer."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if bool(self.issuer) != (self.introspection is not None):
            raise ValueError("issuer and introspection go together")
        if self.signed_claims and self.jwks is None:
            raise ValueError("signed_claims needs jwks")
        return self


class OAuth(Table):
    """Tokens for systems: an authorisation server of the hub's own (ITI-71, ITI-102), and tokens of others."""

    signing_keys: tuple[Path, ...] = Field(default=(), examples=[("pki/token-2026.pem", "pki/token-2025.pem")])
    """Private keys (PEM or JWK files): the first signs, all verify; put a new one first, remove an old one when its
    last token has expired. None: the hub issues no tokens. `maillage oauth key` makes one."""
    client_keys: dict[str, Path] = Field(default_factory=dict, examples=[{"ris-b": "pki/ris-b.jwks.json"}])
    """Systems that prove who they are with a signed assertion (private_key_jwt): name in [[clients]] -> JWK set or PEM
    file of its public keys. Those with a certificate in [[clients]] need nothing here."""
    issuer: str = ""
    """iss of the hub's tokens; default: its public URL."""
    audiences: tuple[str, ...] = ()
    """Further aud that are taken for this hub, beside its public URL."""
    token_minutes: int = Field(default=5, ge=1, le=60)
    """Life of an access token (IUA, SMART: short)."""
    token_format: Literal["jwt", "opaque"] = "jwt"  # noqa: S105
    """What a client gets that does not say which it wants."""
    algorithms: tuple[SignatureAlgorithm, ...] = ("RS256", "PS256", "ES256", "RS384", "ES384")
    """Signature algorithms that are accepted; nothing beyond these can be. SMART demands RS384 and ES384."""
    leeway: int = Field(default=10, ge=0, le=60)
    """Seconds that clocks may differ."""
    unlisted_permissions: tuple[str, ...] = ()
    """What tokens of the hub's own keys permit at most whose client is not in [[clients]]: for the sandbox, where
    integrators sign their own. None: such tokens are refused."""
    issuers: tuple[Issuer, ...] = ()
    """Other authorisation servers."""
    exchange: Exchange = Exchange()
    """Tokens of professionals."""

    @property
    def life(self) -> timedelta:
        """Life of an access token."""
        return timedelta(minutes=self.token_minutes)
