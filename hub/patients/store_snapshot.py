"""The whole index as a batch reads it: portions by row, no reading longer than a portion; what people said of pairs."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, text

from hub.patients.model import TaskKind
from hub.patients.store_links import NO_MATCH
from hub.patients.store_tables import LINK, TASK
from hub.storage.arrays import among, listed
from hub.storage.engine import UnitOfWork
from hub.storage.prepared import Prepared

Pair = tuple[int, int]  #: two identities' rows, the smaller first
Range = tuple[int, int]  #: rows above the first number, up to the second
#: id, person, status, attributes, INS, and traits (JSON) where the stored keys are missing or old
Row = tuple[int, int, str, str, str | None, str | bytes | None]
_LIVE = LINK.c.ended_at.is_(None)
_ROWS = Prepared(
    lambda _dialect: text("""
        SELECT id, person, status, attributes, ins_value,
            CASE WHEN keys_version = :version THEN NULL ELSE CAST(traits AS TEXT) END
        FROM patients_identity WHERE active AND id > :after AND id <= :last ORDER BY id
    """)
)
_JOINED = {"postgresql": "string_agg(CAST({0} AS text), ',')", "sqlite": "group_concat({0})"}
_STORED = "SELECT {0}, {1} FROM patients_key WHERE identity > :after AND identity <= :last"
_KEYS = Prepared(lambda dialect: text(_STORED.format(*(_JOINED[dialect].format(name) for name in ("key", "identity")))))
_DESCRIBED = {
    "postgresql": f"""
        SELECT id, CAST(traits AS TEXT), ins_value FROM patients_identity WHERE id {among("keys", "bigint")}
    """,  # noqa: S608
    "sqlite": """
        SELECT x.id, CAST(x.traits AS TEXT), x.ins_value FROM json_each(:keys) AS a
        CROSS JOIN patients_identity AS x WHERE x.id = a.value
    """,
}
_DESCRIBE = Prepared(lambda dialect: text(_DESCRIBED[dialect]))
_QUESTION = tuple(TASK.c[name] for name in ("identity", "others", "kind", "evidence", "closed_at", "decided"))
_OF_TWO = (TaskKind.POSSIBLE.value, TaskKind.DUPLICATE.value)
_ASKED = select(*_QUESTION).where(TASK.c.kind.in_(_OF_TWO)).order_by(TASK.c.id)
_HELD = {
    "postgresql": f"""
        SELECT id, active, CAST(traits AS TEXT), ins_value FROM patients_identity WHERE id {among("keys", "bigint")}
        ORDER BY id FOR UPDATE
    """,  # noqa: S608
    "sqlite": """
        SELECT x.id, x.active, CAST(x.traits AS TEXT), x.ins_value FROM json_each(:keys) AS a
        CROSS JOIN patients_identity AS x WHERE x.id = a.value
    """,  # one writer: nobody else changes anything
}
_HOLD = Prepared(lambda dialect: text(_HELD[dialect]))


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about two identities, open or answered."""

    pair: Pair
    identity: int  #: whose question it is
    kind: TaskKind
    evidence: str  #: what the score said then; "" where a rule asks
    open: bool


class SnapshotReader:
    """See the module."""

    def __init__(self, work: UnitOfWork) -> None:
        self._connection = work.connection
        self._sqlite = self._connection.dialect.name == "sqlite"

    def ranges(self, size: int) -> list[Range]:
        """Portions of about so many rows."""
        first, last = self._connection.execute(text("SELECT min(id), max(id) FROM patients_identity")).one()
        if last is None:
            return []
        return [(start, min(start + size, last)) for start in range(first - 1, last, size)]

    def rows(self, after: int, last: int, version: int) -> list[Any]:
        """``Row`` of each identity in use. ``version``: of keys that are not old."""
        return _ROWS.rows(self._connection, {"after": after, "last": last, "version": version})

    def keys(self, after: int, last: int) -> tuple[str, str]:
        """The stored keys, and whose each is: numbers with commas between, since a row for each takes twice as long."""
        [(keys, identities)] = _KEYS.rows(self._connection, {"after": after, "last": last})
        return keys or "", identities or ""

    def described(self, identities: Sequence[int]) -> list[Any]:
        """(id, traits as JSON, INS) of each."""
        return _DESCRIBE.rows(self._connection, {"keys": listed(self._connection, identities)})

    def linked_by(self, rule: str) -> set[Pair]:
        """Pairs with a live edge of a rule."""
        query = select(LINK.c.one, LINK.c.other).where(LINK.c.rule == rule, _LIVE)
        return {_pair(one, other) for one, other in self._connection.execute(query)}

    def barred(self) -> set[Pair]:
        """Pairs that somebody said to be two people."""
        return self.linked_by(NO_MATCH)

    def asked(self) -> Iterator[Asked]:
        """What stewards are asked, or have answered, about two identities on account of a score or the rules."""
        for identity, others, kind, evidence, closed, decided in self._connection.execute(_ASKED):
            if len(others) == 1 and (closed is None or decided):
                yield Asked(_pair(identity, others[0]), identity, TaskKind(kind), evidence, closed is None)

    def hold(self, identities: Sequence[int]) -> dict[int, int]:
        """Nobody else changes these identities until the unit of work ends. The ``mark`` of each that is in use."""
        rows = _HOLD.rows(self._connection, {"keys": listed(self._connection, identities)})
        return {key: mark(traits, ins) for key, active, traits, ins in rows if active}


def mark(traits: str | bytes, ins: str | None) -> int:
    """The same while an identity's keys are: of what they are made of, as stored."""
    told = traits.encode() if isinstance(traits, str) else traits
    digest = hashlib.blake2b(told, digest_size=8, salt=(ins or "").encode()[:16])
    return int.from_bytes(digest.digest(), "big", signed=True)


def _pair(one: int, other: int) -> Pair:
    return (min(one, other), max(one, other))
