"""Objects by C-GET (streamed from the association) or by C-MOVE to the hub's own port (file by file)."""

import itertools
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from pydicom.dataset import Dataset

from connectors.dimse.query import level
from connectors.dimse.session import Peer
from hub.connector.contract import (
    ConnectorError,
    Deliverer,
    Environment,
    MoveDestination,
    ReceivedFile,
    SourceLied,
    SourceMisconfigured,
    SourceUnavailable,
)
from hub.errors import HubError
from hub.imaging.model import InstanceRequest, RetrievedInstance
from hub.wire.dimse import client, part10
from hub.wire.dimse.association import Association
from hub.wire.dimse.contexts import (
    KNOWN,
    PATIENT_GET,
    PATIENT_MOVE,
    STUDY_GET,
    STUDY_MOVE,
    UNCOMPRESSED,
    for_services,
    for_storage,
)
from hub.wire.dimse.pdu import Proposal

_NOBODY = "2.25.1"


@dataclass(frozen=True, slots=True)
class Planned:
    """One object that the PACS says it holds."""

    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str


class Retrieval:
    """Retrieves from one PACS, series by series (some need the series in every request)."""

    def __init__(self, peer: Peer, environment: Environment) -> None:
        self._peer = peer
        self._config = peer.config
        self._receive = environment.receive
        self._deliverer = Deliverer(peer.name, (peer.config.host, *peer.config.delivers_from))
        study_root = peer.config.root == "study"
        self._get_class = STUDY_GET if study_root else PATIENT_GET
        self._move_class = STUDY_MOVE if study_root else PATIENT_MOVE

    def run(
        self, request: InstanceRequest, planned: Sequence[Planned], syntaxes: Sequence[str], deadline: float
    ) -> Iterator[RetrievedInstance]:
        """The planned objects. Raises SourceLied at the end when some did not come."""
        missing = {item.sop_instance_uid for item in planned}
        found = self._moved(request, planned, deadline) if self._config.retrieve == "move" else self._got(
            request, planned, syntaxes, deadline
        )  # fmt: skip
        for item in found:
            yield item
            missing.discard(item.sop_instance_uid)
        if missing:
            raise SourceLied(
                f"The source announced {len(planned)} instances and sent {len(planned) - len(missing)}.",
                source=self._peer.name,
            )

    def check(self, deadline: float) -> str:
        """Whether the PACS offers the service to the hub, and knows it as a destination. Raises ConnectorError."""
        if self._config.retrieve == "get":
            with self._peer.association(self._get_proposals((), ("*",)), deadline) as association:
                association.context_for(self._get_class)
                roles = sum(item.scp for item in association.contexts.values())
            if not roles:
                raise SourceMisconfigured("The PACS sends no object by C-GET; use C-MOVE.", source=self._peer.name)
            return f"{roles} presentation contexts"
        destination = self._destination()
        with self._peer.association(for_services([self._move_class]), deadline) as association:
            identifier = level("STUDY", (), self._config, StudyInstanceUID=_NOBODY)
            for _ in client.move(association, self._move_class, identifier, destination.ae_title, client.Tally()):
                pass
        return f"the PACS knows {destination.ae_title}"

    # --- C-GET

    def _got(
        self, request: InstanceRequest, planned: Sequence[Planned], syntaxes: Sequence[str], deadline: float
    ) -> Iterator[RetrievedInstance]:
        classes = tuple(dict.fromkeys(item.sop_class_uid for item in planned if item.sop_class_uid))
        with self._peer.association(self._get_proposals(classes, syntaxes), deadline) as association:
            refused: client.OperationFailed | None = None
            for series, items in _by_series(planned):
                try:
                    yield from self._get_series(association, request, series, len(items))
                except client.OperationFailed as error:  # keeps no other series from coming
                    refused = error
            if refused is not None:
                raise refused

    def _get_series(
        self, association: Association, request: InstanceRequest, series: str, expected: int
    ) -> Iterator[RetrievedInstance]:
        tally = client.Tally()
        identifier = self._identifier(request, series)
        for incoming in client.get(association, self._get_class, identifier, tally):
            head = part10.header(incoming.sop_class, incoming.sop_instance, incoming.transfer_syntax)
            yield RetrievedInstance(
                request.study_instance_uid,
                series,
                incoming.sop_instance,
                incoming.sop_class,
                incoming.transfer_syntax,
                self._chunks(head, incoming.data),
                self._peer.name,
            )
        if tally.received < expected and tally.status not in (0, 0xB000):
            raise client.OperationFailed(tally.status, "C-GET")

    def _chunks(self, head: bytes, data: Iterator[memoryview]) -> Iterator[bytes]:
        yield head
        with self._peer.translated():
            for piece in data:
                yield bytes(piece)

    def _get_proposals(self, classes: Sequence[str], syntaxes: Sequence[str]) -> list[Proposal]:
        wanted = KNOWN if "*" in syntaxes else tuple(dict.fromkeys(syntaxes))
        if self._config.uncompressed_only:
            wanted = tuple(item for item in wanted if item in UNCOMPRESSED) or UNCOMPRESSED
        return for_services([self._get_class]) + for_storage(classes, wanted, room=127, scp=True)

    # --- C-MOVE

    def _moved(
        self, request: InstanceRequest, planned: Sequence[Planned], deadline: float
    ) -> Iterator[RetrievedInstance]:
        destination = self._destination()
        left = max(0.1, deadline - time.monotonic())
        with destination.expect(request.study_instance_uid, self._deliverer, timeout=left) as arrivals:
            wanted = {item.sop_instance_uid for item in planned}
            mover = _Mover(self, request, [series for series, _ in _by_series(planned)], destination.ae_title, deadline)
            mover.start()
            try:
                for item in self._arriving(mover, arrivals, wanted, deadline):
                    yield RetrievedInstance(
                        item.study_instance_uid,
                        item.series_instance_uid,
                        item.sop_instance_uid,
                        item.sop_class_uid,
                        item.transfer_syntax,
                        part10.chunks_of(item.path, delete=True),
                        self._peer.name,
                        item.path.stat().st_size,
                    )
            finally:
                mover.stop()
        if mover.error is not None:
            raise mover.error

    def _arriving(
        self, mover: "_Mover", arrivals: "queue.Queue[ReceivedFile]", wanted: set[str], deadline: float
    ) -> Iterator[ReceivedFile]:
        """Files until all came, or the PACS has finished and nothing has come for a while."""
        quiet_since = time.monotonic()
        while wanted:
            try:
                item = arrivals.get(timeout=0.05)
            except queue.Empty:
                now = time.monotonic()
                if mover.is_alive():
                    quiet_since = now
                    if now > deadline:
                        raise SourceUnavailable(
                            "The deadline passed within a C-MOVE.", source=self._peer.name
                        ) from None
                elif mover.error is not None or now - quiet_since > self._config.move_grace:
                    return
                continue
            quiet_since = time.monotonic()
            wanted.discard(item.sop_instance_uid)
            yield item

    def move_series(self, request: InstanceRequest, series: str, destination: str, association: Association) -> None:
        """One C-MOVE to its end."""
        identifier = self._identifier(request, series)
        for _ in client.move(association, self._move_class, identifier, destination, client.Tally()):
            pass

    def move_association(self, deadline: float) -> AbstractContextManager[Association]:
        """An association for C-MOVE."""
        return self._peer.association(for_services([self._move_class]), deadline)

    # --- both

    def _destination(self) -> MoveDestination:
        if self._receive is None:
            raise SourceMisconfigured("C-MOVE needs the hub's own DICOM port to be open.", source=self._peer.name)
        return self._receive

    def _identifier(self, request: InstanceRequest, series: str) -> Dataset:
        name = "IMAGE" if request.sop_instance_uid else "SERIES"
        return level(
            name, (), self._config,
            StudyInstanceUID=request.study_instance_uid, SeriesInstanceUID=series,
            SOPInstanceUID=request.sop_instance_uid,
        )  # fmt: skip


