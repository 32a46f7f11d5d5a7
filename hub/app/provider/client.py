"""The OpenID provider's client: its metadata and keys as they are now, codes, phones, renewals, claims."""

import logging
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import httpx

from hub.access.sign_in_errors import ClaimsUnusable, ProviderUnavailable
from hub.app.keys.remote import RemoteKeys
from hub.app.settings.nodes import Tls
from hub.app.settings.psc import ProSanteConnect
from hub.errors import Misconfigured
from hub.values import new_key, now
from hub.wire.jose import jwt
from hub.wire.jose.keys import SigningKey, signing_key
from hub.wire.oidc import provider as answers
from hub.wire.oidc import tokens
from hub.wire.oidc.provider import Endpoints, PhoneRequest, Tokens

log = logging.getLogger(__name__)

CIBA = "urn:openid:params:grant-type:ciba"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MAX_ANSWER = 1024 * 1024
KEPT_SECONDS = 3600.0  #: metadata


@dataclass(frozen=True, slots=True)
class Person:
    """Whom the provider vouches for."""

    claims: jwt.Claims  #: about the person (userinfo)
    id_claims: jwt.Claims  #: of the ID token
    tokens: Tokens


class Provider:
    """One provider. Every call may raise ProviderUnavailable and ProviderDeclined; nothing is retried."""

    def __init__(self, settings: ProSanteConnect, tls: Tls, *, clock: Callable[[], datetime] = now) -> None:
        self.settings = settings
        self.issuer = settings.issuer or ""
        self.expected = tokens.Expected(self.issuer, settings.client_id, settings.algorithms, settings.leeway)
        self._clock = clock
        self._client = httpx.Client(
            verify=_tls(settings, tls),
            timeout=settings.timeout,
            follow_redirects=False,
            trust_env=False,
            headers={"Accept": "application/json, application/jwt"},
        )
        self._lock = threading.Lock()
        self._endpoints: tuple[float, Endpoints] | None = None
        self._keys = RemoteKeys(lambda: answers.keys(self._get(self._needed(self.endpoints.jwks_uri))))
        self._secret = _secret(settings)
        self._key = _key(settings)

    def close(self) -> None:
        """Let its connections go."""
        self._client.close()

    @property
    def endpoints(self) -> Endpoints:
        """As the metadata and the settings say."""
        with self._lock:
            kept = self._endpoints
        if kept is None or time.monotonic() - kept[0] > KEPT_SECONDS:
            address = self.settings.discovery or f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"
            found = answers.discovered(self._get(address), self.issuer, self.settings.endpoints)
            kept = (time.monotonic(), found)
            with self._lock:
                self._endpoints = kept
        return kept[1]

    def exchange(self, code: str, verifier: str, redirect_uri: str) -> Tokens:
        """A code's tokens (RFC 6749 4.1.3, RFC 7636 4.5)."""
        return self._tokens(
            {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, "code_verifier": verifier}
        )

    def renew(self, refresh_token: str) -> Tokens:
        """Fresh tokens for an old refresh token (RFC 6749 6)."""
        return self._tokens({"grant_type": "refresh_token", "refresh_token": refresh_token})

    def call_phone(self, number: str, message: str) -> PhoneRequest:
        """Ask on the phone of the person with this national id (CIBA Core 7.1)."""
        endpoint = self._needed(self.endpoints.backchannel_authentication_endpoint)
        wanted = {
            "scope": self.settings.scope,
            "acr_values": self.settings.acr[0],
            "login_hint": number,
            "binding_message": message,
        }
        return answers.phone_request(*self._post(endpoint, wanted))

    def phone_answer(self, auth_req_id: str) -> Tokens:
        """What became of it (CIBA Core 10.1): ProviderDeclined with ``authorization_pending`` while nobody answered."""
        return self._tokens({"grant_type": CIBA, "auth_req_id": auth_req_id})

    def person(self, given: Tokens, nonce: str) -> Person:
        """Whom the tokens are about: ID token and claims, both verified. ``nonce`` "": none was sent.

        Raises TokenRefused and SignInRefused."""
        said = self._keys.use(
            lambda keys: tokens.id_token(
                given.id_token,
                keys,
                self.expected,
                self._clock(),
                nonce=nonce,
                acr=self.settings.acr,
                access_token=given.access_token,
            )
        )
        return Person(self._claims(given.access_token, jwt.text(said, "sub")), said, given)

    def same_person(self, id_token: str, subject: str) -> bool:
        """Whether a renewed ID token is about the same person. Raises TokenRefused."""
        said = self._keys.use(lambda keys: tokens.id_token(id_token, keys, self.expected, self._clock()))
        return jwt.text(said, "sub") == subject

    def logout(self, text: str) -> tokens.Logout:
        """What a logout token says. Raises LogoutRefused, TokenRefused."""
        return self._keys.use(lambda keys: tokens.logout_token(text, keys, self.expected, self._clock()))

    def _claims(self, access_token: str, subject: str) -> jwt.Claims:
        endpoint = self._needed(self.endpoints.userinfo_endpoint)
        answer = self._send("GET", endpoint, headers={"Authorization": f"Bearer {access_token}"})
        if answer.status_code != httpx.codes.OK:
            if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
                raise ProviderUnavailable()
            raise ClaimsUnusable("The provider does not give the person's claims.")
        kind = answer.headers.get("content-type", "")
        return self._keys.use(
            lambda keys: tokens.userinfo(
                kind, answer.content, keys, self.expected, subject, signed=self.settings.signed_claims
            )
        )

    # HTTP

    def _tokens(self, form: Mapping[str, str]) -> Tokens:
        return answers.tokens(*self._post(self._needed(self.endpoints.token_endpoint), form))

    def _post(self, endpoint: str, form: Mapping[str, str]) -> tuple[int, bytes]:
        """With the hub's proof of who it is (RFC 6749 2.3, RFC 7523 2.2, RFC 8705 2)."""
        settings, data, basic = self.settings, dict(form), None
        match settings.authentication:
            case "client_secret_basic":
                basic = httpx.BasicAuth(_form(settings.client_id), _form(self._secret))
            case "client_secret_post":
                data |= {"client_id": settings.client_id, "client_secret": self._secret}
            case "private_key_jwt":
                data |= {"client_id": settings.client_id, "client_assertion_type": ASSERTION}
                data["client_assertion"] = self._assertion()
            case _:
                data["client_id"] = settings.client_id
        answer = self._send("POST", endpoint, data=data, auth=basic)
        return answer.status_code, answer.content

    def _assertion(self) -> str:
        assert self._key is not None
        at = int(self._clock().timestamp())
        mine = self.settings.client_id
        claims = {"iss": mine, "sub": mine, "aud": self.issuer, "iat": at, "exp": at + 60, "jti": new_key()}
        return jwt.write(claims, self._key, "JWT")

    def _get(self, address: str) -> bytes:
        answer = self._send("GET", address)
        if answer.status_code != httpx.codes.OK:
            raise ProviderUnavailable()
        return answer.content

    def _send(
        self,
        method: str,
        address: str,
        *,
        headers: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        auth: httpx.Auth | None = None,
    ) -> httpx.Response:
        request = self._client.build_request(method, address, headers=headers, data=data)
        try:
            answer = self._client.send(request, auth=auth, stream=True)
            try:
                body = bytearray()
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > MAX_ANSWER:
                        raise ProviderUnavailable("The provider's answer is too large.")
            finally:
                answer.close()
        except httpx.HTTPError as error:
            # Its text may hold the address, which may hold what must not be logged.
            log.warning("the identity provider does not answer: %s", type(error).__name__)
            raise ProviderUnavailable() from error
        return httpx.Response(answer.status_code, headers=_plain(answer.headers), content=bytes(body))

    @staticmethod
    def _needed(endpoint: str) -> str:
        if not endpoint:
            raise ProviderUnavailable("The provider's metadata lacks an endpoint that is needed.")
        return endpoint


