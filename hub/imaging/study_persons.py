"""Studies together with whom they are about (FHIR's _include), for a caller who may ask for persons."""

from collections.abc import Callable
from typing import Any

from hub.context import Context
from hub.imaging.model import FindStudiesAndPersons, StudiesAndPersons, StudyAnswer
from hub.patients.errors import UnknownIdentifier
from hub.patients.model import GetPerson, Person
from hub.usecase import Command, use_case


class StudyPersonsService:
    """``dispatch``: every use case, with what it asks of its caller; ``permit``: raises AccessDenied where the caller
    may not ask for persons."""

    def __init__(self, dispatch: Callable[[Command, Context], Any], permit: Callable[[Context], None]) -> None:
        self._dispatch = dispatch
        self._permit = permit

    @use_case
    def find_with_persons(self, command: FindStudiesAndPersons, context: Context) -> StudiesAndPersons:
        """The search as it is, and the persons. Raises AccessDenied."""
        self._permit(context)
        answer: StudyAnswer = self._dispatch(command.query, context)
        persons: list[Person] = []
        for identifier in dict.fromkeys(item.person for item in answer.studies if item.person is not None):
            try:
                persons.append(self._dispatch(GetPerson(identifier), context))
            except UnknownIdentifier:
                continue
        return StudiesAndPersons(answer, tuple({person.regional: person for person in persons}.values()))
