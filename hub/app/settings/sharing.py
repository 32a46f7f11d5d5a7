"""The tables of the settings about whom the region shares with, and in which form."""

from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from hub.app.settings.table import CodeText, DocumentCode, HttpUrl, OidText, Table

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Community(Table):
    """Another community, reached through its responding gateway (XCA, XCA-I)."""

    name: str = Field(examples=["REGION_2"])
    """How the hub calls it, in every answer and log."""
    home_community_id: OidText = Field(examples=["1.2.250.1.999.8.3"])
    """Its homeCommunityId."""
    query_url: HttpUrl = Field(examples=["https://hub.region2.example/xca/responding"])
    """Where it takes ITI-38."""
    retrieve_url: HttpUrl | None = Field(default=None, examples=["https://hub.region2.example/xca/responding"])
    """Where it takes ITI-39; unset: at query_url."""
    imaging_url: HttpUrl | None = Field(default=None, examples=["https://hub.region2.example/xca/responding"])
    """Where it takes RAD-75; unset: where it takes ITI-39."""
    discovery_url: HttpUrl | None = Field(default=None, examples=["https://hub.region2.example/xcpd/responding"])
    """Where it takes ITI-55: persons are looked for there by their traits and identifiers before it is queried; unset:
    it is asked by number (authority)."""
    authority: OidText | None = Field(default=None, examples=["1.2.250.1.999.8.1"])
    """Authority whose patient numbers it knows: it is asked with the person's number there, and only about persons who
    have one; unset: it is asked with the identifier as given."""
    deadline: float = Field(default=10.0, gt=0)
    """Seconds that a query waits for it, and that it may keep silent within an answer."""
    retrieve_deadline: float = Field(default=120.0, gt=0)
    """Seconds that a retrieval from it may take altogether."""
    assertion: Literal["none", "xua"] = "none"
    """xua: every request to it carries an assertion of the hub's own about the user for whom it asks ([saml] key)."""
    audience: str = Field(default="", examples=["https://hub.region2.example"])
    """Audience of these assertions; empty: its homeCommunityId as a URN."""


class Gateways(Table):
    """How this community answers and asks others (XCA, XCPD)."""

    reply_hosts: tuple[str, ...] = Field(default=(), examples=[("gateway.region2.example", "10.0.0.5:8443")])
    """Hosts (with or without a port) to which answers may be sent that are not wanted on the connection (wsa:ReplyTo),
    by https, on this machine by http; empty: such requests are refused."""

    correlation_days: int = Field(default=7, ge=0)
    """Days for which a person that was discovered in another community is not looked for again (less where that
    community says so), and for which others may rely on this one's answers."""


class OnDemand(Table):
    """Documents that are made when they are asked for."""

    study_list: bool = False
    """Register for every person with an imaging manifest a list of their imaging studies, made when it is retrieved."""
    persist: bool = False
    """Keep and register what was made (Persistence of Retrieved Documents option)."""


class Mobile(Table):
    """Documents over FHIR (MHD)."""

    french: bool = False
    """The constraints of PDSm (ANS) are in force: submissions that break them are refused, answers conform to them."""
    communities: bool = True
    """Searches that name no community (targetCommunityIdList) ask all others as well; false: this one alone."""
    generated: dict[DocumentCode, CodeText] = Field(
        default_factory=dict, examples=[{"practiceSettingCode": "AMBULATOIRE^Ambulatoire^1.2.250.1.213.1.1.4.9"}]
    )
    """Codes (code^display^scheme) of a document that does not tell them, where the hub reads the metadata out of it
    (ITI-106): classCode, typeCode, formatCode, healthcareFacilityTypeCode, practiceSettingCode, confidentialityCode;
    contentTypeCode of the submission sets that the hub makes (ITI-105, ITI-106). Without them: limited metadata."""


class Subscriptions(Table):
    """Who may be told of what is registered (DSUB)."""

    consumers: tuple[str, ...] = Field(default=(), examples=[("ris.hospital-b.example", "10.0.0.7:8443")])
    """Hosts (with or without a port) that notifications may be sent to, by https; http on loopback only. Empty: nobody,
    clients use pull points."""
    longest_days: int = Field(default=366, ge=1, le=3660)
    """No subscription is granted for longer; one that names no end gets so long."""


class NotificationRecipient(Table):
    """A consumer of cross-references: told when a list of numbers of one person changes (ITI-10, ITI-46)."""

    name: str = Field(examples=["RIS_B"])
    """How the hub calls it, in its log and on the operator's page."""
    kind: Literal["hl7v2", "hl7v3"] = "hl7v2"
    """hl7v2: ADT^A31 over MLLP (ITI-10). hl7v3: PRPA_IN201302UV02 over SOAP (ITI-46)."""
    address: str = Field(
        examples=["ris.hospital-b.example:2575"], pattern=r"^(https?://[^/\s]+(/\S*)?|[^/\s]+:[0-9]{1,5})$"
    )
    """host:port (hl7v2) or URL (hl7v3)."""
    tls: bool = True
    """hl7v2: over TLS; the hub shows tls.certificate. Without it on this machine only."""
    application: str = ""
    """hl7v2: MSH-5."""
    facility: str = ""
    """hl7v2: MSH-6."""
    device: OidText | None = Field(default=None, examples=["1.2.250.1.999.5.7"])
    """hl7v3: OID of the receiving device."""
    domains: tuple[OidText, ...] = Field(min_length=1, examples=[("1.2.250.1.999.1.1", "1.2.250.1.999.2.2")])
    """Domains of interest, OIDs: it learns the numbers of these, and no others."""

    @model_validator(mode="after")
    def _addressed(self) -> Self:
        if self.address.startswith(("http:", "https:")) != (self.kind == "hl7v3"):
            raise ValueError("address must be host:port for hl7v2, a URL for hl7v3")
        if self.kind == "hl7v3" and self.device is None:
            raise ValueError("a recipient of HL7 v3 needs its device, an OID")
        host = urlsplit(self.address if self.kind == "hl7v3" else f"//{self.address}").hostname
        clear = self.address.startswith("http:") if self.kind == "hl7v3" else not self.tls
        if clear and host not in LOOPBACK:
            raise ValueError("numbers of patients travel beyond this machine over TLS only")
        return self
