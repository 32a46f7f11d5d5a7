"""Everything of one person: page after page of what a search finds, and what it could not find out."""

from typing import Any, cast

from hub.context import Context
from hub.imaging.model import (
    FailedInstance,
    FindStudies,
    IndexedStudy,
    RetrieveInstances,
    RetrievePerson,
    SourceState,
    SourceStatus,
    Study,
    StudyAnswer,
    StudyState,
)
from hub.imaging.reading import Reading
from hub.imaging.whole_person import WholePersonService
from hub.values import PatientIdentifier, Uid

SOMEBODY = PatientIdentifier("P1", "1.2.3")


class Region:
    """A search that knows so many studies, and an imaging room that notes what is wanted of it."""

    def __init__(self, states: list[StudyState], statuses: tuple[SourceStatus, ...] = ()) -> None:
        self.studies = [
            IndexedStudy(Study(Uid(f"1.2.{number}"), source="A"), None, state) for number, state in enumerate(states)
        ]
        self.statuses = statuses
        self.wanted: list[str] = []

    def find(self, command: FindStudies, context: Context) -> StudyAnswer:  # noqa: ARG002
        assert command.person == SOMEBODY
        assert command.live
        end = command.offset + command.limit
        return StudyAnswer(tuple(self.studies[command.offset : end]), self.statuses, more=len(self.studies) > end)

    def retrieve(self, command: RetrieveInstances, context: Context) -> Any:  # noqa: ARG002
        self.wanted += [request.study_instance_uid for request in command.requests]
        return iter(())

    def answer(self) -> list[Any]:
        service = WholePersonService(self, cast("Reading", self), page=2)
        return list(service.retrieve_person(RetrievePerson(SOMEBODY), Context()))


def test_every_page_without_studies_that_have_no_objects() -> None:
    indexed, ordered, withdrawn = StudyState.INDEXED, StudyState.ORDERED, StudyState.WITHDRAWN
    region = Region([indexed, ordered, withdrawn, indexed, StudyState.PUBLISHED])
    assert region.answer() == []
    assert region.wanted == ["1.2.0", "1.2.3", "1.2.4"]


def test_a_source_that_may_hold_more_is_one_failure() -> None:
    late = SourceStatus("B", SourceState.LATE, reason="It did not answer in time.")
    region = Region([StudyState.INDEXED] * 3, (SourceStatus("A", SourceState.ANSWERED), late))
    (failed,) = region.answer()
    assert isinstance(failed, FailedInstance)
    assert failed.error.message == "B: It did not answer in time."
    assert len(region.wanted) == 3


def test_nobody_has_nothing() -> None:
    region = Region([])
    assert region.answer() == []
    assert region.wanted == []
