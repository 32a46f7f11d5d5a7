"""The study index as rights see it: whom a study is about, and who holds it."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import text

from hub.imaging.store_tables import STUDY
from hub.storage.arrays import among, listed
from hub.storage.engine import UnitOfWork
from hub.storage.prepared import Prepared
from hub.values import PatientIdentifier

_COLUMNS = tuple(
    STUDY.c[name]
    for name in ("study_instance_uid", "source", "person", "person_authority", "patient_id", "patient_authority")
)
_NAMES = ", ".join(f"m.{column.name}" for column in _COLUMNS)
_OF_STUDIES = {
    "postgresql": f"SELECT {_NAMES} FROM imaging_study AS m "  # noqa: S608 (our own columns)
    f"WHERE m.study_instance_uid {among('uids')}",
    "sqlite": f"SELECT {_NAMES} FROM json_each(:uids) AS n CROSS JOIN imaging_study AS m "  # noqa: S608
    "ON m.study_instance_uid = n.value",
}
_COPIES = Prepared(lambda dialect: text(_OF_STUDIES[dialect]).columns(*_COLUMNS))


@dataclass(frozen=True, slots=True)
class Copy:
    """A study at a source. ``patient``: the person, else the number in the images; None: they bear none."""

    study_instance_uid: str
    source: str
    patient: PatientIdentifier | None


class ReadersIndex:
    """Questions that rights add to a request."""

    def __init__(self, work: UnitOfWork) -> None:
        self._connection = work.connection

    def copies(self, uids: Collection[str]) -> list[Copy]:
        """Every copy of the studies, whatever its state. One question to the database, also about nothing."""
        rows = _COPIES.rows(self._connection, {"uids": listed(self._connection, sorted(set(uids)))})
        return [Copy(uid, source, _patient(*rest)) for uid, source, *rest in rows]


def _patient(person: str, person_authority: str, number: str, authority: str) -> PatientIdentifier | None:
    if person:
        return PatientIdentifier(person, person_authority)
    return PatientIdentifier(number, authority) if number else None
