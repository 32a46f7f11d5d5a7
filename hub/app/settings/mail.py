"""Secure mail (MSSanté): off unless a mail server is given."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from hub.app.settings.table import Table

_PORTS = {"starttls": 587, "tls": 465, "none": 25}


class MailServer(Table):
    """A server that takes mails (SMTP)."""

    host: str = Field(default="", examples=["smtp.mssante.example.org"])
    """Its name, as in its certificate; empty: there is none."""
    port: int = 0
    """0: 587 with STARTTLS, 465 with TLS, 25 with none."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    """How the connection is secured; "none" on loopback only."""

    @property
    def number(self) -> int:
        """The port."""
        return self.port or _PORTS[self.security]

    @model_validator(mode="after")
    def _secured(self) -> Self:
        if self.security == "none" and self.host not in ("", "127.0.0.1", "::1", "localhost"):
            raise ValueError("a mail server beyond loopback needs security = starttls or tls")
        return self


class MailBox(Table):
    """The hub's own box (IMAP over TLS): where delivery and reading reports come back."""

    host: str = Field(default="", examples=["imap.mssante.example.org"])
    """Its server; empty: reports are not looked for."""
    port: int = 993
    """IMAPS."""
    login: str = Field(default="", examples=["maillage@chu-a.mssante.fr"])
    """Who the hub is there."""
    password_file: Path | None = Field(default=None, examples=["secrets/mailbox"])
    """File with the password; unset: the certificate alone proves it (SASL EXTERNAL)."""
    folder: str = "INBOX"
    """Where to look."""
    poll: float = Field(default=60.0, gt=0)
    """Seconds between two looks."""


class SecureMail(Table):
    """Secure mail (MSSanté): off unless a server is given."""

    server: MailServer = MailServer()
    """MSSanté's server: documents are handed to it."""
    box: MailBox = MailBox()
    """Where reports come back."""
    address: str = Field(default="", examples=["maillage@chu-a.mssante.fr"])
    """The hub's own address, of the type APP or ORG."""
    certificate: Path | None = Field(default=None, examples=["secrets/mssante.crt"])
    """Client certificate for both servers; unset: tls.certificate."""
    key: Path | None = Field(default=None, examples=["secrets/mssante.key"])
    """Its key."""
    ca: Path | None = Field(default=None, examples=["secrets/igc-sante.pem"])
    """Authorities of the servers' certificates; unset: tls.ca."""
    domains: tuple[str, ...] = ("mssante.fr",)
    """Domains (and what is below them) that documents may be mailed to."""
    patients: str = "patient.mssante.fr"
    """Domain of the patients' boxes: <INS>@domain."""
    max_mb: int = Field(default=10, gt=0)
    """Largest mail, in megabytes."""
    timeout: float = Field(default=30.0, gt=0, le=300)
    """Seconds for each step of a conversation with a server."""
    tell_withdrawals: bool = True
    """Tell the boxes that a document was sent to when it is taken back or replaced: no document, no patient data."""
    notices: MailServer = MailServer()
    """Server for ordinary mail: recipients outside the domains get a notice without patient data and a link that asks
    who they are; empty: they get nothing, and their letter is held."""
    notice_address: str = Field(default="", examples=["ne-pas-repondre@maillage.example.org"])
    """From whom notices are."""
    officer: str = Field(default="", examples=["dpo@maillage.example.org"])
    """The data-protection officer: told by the server for notices that the glass was broken, without patient data,
    with a link that asks who they are; empty: the portal's list alone tells it."""
    officer_minutes: int = Field(default=60, ge=1, le=1440)
    """What was broken within so many minutes is told in one mail."""
    link_days: float = Field(default=14.0, gt=0)
    """A notice's link works so long."""

    @property
    def enabled(self) -> bool:
        """Whether anything is mailed at all."""
        return bool(self.server.host)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.enabled and "@" not in self.address:
            raise ValueError("secure mail needs the hub's own address")
        if self.notices.host and "@" not in self.notice_address:
            raise ValueError("notices need notice_address")
        if self.officer and ("@" not in self.officer or not self.notices.host):
            raise ValueError("the officer's address is one of mail, and needs the server for notices")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")
        return self