def _plain(headers: httpx.Headers) -> dict[str, str]:
    """Of a body that is decoded already."""
    return {"content-type": headers.get("content-type", "")}


def _form(text: str) -> str:
    """Encoded as RFC 6749 2.3.1 wants it before it becomes HTTP Basic."""
    return str(httpx.QueryParams({"x": text}))[2:]


def _tls(settings: ProSanteConnect, tls: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(settings.ca) if settings.ca else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.authentication != "tls_client_auth":
        return context
    certificate, key = settings.certificate or tls.certificate, settings.certificate_key or tls.key
    if certificate is None or key is None:
        raise Misconfigured(
            "authentication by tls_client_auth needs a certificate.", location="pro_sante_connect.certificate"
        )
    context.load_cert_chain(certificate, key)
    return context


def _secret(settings: ProSanteConnect) -> str:
    if settings.client_secret_file is None:
        return ""
    try:
        return settings.client_secret_file.read_text().strip()
    except OSError as error:
        raise Misconfigured(
            "The client secret can't be read.", location="pro_sante_connect.client_secret_file"
        ) from error


def _key(settings: ProSanteConnect) -> SigningKey | None:
    if settings.authentication != "private_key_jwt" or settings.client_key is None:
        return None
    try:
        return signing_key(settings.client_key.read_bytes())
    except OSError as error:
        raise Misconfigured("The client's key can't be read.", location="pro_sante_connect.client_key") from error
