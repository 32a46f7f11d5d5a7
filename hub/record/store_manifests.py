"""What of a study's manifests was sent to the national record, one row a manifest of the region."""

from dataclasses import dataclass

from sqlalchemy import and_, select

from hub.record.store import PUBLICATION
from hub.storage.engine import UnitOfWork


@dataclass(frozen=True, slots=True)
class SentManifest:
    """``entry``: entryUUID in the region. ``sent``: uniqueId in the record, "" when it holds none (any more);
    ``drawn_from``: uniqueId of the region's document that was sent."""

    entry: str
    unique_id: str
    wanted: bool
    sent: str
    drawn_from: str
    versions: int


def sent_manifests(work: UnitOfWork, study_instance_uid: str) -> list[SentManifest]:
    """Of a study, also those that were taken back."""
    here = and_(PUBLICATION.c.study_instance_uid == study_instance_uid, PUBLICATION.c.kind == "manifest")
    return [
        SentManifest(
            row.entry,
            row.unique_id,
            row.wanted,
            row.record_unique_id,
            row.record_source.partition("|")[0],
            row.versions,
        )
        for row in work.connection.execute(select(PUBLICATION).where(here).order_by(PUBLICATION.c.created_at))
    ]
