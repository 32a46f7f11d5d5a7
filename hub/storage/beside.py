"""A question that is known before its answer is needed: it goes to the database along with another one."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from hub.storage.prepared import Prepared, Values, ask

Rows = list[tuple[Any, ...]]


@dataclass(slots=True)
class Beside:
    """``rows``: its answer, once there is one."""

    statement: Prepared
    values: Values
    rows: Rows | None = None

    def answer(self, connection: Connection) -> Rows:
        """The rows; asked for now when nobody took the question along."""
        if self.rows is None:
            self.rows = self.statement.rows(connection, self.values)
        return self.rows


def rows_beside(connection: Connection, statement: Prepared, values: Values, beside: Beside | None) -> Rows:
    """The rows of a statement; what goes beside it is asked after it, on PostgreSQL in the same round trip."""
    if beside is None or beside.rows is not None:
        return statement.rows(connection, values)
    rows, beside.rows = ask(connection, [(statement, values), (beside.statement, beside.values)])
    return rows
