"""The whole index at once: pairs that share a key, weighed by Splink with the same model (DuckDB on one machine)."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hub.app.patients.training import append, create_table, libraries
from hub.patients.model import Identity
from hub.patients.scoring import batch, keys, prepared, terms
from hub.patients.scoring.features import Features
from hub.patients.scoring.model import Model
from hub.patients.store_keys import CAP

Weighed = tuple[int, int, float]  #: two records' numbers, bits
_CHUNK = 50_000


def scored(model: Model, identities: Iterable[Identity], least: float = 0.0) -> Iterator[Weighed]:
    """Pairs of identities (by their place) that weigh at least so many bits, as Splink's predict says."""
    with Batch(model) as work:
        work.add((number, prepared(identity)) for number, identity in enumerate(identities))
        yield from work.pairs(least)


def meeting(records: Sequence[Features]) -> set[tuple[int, int]]:
    """Pairs of records (by their place) that share a key which no more than ``CAP`` have."""
    blocks: dict[int, list[int]] = {}
    for number, record in enumerate(records):
        for _, key in keys.keys(record):
            blocks.setdefault(key, []).append(number)
    small = (block for block in blocks.values() if 1 < len(block) <= CAP)
    return {(one, other) for block in small for at, one in enumerate(block) for other in block[at + 1 :]}


class Batch:
    """A DuckDB of its own for records, their keys, and Splink. Raises SplinkMissing."""

    def __init__(self, model: Model, *, memory: str = "3GB", directory: str = "") -> None:
        self.model = model
        self._splink, duckdb = libraries()
        self._connection: Any = duckdb.connect()
        self._connection.execute(f"SET memory_limit = '{memory}'")
        if directory:
            self._connection.execute(f"SET temp_directory = '{directory}'")
        self._columns = batch.columns(item.kind for item in model.comparisons)
        create_table(self._connection, "records", self._columns)
        self._connection.execute("CREATE TABLE keys (key BIGINT, id BIGINT)")

    def __enter__(self) -> "Batch":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def add(self, records: Iterable[tuple[int, Features]]) -> int:
        """Records with their numbers; how many."""
        import pyarrow  # noqa: PLC0415 (comes with Splink)

        waiting: list[tuple[int, Features]] = []
        count = 0

        def empty() -> None:
            append(self._connection, "records", self._columns, waiting)
            rows = [(key, number) for number, record in waiting for _, key in keys.keys(record)]
            values = zip(*rows, strict=True) if rows else ((), ())
            arrays = [pyarrow.array(list(column), pyarrow.int64()) for column in values]
            self._connection.register("incoming", pyarrow.Table.from_arrays(arrays, names=["key", "id"]))
            self._connection.execute("INSERT INTO keys SELECT * FROM incoming")
            self._connection.unregister("incoming")
            waiting.clear()

        for record in records:
            waiting.append(record)
            count += 1
            if len(waiting) >= _CHUNK:
                empty()
        empty()
        return count

    def pairs(self, least: float) -> Iterator[Weighed]:
        """Pairs that share a key and weigh at least so many bits, the smaller number first."""
        run = self._connection.execute
        run(f"""
            CREATE TABLE blocked AS
            WITH small AS (SELECT key FROM keys GROUP BY key HAVING count(*) BETWEEN 2 AND {CAP})
            SELECT DISTINCT '0' AS match_key, l.id AS join_key_l, r.id AS join_key_r
            FROM keys AS l JOIN small USING (key) JOIN keys AS r ON r.key = l.key AND l.id < r.id
        """)  # noqa: S608 (a number)
        columns = [column for column in terms.columns_of(item.kind for item in self.model.comparisons)
                   if column in self.model.terms]  # fmt: skip
        api = self._splink.DuckDBAPI(self._connection)
        kinds = [item.kind for item in self.model.comparisons]
        settings = batch.settings(kinds, self.model, columns)
        linker = self._splink.Linker(api.register("records"), settings, log_level=logging.ERROR)
        for column in columns:
            self._register_terms(api, linker, column)
        linker.table_management.register_blocked_pairs_for_predict(api.register("blocked"))
        predicted = linker.inference.predict(threshold_match_weight=least)
        cursor = self._connection.cursor().execute(
            f"SELECT id_l, id_r, match_weight FROM {predicted.physical_name}"  # noqa: S608 (Splink's name)
        )
        while rows := cursor.fetchmany(10_000):
            yield from rows

    def _register_terms(self, api: Any, linker: Any, column: str) -> None:
        """Every value of the records, those that are not known too: as rare as a value may be."""
        import pyarrow  # noqa: PLC0415

        known = terms.Terms(self.model.terms).table(column)
        table = pyarrow.table({"value": list(known), "frequency": list(known.values())})
        self._connection.register("learned", table)
        self._connection.execute(f"""
            CREATE TABLE terms_{column} AS
            SELECT v.{column}, coalesce(frequency, {terms.RAREST}) AS tf_{column}
            FROM (SELECT DISTINCT {column} FROM records WHERE {column} IS NOT NULL) AS v
            LEFT JOIN learned ON learned.value = v.{column}
        """)  # noqa: S608 (names of columns)
        self._connection.unregister("learned")
        linker.table_management.register_term_frequency_lookup(api.register(f"terms_{column}"), column)
