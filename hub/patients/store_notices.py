"""What PIX consumers were last told of cross-referenced numbers: nothing is told twice, and what ends is told."""

from collections.abc import Iterable, Mapping

from sqlalchemy import BigInteger, bindparam, delete, insert, select
from sqlmodel import Field, SQLModel

from hub.storage.engine import UnitOfWork
from hub.storage.prepared import Prepared
from hub.storage.tables import METADATA, KeyText
from hub.values import PatientIdentifier


class ToldRow(SQLModel, table=True):
    """A number that a recipient knows to be cross-referenced, and a hash of the list that it was told in."""

    __tablename__ = "patients_told"
    __table_args__ = ({"sqlite_with_rowid": False},)

    recipient: str = Field(primary_key=True, sa_type=KeyText)
    value: str = Field(primary_key=True, sa_type=KeyText)
    authority: str = Field(primary_key=True, sa_type=KeyText)
    told: int = Field(sa_type=BigInteger)


TOLD = METADATA.tables["patients_told"]
_OF_NUMBER = Prepared(
    lambda _dialect: select(TOLD.c.told).where(
        TOLD.c.recipient == bindparam("recipient"),
        TOLD.c.value == bindparam("value"),
        TOLD.c.authority == bindparam("authority"),
    )
)


class NoticeStore:
    """The lists of one recipient."""

    def __init__(self, work: UnitOfWork, recipient: str) -> None:
        self._connection = work.connection
        self._recipient = recipient

    def told(self, numbers: Iterable[PatientIdentifier]) -> Mapping[PatientIdentifier, int]:
        """The list that each number was last told in; those that were never told, or alone since, are missing."""
        found = {}
        for number in numbers:
            row = _OF_NUMBER.first(self._connection, self._key(number))
            if row is not None:
                found[number] = int(row[0])
        return found

    def remember(self, numbers: Iterable[PatientIdentifier], told: int) -> None:
        """These were told as one list."""
        every = list(numbers)
        self.forget(every)
        if every:
            self._connection.execute(insert(TOLD), [{**self._key(number), "told": told} for number in every])

    def forget(self, numbers: Iterable[PatientIdentifier]) -> None:
        """These stand alone, or are no longer in use."""
        for number in numbers:
            key = self._key(number)
            where = (TOLD.c.recipient == key["recipient"], TOLD.c.value == key["value"])
            self._connection.execute(delete(TOLD).where(*where, TOLD.c.authority == key["authority"]))

    def _key(self, number: PatientIdentifier) -> dict[str, str]:
        return {"recipient": self._recipient, "value": number.value, "authority": number.authority}
