"""Processes that read the index for a command that looks at all of it: each with a connection of its own."""

import gc
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from types import TracebackType
from typing import TypeVar

from hub.app.patients import matching
from hub.app.settings.model import Matching
from hub.patients.authorities import AuthorityDirectory
from hub.patients.relinking import Relinking
from hub.patients.service import PatientService
from hub.storage.engine import Database

Item = TypeVar("Item")
Made = TypeVar("Made")

ALONE = 100_000  #: identities; below so many another process takes longer to start than it saves
_AHEAD = 2  #: answers of each process that wait to be taken


class Readers:
    """What is asked for is done by ``processes`` (0: one a core), or here where the index is small."""

    def __init__(self, patients: PatientService, settings: Matching, processes: int = 0) -> None:
        self.index = Relinking(patients)
        self._count = processes or min(4, os.cpu_count() or 1)
        self._pool: ProcessPoolExecutor | None = None
        if self.index.count() > ALONE:
            told = (
                patients.database.url.render_as_string(hide_password=False), patients.affinity_domain, settings,
            )  # fmt: skip
            self._pool = ProcessPoolExecutor(self._count, multiprocessing.get_context("spawn"), _open, told)

    def __enter__(self) -> "Readers":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def each(self, work: Callable[[Relinking, Item], Made], items: Iterable[Item]) -> Iterator[Made]:
        """``work`` of the index and each item, in their order. It may be a partial of a module's function."""
        if self._pool is None:
            yield from (work(self.index, item) for item in items)
            return
        waiting: deque[Future[Made]] = deque()
        for item in items:
            waiting.append(self._pool.submit(_do, work, item))
            if len(waiting) > self._count * _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


_opened: list[Relinking] = []  # of a process that reads


def _open(url: str, affinity_domain: str, settings: Matching) -> None:
    """Without the collector of cycles while something is made: among so many records it takes half the time."""
    database = Database(url)
    directory = AuthorityDirectory(database=database)
    patients = PatientService(database=database, directory=directory, affinity_domain=affinity_domain)
    patients.weigh = matching.weigh(settings)
    _opened.append(Relinking(patients))
    gc.freeze()
    gc.disable()


def _do(work: Callable[[Relinking, Item], Made], item: Item) -> Made:
    made = work(_opened[0], item)
    gc.collect(0)  # what this made: what caches keep is not looked through again
    return made
