"""Blocking keys of identities in use: who is worth comparing. Filled only where matching by score is on."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Connection, bindparam, delete, func, insert, select, text
from sqlmodel import Field, SQLModel

from hub.patients.scoring.keys import VERSION
from hub.patients.store import KEYED, MEMBER_COLUMNS, NEW, Member, member
from hub.patients.store_tables import IDENTITY
from hub.storage.arrays import among, listed
from hub.storage.engine import UnitOfWork
from hub.storage.prepared import Prepared
from hub.storage.tables import METADATA

CAP = 500  #: a key that more identities have says too little: theirs meet by their other, narrower keys
MOST_CANDIDATES = 200
_AT_ONCE = 16  # keys of one question
_BLOCKS = "patients:blocks"  # note of a unit of work: key -> the identities that have it, of keys that were gathered


class KeyRow(SQLModel, table=True):
    """A blocking key of an identity."""

    __tablename__ = "patients_key"
    __table_args__ = ({"sqlite_with_rowid": False},)

    key: int = Field(primary_key=True, sa_type=BigInteger)
    identity: int = Field(primary_key=True, sa_type=BigInteger, index=True)


KEY = METADATA.tables["patients_key"]

_SAID = f"UPDATE patients_identity SET keys_version = {VERSION} WHERE id "  # noqa: S608 (a number)
_PUT = {
    "postgresql": f"""
        WITH gone AS (
            DELETE FROM patients_key WHERE identity = :identity AND key <> ALL (CAST(:keys AS bigint[]))
        ), said AS ({_SAID} = :identity)
        INSERT INTO patients_key (key, identity)
        SELECT k, :identity FROM unnest(CAST(:keys AS bigint[])) AS t(k) ON CONFLICT DO NOTHING
    """,  # noqa: S608
    "sqlite": """
        INSERT OR IGNORE INTO patients_key (key, identity) SELECT value, :identity FROM json_each(:keys)
    """,
}
_OTHERS = text("""
    DELETE FROM patients_key
    WHERE identity = :identity AND key NOT IN (SELECT value FROM json_each(:keys))
