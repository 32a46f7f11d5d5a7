"""Tables and queries of a manifest's life: key objects with what they reject, and the checks of what is published."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Index, Text, and_, delete, exists, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel

from hub.imaging.manifest_model import REJECTIONS, CheckReport, Difference, Finding, KeyObject
from hub.imaging.store_tables import STUDY
from hub.storage.arrays import listed, one_of
from hub.storage.engine import UnitOfWork
from hub.storage.prepared import Prepared, ask
from hub.storage.tables import KeyText, UtcDateTime
from hub.values import now

_CHUNK = 500


class KeyObjectRow(SQLModel, table=True):
    """A Key Object Selection: found at a source, or sent to the hub by one ("" : by whoever speaks for none)."""

    __tablename__ = "imaging_key_object"

    source: str = Field(sa_type=KeyText, primary_key=True)
    sop_instance_uid: str = Field(sa_type=KeyText, primary_key=True)
    study_instance_uid: str = Field(sa_type=KeyText, index=True)
    received: bool = False
    title_code: str = ""
    title_scheme: str = ""
    title_meaning: str = ""
    description: str = Field(default="", sa_type=Text)
    read_at: datetime = Field(sa_type=UtcDateTime)


class RejectedRow(SQLModel, table=True):
    """An instance that a rejection note takes away."""

    __tablename__ = "imaging_rejected"
    __table_args__ = (Index("ix_imaging_rejected_note", "source", "note"),)

    study_instance_uid: str = Field(sa_type=KeyText, primary_key=True)
    sop_instance_uid: str = Field(sa_type=KeyText, primary_key=True)
    source: str = Field(sa_type=KeyText, primary_key=True)
    note: str = Field(sa_type=KeyText, primary_key=True)


class CheckRow(SQLModel, table=True):
    """A check of everything that is published."""

    __tablename__ = "imaging_check"

    id: str = Field(sa_type=KeyText, primary_key=True)
    started_at: datetime = Field(sa_type=UtcDateTime, index=True)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    checked: int = 0
    differing: int = 0
    unreachable: int = 0
    repaired: int = 0
    findings: str = Field(default="[]", sa_type=Text)


KEY_OBJECT = KeyObjectRow.__table__  # type: ignore[attr-defined]
REJECTED = RejectedRow.__table__  # type: ignore[attr-defined]
CHECK = CheckRow.__table__  # type: ignore[attr-defined]
_LIFE = [
    STUDY.c[name]
    for name in ("source", "study_instance_uid", "patient_authority", "state", "manifest_id", "manifest_entry",
                 "manifest_digest")
]  # fmt: skip


def _counts() -> ColumnElement[bool]:
    """Whether what a note takes away is its source's to take."""
    same_study = STUDY.c.study_instance_uid == REJECTED.c.study_instance_uid
    note = and_(KEY_OBJECT.c.source == REJECTED.c.source, KEY_OBJECT.c.sop_instance_uid == REJECTED.c.note)
    return or_(
        REJECTED.c.source == "",
        exists().where(same_study, STUDY.c.source == REJECTED.c.source),
        ~exists().where(same_study),
        exists().where(note, KEY_OBJECT.c.received.is_(False)),
    )


def _hidden(table: Any, which: ColumnElement[bool]) -> Prepared:
    """What is hidden of some studies by the rows of a table that say so."""
    columns = (table.c.source, table.c.study_instance_uid, table.c.sop_instance_uid)
    return Prepared(lambda dialect: select(*columns).where(one_of(table.c.study_instance_uid, "uids", dialect), which))


_TAKEN_AWAY = _hidden(REJECTED, _counts())
_NOTES = _hidden(
    KEY_OBJECT,
    and_(KEY_OBJECT.c.title_scheme == "DCM", or_(*(KEY_OBJECT.c.title_code == code for code in sorted(REJECTIONS)))),
)


