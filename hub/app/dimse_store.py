"""Objects that arrive by C-STORE: on disk as they were encoded, acknowledged, and given to whom they belong.

An object of a study that a connector waits for (its PACS carries out a C-MOVE) goes to that connector; any other is
kept under ``kept/<StudyInstanceUID>/`` for senders that may store.
"""

import contextlib
import logging
import os
import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hub.connector.contract import ReceivedFile, SourceUnavailable
from hub.errors import AccessDenied, HubError, Malformed
from hub.values import is_uid, new_key
from hub.wire.dicom_head import peek
from hub.wire.dimse import command as commands
from hub.wire.dimse import part10
from hub.wire.dimse.association import Association, Message
from hub.wire.dimse.scan import study_and_series

log = logging.getLogger(__name__)

#: So much of a data set is looked at for its study before a real parser has to.
_GLANCE = 64 * 1024
_ABANDONED = 24 * 3600.0


class OutOfResources(HubError):
    """The disk refuses to take the object."""

    code = "store-out-of-resources"
    title = "The object can't be written to disk."


@dataclass(frozen=True, slots=True)
class Stored:
    """One object, safe on disk."""

    file: ReceivedFile
    expected: bool  #: a connector waits for it


class ObjectStore:
    """Where received objects go."""

    def __init__(self, directory: Path) -> None:
        self._incoming = directory / "incoming"
        self._kept = directory / "kept"
        for path in (self._incoming, self._kept):
            path.mkdir(parents=True, exist_ok=True)
        for leftover in self._incoming.iterdir():  # never acknowledged; younger ones may be another process's
            if time.time() - leftover.stat().st_mtime > _ABANDONED:
                leftover.unlink(missing_ok=True)
        self._lock = threading.Condition()
        self._waiting: dict[str, queue.Queue[ReceivedFile]] = {}

    @contextlib.contextmanager
    def expect(self, study_instance_uid: str, *, timeout: float) -> "Iterator[queue.Queue[ReceivedFile]]":
        """See ``MoveDestination.expect``."""
        arrivals: queue.Queue[ReceivedFile] = queue.Queue()
        deadline = time.monotonic() + timeout
        with self._lock:
            while study_instance_uid in self._waiting:
                if not self._lock.wait(max(0.0, deadline - time.monotonic())):
                    raise SourceUnavailable("The study is being fetched by someone else.")
            self._waiting[study_instance_uid] = arrivals
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
        """Write the data set to disk as it comes. Raises Malformed, AccessDenied, OutOfResources."""
        sop_class = commands.text(message.command, "AffectedSOPClassUID")
        sop_instance = commands.text(message.command, "AffectedSOPInstanceUID")
        if not is_uid(sop_instance) or not is_uid(sop_class) or not message.has_data:
            raise Malformed("A C-STORE request names its object and holds it.")
        syntax = message.context.transfer_syntax
        path = self._incoming / new_key()
        try:
            found = self._write(
                path, part10.header(sop_class, sop_instance, syntax, association.calling), association, syntax
            )
            study, series = found or self._parse(path)
            file = ReceivedFile(path, study, series, sop_instance, sop_class, syntax)
            if self._deliver(file):
                return Stored(file, expected=True)
            if not may_keep:
                raise AccessDenied("This sender may not store, and nobody waits for this study.")
            return Stored(self._keep(file), expected=False)
        except OSError as error:
            path.unlink(missing_ok=True)
            log.error("a received object can't be written: %s", error.strerror)
            raise OutOfResources() from error
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def _write(self, path: Path, head: bytes, association: Association, syntax: str) -> tuple[str, str] | None:
        glance = bytearray()
        found: tuple[str, str] | None = None
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
        try:
            _write_all(handle, head)
            for piece in association.data():
                if found is None and len(glance) < _GLANCE:
                    glance += piece[:_GLANCE]
                    found = study_and_series(glance, syntax)
                _write_all(handle, piece)
            os.fdatasync(handle)
        finally:
            os.close(handle)
        return found

    def _parse(self, path: Path) -> tuple[str, str]:
        head, _ = peek(part10.chunks_of(path))
        if not head.study_instance_uid or not head.series_instance_uid:
            raise Malformed("The object names no study or no series.")
        return head.study_instance_uid, head.series_instance_uid

    def _deliver(self, file: ReceivedFile) -> bool:
        with self._lock:
            arrivals = self._waiting.get(file.study_instance_uid)
            if arrivals is not None:
                arrivals.put(file)
            return arrivals is not None

    def _keep(self, file: ReceivedFile) -> ReceivedFile:
        if not is_uid(file.study_instance_uid):
            raise Malformed("The object's StudyInstanceUID is no UID.")
        folder = self._kept / file.study_instance_uid
        if not folder.is_dir():
            folder.mkdir(exist_ok=True)
            _sync(self._kept)
        path = folder / f"{file.sop_instance_uid}.dcm"
        file.path.rename(path)
        _sync(folder)
        return ReceivedFile(
            path, file.study_instance_uid, file.series_instance_uid, file.sop_instance_uid, file.sop_class_uid,
            file.transfer_syntax,
        )  # fmt: skip


def _write_all(handle: int, piece: bytes | memoryview) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(handle, view) :]


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
