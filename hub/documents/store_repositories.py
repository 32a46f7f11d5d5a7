"""Under which repositoryUniqueIds those documents are registered that are kept here."""

from collections.abc import Mapping

from sqlalchemy import func, select

from hub.documents.store import ENTRY
from hub.storage.engine import UnitOfWork


def kept_under(work: UnitOfWork, most: int | None = None) -> Mapping[str, int]:
    """How many entries name each. ``most``: how many are looked at, by the content's address, so at random."""
    kept = select(ENTRY.c.repository_unique_id).where(ENTRY.c.content > "").order_by(ENTRY.c.content).limit(most)
    rows = kept.subquery()
    name = rows.c.repository_unique_id
    return {row[0]: row[1] for row in work.connection.execute(select(name, func.count()).group_by(name))}
