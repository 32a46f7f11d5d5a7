"""Documents by secure mail, by hand: which, whom to, a look at the letter before it goes, how far it came.

A person's page has a box beside each document; a document's own page starts with that one. From there on there is one
way: the address of a letter's page is a handle that holds the person and the documents."""

import secrets
from collections.abc import Collection, Mapping
from typing import Any

from starlette.responses import Response

from hub.documents.model import DocumentEntry
from hub.errors import Conflict, HubError, Invalid, NotFound, TooLarge
from hub.mail.errors import LetterNotFound
from hub.mail.hand_model import (
    LONGEST,
    MOST_DOCUMENTS,
    Correspondence,
    Draft,
    FindLetters,
    Planned,
    PrepareLetter,
    SendLetter,
)
from hub.patients.model import GetPerson, Person
from hub.portal import actions
from hub.portal.clinical import Clinical, Rows
from hub.portal.render import Renderer, see_other
from hub.portal.visit import Visit
from hub.portal.web import Route
from hub.values import PatientIdentifier

LETTER = "/portal/letter/{letter}"
PICK = "pick:"  #: the name of a document's box, before its handle
#: What an error's context has uniqueIds under -> the text above them.
REFUSED: Mapping[str, str] = {
    "professional": "letter.hidden.professional",
    "patient": "letter.hidden.patient",
    "documents": "letter.unreadable",
}
_ADDRESSES = 2000  #: characters of the field


class LetterPages:
    """Letters of documents of one person."""

    def __init__(self, renderer: Renderer, clinical: Clinical) -> None:
        self.render = renderer.page
        self.clinical = clinical

    @property
    def routes(self) -> tuple[Route, ...]:
        """The pages of this module."""
        return (
            Route("/portal/document/{document}/mail", self.of_document),
            Route("/portal/person/{person}/letter", self.ticked, "POST"),
            Route(LETTER, self.letter),
            Route(LETTER, self.written, "POST"),
            Route(f"{LETTER}/documents", self.choose),
        )

    @staticmethod
    def of_document(visit: Visit) -> Response:
        """A letter of one document."""
        _, unique_id, *person = visit.handles.open("document", visit.parameters["document"])
        return see_other(_path(visit, person, [unique_id]))

    def ticked(self, visit: Visit) -> Response:
        """A letter of the documents that were ticked on a person's page; none, or too many: the page says so."""
        person = list(visit.handles.open("person", visit.parameters["person"]))
        unique_ids = []
        for name in visit.form:
            if name.startswith(PICK):
                _, unique_id, *whose = visit.handles.open("document", name.removeprefix(PICK))
                if whose != person:
                    raise NotFound
                unique_ids.append(unique_id)
        if 1 <= len(unique_ids) <= MOST_DOCUMENTS:
            return see_other(_path(visit, person, unique_ids))
        return self._person(visit, person, unique_ids, "letter.too_many" if unique_ids else "letter.none_ticked", 400)

    def choose(self, visit: Visit) -> Response:
        """The person's page, with the boxes of a letter's documents ticked."""
        value, authority, *unique_ids = visit.handles.open("letter", visit.parameters["letter"])
        return self._person(visit, [value, authority], unique_ids)

    def letter(self, visit: Visit) -> Response:
        """The form, and the letters that were sent before."""
        person, draft = self._opened(visit)
        try:
            return self._form(visit, person, draft)
        except LetterNotFound:
            return self._gone(visit, draft)

    def written(self, visit: Visit) -> Response:
        """A draft is checked and shown; one that was confirmed is sent."""
        person, draft = self._opened(visit)
        try:
            if visit.form.get("back"):
                return self._form(visit, person, draft)
            if visit.form.get("confirmed"):
                visit.perform(actions.LETTER_SEND, SendLetter(draft, visit.form.get("once", "")[:64]))
                return see_other(f"{visit.path}?sent=1")
            planned: Planned = visit.perform(actions.LETTER_PREPARE, PrepareLetter(draft))
        except LetterNotFound:
            return self._gone(visit, draft)
        except (Invalid, Conflict, TooLarge) as error:
            return self._form(visit, person, draft, problem=error)
        return self.render(
            visit, "letter_confirm.html", **self._values(visit, person, draft), entries=planned.entries,
            planned=planned, once=secrets.token_hex(16),
        )  # fmt: skip

    def _form(self, visit: Visit, person: Person, draft: Draft, problem: HubError | None = None) -> Response:
        command = FindLetters(draft.person, draft.unique_ids)
        try:
            found: Correspondence = visit.perform(actions.LETTERS_OF, command)
        except LetterNotFound:
            return self._gone(visit, draft)
        return self.render(
            visit, "letter.html", code=400 if problem else 200, **self._values(visit, person, draft),
            entries=found.entries, letters=found.letters, known=found.known, done="sent" in visit.query,
            longest=LONGEST, problem=f"error.{problem.code}" if problem else "", refused=_refused(problem, found.known),
        )  # fmt: skip

    def _gone(self, visit: Visit, draft: Draft) -> Response:
        """One of the documents is not there any more, or not for this visitor: the person's page shows which are."""
        person = [draft.person.value, draft.person.authority]
        return self._person(visit, person, draft.unique_ids, "letter.document_gone", 404)

    def _person(
        self, visit: Visit, person: Collection[str], ticked: Collection[str], problem: str = "", code: int = 200
    ) -> Response:
        visit.parameters = {**visit.parameters, "person": visit.handles.seal("person", *person)}
        return self.clinical.person(visit, ticked=frozenset(ticked), problem=problem, code=code)

    @staticmethod
    def _opened(visit: Visit) -> tuple[Person, Draft]:
        value, authority, *unique_ids = visit.handles.open("letter", visit.parameters["letter"])
        person: Person = visit.perform(actions.PERSON, GetPerson(PatientIdentifier(value, authority)))
        return person, _draft(visit, person.regional, unique_ids)

    @staticmethod
    def _values(visit: Visit, person: Person, draft: Draft) -> dict[str, Any]:
        regional = person.regional
        return {
            "person": person,
            "person_handle": visit.handles.seal("person", regional.value, regional.authority),
            "action": LETTER.replace("{letter}", visit.parameters["letter"]),
            "row": Rows(visit, person),
            "draft": draft,
        }


def _refused(problem: HubError | None, known: Mapping[str, DocumentEntry]) -> list[tuple[str, list[DocumentEntry]]]:
    """What can't be sent: why (the name of a text), and which of the documents."""
    told = problem.context if problem is not None else {}
    return [
        (text, [known[item] for item in told[name].split() if item in known])
        for name, text in REFUSED.items()
        if name in told
    ]


def _draft(visit: Visit, person: PatientIdentifier, unique_ids: Collection[str]) -> Draft:
    form = visit.form
    if not form:
        return Draft(person, tuple(unique_ids))
    typed = form.get("recipients", "")[:_ADDRESSES].replace(",", " ").replace(";", " ").split()
    return Draft(
        person,
        tuple(unique_ids),
        tuple(typed),
        to_patient=bool(form.get("to_patient")),
        text=form.get("text", "").replace("\r\n", "\n")[:LONGEST],
        reply_to=form.get("reply_to", "").strip()[:254],
        tell_delivery=bool(form.get("tell_delivery")),
        tell_reading=bool(form.get("tell_reading")),
    )


def _path(visit: Visit, person: Collection[str], unique_ids: Collection[str]) -> str:
    return LETTER.replace("{letter}", visit.handles.seal("letter", *person, *unique_ids))
