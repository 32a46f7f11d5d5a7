"""What every way to sign in shares: the browser's secret, the session's cookie, the audit record, the way onwards."""

import html
import re
import secrets
import time

from starlette.responses import HTMLResponse, Response

from hub.access.model import Principal
from hub.context import Context
from hub.errors import HubError
from hub.pipeline.transaction import Transaction
from hub.portal.ports import PortalHub
from hub.portal.render import PRIVATE, SECURITY_HEADERS
from hub.portal.visit import FORM_COOKIE, SESSION_COOKIE, Visit

INVOKED = "/IHEInvokeImageDisplay?"  #: where other systems' links lead (RAD-106)
AWAITING = "/portal/awaiting/"  #: where notices' links lead, before the token
CALL = "/portal/call/"  #: where contextual calls lead, before the uuid
SECRET_COOKIE = "maillage_sign_in"  # noqa: S105  #: ties a sign-in that has begun to the browser that began it
SECRET_SECONDS = 600

_TOKEN = re.compile(r"[A-Za-z0-9_-]{20,100}")
#: A browser that comes from the provider's site keeps the session's cookie back; a page of the hub's own leads on.
_ONWARDS = (
    '<!doctype html><html lang="{language}"><meta charset="utf-8"><meta http-equiv="refresh" content="0;url={url}">'
    '<title>Maillage</title><p><a href="{url}">Maillage</a></p></html>'
)


def safe_target(text: str) -> str:
    """Where another system's link, or a notice's, leads; never to another site."""
    for page in (AWAITING, CALL):
        if text.startswith(page):
            return text if _TOKEN.fullmatch(text.removeprefix(page)) else ""
    return text if text.startswith(INVOKED) and "\\" not in text and text.isprintable() and len(text) < 4000 else ""


def cookie(visit: Visit, response: Response, name: str, value: str, *, max_age: int | None = None) -> None:
    """A cookie that only the hub's own pages send."""
    response.set_cookie(name, value, max_age=max_age, path="/", secure=visit.secure, httponly=True, samesite="strict")


def secret_of(visit: Visit) -> str:
    """The secret of the sign-in that this browser has begun; "" for none."""
    return visit.cookies.get(_name(visit), "")


def new_secret() -> str:
    """For one sign-in."""
    return secrets.token_urlsafe(32)


def keep_secret(visit: Visit, response: Response, secret: str) -> None:
    """In a cookie that comes back from the provider's site as well (Lax), and that no other host can set (__Host-)."""
    response.set_cookie(
        _name(visit), secret, max_age=SECRET_SECONDS, path="/", secure=visit.secure, httponly=True, samesite="lax"
    )


def forget_secret(visit: Visit, response: Response) -> None:
    """The sign-in is over."""
    response.delete_cookie(_name(visit), path="/", secure=visit.secure, httponly=True, samesite="lax")


def form_key(visit: Visit) -> str:
    """What a form before the session carries."""
    return visit.cookies.get(FORM_COOKIE, "") or secrets.token_urlsafe(24)


def enter(visit: Visit, response: Response, session: str) -> Response:
    """The browser has a session now: a new token, whatever it had before."""
    cookie(visit, response, SESSION_COOKIE, session)
    forget_secret(visit, response)
    response.delete_cookie(FORM_COOKIE, path="/")
    return response


def onwards(visit: Visit, path: str) -> Response:
    """To a page of the hub, as from a page of the hub."""
    page = _ONWARDS.format(url=html.escape(path, quote=True), language=visit.phrases.language)
    return HTMLResponse(page, headers={**SECURITY_HEADERS, **PRIVATE})


def told(  # noqa: PLR0917 (what an audit record says, in its order)
    hub: PortalHub,
    visit: Visit,
    transaction: Transaction,
    error: HubError | None,
    started: float,
    login: str = "",
    principal: Principal | None = None,
) -> None:
    """One audit record. ``login``: who it is said to be."""
    context = Context(transaction=transaction.id, peer=visit.peer)
    if principal is not None:
        context.principal = principal
    if login:
        context.touch("user", login)
    visit.correlation_id = context.correlation_id
    hub.audit.record(transaction, context, error, int((time.monotonic() - started) * 1000))


def _name(visit: Visit) -> str:
    return f"__Host-{SECRET_COOKIE}" if visit.secure else SECRET_COOKIE
