"""Series on disk for a while: for archives that give whole objects only, and viewers that ask for single frames.

Simultaneous requests for one series share one fetch; an instance can be read as soon as it has landed. The oldest
series give way when the cache is full.
"""

import hashlib
import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from hub.errors import DeadlineExceeded, HubError, InternalError
from hub.imaging.errors import UnknownInstance
from hub.imaging.model import RetrievedInstance
from hub.wire.dicom_deflated import check_size

log = logging.getLogger(__name__)

Fetch = Callable[[], Iterable[RetrievedInstance]]


@dataclass
class _Series:
    """One series' directory and who fills it."""

    path: Path
    condition: threading.Condition = field(default_factory=threading.Condition)
    landed: dict[str, Path] = field(default_factory=dict)
    complete: bool = False
    fetching: bool = False
    error: HubError | None = None
    size: int = 0
    used: float = 0.0


class InstanceCache:
    """Part 10 files by source, study and series. ``directory`` is emptied at start; ``max_bytes`` may be exceeded by
    the series that are being fetched."""

    def __init__(self, directory: Path, *, max_bytes: int, workers: int = 4, keep: float = 3600.0) -> None:
        self.directory = directory
        self.max_bytes = max_bytes
        self.keep = keep
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        self._lock = threading.Lock()
        self._series: dict[tuple[str, str, str], _Series] = {}
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix="series")

    def instance(self, key: tuple[str, str, str], sop_instance_uid: str, fetch: Fetch, *, timeout: float) -> Path:
        """The file of one instance, fetched with its series if need be.

        Raises UnknownInstance, DeadlineExceeded, and what the fetch raised."""
        series = self._entry(key, fetch)
        end = time.monotonic() + timeout
        with series.condition:
            while sop_instance_uid not in series.landed:
                if series.error is not None:
                    raise series.error
                if series.complete:
                    raise UnknownInstance()
                left = end - time.monotonic()
                if left <= 0 or not series.condition.wait(left):
                    raise DeadlineExceeded()
            return series.landed[sop_instance_uid]

    def instances(self, key: tuple[str, str, str], fetch: Fetch, *, timeout: float) -> Iterator[Path]:
        """Every file of the series as it lands; ``timeout``: seconds until the next one. Raises as ``instance``."""
        series = self._entry(key, fetch)
        given = 0
        while True:
            with series.condition:
                while len(series.landed) <= given and not series.complete and series.error is None:
                    if not series.condition.wait(timeout):
                        raise DeadlineExceeded()
                fresh = list(series.landed.values())[given:]
                if not fresh and series.error is not None:
                    raise series.error
            if not fresh:
                return
            given += len(fresh)
            yield from fresh

    def close(self) -> None:
        """Start nothing more."""
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _entry(self, key: tuple[str, str, str], fetch: Fetch) -> _Series:
        now = time.monotonic()
        with self._lock:
            series = self._series.get(key)
            stale = (
                series is not None
                and not series.fetching
                and (series.error is not None or now - series.used > self.keep)
            )
            if series is None or stale:
                name = hashlib.sha256("\n".join(key).encode()).hexdigest()[:32]
                series = _Series(self.directory / f"{name}-{time.monotonic_ns()}", fetching=True)
                series.path.mkdir(parents=True)
                self._replace(key, series)
                self._workers.submit(self._fill, series, fetch)
            series.used = now
            return series

    def _replace(self, key: tuple[str, str, str], series: _Series) -> None:
        before = self._series.get(key)
        if before is not None:
            shutil.rmtree(before.path, ignore_errors=True)
        self._series[key] = series

    def _fill(self, series: _Series, fetch: Fetch) -> None:
        error: HubError | None = None
        try:
            for number, item in enumerate(fetch()):
                path = series.path / f"{number}.dcm"
                size = _write(path, item.chunks)
                check_size(path)  # frames are read out of it later
                with series.condition:
                    series.landed[item.sop_instance_uid] = path
                    series.size += size
                    series.condition.notify_all()
        except HubError as failure:
            error = failure
        except Exception:
            log.exception("a series could not be fetched")
            error = InternalError()
        with series.condition:
            series.error, series.complete, series.fetching = error, error is None, False
            series.condition.notify_all()
        self._evict()

    def _evict(self) -> None:
        with self._lock:
            total = sum(series.size for series in self._series.values())
            idle = [item for item in self._series.items() if not item[1].fetching]
            for key, series in sorted(idle, key=lambda item: item[1].used)[:-1]:
                if total <= self.max_bytes:
                    return
                total -= series.size
                del self._series[key]
                shutil.rmtree(series.path, ignore_errors=True)


def _write(path: Path, chunks: Iterable[bytes]) -> int:
    part = path.with_suffix(".part")
    size = 0
    with part.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
            size += len(chunk)
    part.replace(path)
    return size
