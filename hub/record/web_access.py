"""The national record's own pages, opened for one person in the professional's browser (TD0.9, PDT-INF-527).

The record asks there who they are, by card or e-CPS (the direct authentication): the hub vouches for nobody."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote

from hub.context import Context
from hub.patients.model import Person
from hub.record.errors import NationalNumberMissing
from hub.record.ports import Patients
from hub.usecase import Command, use_case
from hub.values import PatientIdentifier


class WebPage(StrEnum):
    """The pages that take a person."""

    DASHBOARD = "dashboard"
    RECORD = "record"
    MANAGEMENT = "management"
    DOCUMENTS = "documents"
    CARE = "care"
    ACCESSES = "accesses"


PATHS: Mapping[WebPage, str] = {
    WebPage.DASHBOARD: "TableauDeBord",
    WebPage.RECORD: "DossierPatient",
    WebPage.MANAGEMENT: "GestionDMPPatient",
    WebPage.DOCUMENTS: "Documents",
    WebPage.CARE: "ParcoursDeSoins",
    WebPage.ACCESSES: "HistoriqueAcces",
}


@dataclass(frozen=True, slots=True)
class OpenWebPage(Command):
    """Where a page of the record about a person is. Outcome: str, a URL that holds the INS.

    Raises NationalNumberMissing."""

    person: PatientIdentifier
    page: WebPage


class WebAccess:
    """The use case of TD0.9. ``root``: of the record's site."""

    def __init__(self, *, patients: Patients, root: str) -> None:
        self.patients = patients
        self.root = root.rstrip("/")

    @use_case
    def open(self, command: OpenWebPage, context: Context) -> str:
        """The URL: handed to the person's browser only, kept nowhere."""
        found: Person | None = self.patients.person(command.person)
        if found is None or found.ins is None:
            raise NationalNumberMissing()
        context.touch("patient", found.regional.cx)
        context.touch("query", f"national-record-{command.page}")
        return f"{self.root}/AccesDirect/{PATHS[command.page]}/{quote(found.ins.value, safe='')}"
