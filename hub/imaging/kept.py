"""Objects that were sent to the hub, on disk as they were encoded: ``kept/<StudyInstanceUID>/<SOPInstanceUID>.dcm``.

What an association brought is noted in ``arrivals/`` before its first object is acknowledged, and the note is taken
away when the study index knows the objects: a process that is killed in between leaves the note, and it is made good.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from hub.imaging.errors import OtherObject
from hub.values import is_uid, new_key
from hub.wire.dimse import part10

_PIECE = 1 << 20


@dataclass(slots=True)
class Arrival:
    """Objects of one study that one sender brings. ``held``: the lock that says that the bringing process lives."""

    study_instance_uid: str
    calling: str  #: AE title of the sender
    speaks_for: str = ""  #: the configured source that the sender's certificate speaks for
    peer: str = ""
    note: Path | None = None
    held: int = -1
    files: list[Path] = field(default_factory=list)


class KeptObjects:
    """The directory. Any number of processes may share it."""

    def __init__(self, directory: Path) -> None:
        self._kept = directory / "kept"
        self._arrivals = directory / "arrivals"
        for path in (self._kept, self._arrivals):
            path.mkdir(parents=True, exist_ok=True)

    def path(self, study_instance_uid: str, sop_instance_uid: str) -> Path:
        """Where an object is, or would be."""
        return self._kept / study_instance_uid / f"{sop_instance_uid}.dcm"

    def files(self, study_instance_uid: str) -> list[Path]:
        """Every object of a study."""
        return sorted((self._kept / study_instance_uid).glob("*.dcm")) if is_uid(study_instance_uid) else []

    def keep(self, file: Path, study_instance_uid: str, sop_instance_uid: str) -> Path:
        """Give a file that is safe on disk its place, durably; it keeps its own name as well, until that is removed.

        The same object again changes nothing. Raises OtherObject when another object has this SOP Instance UID
        already: the first one stays."""
        path = self.path(study_instance_uid, sop_instance_uid)
        try:
            self._link(file, path)
        except FileExistsError:
            if not same_object(file, path):
                raise OtherObject() from None
        _sync(path.parent)
        return path

    def _link(self, file: Path, path: Path) -> None:
        try:
            os.link(file, path)
        except FileNotFoundError:  # the study's first object
            path.parent.mkdir(exist_ok=True)
            _sync(self._kept)
            os.link(file, path)

    # arrivals

    def announce(self, arrival: Arrival) -> None:
        """Note durably that objects are coming."""
        path = self._arrivals / new_key()
        unseen = path.with_name(f".{path.name}")
        handle = os.open(unseen, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640)
        fcntl.flock(handle, fcntl.LOCK_EX)
        told = {
            "study": arrival.study_instance_uid,
            "calling": arrival.calling,
            "speaks_for": arrival.speaks_for,
            "peer": arrival.peer,
        }
        os.write(handle, orjson.dumps(told))
        os.fsync(handle)
        unseen.rename(path)  # locked and whole before anybody can see it
        _sync(self._arrivals)
        arrival.note, arrival.held = path, handle

    def release(self, arrival: Arrival, *, known: bool) -> None:
        """The sender has finished; ``known``: the index knows the objects, the note may go."""
        if known and arrival.note is not None:
            arrival.note.unlink(missing_ok=True)
        if arrival.held >= 0:
            os.close(arrival.held)
            arrival.held = -1

    def left_behind(self) -> Iterator[Arrival]:
        """Arrivals whose process has gone, each with every file of its study; to be released."""
        for path in sorted(path for path in self._arrivals.iterdir() if not path.name.startswith(".")):
            try:
                handle = os.open(path, os.O_RDWR)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # its process lives
                os.close(handle)
                continue
            told = _read(handle)
            if not told or not path.exists():  # another process has just made it good
                os.close(handle)
                continue
            study = told["study"]
            yield Arrival(study, told["calling"], told["speaks_for"], told["peer"], path, handle, self.files(study))


def same_object(one: Path, other: Path) -> bool:
    """Whether two files hold the same data set in the same encoding; who sent them does not count."""
    with one.open("rb") as left, other.open("rb") as right:
        if part10.read_meta(left)["transfer_syntax"] != part10.read_meta(right)["transfer_syntax"]:
            return False
        while True:
            piece = left.read(_PIECE)
            if piece != right.read(_PIECE):
                return False
            if not piece:
                return True


def _read(handle: int) -> dict[str, str]:
    with contextlib.suppress(orjson.JSONDecodeError):
        told: dict[str, str] = orjson.loads(os.read(handle, 4096))
        return told
    return {}


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
