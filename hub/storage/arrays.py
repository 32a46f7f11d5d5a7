"""Many values as one parameter of a statement: an array on PostgreSQL, the rows of ``json_each`` on SQLite."""

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Connection


def among(parameter: str, kind: str = "text") -> str:
    """PostgreSQL's condition: one of the parameter's values, of this type. The sub-select hides how many there are:
    where its estimates depend on that, the statement is planned at each execution."""
    return f"= ANY(CAST((SELECT CAST(:{parameter} AS {kind}[])) AS {kind}[]))"


def listed(connection: Connection, values: Sequence[Any]) -> Any:
    """The values as the database takes them."""
    return orjson.dumps(list(values)).decode() if connection.dialect.name == "sqlite" else list(values)
