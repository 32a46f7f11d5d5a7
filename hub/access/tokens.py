"""Access tokens: whose they are, what they permit now, which are over. How they are written is the wire's business."""

import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Any

import orjson

from hub.access.model import Client, Principal, Professional, Scheme
from hub.access.professions import roles_of
from hub.access.roles import permissions_of
from hub.access.scopes import Scopes
from hub.access.store_tokens import TokenStore
from hub.access.tokens_errors import TokenEnded, TokenReplayed
from hub.storage.engine import Database
from hub.values import new_key, now

Claims = Mapping[str, Any]

#: Systems of codes in the claims of a professional (IUA: 3.71.4.2.2.1.1 subject_role).
SPECIALITIES = "1.2.250.1.71.4.2.5"
IUA = "ihe_iua"  #: the IUA extension's claim, below "extensions"


class TokenService:
    """Tokens of the hub's own authorisation server.

    ``unlisted``: what tokens permit whose client is none of ``clients``; nothing: they are refused."""

    def __init__(
        self,
        *,
        database: Database,
        clients: Iterable[Client],
        scopes: Scopes,
        unlisted: Iterable[str] = (),
        clock: Callable[[], datetime] = now,
    ) -> None:
        self.database = database
        self.scopes = scopes
        self.clock = clock
        self._clients = {client.name: client for client in clients}
        self._unlisted = tuple(unlisted)
        self._named = lru_cache(maxsize=1024)(scopes.interactions)  # tokens of a client all ask for the same

    def client(self, name: str) -> Client | None:
        """A configured system."""
        return self._clients.get(name)

    # Issuing

    def claims(  # the facts of one token
        self,
        client: Client,
        scope: str,
        *,
        life: timedelta,
        thumbprint: str = "",
        professional: Professional | None = None,
        level: str = "",
        actor: Claims | None = None,
    ) -> dict[str, Any]:
        """What a new token says: for the client itself, or for a professional for whom it acts. Raises ScopeRefused."""
        ceilings = self._ceilings(client.permissions, professional)
        granted = self.scopes.ask(scope, ceilings, person=professional is not None)
        at = int(self.clock().timestamp())
        found: dict[str, Any] = {
            "sub": professional.id if professional else client.name,
            "client_id": client.name,
            "iat": at,
            "nbf": at,
            "exp": at + int(life.total_seconds()),
            "jti": f"{new_key()}{secrets.token_hex(8)}",
            "scope": " ".join(granted),
        }
        if thumbprint:
            found["cnf"] = {"x5t#S256": thumbprint}
        if professional:
            found |= _written(professional) | {"acr": level, "act": {"sub": client.name, **(actor or {})}}
        elif client.organisation:
            found["extensions"] = {IUA: {"subject_organization": client.organisation}}
        return found

    def keep(self, claims: Claims) -> str:
        """Keep an opaque token that means these claims. Returns it: 256 random bits, kept as a hash only."""
        token = secrets.token_urlsafe(32)
        with self.database.transaction() as work:
            store = TokenStore(work)
            store.forget(self.clock())
            store.keep(_hash(token), orjson.dumps(claims).decode(), _end(claims))
        return token

    # Reading

    def kept(self, token: str) -> Claims | None:
        """What an opaque token of ours means; None when it is not one, or is over by time."""
        with self.database.reading() as work:
            text = TokenStore(work).claims(_hash(token))
        claims: Claims | None = orjson.loads(text) if text is not None else None
        return claims if claims is not None and _end(claims) > self.clock() else None

    def check_not_ended(self, claims: Claims) -> None:
        """Raises TokenEnded when the token was revoked."""
        with self.database.reading() as work:
            if TokenStore(work).ended(_token_id(claims)):
                raise TokenEnded()

    def end(self, claims: Claims) -> None:
        """Revoke."""
        with self.database.transaction() as work:
            store = TokenStore(work)
            store.forget(self.clock())
            store.end(_token_id(claims), _end(claims))

    def use_once(self, client: str, jti: str, until: datetime) -> None:
        """An assertion is good once. Raises TokenReplayed."""
        with self.database.transaction() as work:
            if not TokenStore(work).use(_hash(f"{client} {jti}"), until):
                raise TokenReplayed()

    def forget(self) -> None:
        """Let go of tokens and uses that have expired by themselves."""
        with self.database.transaction() as work:
            TokenStore(work).forget(self.clock())

    def principal(self, claims: Claims) -> Principal:
        """Whom a good token of ours speaks for, and what it permits now. Raises TokenEnded when its client is gone."""
        name = str(claims.get("client_id") or claims.get("sub") or "")
        client = self._clients.get(name)
        allowed = client.permissions if client else self._unlisted
        if not allowed:
            raise TokenEnded("The token's client has no permission here any more.")
        professional = read_professional(claims)
        place = professional.structure_name if professional else ""
        ceilings = self._ceilings(allowed, professional)
        facts = _iua(claims)
        return Principal(
            id=professional.id if professional else name,
            name=_name(professional) if professional else name,
            scheme=Scheme.PROVIDER if professional else Scheme.TOKEN,
            organisation=place or (client.organisation if client else ""),
            roles=roles_of(professional) if professional else frozenset(),
            permissions=self._permissions(claims, ceilings, person=professional is not None),
            interactions=self._interactions(claims, person=professional is not None),
            source=client.source if client else "",
            person=professional is not None,
            professional=professional,
            about=str(facts.get("person_id") or ""),
            node=name if professional else "",
            level=str(claims.get("acr") or ""),
        )

    def foreign(self, claims: Claims, allowed: Iterable[str]) -> Principal:
        """Whom a good token of another server speaks for: a system, known by that server's name as well."""
        issuer = str(claims.get("iss") or "")
        subject = str(claims.get("client_id") or claims.get("azp") or claims.get("sub") or "")
        permissions = self._permissions(claims, [tuple(allowed)], person=False)
        return Principal(
            id=f"{subject}@{issuer}",
            name=subject,
            scheme=Scheme.TOKEN,
            permissions=permissions,
            interactions=self._interactions(claims, person=False),
        )

    def _permissions(self, claims: Claims, ceilings: list[tuple[str, ...]], *, person: bool) -> frozenset[str]:
        scope = claims.get("scope")
        if scope is None and len(ceilings) == 1:
            return frozenset(ceilings[0])
        return self.scopes.narrowed(str(scope or ""), ceilings, person=person)

    def _interactions(self, claims: Claims, *, person: bool) -> Mapping[str, frozenset[str]]:
        return self._named(str(claims.get("scope") or ""), person=person)

    @staticmethod
    def _ceilings(allowed: Iterable[str], professional: Professional | None) -> list[tuple[str, ...]]:
        first = tuple(allowed)
        return [first, tuple(permissions_of(roles_of(professional)))] if professional else [first]


