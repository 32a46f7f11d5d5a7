"""The current visit of each hospital's patient: one row an identity."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, bindparam, delete, insert, select, update
from sqlmodel import Field, SQLModel

from hub.patients.store_tables import IDENTITY, PERSON
from hub.patients.visits_model import Visit
from hub.storage.engine import UnitOfWork
from hub.storage.prepared import Prepared
from hub.storage.tables import METADATA, KeyText, UtcDateTime, prefix_end
from hub.values import PatientIdentifier

POINT_OF_CARE = (3, 1)
NUMBER = (19, 1)


class VisitRow(SQLModel, table=True):
    """A visit that is not over."""

    __tablename__ = "patients_visit"
    __table_args__ = (
        Index("ix_patients_visit_number", "number"),
        Index("ix_patients_visit_account", "account"),
        Index("ix_patients_visit_place", "place"),
        {"sqlite_with_rowid": False},
    )

    value: str = Field(primary_key=True, sa_type=KeyText)
    authority: str = Field(primary_key=True, sa_type=KeyText)
    number: str = Field(default="", sa_type=KeyText)
    account: str = Field(default="", sa_type=KeyText)
    place: str = Field(default="", sa_type=KeyText)
    body: dict[str, Any] = Field(sa_type=JSON)
    at: datetime | None = Field(default=None, sa_type=UtcDateTime)


VISIT = METADATA.tables["patients_visit"]
_OF_IDENTITY = Prepared(
    lambda _dialect: select(VISIT.c.body, VISIT.c.at).where(
        VISIT.c.value == bindparam("value"), VISIT.c.authority == bindparam("authority")
    )
)
_NOW = IDENTITY.alias("now")
_BEGUN = Prepared(
    lambda _dialect: (
        select(VISIT.c.value, VISIT.c.authority)
        .join(IDENTITY, (IDENTITY.c.value == VISIT.c.value) & (IDENTITY.c.authority == VISIT.c.authority))
        .join(_NOW, _NOW.c.person == IDENTITY.c.person)
        .where(VISIT.c.number == bindparam("number"), VISIT.c.authority == bindparam("authority"))
        .where(IDENTITY.c.survivor.is_not(None))
        .where(_NOW.c.value == bindparam("value"), _NOW.c.authority == bindparam("authority"))
    )
)


class VisitStore:
    """Visits by identity, by person, and by what they are looked for."""

    def __init__(self, work: UnitOfWork) -> None:
        self._connection = work.connection

    def get(self, identity: PatientIdentifier) -> Visit | None:
        """The visit of a hospital's patient."""
        row = _OF_IDENTITY.first(self._connection, {"value": identity.value, "authority": identity.authority})
        return _visit(row[0], row[1]) if row is not None else None

    def put(self, identity: PatientIdentifier, visit: Visit) -> None:
        """It takes the place of the one before."""
        self.remove(identity)
        values = {
            "value": identity.value,
            "authority": identity.authority,
            "number": visit.number.value if visit.number else "",
            "account": visit.account.value if visit.account else "",
            "place": visit.fields.get(POINT_OF_CARE[0], "").partition("^")[0],
            "body": _body(visit),
            "at": visit.at,
        }
        self._connection.execute(insert(VISIT), [values])

    def remove(self, identity: PatientIdentifier) -> None:
        """It is over, or never was."""
        where = (VISIT.c.value == identity.value, VISIT.c.authority == identity.authority)
        self._connection.execute(delete(VISIT).where(*where))

    def move(self, old: PatientIdentifier, new: PatientIdentifier) -> None:
        """The identity has another number from now on."""
        if self.get(old) is None:
            return
        self.remove(new)
        where = (VISIT.c.value == old.value, VISIT.c.authority == old.authority)
        self._connection.execute(update(VISIT).where(*where).values(value=new.value, authority=new.authority))

    def begun(self, identity: PatientIdentifier, number: PatientIdentifier) -> PatientIdentifier | None:
        """The number, merged into this one since, under which the visit of this number is kept."""
        asked = {"value": identity.value, "authority": identity.authority, "number": number.value}
        row = _BEGUN.first(self._connection, asked)
        return PatientIdentifier(row[0], row[1]) if row is not None else None

    def of_persons(self, persons: Iterable[PatientIdentifier]) -> list[tuple[PatientIdentifier, Visit]]:
        """The visits of persons, also those begun under a number that was merged or changed since."""
        found = []
        for regional in persons:
            query = (
                select(VISIT.c.body, VISIT.c.at)
                .join(IDENTITY, (IDENTITY.c.value == VISIT.c.value) & (IDENTITY.c.authority == VISIT.c.authority))
                .join(PERSON, PERSON.c.id == IDENTITY.c.person)
                .where(PERSON.c.value == regional.value, PERSON.c.authority == regional.authority)
                .order_by(VISIT.c.authority, VISIT.c.value)
            )
            found += [(regional, _visit(body, at)) for body, at in self._connection.execute(query)]
        return found

    def where(self, *, number: str = "", account: str = "", place: str = "", limit: int) -> list[PatientIdentifier]:
        """The identities whose visit has this number, this account, or a point of care that begins so."""
        query = select(VISIT.c.value, VISIT.c.authority)
        if number:
            query = query.where(VISIT.c.number == number)
        if account:
            query = query.where(VISIT.c.account == account)
        if place:
            query = query.where(VISIT.c.place >= place, VISIT.c.place < prefix_end(place))
        rows = self._connection.execute(query.order_by(VISIT.c.authority, VISIT.c.value).limit(limit))
        return [PatientIdentifier(value, authority) for value, authority in rows]


def _body(visit: Visit) -> dict[str, Any]:
    return {
        "number": _number(visit.number),
        "account": _number(visit.account),
        "fields": {str(key): value for key, value in visit.fields.items()},
        "movement": visit.movement,
    }


def _number(identifier: PatientIdentifier | None) -> list[str] | None:
    if identifier is None:
        return None
    return [identifier.value, identifier.authority, identifier.type_code, identifier.namespace]


def _visit(body: dict[str, Any], at: datetime | None) -> Visit:
    number, account = (PatientIdentifier(*body[name]) if body[name] else None for name in ("number", "account"))
    fields = {int(key): value for key, value in body["fields"].items()}
    return Visit(number, account, fields, body["movement"], at)
