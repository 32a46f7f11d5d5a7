"""Objects that arrive by C-STORE: on disk as they were encoded, acknowledged, and given to whom they belong.

An object of a study that a connector waits for (its PACS carries out a C-MOVE) goes to that connector, when it comes
from where that PACS is; any other is kept in the hub's own archive for senders that may store.
"""

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hub.app.dimse.incoming import IncomingFile, IncomingFiles
from hub.connector.contract import Deliverer, ReceivedFile, SourceUnavailable
from hub.errors import AccessDenied, HubError, Malformed
from hub.imaging.kept import KeptObjects
from hub.values import is_uid
from hub.wire.dicom_head import peek
from hub.wire.dimse import command as commands
from hub.wire.dimse import part10
from hub.wire.dimse.association import Association, Message
from hub.wire.dimse.scan import SERIES, SOP_INSTANCE, STUDY, uids

log = logging.getLogger(__name__)

#: So much of a data set is looked at for its study before a real parser has to.
_GLANCE = 64 * 1024


class OutOfResources(HubError):
    """The disk refuses to take the object."""

    code = "store-out-of-resources"
    title = "The object can't be written to disk."


@dataclass(frozen=True, slots=True)
class Stored:
    """One object, safe on disk."""

    file: ReceivedFile
    expected: bool  #: a connector waits for it


@dataclass(frozen=True, slots=True)
class _Awaited:
    """A study that a connector waits for, and who may bring it."""

    deliverer: Deliverer
    arrivals: "queue.Queue[ReceivedFile]"


class ObjectStore:
    """Where received objects go."""

    def __init__(self, directory: Path) -> None:
        self.incoming = IncomingFiles(directory / "incoming")
        self.kept = KeptObjects(directory)
        self._lock = threading.Condition()
        self._waiting: dict[str, _Awaited] = {}

    @contextlib.contextmanager
    def expect(
        self, study_instance_uid: str, deliverer: Deliverer, *, timeout: float
    ) -> "Iterator[queue.Queue[ReceivedFile]]":
        """See ``MoveDestination.expect``."""
        arrivals: queue.Queue[ReceivedFile] = queue.Queue()
        deadline = time.monotonic() + timeout
        with self._lock:
            while study_instance_uid in self._waiting:
                if not self._lock.wait(max(0.0, deadline - time.monotonic())):
                    raise SourceUnavailable("The study is being fetched by someone else.")
            self._waiting[study_instance_uid] = _Awaited(deliverer, arrivals)
        try:
            yield arrivals
        finally:
            with self._lock:
                del self._waiting[study_instance_uid]
                self._lock.notify_all()
            with contextlib.suppress(queue.Empty):
                while True:
                    arrivals.get_nowait().path.unlink(missing_ok=True)

    def receive(self, association: Association, message: Message, *, may_keep: bool) -> Stored:
        """Write the data set to disk as it comes. Raises Malformed, AccessDenied, OtherObject, OutOfResources."""
        sop_class = commands.text(message.command, "AffectedSOPClassUID")
        sop_instance = commands.text(message.command, "AffectedSOPInstanceUID")
        if not is_uid(sop_instance) or not is_uid(sop_class) or not message.has_data:
            raise Malformed("A C-STORE request names its object and holds it.")
        syntax = message.context.transfer_syntax
        incoming: IncomingFile | None = None
        try:
            incoming = self.incoming.take()
            path = incoming.path
            head = part10.header(sop_class, sop_instance, syntax, association.calling)
            found = self._write(incoming, head, association, syntax)
            study, series, inside = found or self._parse(path)
            if inside != sop_instance:
                raise Malformed("The object has another SOP Instance UID than the request says.")
            file = ReceivedFile(path, study, series, sop_instance, sop_class, syntax)
            if self._deliver(file, association.peer.rpartition(":")[0]):
                return Stored(file, expected=True)
            if not may_keep:
                raise AccessDenied("This sender may not store, and nobody waits for this study from it.")
            kept = ReceivedFile(
                self.kept.keep(path, study, sop_instance), study, series, sop_instance, sop_class, syntax
            )
            self.incoming.placed(incoming)
            return Stored(kept, expected=False)
        except OSError as error:
            if incoming is not None:
                incoming.remove()
            log.error("a received object can't be written: %s", error.strerror)
            raise OutOfResources() from error
        except BaseException:
            if incoming is not None:
                incoming.remove()
            raise

    def _write(
        self, file: IncomingFile, head: bytes, association: Association, syntax: str
    ) -> tuple[str, str, str] | None:
        glance = bytearray()
        found: dict[int, str] | None = None
        try:
            file.write(head)
            for piece in association.data():
                if found is None and len(glance) < _GLANCE:
                    glance += piece[:_GLANCE]
                    found = uids(glance, 0, syntax)
                file.write(piece)
            file.sync()
        finally:
            file.close()
        return _checked(found.get(STUDY, ""), found.get(SERIES, ""), found.get(SOP_INSTANCE, "")) if found else None

    def _parse(self, path: Path) -> tuple[str, str, str]:
        head, _ = peek(part10.chunks_of(path))
        return _checked(head.study_instance_uid, head.series_instance_uid, head.sop_instance_uid)

    def _deliver(self, file: ReceivedFile, host: str) -> bool:
        awaited = self._waiting.get(file.study_instance_uid)
        if awaited is None or not awaited.deliverer.is_at(host):  # may look a name up: not under the lock
            return False
        with self._lock:
            if self._waiting.get(file.study_instance_uid) is not awaited:
                return False
            awaited.arrivals.put(file)
            return True


def _checked(study: str, series: str, instance: str) -> tuple[str, str, str]:
    """The same. Raises Malformed."""
    if not is_uid(study) or not is_uid(series):
        raise Malformed("The object names no study or no series.")
    return study, series, instance
