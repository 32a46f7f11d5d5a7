"""The whole index as a batch reads it: portions by row, no reading longer than a portion; what people said of pairs."""

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
_KEYS = Prepared(
    lambda _dialect: text("SELECT key, identity FROM patients_key WHERE identity > :after AND identity <= :last")
)
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
    "postgresql": "SELECT id FROM patients_identity WHERE id = ANY (CAST(:keys AS bigint[])) ORDER BY id FOR UPDATE",
    "sqlite": "SELECT value FROM json_each(:keys) WHERE 0",  # one writer: nobody else changes anything
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

    def keys(self, after: int, last: int) -> list[Any]:
        """(key, identity), as they are stored."""
        return _KEYS.rows(self._connection, {"after": after, "last": last})

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

    def hold(self, identities: Sequence[int]) -> None:
        """Nobody else changes these identities until the unit of work ends."""
        _HOLD.rows(self._connection, {"keys": listed(self._connection, identities)})


def _pair(one: int, other: int) -> Pair:
    return (min(one, other), max(one, other))
