"""Orders and report feeds: ORC, OBR, OBX, with IPC (v2.5.1) or ZDS (v2.3.1) (IHE RAD TF-2: 4.2, 4.4, 4.28)."""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

from hub.imaging.model import Order
from hub.wire.hl7v2.datatypes import code, dtm, ei, uid, xcn
from hub.wire.hl7v2.errors import DataTypeError, FieldMissing, Hl7Invalid, SegmentMissing
from hub.wire.hl7v2.message import Hl7Message, Segment
from hub.wire.hl7v2.pid import patient_numbers

_CONTROLS = frozenset(
    {"NW", "OK", "XO", "XX", "XR", "CA", "OC", "CR", "DC", "OD", "SC", "SN", "NA", "RO", "RP", "RU", "PA", "CH", "SR"}
)
_MODALITY = re.compile(r"[A-Z0-9_]{1,16}")


@dataclass(frozen=True, slots=True)
class Embedded:
    """A document inside OBX-5 (ED: HL7 v2.5: 2.A.24), decoded."""

    obx: Segment
    subtype: str
    content: bytes


@dataclass(slots=True)
class _Group:
    orc: Segment | None = None
    obr: Segment | None = None
    ipc: Segment | None = None
    tq1: Segment | None = None


def order(message: Hl7Message, source: str) -> Order:
    """The message's order. Raises SegmentMissing, FieldMissing, DataTypeError; Hl7Invalid for two orders in one."""
    numbers = patient_numbers(message.require("PID"))
    orders = [_order_of(group, message) for group in _groups(message)]
    first = orders[0]
    for other, obr in zip(orders[1:], list(message.all("OBR"))[1:], strict=False):
        if _differ(first.accession, other.accession) or _differ(first.study, other.study):
            raise Hl7Invalid("One message must carry one imaging order.", location=obr.at(18))
    return Order(
        patient=numbers.local,
        placer_number=first.placer,
        filler_number=first.filler,
        accession_number=first.accession,
        accession_issuer=first.issuer,
        study_instance_uid=first.study,
        control=first.control,
        procedure=first.procedure,
        modality=first.modality,
        requested_at=first.requested_at,
        requester=first.requester,
        source=source,
    )


@dataclass(frozen=True, slots=True)
class OrderNumbers:
    """What identifies an order in ORC, OBR, IPC and ZDS."""

    control: str
    placer: str
    filler: str
    accession: str
    issuer: str
    study: str
    procedure: tuple[str, str, str]
    modality: str
    requested_at: str
    requester: str


def _groups(message: Hl7Message) -> list[_Group]:
    groups: list[_Group] = []
    for segment in message.segments:
        if segment.name == "ORC" or (segment.name == "OBR" and (not groups or groups[-1].obr is not None)):
            groups.append(_Group())
        name = segment.name.lower()
        if groups and name in _Group.__slots__ and getattr(groups[-1], name) is None:
            setattr(groups[-1], name, segment)
    if not groups:
        raise SegmentMissing("The ORC segment is missing.", location="ORC")
    for group in groups:
        if group.orc is None:
            raise SegmentMissing("The ORC segment is missing.", location="ORC")
    return groups


def _order_of(group: _Group, message: Hl7Message) -> OrderNumbers:
    orc, obr, ipc = group.orc, group.obr, group.ipc
    assert orc is not None
    control = orc.require(1)
    if control not in _CONTROLS:
        raise Hl7Invalid("ORC-1 is not an order control that this hub knows.", location=orc.at(1))
    placer = ei(orc, 2)[0] or (ei(obr, 2)[0] if obr else "")
    filler = ei(orc, 3)[0] or (ei(obr, 3)[0] if obr else "")
    if not placer and not filler:
        raise FieldMissing("The order has neither a placer's nor a filler's number.", location=orc.at(2))
    accession, issuer = ei(ipc, 1) if ipc else ("", "")
    if not accession and obr:
        accession = obr.value(18)  # RAD TF-2: Table 4.4-6, placer field 1
    return OrderNumbers(
        control,
        placer,
        filler,
        accession,
        issuer,
        _study(message, ipc),
        code(obr, 4) if obr else ("", "", ""),
        _modality(obr, ipc),
        _requested_at(group),
        xcn(orc, 12) or (xcn(obr, 16) if obr else ""),
    )


def _study(message: Hl7Message, ipc: Segment | None) -> str:
    if ipc is not None and ipc.value(3):
        return uid(ipc.value(3), ipc.at(3))
    zds = message.first("ZDS")
    return uid(zds.value(1), zds.at(1)) if zds else ""


def _modality(obr: Segment | None, ipc: Segment | None) -> str:
    said = (ipc.value(5) if ipc else "") or (obr.value(24) if obr else "")
    return said if _MODALITY.fullmatch(said) else ""


def _requested_at(group: _Group) -> str:
    places = ((group.tq1, 7, 1), (group.orc, 7, 4), (group.obr, 27, 4), (group.obr, 36, 1), (group.orc, 9, 1))
    for segment, field, component in places:
        if segment is not None and (text := segment.value(field, component)):
            return dtm(text, segment.at(field))
    return ""


def _differ(one: str, other: str) -> bool:
    return bool(one and other and one != other)


def report_numbers(message: Hl7Message) -> tuple[str, str, str]:
    """(placer, filler, accession) of a report's first order group; "" where not said."""
    orc, obr = message.first("ORC"), message.first("OBR")
    placer = (ei(obr, 2)[0] if obr else "") or (ei(orc, 2)[0] if orc else "")
    filler = (ei(obr, 3)[0] if obr else "") or (ei(orc, 3)[0] if orc else "")
    return placer, filler, obr.value(18) if obr else ""


def report_study(message: Hl7Message) -> str:
    """The StudyInstanceUID that ZDS, IPC or an OBX coded 113014 DCM names (RAD TF-2: Table 4.28-4). DataTypeError."""
    for obx in message.all("OBX"):
        if obx.value(3) in ("113014", "110180") and obx.value(2) in ("HD", "ST", "RP"):
            return uid(obx.value(5), obx.at(5))
    return _study(message, message.first("IPC"))


def embedded(message: Hl7Message) -> Iterator[Embedded]:
    """Every document in an OBX of type ED. Raises DataTypeError."""
    for obx in message.all("OBX"):
        if obx.value(2) != "ED" or not obx.field(5):
            continue
        if obx.value(5, 4).upper() != "BASE64":
            raise DataTypeError("An embedded document must be encoded in Base64.", location=obx.at(5, 4))
        data = re.sub(r"\s|\\\.br\\", "", next(iter(obx.repetitions(5))).raw(5))
        try:
            content = base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError):
            raise DataTypeError("The embedded document is not valid Base64.", location=obx.at(5, 5)) from None
        yield Embedded(obx, obx.value(5, 3).upper(), content)
