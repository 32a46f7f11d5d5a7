"""Links to the national record's own pages about a person (TD0.9)."""

from starlette.responses import Response

from hub.errors import NotFound
from hub.portal import actions
from hub.portal.clinical import Clinical
from hub.portal.render import see_other
from hub.portal.visit import Visit
from hub.portal.web import Route
from hub.record.web_access import OpenWebPage, WebPage

PAGES = {str(page): page for page in WebPage}


class NationalWebPages:
    """Each opens elsewhere: the record asks for the card or the e-CPS there."""

    def __init__(self, clinical: Clinical) -> None:
        self.clinical = clinical

    @property
    def routes(self) -> tuple[Route, ...]:
        """The pages of this module."""
        return (Route("/portal/person/{person}/national/web/{page}", self.open),)

    def open(self, visit: Visit) -> Response:
        """To the page; audited, since the address names the person."""
        page = PAGES.get(visit.parameters["page"])
        if page is None:
            raise NotFound
        person = self.clinical.opened(visit)
        address: str = visit.perform(actions.NATIONAL_WEB, OpenWebPage(person.regional, page))
        response = see_other(address)
        response.headers["Referrer-Policy"] = "no-referrer"
        return response
