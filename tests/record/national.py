"""The real rooms, the real connector, and the simulated national record over TLS."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from connectors.dmp.connector import DmpConnector
from hub.context import Context
from hub.documents.withdrawal import WithdrawalService
from hub.exchange.worker import Worker
from hub.imaging.manifest_model import Flavour
from hub.imaging.model import FeedReport, Report
from hub.imaging.national import NationalManifests
from hub.patients.model import FeedIdentity, Identity, IdentityStatus
from hub.record.desk import RecordDesk
from hub.record.drawing import Sender
from hub.record.model import ListPublications, Publication
from hub.record.service import RecordService
from hub.storage.engine import Database
from hub.testing.cda import ImagingReport, ReportAuthor, build_report
from hub.testing.dmp.pki import STRUCTURE
from hub.testing.dmp.server import DmpSimulator
from hub.testing.dmp.state import Document, Person
from hub.values import PatientIdentifier, new_uid
from tests.connectors.dmp_site import HOSPITAL, INS, RADIOLOGIST, connect
from tests.imaging.archive import STUDY, A, study_files
from tests.imaging.living import TRAITS, Living, living

LOCAL = PatientIdentifier("A-1", A.authority_oid)
SENDER = Sender(structure=STRUCTURE, structure_name="CENTRE HOSPITALIER A", system="1", source_id="1.2.250.1.999.1.4")


def replaced_by(work: Any, entry_id: str) -> tuple[str, ...]:
    from hub.app.outside.record import replaced_by as of_hub

    return of_hub(work, entry_id)


@dataclass
class Opposed:
    """Who opposes (Matter.FEEDING)."""

    persons: set[PatientIdentifier] = field(default_factory=set)

    def feeding(self, patient: PatientIdentifier) -> bool:
        return patient not in self.persons


@dataclass
class Nation:
    """A region that feeds a national record."""

    rooms: Living
    service: RecordService
    dmp: DmpSimulator
    connector: DmpConnector
    opposed: Opposed
    worker: Worker

    @property
    def desk(self) -> RecordDesk:
        return RecordDesk(self.service)

    def qualify(self, ins: PatientIdentifier | None = INS) -> PatientIdentifier:
        """The person's identity is validated, with the INS: it is qualified."""
        identity = Identity(LOCAL, TRAITS, IdentityStatus.VALIDATED, ins=ins)
        return self.rooms.patients.feed(FeedIdentity(identity), Context()).regional

    def report(self, *, status: str = "F", set_id: str = "1.2.3.9", document_id: str = "", ins: PatientIdentifier = INS,
               **values: Any) -> str:  # fmt: skip
        """The RIS sends a report; its uniqueId."""
        unique_id = document_id or new_uid()
        written = ImagingReport(
            patient_ids=(ins, LOCAL), traits=TRAITS, study_instance_uid=STUDY, accession_number="ACC-1",
            placer_number="ORD-1", document_id=unique_id, set_id=set_id,
            author=ReportAuthor(organisation_number=STRUCTURE), created="20260301110000+0100",
        )  # fmt: skip
        sent = Report(
            LOCAL, status, build_report(written), document_id=unique_id, set_id=set_id, accession_number="ACC-1",
            study_instance_uid=STUDY, author=RADIOLOGIST, institution=HOSPITAL, created="20260301110000+0100",
            source="RIS_A", title="Scanner thoracique", **values,
        )  # fmt: skip
        self.rooms.imaging.feed_report(FeedReport(sent), Context(source="RIS_A"))
        return unique_id

    def work(self) -> None:
        """Carry out everything that is queued, what is put off as well."""
        for _ in range(3):
            with self.service.database.transaction() as work:
                work.connection.exec_driver_sql(
                    "UPDATE exchange_delivery SET due_at = created_at WHERE state = 'waiting'"
                )
            self.worker.run_pending()

    def states(self) -> dict[str, str]:
        """kind -> state, or the reason why it is held or waits."""
        return {item.kind: item.reason.value if item.reason else item.state.value for item in self.publications()}

    def publications(self) -> tuple[Publication, ...]:
        return self.desk.publications(ListPublications(), Context()).publications

    def there(self, status: str = "") -> dict[str, Document]:
        """typeCode -> what the national record holds."""
        held = self.dmp.state.of(f"{INS.cx}^NH")
        return {item.type_code: item for item in held if status in ("", item.status)}


def nation(
    database: Database, directory: Path, dmp: DmpSimulator, flavour: Flavour = Flavour.XDS_I, **changed: Any
) -> Nation:
    """Everything together; close ``rooms.imaging`` and ``connector`` at the end."""
    rooms, opposed, connector = living(database, directory, flavour), Opposed(), connect(dmp)
    rooms.archive.datasets += study_files(names=("CT_small.dcm",))
    dmp.state.add(Person(INS.value, INS.authority))
    withdrawals = rooms.imaging.withdrawals
    assert isinstance(withdrawals, WithdrawalService)
    service = RecordService(
        database=database,
        record=lambda: connector,
        patients=rooms.patients,
        feeding=opposed,
        entries=withdrawals,
        contents=rooms.documents,
        manifests=NationalManifests(rooms.imaging.publisher),
        outbox=rooms.exchange,
        sender=SENDER,
        own=("1.2.250.1.999.1.4",),
        types={"IMG-KOS": "manifest", "18748-4": "report"},
        look_again=timedelta(hours=24),
        replaced=replaced_by,
        **changed,
    )
    rooms.imaging.report_listeners.append(service.asked)
    rooms.documents.listeners.append(service.registered)
    withdrawals.listeners.append(service.withdrawn)
    rooms.patients.listeners.append(service.person_changed)
    worker = Worker(rooms.exchange, {**rooms.imaging.handlers(), **service.handlers()})
    return Nation(rooms, service, dmp, connector, opposed, worker)
