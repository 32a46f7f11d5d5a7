"""What a message leaves empty is not deleted (HL7 v2.5: 2.10.5): a short PID takes no identity's birth date, status or
INS away, as a cancelled movement or a transfer would otherwise do."""

from dataclasses import replace

from hub.patients import matching
from hub.patients.model import FeedIdentity, Identity, IdentityStatus
from hub.patients.store import Member

_STRICT = ("birth_name", "birth_given", "given_names", "birth_date", "sex", "birth_place")
_OTHERS = ("phone", "mother_name", "multiple_birth")
_ADDRESS = ("address", "city", "postal_code", "country")  # one field: all of it or none


def completed(known: Identity, told: Identity, command: FeedIdentity) -> Identity:
    """What a source now says, with what it said before where this leaves it open.

    As it stands where the number was withdrawn, or is told of somebody else: two people are never mixed."""
    if not known.active or matching.contradiction(replace(known, ins=None), told):
        return told
    have, had = told.traits, known.traits
    if have != had:
        names = [*_STRICT, *_OTHERS]
        if not any(getattr(have, name) for name in (*_ADDRESS, "birth_place")):
            names += _ADDRESS
        left = (name for name in names if not getattr(have, name) and name not in command.cleared)
        have = replace(have, **{name: getattr(had, name) for name in left})
    if command.checked:
        return replace(told, traits=have)
    return replace(told, traits=have, status=known.status, attributes=known.attributes, ins=known.ins)


def not_worse(before: Member | None, identity: Identity) -> Identity:
    """A merge message often says little of the survivor: what is known better is kept."""
    if before is None:
        return identity
    known = before.identity
    unchecked = identity.status is IdentityStatus.PROVISIONAL and matching.validated(known)
    if not identity.traits.birth_name or unchecked:
        return replace(known, active=True, updated_at=identity.updated_at)
    return identity
