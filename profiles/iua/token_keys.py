"""The public keys that verify the hub's tokens (RFC 7517 5)."""

from collections.abc import Mapping
from typing import Any

from hub.access.model import PUBLIC
from hub.access.tokens_model import ShowKeys
from hub.context import Context
from hub.pipeline.transaction import AuditEvent, Form, Kind, Transaction
from hub.wire.http import HttpResponse
from hub.wire.oauth.form import FormRequest, answer

TRANSACTION = Transaction(
    id="OAuth-keys",
    title="Public keys of tokens",
    profile="IUA",
    initiator="Resource Server",
    responder="Authorization Server",
    bindings=(Form("GET", "/oauth2/jwks"),),
    section="RFC 7517: 5",
    kind=Kind.QUERY,
    permission=PUBLIC,
    audit=AuditEvent("110112", "Query", "E"),
)


def decode(message: FormRequest, context: Context) -> ShowKeys:
    """Nothing is asked."""
    return ShowKeys()


def encode(outcome: Mapping[str, Any], message: FormRequest, context: Context) -> HttpResponse:
    """A JWK set."""
    return answer(outcome, stored=True)
