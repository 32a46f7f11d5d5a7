"""Edges between identities, and the words that there is none (no-matches): added and ended, never changed."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, insert, or_, select, update

from hub.patients.store_tables import IDENTITY, LINK
from hub.storage.engine import UnitOfWork
from hub.storage.prepared import Prepared
from hub.values import now

NO_MATCH = "no-match"


@dataclass(frozen=True, slots=True)
class Edge:
    """A live edge. Of a merge or a changed number, ``one`` is the identity in use, ``other`` the number that is not."""

    id: int
    one: int
    other: int
    rule: str

    def far(self, identity: int) -> int:
        """Its other end."""
        return self.other if self.one == identity else self.one


@dataclass(frozen=True, slots=True)
class Word:
    """Who says it, why, and on what evidence. ``evidence``: JSON of fields, levels and weights, never of values."""

    author: str = ""
    message_id: str = ""
    reason: str = ""
    evidence: str = ""
    model_version: str = ""


_ADD = Prepared(
    lambda _dialect: insert(LINK).inline(),  # gives no id back: so several rows go in one statement
    *("one", "other", "rule", "message_id", "author", "reason", "evidence", "model_version", "since"),
    *("ended_why", "ended_by"),
)
_LIVE = LINK.c.ended_at.is_(None)
_EDGE = select(LINK.c.id, LINK.c.one, LINK.c.other, LINK.c.rule)
_OF_ONE = Prepared(
    lambda _dialect: _EDGE.where(
        or_(LINK.c.one == bindparam("identity"), LINK.c.other == bindparam("identity")), _LIVE, LINK.c.rule != NO_MATCH
    )
)
_BARRED = Prepared(
    lambda _dialect: select(LINK.c.one, LINK.c.other).where(
        or_(LINK.c.one == bindparam("identity"), LINK.c.other == bindparam("identity")), _LIVE, LINK.c.rule == NO_MATCH
    )
)
_ONE, _TWO = IDENTITY.alias(), IDENTITY.alias()
_BETWEEN: tuple[ColumnElement[Any], ...] = tuple(bindparam(name) for name in ("person", "another"))
_APART = Prepared(
    lambda _dialect: (
        select(LINK.c.id, LINK.c.one, LINK.c.other, LINK.c.rule, _ONE.c.person, _TWO.c.person)
        .join(_ONE, _ONE.c.id == LINK.c.one)
        .join(_TWO, _TWO.c.id == LINK.c.other)
        .where(
            or_(*(_ONE.c.person == item for item in _BETWEEN)),
            or_(*(_TWO.c.person == item for item in _BETWEEN)),
            _LIVE,
            LINK.c.rule == NO_MATCH,
        )
    )
)


class LinkStore:
    """Edges and no-matches, for changes."""

    def __init__(self, work: UnitOfWork) -> None:
        self._work = work

    @property
    def _connection(self) -> Connection:
        """For questions and changes: what waits is written before."""
        self._work.flush()
        return self._work.connection

    def add(self, one: int, other: int, rule: str, word: Word) -> None:
        """A new edge, or no-match."""
        values = {
            "one": one, "other": other, "rule": rule, "message_id": word.message_id, "author": word.author,
            "reason": word.reason, "evidence": word.evidence, "model_version": word.model_version, "since": now(),
            "ended_why": "", "ended_by": "",
        }  # fmt: skip
        self._work.later(_ADD, values)

    def edges(self, identities: Iterable[int]) -> list[Edge]:
        """Live edges of the identities, without no-matches."""
        ids = sorted(identities)
        if len(ids) == 1:
            return [Edge(*row) for row in _OF_ONE.rows(self._connection, {"identity": ids[0]})]
        query = _EDGE.where(or_(LINK.c.one.in_(ids), LINK.c.other.in_(ids)), _LIVE, LINK.c.rule != NO_MATCH)
        return [Edge(*row) for row in self._connection.execute(query)]

    def within(self, person: int) -> list[Edge]:
        """Live edges of a person's identities, also of those that are not in use."""
        query = _EDGE.join(IDENTITY, IDENTITY.c.id == LINK.c.one)
        query = query.where(IDENTITY.c.person == person, _LIVE, LINK.c.rule != NO_MATCH)
        return [Edge(*row) for row in self._connection.execute(query)]

    def barred(self, identity: int) -> set[int]:
        """The identities that somebody said this one is not."""
        rows = _BARRED.rows(self._connection, {"identity": identity})
        return {other if one == identity else one for one, other in rows}

    def apart(self, person: int, other: int) -> list[Edge]:
        """Live no-matches between the identities of two persons, or within one; numbers out of use count."""
        rows, wanted = _APART.rows(self._connection, {"person": person, "another": other}), {person, other}
        return [Edge(*row[:4]) for row in rows if {row[4], row[5]} == wanted]

    def end(self, edges: Iterable[int], why: str, by: str = "") -> None:
        """They hold no more."""
        ids = sorted(edges)
        if ids:
            values = {"ended_at": now(), "ended_why": why, "ended_by": by}
            self._connection.execute(update(LINK).where(LINK.c.id.in_(ids), _LIVE).values(values))
