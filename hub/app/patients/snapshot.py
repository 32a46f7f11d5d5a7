"""The index made comparable, portion by portion: columns for DuckDB, blocking keys."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy
import orjson

from hub.patients.matching import DOUBTFUL
from hub.patients.relinking import Relinking
from hub.patients.scoring import batch, keys
from hub.patients.scoring.features import Features, features_of_row
from hub.patients.scoring.keys import VERSION
from hub.patients.scoring.vetoes import UNCHECKED
from hub.patients.store_snapshot import Range, SnapshotReader
from hub.storage.engine import Database

PORTION = 20_000  #: rows of one portion
_UNCHECKED = frozenset(status.value for status in UNCHECKED)


@dataclass(frozen=True, slots=True)
class Portion:
    """Some identities. ``keys``, ``known``: Arrow streams (``hub.app.patients.batch``)."""

    count: int
    keys: bytes
    known: bytes  #: id, person, INS, never: whether no score may join it (nobody has checked it, or it is in doubt)
    stale: list[int]  #: identities whose stored keys are missing or old; ``keys`` has what they should be


def ranges(database: Database) -> list[Range]:
    """The whole index, in the order of its rows."""
    with database.reading() as work:
        return SnapshotReader(work).ranges(PORTION)


def portion(index: Relinking, some: Range, *, provisional: bool, version: int = VERSION) -> Portion:
    """The identities in use of a range. ``provisional``: a score may join those that nobody has checked;
    ``version``: of the stored keys that are taken as they are."""
    with index.patients.database.reading() as work:
        reader = SnapshotReader(work)
        rows, pairs = reader.rows(*some, version), reader.keys(*some)
    ids, persons, statuses, attributes, ins, traits = zip(*rows, strict=True) if rows else ([],) * 6
    stale = [identity for identity, text in zip(ids, traits, strict=True) if text is not None]
    counts, made = _keys(_features(text, number) for text, number in zip(traits, ins, strict=True) if text is not None)
    stored = numpy.fromiter(chain.from_iterable(pairs), numpy.int64, 2 * len(pairs)).reshape(-1, 2)
    kept = stored[~numpy.isin(stored[:, 1], stale)] if stale else stored
    whose = numpy.repeat(numpy.array(stale, numpy.int64), counts)
    unfit = frozenset() if provisional else _UNCHECKED
    never = [
        int(status in unfit or (bool(said) and not DOUBTFUL.isdisjoint(said.split())))
        for status, said in zip(statuses, attributes, strict=True)
    ]
    return Portion(
        len(rows),
        stream({"key": numpy.concatenate((kept[:, 0], made)), "id": numpy.concatenate((kept[:, 1], whose))}),
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


def _keys(records: Iterable[Features]) -> tuple[list[int], Any]:
    """How many blocking keys each has, and all of them, in their order."""
    counts: list[int] = []
    digests: list[bytes] = []
    digest = keys.digest
    for record in records:
        texts = keys.texts(record)
        counts.append(len(texts))
        digests += map(digest, texts)
    return counts, numpy.frombuffer(b"".join(digests), ">i8").astype(numpy.int64)


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
