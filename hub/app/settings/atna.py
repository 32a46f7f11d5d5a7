"""Where the audit trail is sent besides the hub's own database (ITI-20), and how long it is kept."""

from datetime import timedelta
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from hub.app.settings.table import Table

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Collector(Table):
    """An audit record repository to which the trail is sent."""

    name: str = Field(examples=["region-arr"])
    """How the hub calls it: its place in the trail is kept under this name."""
    kind: Literal["syslog-tls", "syslog-udp", "fhir"] = "syslog-tls"
    """syslog-tls: DICOM audit messages, RFC 5424 over TLS (RFC 5425). syslog-udp: the same by UDP (RFC 5426), nothing
    tells whether they arrive: on this machine only. fhir: AuditEvents, many in a Bundle (RESTful ATNA)."""
    address: str = Field(
        examples=["arr.region.example:6514"], pattern=r"^(https?://[^/\s]+(/\S*)?|[^/\s]+:[0-9]{1,5})$"
    )
    """host:port (syslog), or the URL that takes a Bundle (fhir)."""
    server_name: str = ""
    """Name that its certificate must have, where it is another one than in the address."""
    ca: Path | None = Field(default=None, examples=["pki/arr-ca.crt"])
    """PEM file of the authorities whose certificates are believed; unset: tls.ca."""
    certificate: Path | None = Field(default=None, examples=["pki/hub.crt"])
    """PEM file of the certificate that the hub shows; unset: tls.certificate."""
    key: Path | None = Field(default=None, examples=["pki/hub.key"])
    """PEM file of its private key."""
    history: bool = True
    """Send what is in the trail already when the collector is new; otherwise what comes from then on."""
    batch: int = Field(default=200, ge=1, le=5000)
    """Most records that are sent at a time: after each batch the collector confirms that it has read everything."""
    timeout: float = Field(default=20.0, gt=0)
    """Seconds that the collector may be silent; a whole exchange by fhir may take three times as long."""

    @model_validator(mode="after")
    def _safe(self) -> Self:
        url = self.address.startswith(("http:", "https:"))
        if url != (self.kind == "fhir"):
            raise ValueError("address must be host:port for syslog, a URL for fhir")
        host = urlsplit(self.address if url else f"//{self.address}").hostname
        clear = self.kind == "syslog-udp" or self.address.startswith("http:")
        if clear and host not in LOOPBACK:
            raise ValueError("the audit trail travels beyond this machine over TLS only")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key are needed together")
        return self


class Atna(Table):
    """Where the audit trail is sent besides the hub's own database (ITI-20), and how long it is kept."""

    source_id: str = "maillage"
    """AuditSourceID: what the hub calls itself in audit messages and AuditEvents."""
    site: str = Field(default="", examples=["REGION"])
    """AuditEnterpriseSiteID."""
    destinations: tuple[Collector, ...] = ()
    """Audit record repositories: each gets every record, in order, at least once, however long it was away."""
    retain_days: int = Field(default=0, ge=0, le=36_500)
    """Days for which a record stays in the hub; 0: for ever. The law and the hosting contract say how long. What is
    removed leaves a sealed segment, so that `maillage audit verify` still holds; nothing leaves before every
    destination has it."""

    @property
    def keep(self) -> timedelta | None:
        """How long a record stays; None: for ever."""
        return timedelta(days=self.retain_days) if self.retain_days else None

    @model_validator(mode="after")
    def _named(self) -> Self:
        names = [item.name for item in self.destinations]
        if len(set(names)) != len(names):
            raise ValueError("two destinations have the same name")
        return self
