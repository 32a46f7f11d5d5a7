"""The national record in this hub: its connector, what is sent there, how each sending is audited."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from hub.audit.service import AuditService
from hub.connector.contract import Environment
from hub.connector.loader import SourceConfig, Sources, manifests
from hub.connector.record import KeepsRecords
from hub.context import Context
from hub.documents.model import Association, AssociationType
from hub.documents.store import DocumentStore
from hub.documents.withdrawal import WithdrawalService
from hub.errors import HubError, Misconfigured
from hub.exchange.model import Delivery
from hub.imaging.national import NationalManifests
from hub.imaging.ports import Senders
from hub.pipeline.transaction import AuditEvent, Direction, Kind, Transaction
from hub.record.desk import RecordDesk
from hub.record.drawing import Sender
from hub.record.narrowing import Schemes
from hub.record.reading import RecordReader
from hub.record.service import KIND, RecordService
from hub.record.web_access import WebAccess
from hub.storage.engine import UnitOfWork
from hub.values import Code

if TYPE_CHECKING:
    from hub.app.rooms import Rooms

#: How what is sent to the national record is audited.
SENT = Transaction(
    id="TD2.1",
    title="Feeding of the national record",
    profile="DMP",
    initiator="Document Source",
    responder="National record",
    bindings=(),
    section="CI-SIS: Partage de documents de santé",
    kind=Kind.CHANGE,
    permission="",
    audit=AuditEvent("110106", "Export", "R"),
    direction=Direction.INITIATOR,
)


class NoSuchCapability(Misconfigured):
    """The connector named in [record] keeps no national records."""

    code = "no-national-record"
    title = "The connector named in [record] is not one to a national record."


@dataclass(slots=True)
class NationalRecordOfHub:
    """What the rest of the hub sees of it. ``service`` None: nothing is sent."""

    sources: Sources
    service: RecordService | None
    reader: RecordReader | None
    audit: AuditService
    name: str
    web: WebAccess | None = None

    def connector(self) -> KeepsRecords:
        """The open connector; also what searches in the record (TD3.1, TD3.2) use. Raises HubError."""
        found = self.sources.get(self.name).connector
        if not isinstance(found, KeepsRecords):
            raise NoSuchCapability()
        return found

    @property
    def services(self) -> tuple[RecordDesk | RecordReader | WebAccess, ...]:
        """For the dispatcher."""
        return tuple(one for one in (self.desk, self.reader, self.web) if one is not None)

    @property
    def desk(self) -> RecordDesk | None:
        """For operators; None where nothing is sent."""
        return RecordDesk(self.service) if self.service is not None else None

    def handlers(self) -> Mapping[str, Any]:
        """For the worker."""
        return {KIND: self.deliver} if self.service is not None else {}

    def deliver(self, delivery: Delivery, context: Context) -> None:
        """Carry out one delivery, and audit it. Raises HubError."""
        assert self.service is not None
        started = time.monotonic()
        failure: HubError | None = None
        context.transaction = SENT.id
        try:
            failure = self.service.deliver(delivery, context)
        except HubError as error:
            failure = error
            raise
        finally:
            self.audit.record(SENT, context, failure, int((time.monotonic() - started) * 1000))

    def close(self) -> None:
        """Close the connections."""
        self.sources.close()


def build(rooms: "Rooms", senders: Senders | None = None) -> NationalRecordOfHub | None:
    """The national record of the settings; None where there is none. Raises BadSourceSettings, UnknownKind."""
    settings = rooms.settings.record
    if not settings.enabled:
        return None
    source = SourceConfig(settings.name, settings.kind, deadline=settings.deadline, config=settings.config)
    sources = Sources([source], Environment(), manifests())
    made = NationalRecordOfHub(sources, None, None, rooms.audit, settings.name)
    made.reader = RecordReader(
        database=rooms.database,
        record=made.connector,
        patients=rooms.patients,
        schemes=settings.read_with,
        first=timedelta(days=round(settings.first_years * 365.25)),
        deadline=settings.deadline,
        codes=Schemes(settings.modality_schemes, settings.region_schemes),
    )
    if settings.web:
        made.web = WebAccess(patients=rooms.patients, root=settings.web)
    if settings.publish:
        made.service = _service(rooms, made.connector, senders)
    return made


def _service(rooms: "Rooms", connector: Callable[[], KeepsRecords], senders: Senders | None) -> RecordService:
    settings, region = rooms.settings.record, rooms.settings.region
    code, scheme, name = settings.content_type.split("^")
    withdrawals = rooms.imaging.withdrawals
    assert isinstance(withdrawals, WithdrawalService)
    service = RecordService(
        database=rooms.database,
        record=connector,
        patients=rooms.patients,
        feeding=rooms.rights,
        entries=withdrawals,
        contents=rooms.documents,
        manifests=NationalManifests(rooms.imaging.publisher),
        outbox=rooms.exchange,
        sender=Sender(
            structure=settings.structure,
            structure_name=settings.structure_name,
            system=settings.system,
            system_type=settings.system_type,
            authenticator=settings.authenticator,
            source_id=settings.source_id or region.source_id,
            content_type=Code(code, scheme, name),
        ),
        own=(region.source_id,),
        types=dict.fromkeys(settings.manifests, "manifest") | dict.fromkeys(settings.reports, "report"),
        needs_report=settings.needs_report,
        deadline=settings.deadline,
        look_again=timedelta(hours=settings.look_again_hours),
        looks=settings.looks,
        replaced=replaced_by,
        senders=senders,
    )
    rooms.imaging.report_listeners.append(service.asked)
    rooms.documents.listeners.append(service.registered)
    withdrawals.listeners.append(service.withdrawn)
    rooms.patients.listeners.append(service.person_changed)
    rooms.consents.listeners.append(service.said)
    return service


def replaced_by(work: UnitOfWork, entry_id: str) -> tuple[str, ...]:
    """entryUUIDs of what an entry takes the place of (RPLC)."""
    found = DocumentStore(work).get(Association, "source", [entry_id])
    return tuple(item.target for item in found if item.type == AssociationType.REPLACE)
