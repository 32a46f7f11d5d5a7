"""ITI-71 Get Access Token: client credentials (RFC 6749 4.4), and the exchange of a professional's token (RFC 8693)."""

from hub.access.model import KNOWN
from hub.access.tokens_model import GetToken, IssuedToken
from hub.context import Context
from hub.pipeline.transaction import AuditEvent, Form, Kind, Transaction
from hub.wire.http import HttpResponse
from hub.wire.oauth.form import FormRequest, answer

TRANSACTION = Transaction(
    id="ITI-71",
    title="Get Access Token",
    profile="IUA",
    initiator="Authorization Client",
    responder="Authorization Server",
    bindings=(Form("POST", "/oauth2/token"),),
    section="ITI TF-2: 3.71",
    kind=Kind.QUERY,
    permission=KNOWN,
    audit=AuditEvent("110114", "User Authentication", "E"),
    options=(
        "client credentials with private_key_jwt, tls_client_auth or self_signed_tls_client_auth",
        "JWT Token",
        "opaque tokens",
        "tokens bound to the certificate (RFC 8705)",
        "token exchange (RFC 8693)",
    ),
)


def decode(message: FormRequest, context: Context) -> GetToken:
    """The form, and the certificate that the caller showed."""
    return GetToken(message.parameters, message.thumbprint)


def encode(outcome: IssuedToken, message: FormRequest, context: Context) -> HttpResponse:
    """RFC 6749 5.1."""
    found: dict[str, object] = {
        "access_token": outcome.access_token,
        "token_type": outcome.token_type,
        "expires_in": outcome.expires_in,
        "scope": outcome.scope,
    }
    if outcome.issued_token_type:
        found["issued_token_type"] = outcome.issued_token_type
    return answer(found)
