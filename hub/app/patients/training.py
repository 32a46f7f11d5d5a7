"""Learns a model: m and u of every level by EM, with Splink over DuckDB (``pip install maillage[matching]``)."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from types import ModuleType
from typing import Any

from hub.app.patients import snapshot
from hub.errors import Misconfigured
from hub.patients.errors import ModelRefused
from hub.patients.scoring import batch, terms
from hub.patients.scoring.features import Features
from hub.patients.scoring.kinds import DIFFERENT, KINDS
from hub.patients.scoring.model import LEAST, Comparison, Level, Model, clamp

Told = Callable[[str], None]
FRENCH = ("name", "given", "born", "place", "sex", "home", "phone", "ins")  #: what the hub compares
#: Pairs that agree on these teach the levels of everything else; together they teach everything.
SESSIONS = (("born", "place"), ("name", "given"), ("phone", "given"), ("ins",))
#: Who agrees on one of these is taken for one person, to guess how many pairs there are.
SURE = (("name", "given", "born"), ("ins",))
KEPT_TERMS = 1500  #: values of each column in the model's file
_SURE_RECALL = 0.8
_CHUNK = 20_000
_NONE: Mapping[str, str] = {}


class SplinkMissing(Misconfigured):
    """Training and batch comparison need Splink and DuckDB, which are not installed."""

    code = "splink-missing"
    title = "Splink is not installed: pip install 'maillage[matching]'."


def train(
    records: Iterable[Features],
    version: str,
    *,
    kinds: Sequence[str] = FRENCH,
    sessions: Sequence[Sequence[str]] = SESSIONS,
    sure: Sequence[Sequence[str]] = SURE,
    expected: int | None = None,
    source: str = "",
    pairs: float = 3e6,
    seed: int = 1,
    kept: int | None = KEPT_TERMS,
    told: Told = lambda _step: None,
) -> Model:
    """A model from records, whoever they are: nobody says which are the same person.

    ``expected``: how many records the index will hold (the more, the rarer is a chance agreement of one person's
    records); default: as many as there are here. Raises SplinkMissing; ModelRefused when a level was not trained."""
    splink, duckdb = libraries()
    from splink.internals.exceptions import EMTrainingException  # noqa: PLC0415 (an optional extra)

    connection = duckdb.connect()
    try:
        told("records")
        count, frequencies = _load(connection, records, kinds, kept)
        if count < 2:
            raise ModelRefused("There are no two records to compare.")
        columns = [column for column in terms.columns_of(kinds) if column in frequencies.values]
        api = splink.DuckDBAPI(connection)
        linker = splink.Linker(api.register("records"), batch.settings(kinds, None, columns), log_level=logging.ERROR)
        told("how often two persons agree by chance")
        linker.training.estimate_u_using_random_sampling(max_pairs=pairs, seed=seed)
        try:
            linker.training.estimate_probability_two_random_records_match([_rule(item) for item in sure], _SURE_RECALL)
        except ValueError as error:  # more of so few agree than can be
            raise ModelRefused("The records are too few to learn from.") from error
        for session in sessions:
            told(f"how often one person's records agree, given the same {' and '.join(session)}")
            try:
                linker.training.estimate_parameters_using_expectation_maximisation(
                    _rule(session), fix_probability_two_random_records_match=False
                )
            except EMTrainingException as error:  # no two records to compare
                raise ModelRefused(f"No two records agree in {' and '.join(session)}: they say too little.") from error
        learned = linker.misc.save_model_to_json()
    finally:
        connection.close()
    prior = learned["probability_two_random_records_match"] * count / (expected or count)
    comparisons = tuple(_learned(kind, entry) for kind, entry in zip(kinds, learned["comparisons"], strict=True))
    about = {
        "records": count,
        "expected": expected or count,
        "source": source,
        "at": f"{datetime.now(UTC):%Y-%m-%d}",
        "with": f"Splink {splink.__version__}",
    }
    return Model(version, clamp_prior(prior), comparisons, about, frequencies.values)


def clamp_prior(prior: float) -> float:
    """Never 0 or 1."""
    return min(max(prior, 1e-12), 0.5)


def libraries() -> tuple[ModuleType, ModuleType]:
    """Splink and DuckDB. Raises SplinkMissing."""
    try:
        import duckdb  # noqa: PLC0415 (an optional extra)
        import splink  # noqa: PLC0415
    except ImportError as error:
        raise SplinkMissing from error
    logging.getLogger("splink").setLevel(logging.ERROR)
    return splink, duckdb


def _load(
    connection: Any, records: Iterable[Features], kinds: Sequence[str], kept: int | None
) -> tuple[int, terms.Terms]:
    """The table ``records``; how many there are, and how often each value is met."""
    columns = batch.columns(kinds)
    create_table(connection, "records", columns)
    number = 0
    seen: list[Features] = []
    for chunk in chunks(records, _CHUNK):
        append(connection, "records", columns, list(enumerate(chunk, number)))
        number += len(chunk)
        seen += chunk
    return number, terms.count(seen, terms.columns_of(kinds), keep=kept)


def create_table(connection: Any, table: str, columns: dict[str, str]) -> None:
    """A table of records in DuckDB."""
    described = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    connection.execute(f"CREATE TABLE {table} ({batch.ID} BIGINT, {described})")


def append(connection: Any, table: str, columns: dict[str, str], records: Sequence[tuple[int, Features]]) -> None:
    """Records with their numbers into a table of DuckDB."""
    ids, found = zip(*records, strict=True)
    insert(connection, table, snapshot.table(snapshot.record_columns(ids, found, tuple(columns))), columns)


def insert(connection: Any, table: str, rows: Any, columns: Mapping[str, str] = _NONE, *, new: bool = False) -> None:
    """An Arrow table into one of DuckDB. ``columns``: their types, where "" in a text is NULL; ``new``: make it."""
    connection.register("incoming", rows)
    texts = {name for name, kind in columns.items() if kind == "VARCHAR"}
    wanted = ", ".join(f"nullif({name}, '') AS {name}" if name in texts else name for name in rows.column_names)
    start = f"CREATE OR REPLACE TABLE {table} AS" if new else f"INSERT INTO {table}"
    connection.execute(f"{start} SELECT {wanted} FROM incoming")  # noqa: S608 (our own names)
    connection.unregister("incoming")


def chunks(items: Iterable[Features], size: int) -> Iterator[list[Features]]:
    """Lists of so many."""
    rest = iter(items)
    while found := list(islice(rest, size)):
        yield found


def _rule(columns: Sequence[str]) -> str:
    return " AND ".join(f"l.{column} = r.{column}" for column in columns)


def _learned(kind: str, entry: dict[str, Any]) -> Comparison:
    found = {level["label_for_charts"]: level for level in entry["comparison_levels"]}
    names = KINDS[kind].names
    for letter in ("m", "u"):
        values = [found[name].get(f"{letter}_probability") for name in names]
        if not any(isinstance(value, float) for value in values):
            raise ModelRefused(f"No level of {kind} was trained ({letter}): no session leaves its columns free.")
        if not isinstance(values[names.index(DIFFERENT)], float):
            raise ModelRefused(f"Level {DIFFERENT} of {kind} was not trained ({letter}): the records say too little.")
    return Comparison(kind, tuple(_level(name, found[name]) for name in names))


def _level(name: str, entry: dict[str, Any]) -> Level:
    """What was never met at all says little: as rare as anything may be."""
    m, u = (entry.get(f"{letter}_probability") for letter in ("m", "u"))
    return Level(name, clamp(m if isinstance(m, float) else LEAST), clamp(u if isinstance(u, float) else LEAST))
