"""A principal as a session keeps it: everything but what they may do."""

from dataclasses import asdict
from typing import Any

import orjson

from hub.access.model import Principal, Professional, Scheme


def written(principal: Principal) -> str:
    """The principal as text, without permissions: those are looked up anew at each request."""
    row = asdict(principal)
    del row["permissions"]
    row["roles"] = sorted(principal.roles)
    return orjson.dumps(row, option=orjson.OPT_SORT_KEYS).decode()


def restored(text: str) -> Principal:
    """The principal again, without permissions."""
    row: dict[str, Any] = orjson.loads(text)
    professional = row.pop("professional")
    if professional is not None:
        professional["specialities"] = tuple(professional["specialities"])
    return Principal(
        **{
            **row,
            "scheme": Scheme(row["scheme"]),
            "roles": frozenset(row["roles"]),
            "professional": Professional(**professional) if professional is not None else None,
        }
    )
