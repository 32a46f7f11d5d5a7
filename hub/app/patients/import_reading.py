"""A file's records, batch by batch; a large file is read and decoded by a process of its own, ahead of who takes them
in. It only reads: killed or left alone, nothing of an import is lost or done twice."""

import io
import multiprocessing
import pickle
import signal
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import fields
from itertools import islice
from multiprocessing.connection import Connection
from operator import attrgetter
from pathlib import Path
from typing import Any

from hub.app.patients.import_files import Format, Looked, Reading, Records
from hub.errors import HubError
from hub.patients.bulk_errors import ImportFile
from hub.patients.bulk_model import Entry
from hub.patients.forms import Forms, forms
from hub.patients.model import FeedIdentity, Identity, Traits
from hub.values import PatientIdentifier

ALONE = 2 << 20  #: bytes; another process takes longer to start than it saves for a smaller file
_MEANWHILE = 8  # batches that are read here while it starts
_APART = (Format.CSV, Format.NDJSON)  # what is decoded without the hub's settings

Batches = Generator[tuple[list[Entry], int], None, None]  #: records, and how far into the file they reach


def batches(file: Path, looked: Looked, reading: Reading, position: int, size: int) -> Batches:
    """The records behind the first ``position`` ones, ``size`` at a time. Raises ImportFile, ImportColumns."""
    if looked.size < ALONE or looked.format not in _APART:
        yield from _batches(file, looked, reading, position, size)
        return
    with closing(Reader(Task(file, looked, reading, position + _MEANWHILE * size, size))) as reader:
        yield from islice(_batches(file, looked, reading, position, size), _MEANWHILE)
        yield from reader


def _batches(file: Path, looked: Looked, reading: Reading, position: int, size: int) -> Batches:
    with file.open("rb") as handle:
        records = Records(handle, looked, reading)  # which must outlive its records: it holds the file
        entries = records.after(position)
        while batch := list(islice(entries, size)):
            yield batch, handle.tell()


class Task:
    """What another process is to read: all that decoding needs."""

    def __init__(self, file: Path, looked: Looked, reading: Reading, position: int, size: int) -> None:
        self.file = file
        self.looked = looked
        self.how = (reading.authority, reading.encoding, reading.delimiter, reading.mapping)
        self.position = position
        self.size = size

    def batches(self) -> Batches:
        """In that process."""
        for entries, place in _batches(
            self.file, self.looked, Reading(None, _nobody, *self.how), self.position, self.size
        ):
            yield [_with_forms(entry) for entry in entries], place


def _with_forms(entry: Entry) -> Entry:
    """Reckoned here, where there is time for it."""
    command = entry.command
    if type(command) is not FeedIdentity:
        return entry
    return Entry(entry.record, entry.line, command, entry.error, forms(command.identity.traits))


def _nobody() -> Any:
    raise RuntimeError("formats that need a context are not read apart")


class Reader:
    """The other process."""

    def __init__(self, task: Task) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._here, there = spawn.Pipe(duplex=False)
        self.process = spawn.Process(target=_read, args=(there, task), daemon=True)
        self.process.start()
        there.close()

    def __iter__(self) -> Batches:
        """The next batch is received by a thread while this one is taken in: there is time where a database works."""
        with ThreadPoolExecutor(1, "import-reader") as apart:
            try:
                coming = apart.submit(self._here.recv)
                while batch := self._received(coming.result):
                    coming = apart.submit(self._here.recv)
                    yield batch
            finally:
                self.process.terminate()  # so that nothing is waited for

    @staticmethod
    def _received(coming: Callable[[], Any]) -> tuple[list[Entry], int] | None:
        try:
            found = coming()
        except (EOFError, OSError):
            raise ImportFile("The process that reads the file came to an end: the same command goes on.") from None
        if isinstance(found, HubError):
            raise found
        return found if found[0] else None

    def close(self) -> None:
        """No more of it is wanted."""
        self._here.close()
        self.process.terminate()
        self.process.join()


def _read(there: Connection, task: Task) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's: who takes the records in ends in an orderly way
    try:
        for batch in task.batches():
            there.send_bytes(_dumped(batch))
        there.send_bytes(_dumped(((), 0)))
    except BrokenPipeError:
        return
    except HubError as error:
        there.send_bytes(_dumped(error))


class _Pickler(pickle.Pickler):
    """Values by their fields, several times as fast as by their state; errors as they were."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, HubError):
            return _error, (type(obj), obj.message, obj.location, obj.context)
        reduce = _REDUCERS.get(type(obj))
        return reduce(obj) if reduce is not None else NotImplemented


def _reducer(kind: type) -> Callable[[Any], Any]:
    values = attrgetter(*(item.name for item in fields(kind)))
    return lambda item: (kind, values(item))


_REDUCERS = {kind: _reducer(kind) for kind in (Entry, FeedIdentity, Identity, Traits, PatientIdentifier, Forms)}


def _error(kind: type[HubError], message: str, location: str, context: dict[str, str]) -> HubError:
    error = kind.__new__(kind, message)
    HubError.__init__(error, message, location=location, **context)
    return error


def _dumped(value: Any) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(value)
    return buffer.getvalue()
