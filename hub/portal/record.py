"""The operator's page of the national record: where documents stand on their way there, and what to do next."""

from starlette.responses import Response

from hub.errors import HubError
from hub.portal import actions
from hub.portal.listing import PAGE, Narrowed, notice
from hub.portal.render import Renderer, see_other
from hub.portal.visit import Visit
from hub.portal.web import Route
from hub.record.model import (
    ListPublications,
    PublicationPage,
    PublicationState,
    Reason,
    RetryHeld,
    RetryPublication,
)

ROOT = "/portal/operator/record"
MENU = ("record", ROOT, "exchange.read")
STATES = frozenset(str(state) for state in PublicationState)
REASONS = frozenset(str(reason) for reason in Reason)
PUBLICATIONS = actions.RECORD
RETRY = actions.RECORD_RETRY


class RecordPages:
    """Publications to the national record."""

    def __init__(self, renderer: Renderer) -> None:
        self.render = renderer.page

    @property
    def routes(self) -> tuple[Route, ...]:
        """The pages of this module."""
        return (
            Route(ROOT, self.publications),
            Route(f"{ROOT}/held/{{reason}}/retry", self.retry_held, "POST"),
            Route(f"{ROOT}/{{id}}/retry", self.retry, "POST"),
        )

    def publications(self, visit: Visit) -> Response:
        """The last changed first; ``?state=`` and ``?reason=`` narrow."""
        narrowed = Narrowed.of(visit, STATES, REASONS)
        command = ListPublications(
            PublicationState(narrowed.state) if narrowed.state else None,
            Reason(narrowed.reason) if narrowed.reason else None,
            limit=PAGE + 1,
            offset=narrowed.start,
        )
        found: PublicationPage = visit.perform(PUBLICATIONS, command)
        return self.render(
            visit,
            "operator_record.html",
            rows=found.publications[:PAGE],
            counts=sorted(found.counts.items()),
            more=narrowed.more(found.publications),
            query=narrowed.query,
            start=narrowed.start,
            notice=notice(visit, "record.retried"),
        )

    def retry(self, visit: Visit) -> Response:
        """Try a held one again."""
        return self._change(visit, RetryPublication(visit.parameters["id"]))

    def retry_held(self, visit: Visit) -> Response:
        """Try everything again that is held for a reason."""
        reason = visit.parameters["reason"]
        return self._change(visit, RetryHeld(Reason(reason))) if reason in REASONS else see_other(ROOT)

    @staticmethod
    def _change(visit: Visit, command: RetryPublication | RetryHeld) -> Response:
        try:
            visit.perform(RETRY, command)
        except HubError as error:
            return see_other(f"{ROOT}?failed={error.code}")
        return see_other(f"{ROOT}?done=1")