class _Mover(threading.Thread):
    """Runs the C-MOVEs while the files arrive elsewhere."""

    def __init__(
        self, retrieval: Retrieval, request: InstanceRequest, series: Sequence[str], destination: str, deadline: float
    ) -> None:
        super().__init__(name="dimse-move", daemon=True)
        self._retrieval = retrieval
        self._request = request
        self._series = series
        self._destination = destination
        self._deadline = deadline
        self._stopped = threading.Event()
        self._association: Association | None = None
        self.error: ConnectorError | None = None

    def run(self) -> None:
        """All series; one that the PACS can't send keeps no other from coming."""
        refused: client.OperationFailed | None = None
        try:
            with self._retrieval.move_association(self._deadline) as association:
                self._association = association
                for series in self._series:
                    if self._stopped.is_set():
                        return
                    try:
                        self._retrieval.move_series(self._request, series, self._destination, association)
                    except client.OperationFailed as error:
                        refused = error
                if refused is not None:
                    raise refused
        except HubError as error:
            if not self._stopped.is_set():
                self.error = error if isinstance(error, ConnectorError) else ConnectorError(error.message)

    def stop(self) -> None:
        """No further C-MOVE; a running one is aborted."""
        if self.is_alive():
            self._stopped.set()
            if self._association is not None:
                self._association.abort()
            self.join(timeout=5.0)


def _by_series(planned: Sequence[Planned]) -> Iterator[tuple[str, list[Planned]]]:
    ordered = sorted(planned, key=lambda item: item.series_instance_uid)
    for series, items in itertools.groupby(ordered, key=lambda item: item.series_instance_uid):
        yield series, list(items)
