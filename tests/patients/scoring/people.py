"""Somebody, told briefly."""

import dataclasses
from typing import Any

from hub.patients.model import Identity, IdentityStatus, Traits
from hub.values import PatientIdentifier

A, B = "1.2.250.1.999.10.1", "1.2.250.1.999.10.2"
NIR = "1.2.250.1.213.1.4.10"
ANNE = Traits(
    birth_name="Le Goff",
    birth_given="Anne",
    given_names="Anne Louise",
    birth_date="19790315",
    sex="F",
    birth_place="29019",
    postal_code="29200",
    address="12 rue de Siam",
    phone="06 12 34 56 78",
)


def someone(authority: str = A, number: str = "1", ins: str = "", **changes: Any) -> Identity:
    """ANNE at hospital A, but for what changes."""
    names = {field.name for field in dataclasses.fields(Traits)}
    traits = dataclasses.replace(ANNE, **{key: changes.pop(key) for key in list(changes) if key in names})
    changes.setdefault("status", IdentityStatus.QUALIFIED if ins else IdentityStatus.VALIDATED)
    known = PatientIdentifier(ins, NIR, "INS") if ins else None
    return Identity(PatientIdentifier(number, authority), traits, ins=known, **changes)
