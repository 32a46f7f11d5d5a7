"""ITI-102 Introspect Token (RFC 7662): whether a token of the hub's is good, and what it says."""

from hub.access.tokens_model import IntrospectToken, TokenFacts
from hub.context import Context
from hub.pipeline.transaction import AuditEvent, Form, Kind, Transaction
from hub.wire.http import HttpResponse
from hub.wire.oauth.form import FormRequest, answer

TRANSACTION = Transaction(
    id="ITI-102",
    title="Introspect Token",
    profile="IUA",
    initiator="Resource Server",
    responder="Authorization Server",
    bindings=(Form("POST", "/oauth2/introspect"),),
    section="ITI TF-2: 3.102",
    kind=Kind.QUERY,
    permission="oauth.introspect",
    audit=AuditEvent("110112", "Query", "E"),
)


def decode(message: FormRequest, context: Context) -> IntrospectToken:
    """The token."""
    return IntrospectToken(message.parameters)


def encode(outcome: TokenFacts, message: FormRequest, context: Context) -> HttpResponse:
    """Not active says nothing else (RFC 7662 2.2)."""
    if not outcome.claims:
        return answer({"active": False})
    return answer({**outcome.claims, "active": True, "token_type": "Bearer"})
