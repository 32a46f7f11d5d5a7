"""Templates to responses: autoescaped Jinja2, one language a page, closed security headers."""

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from starlette.responses import HTMLResponse, RedirectResponse, Response

from hub import __version__
from hub.portal import formats
from hub.portal.visit import Visit

SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
PRIVATE = {"Cache-Control": "no-store"}  #: pages with patients never stay in a cache

MENU_CLINICAL = (
    ("patients", "/portal/search", "patients.query"),
    ("steward", "/portal/steward", "patients.steward"),
)
MENU_OPERATOR = (
    ("overview", "/portal/operator", "exchange.read"),
    ("messages", "/portal/operator/messages", "exchange.read"),
    ("deliveries", "/portal/operator/deliveries", "exchange.read"),
    ("sources", "/portal/operator/sources", "sources.read"),
    ("audit", "/portal/operator/audit", "audit.read"),
    ("collectors", "/portal/operator/collectors", "exchange.read"),
    ("trail", "/portal/trail", "audit.read"),
    ("broken", "/portal/rights/broken", "rights.oversee"),
)


class Renderer:
    """Turns a template and values into a page."""

    def __init__(self, region_name: str) -> None:
        self.region_name = region_name
        self.menu_operator: tuple[tuple[str, str, str], ...] = MENU_OPERATOR  #: (name, path, permission)
        self.read_with: frozenset[str] = (
            frozenset()
        )  #: proofs of identity that open the national record; none: no record
        self.mails = False  #: whether documents can be sent by secure mail
        self._environment = Environment(
            loader=PackageLoader("hub.portal", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["figure"] = _figure
        self._environment.globals.update(version=__version__, region=region_name, formats=formats)

    def page(self, visit: Visit, template: str, *, code: int = 200, **values: Any) -> Response:
        """A whole page, or the fragment of the same template name when portal.js asked."""
        menu = []
        if visit.principal is not None:
            menu = [item for item in (*MENU_CLINICAL, *self.menu_operator) if visit.may(item[2])]
        html = self._environment.get_template(template).render(
            visit=visit,
            t=visit.phrases,
            language=visit.phrases.language,
            csrf=visit.handles.csrf if visit.token else "",
            menu=menu,
            read_with=self.read_with,
            mails=self.mails,
            **values,
        )
        return HTMLResponse(html, code, {**SECURITY_HEADERS, **PRIVATE})


@pass_context
def _figure(context: Context, value: object) -> str:
    """A number as the page's language writes it."""
    return formats.figure(value, context["language"])


def see_other(path: str) -> Response:
    """Redirect after a POST (RFC 9110: 15.4.4)."""
    return RedirectResponse(path, 303, {**SECURITY_HEADERS, **PRIVATE})
