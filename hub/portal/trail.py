"""Who saw what of this person: the officer's page, the same for the patient to take home, a table to keep."""

import csv
import io
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

from starlette.responses import Response

from hub.audit.model import AuditRecord, AuditSearch, GetLags, SearchTrail, Trail
from hub.errors import HubError, Invalid
from hub.patients.model import INS_AUTHORITIES
from hub.portal import actions, trail_words
from hub.portal.ports import PortalHub
from hub.portal.render import PRIVATE, SECURITY_HEADERS, Renderer, see_other
from hub.portal.visit import Visit
from hub.portal.web import Route
from hub.values import Oid, PatientIdentifier

ROOT = "/portal/trail"
FIELDS = ("number", "authority", "since", "until", "who", "kind")
PAGE, MOST = 50, 5_000
_SEAL = "trail"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the officer typed, as it was typed."""

    number: str = ""
    authority: str = ""
    since: str = ""
    until: str = ""
    who: str = ""
    kind: str = ""

    def address(self, visit: Visit) -> str:
        """Of the page that answers; it names a patient, so it is sealed."""
        return f"{ROOT}?q={visit.handles.seal(_SEAL, *(getattr(self, name) for name in FIELDS))}"

    def search(self) -> SearchTrail:
        """As a search. Raises Invalid."""
        codes, done = trail_words.KINDS.get(self.kind, ((), ()))
        wanted = AuditSearch(
            since=_day(self.since),
            until=_day(self.until, timedelta(days=1)),
            agents=(self.who,) if self.who else (),
            event_codes=codes,
            actions=done,
            limit=PAGE,
        )
        return SearchTrail(wanted, PatientIdentifier(self.number, Oid(self.authority)))


class TrailPages:
    """Pages for the officer."""

    def __init__(self, hub: PortalHub, renderer: Renderer) -> None:
        self.hub = hub
        self.render = renderer.page

    @property
    def routes(self) -> tuple[Route, ...]:
        """The pages of this module."""
        return (
            Route(ROOT, self.page),
            Route(ROOT, self.ask, "POST"),
            Route(f"{ROOT}/letter", self.letter),
            Route(f"{ROOT}/export", self.export, "POST"),
            Route("/portal/operator/collectors", self.collectors),
        )

    def page(self, visit: Visit) -> Response:
        """The form, and what it found."""
        if not visit.may(actions.TRAIL.permission):  # refused and recorded like any other access
            visit.perform(actions.TRAIL, SearchTrail(AuditSearch(ids=("",)), count_only=True))
        sealed = visit.query.get("q", "")
        if not sealed:
            return self._form(visit, Asked(), None, "", visit.query.get("wrong", "")[:40])
        asked = self._opened(visit, sealed)
        command = asked.search()
        cursor = visit.query.get("cursor", "")
        cursor = cursor if cursor.isdecimal() and len(cursor) < 19 else ""
        found: Trail = visit.perform(actions.TRAIL, replace(command, search=replace(command.search, cursor=cursor)))
        return self._form(visit, asked, found, sealed, "", before=cursor)

    def ask(self, visit: Visit) -> Response:
        """Seals what was asked into the address: it names a patient."""
        asked = Asked(**{name: visit.form.get(name, "").strip()[:120] for name in FIELDS})
        if not asked.number or "\0" in asked.number:
            return see_other(f"{ROOT}?wrong=number")
        try:
            asked.search()
        except HubError as error:
            return see_other(f"{ROOT}?wrong={error.location or 'number'}")
        return see_other(asked.address(visit))

    def letter(self, visit: Visit) -> Response:
        """What the patient may be handed: names and structures, plain words, no secret connection."""
        asked = self._opened(visit, visit.query.get("q", ""))
        records = [record for record in self._every(visit, asked) if trail_words.of_people(record)]
        return self.render(
            visit, "trail_letter.html", asked=asked, records=records, words=trail_words,
            authority=self._authorities().get(asked.authority, asked.authority), today=datetime.now().astimezone(),
            sealed=visit.query.get("q", ""),
            complete=len(records) < MOST,
        )  # fmt: skip

    def export(self, visit: Visit) -> Response:
        """The table as CSV."""
        asked = self._opened(visit, visit.form.get("q", ""))
        words = visit.phrases
        made = io.StringIO()
        table = csv.writer(made, delimiter=";")
        table.writerow([words(f"trail.column.{name}") for name in ("when", "who", "where", "what", "why", "result")])
        for record in self._every(visit, asked):
            reason = f"{words(trail_words.why(record))} {record.reason}".strip()
            row = [record.at.astimezone().isoformat(timespec="seconds"), trail_words.who(record, words),
                   trail_words.where(record),
                   words(trail_words.what(record)), reason, words(trail_words.result(record))]  # fmt: skip
            table.writerow([_harmless(text) for text in row])
        headers = {
            **SECURITY_HEADERS, **PRIVATE, "Content-Disposition": 'attachment; filename="trail.csv"',
        }  # fmt: skip
        return Response("\ufeff" + made.getvalue(), 200, headers, "text/csv; charset=utf-8")

    def collectors(self, visit: Visit) -> Response:
        """How far the collectors of the trail are behind, for the operator."""
        return self.render(visit, "operator_collectors.html", lags=visit.perform(actions.COLLECTORS, GetLags()))

    def _form(
        self, visit: Visit, asked: Asked, found: Trail | None, sealed: str, wrong: str, *, before: str = ""
    ) -> Response:
        return self.render(
            visit, "trail.html", asked=asked, found=found, sealed=sealed, wrong=wrong, before=before,
            authorities=self._authorities(), kinds=tuple(trail_words.KINDS), words=trail_words,
        )  # fmt: skip

    def _every(self, visit: Visit, asked: Asked) -> list[AuditRecord]:
        command = asked.search()
        wanted = replace(command.search, limit=MOST)
        found: Trail = visit.perform(actions.TRAIL_EXPORT, replace(command, search=wanted))
        return list(found.records)

    def _opened(self, visit: Visit, sealed: str) -> Asked:
        return Asked(*visit.handles.open(_SEAL, sealed))

    def _authorities(self) -> dict[str, str]:
        """OID -> name of everyone who numbers patients, the region first."""
        settings = self.hub.settings
        found = {settings.region.affinity_domain: settings.region.name}
        found |= {item.oid: item.name or item.namespace for item in settings.authorities}
        return found | {oid: f"INS ({oid})" for oid in INS_AUTHORITIES}


def _day(text: str, more: timedelta = timedelta(0)) -> datetime | None:
    if not text:
        return None
    try:
        return (datetime.combine(date.fromisoformat(text), time()) + more).astimezone()  # a day of here, as it is shown
    except (ValueError, OverflowError) as error:
        raise Invalid("There is no such date.", location="date") from error


def _harmless(text: str) -> str:
    """A spreadsheet takes what begins like a formula for one."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
