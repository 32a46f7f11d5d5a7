"""All settings, one class a table of the TOML file. Defaults are closed: loopback, authentication on."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from hub.app.settings.atna import Atna
from hub.app.settings.drimbox import Drimbox
from hub.app.settings.mail import SecureMail
from hub.app.settings.nodes import Cards, Client, Tls
from hub.app.settings.oauth import OAuth
from hub.app.settings.psc import ProSanteConnect
from hub.app.settings.record import NationalRecord
from hub.app.settings.rights import Rights
from hub.app.settings.saml import Saml
from hub.app.settings.sharing import Community, Gateways, Mobile, NotificationRecipient, OnDemand, Subscriptions
from hub.app.settings.table import AETitleText, DatabaseUrl, Host, OidText, Place, PlaceOrNone, ProcessingIds, Table

LOOPBACK = ("127.0.0.1", "::1", "localhost")
LISTENERS = ("web", "mllp", "dimse", "health")  #: the tables of what listens


class Region(Table):
    """The affinity domain and this hub's own numbers."""

    name: str = "Maillage"
    """Shown on every page of the portal."""
    affinity_domain: OidText = "1.2.250.1.999.1.1"
    """Assigning authority of the regional identifier."""
    other_affinity_domains: tuple[OidText, ...] = Field(default=(), examples=[("1.2.250.1.999.9.1",)])
    """Further authorities whose patient ids the registry accepts."""
    repository_unique_id: OidText = "1.2.250.1.999.1.2"
    """The hub's own document repository."""
    home_community_id: OidText = "1.2.250.1.999.1.3"
    """This community, among others (XCA)."""
    source_id: OidText = "1.2.250.1.999.1.4"
    """sourceId of the submission sets that the hub itself makes."""
    language: str = "fr-FR"
    """languageCode of the documents that the hub makes."""
    external_index: bool = False
    """A feed whose PID-3 is in the affinity domain registers that patient as an external index would."""


class Authority(Table):
    """An assigning authority: a hospital's patient numbers, and the feed that owns them."""

    namespace: str = Field(examples=["HOSPITAL_A"])
    """Its name in HL7 v2 (HD-1)."""
    oid: OidText = Field(examples=["1.2.250.1.999.2.1"])
    """Its OID (HD-2)."""
    type: str = "PI"
    """What it numbers, HL7 table 0203: PI for patients, AN for stays, ACSN for accessions."""
    application: str = Field(default="", examples=["HIS_A"])
    """MSH-3 of the feed that owns it."""
    facility: str = Field(default="", examples=["HOSPITAL_A"])
    """MSH-4 of the feed that owns it."""
    name: str = Field(default="", examples=["Hôpital A"])
    """Shown to people."""
    trust: int = 0
    """Rank of its descriptions of people where several hospitals know somebody: the higher, the more it counts."""
    unstated: Literal["PROV", "VALI"] = "PROV"
    """Status of identities whose message names none (HL7 v3): VALI where the source checks documents and calls INSi
    before it sends; with an INS beside it such an identity is qualified."""


class Matching(Table):
    """Persons found by score (docs: how to switch matching on). What the rules decide, they decide anyhow."""

    enabled: bool = False
    """Whether identities are weighed at all. Switched on later: `maillage patients relink` for those that are there."""
    automatic: float = Field(default=0.99, gt=0.5, lt=1)
    """Probability from which two identities are linked without asking, unless a veto stands against it."""
    review: float = Field(default=0.5, gt=0, lt=1)
    """Probability from which a steward is asked."""
    provisional: bool = False
    """Whether a score may also decide about identities that nobody has checked yet (PROV, RECUP)."""
    model: Path | None = Field(default=None, examples=["model.json"])
    """A model that `maillage patients train` wrote; unset: the one that comes with the hub."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.review > self.automatic:
            raise ValueError("review must not be above automatic")
        return self


class Patients(Table):
    """The patient index."""

    four_eyes: bool = False
    """A steward's verdict on a task holds once a second steward has confirmed it."""
    matching: Matching = Matching()
    """Persons found by score."""


