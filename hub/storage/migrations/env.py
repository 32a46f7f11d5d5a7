"""Alembic's environment: run by ``hub.storage.migrate`` with an open connection, never by Alembic's own command."""

from typing import Any, Literal

import sqlalchemy as sa
from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlmodel.sql.sqltypes import AutoString

from hub.storage.migrate import load_stores
from hub.storage.tables import METADATA, KeyText, UtcDateTime


def _render(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """Plain SQLAlchemy types in revisions: an old revision must not change when our classes do."""
    if kind != "type":
        return False
    if isinstance(item, KeyText):
        return "sa.String().with_variant(sa.String(collation='C'), 'postgresql')"
    if isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if isinstance(item, AutoString):
        return f"sa.String(length={item.length})" if item.length else "sa.String()"
    return False


def _run() -> None:
    connection: sa.Connection = context.config.attributes["connection"]
    load_stores()
    context.configure(
        connection=connection,
        target_metadata=METADATA,
        render_as_batch=True,
        render_item=_render,
        compare_type=True,
        transaction_per_migration=False,
    )
    context.run_migrations()


_run()
