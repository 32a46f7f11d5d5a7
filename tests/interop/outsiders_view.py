"""What somebody outside sees of a closed sandbox: answers, the trail, its commands."""

import os
import subprocess
import sys
from typing import Any

import httpx
from lxml import etree

from tests.interop.outsider import (
    Outsider,
    Pair,
    instant,
)

DS = "http://www.w3.org/2000/09/xmldsig#"
MAILLAGE = (sys.executable, "-c", "from hub.app.commands.main import main; main()")
SCOPES = "http://terminology.hl7.org/CodeSystem/consentscope"
FHIR = {"Content-Type": "application/fhir+json"}
NOBODY = "1^^^&1.2.250.1.999.99&ISO"


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A program's end, whatever its exit code."""
    return subprocess.run(
        command, check=False, input="", capture_output=True, text=True, timeout=300, env={**os.environ, **environment}
    )


class Left:
    """What the trail has gained meanwhile."""

    def __init__(self, outside: Outsider) -> None:
        self.outside = outside
        self.since = instant(-1)
        self.known = {event["id"] for event in outside.trail(self.since)}

    def events(self) -> list[dict[str, Any]]:
        """All, newest first."""
        return [event for event in self.outside.trail(self.since) if event["id"] not in self.known]

    def one(self, *, failure: bool) -> dict[str, Any]:
        """The only one."""
        found = self.events()
        assert len(found) == 1, [(event["subtype"], event.get("outcomeDesc")) for event in found]
        assert (found[0]["outcome"] != "0") is failure, found[0]
        return found[0]


def people(event: dict[str, Any]) -> dict[str, str]:
    """Identifier -> name of who took part."""
    return {row["who"].get("identifier", {}).get("value", ""): row["who"].get("display", "") for row in event["agent"]}


def images(outside: Outsider, shown: Pair | None = None, token: str = "", **headers: str) -> httpx.Response:
    """A FHIR search for whatever."""
    with outside.http(shown, token) as client:
        return client.get(f"{outside.told['fhir']}/ImagingStudy", params={"_count": "1"}, headers=headers)


def studies(outside: Outsider, shown: Pair | None = None, token: str = "") -> httpx.Response:
    """A DICOMweb search."""
    with outside.http(shown, token) as client:
        return client.get(f"{outside.told['dicomweb']}/studies", params={"StudyInstanceUID": "1.2.3"})


def fault(answer: httpx.Response) -> str:
    """The subcode of a SOAP fault; "" when it is none."""
    found = etree.fromstring(answer.content).find(".//{*}Subcode/{*}Value")
    return str(found.text).rpartition(":")[2] if found is not None else ""


def unsigned(outside: Outsider) -> bytes:
    root = etree.fromstring(outside.says().xml())
    signature = root.find(f"{{{DS}}}Signature")
    assert signature is not None
    root.remove(signature)
    return etree.tostring(root)
