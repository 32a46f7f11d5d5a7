"""The mail room's table and queries."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, insert, select, update
from sqlalchemy.engine import Row
from sqlmodel import Field, SQLModel

from hub.mail.model import Letter, LetterKind, LetterReason, LetterState, ListLetters
from hub.storage.engine import UnitOfWork
from hub.storage.tables import METADATA, KeyText, UtcDateTime


class LetterRow(SQLModel, table=True):
    """Documents on their way to one box."""

    __tablename__ = "mail_letter"

    id: str = Field(primary_key=True, sa_type=KeyText)
    kind: str
    source: str = ""  # the feed whose message asked for it, and that message's MSH-10
    control_id: str = ""
    author: str = ""  # who wrote it by hand
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


class LetterDocumentRow(SQLModel, table=True):
    """A document of a letter."""

    __tablename__ = "mail_letter_document"

    letter: str = Field(primary_key=True, sa_type=KeyText)
    place: int = Field(primary_key=True)
    unique_id: str = Field(sa_type=KeyText, index=True)
    entry: str = Field(default="", sa_type=KeyText, index=True)  # entryUUID once it is registered


LETTER = METADATA.tables["mail_letter"]
DOCUMENT = METADATA.tables["mail_letter_document"]


class LetterStore:
    """Letters, within one unit of work."""

    def __init__(self, work: UnitOfWork) -> None:
        self._connection = work.connection

    def add(self, values: Mapping[str, Any], documents: Iterable[tuple[str, str]]) -> None:
        """A new one. ``documents``: uniqueId and entryUUID ("" : not registered yet) of each."""
        self._connection.execute(insert(LETTER), dict(values))
        for place, (unique_id, entry) in enumerate(documents):
            row = {"letter": values["id"], "place": place, "unique_id": unique_id, "entry": entry}
            self._connection.execute(insert(DOCUMENT), row)

    def get(self, key: str, *, lock: bool = False) -> Row[Any] | None:
        """One row; ``lock``: nobody else changes it meanwhile."""
        query = select(LETTER).where(LETTER.c.id == key)
        return self._connection.execute(query.with_for_update() if lock else query).first()

    def documents(self, letters: Collection[str]) -> dict[str, list[Row[Any]]]:
        """The documents of letters, in their order."""
        query = select(DOCUMENT).where(DOCUMENT.c.letter.in_(sorted(letters))).order_by(DOCUMENT.c.place)
        found: dict[str, list[Row[Any]]] = {letter: [] for letter in letters}
        for row in self._connection.execute(query):
            found[row.letter].append(row)
        return found

    def of_document(self, unique_ids: Collection[str]) -> list[Row[Any]]:
        """Of documents."""
        return self._holding(DOCUMENT.c.unique_id.in_(sorted(unique_ids)))

    def of_entries(self, entries: Collection[str], states: Collection[LetterState]) -> list[Row[Any]]:
        """Of registered entries, in one of the states."""
        return self._holding(and_(DOCUMENT.c.entry.in_(sorted(entries)), LETTER.c.state.in_(sorted(states))))

    def _holding(self, condition: ColumnElement[bool]) -> list[Row[Any]]:
        holding = select(DOCUMENT.c.letter).join(LETTER, LETTER.c.id == DOCUMENT.c.letter).where(condition)
        query = select(LETTER).where(LETTER.c.id.in_(holding)).order_by(LETTER.c.created_at, LETTER.c.id)
        return list(self._connection.execute(query))

    def register(self, unique_id: str, entry: str) -> None:
        """A document that letters wait for is registered."""
        here = and_(DOCUMENT.c.unique_id == unique_id, DOCUMENT.c.entry == "")
        self._connection.execute(update(DOCUMENT).where(here).values(entry=entry))

    def of_message(self, message_id: str) -> Row[Any] | None:
        """The one that a report is about, locked."""
        query = select(LETTER).where(LETTER.c.message_id == message_id).with_for_update()
        return self._connection.execute(query).first()

    def of_token(self, token_hash: str) -> Row[Any] | None:
        """The notice whose link this is, locked."""
        query = select(LETTER).where(LETTER.c.token_hash == token_hash, LETTER.c.token_hash != "")
        return self._connection.execute(query.with_for_update()).first()

    def held_of(self, patients: Iterable[str], reasons: Iterable[LetterReason]) -> list[Row[Any]]:
        """What is held of persons for one of the reasons."""
        here = and_(
            LETTER.c.patient.in_(sorted(patients)),
            LETTER.c.state == LetterState.HELD.value,
            LETTER.c.reason.in_([reason.value for reason in reasons]),
        )
        return list(self._connection.execute(select(LETTER).where(here)))

    def sent_to(self, patients: Iterable[str], kinds: Iterable[str]) -> list[Row[Any]]:
        """What has left, about persons (CX)."""
        here = and_(
            LETTER.c.patient.in_(sorted(patients)),
            LETTER.c.kind.in_(sorted(kinds)),
            LETTER.c.state.in_([LetterState.SENT.value, LetterState.DELIVERED.value, LetterState.READ.value]),
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
        page = found.limit(max(1, min(query.limit, 500))).offset(max(0, query.offset))
        return self.letters(self._connection.execute(page).all())

    def letters(self, rows: Collection[Row[Any]]) -> tuple[Letter, ...]:
        """Rows as others see them."""
        documents = self.documents([row.id for row in rows])
        return tuple(letter_of(row, [item.unique_id for item in documents[row.id]]) for row in rows)

    def counts(self) -> dict[tuple[str, str], int]:
        """How many, by state and reason."""
        query = select(LETTER.c.state, LETTER.c.reason, func.count()).group_by(LETTER.c.state, LETTER.c.reason)
        return {(state, reason): count for state, reason, count in self._connection.execute(query)}


def letter_of(row: Row[Any], unique_ids: Iterable[str]) -> Letter:
    """A row as others see it."""
    return Letter(
        id=row.id,
        kind=LetterKind(row.kind),
        unique_ids=tuple(unique_ids),
        recipient=row.recipient if row.kind in (LetterKind.PROFESSIONAL, LetterKind.NOTICE) else "",  # no INS is shown
        state=LetterState(row.state),
        reason=LetterReason(row.reason) if row.reason else None,
        detail=row.detail,
        attempts=row.attempts,
        author=row.author,
        changed_at=row.changed_at,
        sent_at=row.sent_at,
    )