class Source(Table):
    """An institution's archive, reached through a connector; ``config`` is the connector's own."""

    name: str = Field(examples=["PACS_A"])
    """How the hub calls it, in every answer and log."""
    kind: str = Field(examples=["dicomweb"])
    """A connector's kind: dicomweb, dimse ..."""
    title: str = Field(default="", examples=["Hôpital A"])
    """Shown to people."""
    authority: str = ""
    """Namespace of the authority whose patient numbers it holds; default: the source's name."""
    repository_unique_id: OidText | None = Field(default=None, examples=["1.2.250.1.999.1.2.1"])
    """OID as an imaging document source (RAD-69); default: derived from the region's repository id and the name."""
    deadline: float = 10.0
    """Seconds that a federated question waits for it."""
    charset: str = ""
    """DICOM character set to assume whatever the data says."""
    config: dict[str, Any] = Field(default_factory=dict, examples=[{"url": "http://127.0.0.1:8042/dicom-web"}])
    """The connector's own settings, see the reference page of the connectors."""


class Archive(Table):
    """The hub's own archive: what modalities and PACS send to its DICOM port (C-STORE). A source like any other."""

    name: str = "HUB"
    """How the hub calls it, in every answer and log."""
    title: str = ""
    """Shown to people; default: its name."""
    repository_unique_id: OidText | None = Field(default=None, examples=["1.2.250.1.999.1.2.9"])
    """OID as an imaging document source (RAD-69); default: derived from the region's repository id and the name."""
    senders: dict[AETitleText, str] = Field(default_factory=dict, examples=[{"CT_1": "HOSPITAL_A"}])
    """Who may send, and tell that instances are there (RAD-49): calling AE title -> namespace of the authority of
    its patient numbers (empty: the images say). Beyond loopback they must show a certificate as well
    (tls.client_certificates = "required"). A system that shows a certificate of [[clients]] needs the permissions
    imaging.store and imaging.notify."""
    stable_after: float = Field(default=30.0, ge=0)
    """Seconds without a new object after which a study is complete enough to be shared."""
    publish: bool = True
    """Share studies that were sent, when they are stable; otherwise only with their report or order."""


class Feed(Table):
    """A sender of HL7 messages, recognised by MSH-3 and MSH-4, or in version 3 by its device."""

    application: str = Field(examples=["HIS_A"])
    """MSH-3."""
    facility: str = Field(examples=["HOSPITAL_A"])
    """MSH-4."""
    name: str = Field(examples=["HIS_A"])
    """How the hub calls it."""
    device: OidText | None = Field(default=None, examples=["1.2.250.1.999.2.1.9"])
    """sender/device/id of its HL7 v3 messages."""
    charset: str = ""
    """Character set to use whatever MSH-18 says."""
    answer_to: PlaceOrNone = ""
    """host:port for application acknowledgements in enhanced mode; empty: none are sent."""
    reports_to: PlaceOrNone = Field(default="", examples=["ris-a.chu-a.example.org:2576"])
    """host:port for business acknowledgements (ZAM): how far documents came whose message asks for it; empty: none."""


class User(Table):
    """A person who signs in to the portal with a password (a small site without an identity provider)."""

    login: str = Field(examples=["a.martin"])
    """What is typed at sign-in."""
    name: str = Field(examples=["Dr Anne MARTIN"])
    """Shown in the portal and kept in the audit trail."""
    password_argon2: str = Field(examples=["$argon2id$v=19$m=65536,t=3,p=4$..."])
    """Argon2 hash of the password."""
    roles: tuple[Literal["clinician", "operator", "steward", "officer"], ...] = ("clinician",)
    """What the person may do: clinician reads images and reports, operator sees messages and sources, steward
    identities, officer the audit trail."""
    organisation: str = Field(default="", examples=["Hôpital B"])
    """Where the person works."""


