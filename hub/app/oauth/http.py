"""The endpoints of OAuth: a form is read before its sender is known, for it holds the proof; so it is small."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from starlette.requests import Request
from starlette.responses import Response

from hub.access.model import Credentials
from hub.access.tokens_errors import ClientRefused
from hub.access.tokens_model import ASSERTION_TYPE
from hub.app.web import edge
from hub.app.web.edge import Body
from hub.context import Context
from hub.errors import HubError
from hub.pipeline.catalogue import Bound
from hub.pipeline.transaction import Form
from hub.wire.http import HttpResponse
from hub.wire.jose.jwt import thumbprint
from hub.wire.oauth.form import MAX_BODY, FormRequest, fields, one

if TYPE_CHECKING:
    from hub.app.web.http import Edge


def endpoint(door: "Edge", binding: Form, bound: Bound) -> Callable[[Request], Any]:
    """One endpoint."""

    async def serve(request: Request) -> Response:
        body = Body(request, MAX_BODY)
        credentials = edge.credentials_of(request, door.proxy, sessions=False)
        await body.prefetch()

        def work(context: Context) -> HttpResponse:
            message = FormRequest(
                request.method,
                request.url.path,
                base=door.hub.public_url(),
                headers={name.lower(): value for name, value in request.headers.items()},
                thumbprint=thumbprint(credentials.certificate) if credentials.certificate else "",
            )
            shown = credentials
            if request.method == "POST":
                content_type, query = message.headers.get("content-type", ""), request.url.query
                once = binding.wire == "oauth"  # a call says which field it is
                message = replace(message, parameters=fields(content_type, query, body.read(), once=once))
                shown = proven(message, credentials)
            return cast("HttpResponse", door.hub.pipeline.run(bound, binding.wire, message, shown, context))

        def safely(context: Context) -> HttpResponse:
            try:
                return work(context)
            except HubError as error:  # the form could not be read: what the pipeline raises it answers itself
                shown = replace(credentials, bearer_in_url=False)
                failure = door.hub.pipeline.turned_away(error, shown, context, bound)
                return cast("HttpResponse", door.hub.pipeline.wires[binding.wire](failure, None, context))

        return await door.in_thread(safely, request, body)

    return serve


def proven(message: FormRequest, credentials: Credentials) -> Credentials:
    """With what the form says of its sender (RFC 7521 4.2, RFC 8705 2). Raises ClientRefused."""
    form = message.parameters
    if "client_secret" in form or message.headers.get("authorization", "").lower().startswith("basic "):
        raise ClientRefused("A secret is no proof here: sign an assertion (private_key_jwt), or show a certificate.")
    assertion, kind = one(form, "client_assertion"), one(form, "client_assertion_type")
    if assertion and kind != ASSERTION_TYPE:
        raise ClientRefused(f"The client_assertion_type is {ASSERTION_TYPE}.", location="client_assertion_type")
    return replace(credentials, client_id=one(form, "client_id"), client_assertion=assertion)
