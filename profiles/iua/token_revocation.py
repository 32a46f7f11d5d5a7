"""Revocation (RFC 7009): a client ends a token of its own before its time."""

from hub.access.model import KNOWN
from hub.access.tokens_model import RevokeToken
from hub.context import Context
from hub.pipeline.transaction import AuditEvent, Form, Kind, Transaction
from hub.wire.http import HttpResponse
from hub.wire.oauth.form import FormRequest, answer

TRANSACTION = Transaction(
    id="OAuth-revocation",
    title="Revoke a token",
    profile="IUA",
    initiator="Authorization Client",
    responder="Authorization Server",
    bindings=(Form("POST", "/oauth2/revoke"),),
    section="RFC 7009: 2",
    kind=Kind.CHANGE,
    permission=KNOWN,
    audit=AuditEvent("110114", "User Authentication", "E"),
)


def decode(message: FormRequest, context: Context) -> RevokeToken:
    """The token."""
    return RevokeToken(message.parameters)


def encode(outcome: None, message: FormRequest, context: Context) -> HttpResponse:
    """The same for a token that was there and for one that was not (RFC 7009 2.2)."""
    return answer({})
