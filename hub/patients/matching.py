"""When two identities mean the same person: pure rules, no scores (RNIV strict traits; docs: explanation of linking).

Link: (a) the same qualified INS and no strict trait that contradicts; (b) two validated identities of different
authorities whose strict traits are all there and all equal. Never: two identities of one authority (only their owner
merges them), a provisional identity, contradicting INS, or an attribute that puts the identity in doubt.

What ``vetoes`` names holds against every rule and every score: feeds, imports, a second look, ``Patient/$match``."""

import hashlib
from collections.abc import Iterator
from functools import lru_cache

from hub.patients.model import Identity, IdentityStatus, Traits
from hub.patients.normalise import NOBODY, glued, newborn, words

SAME_INS = "same-ins"
STRICT_TRAITS = "strict-traits"
#: Why nothing joins two identities by itself.
SAME_AUTHORITY, INS, COLLISION, DOUBT = "same-authority", "ins", "collision", "doubtful"

#: RNIV attributes that forbid every automatic link.
DOUBTFUL = frozenset({"DOUT", "FICT", "ANOM", "CACH", "USUR", "INVA", "COLP", "COLV", "HOMA"})
#: and those that forbid one by traits alone.
HOMONYM = frozenset({"HOMO", "HOMD"})
_NOT_BY_TRAITS = DOUBTFUL | HOMONYM
_OF_THE_INS = {"birth-date", "sex"}  # what the number itself says: never a matter of spelling
_VALIDATED = (IdentityStatus.VALIDATED, IdentityStatus.QUALIFIED)
_UNKNOWN_PLACE = frozenset({"", "99999", "00000"})
_STRICT = ("birth-name", "birth-given", "birth-date", "sex", "birth-place")  # as ``strict`` has them


def validated(identity: Identity) -> bool:
    """Checked against an identity document."""
    return identity.status in _VALIDATED


@lru_cache(maxsize=1 << 14)
def strict(traits: Traits) -> tuple[str, str, str, str, str]:
    """The strict traits, normalised: birth name, first birth given name, birth date, sex, birth place."""
    sex = traits.sex if traits.sex in ("M", "F") else ""
    place = traits.birth_place.strip().upper()
    return (
        glued(traits.birth_name),
        glued(traits.birth_given),
        traits.birth_date[:8],
        sex,
        "" if place in _UNKNOWN_PLACE else place,
    )


def strict_key(identity: Identity) -> int | None:
    """A signed 64-bit hash of the strict traits; None where they must not decide (not validated, doubtful, missing)."""
    return strict_hash(identity.traits) if decides(identity) else None


def decides(identity: Identity) -> bool:
    """Whether it may be joined by its strict traits alone: checked, and nothing in doubt."""
    return identity.status in _VALIDATED and not (identity.attributes and identity.attributes & _NOT_BY_TRAITS)


def strict_hash(traits: Traits) -> int | None:
    """A signed 64-bit hash of the strict traits, whoever has them; None where one is missing or names nobody."""
    return None if newborn(traits.birth_given) else _hashed(strict(traits))


@lru_cache(maxsize=1 << 14)
def _hashed(values: tuple[str, str, str, str, str]) -> int | None:
    name, given, born, _, place = values
    if not all(values) or len(born) != 8 or len(place) != 5 or born.endswith("00") or born[4:6] == "00":
        return None
    if name in NOBODY or given in NOBODY:
        return None
    digest = hashlib.blake2b("|".join(values).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def vetoes(one: Identity, other: Identity) -> tuple[str, ...]:
    """Every reason why no rule and no score may join two identities; () when one may.

    One authority (its own to merge), an attribute of doubt, two different INS, or the same INS with another birth date
    or sex: a steward is asked (``TaskKind.COLLISION``). A name or a place may be misspelt, and a score then decides:
    the rules alone join nobody whose strict traits contradict."""
    found = []
    if one.identifier.authority == other.identifier.authority:
        found.append(SAME_AUTHORITY)
    if (one.attributes or other.attributes) and (one.attributes | other.attributes) & DOUBTFUL:
        found.append(DOUBT)
    if one.ins is not None and other.ins is not None:
        if one.ins != other.ins:
            found.append(INS)
        elif _OF_THE_INS & set(_contradictions(one, other)):
            found.append(COLLISION)
    return tuple(found)


def basis(one: Identity, other: Identity) -> str | None:
    """The rule that links two identities of different authorities; None when none does."""
    if not (one.active and other.active and validated(one) and validated(other)) or vetoes(one, other):
        return None
    if contradiction(one, other):
        return None
    if one.ins is not None and one.ins == other.ins:
        return SAME_INS
    key = strict_key(one)
    if key is None or key != strict_key(other) or strict(one.traits) != strict(other.traits):
        return None
    return STRICT_TRAITS if _lists_agree(one.traits, other.traits) else None


def contradiction(one: Identity, other: Identity) -> str:
    """Why two identities can't be one person: names what differs; "" when nothing does."""
    if one.ins is not None and other.ins is not None and one.ins != other.ins:
        return "ins"
    return next(_contradictions(one, other), "")


_REUSED = 3  #: of name, given name, birth date and sex: a correction changes one, seldom two at once


def somebody_else(before: Identity, after: Identity) -> bool:
    """Whether a number seems to have been given to another person: most of what nobody changes is different.

    Fillers are no name (an unknown casualty, a newborn): who gets a name is nobody else."""
    if glued(before.traits.birth_name) in NOBODY or glued(before.traits.birth_given) in NOBODY:
        return False
    return len([name for name in _contradictions(before, after) if name != "birth-place"]) >= _REUSED


def _contradictions(one: Identity, other: Identity) -> Iterator[str]:
    mine, theirs = strict(one.traits), strict(other.traits)
    if mine == theirs:
        return
    for name, a, b in zip(_STRICT, mine, theirs, strict=True):
        if not a or not b or a == b:
            continue
        if name == "birth-given" and _same_list(one.traits, other.traits):
            continue
        if name == "birth-date" and (a.startswith(b) or b.startswith(a)):
            continue  # an incomplete date
        yield name


def _same_list(one: Traits, other: Traits) -> bool:
    # One hospital keeps JEAN as the first given name, another JEAN PIERRE: the same list tells that it is one person.
    return bool(one.given_names) and glued(one.given_names) == glued(other.given_names)


def _lists_agree(one: Traits, other: Traits) -> bool:
    mine, theirs = words(one.given_names).split(), words(other.given_names).split()
    return not mine or not theirs or set(mine) <= set(theirs) or set(theirs) <= set(mine)
