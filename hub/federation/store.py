"""The federation room's table: by which numbers other communities know persons of this region, and until when."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Index, delete, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel

from hub.federation.model import Correlation
from hub.storage.engine import UnitOfWork
from hub.storage.tables import METADATA, KeyText, UtcDateTime
from hub.values import PatientIdentifier


class CorrelationRow(SQLModel, table=True):
    """One number in one other community, found by ITI-55."""

    __tablename__ = "federation_correlation"
    __table_args__ = (Index("ix_federation_correlation_number", "community", "authority", "value"),)

    person_authority: str = Field(primary_key=True, sa_type=KeyText)
    person_value: str = Field(primary_key=True, sa_type=KeyText)
    community: str = Field(primary_key=True, sa_type=KeyText)
    authority: str = Field(primary_key=True, sa_type=KeyText)
    value: str = Field(primary_key=True, sa_type=KeyText)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)


ROWS = METADATA.tables["federation_correlation"]
_DIALECTS: dict[str, Any] = {"sqlite": sqlite, "postgresql": postgresql}


class CorrelationStore:
    """Correlations of persons, by regional identifier."""

    def __init__(self, work: UnitOfWork) -> None:
        self.work = work

    def of(self, person: PatientIdentifier, at: datetime) -> tuple[Correlation, ...]:
        """Those that still hold, by community."""
        wanted = (
            select(ROWS.c.community, ROWS.c.value, ROWS.c.authority, ROWS.c.expires_at)
            .where(ROWS.c.person_authority == person.authority, ROWS.c.person_value == person.value)
            .where(ROWS.c.expires_at > at)
            .order_by(ROWS.c.community, ROWS.c.authority, ROWS.c.value)
        )
        return tuple(
            Correlation(row.community, PatientIdentifier(row.value, row.authority), row.expires_at)
            for row in self.work.connection.execute(wanted)
        )

    def owners(
        self, community: str, numbers: Iterable[PatientIdentifier], at: datetime
    ) -> list[tuple[PatientIdentifier, PatientIdentifier]]:
        """(number, person) of those whom a community knows by one of its numbers."""
        named = tuple_(ROWS.c.authority, ROWS.c.value).in_([(item.authority, item.value) for item in numbers])
        wanted = (
            select(ROWS.c.value, ROWS.c.authority, ROWS.c.person_value, ROWS.c.person_authority)
            .where(ROWS.c.community == community, ROWS.c.expires_at > at, named)
            .order_by(ROWS.c.person_authority, ROWS.c.person_value)
        )
        return [
            (PatientIdentifier(row.value, row.authority), PatientIdentifier(row.person_value, row.person_authority))
            for row in self.work.connection.execute(wanted)
        ]

    def replace(
        self, person: PatientIdentifier, community: str, numbers: Iterable[PatientIdentifier], expires_at: datetime
    ) -> None:
        """All that is known of the person at a community, instead of what was."""
        self.forget(person, community)
        connection = self.work.connection
        insert = _DIALECTS[connection.dialect.name].insert
        for number in sorted(set(numbers), key=lambda item: (item.authority, item.value)):  # one order: no deadlock
            row = insert(ROWS).values(
                person_authority=person.authority,
                person_value=person.value,
                community=community,
                authority=number.authority,
                value=number.value,
                expires_at=expires_at,
            )
            # Two questions about one person may find the same at the same time.
            row = row.on_conflict_do_update(index_elements=list(ROWS.primary_key), set_={"expires_at": expires_at})
            connection.execute(row)

    def forget(self, person: PatientIdentifier, community: str = "") -> None:
        """Drop a person's correlations, at one community or at all."""
        gone = delete(ROWS).where(ROWS.c.person_authority == person.authority, ROWS.c.person_value == person.value)
        self.work.connection.execute(gone.where(ROWS.c.community == community) if community else gone)

    def sweep(self, at: datetime) -> None:
        """Drop what no longer holds, of anybody."""
        self.work.connection.execute(delete(ROWS).where(ROWS.c.expires_at <= at))
