"""The whole index at once: pairs that share a key, weighed by Splink with the same model (DuckDB on one machine)."""

import logging
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from hub.app.patients.snapshot import Portion, number_columns, table, unstream
from hub.app.patients.training import append, create_table, insert, libraries
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
    """A DuckDB of its own for records, their keys, and Splink. Raises SplinkMissing.

    What does not fit into ``memory`` goes into a directory that only this process's user reads, and is removed."""

    def __init__(self, model: Model, *, memory: str = "3GB") -> None:
        self.model = model
        self._splink, duckdb = libraries()
        self._spill = tempfile.TemporaryDirectory(prefix="maillage-")
        self._connection: Any = duckdb.connect()
        self._connection.execute(f"SET memory_limit = '{memory}'")
        self._connection.execute(f"SET temp_directory = '{self._spill.name}'")
        self._connection.execute("SET preserve_insertion_order = false")
        self.kinds = tuple(item.kind for item in model.comparisons)
        self._columns = batch.columns(self.kinds)
        create_table(self._connection, "records", self._columns)
        self._connection.execute("CREATE TABLE keys (key BIGINT, id BIGINT)")
        self._connection.execute("CREATE TABLE known (id BIGINT, person BIGINT, ins VARCHAR, never BIGINT)")

    def __enter__(self) -> "Batch":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._spill.cleanup()

    def add(self, records: Iterable[tuple[int, Features]]) -> int:
        """Records with their numbers; how many."""
        count, rest = 0, iter(records)
        while some := list(islice(rest, _CHUNK)):
            append(self._connection, "records", self._columns, some)
            rows = [(key, number) for number, record in some for _, key in keys.keys(record)]
            insert(self._connection, "keys", table(number_columns(("key", "id"), rows)))
            count += len(some)
        return count

    def take(self, portion: Portion) -> None:
        """Identities of the index: their keys, and whose they are."""
        insert(self._connection, "keys", unstream(portion.keys))
        insert(self._connection, "known", unstream(portion.known))

    def pairs(self, least: float) -> Iterator[Weighed]:
        """Pairs that share a key and weigh at least so many bits, the smaller number first."""
        self._connection.execute(f"""
            CREATE TABLE blocked AS
            WITH small AS (SELECT key FROM keys GROUP BY key HAVING count(*) BETWEEN 2 AND {CAP})
            SELECT DISTINCT '0' AS match_key, l.id AS join_key_l, r.id AS join_key_r
            FROM keys AS l JOIN small USING (key) JOIN keys AS r ON r.key = l.key AND l.id < r.id
        """)  # noqa: S608 (a number)
        yield from self._weighed(least)

    def block(self, also: Iterable[tuple[int, int]]) -> list[int]:
        """Who of those that were taken is to be compared with somebody, and so described: pairs of two persons that a
        score may join, and those of ``also``.

        Left out: whom no score may join, and two different INS. They are settled whatever they weigh."""
        run = self._connection.execute
        run(f"""
            CREATE TABLE open_keys AS
            WITH small AS (SELECT key FROM keys GROUP BY key HAVING count(*) BETWEEN 2 AND {CAP})
            SELECT k.key, k.id, n.person, hash(n.ins) AS ins, n.ins IS NULL AS without
            FROM keys AS k JOIN small USING (key) JOIN known AS n USING (id)
            WHERE n.never = 0
        """)  # noqa: S608 (a number)
        run("DROP TABLE keys")
        run("CREATE TABLE also (one BIGINT, other BIGINT)")
        insert(self._connection, "also", table(number_columns(("one", "other"), also)))
        run("""
            CREATE TABLE blocked AS
            SELECT DISTINCT '0' AS match_key, join_key_l, join_key_r FROM (
                SELECT l.id AS join_key_l, r.id AS join_key_r
                FROM open_keys AS l JOIN open_keys AS r ON r.key = l.key AND l.id < r.id
                WHERE l.person <> r.person AND (l.ins = r.ins OR l.without OR r.without)
                UNION ALL SELECT one, other FROM also
            )
        """)
        run("DROP TABLE open_keys")
        found = run("SELECT DISTINCT unnest([join_key_l, join_key_r]) AS id FROM blocked ORDER BY id").fetchnumpy()
        met: list[int] = found["id"].tolist()
        return met

    def describe(self, records: bytes) -> None:
        """What is compared of some of them (``hub.app.patients.snapshot.described``)."""
        insert(self._connection, "records", unstream(records), self._columns)

    def open_pairs(self, least: float) -> Iterator[Weighed]:
        """As ``pairs``, of those that are to be compared, once all are described."""
        yield from self._weighed(least)

    def _weighed(self, least: float) -> Iterator[Weighed]:
        columns = [column for column in terms.columns_of(self.kinds) if column in self.model.terms]
        api = self._splink.DuckDBAPI(self._connection)
        settings = batch.settings(self.kinds, self.model, columns) | {"retain_intermediate_calculation_columns": False}
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
