"""The hub as an issuer of tokens: its keys, what they sign, and what is believed of a token that comes back."""

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from hub.access.model import Client
from hub.access.scopes import INTERACTIONS, Scopes
from hub.access.tokens import TokenService
from hub.access.tokens_errors import ClientRefused, TargetUnknown, TokenClaims, TokenKey, TokenTypeUnsupported
from hub.access.tokens_model import ACCESS_TOKEN_TYPE, JWT_TYPE
from hub.app.keys.changing import Changing
from hub.app.settings.oauth import OAuth
from hub.errors import Misconfigured
from hub.pipeline.catalogue import Catalogue
from hub.pipeline.transaction import Direction, Fhir
from hub.wire.jose import jwt
from hub.wire.jose.keys import Keys, SigningKey, public_keys, signing_key, verifying

log = logging.getLogger(__name__)
Claims = Mapping[str, Any]

#: Longest life of a client's assertion, in seconds (SMART App Launch 2: 7.1.2).
ASSERTION_SECONDS = 300
#: typ of a client's assertion, where it has one.
ASSERTION_TYPES = frozenset({"", "jwt", "client-authentication+jwt"})
#: Where a client proves itself with an assertion: each of these is an audience of it, and so is the issuer.
PROVING = ("/oauth2/token", "/oauth2/introspect", "/oauth2/revoke")
_FORMATS = {"jwt": JWT_TYPE, "opaque": ACCESS_TOKEN_TYPE}
MAX_KEY_FILE = 256 * 1024
#: What reading a resource permits beside finding it: the pixels of a study are read where the study is.
BESIDE: Mapping[tuple[str, str], frozenset[str]] = {("ImagingStudy", "r"): frozenset({"imaging.retrieve"})}


def scopes_of(catalogue: Catalogue) -> Scopes:
    """What scopes mean here, from the transactions' descriptors."""
    resources: dict[tuple[str, str], frozenset[str]] = dict(BESIDE)
    for binding, bound in catalogue.bindings(Fhir):
        letter, permission = INTERACTIONS.get(binding.interaction), bound.transaction.permission
        if letter and binding.resource and permission:
            key = binding.resource, letter
            resources[key] = resources.get(key, frozenset()) | {permission}
    served = [bound.transaction for bound in catalogue if bound.transaction.direction is not Direction.INITIATOR]
    return Scopes(resources, {one.id: one.permission for one in served if "." in one.permission and one.bindings})


