"""How a region's PostgreSQL is set up: what its own defaults, made for small machines, cost an index of millions.

A message touches some twenty pages all over the index. What does not fit into ``shared_buffers`` is read and written
again each time, and after every checkpoint each page that is touched goes into the log whole."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import text

from hub.storage.engine import Database

#: What ``maillage doctor database``, the compose file, the documentation and the benchmarks have in common.
ADVISED = {
    "shared_buffers": "2GB",  # or a quarter of the machine's memory
    "max_wal_size": "8GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "lz4",  # "on" before PostgreSQL 15
}
#: From so many bytes on the defaults do no longer, and what is enough then: bytes, seconds.
_LARGE = 2**30
_ENOUGH = {"shared_buffers": 2**30, "max_wal_size": 4 * 2**30, "checkpoint_timeout": 600}
_DURABLE = ("fsync", "full_page_writes", "synchronous_commit")
_OFF = frozenset({"off", "local"})
_ASKED = text("""
    SELECT name, current_setting(name), CASE
        WHEN unit IN ('8kB', 'kB', 'MB') THEN pg_size_bytes(current_setting(name))
        WHEN unit = 's' THEN CAST(setting AS bigint)
    END
    FROM pg_settings WHERE name = ANY (CAST(:names AS text[]))
""")


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing that was looked at."""

    good: bool
    text: str


def advise(database: Database, large: int = _LARGE) -> Iterator[Advice]:
    """Each setting that was looked at, of PostgreSQL; nothing of SQLite, whose settings are the hub's own.

    ``large``: bytes of a database for which the speed of a small machine is too little."""
    if database.sqlite:
        return
    with database.engine.connect() as connection:
        size = connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
        rows = connection.execute(_ASKED, {"names": [*_DURABLE, *ADVISED]})
        found: dict[str, tuple[str, int | None]] = {name: (told, number) for name, told, number in rows}
    for name in _DURABLE:
        told, _ = found[name]
        lost = told in _OFF
        yield Advice(not lost, f"{name} is {told}{': what was acknowledged may be lost. Set it to on' * lost}.")
    yield Advice(True, f"The database has {_megabytes(size)}{': the defaults do' * (size < large)}.")
    for name, advised in ADVISED.items() if size >= large else ():
        told, number = found[name]
        slow = told == "off" if number is None else number < _ENOUGH[name]
        yield Advice(not slow, f"{name} is {told}{f': too little for it. Set it to {advised}, or more' * slow}.")


def _megabytes(count: int) -> str:
    return f"{count / 2**20:,.0f} MB"