class KeyObjectStore:
    """Key objects, within one unit of work."""

    def __init__(self, work: UnitOfWork) -> None:
        self._connection = work.connection

    def keep(self, source: str, note: KeyObject, *, received: bool) -> None:
        """Keep what a key object says; one that was sent stays one that was sent."""
        self._put(
            KEY_OBJECT,
            {
                "source": source,
                "sop_instance_uid": note.sop_instance_uid,
                "study_instance_uid": note.study_instance_uid,
                "received": received,
                "title_code": note.title[0],
                "title_scheme": note.title[1],
                "title_meaning": note.title[2],
                "description": note.description,
                "read_at": now(),
            },
        )
        if received:
            here = and_(KEY_OBJECT.c.source == source, KEY_OBJECT.c.sop_instance_uid == note.sop_instance_uid)
            self._connection.execute(update(KEY_OBJECT).where(here).values(received=True))
        for study, instance in note.references if note.rejects else ():
            self._put(
                REJECTED,
                {
                    "study_instance_uid": study,
                    "sop_instance_uid": instance,
                    "source": source,
                    "note": note.sop_instance_uid,
                },
            )

    def known(self, source: str, uids: Sequence[str]) -> dict[str, KeyObject]:
        """Those of the key objects that were read at this source before, without their references."""
        found: dict[str, KeyObject] = {}
        for start in range(0, len(uids), _CHUNK):
            query = select(KEY_OBJECT).where(
                KEY_OBJECT.c.source == source, KEY_OBJECT.c.sop_instance_uid.in_(uids[start : start + _CHUNK])
            )
            for row in self._connection.execute(query):
                title = (row.title_code, row.title_scheme, row.title_meaning)
                found[row.sop_instance_uid] = KeyObject(
                    row.sop_instance_uid, row.study_instance_uid, title, row.description
                )
        return found

    def forget_absent(self, source: str, study_instance_uid: str, present: Collection[str]) -> None:
        """Key objects that were found among a study's objects, and are no longer, say nothing any more."""
        here = and_(KEY_OBJECT.c.source == source, KEY_OBJECT.c.study_instance_uid == study_instance_uid)
        found = select(KEY_OBJECT.c.sop_instance_uid).where(here, KEY_OBJECT.c.received.is_(False))
        for uid in set(self._connection.execute(found).scalars()) - set(present):
            self._connection.execute(delete(REJECTED).where(REJECTED.c.source == source, REJECTED.c.note == uid))
            same = and_(KEY_OBJECT.c.source == source, KEY_OBJECT.c.sop_instance_uid == uid)
            self._connection.execute(delete(KEY_OBJECT).where(same))

    def rejected(self, study_instance_uids: Collection[str], source: str | None = None) -> set[str]:
        """Instances of studies that are taken away, at a source (None: anywhere)."""
        query = select(REJECTED.c.sop_instance_uid).where(REJECTED.c.study_instance_uid.in_(study_instance_uids))
        if source is not None:
            query = query.where(REJECTED.c.source.in_((source, "")))
        return set(self._connection.execute(query).scalars())

    def hidden(self, study_instance_uids: Collection[str]) -> dict[tuple[str, str], set[str]]:
        """(source, study) -> what is not shown there: instances that are taken away, and the notes themselves.

        The source is "" for what holds at all of them. What was sent in the name of a source counts as long as the
        study is known to be there, or nowhere else: nobody takes away what lies at others alone."""
        values = {"uids": listed(self._connection, list(study_instance_uids))}
        found = dict[tuple[str, str], set[str]]()
        for rows in ask(self._connection, [(_TAKEN_AWAY, values), (_NOTES, values)]):
            for source, study, instance in rows:
                found.setdefault((source, study), set()).add(instance)
        return found

    def _put(self, table: Any, values: Mapping[str, Any]) -> None:
        dialect = postgresql if self._connection.dialect.name == "postgresql" else sqlite
        self._connection.execute(dialect.insert(table).values(values).on_conflict_do_nothing())


class LifeStore:
    """Studies whose manifests live, and the checks of them, within one unit of work."""

    def __init__(self, work: UnitOfWork) -> None:
        self._connection = work.connection

    def sources(self) -> Sequence[str]:
        """Names of the sources of studies with a manifest."""
        query = select(STUDY.c.source).where(STUDY.c.manifest_entry != "").distinct().order_by(STUDY.c.source)
        return list(self._connection.execute(query).scalars())

    def alive(self, source: str, after: str, limit: int) -> Sequence[Any]:
        """A source's studies with a manifest in a fixed order, those that follow the study ``after``."""
        query = select(*_LIFE).where(
            STUDY.c.source == source, STUDY.c.manifest_entry != "", STUDY.c.study_instance_uid > after
        )
        return self._connection.execute(query.order_by(STUDY.c.study_instance_uid).limit(limit)).all()

    def once_published(self, study_instance_uids: Sequence[str]) -> Sequence[Any]:
        """Rows of these studies that have, or had, a manifest."""
        query = select(*_LIFE).where(STUDY.c.study_instance_uid.in_(study_instance_uids), STUDY.c.manifest_version > 0)
        return self._connection.execute(query.order_by(STUDY.c.source)).all()

    def forget_manifest(self, source: str, study_instance_uid: str) -> None:
        """The registry no longer has it as it was registered: the next publication makes another."""
        here = and_(STUDY.c.source == source, STUDY.c.study_instance_uid == study_instance_uid)
        self._connection.execute(update(STUDY).where(here).values(manifest_digest=""))

    def begin(self, check_id: str, started_at: datetime) -> bool:
        """Note that a check runs; False when one of this id does or did."""
        dialect = postgresql if self._connection.dialect.name == "postgresql" else sqlite
        values = {"id": check_id, "started_at": started_at, "checked": 0, "differing": 0, "unreachable": 0}
        values |= {"repaired": 0, "findings": "[]"}
        statement = dialect.insert(CHECK).values(values).on_conflict_do_nothing().returning(CHECK.c.id)
        return self._connection.execute(statement).first() is not None

    def end(self, report: CheckReport, *, keep: int = 100) -> None:
        """Keep the outcome; of earlier checks the last ones stay."""
        findings = [
            [item.study_instance_uid, item.source, item.difference.value, item.missing, item.surplus]
            for item in report.findings
        ]
        self._connection.execute(
            update(CHECK)
            .where(CHECK.c.id == report.id)
            .values(
                ended_at=report.ended_at,
                checked=report.checked,
                differing=report.differing,
                unreachable=report.unreachable,
                repaired=report.repaired,
                findings=orjson.dumps(findings).decode(),
            )
        )
        latest = select(CHECK.c.id).order_by(CHECK.c.started_at.desc()).limit(keep)
        self._connection.execute(delete(CHECK).where(CHECK.c.id.notin_(latest)))

    def latest(self, limit: int = 1) -> Iterator[CheckReport]:
        """The last checks, the newest first."""
        for row in self._connection.execute(select(CHECK).order_by(CHECK.c.started_at.desc()).limit(limit)):
            findings = tuple(
                Finding(study, source, Difference(kind), missing, surplus)
                for study, source, kind, missing, surplus in orjson.loads(row.findings)
            )
            yield CheckReport(
                row.id, row.started_at, row.ended_at, row.checked, row.differing, row.unreachable, row.repaired,
                findings,
            )  # fmt: skip
