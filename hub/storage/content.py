"""Content beside the database: the same bytes once, on disk before anybody is told so."""

import fcntl
import itertools
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hub.errors import Invalid, NotFound, TooLarge
from hub.storage.hashing import Hash
from hub.storage.writeback import Writeback
from hub.values import new_key

_ADDRESS = re.compile(r"[0-9a-f]{40}(-[1-9][0-9]{0,8})?")
_COMPARED = 1024 * 1024  #: bytes that are compared at a time
_EARLY = 8 * 1024 * 1024  #: bytes of a large file that are handed to the disk at a time, while the next ones come


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A spooled file: not durable yet. ``size`` in bytes, ``sha1`` in lower-case hexadecimal."""

    path: Path
    size: int
    sha1: str


def hash_of(address: str) -> str:
    """The SHA-1 of the bytes at an address: what all addresses have in common that such bytes may get."""
    return address[:40]


class ContentStore:
    """Files by an address that ``put`` gives to their bytes, ``ab/cd/abcd...``, two directory levels.

    The address is the SHA-1 of the bytes. No hash is believed (two documents with one SHA-1 can be made): bytes are
    taken for the same when they are, each compared with each. Others with that SHA-1 get a number behind it, ``-1``.

    Content belongs to whoever refers to it in the database, and may be shared: a rolled back unit of work leaves its
    content alone (another may refer to the same bytes by now), and ``sweep`` removes what nobody refers to."""

    def __init__(self, directory: Path) -> None:
        self.directory = Path(directory)
        self._incoming = self.directory / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        self._lock_file = self.directory / ".lock"
        self._lock_file.touch(exist_ok=True)

    def incoming(self) -> Path:
        """The spool directory, on the same filesystem."""
        return self._incoming

    def receive(self, chunks: Iterable[bytes], *, limit: int | None = None) -> ReceivedFile:
        """Spool the chunks, hashing as they pass. Raises TooLarge beyond ``limit`` bytes; leaves nothing on failure."""
        path = self._incoming / new_key()
        try:
            with path.open("wb") as file, Hash() as made:
                writeback = Writeback(file.fileno(), _EARLY)
                for chunk in chunks:
                    made.update(chunk)
                    if limit is not None and made.size > limit:
                        raise TooLarge()
                    file.write(chunk)
                    writeback.written(made.size)
                sha1 = made.digest()
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return ReceivedFile(path, made.size, sha1)

    def put(self, path: Path, sha1: str) -> str:
        """Move a spooled file in, whose SHA-1 ``receive`` told; durable when this returns. Returns its address."""
        self._make_directory(self._name(sha1).parent)
        with self._guard(fcntl.LOCK_SH):
            with path.open("rb") as file:
                os.fsync(file.fileno())
            address = next(address for address in _addresses(sha1) if self._is_at(address, path))
        _sync_directory(self._name(sha1).parent)
        path.unlink()
        return address

    def _is_at(self, address: str, path: Path) -> bool:
        """Link the file to the address; False when other bytes are there."""
        target = self._name(address)
        try:
            os.link(path, target)
        except FileExistsError:
            if not _same(path, target):
                return False
            os.utime(target)  # young again: a sweep that runs now leaves it
        return True

    def path(self, address: str) -> Path:
        """Where the content is. Raises NotFound."""
        path = self._name(address)
        if not path.is_file():
            raise NotFound("The content is not in the store.")
        return path

    def delete(self, address: str) -> None:
        """Remove content that nobody refers to; silent when it is not there."""
        with self._guard(fcntl.LOCK_EX):
            self._name(address).unlink(missing_ok=True)

    def __iter__(self) -> Iterator[str]:
        """The addresses of all content."""
        for first in sorted(self.directory.glob("??")):
            for second in sorted(first.glob("??")):
                yield from sorted(file.name for file in second.iterdir())

    def sweep(self, known: Callable[[str], bool], *, older_than: float = 3600.0) -> int:
        """Remove content that ``known`` denies and spooled files, both untouched for ``older_than`` seconds.

        Returns how many files went. The age must be well above the longest unit of work."""
        limit = time.time() - older_than
        removed = 0
        for address in self:
            if self._older(self._name(address), limit) and not known(address):
                with self._guard(fcntl.LOCK_EX):
                    if self._older(self._name(address), limit):  # not put again meanwhile
                        self._name(address).unlink(missing_ok=True)
                        removed += 1
        for file in self._incoming.iterdir():
            if self._older(file, limit):
                file.unlink(missing_ok=True)
                removed += 1
        return removed

    def _name(self, address: str) -> Path:
        if not _ADDRESS.fullmatch(address):
            raise Invalid(
                "Content has the lower-case hexadecimal SHA-1 of its bytes for address, and perhaps a number."
            )
        return self.directory / address[:2] / address[2:4] / address

    def _make_directory(self, directory: Path) -> None:
        if directory.is_dir():
            return
        directory.mkdir(parents=True, exist_ok=True)
        _sync_directory(directory.parent)
        _sync_directory(self.directory)

    @contextmanager
    def _guard(self, mode: int) -> Iterator[None]:
        # Between processes as well: a sweep must not take away what a put is just finding to be there already.
        with self._lock_file.open("rb") as file:
            fcntl.flock(file, mode)
            yield

    @staticmethod
    def _older(path: Path, limit: float) -> bool:
        try:
            return path.stat().st_mtime < limit
        except FileNotFoundError:
            return False


def _addresses(sha1: str) -> Iterator[str]:
    yield sha1
    for number in itertools.count(1):
        yield f"{sha1}-{number}"


def _same(one: Path, other: Path) -> bool:
    """Whether two files have the same bytes."""
    with one.open("rb") as first, other.open("rb") as second:
        if os.fstat(first.fileno()).st_size != os.fstat(second.fileno()).st_size:
            return False
        while piece := first.read(_COMPARED):
            if piece != second.read(_COMPARED):
                return False
    return True


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
