"""Many values as one parameter of a statement: an array on PostgreSQL, the rows of ``json_each`` on SQLite."""

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, text


def among(parameter: str, kind: str = "text") -> str:
    """PostgreSQL's condition: one of the parameter's values, of this type. The sub-select hides how many there are:
    where its estimates depend on that, the statement is planned at each execution."""
    return f"= ANY(CAST((SELECT CAST(:{parameter} AS {kind}[])) AS {kind}[]))"


def one_of(column: ColumnElement[Any], parameter: str, dialect: str) -> Any:
    """The condition of a prepared statement: the column's value is one of the parameter's texts, as ``listed``."""
    some = among(parameter) if dialect == "postgresql" else f"IN (SELECT value FROM json_each(:{parameter}))"  # noqa: S608 (our own name)
    return text(f"{column} {some}")


def listed(connection: Connection, values: Sequence[Any]) -> Any:
    """The values as the database takes them."""
    return orjson.dumps(list(values)).decode() if connection.dialect.name == "sqlite" else list(values)
