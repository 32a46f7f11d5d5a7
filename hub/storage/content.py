"""Content beside the database: files named by the SHA-256 of their bytes, on disk before anybody is told so."""

import fcntl
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hub.errors import Invalid, NotFound, TooLarge
from hub.storage.hashing import Hashes
from hub.storage.writeback import Writeback
from hub.values import new_key

_HEX = frozenset("0123456789abcdef")
_EARLY = 8 * 1024 * 1024  #: bytes of a large file that are handed to the disk at a time, while the next ones come


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A spooled file: not durable yet. ``size`` in bytes, hashes in lower-case hexadecimal."""

    path: Path
    size: int
    sha1: str
    sha256: str


class ContentStore:
    """Content-addressed files, ``ab/cd/abcd...``, two directory levels.

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
            with path.open("wb") as file, Hashes() as hashes:
                writeback = Writeback(file.fileno(), _EARLY)
                for chunk in chunks:
                    hashes.update(chunk)
                    if limit is not None and hashes.size > limit:
                        raise TooLarge()
                    file.write(chunk)
                    writeback.written(hashes.size)
                sha1, sha256 = hashes.digests()
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return ReceivedFile(path, hashes.size, sha1, sha256)

    def put(self, path: Path, sha256: str) -> bool:
        """Move a spooled file in; durable when this returns. True when the content is new, once for any content."""
        target = self._name(sha256)
        self._make_directory(target.parent)
        with self._guard(fcntl.LOCK_SH):
            try:
                with path.open("rb") as file:
                    os.fsync(file.fileno())
                os.link(path, target)
                new = True
            except FileExistsError:
                os.utime(target)  # young again: a sweep that runs now leaves it
                new = False
        _sync_directory(target.parent)
        path.unlink()
        return new

    def path(self, sha256: str) -> Path:
        """Where the content is. Raises NotFound."""
        path = self._name(sha256)
        if not path.is_file():
            raise NotFound("The content is not in the store.")
        return path

    def delete(self, sha256: str) -> None:
        """Remove content that nobody refers to; silent when it is not there."""
        with self._guard(fcntl.LOCK_EX):
            self._name(sha256).unlink(missing_ok=True)

    def __iter__(self) -> Iterator[str]:
        """The SHA-256 of all content."""
        for first in sorted(self.directory.glob("??")):
            for second in sorted(first.glob("??")):
                yield from sorted(file.name for file in second.iterdir())

    def sweep(self, known: Callable[[str], bool], *, older_than: float = 3600.0) -> int:
        """Remove content that ``known`` denies and spooled files, both untouched for ``older_than`` seconds.

        Returns how many files went. The age must be well above the longest unit of work."""
        limit = time.time() - older_than
        removed = 0
        for sha256 in self:
            if self._older(self._name(sha256), limit) and not known(sha256):
                with self._guard(fcntl.LOCK_EX):
                    if self._older(self._name(sha256), limit):  # not put again meanwhile
                        self._name(sha256).unlink(missing_ok=True)
                        removed += 1
        for file in self._incoming.iterdir():
            if self._older(file, limit):
                file.unlink(missing_ok=True)
                removed += 1
        return removed

    def _name(self, sha256: str) -> Path:
        if len(sha256) != 64 or not _HEX.issuperset(sha256):
            raise Invalid("Content is named by the lower-case hexadecimal SHA-256 of its bytes.")
        return self.directory / sha256[:2] / sha256[2:4] / sha256

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


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
