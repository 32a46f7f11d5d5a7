"""Signing in with Pro Santé Connect (OpenID Connect), or with another provider of its kind."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from hub.app.settings.table import HttpUrl, Table
from hub.wire.oidc.provider import is_safe

Authentication = Literal["client_secret_basic", "client_secret_post", "private_key_jwt", "tls_client_auth", "none"]


class ProSanteConnect(Table):
    """Signing in with Pro Santé Connect (OpenID Connect), or with another provider of its kind."""

    issuer: HttpUrl | None = Field(default=None, examples=["https://auth.esw.esante.gouv.fr/auth/realms/esante-wallet"])
    """The provider, as its tokens name it (iss); unset: nobody signs in this way."""
    client_id: str = Field(default="", examples=["maillage-region"])
    """This hub, as the provider knows it."""
    title: str = "Pro Santé Connect"
    """What the button calls it."""
    discovery: HttpUrl | None = Field(
        default=None,
        examples=["https://auth.esw.esante.gouv.fr/auth/realms/esante-wallet/.well-known/wallet-openid-configuration"],
    )
    """Where its metadata is; unset: /.well-known/openid-configuration under the issuer."""
    authorization_endpoint: HttpUrl | None = Field(default=None, examples=["https://wallet.esw.esante.gouv.fr/auth"])
    """Instead of what the metadata says, as the five below. Pro Santé Connect's is not under its issuer."""
    token_endpoint: HttpUrl | None = Field(
        default=None,
        examples=["https://auth.esw.esante.gouv.fr/auth/realms/esante-wallet/protocol/openid-connect/token"],
    )
    """Where codes and refresh tokens are exchanged."""
    userinfo_endpoint: HttpUrl | None = Field(
        default=None,
        examples=["https://auth.esw.esante.gouv.fr/auth/realms/esante-wallet/protocol/openid-connect/userinfo"],
    )
    """Where it tells who the professional is."""
    jwks_uri: HttpUrl | None = Field(
        default=None,
        examples=["https://auth.esw.esante.gouv.fr/auth/realms/esante-wallet/protocol/openid-connect/certs"],
    )
    """Its keys."""
    end_session_endpoint: HttpUrl | None = Field(
        default=None,
        examples=["https://auth.esw.esante.gouv.fr/auth/realms/esante-wallet/protocol/openid-connect/logout"],
    )
    """Where signing out ends its session as well."""
    backchannel_authentication_endpoint: HttpUrl | None = Field(
        default=None,
        examples=["https://auth.esw.esante.gouv.fr/auth/realms/esante-wallet/protocol/openid-connect/ext/ciba/auth"],
    )
    """Where a phone is called (CIBA)."""
    authentication: Authentication = "client_secret_basic"
    """How the hub proves itself there. tls_client_auth: with a certificate of an organisation (IGC-Santé)."""
    client_secret_file: Path | None = Field(default=None, examples=["/run/secrets/psc"])
    """File that holds the secret and nothing else: client_secret_basic, client_secret_post."""
    client_key: Path | None = Field(default=None, examples=["pki/psc-client.pem"])
    """Private key (PEM or JWK file): private_key_jwt."""
    certificate: Path | None = Field(default=None, examples=["pki/hub.crt"])
    """PEM file of the certificate that is shown there (tls_client_auth); unset: tls.certificate."""
    certificate_key: Path | None = Field(default=None, examples=["pki/hub.key"])
    """PEM file of its private key; unset: tls.key."""
    ca: Path | None = Field(default=None, examples=["pki/ca.crt"])
    """PEM file of the authorities of the provider's certificate; unset: those that the system trusts."""
    scope: str = "openid scope_all"
    """What is asked for."""
    acr: tuple[str, ...] = ("eidas1",)
    """How the person must have been authenticated: the first is asked for (acr_values), one of them must be told."""
    algorithms: tuple[Literal["RS256", "PS256", "ES256"], ...] = ("RS256", "PS256", "ES256")
    """Signature algorithms that are accepted of the provider."""
    signed_claims: bool = False
    """Whether its claims about the person (userinfo) must be signed; signed ones are verified in any case."""
    leeway: int = Field(default=30, ge=0, le=300)
    """Seconds that clocks may differ."""
    timeout: float = Field(default=10.0, gt=0, le=60)
    """Seconds that the provider has to answer."""
    phone: bool = False
    """Whether to offer signing in with the e-CPS on the phone without a redirection (CIBA)."""
    renew_minutes: float = Field(default=10.0, ge=0)
    """A session in use renews its tokens so often, and ends when the provider refuses that. 0: it does not ask."""
    unreachable_minutes: float = Field(default=30.0, ge=0)
    """A session ends when the provider did not answer for so long (the life of its refresh tokens)."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.issuer is None) != (not self.client_id):
            raise ValueError("issuer and client_id go together")
        needed = {
            "client_secret_basic": "client_secret_file",
            "client_secret_post": "client_secret_file",
            "private_key_jwt": "client_key",
        }.get(self.authentication, "")
        if self.issuer is not None and needed and getattr(self, needed) is None:
            raise ValueError(f"authentication by {self.authentication} needs {needed}")
        if (self.certificate is None) != (self.certificate_key is None):
            raise ValueError("certificate and certificate_key go together")
        if not self.acr or not all(self.acr):
            raise ValueError("acr must name a level: who signs in must have been authenticated in a way that is known")
        return self

    @model_validator(mode="after")
    def _nothing_in_clear(self) -> Self:
        for name in ("issuer", "discovery", *self.endpoints):
            url = getattr(self, name)
            if url is not None and not is_safe(url):
                raise ValueError(f"{name} must be https (http on this machine only)")
        return self

    @property
    def endpoints(self) -> dict[str, str]:
        """Endpoints that are given one by one, by their name in the provider's metadata."""
        names = (
            "authorization_endpoint",
            "token_endpoint",
            "userinfo_endpoint",
            "jwks_uri",
            "end_session_endpoint",
            "backchannel_authentication_endpoint",
        )
        return {name: url for name in names if (url := getattr(self, name)) is not None}
