"""The real rooms with secure mail, driven by ORU messages as a RIS sends them."""

import imaplib
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hub.access.consents import ConsentService
from hub.access.rights import RightsService
from hub.access.rights_model import Choice, Matter, Said
from hub.app.outside import mail
from hub.app.outside.mail import MailOfHub
from hub.app.settings.model import Settings
from hub.audit.service import AuditService
from hub.context import Context
from hub.exchange.worker import Worker
from hub.imaging.model import FeedReport
from hub.mail.desk import MailDesk
from hub.mail.model import Letter, ListLetters
from hub.patients.known import KnownPersons
from hub.patients.model import FeedIdentity, Identity, IdentityStatus
from hub.storage.engine import Database
from hub.testing import hl7
from hub.testing.cda import ImagingReport, build_report
from hub.values import PatientIdentifier, new_uid
from hub.wire.hl7v2.message import Hl7Message
from hub.wire.hl7v2.reports import report
from tests.imaging.archive import STUDY, A, study_files
from tests.imaging.living import TRAITS, Living, living
from tests.mail.post import HUB, PASSWORD, Post

INS = PatientIdentifier("279035121518989", "1.2.250.1.213.1.4.10", "INS")
LOCAL = PatientIdentifier("A-1", A.authority_oid, "PI", A.namespace)
DOCTOR = "marie.dupont@cabinet.mssante.fr"
BOX = f"{INS.value}@patient.mssante.fr"
PDF = b"%PDF-1.4 not much of a PDF"
BOTH = {"DESTMSSANTEPS": "Y", "DESTMSSANTEPAT": "Y", "ACK_RECEPTION": "Y", "ACK_LECTURE": "Y"}
DOCTOR_ONLY = {"INVISIBLE_PATIENT": "Y", "DESTMSSANTEPS": "Y", "ACK_RECEPTION": "Y", "ACK_LECTURE_MSS": "Y"}
PATIENT_ONLY = {"DESTMSSANTEPAT": "Y", "DESTDMP": "N"}


def prt(role: str, address: str) -> str:
    return f"PRT||UC||{role}^^participation|||||||||||^^X.400^{address}"


def obx(code: str, value: str) -> str:
    return f"OBX|9|CE|{code}^Code^MetaDMPMSS||{value}^^expandedYes-NoIndicator||||||F|"


@dataclass
class Place:
    rooms: Living
    hub: MailOfHub
    worker: Worker
    desk: MailDesk
    consents: ConsentService

    def close(self) -> None:
        self.rooms.imaging.close()
        self.hub.audit.stop()

    def qualify(self, ins: PatientIdentifier | None = INS) -> None:
        identity = Identity(LOCAL, TRAITS, IdentityStatus.VALIDATED, ins=ins)
        self.rooms.patients.feed(FeedIdentity(identity), Context())

    def say(self, matter: Matter, choice: Choice) -> None:
        """The patient speaks, as an ADT passes it on."""
        self.consents.heard(LOCAL, [Said(matter, choice)], Context(source="HIS_A"))

    def oru(self, flags: dict[str, str], *recipients: str, status: str = "F", **more: str) -> str:
        """A report; its uniqueId."""
        unique_id = more.get("document_id") or new_uid()
        cda = build_report(
            ImagingReport(
                patient_ids=(LOCAL,), traits=TRAITS, study_instance_uid=STUDY, accession_number="ACC-1",
                placer_number="ORD-1", document_id=unique_id, set_id=more.get("set_id") or new_uid(), pdf=PDF,
            )
        )  # fmt: skip
        patient = hl7.Patient(identifier=LOCAL, traits=TRAITS)
        examination = hl7.Examination(placer_number="ORD-1", accession_number="ACC-1", study_instance_uid=STUDY)
        sent = hl7.oru(hl7.Sender(), patient, examination, cda, status)
        lines = [*(prt("RCT", address) for address in recipients), *(obx(*item) for item in flags.items())]
        raw = sent + "".join(f"{line}\r" for line in lines).encode()
        read = report(Hl7Message.parse(raw), "RIS_A")
        self.rooms.imaging.feed_report(FeedReport(read), Context(source="RIS_A"))
        return unique_id

    def work(self) -> None:
        """Carry out everything that is queued, what is put off as well."""
        with self.rooms.exchange.database.transaction() as work:
            work.connection.exec_driver_sql("UPDATE exchange_delivery SET due_at = created_at WHERE state = 'waiting'")
        self.worker.run_pending()

    def letters(self) -> tuple[Letter, ...]:
        return self.desk.letters(ListLetters(), Context()).letters

    def states(self) -> dict[str, str]:
        """kind -> state, with the reason where there is one."""
        return {
            item.kind.value: item.state.value + (f": {item.reason.value}" if item.reason else "")
            for item in self.letters()
        }


def settings_of(directory: Path, post: Post | None, **changed: Any) -> Settings:
    """Settings with secure mail; ``post`` None: a server that is not there."""
    keys: dict[str, Any] = {}
    box: dict[str, Any] = {}
    if post is not None:
        password = directory / "password"
        password.write_text(PASSWORD)
        keys = {"certificate": post.pki / "hub.crt", "key": post.pki / "hub.key", "ca": post.pki / "ca.crt"}
        box = {"host": "127.0.0.1", "port": post.imaps, "login": HUB, "password_file": password}
    server = {"host": "127.0.0.1", "port": post.smtp if post else 1}
    more = {"server": server, "box": box, "address": HUB, "timeout": 60.0, **keys, **changed}
    return Settings.model_validate({"region": {"name": "Région"}, "mail": more})


def place(database: Database, directory: Path, post: Post | None, **changed: Any) -> Place:
    """Everything together; ``close`` it at the end."""
    rooms = living(database, directory)
    rooms.archive.datasets += study_files(names=("CT_small.dcm",))
    audit = AuditService(database=database, spool=directory / "audit")
    rights = RightsService(database=database, people=KnownPersons(rooms.patients))
    consents = ConsentService(rights, rooms.patients.settled)
    together = SimpleNamespace(
        settings=settings_of(directory, post, **changed), imaging=rooms.imaging, database=database,
        patients=rooms.patients, documents=rooms.documents, exchange=rooms.exchange, audit=audit,
        rights=rights, consents=consents,
    )  # fmt: skip
    made = mail.build(together, lambda: "https://hub.example")  # type: ignore[arg-type]
    assert made is not None
    worker = Worker(rooms.exchange, {**rooms.imaging.handlers(), **made.handlers()})
    return Place(rooms, made, worker, MailDesk(made.service), consents)


def mails(post: Post, address: str) -> list[bytes]:
    """Everything that lies in somebody's box, fetched by their own client."""
    with imaplib.IMAP4_SSL("127.0.0.1", post.imaps, ssl_context=post.context("doctor"), timeout=60) as imap:
        imap.login(address, PASSWORD)
        imap.select("INBOX")
        numbers = imap.uid("SEARCH", "ALL")[1][0].decode().split()
        return [imap.uid("FETCH", number, "(RFC822)")[1][0][1] for number in numbers]
