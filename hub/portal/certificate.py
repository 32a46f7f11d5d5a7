"""The client's certificate of an HTTP request: from its connection, or from the trusted proxy's header."""

import base64
import binascii
import ssl
from urllib.parse import unquote

from starlette.requests import Request

from hub.errors import Malformed

HEADER = "x-ssl-client-cert"


def certificate_of(request: Request, trusted_proxy: str) -> tuple[bytes, bool]:
    """The certificate (DER, empty without) and whether a proxy forwarded it: then its chain is still to be verified.

    The header of anybody but the proxy is not looked at. Raises Malformed."""
    address = request.client.host if request.client else ""
    if trusted_proxy and address == trusted_proxy:
        # The proxy's own certificate is not its caller's: without the header nobody vouched for the caller.
        values = request.headers.getlist(HEADER)
        if len(values) > 1:
            raise Malformed(f"The header {HEADER} is given more than once.")
        return _forwarded(values[0] if values else ""), True
    certificate: bytes = request.scope.get("extensions", {}).get("tls", {}).get("client_cert_der", b"")
    return certificate, False


def _forwarded(text: str) -> bytes:
    """nginx sends escaped PEM, HAProxy base64 DER."""
    if not text:
        return b""
    try:
        if text.startswith("-----BEGIN"):
            return ssl.PEM_cert_to_DER_cert(unquote(text))
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise Malformed("The forwarded client certificate is not readable.") from error
