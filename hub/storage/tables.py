"""What all rooms' tables share: column types, and names for constraints (so that migrations can name them)."""

from datetime import UTC, datetime

from sqlalchemy import Connection, DateTime, Dialect, String
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel import SQLModel

#: Constraints get the same names on both databases: a migration must be able to name what it drops.
NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
METADATA = SQLModel.metadata
METADATA.naming_convention = NAMING
#: By database and room: what a store wants beside its tables (triggers), as statements that can be repeated. They run
#: when the tables are made and after every migration.
GUARDS: dict[str, dict[str, list[str]]] = {"sqlite": {}, "postgresql": {}}


def put_guards(connection: Connection) -> None:
    """Carry out what ``GUARDS`` holds, in the open transaction."""
    for statements in GUARDS[connection.dialect.name].values():
        for statement in statements:
            connection.exec_driver_sql(statement)


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: takes aware datetimes, stores UTC, gives aware UTC back on every database.

    In a table: ``received_at: datetime = Field(sa_type=UtcDateTime)``. A naive datetime is refused (ValueError)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """To UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored instant must be aware")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """SQLite gives naive values back: they are UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class KeyText(TypeDecorator[str]):
    """Text that is compared byte by byte on every database: keys, normalised names.

    A prefix can then be looked up as a range in a plain index, and rows page in the same order everywhere."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        """PostgreSQL's default order depends on the locale; "C" does not."""
        return dialect.type_descriptor(String(collation="C") if dialect.name == "postgresql" else String())


def prefix_end(prefix: str) -> str:
    """The first text after all texts that start with the (not empty) prefix."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
