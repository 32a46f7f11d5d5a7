"""All settings, one class a table of the TOML file. Defaults are closed: loopback, authentication on."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from hub.values import AETitle, Oid

OidText = Annotated[str, AfterValidator(lambda value: str(Oid(value)))]
AETitleText = Annotated[str, AfterValidator(lambda value: str(AETitle(value)))]
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Table(BaseModel):
    """Base of every settings table: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Region(Table):
    """The affinity domain and this hub's own numbers."""

    name: str = "Maillage"
    affinity_domain: OidText = "1.2.250.1.999.1.1"
    """Assigning authority of the regional identifier."""
    other_affinity_domains: tuple[OidText, ...] = ()
    """Further authorities whose patient ids the registry accepts."""
    repository_unique_id: OidText = "1.2.250.1.999.1.2"
    home_community_id: OidText = "1.2.250.1.999.1.3"
    source_id: OidText = "1.2.250.1.999.1.4"
    """sourceId of the submission sets that the hub itself makes."""
    language: str = "fr-FR"
    external_index: bool = False
    """A feed whose PID-3 is in the affinity domain registers that patient as an external index would."""


class Authority(Table):
    """An assigning authority: a hospital's patient numbers, and the feed that owns them."""

    namespace: str
    oid: OidText
    type: str = "PI"
    """What it numbers, HL7 table 0203: PI for patients, AN for stays, ACSN for accessions."""
    application: str = ""
    """MSH-3 of the feed that owns it."""
    facility: str = ""
    """MSH-4 of the feed that owns it."""
    name: str = ""


class Source(Table):
    """An institution's archive, reached through a connector; ``config`` is the connector's own."""

    name: str
    kind: str
    """A connector's kind: dicomweb, dimse ..."""
    title: str = ""
    authority: str = ""
    """Namespace of the authority whose patient numbers it holds; default: the source's name."""
    repository_unique_id: OidText | None = None
    """OID as an imaging document source (RAD-69); default: derived from the region's repository id and the name."""
    deadline: float = 10.0
    """Seconds that a federated question waits for it."""
    charset: str = ""
    """DICOM character set to assume whatever the data says."""
    config: dict[str, Any] = Field(default_factory=dict)


class Feed(Table):
    """A sender of HL7 v2 messages, recognised by MSH-3 and MSH-4."""

    application: str
    facility: str
    name: str
    charset: str = ""
    """Character set to use whatever MSH-18 says."""
    answer_to: str = ""
    """host:port for application acknowledgements in enhanced mode; empty: none are sent."""


class Client(Table):
    """A system that may call: by certificate (SHA-256 of its DER) or bearer token (SHA-256), and what it may do."""

    name: str
    certificate_sha256: str = ""
    token_sha256: str = ""
    permissions: tuple[str, ...] = ()
    """Patterns such as documents.query, imaging.*, *."""
    source: str = ""
    organisation: str = ""


class User(Table):
    """A person who signs in to the portal with a password (a small site without an identity provider)."""

    login: str
    name: str
    password_argon2: str
    roles: tuple[Literal["clinician", "operator", "steward", "officer"], ...] = ("clinician",)
    organisation: str = ""


class Tls(Table):
    """Node authentication (ITI-19)."""

    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None
    client_certificates: Literal["required", "optional", "none"] = "optional"


class Web(Table):
    """HTTP: SOAP, FHIR, DICOMweb, portal."""

    host: str = "127.0.0.1"
    port: int = 8080
    public_url: str = ""
    """Base URL under which others reach the hub; default: built from host and port."""
    max_body_mb: int = 2048
    max_message_mb: int = 64
    """Largest XML or JSON part of a message."""
    trusted_proxy: str = ""
    """Address of a proxy whose X-SSL-Client-Cert header is believed."""


class Mllp(Table):
    """HL7 v2 over MLLP."""

    host: str = "127.0.0.1"
    port: int = 2575
    max_message_mb: int = 32
    idle_timeout: float = 300.0
    default_charset: str = "utf-8"


class DimsePort(Table):
    """DICOM upper layer."""

    host: str = "127.0.0.1"
    port: int = 11112
    ae_title: AETitleText = "MAILLAGE"
    max_associations: int = 20
    callers: tuple[str, ...] = ()
    """Calling AE titles that are accepted; empty: none, unless node authentication is off."""
    destinations: dict[str, str] = Field(default_factory=dict)
    """Permitted C-MOVE destinations: AE title -> host:port."""


class Security(Table):
    """Who may call."""

    node_authentication: bool = True
    """Off only on loopback (demo, sandbox): then every caller on this machine may do everything."""
    session_minutes: int = 30
    accept_new_authorities: bool = False
    """Learn an assigning authority at first sight: for the sandbox only."""


class Storage(Table):
    """Where everything is kept."""

    database: str = "sqlite:///var/maillage.sqlite"
    content: Path = Path("var/content")
    pool_size: int = 10


class Imaging(Table):
    """How studies are shared."""

    manifest: Literal["xds-i"] = "xds-i"
    publish_on: tuple[Literal["report", "order", "ian"], ...] = ("report",)
    max_studies: int = 500


class Logging(Table):
    """Logs: one JSON object a line, never a patient's data."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["json", "text"] = "json"


class Settings(Table):
    """The whole file."""

    region: Region = Region()
    authorities: tuple[Authority, ...] = ()
    sources: tuple[Source, ...] = ()
    feeds: tuple[Feed, ...] = ()
    clients: tuple[Client, ...] = ()
    users: tuple[User, ...] = ()
    tls: Tls = Tls()
    web: Web = Web()
    mllp: Mllp = Mllp()
    dimse: DimsePort = DimsePort()
    security: Security = Security()
    storage: Storage = Storage()
    imaging: Imaging = Imaging()
    logging: Logging = Logging()
    vocabulary: Path | None = None
    """Affinity domain codes (IHE SVS XML or FHIR ValueSet); unset: codes are not checked."""
    viewer: Path | None = None
    """Directory of the installed OHIF viewer; unset: build/ohif when present."""

    @model_validator(mode="after")
    def _open_only_on_loopback(self) -> Self:
        if not self.security.node_authentication:
            for name, host in (("web", self.web.host), ("mllp", self.mllp.host), ("dimse", self.dimse.host)):
                if host not in LOOPBACK:
                    raise ValueError(
                        f"{name}.host is {host}: with security.node_authentication = false everything must listen on "
                        "loopback (127.0.0.1)"
                    )
        return self
