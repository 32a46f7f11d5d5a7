"""The mail room's table and queries."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, insert, select, update
from sqlalchemy.engine import Row
from sqlmodel import Field, SQLModel

from hub.mail.model import Letter, LetterKind, LetterReason, LetterState, ListLetters
from hub.storage.engine import UnitOfWork
from hub.storage.tables import METADATA, KeyText, UtcDateTime


class LetterRow(SQLModel, table=True):
    """One document on its way to one box."""

    __tablename__ = "mail_letter"

    id: str = Field(primary_key=True, sa_type=KeyText)
    kind: str
    unique_id: str = Field(sa_type=KeyText, index=True)  # of the document
    entry: str = Field(default="", sa_type=KeyText, index=True)  # entryUUID once it is registered
    told_of: str = ""  # CX of the person that the report's message is about
    patient: str = Field(default="", sa_type=KeyText, index=True)  # CX, regional, once it is registered
    recipient: str = Field(default="", sa_type=KeyText)  # "" for the patient's box
    reply_to: str = ""
    text: str = ""
    no_reply: bool = False
    tell_delivery: bool = False
    tell_reading: bool = False
    message_id: str = Field(sa_type=KeyText, index=True)
    token_hash: str = Field(default="", sa_type=KeyText, index=True)  # SHA-256 of a notice's token
    token_ends_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    state: str = Field(index=True)
    reason: str = Field(default="", index=True)
    detail: str = ""
    attempts: int = 0
    created_at: datetime = Field(sa_type=UtcDateTime)
    changed_at: datetime = Field(sa_type=UtcDateTime, index=True)
    sent_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


LETTER = METADATA.tables["mail_letter"]


class LetterStore:
    """Letters, within one unit of work."""

    def __init__(self, work: UnitOfWork) -> None:
        self._connection = work.connection

    def add(self, values: Mapping[str, Any]) -> None:
        """A new one."""
        self._connection.execute(insert(LETTER), dict(values))

    def get(self, key: str, *, lock: bool = False) -> Row[Any] | None:
        """One row; ``lock``: nobody else changes it meanwhile."""
        query = select(LETTER).where(LETTER.c.id == key)
        return self._connection.execute(query.with_for_update() if lock else query).first()

    def of_document(self, unique_ids: Collection[str]) -> list[Row[Any]]:
        """Of documents."""
        return list(self._connection.execute(select(LETTER).where(LETTER.c.unique_id.in_(sorted(unique_ids)))))

    def of_entries(self, entries: Collection[str], states: Collection[LetterState]) -> list[Row[Any]]:
        """Of registered entries, in one of the states."""
        here = and_(LETTER.c.entry.in_(sorted(entries)), LETTER.c.state.in_(sorted(states)))
        return list(self._connection.execute(select(LETTER).where(here)))

    def of_message(self, message_id: str) -> Row[Any] | None:
        """The one that a report is about, locked."""
        query = select(LETTER).where(LETTER.c.message_id == message_id).with_for_update()
        return self._connection.execute(query).first()

    def of_token(self, token_hash: str) -> Row[Any] | None:
        """The notice whose link this is, locked."""
        query = select(LETTER).where(LETTER.c.token_hash == token_hash, LETTER.c.token_hash != "")
        return self._connection.execute(query.with_for_update()).first()

    def held_of(self, patients: Iterable[str], reason: LetterReason) -> list[Row[Any]]:
        """What is held of persons for a reason."""
        here = and_(
            LETTER.c.patient.in_(sorted(patients)),
            LETTER.c.state == LetterState.HELD.value,
            LETTER.c.reason == reason.value,
        )
        return list(self._connection.execute(select(LETTER).where(here)))

    def change(self, key: str, **values: Any) -> None:
        """Change a row."""
        self._connection.execute(update(LETTER).where(LETTER.c.id == key).values(**values))

    def list(self, query: ListLetters) -> tuple[Letter, ...]:
        """The last changed first."""
        found = select(LETTER).order_by(LETTER.c.changed_at.desc(), LETTER.c.id.desc())
        if query.state:
            found = found.where(LETTER.c.state == query.state.value)
        if query.reason:
            found = found.where(LETTER.c.reason == query.reason.value)
        rows = self._connection.execute(found.limit(max(1, min(query.limit, 500))).offset(max(0, query.offset)))
        return tuple(letter_of(row) for row in rows)

    def counts(self) -> dict[tuple[str, str], int]:
        """How many, by state and reason."""
        query = select(LETTER.c.state, LETTER.c.reason, func.count()).group_by(LETTER.c.state, LETTER.c.reason)
        return {(state, reason): count for state, reason, count in self._connection.execute(query)}


def letter_of(row: Row[Any]) -> Letter:
    """A row as others see it."""
    return Letter(
        id=row.id,
        kind=LetterKind(row.kind),
        unique_id=row.unique_id,
        recipient=row.recipient if row.kind != LetterKind.PATIENT else "",
        state=LetterState(row.state),
        reason=LetterReason(row.reason) if row.reason else None,
        detail=row.detail,
        attempts=row.attempts,
        changed_at=row.changed_at,
        sent_at=row.sent_at,
    )
