"""The index made comparable, portion by portion: columns for DuckDB, blocking keys."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import orjson

from hub.patients.matching import DOUBTFUL
from hub.patients.relinking import Made, Relinking
from hub.patients.scoring import batch, keys
from hub.patients.scoring.features import Features, features_of_row
from hub.patients.scoring.keys import VERSION
from hub.patients.scoring.vetoes import UNCHECKED
from hub.patients.store_snapshot import Range, SnapshotReader, mark
from hub.storage.engine import Database

PORTION = 20_000  #: rows of one portion
_UNCHECKED = frozenset(status.value for status in UNCHECKED)


@dataclass(frozen=True, slots=True)
class Stale:
    """Identities whose stored keys are missing or old, and the keys that they should have: columns of numbers."""

    ids: Any
    marks: Any  #: of what the keys were made of
    counts: Any  #: how many of ``keys`` are each one's
    keys: Any

    @classmethod
    def of(cls, parts: "Sequence[Stale]") -> "Stale":
        """All of them."""
        none = numpy.empty(0, numpy.int64)
        columns = zip(*((part.ids, part.marks, part.counts, part.keys) for part in parts), strict=True)
        return cls(*map(numpy.concatenate, columns)) if parts else cls(none, none, none, none)

    @property
    def whose(self) -> Any:
        """The identity of each key."""
        return numpy.repeat(self.ids, self.counts)

    def by_key(self, size: int) -> Iterator[list[tuple[int, int]]]:
        """So many (key, identity) at a time, in the order of the keys."""
        order, whose = numpy.argsort(self.keys), self.whose
        for start in range(0, len(order), size):
            some = order[start : start + size]
            yield list(zip(self.keys[some].tolist(), whose[some].tolist(), strict=True))

    def pages(self, size: int) -> Iterator[dict[int, Made]]:
        """So many identities at a time."""
        ends = numpy.cumsum(self.counts)
        for start in range(0, len(self.ids), size):
            some = slice(start, start + size)
            columns = (self.ids[some], self.marks[some], ends[some] - self.counts[some], ends[some])
            rows = zip(*(column.tolist() for column in columns), strict=True)
            yield {key: Made(sign, self.keys[first:end].tolist()) for key, sign, first, end in rows}


@dataclass(frozen=True, slots=True)
class Portion:
    """Some identities. ``keys``, ``known``: Arrow streams (``hub.app.patients.batch``)."""

    count: int
    keys: bytes
    known: bytes  #: id, person, INS, never: whether no score may join it (nobody has checked it, or it is in doubt)
    stale: Stale  #: ``keys`` has what their keys should be, not what they are


def ranges(database: Database) -> list[Range]:
    """The whole index, in the order of its rows."""
    with database.reading() as work:
        return SnapshotReader(work).ranges(PORTION)


def portion(index: Relinking, some: Range, *, provisional: bool, version: int = VERSION) -> Portion:
    """The identities in use of a range. ``provisional``: a score may join those that nobody has checked;
    ``version``: of the stored keys that are taken as they are."""
    with index.patients.database.reading() as work:
        reader = SnapshotReader(work)
        rows, stored = reader.rows(*some, version), reader.keys(*some)
    ids, persons, statuses, attributes, ins, _ = zip(*rows, strict=True) if rows else ([],) * 6
    key, whose = map(_numbers, stored)
    stale = _stale([(item[0], item[-1], item[-2]) for item in rows if item[-1] is not None])
    if len(stale.ids):
        kept = ~numpy.isin(whose, stale.ids)
        key, whose = numpy.concatenate((key[kept], stale.keys)), numpy.concatenate((whose[kept], stale.whose))
    unfit = frozenset() if provisional else _UNCHECKED
    never = [
        int(status in unfit or (bool(said) and not DOUBTFUL.isdisjoint(said.split())))
        for status, said in zip(statuses, attributes, strict=True)
    ]
    return Portion(
        len(rows),
        stream({"key": key, "id": whose}),
        stream({"id": ids, "person": persons, "ins": _arrow().array(ins, _arrow().string()), "never": never}),
        stale,
    )


def described(index: Relinking, some: Sequence[int], *, kinds: Sequence[str]) -> bytes:
    """What the comparisons of these kinds read of identities: an Arrow stream."""
    with index.patients.database.reading() as work:
        rows = SnapshotReader(work).described(some)
    ids, traits, ins = zip(*rows, strict=True) if rows else ([],) * 3
    records = [_features(text, number) for text, number in zip(traits, ins, strict=True)]
    return stream(record_columns(ids, records, tuple(batch.columns(kinds))))


def _features(traits: str | bytes, ins: str | None) -> Features:
    return features_of_row(orjson.loads(traits), ins or "")


def _stale(rows: Sequence[tuple[int, str | bytes, str | None]]) -> Stale:
    """Of (id, traits, INS)."""
    ids, marks, counts = [], [], []
    digests: list[bytes] = []
    digest = keys.digest
    for identity, traits, ins in rows:
        texts = keys.texts(_features(traits, ins))
        ids.append(identity)
        marks.append(mark(traits, ins))
        counts.append(len(texts))
        digests += map(digest, texts)
    made = numpy.frombuffer(b"".join(digests), ">i8").astype(numpy.int64)
    ours, signs, lengths = (numpy.array(column, numpy.int64) for column in (ids, marks, counts))
    return Stale(ours, signs, lengths, made)


def _numbers(text: str) -> Any:
    """Those of a text with commas between them."""
    return numpy.fromstring(text, numpy.int64, sep=",") if text else numpy.empty(0, numpy.int64)


# Arrow

Columns = dict[str, Any]


def _arrow() -> Any:
    import pyarrow  # noqa: PLC0415 (comes with Splink, an optional extra)

    return pyarrow


def record_columns(ids: Sequence[int], records: Sequence[Features], names: Sequence[str]) -> Columns:
    """The columns of these names; what is not known is "" (or an empty list)."""
    pyarrow = _arrow()
    values = zip(*records, strict=True) if records else [()] * len(Features._fields)
    columns = dict(zip(Features._fields, values, strict=True))
    texts, lists = pyarrow.string(), pyarrow.list_(pyarrow.string())
    found: Columns = {batch.ID: pyarrow.array(ids, pyarrow.int64())}
    for name in names:
        found[name] = pyarrow.array(columns[name], lists if name in batch.LISTS else texts)
    return found


def number_columns(names: Sequence[str], rows: Iterable[Sequence[int]]) -> Columns:
    """Columns of whole numbers."""
    values = list(zip(*rows, strict=True)) or [()] * len(names)
    return {name: numpy.array(column, numpy.int64) for name, column in zip(names, values, strict=True)}


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
