"""Other DRIMboxes in this hub: contextual calls, their studies in a session, exports to a local archive."""

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from hub.access.model import Principal
from hub.app.outside.boxes import Boxes
from hub.app.settings.sources import Connectors
from hub.context import Context
from hub.drimbox.calls import CallService
from hub.drimbox.exports import Archive, ExportService
from hub.drimbox.remote import RemoteService
from hub.errors import HubError, Misconfigured
from hub.exchange.model import Delivery
from hub.pipeline.transaction import AuditEvent, Direction, Kind, Transaction
from hub.values import PatientIdentifier

if TYPE_CHECKING:
    from hub.app.rooms import Rooms

#: How the delivery of an export to an archive is audited.
EXPORTED = Transaction(
    id="DRIM-EXPORT",
    title="Study stored in a local archive",
    profile="DRIM-M",
    initiator="DRIMbox consumer",
    responder="Archive",
    bindings=(),
    section="PS3.18: 10.5, PS3.4: B",
    kind=Kind.CHANGE,
    permission="",
    audit=AuditEvent("110104", "DICOM Instances Transferred", "C"),
    direction=Direction.INITIATOR,
)


class DrimboxOfHub:
    """What the rest of the hub sees of it. ``remote`` None: the hub asks no other box."""

    def __init__(self, rooms: "Rooms") -> None:
        settings = rooms.settings.drimbox
        self.audit = rooms.audit
        self.calls = CallService(
            database=rooms.database,
            patients=rooms.patients,
            resolve=rooms.directory.resolve,
            may=_may(rooms),
            informed=settings.informed,
            life=timedelta(seconds=settings.call_seconds),
        )
        self.boxes: Boxes | None = None
        self.remote: RemoteService | None = None
        if settings.asks:
            self.boxes, self.remote = _remote(rooms)
        self.exports: ExportService | None = None
        if settings.export_to:
            self.exports = _exports(rooms, self.remote)
        rooms.sweeps.append(self.calls.sweep)
        if self.exports is not None:
            rooms.sweeps.append(self.exports.sweep)

    @property
    def services(self) -> tuple[CallService | RemoteService | ExportService, ...]:
        """For the dispatcher."""
        return tuple(one for one in (self.calls, self.remote, self.exports) if one is not None)

    def handlers(self) -> Mapping[str, Any]:
        """For the worker."""
        return dict.fromkeys(self.exports.handlers(), self.deliver) if self.exports is not None else {}

    def deliver(self, delivery: Delivery, context: Context) -> None:
        """Carry out one delivery, and audit it. Raises HubError."""
        assert self.exports is not None
        started = time.monotonic()
        failure: HubError | None = None
        context.transaction = EXPORTED.id
        try:
            self.exports.deliver(delivery, context)
        except HubError as error:
            failure = error
            raise
        finally:
            self.audit.record(EXPORTED, context, failure, int((time.monotonic() - started) * 1000))

    def knows_content(self, address: str) -> bool:
        """Whether an export waits for these bytes."""
        return self.exports is not None and self.exports.knows_content(address)

    def close(self) -> None:
        """Fetch nothing more, and close the connections."""
        if self.exports is not None:
            self.exports.close()
        if self.boxes is not None:
            self.boxes.close()


def build(rooms: "Rooms") -> DrimboxOfHub:
    """From the settings. Raises Misconfigured."""
    return DrimboxOfHub(rooms)


def _may(rooms: "Rooms") -> Callable[[Principal, str], bool]:
    return lambda principal, permission: rooms.access.explain(principal, permission).allowed


def _remote(rooms: "Rooms") -> tuple[Boxes, RemoteService]:
    settings, provider = rooms.settings.drimbox, rooms.ways_in.provider
    if provider is None:
        raise Misconfigured("drimbox.certificate needs pro_sante_connect: other boxes want the reader's token.")
    assert rooms.trust_list is not None
    boxes = Boxes(settings, rooms.trust_list, provider.tokens.access_token)
    remote = RemoteService(
        database=rooms.database,
        boxes=boxes,
        patients=rooms.patients,
        rights=rooms.rights,
        readers=rooms.imaging.readers,
        cache=rooms.imaging.retriever.cache,
        silence=settings.timeout,
    )
    rooms.imaging.elsewhere = remote
    rooms.federation.elsewhere = remote
    return boxes, remote


def _exports(rooms: "Rooms", remote: RemoteService | None) -> ExportService:
    settings = rooms.settings
    infos = {info.name: info for info in rooms.infos()}
    missing = [name for name in settings.drimbox.export_to if name not in infos or not infos[name].authority_oid]
    if missing:
        raise Misconfigured(f"drimbox.export_to: {missing[0]} is no source with an authority of patient numbers.")

    def owner(study: str, context: Context) -> tuple[PatientIdentifier | None, int | None]:
        found = remote.opened(study, context) if remote is not None else None
        indexed = found.indexed if found is not None else rooms.imaging.indexed(study)
        return indexed.person, indexed.study.instance_count

    return ExportService(
        database=rooms.database,
        content=rooms.content,
        outbox=rooms.exchange,
        patients=rooms.patients,
        rights=rooms.rights,
        sources=Connectors(rooms.sources),
        archives=[
            Archive(name, infos[name].authority_oid, infos[name].namespace) for name in settings.drimbox.export_to
        ],
        owner=owner,
        hides=rooms.imaging.readers.hides,
        images=rooms.imaging,
        scratch=rooms.content.incoming(),
    )