""")
_OF = {
    "postgresql": f"SELECT key, identity FROM patients_key WHERE identity {among('identities', 'bigint')}",  # noqa: S608
    "sqlite": """
        SELECT x.key, x.identity FROM json_each(:identities) AS a
        CROSS JOIN patients_key AS x WHERE x.identity = a.value
    """,
}
_SOME = {"postgresql": among("identities", "bigint"), "sqlite": "IN (SELECT value FROM json_each(:identities))"}
_SQLITE_BLOCK = "SELECT * FROM (SELECT key, identity FROM patients_key WHERE key = :k{0} ORDER BY identity LIMIT :cap)"
_MEET = {
    "postgresql": """
        SELECT a.k, m.identity FROM unnest(CAST(:keys AS bigint[])) AS a(k)
        CROSS JOIN LATERAL (
            SELECT x.identity FROM patients_key AS x WHERE x.key = a.k ORDER BY x.identity LIMIT :cap
        ) AS m
    """,
    "sqlite": " UNION ALL ".join(_SQLITE_BLOCK.format(number) for number in range(_AT_ONCE)),
}
_GATHER = {
    "postgresql": _MEET["postgresql"],
    "sqlite": """
        SELECT a.value, x.identity FROM json_each(:keys) AS a CROSS JOIN patients_key AS x ON x.key = a.value
        AND x.identity IN (
            SELECT y.identity FROM patients_key AS y WHERE y.key = a.value ORDER BY y.identity LIMIT :cap
        )
    """,
}
_ADD = Prepared(lambda _dialect: insert(KEY), "key", "identity")
_FILL = Prepared(
    lambda _dialect: text(f"""
        INSERT INTO patients_key (key, identity)
        SELECT :key, id FROM patients_identity WHERE id = :identity AND keys_version <> {VERSION} AND active
        ON CONFLICT DO NOTHING
    """)  # noqa: S608 (a number)
)
_GATHERING = Prepared(lambda dialect: text(_GATHER[dialect]))
_PUT_KEYS = Prepared(lambda dialect: text(_PUT[dialect]))
_DROP_OTHERS = Prepared(lambda _dialect: _OTHERS)
_DROP = Prepared(
    lambda _dialect: delete(KEY).where(KEY.c.key == bindparam("key"), KEY.c.identity == bindparam("identity"))
)
_SAY = Prepared(lambda _dialect: text(f"{_SAID} = :identity"))
_SAY_ALL = Prepared(lambda dialect: text(f"{_SAID} {_SOME[dialect]}"))
_STORED = Prepared(lambda dialect: text(_OF[dialect]))
_FORGET = Prepared(lambda _dialect: delete(KEY).where(KEY.c.identity == bindparam("identity")))
_MEETING = Prepared(lambda dialect: text(_MEET[dialect]))


class KeyStore:
    """The keys, for changes and for questions. In its unit of work, whoever changes an identity puts its keys."""

    def __init__(self, work: UnitOfWork) -> None:
        self._work = work
        work.notes[KEYED] = VERSION
        self._sqlite = work.connection.dialect.name == "sqlite"

    @property
    def _connection(self) -> Connection:
        """For questions and changes: what waits is written before."""
        self._work.flush()
        return self._work.connection

    def gather(self, keys: Collection[int]) -> None:
        """Read for several feeds at once who has their keys. Call it under the keys' locks."""
        wanted = list(dict.fromkeys(keys))
        blocks: dict[int, list[int]] = {key: [] for key in wanted}
        if wanted:
            values = {"keys": listed(self._connection, wanted), "cap": CAP + 1}
            for key, identity in _GATHERING.rows(self._connection, values):
                blocks[key].append(identity)
        self._work.notes[_BLOCKS] = blocks

    def put(self, identity: int, keys: Sequence[int]) -> None:
        """These and no others are the identity's; none: it is compared with nobody."""
        new: set[int] = self._work.notes.get(NEW, set())
        if identity in new:
            new.discard(identity)
            self._add(identity, dict.fromkeys(keys))
            return
        self._work.notes.pop(_BLOCKS, None)
        if not keys:
            _FORGET.run(self._connection, {"identity": identity})
            _SAY.run(self._connection, {"identity": identity})
            return
        values = {"identity": identity, "keys": listed(self._connection, keys)}
        if self._sqlite:
            _DROP_OTHERS.run(self._connection, values)
            _SAY.run(self._connection, {"identity": identity})
        _PUT_KEYS.run(self._connection, values)

    def put_all(self, keys: Mapping[int, Sequence[int]]) -> None:
        """As ``put``, of several identities that nobody else changes now: what is there already stays."""
        self._work.notes.pop(_BLOCKS, None)
        connection = self._connection
        identities = {"identities": listed(connection, list(keys))}
        stored = set(_STORED.rows(connection, identities))
        _SAY_ALL.run(connection, identities)
        wanted = {(key, identity) for identity, its in keys.items() for key in its}
        _DROP.many(connection, [{"key": key, "identity": identity} for key, identity in sorted(stored - wanted)])
        self._work.rows_later(_ADD, sorted(wanted - stored))

    def fill(self, rows: Sequence[tuple[int, int]]) -> None:
        """Add (key, identity) where the identity's keys are not said to be there; nor are they afterwards. For SQLite,
        where rows in the order of the keys are written to few pages, and nobody else writes."""
        self._work.rows_later(_FILL, rows)

    def _add(self, identity: int, keys: Collection[int]) -> None:
        """Those of an identity that had none."""
        blocks: dict[int, list[int]] = self._work.notes.get(_BLOCKS, {})
        self._work.rows_later(_ADD, [(key, identity) for key in keys])
        for key in keys:
            if key in blocks:
                blocks[key].append(identity)

    def candidates(self, keys: Sequence[int], not_id: int) -> list[int]:
        """Identities with one of the keys, those with most of them first; keys that ``CAP`` identities have are left
        out."""
        blocks: dict[int, list[int]] = self._work.notes.get(_BLOCKS, {})
        found: list[tuple[int, int]] = []
        if blocks and all(key in blocks for key in keys):
            found = [(key, identity) for key in dict.fromkeys(keys) for identity in blocks[key]]
        else:
            for start in range(0, len(keys), _AT_ONCE):
                found += self._meeting(keys[start : start + _AT_ONCE])
        if not found:
            return []
        sizes = Counter(key for key, _ in found)
        shared = Counter(identity for key, identity in found if sizes[key] <= CAP and identity != not_id)
        ordered = sorted(shared, key=lambda identity: (-shared[identity], identity))
        return ordered[:MOST_CANDIDATES]

    def _meeting(self, keys: Sequence[int]) -> list[Any]:
        if self._sqlite:
            padded = [*keys, *([None] * (_AT_ONCE - len(keys)))]
            values: dict[str, Any] = {f"k{number}": key for number, key in enumerate(padded)}
        else:
            values = {"keys": list(keys)}
        return _MEETING.rows(self._connection, values | {"cap": CAP + 1})


_ACTIVE = select(*MEMBER_COLUMNS).where(IDENTITY.c.active, IDENTITY.c.id > bindparam("after")).order_by(IDENTITY.c.id)
_PAGE = Prepared(lambda _dialect: _ACTIVE.limit(bindparam("size")))


class KeyReader:
    """Every identity in use, for whoever looks at the whole index."""

    def __init__(self, work: UnitOfWork) -> None:
        self._connection = work.connection

    def count(self) -> int:
        """Identities in use."""
        return int(self._connection.execute(select(func.count()).where(IDENTITY.c.active)).scalar_one())

    def page(self, after: int, size: int) -> list[Member]:
        """The next so many."""
        return [member(row) for row in _PAGE.rows(self._connection, {"after": after, "size": size})]
