"""Studies that are held back because nobody knows whose they are: work for the stewards of identities."""

from hub.context import Context
from hub.imaging.archive import SEVERAL_PATIENTS
from hub.imaging.model import FindOrphans, OrphanPage
from hub.imaging.publication import NO_PATIENT, OTHER_PATIENT, UNKNOWN_PATIENT, UNKNOWN_REPORT_PATIENT
from hub.imaging.store import ImagingStore
from hub.storage.engine import Database
from hub.usecase import use_case

#: Why a study is held back that an identity, or a correction at its owner, would set free.
REASONS = frozenset({UNKNOWN_PATIENT, UNKNOWN_REPORT_PATIENT, NO_PATIENT, OTHER_PATIENT, SEVERAL_PATIENTS})
_MOST = 200


class OrphanService:
    """The list of orphaned studies."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @use_case
    def find(self, command: FindOrphans, context: Context) -> OrphanPage:
        """A page of them, the oldest first."""
        limit, offset = max(0, min(command.limit, _MOST)), max(0, command.offset)
        with self.database.reading() as work:
            studies, total = ImagingStore(work).held(REASONS, limit, offset)
        for indexed in studies:
            context.touch("study", indexed.study.study_instance_uid)
        return OrphanPage(tuple(studies), total)

    def count(self) -> int:
        """How many there are."""
        with self.database.reading() as work:
            return ImagingStore(work).held(REASONS, 0, 0)[1]
