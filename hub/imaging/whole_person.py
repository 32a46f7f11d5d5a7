"""Everything of one person: the studies as a search over the region finds them, their objects streamed (RAD-16)."""

from collections.abc import Iterable
from typing import Protocol

from hub.context import Context
from hub.errors import Unavailable
from hub.imaging.model import (
    FailedInstance,
    FindStudies,
    InstanceRequest,
    InstanceStream,
    RetrieveInstances,
    RetrievePerson,
    SourceStatus,
    StudyAnswer,
    StudyState,
)
from hub.imaging.reading import Reading
from hub.usecase import use_case
from hub.values import PatientIdentifier

#: Without objects: not made yet, or gone from their archives.
_WITHOUT = frozenset({StudyState.ORDERED, StudyState.WITHDRAWN})


class Search(Protocol):
    """The search over the region."""

    def find(self, command: FindStudies, context: Context) -> StudyAnswer:
        """Studies, and what each source said."""
        ...


class WholePersonService:
    """``page``: studies that one answer of the search holds at most."""

    def __init__(self, search: Search, imaging: Reading, *, page: int = 500) -> None:
        self.search = search
        self.imaging = imaging
        self.page = page

    @use_case
    def retrieve_person(self, command: RetrievePerson, context: Context) -> InstanceStream:
        """Stream everything; a source whose studies could not all be asked for counts as one failure."""
        studies, missing = self._studies(command.person, context)
        failures = [FailedInstance(InstanceRequest(""), Unavailable(f"{one.source}: {one.reason}")) for one in missing]
        if not studies:
            return _all(failures, iter(()))
        requests = tuple(map(InstanceRequest, studies))
        return _all(failures, self.imaging.retrieve(RetrieveInstances(requests, command.transfer_syntaxes), context))

    def _studies(self, person: PatientIdentifier, context: Context) -> tuple[list[str], list[SourceStatus]]:
        """(StudyInstanceUIDs, the sources that may hold more)."""
        found: dict[str, None] = {}
        missing: dict[str, SourceStatus] = {}
        offset = 0
        while True:
            answer = self.search.find(FindStudies(person=person, live=True, limit=self.page, offset=offset), context)
            missing |= {status.source: status for status in answer.statuses if not status.whole}
            found |= {item.study.study_instance_uid: None for item in answer.studies if item.state not in _WITHOUT}
            offset += len(answer.studies)
            if not answer.studies or not answer.more:
                return list(found), list(missing.values())


def _all(failures: Iterable[FailedInstance], stream: InstanceStream) -> InstanceStream:
    yield from failures
    yield from stream
