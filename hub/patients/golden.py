"""A person's traits, derived from its identities each time: nothing is overwritten, so nothing must be undone."""

import dataclasses
from collections.abc import Sequence

from hub.patients.model import Identity, IdentityStatus, Person, Traits
from hub.values import PatientIdentifier

_RANK = {
    IdentityStatus.PROVISIONAL: 0,
    IdentityStatus.RETRIEVED: 1,
    IdentityStatus.VALIDATED: 2,
    IdentityStatus.QUALIFIED: 3,
}
_FIELDS = tuple(item.name for item in dataclasses.fields(Traits))


def person(regional: PatientIdentifier, identities: Sequence[Identity], aliases: Sequence[PatientIdentifier]) -> Person:
    """The best identity's traits (by status, then the latest), what it lacks from the next best."""
    ranked = sorted(identities, key=_worth, reverse=True)
    values: dict[str, object] = {}
    for name in _FIELDS:
        values[name] = next((found for item in ranked if (found := getattr(item.traits, name))), "")
    values["multiple_birth"] = bool(values["multiple_birth"])
    return Person(
        regional=regional,
        traits=Traits(**values),  # type: ignore[arg-type]
        status=ranked[0].status if ranked else IdentityStatus.PROVISIONAL,
        identities=tuple(identities),
        aliases=tuple(aliases),
        ins=next((item.ins for item in ranked if item.ins is not None), None),
    )


def _worth(identity: Identity) -> tuple[int, float]:
    return _RANK[identity.status], identity.updated_at.timestamp() if identity.updated_at else 0.0
