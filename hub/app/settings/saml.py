"""Assertions about users: whose are believed (ITI-40, VIHF), and with which key the hub issues its own."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from hub.app.settings.table import Table

AlgorithmName = Literal[
    "rsa-sha256",
    "rsa-sha384",
    "rsa-sha512",
    "ecdsa-sha256",
    "ecdsa-sha384",
    "ecdsa-sha512",
    "rsa-sha1",
    "ecdsa-sha1",
]
RoleName = Literal["clinician", "author", "operator", "steward", "officer"]
PurposeName = Literal["normal", "bris_de_glace", "centre_15"]
STRONG: tuple[AlgorithmName, ...] = (
    "rsa-sha256",
    "rsa-sha384",
    "rsa-sha512",
    "ecdsa-sha256",
    "ecdsa-sha384",
    "ecdsa-sha512",
)


class SamlIssuer(Table):
    """Who issues assertions that are believed."""

    name: str = Field(examples=["idp-hospital-b"])
    """How the hub calls it, in its messages and in the audit trail."""
    issuer: str = Field(default="", examples=["https://idp.hospital-b.example/saml"])
    """What stands in Issuer: an entityID, or the subject of the signing certificate (RFC 2253). Empty, with ca: the
    subject of whatever certificate signed."""
    certificate: Path | None = Field(default=None, examples=["pki/idp-hospital-b.crt"])
    """PEM file of the certificates it signs with: several while it changes from one to the next. Read again when it
    changes."""
    ca: Path | None = Field(default=None, examples=["pki/ac-igc-sante-organisations.crt"])
    """Instead, or as well: PEM file of the authorities that issue the certificates it signs with. The certificate must
    then stand in KeyInfo, and its subject in Issuer."""
    subject: str = Field(default="*", examples=["CN=*,OU=10B0127189,*"])
    """With ca: pattern of that certificate's subject (RFC 2253, most specific part first; * is anything)."""
    dialect: Literal["xua", "vihf"] = "xua"
    """xua: IHE's attributes, an audience and a confirmation are needed. vihf: the attributes of CI-SIS."""
    algorithms: tuple[AlgorithmName, ...] = STRONG
    """Signatures that are accepted. SHA-1 only where it is named here: it can be forged by who has the means."""
    reuse: bool = False
    """Whether the node that showed an assertion may show it again while it is valid; otherwise it is good once."""
    longest_minutes: int = Field(default=60, ge=1, le=24 * 60)
    """An assertion is good for no longer after it was issued, whatever it says itself."""
    reading_modes: tuple[Literal["DIRECTE", "INDIRECTE", "INDIRECTE_RENFORCEE"], ...] = (
        "DIRECTE",
        "INDIRECTE_RENFORCEE",
    )
    """vihf: modes of authentication in which a professional may read; in the others they may only send."""
    roles: dict[str, tuple[RoleName, ...]] = Field(
        default_factory=dict, examples=[{"ARZT^1.2.276.0.76.5.1": ("clinician",)}]
    )
    """Roles of professions that the hub does not know by itself: code^system -> its roles."""
    purposes: dict[str, PurposeName] = Field(default_factory=dict, examples=[{"EMERGENCY": "bris_de_glace"}])
    """Purposes of use that the hub does not know by itself."""

    @model_validator(mode="after")
    def _trusted_by_one(self) -> Self:
        if self.certificate is None and self.ca is None:
            raise ValueError("an issuer is trusted by its certificate or by a ca")
        if self.certificate is not None and not self.issuer:
            raise ValueError("an issuer that is trusted by its certificate needs its name in issuer")
        return self


class Saml(Table):
    """Assertions about users: whose are believed (ITI-40, VIHF), and with which key the hub issues its own."""

    audience: str = Field(default="", examples=["https://hub.example.org"])
    """What an AudienceRestriction must name; empty: web.public_url."""
    issuers: tuple[SamlIssuer, ...] = ()
    """Whose assertions are believed; empty: assertions are not looked at."""
    clock_skew: int = Field(default=60, ge=0, le=600)
    """Seconds by which the clock of an issuer may differ."""
    issuer: str = Field(default="", examples=["https://hub.example.org/saml"])
    """Issuer of the hub's own assertions; empty: web.public_url, or the homeCommunityId as a URN."""
    key: Path | None = Field(default=None, examples=["pki/saml.key"])
    """PEM file of the key that signs the hub's own assertions (communities.assertion); unset: it issues none."""
    certificate: Path | None = Field(default=None, examples=["pki/saml.crt"])
    """PEM file of its certificate."""
    algorithm: AlgorithmName | None = Field(default=None, examples=["ecdsa-sha256"])
    """How the hub signs; unset: SHA-256 with the key's kind."""
    minutes: int = Field(default=5, ge=1, le=60)
    """How long the hub's own assertions are good."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.key is None) != (self.certificate is None):
            raise ValueError("key and certificate go together")
        if len({item.name for item in self.issuers}) != len(self.issuers):
            raise ValueError("every issuer needs a name of its own")
        return self
