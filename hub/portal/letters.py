"""A document by secure mail, by hand: whom to, a look at it before it goes, how far it came."""

import secrets
from typing import Any

from starlette.responses import Response

from hub.errors import Conflict, Invalid
from hub.mail.hand_model import LONGEST, Draft, FindLetters, Planned, PrepareLetter, SendLetter
from hub.mail.model import Letter
from hub.patients.model import GetPerson, Person
from hub.portal import actions
from hub.portal.render import Renderer, see_other
from hub.portal.visit import Visit
from hub.portal.web import Route
from hub.values import PatientIdentifier

PATH = "/portal/document/{document}/mail"
_ADDRESSES = 2000  #: characters of the field


class LetterPages:
    """Letters of one document."""

    def __init__(self, renderer: Renderer) -> None:
        self.render = renderer.page

    @property
    def routes(self) -> tuple[Route, ...]:
        """The pages of this module."""
        return Route(PATH, self.letters), Route(PATH, self.written, "POST")

    def letters(self, visit: Visit) -> Response:
        """The form, and the letters that were sent before."""
        person, unique_id = _about(visit)
        return self._form(visit, person, Draft(person.regional, unique_id))

    def written(self, visit: Visit) -> Response:
        """A draft is checked and shown; one that was confirmed is sent."""
        person, unique_id = _about(visit)
        draft = _draft(visit, person.regional, unique_id)
        try:
            if visit.form.get("back"):
                return self._form(visit, person, draft)
            if visit.form.get("confirmed"):
                visit.perform(actions.LETTER_SEND, SendLetter(draft, visit.form.get("once", "")[:64]))
                return see_other(f"{_path(visit)}?sent=1")
            planned: Planned = visit.perform(actions.LETTER_PREPARE, PrepareLetter(draft))
        except (Invalid, Conflict) as error:
            return self._form(visit, person, draft, problem=f"error.{error.code}")
        return self.render(
            visit, "letter_confirm.html", **self._values(visit, person, draft), planned=planned,
            once=secrets.token_hex(16),
        )  # fmt: skip

    def _form(self, visit: Visit, person: Person, draft: Draft, problem: str = "") -> Response:
        sent: tuple[Letter, ...] = visit.perform(actions.LETTERS_OF, FindLetters(draft.person, draft.unique_id))
        return self.render(
            visit, "letter.html", code=400 if problem else 200, **self._values(visit, person, draft), letters=sent,
            problem=problem, done="sent" in visit.query, longest=LONGEST,
        )  # fmt: skip

    @staticmethod
    def _values(visit: Visit, person: Person, draft: Draft) -> dict[str, Any]:
        regional = person.regional
        return {
            "person": person,
            "person_handle": visit.handles.seal("person", regional.value, regional.authority),
            "handle": visit.parameters["document"],
            "draft": draft,
        }


def _about(visit: Visit) -> tuple[Person, str]:
    _, unique_id, value, authority = visit.handles.open("document", visit.parameters["document"])
    person: Person = visit.perform(actions.PERSON, GetPerson(PatientIdentifier(value, authority)))
    return person, unique_id


def _draft(visit: Visit, person: PatientIdentifier, unique_id: str) -> Draft:
    form = visit.form
    typed = form.get("recipients", "")[:_ADDRESSES].replace(",", " ").replace(";", " ").split()
    return Draft(
        person,
        unique_id,
        tuple(typed),
        to_patient=bool(form.get("to_patient")),
        text=form.get("text", "").replace("\r\n", "\n")[:LONGEST],
        reply_to=form.get("reply_to", "").strip()[:254],
        tell_delivery=bool(form.get("tell_delivery")),
        tell_reading=bool(form.get("tell_reading")),
    )


def _path(visit: Visit) -> str:
    return PATH.replace("{document}", visit.parameters["document"])
