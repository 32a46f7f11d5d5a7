"""Searches for registry objects: one prepared statement for each form that a question can have."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, String, Table, and_, bindparam, func, not_, or_, select

from hub.documents.criteria import Clause, Operator
from hub.documents.rows import SEPARATOR
from hub.storage.beside import Beside, rows_beside
from hub.storage.prepared import Prepared
from hub.storage.tables import METADATA

#: Forms that are prepared: callers choose the form, so there must be an end to how many the databases keep.
_MOST_FORMS = 300
_MOST_VALUES = 64  #: of one statement that is prepared
_FORMS: dict[Any, Prepared] = {}


def search(
    connection: Connection,
    table: Table,
    columns: Sequence[str],
    clauses: Iterable[Clause],
    *,
    order: Sequence[str] = (),
    descending: bool = False,
    limit: int | None = None,
    among: Clause | None = None,
    beside: Beside | None = None,
) -> Sequence[Sequence[Any]]:
    """The columns of the rows that fulfil every clause. ``among``, ``beside``: see ``DocumentStore.find``."""
    asked = [_rounded(clause) for clause in clauses]
    within = _rounded(replace(among, operator=Operator.IN)) if among is not None else None  # terms are single values
    values = [value for clause in (*asked, within) if clause for group in _groups(clause) for value in group]

    def statement(dialect: str, asked: Sequence[Clause], within: Clause | None, most: Any) -> Select[Any]:
        by = [table.c[name].desc() if descending else table.c[name] for name in order]
        made = select(*(table.c[name] for name in columns)).order_by(*by)
        made = made.where(*(condition(table, clause, dialect) for clause in asked))
        if within is not None:
            term = METADATA.tables["documents_term"]
            made = made.where(table.c.id.in_(select(term.c.object).where(*of_terms(term, within))))
        return made.limit(most) if limit is not None else made

    key = (
        table.name, tuple(columns), tuple(map(_form, asked)), tuple(order), descending, limit is not None,
        _form(within) if within else None,
    )  # fmt: skip
    prepared = _FORMS.get(key)
    if prepared is None:
        if len(values) > _MOST_VALUES or len(_FORMS) >= _MOST_FORMS:
            return connection.execute(statement(connection.dialect.name, asked, within, limit)).all()
        places = (bindparam(f"v{number}", type_=String()) for number in range(len(values)))
        open_clauses = [_open(clause, places) for clause in asked]
        open_within = _open(within, places) if within else None
        prepared = Prepared(lambda name: statement(name, open_clauses, open_within, bindparam("most")))
        _FORMS[key] = prepared
    bound: dict[str, Any] = {f"v{number}": value for number, value in enumerate(values)}
    return rows_beside(connection, prepared, bound if limit is None else bound | {"most": limit}, beside)


def of_terms(term: Table, clause: Clause) -> tuple[ColumnElement[bool], ...]:
    """The terms that fulfil a clause."""
    return term.c.attribute == clause.field, term.c.value.in_(clause.values)


def condition(table: Table, clause: Clause, dialect: str) -> ColumnElement[bool]:
    """A clause in SQL; its values are values or places for them."""
    if clause.without:
        groups = (Clause(clause.field, clause.operator, group) for group in clause.without)
        return not_(and_(*(condition(table, group, dialect) for group in groups)))
    column = table.c[clause.field]
    if clause.operator is Operator.HAS:
        # Not LIKE: SQLite's takes capital and small letters for the same.
        position = func.strpos if dialect == "postgresql" else func.instr
        return or_(*(position(column, value) > 0 for value in clause.values))
    if clause.operator is Operator.FROM:
        return (column != "") & (column >= clause.values[0])
    if clause.operator is Operator.BEFORE:
        return (column != "") & (column < clause.values[0])
    return column.in_(clause.values)


def _groups(clause: Clause) -> tuple[tuple[str, ...], ...]:
    return clause.without or (clause.values,)


def _form(clause: Clause) -> tuple[Any, ...]:
    return clause.field, clause.operator, bool(clause.without), *map(len, _groups(clause))


def _rounded(clause: Clause) -> Clause:
    """As many values as the next power of two, the last one again and again: so there are few forms."""
    groups = []
    for group in _groups(clause):
        values = (
            tuple(f"{SEPARATOR}{value}{SEPARATOR}" for value in group) if clause.operator is Operator.HAS else group
        )
        wanted = 1 << (len(values) - 1).bit_length() if values else 0
        groups.append(values + values[-1:] * (wanted - len(values)))
    return _with_groups(clause, tuple(groups))


def _open(clause: Clause, places: Iterator[Any]) -> Clause:
    groups = tuple(tuple(next(places) for _ in group) for group in _groups(clause))
    return _with_groups(clause, groups)


def _with_groups(clause: Clause, groups: tuple[tuple[Any, ...], ...]) -> Clause:
    return replace(clause, without=groups) if clause.without else replace(clause, values=groups[0])
