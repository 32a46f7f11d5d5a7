"""Queries about reports that a later message speaks of."""

from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.engine import Row

from hub.imaging.model import Report
from hub.imaging.store_tables import REPORT
from hub.storage.engine import UnitOfWork


class ReportStore:
    """Reports, within one unit of work."""

    def __init__(self, work: UnitOfWork) -> None:
        self._connection = work.connection

    def like(self, report: Report) -> list[Row[Any]]:
        """Reports of the same sender that bear one of the report's own numbers, locked, oldest first."""
        either: list[ColumnElement[bool]] = [
            column == value
            for column, value in (
                (REPORT.c.document_id, report.document_id),
                (REPORT.c.set_id, report.set_id),
                (REPORT.c.study_instance_uid, report.study_instance_uid),
                (REPORT.c.accession_number, report.accession_number),
                (REPORT.c.placer_number, report.placer_number),
            )
            if value
        ]
        same = and_(REPORT.c.source == report.source, or_(False, *either))
        query = select(REPORT).where(same).order_by(REPORT.c.received_at, REPORT.c.id).with_for_update()
        return list(self._connection.execute(query).all())

    def registered(self, document_id: str, source: str) -> tuple[str, ...]:
        """entryUUIDs of a document that a sender's message brought."""
        here = and_(REPORT.c.document_id == document_id, REPORT.c.source == source, REPORT.c.entry != "")
        return tuple(self._connection.execute(select(REPORT.c.entry).where(here)).scalars())

    def is_another(self, document_id: str, content: str) -> bool:
        """Whether a report of this id was registered with other bytes."""
        here = and_(REPORT.c.document_id == document_id, REPORT.c.content != content, REPORT.c.entry != "")
        return self._connection.execute(select(REPORT.c.id).where(here).limit(1)).first() is not None

    def await_publication(self, key: str) -> None:
        """A report that was preliminary, or taken back, is final now."""
        here = and_(REPORT.c.id == key, REPORT.c.state.in_(("preliminary", "withdrawn")))
        self._connection.execute(update(REPORT).where(here).values(state="waiting", entry=""))

    def withdrawn(self, key: str) -> None:
        """A report is taken back."""
        self._connection.execute(update(REPORT).where(REPORT.c.id == key).values(state="withdrawn"))
