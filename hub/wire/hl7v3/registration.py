"""ITI-44: PRPA_IN201301UV02, 201302UV02 and 201304UV02, read strictly into what the HL7 v2 feeds say as well.

And the notification of ITI-46, which has the form of a revision."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hub.errors import PeerRefused, Unavailable
from hub.patients.model import INS_AUTHORITIES, Identity, IdentityStatus, Traits
from hub.values import PatientIdentifier
from hub.wire.hl7v3.datatypes import add, child, need, oid
from hub.wire.hl7v3.errors import Hl7v3Invalid
from hub.wire.hl7v3.names import ACKNOWLEDGEMENT, ADDED, MERGED, RELIABILITY, REVISED, v3
from hub.wire.hl7v3.person import read_person, write_numbers, write_provider
from hub.wire.hl7v3.transmission import (
    MessageId,
    Party,
    Transmission,
    open_control_act,
    open_message,
    read_transmission,
    xpath,
)
from hub.wire.xml import Element

_INTERACTIONS = (ADDED, REVISED, MERGED)
_MOST_NUMBERS = 100
_LONGEST = 256
_SAID = (IdentityStatus.QUALIFIED, IdentityStatus.VALIDATED, IdentityStatus.RETRIEVED, IdentityStatus.PROVISIONAL)


@dataclass(frozen=True, slots=True)
class Registration:
    """What a source announces. ``lost``: the number that the identity's replaces; ``stated``: its status is said."""

    interaction: str
    transmission: Transmission
    identity: Identity
    stated: bool = False
    lost: PatientIdentifier | None = None


def read_wrapper(body: Element) -> Transmission:
    """Who sends it, and its id. Raises Hl7v3Invalid."""
    return read_transmission(body, _interaction(body))


def read_registration(body: Element) -> Registration:
    """The one patient of the message. Raises Hl7v3Invalid, with the element's XPath."""
    interaction = _interaction(body)
    transmission = read_transmission(body, interaction)
    act = need(body, "controlActProcess")
    subjects = act.findall(v3("subject"))
    if len(subjects) != 1:
        raise Hl7v3Invalid("One message must be about one patient.", location=xpath(act) + "/subject")
    event = need(subjects[0], "registrationEvent")
    patient = need(event, "subject1", "patient")
    merged = interaction == MERGED
    identity, stated = read_identity(patient, names_required=not merged)
    lost = _replaced(event, identity.identifier) if merged else None
    if not merged and event.find(v3("replacementOf")) is not None:
        raise Hl7v3Invalid("Only a merge replaces a registration.", location=xpath(event) + "/replacementOf")
    return Registration(interaction, transmission, identity, stated, lost)


def _interaction(body: Element) -> str:
    name = str(body.tag).rpartition("}")[2]
    return name if name in _INTERACTIONS else ADDED  # read_transmission says what is wrong with another


def read_identity(patient: Element, *, names_required: bool = True) -> tuple[Identity, bool]:
    """(identity, whether its status is said) of PRPA_MT201301UV02, 201302UV02 or 201303UV02. Raises Hl7v3Invalid."""
    person = need(patient, "patientPerson")
    own = _numbers(patient.findall(v3("id")))
    others = _numbers(person.findall(f"{v3('asOtherIDs')}/{v3('id')}"))
    local = next((item for item in own if item.authority not in INS_AUTHORITIES), None)
    if local is None:
        raise Hl7v3Invalid("The source's own patient number is missing.", location=xpath(patient) + "/id")
    traits = _traits(person)
    if names_required and not (traits.birth_name or traits.used_name):
        raise Hl7v3Invalid("The patient's name is missing.", location=xpath(person) + "/name")
    every = dict.fromkeys([*own, *others])
    ins = next((item for item in every if item.authority in INS_AUTHORITIES), None)
    words = _reliability(patient)
    status = next((item for item in _SAID if item in words), None)
    identity = Identity(
        local,
        traits,
        status or IdentityStatus.PROVISIONAL,
        frozenset(words - set(_SAID)),
        ins,
        tuple(item for item in every if item != local and item.authority not in INS_AUTHORITIES),
    )
    return identity, status is not None


def _numbers(elements: Sequence[Element]) -> list[PatientIdentifier]:
    """II with an extension; a root that is missing may be named (assigningAuthorityName), as HD-1 does in version 2."""
    if len(elements) > _MOST_NUMBERS:
        raise Hl7v3Invalid("The patient has too many numbers.", location=xpath(elements[0]))
    found = []
    for element in elements:
        if element.get("nullFlavor"):
            continue
        value, name = ((element.get(key) or "").strip() for key in ("extension", "assigningAuthorityName"))
        root = element.get("root") or ""
        if not value or len(value) > _LONGEST or len(name) > _LONGEST or not (root or name):
            raise Hl7v3Invalid("A number needs a root and an extension.", location=xpath(element))
        found.append(PatientIdentifier(value, oid(root, xpath(element)) if root else "", namespace=name))
    return found


