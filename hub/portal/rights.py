"""Pages of rights: a person's words, the broken glass, and the officer's list of it."""

from datetime import datetime, time, timedelta

from starlette.responses import Response

from hub.access.rights_errors import ConsentFromTheFuture, ReasonNeeded
from hub.access.rights_model import (
    BreakGlass,
    Broken,
    Choice,
    Consent,
    DeclareCare,
    FindBroken,
    FindConsents,
    KeptConsent,
    Matter,
    RecordConsent,
    SeeBroken,
)
from hub.access.rules import OWN_DOCTOR
from hub.errors import Invalid, NotFound
from hub.patients.model import GetPerson, Person
from hub.portal import actions, formats
from hub.portal.render import Renderer, see_other
from hub.portal.timeline import Names
from hub.portal.trail import Asked
from hub.portal.visit import Visit
from hub.portal.web import Route
from hub.values import PatientIdentifier, now

ROOT = "/portal/rights"
PAGE = 50
_KINDS = {"declared": "declared", "own_doctor": OWN_DOCTOR}
_TOLD = {"recorded": "good", "broken": "good", "declared": "good", "reason": "bad", "date": "bad", "invalid": "bad"}
_LONGEST = 120


class RightsPages:
    """What a patient said, who broke the glass."""

    def __init__(self, renderer: Renderer, names: Names) -> None:
        self.render = renderer.page
        self.names = names

    @property
    def routes(self) -> tuple[Route, ...]:
        """The pages of this module."""
        person = "/portal/person/{person}/rights"
        return (
            Route(person, self.person),
            Route(f"{person}/consent", self.record, "POST"),
            Route(f"{person}/glass", self.break_glass, "POST"),
            Route(f"{person}/care", self.declare, "POST"),
            Route(f"{ROOT}/broken", self.broken),
            Route(f"{ROOT}/broken/{{key}}", self.seen, "POST"),
        )

    def person(self, visit: Visit) -> Response:
        """What the person said, as it stands and as it was, and what may be added."""
        found: Person = visit.perform(actions.PERSON, GetPerson(_who(visit)))
        words: tuple[KeptConsent, ...] = visit.perform(actions.RIGHTS, FindConsents(found.regional, history=True))
        at = now()
        standing = [
            item
            for item in words
            if item.superseded_at is None
            and item.consent.choice is not Choice.UNKNOWN
            and (item.consent.until is None or item.consent.until > at)
        ]
        newest = {matter: _newest(standing, matter) for matter in Matter}
        return self.render(
            visit,
            "person_rights.html",
            person=found,
            person_handle=visit.parameters["person"],
            newest=newest,
            words=words,
            standing={item.key for item in standing},
            choices=[Choice.CONSENT, Choice.OPPOSITION, Choice.UNKNOWN],
            today=at.astimezone().date().isoformat(),
            names=self.names,
            told=told(visit),
        )

    def record(self, visit: Visit) -> Response:
        """A word that the patient gave to somebody here."""
        form, who = visit.form, _who(visit)
        try:
            consent = Consent(
                id="",
                identity=who,
                matter=Matter(form.get("matter", "")),
                choice=Choice(form.get("choice", "")),
                at=_day(form.get("at", "")) or now(),
                actor=form.get("actor", "").strip()[:_LONGEST],
                until=_day(form.get("until", ""), timedelta(days=1)),
                reason=form.get("reason", "").strip()[:500],
            )
            visit.perform(actions.CONSENT, RecordConsent(consent))
        except ConsentFromTheFuture:
            return self._back(visit, "date")
        except (ValueError, Invalid):
            return self._back(visit, "invalid")
        return self._back(visit, "recorded")

    def break_glass(self, visit: Visit) -> Response:
        """For a limited time; back to the record, which says nothing of what there was before."""
        try:
            visit.perform(actions.GLASS, BreakGlass(_who(visit), visit.form.get("reason", "")[:2000]))
        except ReasonNeeded:
            return see_other(f"/portal/person/{visit.parameters['person']}?rights=reason#emergency")
        return see_other(f"/portal/person/{visit.parameters['person']}?rights=broken")

    def declare(self, visit: Visit) -> Response:
        """The visitor cares for the person, or no longer does."""
        kind = _KINDS.get(visit.form.get("kind", ""))
        if kind is None:
            return self._back(visit, "invalid")
        until = now() if visit.form.get("ends") else None
        visit.perform(actions.CARE, DeclareCare(_who(visit), kind, until=until))
        return self._back(visit, "declared")

    def broken(self, visit: Visit) -> Response:
        """The officer's list, the newest first."""
        before = visit.query.get("before", "")
        start = int(before) if before.isdecimal() and len(before) < 18 else 0
        rows: tuple[Broken, ...] = visit.perform(actions.BROKEN, FindBroken(PAGE + 1, start))
        more = rows[PAGE - 1].key if len(rows) > PAGE else 0
        return self.render(
            visit,
            "rights_broken.html",
            rows=[(row, _read_meanwhile(visit, row)) for row in rows[:PAGE]],
            more=more,
            before=start,
            seen=visit.query.get("seen", ""),
        )

    @staticmethod
    def seen(visit: Visit) -> Response:
        """The officer has looked at one."""
        key = visit.parameters["key"]
        if not key.isdecimal() or len(key) > 18:
            raise NotFound
        visit.perform(actions.BROKEN_SEEN, SeeBroken(int(key)))
        return see_other(f"{ROOT}/broken?seen=1")

    @staticmethod
    def _back(visit: Visit, word: str) -> Response:
        return see_other(f"/portal/person/{visit.parameters['person']}/rights?rights={word}")


def told(visit: Visit) -> tuple[str, str] | None:
    """(kind, text) of what the last form did."""
    word = visit.query.get("rights", "")
    return (_TOLD[word], visit.phrases(f"rights.told.{word}")) if word in _TOLD else None


def _who(visit: Visit) -> PatientIdentifier:
    value, authority = visit.handles.open("person", visit.parameters["person"])
    return PatientIdentifier(value, authority)


def _read_meanwhile(visit: Visit, row: Broken) -> str:
    """The address of what the professional saw of the person from that day on; "" for whom the trail is not."""
    if not visit.may(actions.TRAIL.permission):
        return ""
    since, until = (moment.astimezone().date().isoformat() for moment in (row.at, row.until))
    asked = Asked(row.patient.value, row.patient.authority, since=since, until=until, who=row.professional)
    return asked.address(visit)


def _newest(words: list[KeptConsent], matter: Matter) -> Choice:
    about = [item for item in words if item.consent.matter is matter and not item.consent.actor]
    newest = max(about, key=lambda item: (item.consent.at, item.key), default=None)
    return newest.consent.choice if newest is not None else Choice.UNKNOWN


def _day(text: str, more: timedelta = timedelta(0)) -> datetime | None:
    if not text.strip():
        return None
    typed = formats.typed_date(text.strip())
    if not typed or len(typed) != 8:
        raise ValueError("not a date")
    day = datetime.strptime(typed, "%Y%m%d").date()
    return (datetime.combine(day, time()) + more).astimezone()  # a day of here, as it is shown