class Web(Table):
    """HTTP: SOAP, FHIR, DICOMweb, portal."""

    host: Host = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(default=8080, ge=0, le=65535)
    """0: any free one."""
    processes: int = Field(default=1, ge=1, le=64)
    """Processes of the role web on this port, each restarted when it dies; 1: the role is in the process itself."""
    public_url: str = Field(default="", examples=["https://hub.example.org"])
    """Base URL under which others reach the hub; default: built from host and port."""
    max_body_mb: int = 2048
    """Largest request, attachments included, in megabytes."""
    max_message_mb: int = 64
    """Largest XML or JSON part of a message, in megabytes."""
    trusted_proxy: str = Field(default="", examples=["127.0.0.1"])
    """Address of a proxy whose X-SSL-Client-Cert header is believed."""


class Mllp(Table):
    """HL7 v2 over MLLP."""

    host: Host = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(default=2575, ge=0, le=65535)
    """0: any free one."""
    processes: int = Field(default=1, ge=1, le=64)
    """Processes of the role mllp on this port, as for the web; more than one is for PostgreSQL."""
    max_message_mb: int = 32
    """Largest message, in megabytes."""
    idle_timeout: float = 300.0
    """Seconds after which a silent connection is closed."""
    default_charset: str = "utf-8"
    """Character set of messages whose MSH-18 is empty."""
    processing_ids: ProcessingIds = Field(default=("P",), examples=[("P", "T")])
    """What messages are for (MSH-11, HL7 table 0103; processingCode of HL7 v3) that this hub takes: P production,
    T training, D debugging. Others are refused (AR, 202; NS250 in HL7 v3); the bytes of feeds stay in the inbox.
    One that does not say is P. The sandbox and the demo take all."""


class DimsePort(Table):
    """DICOM upper layer."""

    host: Host = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(default=11112, ge=0, le=65535)
    """0: any free one."""
    ae_title: AETitleText = "MAILLAGE"
    """The hub's own, as called by others and as C-MOVE destination of its own retrievals."""
    max_associations: int = 20
    """Associations at the same time."""
    callers: tuple[AETitleText, ...] = Field(default=(), examples=[("PACS_B",)])
    """Calling AE titles that may ask, fetch, and tell that instances are there (RAD-49; who may send:
    archive.senders); empty: none, unless node authentication is off. Beyond loopback they must show a certificate as
    well (tls.client_certificates = "required")."""
    destinations: dict[AETitleText, Place] = Field(default_factory=dict, examples=[{"PACS_B": "10.0.0.5:104"}])
    """Permitted C-MOVE destinations: AE title -> host:port."""


class Security(Table):
    """Who may call."""

    node_authentication: bool = True
    """Off only on loopback (demo, sandbox): then every caller on this machine may do everything."""
    session_minutes: int = 30
    """A portal session ends after so many minutes without a request."""
    accept_new_authorities: bool = False
    """Learn an assigning authority at first sight: for the sandbox only."""


class Storage(Table):
    """Where everything is kept."""

    database: DatabaseUrl = "sqlite:///var/maillage.sqlite"
    """URL of the database: sqlite:///FILE, or postgresql://USER:PASSWORD@HOST/NAME."""
    content: Path = Path("var/content")
    """Directory of documents; the roles of several machines must share it."""
    pool_size: int = 10
    """Database connections that are kept open."""


class Imaging(Table):
    """How studies are shared."""

    manifest: Literal["xds-i", "drim-m", "mado"] = "xds-i"
    """Kind of manifest that is published for a study: the KOS of XDS-I.b or of DRIM-M, or MADO's KOS and FHIR."""
    check_at: Annotated[str, Field(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9])?$")] = "03:00"
    """When what is published is compared with what the sources hold, HH:MM every night; empty: never."""
    check_repair: bool = True
    """Whether the nightly check publishes again what differs."""
    publish_on: tuple[Literal["report", "order", "ian"], ...] = ("report",)
    """What has a study published: its final report, its order, a notice that its images are there."""
    archive_follows: float = Field(default=300.0, ge=0)
    """Seconds that an archive has to follow a corrected name, or to get late objects that were sent to the hub, before
    it is asked for their study again."""
    max_studies: int = 500
    """Most studies in one answer."""


