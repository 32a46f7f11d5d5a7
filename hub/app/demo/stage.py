"""The running region, and what the steps need to act in it."""

from dataclasses import dataclass, field
from pathlib import Path

import httpx

from hub.app.demo.region import Hospital, Sites
from hub.app.demo.report import Report, Step
from hub.app.wiring import Hub
from hub.exchange.model import Page
from hub.imaging.model import Study
from hub.testing.cda import ImagingReport
from hub.testing.dmp.server import DmpSimulator
from hub.wire.hl7v2.client import MllpClient
from hub.wire.soap.client import SoapClient

EVERYTHING = Page(limit=500)


@dataclass
class Stage:
    """The hub, both hospitals, the callers' clients, and what the steps have learned so far."""

    hub: Hub
    sites: Sites
    pair: tuple[Hospital, Hospital]
    report: Report
    directory: Path
    feeds: MllpClient
    http: httpx.Client
    soap: SoapClient
    dmp: DmpSimulator  #: the national record
    regional: str = ""
    reports: dict[str, ImagingReport] = field(default_factory=dict)  #: as they were sent
    studies: dict[str, Study] = field(default_factory=dict)
    entries: list[dict[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Root URL of the hub."""
        return self.hub.public_url()

    @property
    def domain(self) -> str:
        """The affinity domain's OID."""
        return self.hub.settings.region.affinity_domain

    def images(self, one: Hospital) -> Path:
        """Where the images of a hospital's study were made."""
        return self.directory / f"images-{one.letter.lower()}"

    def ask(self, step: Step, message: bytes) -> str:
        """Send an HL7 v2 message; the answer's text."""
        step.sent = f"{len(message)} bytes"
        return self.feeds.send(message).decode("utf-8", "replace")

    def send(self, step: Step, message: bytes) -> None:
        """Send an HL7 v2 message that must be acknowledged with AA."""
        answer = self.ask(step, message)
        code = segment(answer, "MSA")[1]
        error = answer.partition("\rERR|")[2].partition("\r")[0]
        step.expect(code == "AA", f"answered {code}: {error}")
        step.received = f"MSA|{code}: on disk, visible to the next question"


def segment(message: str, name: str) -> list[str]:
    """The fields of the first segment of that name; empty ones where there is none."""
    return next((line.split("|") for line in message.split("\r") if line.startswith(f"{name}|")), [""] * 40)
