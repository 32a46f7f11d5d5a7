"""What hospitals say of identities beside their traits: one row an identity of which something is said."""

from collections.abc import Mapping, Sequence

from sqlalchemy import JSON, bindparam, delete, insert, select, tuple_
from sqlmodel import Field, SQLModel

from hub.patients.details_model import IdentityDetails
from hub.patients.model import Details
from hub.patients.store_tables import IDENTITY, PERSON
from hub.storage.engine import UnitOfWork
from hub.storage.prepared import Prepared
from hub.storage.tables import METADATA, KeyText
from hub.values import PatientIdentifier


class DetailsRow(SQLModel, table=True):
    """Said of an identity, by name."""

    __tablename__ = "patients_details"
    __table_args__ = ({"sqlite_with_rowid": False},)

    value: str = Field(primary_key=True, sa_type=KeyText)
    authority: str = Field(primary_key=True, sa_type=KeyText)
    body: dict[str, str] = Field(sa_type=JSON)


DETAILS = METADATA.tables["patients_details"]
_OF_IDENTITY = Prepared(
    lambda _dialect: select(DETAILS.c.body).where(
        DETAILS.c.value == bindparam("value"), DETAILS.c.authority == bindparam("authority")
    )
)


_FEW = 5  #: are asked for one by one: a prepared statement costs a tenth of one that is made for so many


class DetailsStore:
    """By identity and by person."""

    def __init__(self, work: UnitOfWork) -> None:
        self._connection = work.connection

    def get(self, identity: PatientIdentifier) -> Details:
        """Empty where nothing was ever said."""
        row = _OF_IDENTITY.first(self._connection, _key(identity))
        return _details(row[0]) if row is not None else Details()

    def of(self, identities: Sequence[PatientIdentifier]) -> dict[PatientIdentifier, Details]:
        """Of those of which something was said."""
        if len(identities) <= _FEW:
            return {item: found for item in identities if (found := self.get(item)).said}
        keys = [(item.value, item.authority) for item in identities]
        columns = (DETAILS.c.value, DETAILS.c.authority)
        rows = self._connection.execute(select(*columns, DETAILS.c.body).where(tuple_(*columns).in_(keys)))
        return {PatientIdentifier(value, oid): _details(body) for value, oid, body in rows}

    def put(self, identity: PatientIdentifier, details: Details) -> None:
        """It takes the place of the one before."""
        where = (DETAILS.c.value == identity.value, DETAILS.c.authority == identity.authority)
        self._connection.execute(delete(DETAILS).where(*where))
        if details.said:
            self._connection.execute(insert(DETAILS), [{**_key(identity), "body": details.said}])

    def keep(self, identity: PatientIdentifier, told: Mapping[str, str]) -> None:
        """With what a message tells; written only where that changes anything."""
        before = self.get(identity)
        after = before.after(told)
        if after != before:
            self.put(identity, after)

    def move(self, old: PatientIdentifier, new: PatientIdentifier) -> None:
        """The identity has another number from now on; where nothing was said, nothing moves."""
        found = self.get(old)
        if found.said:
            self.put(new, found)
            self.put(old, Details())

    def of_person(self, regional: PatientIdentifier) -> tuple[IdentityDetails, ...]:
        """Of each identity in use that belongs to the person."""
        query = (
            select(DETAILS.c.value, DETAILS.c.authority, DETAILS.c.body)
            .join(IDENTITY, (IDENTITY.c.value == DETAILS.c.value) & (IDENTITY.c.authority == DETAILS.c.authority))
            .join(PERSON, PERSON.c.id == IDENTITY.c.person)
            .where(PERSON.c.value == regional.value, PERSON.c.authority == regional.authority, IDENTITY.c.active)
            .order_by(DETAILS.c.authority, DETAILS.c.value)
        )
        rows = self._connection.execute(query)
        return tuple(IdentityDetails(PatientIdentifier(value, oid), _details(body)) for value, oid, body in rows)


def _key(identity: PatientIdentifier) -> dict[str, str]:
    return {"value": identity.value, "authority": identity.authority}


def _details(body: dict[str, str]) -> Details:
    return Details(**body)