class Logging(Table):
    """Logs: one JSON object a line, never a patient's data."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """What is less than this is left out."""
    format: Literal["json", "text"] = "json"
    """One JSON object a line, or lines for people."""


class HealthPort(Table):
    """Health and metrics of a process without the role web (a process with it serves them there)."""

    host: Host = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(default=9180, ge=0, le=65535)
    """0: not served."""


class Settings(Table):
    """The whole file."""

    region: Region = Region()
    """The affinity domain."""
    authorities: tuple[Authority, ...] = ()
    """Assigning authorities: hospitals and what they number."""
    patients: Patients = Patients()
    """Who is who."""
    sources: tuple[Source, ...] = ()
    """Archives."""
    archive: Archive = Archive()
    """What is sent to the hub."""
    communities: tuple[Community, ...] = ()
    """Other communities, asked through the initiating gateway."""
    gateways: Gateways = Gateways()
    """How other communities are answered and asked."""
    feeds: tuple[Feed, ...] = ()
    """Senders of HL7 v2 messages."""
    clients: tuple[Client, ...] = ()
    """Systems that may call."""
    users: tuple[User, ...] = ()
    """People who may sign in."""
    tls: Tls = Tls()
    """Node authentication."""
    cards: Cards = Cards()
    """Professionals' cards."""
    web: Web = Web()
    """HTTP."""
    mllp: Mllp = Mllp()
    """HL7 v2."""
    dimse: DimsePort = DimsePort()
    """DICOM."""
    security: Security = Security()
    """Who may call."""
    oauth: OAuth = OAuth()
    """Tokens for systems."""
    saml: Saml = Saml()
    """Assertions about users."""
    pro_sante_connect: ProSanteConnect = ProSanteConnect()
    """Signing in with Pro Santé Connect."""
    rights: Rights = Rights()
    """Who may read what of whom."""
    atna: Atna = Atna()
    """Where the audit trail goes."""
    record: NationalRecord = NationalRecord()
    """The national record."""
    mail: SecureMail = SecureMail()
    """Secure mail."""
    drimbox: Drimbox = Drimbox()
    """Other DRIMboxes."""
    storage: Storage = Storage()
    """Where everything is kept."""
    imaging: Imaging = Imaging()
    """How studies are shared."""
    on_demand: OnDemand = OnDemand()
    """Documents that are made when they are asked for."""
    mhd: Mobile = Mobile()
    """Documents over FHIR."""
    subscriptions: Subscriptions = Subscriptions()
    """Notifications of what is registered."""
    notifications: tuple[NotificationRecipient, ...] = ()
    """Who is told of cross-references that change."""
    logging: Logging = Logging()
    """Logs."""
    health: HealthPort = HealthPort()
    """Health of processes without the role web."""
    vocabulary: Path | None = Field(default=None, examples=["vocabulary.xml"])
    """Affinity domain codes (IHE SVS XML or FHIR ValueSet); unset: codes are not checked."""
    viewer: Path | None = Field(default=None, examples=["build/ohif"])
    """Directory of the installed OHIF viewer; unset: build/ohif when present."""

    @model_validator(mode="after")
    def _open_only_on_loopback(self) -> Self:
        if not self.security.node_authentication:
            for name in LISTENERS:
                host = getattr(self, name).host
                if host not in LOOPBACK:
                    raise ValueError(
                        f"{name}.host is {host}: with security.node_authentication = false everything must listen on "
                        "loopback (127.0.0.1)"
                    )
        return self

    @model_validator(mode="after")
    def _titles_are_no_proof_beyond_loopback(self) -> Self:
        certified = self.tls.certificate is not None and self.tls.client_certificates == "required"
        titles = self.dimse.callers or self.archive.senders
        if titles and self.dimse.host not in LOOPBACK and not certified:
            raise ValueError(
                "dimse.callers and archive.senders are known by their AE title alone, which anybody can use: beyond "
                'loopback set tls with tls.client_certificates = "required", or list the systems\' certificates in '
                "[[clients]] instead"
            )
        return self
