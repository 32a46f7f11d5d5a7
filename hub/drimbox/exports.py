"""Exports to a local archive: fetched for the person who asked, then delivered by the outbox.

Fetching needs the reader's own session (another region's images are theirs to read), so it is done at once, in this
process; what was fetched waits on disk, and the archive may be down meanwhile. Rights are asked again at each delivery:
what is hidden meanwhile from who asked is not stored."""

import logging
import tempfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from hub.access.rights_model import Kind, NotForYou, Rights, Thing
from hub.access.sessions import restored, written
from hub.connector.contract import Connector, StoresInstances
from hub.context import Context
from hub.drimbox.errors import ArchiveStoresNothing, ExportInterrupted, NoLocalNumber, NoSuchArchive
from hub.drimbox.model import Export, ExportState, ExportStudy, ListExports
from hub.drimbox.reconciling import reconcile
from hub.drimbox.store import DrimboxStore
from hub.errors import Category, HubError, InternalError
from hub.exchange.model import Delivery
from hub.imaging.errors import UnknownStudy
from hub.imaging.model import FailedInstance, InstanceRequest, InstanceStream, RetrieveInstances
from hub.imaging.ports import Contents
from hub.outbox import Outbox
from hub.patients.model import Person
from hub.storage.engine import Database
from hub.usecase import use_case
from hub.values import PatientIdentifier, new_key, now

log = logging.getLogger(__name__)

#: Kind of the deliveries that ``ExportService.deliver`` carries out.
KIND = "export-study"
_SILENT = timedelta(minutes=15)  #: without a new object for so long, nobody fetches any more
_KEPT = timedelta(days=7)  #: what could not be stored is kept so long for another try
_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Archive:
    """Where studies may be exported to, and whose patient numbers it has."""

    name: str
    authority: str  #: OID
    namespace: str = ""


class Patients(Protocol):
    """The patients room."""

    def person(self, identifier: PatientIdentifier) -> Person | None:
        """Whom an identifier means; None for nobody, or several."""
        ...


class Sources(Protocol):
    """The configured sources."""

    def get(self, name: str) -> Connector:
        """The open connector. Raises HubError."""
        ...


class Images(Protocol):
    """The imaging room."""

    def retrieve(self, command: RetrieveInstances, context: Context) -> InstanceStream:
        """Instances, as the caller may read them."""
        ...


