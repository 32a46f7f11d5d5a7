"""Who may do what, by mode and role: the published matrix (french.md 2.8), as data."""

from collections.abc import Mapping

from hub.testing.dmp.envelope import Fault
from hub.testing.dmp.state import Document, Person
from hub.testing.dmp.vihf import Caller

DIRECT, INDIRECT, REINFORCED = "DIRECTE", "INDIRECTE", "INDIRECTE_RENFORCEE"
#: Transaction -> modes. TD3.1 in the indirect mode: the reference of an own document only.
MODES: Mapping[str, frozenset[str]] = {
    "TD0.2": frozenset({DIRECT, INDIRECT, REINFORCED}),
    "TD0.3": frozenset({DIRECT, REINFORCED}),
    "TD2.1": frozenset({DIRECT, INDIRECT, REINFORCED}),
    "TD3.1": frozenset({DIRECT, INDIRECT, REINFORCED}),
    "TD3.2": frozenset({DIRECT, REINFORCED}),
    "TD3.3": frozenset({DIRECT, INDIRECT, REINFORCED}),
}


def may(transaction: str, caller: Caller, person: Person) -> None:
    """Raises Fault when the mode, the role or the person says no."""
    if caller.mode not in MODES[transaction]:
        raise Fault("DMPAccessDenied", f"{transaction} is not open to the mode {caller.mode}.")
    if transaction == "TD0.3":
        if caller.purpose != "normal":
            raise Fault("DMPAccessDenied", "Authorisations are set in the normal access mode only.")
        return
    if transaction in ("TD3.1", "TD3.2") and caller.mode != INDIRECT:
        consults(transaction, caller, person)


def consults(transaction: str, caller: Caller, person: Person) -> None:
    """A professional reads: authorised, or in an emergency that the person allows."""
    if not caller.doctor:
        raise Fault("DMPAccessDenied", f"{transaction} needs a professional.")
    if caller.person in person.blocked:
        raise Fault("DMPAccessDenied", "The person has blocked this professional.")
    if transaction == "TD3.2" and ("SM33", "1.2.250.1.71.4.2.5") in caller.roles:  # occupational medicine
        raise Fault("DMPAccessDenied", "Occupational medicine does not read documents.")
    if caller.purpose != "normal":
        if not person.glass:
            raise Fault("DMPAccessDenied", "The person does not allow the emergency access.")
    elif not {caller.person, caller.structure} & person.authorised:
        raise Fault("DMPNotAuthorized", "The professional is not authorised on this record.")


def shown(document: Document, caller: Caller, person: Person) -> bool:
    """Whether a document exists for the caller."""
    if caller.mode == INDIRECT:
        return document.structure == caller.structure
    if "MASQUE_PS" not in document.confidentiality:
        return True
    return (
        caller.person in document.authors
        or caller.person == person.attending
        or (caller.purpose != "normal" and person.glass)
    )


def changes(document: Document, caller: Caller, person: Person) -> None:
    """Only its author, or their structure, changes a document; what the patient brought, the attending doctor."""
    if document.type_code.startswith("DOCPAT"):
        allowed = bool(person.attending) and caller.person == person.attending
    else:
        own = caller.person in document.authors and caller.mode != INDIRECT
        allowed = own or document.structure == caller.structure
    if not allowed:
        raise Fault("DMPAccessDenied", "Only its author changes a document.")
