"""The national health identity (INS): matricule and key, and which OIDs carry it (Guide INS v3.0; ANS)."""

import re

from hub.patients.model import INS_AUTHORITIES, IdentityStatus
from hub.values import PatientIdentifier

# Sex, year, month (20 and 31-42, 50-99: unknown), département (2A, 2B: Corsica), commune, order, key.
_MATRICULE = re.compile(r"[0-9]{5}[0-9][0-9AB][0-9]{6}[0-9]{2}")
_CORSICA = (("2A", "19"), ("2B", "18"))

#: A doubtful or fictitious identity has no other status than provisional (RNIV 1: EXI SI 09).
PROVISIONAL_ONLY = frozenset({"DOUT", "FICT"})

#: What French HL7 v2 flows call the authorities (PAM-FR).
NAMESPACES = {
    "1.2.250.1.213.1.4.8": "ASIP-SANTE-INS-NIR",
    "1.2.250.1.213.1.4.9": "ASIP-SANTE-INS-NIA",
    "1.2.250.1.213.1.4.10": "ASIP-SANTE-INS-NIR",
    "1.2.250.1.213.1.4.11": "ASIP-SANTE-INS-NIR",
}


def key_of(matricule: str) -> str:
    """The two-digit key of 13 characters: 97 - (number mod 97), Corsica's 2A and 2B counting as 19 and 18."""
    digits = matricule
    for letters, number in _CORSICA:
        if digits[5:7] == letters:
            digits = digits[:5] + number + digits[7:]
    return f"{97 - int(digits) % 97:02d}"


def valid_matricule(value: str) -> bool:
    """15 characters whose key is right: a typing error breaks the key, so no INS is ever compared loosely."""
    if not _MATRICULE.fullmatch(value) or (not value[6].isdigit() and value[5:7] not in ("2A", "2B")):
        return False
    return key_of(value[:13]) == value[13:]


def valid(identifier: PatientIdentifier | None) -> bool:
    """An identifier with an INS authority's OID and a right matricule."""
    return identifier is not None and identifier.authority in INS_AUTHORITIES and valid_matricule(identifier.value)


def qualify(
    status: IdentityStatus, ins: PatientIdentifier | None, attributes: frozenset[str] = frozenset()
) -> tuple[IdentityStatus, PatientIdentifier | None]:
    """Status and INS to keep: qualified is validated plus a right INS; only a qualified identity keeps it.

    Flows say VALI or QUAL, what is qualified is deduced (Guide INS v3.0: 2.2.2). ``attributes``: RNIV's."""
    if attributes & PROVISIONAL_ONLY:
        return IdentityStatus.PROVISIONAL, None
    if status not in (IdentityStatus.VALIDATED, IdentityStatus.QUALIFIED):
        return status, None
    if ins is None or not valid(ins):
        return IdentityStatus.VALIDATED, None
    return IdentityStatus.QUALIFIED, PatientIdentifier(ins.value, ins.authority, "INS", NAMESPACES[ins.authority])
