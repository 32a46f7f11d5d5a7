"""What the scope of a token permits: one table, and a request for more than a client has is refused, never narrowed."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from hub.access.model import Decision, Principal
from hub.access.tokens_errors import ScopeRefused

MOST_SCOPES = 50
#: SMART App Launch 2: create, read, update, delete, search, in this order; version 1 has words for them.
LETTERS = "cruds"
WORDS: Mapping[str, str] = {"read": "rs", "write": "cud", "*": LETTERS}
#: What an interaction of a FHIR resource is called in a scope.
INTERACTIONS: Mapping[str, str] = {"create": "c", "read": "r", "update": "u", "delete": "d", "search-type": "s"}
_SMART = re.compile(r"(system|user)/([A-Z][A-Za-z]*|\*)\.(read|write|\*|[cruds]+)")
_OWN = re.compile(r"[a-z]+(\.[a-z-]+)*\.\*|[a-z]+(\.[a-z-]+)+|\*")


@dataclass(frozen=True, slots=True)
class Scopes:
    """``resources``: (FHIR resource, letter) -> permissions. ``transactions``: id -> permission (a scope: ITI-67)."""

    resources: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    transactions: Mapping[str, str] = field(default_factory=dict)

    def permissions(self, scope: str, *, person: bool) -> frozenset[str]:
        """What one scope means; nothing if it is not of this hub. ``system/``: for systems, ``user/``: people."""
        if scope in self.transactions:
            return frozenset({self.transactions[scope]})
        if _SMART.fullmatch(scope):
            rows = [self.resources[row] for row in self._rows(scope, person=person)]
            return frozenset(permission for row in rows for permission in row)
        return frozenset({scope}) if _OWN.fullmatch(scope) else frozenset()

    def _rows(self, scope: str, *, person: bool) -> list[tuple[str, str]]:
        """(FHIR resource, letter) of a scope; none: it is not one of FHIR's, or not for such a caller."""
        smart = _SMART.fullmatch(scope)
        who, resource, verbs = smart.groups() if smart is not None else ("", "", "")
        letters = WORDS.get(verbs, verbs)
        if person != (who == "user") or not _in_order(letters):
            return []
        return [(kind, letter) for kind, letter in self.resources if letter in letters and resource in ("*", kind)]

    def interactions(self, text: str, *, person: bool) -> dict[str, frozenset[str]]:
        """The permissions that a token has by scopes of FHIR resources alone, each with the interactions that these
        name: ``system/List.r`` lets nobody search, and nobody read a DocumentReference."""
        found: dict[str, frozenset[str]] = {}
        own: set[str] = set()
        for scope in text.split():
            if not _SMART.fullmatch(scope):
                own |= self.permissions(scope, person=person)
            for kind, letter in self._rows(scope, person=person):
                for permission in self.resources[kind, letter]:
                    found[permission] = found.get(permission, frozenset()) | {f"{kind}.{letter}"}
        return {permission: named for permission, named in found.items() if not covered(permission, own)}

    def words(self) -> list[str]:
        """Scopes to be told to others: of FHIR's resources, each letter by itself; of transactions."""
        letters: dict[str, str] = {}
        for resource, letter in self.resources:
            letters[resource] = letters.get(resource, "") + letter
        ordered = {one: "".join(sorted(found, key=LETTERS.index)) for one, found in sorted(letters.items())}
        return [*(f"system/{one}.{found}" for one, found in ordered.items()), *sorted(set(self.transactions.values()))]

    def ask(self, text: str, ceilings: Iterable[Iterable[str]], *, person: bool) -> tuple[str, ...]:
        """The scopes of a request, each once. Raises ScopeRefused when one is unknown, or more than a ceiling has."""
        scopes = tuple(dict.fromkeys(text.split()))
        if not scopes:
            raise ScopeRefused("Say which scopes the token is for.")
        if len(scopes) > MOST_SCOPES:
            raise ScopeRefused(f"At most {MOST_SCOPES} scopes are asked for at once.")
        limits = [tuple(ceiling) for ceiling in ceilings]
        for scope in scopes:
            wanted = self.permissions(scope, person=person)
            if not wanted or not all(covered(one, limit) for one in wanted for limit in limits):
                raise ScopeRefused(f"The scope {_shown(scope)} is not one that this client may have.")
        return scopes

    def narrowed(self, text: str, ceilings: Iterable[Iterable[str]], *, person: bool) -> frozenset[str]:
        """What a token's scopes permit today: of what was granted only what every ceiling still has."""
        limits = [tuple(ceiling) for ceiling in ceilings]
        wanted = {one for scope in text.split() for one in self.permissions(scope, person=person)}
        return frozenset(one for one in wanted if all(covered(one, limit) for limit in limits))


def within(principal: Principal, permission: str, interaction: str) -> Decision:
    """Whether the scopes by which a caller has a permission name what is done with a FHIR resource."""
    named = principal.interactions.get(permission)
    if not interaction or named is None or interaction in named:
        return Decision(allowed=True, reason="The scopes name it.")
    return Decision(allowed=False, reason=f"A scope for {interaction} is needed.")


def covered(wanted: str, patterns: Iterable[str]) -> bool:
    """Whether everything that the pattern ``wanted`` permits is permitted by one of the patterns."""
    return any(_covers(pattern, wanted) for pattern in patterns)


def _covers(pattern: str, wanted: str) -> bool:
    if not wanted.endswith("*"):
        return fnmatchcase(wanted, pattern)
    plain = not any(sign in pattern[:-1] for sign in "*?[")
    return pattern == wanted or (plain and pattern.endswith("*") and wanted.startswith(pattern[:-1]))


def _in_order(letters: str) -> bool:
    return letters == "".join(letter for letter in LETTERS if letter in letters)


def _shown(scope: str) -> str:
    """A scope for a message: only signs that RFC 6749 allows, and not for ever."""
    return re.sub(r"[^\x21\x23-\x5b\x5d-\x7e]", "?", scope[:80])
