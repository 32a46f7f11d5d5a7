"""``maillage oauth``: keys for tokens, and a token at a terminal."""

import secrets
import ssl
from pathlib import Path
from typing import Annotated

import httpx
import orjson
import typer
from rich.console import Console

from hub.access.tokens_model import ASSERTION_TYPE, CLIENT_CREDENTIALS
from hub.app.keys import pki
from hub.app.oauth.issuer import ASSERTION_SECONDS, read_file
from hub.app.settings.oauth import SignatureAlgorithm
from hub.errors import HubError, Invalid, Misconfigured, PeerRefused, Unavailable
from hub.values import now
from hub.wire.jose import jwt
from hub.wire.jose.keys import new_key, signing_key

oauth = typer.Typer(no_args_is_help=True, help="Tokens for systems: make keys, get a token.")
out, err = Console(soft_wrap=True), Console(stderr=True)


@oauth.command("key")
def key(
    file: Annotated[Path, typer.Argument(help="Where the private key goes, as PEM; it must not be there yet.")],
    algorithm: Annotated[SignatureAlgorithm, typer.Option(help="What it signs with.")] = "ES256",
) -> None:
    """Make a key that signs tokens (`oauth.signing_keys`), or with which a client signs its assertions.

    Beside FILE, which its owner alone may read, the public half is written as a JWK set, FILE.jwks.json: what a client
    hands to the hub's operator for `oauth.client_keys`.
    """
    try:
        if file.exists():
            raise Misconfigured("There is a file of this name already: a key is never replaced silently.")
        made = new_key(algorithm)
        pki.write_secret(file, made)
        public = file.with_suffix(".jwks.json")
        public.write_bytes(orjson.dumps({"keys": [signing_key(made).public]}, option=orjson.OPT_INDENT_2))
    except HubError as error:
        err.print(error.told)
        raise typer.Exit(1) from None
    out.print(f"{file} (private), {public} (public)")


@oauth.command("token")
def token(  # noqa: PLR0917 (typer reads options from parameters)
    hub: Annotated[str, typer.Argument(help="URL of the hub: https://hub.example.org")],
    client: Annotated[str, typer.Option(help="The client's name in the hub's settings.")],
    scope: Annotated[str, typer.Option(help="Scopes, separated by spaces.")],
    key: Annotated[Path | None, typer.Option(help="Private key that signs the assertion (PEM, JWK).")] = None,
    cert: Annotated[Path | None, typer.Option(help="Certificate to show instead, or as well (PEM).")] = None,
    cert_key: Annotated[Path | None, typer.Option("--cert-key", help="Its private key (PEM).")] = None,
    ca: Annotated[Path | None, typer.Option(help="Authority of the hub's certificate (PEM).")] = None,
) -> None:
    """Get an access token with client credentials, and print it.

    The client proves who it is with a key (private_key_jwt) or a certificate (tls_client_auth).
    """
    try:
        out.print(_ask(hub.rstrip("/"), client, scope, key, _trust(ca, cert, cert_key)), markup=False, highlight=False)
    except HubError as error:
        err.print(error.told)
        raise typer.Exit(1) from None


def _trust(ca: Path | None, cert: Path | None, cert_key: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca)
        if cert is not None:
            context.load_cert_chain(cert, cert_key)
    except (OSError, ssl.SSLError) as error:
        raise Invalid("A certificate or its key is not readable.") from error
    return context


def _ask(hub: str, client: str, scope: str, key: Path | None, trust: ssl.SSLContext) -> str:
    endpoint = f"{hub}/oauth2/token"
    form = {"grant_type": CLIENT_CREDENTIALS, "client_id": client, "scope": scope}
    if key is not None:
        at = int(now().timestamp())
        claims = {"iss": client, "sub": client, "aud": endpoint, "iat": at, "exp": at + ASSERTION_SECONDS // 2}
        claims["jti"] = secrets.token_hex(16)
        form["client_assertion_type"] = ASSERTION_TYPE
        form["client_assertion"] = jwt.write(claims, signing_key(read_file(key)), typ="JWT")
    try:
        answer = httpx.post(endpoint, data=form, verify=trust, timeout=30, trust_env=False)
        found = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise Unavailable("The hub does not answer, or not as a token endpoint does.") from error
    if answer.status_code != httpx.codes.OK:
        raise PeerRefused(f"{found.get('error')}: {found.get('error_description')}")
    return str(found["access_token"])
