"""What professionals are to the hub: codes of professions -> its roles (``hub/access/roles.py``). Data, no exceptions.

A code that is not in a table gives nothing: who is let in by it may do nothing before a row is added."""

from collections.abc import Mapping

from hub.access.model import Professional

G15 = "1.2.250.1.71.1.2.7"  #: TRE_G15, professions
G16 = "1.2.250.1.71.1.2.8"  #: TRE_G16, professions in training (interns)
A00 = "1.2.250.1.213.1.1.4.6"  #: TRE_A00, what is no health professional: secretaries, devices
CARD_TYPE = "1.2.250.1.71.1.2.2"  #: what a card is where it names no profession
SNOMED = "2.16.840.1.113883.6.96"
ISCO = "2.16.840.1.113883.2.9.6.2.7"  #: ISCO-08, in which European gateways tell roles

#: Profession code of the holder of an employee's card (CPE), with the system CARD_TYPE.
EMPLOYEE = "CPE"

CARE = frozenset({"clinician", "author"})  #: reads what concerns a patient, and sends documents
OFFICE = frozenset({"author"})  #: sends documents and finds patients, reads nothing clinical

#: System -> role set -> codes.
_PROFESSIONS: Mapping[str, Mapping[frozenset[str], tuple[str, ...]]] = {
    # Doctor, pharmacist, medical physicist, dentist, midwife, nurses, physiotherapist, podiatrist, speech therapist,
    # orthoptist, occupational therapist, psychomotor therapist, radiographer
    G15: {CARE: ("10", "21", "32", "40", "50", "60", "69", "70", "80", "91", "92", "94", "96", "98")},
    G16: {CARE: ("10", "21", "40", "50")},
    A00: {OFFICE: ("SECRETARIAT_MEDICAL", "AUTOMATE", "DISPOSITIF")},
    CARD_TYPE: {OFFICE: (EMPLOYEE,)},
    # Medical doctor, physician, radiologist, pharmacist, dentist, nurse, midwife, radiographer
    SNOMED: {
        CARE: ("112247003", "309343006", "66862007", "46255001", "106289002", "106292003", "309453006", "159016003")
    },
    ISCO: {CARE: ("221", "2211", "2212", "2221", "2222", "2261", "2262", "3211")},
}

ROLES_OF: Mapping[tuple[str, str], frozenset[str]] = {
    (system, code): roles for system, rows in _PROFESSIONS.items() for roles, codes in rows.items() for code in codes
}


def roles_of(professional: Professional) -> frozenset[str]:
    """The hub's roles of a professional; none for a profession that no table knows."""
    return ROLES_OF.get((professional.profession_system, professional.profession), frozenset())
