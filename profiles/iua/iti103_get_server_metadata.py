"""ITI-103 Get Authorization Server Metadata (RFC 8414), also where SMART looks for it."""

from collections.abc import Mapping
from typing import Any

from hub.access.model import PUBLIC
from hub.access.tokens_model import DescribeServer
from hub.context import Context
from hub.pipeline.transaction import AuditEvent, Form, Kind, Transaction
from hub.wire.http import HttpResponse
from hub.wire.oauth.form import FormRequest, answer

SMART = "/fhir/.well-known/smart-configuration"
TRANSACTION = Transaction(
    id="ITI-103",
    title="Get Authorization Server Metadata",
    profile="IUA",
    initiator="Authorization Client",
    responder="Authorization Server",
    bindings=(Form("GET", "/.well-known/oauth-authorization-server"), Form("GET", SMART)),
    section="ITI TF-2: 3.103",
    kind=Kind.QUERY,
    permission=PUBLIC,
    audit=AuditEvent("110112", "Query", "E"),
)


def decode(message: FormRequest, context: Context) -> DescribeServer:
    """By the address."""
    return DescribeServer(smart=message.path == SMART)


def encode(outcome: Mapping[str, Any], message: FormRequest, context: Context) -> HttpResponse:
    """JSON."""
    return answer(outcome, stored=True)