def _written(one: Professional) -> dict[str, Any]:
    """A professional as claims: names as OpenID has them, the rest as IUA (ITI TF-2: 3.71.4.2.2.1.1)."""
    roles = [{"system": one.profession_system, "code": one.profession}] if one.profession else []
    roles += [{"system": SPECIALITIES, "code": code} for code in one.specialities]
    iua = {
        "subject_name": _name(one),
        "subject_organization": one.structure_name,
        "subject_organization_id": one.structure,
        "subject_role": roles,
        "national_provider_identifier": one.id,
    }
    found = {"family_name": one.family, "given_name": one.given, "sector": one.sector}
    return {**{name: value for name, value in found.items() if value}, "extensions": {IUA: iua}}


def read_professional(claims: Claims) -> Professional | None:
    """The professional of a token of ours; None when it speaks for a system."""
    iua = _iua(claims)
    identity = iua.get("national_provider_identifier")
    if not identity:
        return None
    claimed = iua.get("subject_role")
    roles = [role for role in claimed if isinstance(role, dict)] if isinstance(claimed, list) else []
    profession: Claims = next((role for role in roles if role.get("system") != SPECIALITIES), {})
    return Professional(
        id=str(identity),
        family=str(claims.get("family_name", "")),
        given=str(claims.get("given_name", "")),
        profession=str(profession.get("code", "")),
        profession_system=str(profession.get("system", "")),
        specialities=tuple(str(role.get("code", "")) for role in roles if role.get("system") == SPECIALITIES),
        structure=str(iua.get("subject_organization_id", "")),
        structure_name=str(iua.get("subject_organization", "")),
        sector=str(claims.get("sector", "")),
    )


def _iua(claims: Claims) -> Claims:
    extensions = claims.get("extensions")
    found = extensions.get(IUA) if isinstance(extensions, dict) else None
    return found if isinstance(found, dict) else {}


def _name(one: Professional) -> str:
    return f"{one.given} {one.family}".strip() or one.id


def _end(claims: Claims) -> datetime:
    return datetime.fromtimestamp(float(claims["exp"]), UTC)


def _token_id(claims: Claims) -> str:
    """What a token is known by when it is over: its jti, or all that it says."""
    own = claims.get("jti")
    return _hash(str(own) if own else orjson.dumps(dict(claims), option=orjson.OPT_SORT_KEYS).decode())


def _hash(text: str) -> str:
    return sha256(text.encode(errors="replace")).hexdigest()