class TokenIssuer:
    """Signs and verifies. ``url``: the hub's public URL, known once it listens. Files of keys are read again when they
    change."""

    def __init__(self, settings: OAuth, tokens: TokenService, url: Callable[[], str]) -> None:
        self.settings = settings
        self.tokens = tokens
        self.url = url
        self._keys = Changing(settings.signing_keys, lambda: tuple(map(_signing, settings.signing_keys)))
        self._verifying = Changing(settings.signing_keys, lambda: verifying(map(_signing, settings.signing_keys)))
        self._client_keys = {
            name: Changing((file,), _reader(file)) for name, file in settings.client_keys.items() if self._listed(name)
        }

    def _listed(self, name: str) -> bool:
        if self.tokens.client(name) is None:
            raise Misconfigured(f"oauth.client_keys names {name}, which is none of clients.", location="oauth")
        return True

    @property
    def active(self) -> bool:
        """Whether this hub issues tokens."""
        return bool(self.settings.signing_keys)

    @property
    def issuer(self) -> str:
        """iss of its tokens."""
        return self.settings.issuer or self.url()

    @property
    def audiences(self) -> frozenset[str]:
        """aud that mean this hub; the first one is its public URL."""
        return frozenset({self.url(), *self.settings.audiences})

    def jwks(self) -> dict[str, Any]:
        """The public keys."""
        return {"keys": [key.public for key in self._keys()]}

    # Tokens

    def issue(self, claims: Claims, *, opaque: bool) -> str:
        """A token that means the claims."""
        said = {"iss": self.issuer, "aud": self.url(), **claims}
        return self.tokens.keep(said) if opaque else jwt.write(said, self._keys()[0])

    def opaque(self, wanted: str) -> bool:
        """Which kind is wanted (IUA: requested_token_type). Raises TokenTypeUnsupported."""
        wanted = wanted or _FORMATS[self.settings.token_format]
        if wanted not in _FORMATS.values():
            raise TokenTypeUnsupported("Tokens are made as JWT or opaque.", location="requested_token_type")
        return wanted == ACCESS_TOKEN_TYPE

    def read(self, token: str) -> Claims | None:
        """What a good token of ours says; None when it is not one of ours. Raises TokenRefused."""
        if not jwt.looks_signed(token):
            claims = self.tokens.kept(token)
        elif jwt.peek(token).get("iss") == self.issuer:
            claims = jwt.read(token, self._verifying(), self._rules(), self.tokens.clock())
        else:
            return None
        if claims is not None:
            self.tokens.check_not_ended(claims)
        return claims

    def _rules(self) -> jwt.Rules:
        return jwt.Rules(self.issuer, self.audiences, algorithms=self.settings.algorithms, leeway=self.settings.leeway)

    def check_targets(self, targets: Iterable[str]) -> None:
        """resource (RFC 8707) and audience (RFC 8693). Raises TargetUnknown when one is not this hub."""
        for target in targets:
            if not any(target.rstrip("/") == own or target.startswith(f"{own}/") for own in self.audiences):
                raise TargetUnknown()

    # Clients

    def prove(self, assertion: str, client_id: str) -> Client:
        """Whose assertion it is (RFC 7523 3): signed by a key of theirs, made for us, good once. Raises TokenRefused,
        ClientRefused."""
        name = jwt.text(jwt.peek(assertion), "iss")
        client, keys = self.tokens.client(name), self._client_keys.get(name)
        if client is None or keys is None or (client_id and client_id != name):
            raise ClientRefused()
        rules = jwt.Rules(
            name,
            frozenset({self.issuer, self.url(), *(f"{self.url()}{path}" for path in PROVING)}),
            algorithms=self.settings.algorithms,
            types=ASSERTION_TYPES,
            leeway=self.settings.leeway,
            longest=ASSERTION_SECONDS,
        )
        at = self.tokens.clock()
        claims = jwt.read(assertion, keys(), rules, at)
        if jwt.text(claims, "sub") != name:
            raise TokenClaims("The assertion's iss and sub are the client's id, both.", location="sub")
        until = at + timedelta(seconds=2 * ASSERTION_SECONDS)
        self.tokens.use_once(name, jwt.text(claims, "jti"), until)
        return client

    def actor(self, token: str, client: Client) -> Claims:
        """What a client says of the software that acts (RFC 8693 2.1 actor_token), signed by the client."""
        keys = self._client_keys.get(client.name)
        if keys is None:
            raise TokenKey("An actor token is signed with a key of the client's in oauth.client_keys.")
        rules = jwt.Rules(
            client.name,
            self.audiences | {self.issuer},
            algorithms=self.settings.algorithms,
            types=ASSERTION_TYPES,
            leeway=self.settings.leeway,
            longest=ASSERTION_SECONDS,
        )
        return jwt.read(token, keys(), rules, self.tokens.clock())


def read_file(file: Path) -> bytes:
    """A file of keys. Raises Misconfigured."""
    try:
        if file.stat().st_size > MAX_KEY_FILE:
            raise Misconfigured("A file of keys is too large.", location=file.name)
        return file.read_bytes()
    except OSError as error:
        raise Misconfigured("A file of keys is not readable.", location=file.name) from error


def _signing(file: Path) -> SigningKey:
    return signing_key(read_file(file))


def _reader(file: Path) -> Callable[[], Keys]:
    return lambda: public_keys(read_file(file))
