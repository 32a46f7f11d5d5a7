# ruff: noqa: ARG002 - what stands in for a room takes what the room takes
"""The hub's DICOM port with rooms that answer from a directory of files."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from hub.access.service import AccessService
from hub.app.dimse.server import DimseEndpoint, title_permissions
from hub.app.settings.model import Archive as ArchiveSettings
from hub.app.settings.model import DimsePort, Security, Settings, Source
from hub.connector.matching import keys_match
from hub.context import Context
from hub.errors import HubError, NotFound
from hub.imaging.model import (
    FailedInstance,
    FindStudies,
    IndexedStudy,
    InstancesAvailable,
    RetrievedInstance,
    RetrieveInstances,
    SourceState,
    SourceStatus,
    StudyAnswer,
    StudyArrived,
    StudyState,
)
from hub.imaging.transcode import ANY, acceptable, chunks_of, convert, target
from hub.pipeline.catalogue import discover
from hub.pipeline.pipeline import Pipeline
from hub.pipeline.transaction import Transaction
from hub.storage.engine import Database
from hub.testing.simulators.archive import Archive
from hub.usecase import Dispatcher, use_case
from hub.wire.dimse.errors import refusal
from hub.wire.dimse.part10 import chunks_of as file_chunks


class Rooms:
    """Imaging and federation, on a directory."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.asked: list[FindStudies] = []
        self.arrived: list[StudyArrived] = []
        self.told: list[InstancesAvailable] = []
        self.statuses: tuple[SourceStatus, ...] = (SourceStatus("PACSA", SourceState.ANSWERED, 1),)
        self.broken: set[str] = set()
        self.more = False

    @use_case
    def find(self, command: FindStudies, context: Context) -> StudyAnswer:
        self.asked.append(command)
        found = [
            IndexedStudy(study, None, StudyState.INDEXED)
            for study in self.archive.studies()
            if (not command.study_instance_uids or study.study_instance_uid in command.study_instance_uids)
            and keys_match(study, command.keys)
            and (command.person is None or command.person.value == study.patient_id)
        ]
        return StudyAnswer(tuple(found), self.statuses, more=self.more)

    @use_case
    def retrieve(self, command: RetrieveInstances, context: Context) -> Iterator[RetrievedInstance | FailedInstance]:
        return self._stream(command)

    def _stream(self, command: RetrieveInstances) -> Iterator[RetrievedInstance | FailedInstance]:
        for request in command.requests:
            for held in self.archive.find(
                request.study_instance_uid, request.series_instance_uid, request.sop_instance_uid
            ):
                head, chunks = held.head, file_chunks(held.path)
                syntax = head.transfer_syntax
                if head.sop_instance_uid in self.broken:
                    yield FailedInstance(request, NotFound("gone"))
                    continue
                if ANY not in command.transfer_syntaxes and not acceptable(syntax, command.transfer_syntaxes):
                    syntax = target(syntax, command.transfer_syntaxes)
                    chunks = chunks_of(convert(held.path, syntax))
                yield RetrievedInstance(
                    head.study_instance_uid, head.series_instance_uid, head.sop_instance_uid, head.sop_class_uid,
                    syntax, chunks,
                )  # fmt: skip

    @use_case
    def notified(self, command: InstancesAvailable, context: Context) -> None:
        self.told.append(command)

    @use_case
    def arrive(self, command: StudyArrived, context: Context) -> None:
        self.arrived.append(command)


class Noted:
    """Audit, inbox and metrics that remember."""

    def __init__(self) -> None:
        self.audited: list[tuple[str, str]] = []

    def record(self, transaction: Transaction, context: Context, error: HubError | None, milliseconds: int) -> None:
        self.audited.append((transaction.id, error.code if error else "success"))

    def begin(self, transaction: Transaction, context: Context, milliseconds: int) -> Callable[[HubError | None], None]:
        return lambda error: self.record(transaction, context, error, milliseconds)

    def transaction(self, transaction_id: str, outcome: str, seconds: float) -> None: ...

    def keep(self, message: Any, transaction: str, wire: str, context: Context) -> bool:
        return True

    def receive(self, message: Any, transaction: str, wire: str, context: Context) -> bool:
        return True

    def processed(self, context: Context) -> None: ...

    def refused(self, message: Any, transaction: str, wire: str, context: Context, error: HubError) -> None: ...

    def in_order(self, source: str) -> Any:
        return nullcontext()


class DimseHub:
    """A started port on loopback."""

    def __init__(
        self,
        directory: Path,
        *,
        node_authentication: bool = False,
        callers: tuple[str, ...] = (),
        destinations: dict[str, str] | None = None,
        senders: dict[str, str] | None = None,
        sources: tuple[Source, ...] = (),
    ) -> None:
        self.archive = Archive(directory / "objects")
        self.rooms = Rooms(self.archive)
        self.noted = Noted()
        database = Database(f"sqlite:///{directory / 'hub.sqlite'}")
        settings = Settings(
            security=Security(node_authentication=node_authentication),
            archive=ArchiveSettings(senders=senders or {}),
            sources=sources,
            dimse=DimsePort(port=0, callers=callers, destinations=destinations or {}),
        )
        access = AccessService(
            database=database, node_authentication=node_authentication, ae_titles=title_permissions(settings)
        )
        pipeline = Pipeline(
            database, Dispatcher([self.rooms]), access, self.noted, self.noted, {"dimse": refusal}, self.noted
        )
        self.endpoint = DimseEndpoint(pipeline, discover("profiles.dimse"), settings, directory / "dimse")
        self.endpoint.start()

    @property
    def port(self) -> int:
        return self.endpoint.port

    def stop(self) -> None:
        self.endpoint.stop()
