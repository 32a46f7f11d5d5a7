"""The transmission wrapper around every interaction (MCCI_MT000100UV01, MCCI_MT000300UV01)."""

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from lxml import etree

from hub.values import now
from hub.wire.hl7v3.datatypes import add, child, need, oid, write_time
from hub.wire.hl7v3.errors import Hl7v3Invalid, UnsupportedPurpose
from hub.wire.hl7v3.names import ACKNOWLEDGEMENT, INTERACTIONS, TRIGGERS, V3, XSI, v3
from hub.wire.xml import Element

PRODUCTION = "P"  #: what messages are for, unless they say something else


@dataclass(frozen=True, slots=True)
class Party:
    """Sender or receiver: the device's OID, and its community's (OID, "" where none is named)."""

    device: str
    community: str = ""


@dataclass(frozen=True, slots=True)
class MessageId:
    """II of a message or a query."""

    root: str
    extension: str = ""

    def write(self, parent: Element, name: str) -> None:
        """As an element."""
        attributes = {"root": self.root} | ({"extension": self.extension} if self.extension else {})
        add(parent, name, **attributes)


@dataclass(frozen=True, slots=True)
class Transmission:
    """What the wrapper says."""

    id: MessageId
    sender: Party
    receiver: Party


@dataclass(frozen=True, slots=True)
class Detail:
    """What is wrong with a message (AcknowledgementDetail). ``location``: an XPath; ``kind``: E error, W warning."""

    code: str
    text: str = ""
    location: str = ""
    kind: str = "E"


def new_id() -> MessageId:
    """A fresh id: a UUID as an OID under 2.25."""
    return MessageId(f"2.25.{uuid.uuid4().int}")


def read_message_id(parent: Element, name: str) -> MessageId:
    """Its root may be an OID, a UUID or a RUID: kept as written. Raises Hl7v3Invalid."""
    element = need(parent, name)
    root, extension = element.get("root") or "", element.get("extension") or ""
    if not root or len(root) > 128 or len(extension) > 256:
        raise Hl7v3Invalid("A message's id needs a root.", location=name)
    return MessageId(root, extension)


def read_transmission(body: Element, interaction: str, element: str = "") -> Transmission:
    """The wrapper of an interaction; ``element``: its name where it differs. Raises Hl7v3Invalid."""
    if body.tag != v3(element or interaction):
        raise Hl7v3Invalid(f"The message is not {interaction}.", location=interaction)
    said = need(body, "interactionId").get("extension")
    if said != interaction:
        raise Hl7v3Invalid("interactionId and the message's element differ.", location="interactionId")
    need(body, "creationTime")
    return Transmission(read_message_id(body, "id"), _party(body, "sender"), _party(body, "receiver"))


def _party(body: Element, name: str) -> Party:
    device = need(body, name, "device")
    root = need(device, "id").get("root") or ""
    organisation = child(device, "asAgent", "representedOrganization", "id")
    community = (organisation.get("root") or "") if organisation is not None else ""
    return Party(root[:128], oid(community, f"{name}/device/asAgent") if community else "")


def check_purpose(body: Element, taken: Collection[str]) -> None:
    """processingCode, as MSH-11 of version 2: P, T or D; one that is left out is P. Raises UnsupportedPurpose."""
    element = child(body, "processingCode")
    said = element.get("code") if element is not None else None
    if (said or PRODUCTION) not in taken:
        raise UnsupportedPurpose(location="processingCode")


def sending_device(body: Element) -> str:
    """The root of the sender's device; "" where there is none, or none of this length makes sense."""
    element = child(body, "sender", "device", "id")
    root = (element.get("root") or "").strip() if element is not None else ""
    return root if len(root) <= 128 else ""


def open_message(
    interaction: str, sender: Party, receiver: Party, *, accept: str, own: MessageId | None = None
) -> Element:
    """The interaction's element up to its sender. ``accept``: acceptAckCode, AL or NE; ``own``: its id, else new."""
    spaces: Any = {None: V3, "xsi": XSI}
    body = etree.Element(v3(interaction), {"ITSVersion": "XML_1.0"}, nsmap=spaces)
    (own or new_id()).write(body, "id")
    add(body, "creationTime", value=write_time(now()))
    add(body, "interactionId", root=INTERACTIONS, extension=interaction)
    add(body, "processingCode", code=PRODUCTION)
    add(body, "processingModeCode", code="T")
    add(body, "acceptAckCode", code=accept)
    for name, kind, party in (("receiver", "RCV", receiver), ("sender", "SND", sender)):
        device = add(add(body, name, typeCode=kind), "device", classCode="DEV", determinerCode="INSTANCE")
        add(device, "id", root=party.device)
        if party.community:
            agent = add(device, "asAgent", classCode="AGNT")
            organisation = add(agent, "representedOrganization", classCode="ORG", determinerCode="INSTANCE")
            add(organisation, "id", root=party.community)
    return body


def add_acknowledgement(body: Element, target: MessageId, code: str, details: Iterable[Detail] = ()) -> None:
    """AA, AE or AR (CA, CE or CR) to a message, with what is wrong."""
    acknowledgement = add(body, "acknowledgement")
    add(acknowledgement, "typeCode", code=code)
    target.write(add(acknowledgement, "targetMessage"), "id")
    for detail in details:
        told = add(acknowledgement, "acknowledgementDetail", typeCode=detail.kind)
        add(told, "code", code=detail.code)
        if detail.text:
            add(told, "text", detail.text)
        if detail.location:
            add(told, "location", detail.location)


def write_acknowledgement(to: Transmission, sender: Party, code: str, details: Iterable[Detail] = ()) -> Element:
    """MCCI_IN000002UV01: the accept acknowledgement of a message (ITI TF-2: O.1.2)."""
    body = open_message(ACKNOWLEDGEMENT, sender, to.sender, accept="NE")
    add_acknowledgement(body, to.id, code, details)
    return body


def xpath(element: Element) -> str:
    """Where an element stands in its message, with local names: ``/PRPA_IN201309UV02/.../dataSource[2]/value[1]``."""
    steps = []
    while element is not None:
        name, parent = element.tag.rpartition("}")[2], element.getparent()
        same = [] if parent is None else parent.findall(element.tag)
        outermost = parent is None or parent.tag.rpartition("}")[2] == "Body"
        steps.append(f"{name}[{same.index(element) + 1}]" if len(same) > 1 and not outermost else name)
        element = None if outermost else parent
    return "/" + "/".join(reversed(steps))


def within(location: str) -> str:
    """An error's location as an XPath: a relative one may stand anywhere in the message."""
    return location if not location or location.startswith("/") else f"//{location}"


def open_control_act(body: Element, interaction: str) -> Element:
    """The control act with its trigger event."""
    act = add(body, "controlActProcess", classCode="CACT", moodCode="EVN")
    add(act, "code", code=TRIGGERS[interaction], codeSystem=INTERACTIONS)
    return act
