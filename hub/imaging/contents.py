"""What the index knows of studies' content: which instances, of which SOP classes, at any of some sources."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from hub.imaging.copies import same_study
from hub.imaging.model import Study, StudyState
from hub.imaging.store import ImagingStore
from hub.storage.engine import Database

_HELD = frozenset(StudyState) - {StudyState.ORDERED, StudyState.WITHDRAWN}
_REMEMBERED = 64  #: studies whose SOP classes are remembered


class Known(NamedTuple):
    """What the audit trail tells of a study. ``classes``: SOP class by instance."""

    classes: Mapping[str, str]
    accession_number: str


_UNKNOWN = Known({}, "")


class IndexedContents:
    """Thread-safe."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._known: dict[tuple[str, str], Known] = {}  # by study and source
        self._knowing = threading.Lock()

    def instances(self, study: str, series: str, sources: Sequence[str]) -> list[tuple[str, str]]:
        """(SeriesInstanceUID, SOPInstanceUID) of a study or one of its series, each once; the first source's before
        what only the others hold of the same person's study."""
        with self.database.reading() as work:
            every = ImagingStore(work).studies([study], deep=True)
        held = [item for item in every if item.study.source in sources and item.state in _HELD]
        held.sort(key=lambda item: sources.index(item.study.source))
        copies = [item.study for item in held if same_study(held[0], item)]
        for item in copies:
            self._remember(item)
        found = {
            instance.sop_instance_uid: (one.series_instance_uid, instance.sop_instance_uid)
            for item in copies
            for one, instance in item.instances
            if series in ("", one.series_instance_uid)
        }
        return list(found.values())

    def known(self, study: str, sources: Sequence[str], wanted: Iterable[str]) -> Known:
        """What the trail tells of a study, the first source's word before the others'; looked up where an instance that
        is wanted is not remembered."""
        if not frozenset(wanted) <= self._remembered(study, sources).classes.keys():
            self.instances(study, "", sources)
        return self._remembered(study, sources)

    def _remembered(self, study: str, sources: Sequence[str]) -> Known:
        every = [self._known.get((study, source), _UNKNOWN) for source in sources]
        classes = {uid: sop_class for known in reversed(every) for uid, sop_class in known.classes.items()}
        return Known(classes, next((known.accession_number for known in every if known.accession_number), ""))

    def _remember(self, study: Study) -> None:
        """For the requests for single instances that follow."""
        classes = {str(item.sop_instance_uid): item.sop_class_uid for _, item in study.instances if item.sop_class_uid}
        with self._knowing:
            if len(self._known) >= _REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[study.study_instance_uid, study.source] = Known(classes, study.accession_number)
