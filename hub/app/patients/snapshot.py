"""The index made comparable, portion by portion, by processes of their own: columns for DuckDB, blocking keys."""

import gc
import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import orjson

from hub.patients.matching import DOUBTFUL
from hub.patients.model import Traits
from hub.patients.scoring import batch
from hub.patients.scoring.features import Features, features
from hub.patients.scoring.keys import keys
from hub.patients.scoring.vetoes import UNCHECKED
from hub.patients.store_snapshot import Row, SnapshotReader, key_sum
from hub.storage.engine import Database

PORTION = 20_000  #: rows of one portion
ALONE = 100_000  #: below so many rows another process takes longer to start than it saves
_AHEAD = 2  #: portions of each process that wait to be taken
_UNCHECKED = frozenset(status.value for status in UNCHECKED)


@dataclass(frozen=True, slots=True)
class Portion:
    """Some identities. ``records``, ``keys``, ``known``: Arrow streams (``hub.app.patients.batch``)."""

    count: int
    records: bytes
    keys: bytes
    known: bytes  #: id, person, never: whether no score may join it (nobody has checked it, or it is in doubt)
    stale: list[int]  #: identities whose stored keys are not those that they should have


def portions(database: Database, kinds: Sequence[str], provisional: bool, processes: int = 0) -> Iterator[Portion]:
    """Every identity in use. ``provisional``: a score may join those that nobody has checked."""
    with database.reading() as work:
        ranges = SnapshotReader(work).ranges(PORTION)
    if len(ranges) * PORTION <= ALONE:
        yield from (portion(database, kinds, after, last, provisional=provisional) for after, last in ranges)
        return
    url = database.url.render_as_string(hide_password=False)
    count = processes or min(4, os.cpu_count() or 1)
    pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _open, (url,))
    waiting: deque[Future[Portion]] = deque()  # in their order
    try:
        for after, last in ranges:
            waiting.append(pool.submit(_portion, tuple(kinds), after, last, provisional=provisional))
            if len(waiting) > count * _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


_opened: list[Database] = []  # of a process that makes portions


def _open(url: str) -> None:
    """Without the collector of cycles while a portion is made: among so many records it takes half the time."""
    _opened.append(Database(url))
    gc.freeze()
    gc.disable()


def _portion(kinds: tuple[str, ...], after: int, last: int, *, provisional: bool) -> Portion:
    made = portion(_opened[0], kinds, after, last, provisional=provisional)
    gc.collect()
    return made


def portion(database: Database, kinds: Sequence[str], after: int, last: int, *, provisional: bool) -> Portion:
    """The identities in use whose row is above ``after`` and not above ``last``."""
    with database.reading() as work:
        reader = SnapshotReader(work)
        rows, stored = reader.rows(after, last), reader.key_sums(after, last)
    never = frozenset() if provisional else _UNCHECKED
    records: list[tuple[int, Features]] = []
    blocking: list[tuple[int, int]] = []
    known: list[tuple[int, int, int]] = []
    stale = []
    for row in rows:
        record = _features(row)
        identity, person, status, attributes = row[:4]
        found = [key for _, key in keys.__wrapped__(record)]
        records.append((identity, record))
        blocking += [(key, identity) for key in found]
        doubtful = bool(attributes) and not DOUBTFUL.isdisjoint(attributes.split())
        known.append((identity, person, int(doubtful or status in never)))
        if stored.get(identity, (0, 0)) != (len(found), key_sum(found)):
            stale.append(identity)
    columns = tuple(batch.columns(kinds))
    return Portion(
        len(rows), stream(record_columns(records, columns)), stream(number_columns(("key", "id"), blocking)),
        stream(number_columns(("id", "person", "never"), known)), stale,
    )  # fmt: skip


def _features(row: Row) -> Features:
    traits = Traits(**orjson.loads(row[4]))
    return features.__wrapped__(traits, row[5] or "")


# Arrow

Columns = dict[str, Any]


def _arrow() -> Any:
    import pyarrow  # noqa: PLC0415 (comes with Splink, an optional extra)

    return pyarrow


def record_columns(records: Sequence[tuple[int, Features]], names: Sequence[str]) -> Columns:
    """Arrow arrays of the columns; what is not known is "" (or an empty list)."""
    pyarrow = _arrow()
    rows = map(attrgetter(*names), (record for _, record in records))
    values = zip(*rows, strict=True) if records else [()] * len(names)
    found: Columns = {batch.ID: pyarrow.array([number for number, _ in records], pyarrow.int64())}
    texts, lists = pyarrow.string(), pyarrow.list_(pyarrow.string())
    for name, column in zip(names, values, strict=True):
        found[name] = pyarrow.array(column, lists if name in batch.LISTS else texts)
    return found


def number_columns(names: Sequence[str], rows: Iterable[Sequence[int]]) -> Columns:
    """Arrow arrays of whole numbers."""
    pyarrow = _arrow()
    values = list(zip(*rows, strict=True)) or [()] * len(names)
    return {name: pyarrow.array(column, pyarrow.int64()) for name, column in zip(names, values, strict=True)}


def table(columns: Columns) -> Any:
    """An Arrow table."""
    return _arrow().table(columns)


def stream(columns: Columns) -> bytes:
    """The columns for another process."""
    pyarrow = _arrow()
    sink = pyarrow.BufferOutputStream()
    made = table(columns)
    with pyarrow.ipc.new_stream(sink, made.schema) as writer:
        writer.write_table(made)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def unstream(content: bytes) -> Any:
    """An Arrow table of a stream."""
    return _arrow().ipc.open_stream(content).read_all()
