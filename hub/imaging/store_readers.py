"""The study index as rights see it: whom a study is about, and who holds it."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select

from hub.imaging.store_tables import STUDY
from hub.storage.engine import UnitOfWork
from hub.values import PatientIdentifier

_CHUNK = 500


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
        """Every copy of the studies, whatever its state."""
        ordered, found = sorted(set(uids)), []
        columns = (
            *(STUDY.c.study_instance_uid, STUDY.c.source, STUDY.c.person, STUDY.c.person_authority),
            *(STUDY.c.patient_id, STUDY.c.patient_authority),
        )
        for start in range(0, max(1, len(ordered)), _CHUNK):  # to ask about nothing costs one question as well
            chosen = select(*columns).where(STUDY.c.study_instance_uid.in_(ordered[start : start + _CHUNK] or [""]))
            found += [Copy(uid, source, _patient(*rest)) for uid, source, *rest in self._connection.execute(chosen)]
        return found


def _patient(person: str, person_authority: str, number: str, authority: str) -> PatientIdentifier | None:
    if person:
        return PatientIdentifier(person, person_authority)
    return PatientIdentifier(number, authority) if number else None
