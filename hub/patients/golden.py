"""A person's traits, derived from its identities each time: nothing is overwritten, so nothing must be undone."""

import dataclasses
from collections.abc import Callable, Sequence

from hub.patients.matching import contradiction
from hub.patients.model import Identity, IdentityStatus, Person, Traits
from hub.values import PatientIdentifier

_RANK = {
    IdentityStatus.PROVISIONAL: 0,
    IdentityStatus.RETRIEVED: 1,
    IdentityStatus.VALIDATED: 2,
    IdentityStatus.QUALIFIED: 3,
}
#: Said by one identity together, or not at all: no person has one hospital's name and another's birth date.
STRICT = ("birth_name", "birth_given", "given_names", "birth_date", "sex", "birth_place")
#: Each group from the identity that said something of it last: people move, and take other names.
CURRENT = (
    ("used_name", "used_given"),
    ("address", "city", "postal_code", "country"),
    ("phone",),
    ("mother_name",),
)

Trust = Callable[[str], int]


def person(
    regional: PatientIdentifier,
    identities: Sequence[Identity],
    aliases: Sequence[PatientIdentifier],
    trust: Trust = lambda _authority: 0,
) -> Person:
    """Strict traits from the best identity (status, then its authority's trust, then the latest), the rest from the
    latest. ``trust``: the rank of an authority."""
    ranked = sorted(identities, key=lambda item: _worth(item, trust), reverse=True)
    values: dict[str, object] = _strict(ranked)
    latest = sorted(identities, key=_time, reverse=True)
    for names in CURRENT:
        source = next((item.traits for item in latest if any(getattr(item.traits, name) for name in names)), Traits())
        values |= {name: getattr(source, name) for name in names}
    values["multiple_birth"] = any(item.traits.multiple_birth for item in identities)
    return Person(
        regional=regional,
        traits=Traits(**values),  # type: ignore[arg-type]
        status=ranked[0].status if ranked else IdentityStatus.PROVISIONAL,
        identities=tuple(identities),
        aliases=tuple(aliases),
        ins=next((item.ins for item in ranked if item.ins is not None), None),
        called_by=ranked[0].identifier if ranked else None,
    )


def _strict(ranked: Sequence[Identity]) -> dict[str, object]:
    """The best identity's; what it does not say, from the next that contradicts nothing of it."""
    values: dict[str, object] = dict.fromkeys(STRICT, "")
    if not ranked:
        return values
    best = ranked[0]
    for item in ranked:
        if item is best or not contradiction(dataclasses.replace(best, ins=None), item):
            for name in STRICT:
                values[name] = values[name] or getattr(item.traits, name)
    return values


def _worth(identity: Identity, trust: Trust) -> tuple[int, int, float]:
    return _RANK[identity.status], trust(identity.identifier.authority), _time(identity)


def _time(identity: Identity) -> float:
    return identity.updated_at.timestamp() if identity.updated_at else 0.0