class ExportService:
    """``owner``: whose study it is, and how many instances it has, for the caller. ``hides``: whether the index holds
    the study and the caller may not read it."""

    def __init__(
        self,
        *,
        database: Database,
        content: Contents,
        outbox: Outbox,
        patients: Patients,
        rights: Rights,
        sources: Sources,
        archives: Iterable[Archive],
        owner: Callable[[str, Context], tuple[PatientIdentifier | None, int | None]],
        hides: Callable[[str, Context], bool],
        images: Images,
        scratch: Path,
        timeout: float = 120.0,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self.database = database
        self.content = content
        self.outbox = outbox
        self.patients = patients
        self.rights = rights
        self.sources = sources
        self.archives = {archive.name: archive for archive in archives}
        self.owner = owner
        self.hides = hides
        self.images = images
        self.scratch = scratch
        self.timeout = timeout
        self.clock = clock
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="export")

    @use_case
    def start(self, command: ExportStudy, context: Context) -> Export:
        """Begin; asked again while it goes on, the one that runs. Raises as the command says, UnknownStudy."""
        archive = self._archive(command.archive)
        person = self.patients.person(command.person)
        if person is None:
            raise NoLocalNumber()
        uid = command.study_instance_uid
        context.touch("patient", person.regional.cx)
        context.touch("study", uid)
        self.rights.require(Thing(Kind.STUDY, person.regional), context)
        owner, total = self.owner(uid, context)
        if owner != person.regional:  # a study is never stored under somebody else's number
            raise UnknownStudy()
        number_at(person, archive)
        at = self.clock()
        export = Export(
            new_key(), uid, person.regional, archive.name, ExportState.FETCHING,
            total=total, asked_by=context.principal.id, created_at=at, changed_at=at,
        )  # fmt: skip
        with self.database.transaction() as work:
            running = DrimboxStore(work).running(uid, archive.name)
            if running is not None and not self._silent(running):
                return running
            DrimboxStore(work).add_export(_row(export))
        context.led_to("export", export.id)
        mine = Context(
            transaction=context.transaction,
            principal=context.principal,
            purpose=context.purpose,
            session=context.session,
            correlation_id=context.correlation_id,
        )
        self._threads.submit(self._fetch, export, mine)
        return export

    @use_case
    def exports(self, command: ListExports, context: Context) -> tuple[Export, ...]:  # noqa: ARG002
        """Exports of a person's study."""
        person = self.patients.person(command.person)
        if person is None:
            return ()
        with self.database.reading() as work:
            found = DrimboxStore(work).exports((person.regional, *person.aliases), command.study_instance_uid)
        return tuple(
            replace(one, state=ExportState.FAILED, error_code=ExportInterrupted.code) if self._silent(one) else one
            for one in found
        )

    def deliver(self, delivery: Delivery, context: Context) -> None:
        """Handler of ``export-study``: what is not stored yet. Raises HubError."""
        key = str(delivery.payload["export"])
        with self.database.reading() as work:
            export = DrimboxStore(work).export(key)
        if export is None or export.state in (ExportState.DONE, ExportState.FETCHING):
            return
        context.touch("patient", export.person.cx)
        context.touch("study", export.study_instance_uid)
        try:
            self._require(export, delivery.payload)
            self._store(export)
        except HubError as error:
            state = ExportState.SENDING if error.category is Category.TRANSIENT else ExportState.FAILED
            self._change(key, state=state.value, error_code=error.code)
            raise
        self._change(key, state=ExportState.DONE.value, error_code="")

    def handlers(self) -> Mapping[str, Any]:
        """For the worker."""
        return {KIND: self.deliver}

    def knows_content(self, address: str) -> bool:
        """Whether an object that waits has these bytes: the content store's sweep asks."""
        with self.database.reading() as work:
            return DrimboxStore(work).knows_content(address)

    def sweep(self) -> None:
        """What nobody fetches any more has failed; what failed long ago is let go of."""
        with self.database.transaction() as work:
            store = DrimboxStore(work)
            for key in store.stale(ExportState.FETCHING, self.clock() - _SILENT):
                store.change_export(key, state=ExportState.FAILED.value, error_code=ExportInterrupted.code)
            for key in store.stale(ExportState.FAILED, self.clock() - _KEPT):
                store.drop_objects(key)

    def close(self) -> None:
        """Fetch nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    # inside

    def _archive(self, name: str) -> Archive:
        if name not in self.archives:
            raise NoSuchArchive()
        return self.archives[name]

    def _silent(self, export: Export) -> bool:
        changed = export.changed_at or self.clock()
        return export.state is ExportState.FETCHING and changed < self.clock() - _SILENT

    def _fetch(self, export: Export, context: Context) -> None:
        try:
            count = self._fetched(export, context)
            if not count:
                raise UnknownStudy()
            with self.database.transaction() as work:
                at = self.clock()
                DrimboxStore(work).change_export(
                    export.id, state=ExportState.SENDING.value, total=count, changed_at=at
                )  # fmt: skip
                payload = {"export": export.id, "by": written(context.principal), "purpose": context.purpose}
                self.outbox.enqueue(f"source:{export.archive}", KIND, payload, context, key=export.id)
        except HubError as error:
            self._failed(export, error)
        except Exception:
            log.exception("a study could not be fetched", extra={"correlation_id": context.correlation_id})
            self._failed(export, InternalError())

    def _fetched(self, export: Export, context: Context) -> int:
        """All of it or nothing: a study with holes is not exported."""
        count = 0
        request = InstanceRequest(export.study_instance_uid)
        for item in self.images.retrieve(RetrieveInstances((request,)), context):
            if isinstance(item, FailedInstance):
                raise item.error
            received = self.content.receive(item.chunks)
            address = self.content.put(received.path, received.sha1)
            count += 1
            with self.database.transaction() as work:
                store = DrimboxStore(work)
                store.add_object(export.id, item.sop_instance_uid, address)
                store.change_export(export.id, fetched=count, changed_at=self.clock())
        return count

    def _failed(self, export: Export, error: HubError) -> None:
        log.warning("an export came to nothing: %s", error.code)
        with self.database.transaction() as work:
            store = DrimboxStore(work)
            store.drop_objects(export.id)
            store.change_export(
                export.id, state=ExportState.FAILED.value, error_code=error.code, changed_at=self.clock()
            )  # fmt: skip

    def _require(self, export: Export, asked: Mapping[str, Any]) -> None:
        """Who asked may still read it: the patient may have opposed while the archive was down. Raises NotForYou."""
        context = Context(principal=restored(str(asked["by"])), purpose=str(asked["purpose"]))
        self.rights.require(Thing(Kind.STUDY, export.person), context)
        if self.hides(export.study_instance_uid, context):
            raise NotForYou()

    def _store(self, export: Export) -> None:
        archive, person = self._archive(export.archive), self.patients.person(export.person)
        if person is None:
            raise NoLocalNumber()
        number = number_at(person, archive)
        connector = self.sources.get(archive.name)
        if not isinstance(connector, StoresInstances):
            raise ArchiveStoresNothing()
        with self.database.reading() as work:
            objects = DrimboxStore(work).objects(export.id)
        stored = export.stored
        with tempfile.TemporaryDirectory(dir=self.scratch) as directory:
            for uid, address in objects:
                target = Path(directory) / "object.dcm"
                reconcile(self.content.path(address), target, export.study_instance_uid, number, self.clock())
                connector.store(target, timeout=self.timeout)
                stored += 1
                with self.database.transaction() as work:
                    store = DrimboxStore(work)
                    store.take_object(export.id, uid)
                    store.change_export(export.id, stored=stored, changed_at=self.clock())

    def _change(self, key: str, **values: Any) -> None:
        with self.database.transaction() as work:
            DrimboxStore(work).change_export(key, changed_at=self.clock(), **values)


def number_at(person: Person, archive: Archive) -> PatientIdentifier:
    """The person's number at the archive. Raises NoLocalNumber: none, or several."""
    found = {
        identity.identifier.value
        for identity in person.identities
        if identity.active and identity.identifier.authority == archive.authority
    }
    if len(found) != 1:
        raise NoLocalNumber()
    return PatientIdentifier(found.pop(), archive.authority, "PI", archive.namespace)


def _row(export: Export) -> dict[str, Any]:
    return {
        "id": export.id,
        "study_instance_uid": export.study_instance_uid,
        "person": export.person.value,
        "person_authority": export.person.authority,
        "archive": export.archive,
        "state": export.state.value,
        "fetched": 0,
        "stored": 0,
        "total": export.total,
        "error_code": "",
        "asked_by": export.asked_by,
        "created_at": export.created_at,
        "changed_at": export.changed_at,
    }
