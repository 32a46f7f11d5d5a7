"""Secure mail: the operator's page of letters, and the page that a notice's link leads to."""

from starlette.responses import HTMLResponse, Response

from hub.context import Context
from hub.errors import HubError, NotAuthenticated
from hub.mail.model import Awaiting, LetterPage, LetterReason, LetterState, ListLetters, OpenAwaiting, RetryLetter
from hub.portal import actions
from hub.portal.account import Account
from hub.portal.documents import Documents
from hub.portal.doorway import AWAITING
from hub.portal.listing import PAGE, Narrowed, notice
from hub.portal.render import PRIVATE, SECURITY_HEADERS, Renderer, see_other
from hub.portal.visit import Visit
from hub.portal.web import Route

ROOT = "/portal/operator/mail"
MENU = ("mail", ROOT, "exchange.read")
STATES = frozenset(str(state) for state in LetterState)
REASONS = frozenset(str(reason) for reason in LetterReason)
#: Another message has to say otherwise: sending again changes nothing.
FINAL = ("combination", "address", "outside")
#: A browser that comes from a webmail keeps the session's cookie back; the page's own reload sends it.
_AGAIN = '<!doctype html><html lang="en"><meta http-equiv="refresh" content="0"><title>Maillage</title></html>'


class MailPages:
    """Letters, and what awaits whom a notice was sent."""

    def __init__(self, renderer: Renderer, account: Account, documents: Documents) -> None:
        self.render = renderer.page
        self.account = account
        self.documents = documents

    @property
    def routes(self) -> tuple[Route, ...]:
        """The pages of this module."""
        return (
            Route(ROOT, self.letters),
            Route(f"{ROOT}/{{id}}/retry", self.retry, "POST"),
            Route(f"{AWAITING}{{token}}", self.awaiting, public=True),
        )

    def letters(self, visit: Visit) -> Response:
        """The last changed first; ``?state=`` and ``?reason=`` narrow."""
        narrowed = Narrowed.of(visit, STATES, REASONS)
        command = ListLetters(
            LetterState(narrowed.state) if narrowed.state else None,
            LetterReason(narrowed.reason) if narrowed.reason else None,
            limit=PAGE + 1,
            offset=narrowed.start,
        )
        found: LetterPage = visit.perform(actions.LETTERS, command)
        return self.render(
            visit,
            "operator_mail.html",
            rows=found.letters[:PAGE],
            counts=sorted(found.counts.items()),
            more=narrowed.more(found.letters),
            query=narrowed.query,
            start=narrowed.start,
            final=FINAL,
            notice=notice(visit, "mail.retried"),
        )

    @staticmethod
    def retry(visit: Visit) -> Response:
        """Send a held or refused one again."""
        try:
            visit.perform(actions.LETTER_RETRY, RetryLetter(visit.parameters["id"]))
        except HubError as error:
            return see_other(f"{ROOT}?failed={error.code}")
        return see_other(f"{ROOT}?done=1")

    def awaiting(self, visit: Visit) -> Response:
        """Who comes by the link says who they are, and then reads with their own rights: the link gives none."""
        if visit.principal is None:
            if visit.foreign and not visit.token:
                return HTMLResponse(_AGAIN, headers={**SECURITY_HEADERS, **PRIVATE})
            refused = Context(transaction=actions.PAGE.id, peer=visit.peer)
            self.account.hub.audit.record(actions.PAGE, refused, NotAuthenticated(), 0)
            return self.account.form(visit, target=visit.path)
        token = visit.parameters["token"]
        found: Awaiting = visit.perform(actions.AWAITING, OpenAwaiting(token))
        patient = found.patient
        handle = visit.handles.seal(
            "document", found.repository_unique_id, found.unique_id, patient.value, patient.authority
        )
        visit.parameters = {**visit.parameters, "document": handle}
        page = self.documents.document(visit)
        visit.perform(actions.AWAITING, OpenAwaiting(token, read=True))
        return page