def _traits(person: Element) -> Traits:
    traits = read_person(person)
    gender = child(person, "administrativeGenderCode")
    unknown = gender is not None and gender.get("nullFlavor") == "UNK"
    return replace(traits, sex="U") if unknown else traits


def _reliability(patient: Element) -> set[str]:
    """What PID-32 says in version 2: codes of its table in an administrative observation."""
    path = f"{v3('subjectOf')}/{v3('administrativeObservation')}/{v3('value')}"
    values = [item for item in patient.findall(path) if item.get("codeSystem") == RELIABILITY]
    if len(values) > _MOST_NUMBERS:
        raise Hl7v3Invalid("The identity has too many observations.", location=xpath(values[0]))
    codes = {(item.get("code") or "").strip().upper() for item in values}
    long = next((item for item in values if len(item.get("code") or "") > 10), None)
    if long is not None:
        raise Hl7v3Invalid("A code of HL7 table 0445 is too long.", location=xpath(long))
    return codes - {""}


def _replaced(event: Element, survivor: PatientIdentifier) -> PatientIdentifier:
    """The number that was given up: a source merges two a message (ITI TF-2: 3.44.4.2)."""
    path = "/".join(map(v3, ("replacementOf", "priorRegistration", "subject1", "priorRegisteredRole", "id")))
    elements = event.findall(path)
    if not elements:
        raise Hl7v3Invalid("The number that was merged is missing.", location=xpath(event) + "/replacementOf")
    numbers = [item for item in _numbers(elements) if item.authority not in INS_AUTHORITIES]
    if len(numbers) != 1:
        raise Hl7v3Invalid("One number is merged into another.", location=xpath(elements[0]))
    (lost,) = numbers
    if lost == survivor and (lost.authority or lost.namespace == survivor.namespace):
        raise Hl7v3Invalid("A number can't be merged into itself.", location=xpath(elements[0]))
    return lost


def write_update_notification(
    numbers: Sequence[PatientIdentifier], own: MessageId, sender: Party, receiver: Party
) -> Element:
    """PRPA_IN201302UV02 with the whole list of one person's numbers, and no name (ITI TF-2: 3.46.4.1).

    Those of the first number's domain stand as Patient.id, the others as OtherIDs. ``own``: the message's id, the same
    however often it is sent."""
    body = open_message(REVISED, sender, receiver, accept="AL", own=own)
    act = open_control_act(body, REVISED)
    holder = add(act, "subject", typeCode="SUBJ", contextConductionInd="false")
    event = add(holder, "registrationEvent", classCode="REG", moodCode="EVN")
    add(event, "id", nullFlavor="NA")
    add(event, "statusCode", code="active")
    patient = add(add(event, "subject1", typeCode="SBJ"), "patient", classCode="PAT")
    domain = numbers[0].authority
    for item in numbers:
        if item.authority == domain:
            add(patient, "id", root=item.authority, extension=item.value)
    add(patient, "statusCode", code="active")
    person = add(patient, "patientPerson", classCode="PSN", determinerCode="INSTANCE")
    add(person, "name", nullFlavor="NA")
    write_numbers(person, [item for item in numbers if item.authority != domain])
    write_provider(patient, domain)
    entity = add(add(event, "custodian", typeCode="CST"), "assignedEntity", classCode="ASSIGNED")
    add(entity, "id", root=sender.device)
    return body


def check_acknowledgement(body: Element, sent: Element) -> None:
    """What a peer answered to a message. Raises PeerRefused, or Unavailable where it may take the message later."""
    try:
        read_transmission(body, ACKNOWLEDGEMENT)
        acknowledgement = need(body, "acknowledgement")
        target = need(acknowledgement, "targetMessage", "id")
        code = need(acknowledgement, "typeCode").get("code")
    except Hl7v3Invalid:
        raise Unavailable("The peer's answer is not an HL7 v3 acknowledgement.") from None
    own = need(sent, "id")
    if (target.get("root"), target.get("extension")) != (own.get("root"), own.get("extension")):
        raise Unavailable("The peer's answer acknowledges no message of ours.")
    if code in ("AR", "CR"):
        raise Unavailable("The peer can't take the message now.")
    if code not in ("AA", "CA"):
        raise PeerRefused("The peer refused the message.")
