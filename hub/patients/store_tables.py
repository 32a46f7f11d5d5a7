"""The patients room's tables."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Index, Integer, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from hub.storage.tables import METADATA, KeyText, UtcDateTime

Key = BigInteger().with_variant(Integer(), "sqlite")  # SQLite counts up INTEGER PRIMARY KEY only


class AuthorityRow(SQLModel, table=True):
    """An assigning authority learned from a feed."""

    __tablename__ = "patients_authority"

    oid: str = Field(primary_key=True, sa_type=KeyText)
    namespace: str = Field(index=True)
    learned_at: datetime = Field(sa_type=UtcDateTime)


class PersonRow(SQLModel, table=True):
    """A regional identifier: a person, or (with ``survivor``) an alias of one. Never deleted, never given twice."""

    __tablename__ = "patients_person"
    __table_args__ = (UniqueConstraint("value", "authority"), Index("ix_patients_person_survivor", "survivor"))

    id: int | None = Field(default=None, primary_key=True, sa_type=Key)
    value: str = Field(sa_type=KeyText)
    authority: str = Field(sa_type=KeyText)
    external: bool = False
    survivor: int | None = Field(default=None, sa_type=BigInteger)
    created_at: datetime = Field(sa_type=UtcDateTime)


class IdentityRow(SQLModel, table=True):
    """A hospital's identity, the person that it belongs to, and what it is looked up by.

    ``home``: the person that was made for it, and that it goes back to when it leaves a link; ``keys_version``: of the
    blocking keys that are stored for it (``scoring.keys.VERSION``), 0 where none are or its traits changed since."""

    __tablename__ = "patients_identity"
    __table_args__ = (
        UniqueConstraint("value", "authority"),
        Index("ix_patients_identity_person", "person"),
        Index("ix_patients_identity_survivor", "survivor"),
        Index("ix_patients_identity_ins", "ins_value"),
        Index("ix_patients_identity_strict", "strict_key"),
        Index("ix_patients_identity_birth", "birth_date", "id"),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=Key)
    value: str = Field(sa_type=KeyText)
    authority: str = Field(sa_type=KeyText)
    person: int = Field(sa_type=BigInteger)
    home: int | None = Field(default=None, sa_type=BigInteger)
    survivor: int | None = Field(default=None, sa_type=BigInteger)
    active: bool = True
    status: str
    attributes: str = ""
    traits: dict[str, Any] = Field(sa_type=JSON)
    others: list[list[str]] = Field(sa_type=JSON)
    ins_value: str | None = Field(default=None, sa_type=KeyText)
    ins_authority: str | None = None
    strict_key: int | None = Field(default=None, sa_type=BigInteger)
    birth_date: str = Field(default="", sa_type=KeyText)
    given: str = ""
    sex: str = ""
    postal_code: str = ""
    updated_at: datetime = Field(sa_type=UtcDateTime)
    keys_version: int = 0


class NameRow(SQLModel, table=True):
    """A key under which an active identity's family name is found."""

    __tablename__ = "patients_name"
    __table_args__ = ({"sqlite_with_rowid": False},)

    key: str = Field(primary_key=True, sa_type=KeyText)
    identity: int = Field(primary_key=True, sa_type=BigInteger, index=True)


class LinkRow(SQLModel, table=True):
    """An edge between two identities, or (rule "no-match") the word that there is none: ended, never removed."""

    __tablename__ = "patients_link"

    id: int | None = Field(default=None, primary_key=True, sa_type=Key)
    one: int = Field(sa_type=BigInteger, index=True)
    other: int = Field(sa_type=BigInteger, index=True)
    rule: str
    message_id: str = ""
    author: str = ""
    reason: str = Field(default="", sa_type=Text)
    evidence: str = Field(default="", sa_type=Text)
    model_version: str = ""
    since: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    ended_why: str = ""
    ended_by: str = ""


_OPEN = text("closed_at IS NULL")


class TaskRow(SQLModel, table=True):
    """A question for a steward. ``fingerprint``: of what was compared, so that the same is not asked again."""

    __tablename__ = "patients_task"
    __table_args__ = (
        Index("ix_patients_task_identity", "identity", "kind"),
        Index("ix_patients_task_open", "kind", "id", sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index("ix_patients_task_open_id", "id", sqlite_where=_OPEN, postgresql_where=_OPEN),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=Key)
    kind: str = Field(sa_type=KeyText)
    identity: int = Field(sa_type=BigInteger)
    others: list[int] = Field(sa_type=JSON)
    reason: str = ""
    evidence: str = Field(default="", sa_type=Text)
    fingerprint: int = Field(default=0, sa_type=BigInteger)
    message_id: str = ""
    created_at: datetime = Field(sa_type=UtcDateTime)
    changed_at: datetime = Field(sa_type=UtcDateTime)
    closed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    proposed: str = ""
    proposed_other: int | None = Field(default=None, sa_type=BigInteger)
    proposed_by: str = ""
    decided: str = ""
    decided_by: str = ""
    decided_why: str = Field(default="", sa_type=Text)


class TaskAboutRow(SQLModel, table=True):
    """Which identities an open task is about."""

    __tablename__ = "patients_task_about"
    __table_args__ = ({"sqlite_with_rowid": False},)

    identity: int = Field(primary_key=True, sa_type=BigInteger)
    task: int = Field(primary_key=True, sa_type=BigInteger, index=True)


AUTHORITY = METADATA.tables["patients_authority"]
PERSON = METADATA.tables["patients_person"]
IDENTITY = METADATA.tables["patients_identity"]
NAME = METADATA.tables["patients_name"]
LINK = METADATA.tables["patients_link"]
TASK = METADATA.tables["patients_task"]
TASK_ABOUT = METADATA.tables["patients_task_about"]
