"""CISIS_CDA_HL7_V2: how a message that transmits CDA documents is made (CI-SIS, Transmission de documents CDA en
HL7 v2, 2.1), each rule a row or a small function; the first that is broken refuses, naming segment and field.

MDM^T02, T10 and T04 (v2.6) are always looked at so, ORU^R01 (v2.5) where MSH-21 names the profile."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hub.wire.hl7v2.errors import (
    CardinalityWrong,
    Contradiction,
    DataTypeError,
    FieldMissing,
    SegmentMissing,
    SequenceWrong,
    TableValueUnknown,
    UnsupportedVersion,
)
from hub.wire.hl7v2.message import Hl7Message, Segment

PROFILE = "CISIS_CDA_HL7_V2"
SCHEME = "MetaDMPMSS"
#: ORC-1 -> OBX-11 of the documents: new, in the place of another, taken back.
REQUESTS: Mapping[str, str] = {"NW": "F", "RO": "C", "CA": "D"}
#: Event -> ORC-1.
EVENTS: Mapping[str, str] = {"MDM^T02": "NW", "MDM^T10": "RO", "MDM^T04": "CA"}
#: OBX-3 of MetaDMPMSS in the order in which they come; the first eight must be there.
WORDS = (
    "MASQUE_PS", "INVISIBLE_PATIENT", "INVISIBLE_REP_LEGAUX", "CONNEXION_SECRETE", "MODIF_CONF_CODE", "DESTDMP",
    "DESTMSSANTEPS", "DESTMSSANTEPAT", "ACK_RECEPTION", "ACK_LECTURE_MSS", "CORPSMAIL_PS", "CORPSMAIL_PATIENT",
)  # fmt: skip
REQUIRED = WORDS[:8]
BODIES = WORDS[10:]
#: As the specification's own examples call it, beside the name of its table.
ALIASES: Mapping[str, str] = {"ACK_LECTURE": "ACK_LECTURE_MSS"}
_ROLES = ("SB", "RCT", "REPLY")
#: Segments of each message, in their order; those of the second row must be there.
_ORDER = ("MSH", "EVN", "PID", "PV1", "ORC", "OBR", "TXA", "OBX")
_NEEDED: Mapping[str, tuple[str, ...]] = {"MDM": _ORDER, "ORU": ("MSH", "PID", "ORC", "OBR", "OBX")}
_ONCE: Mapping[str, tuple[str, ...]] = {"MDM": ("EVN", "PID", "PV1", "ORC", "OBR", "TXA"), "ORU": ("PID", "PV1")}
_VERSIONS: Mapping[str, str] = {"MDM": "2.6", "ORU": "2.5"}
_STRUCTURES: Mapping[str, str] = {"MDM": "MDM_T02", "ORU": "ORU_R01"}
_MOST_DOCUMENTS: Mapping[str, int] = {"MDM": 1, "ORU": 2}
_MAILBOX = re.compile(r"[^\s@<>]+@[^\s@<>]+\.[^\s@<>]+")


@dataclass(frozen=True, slots=True)
class Group:
    """One OBX with the PRT and NTE that follow it."""

    obx: Segment
    participants: list[Segment] = field(default_factory=list)

    @property
    def word(self) -> str:
        """The code of MetaDMPMSS, "" for a document."""
        code = self.obx.value(3)
        return ALIASES.get(code, code) if self.obx.value(3, 3) == SCHEME else ""


@dataclass(frozen=True, slots=True)
class Must:
    """A field that must be there, and hold one of some values."""

    segment: str
    number: int
    values: tuple[str, ...] = ()
    component: int = 1
    only: str = ""  #: MDM or ORU


#: PV1-19 goes with PV1-2: see ``_visit``. TXA-17: AU in the specification's table, LA in its examples.
FIELDS: tuple[Must, ...] = (
    Must("MSH", 3), Must("MSH", 4), Must("MSH", 5), Must("MSH", 6), Must("MSH", 7),
    Must("MSH", 11, ("P", "T", "D")), Must("MSH", 17, ("FRA",)), Must("MSH", 18), Must("PID", 3), Must("PID", 5),
    Must("PV1", 2), Must("ORC", 1, tuple(REQUESTS)), Must("OBR", 4), Must("OBR", 4, ("LN", "TRE_A05"), 3),
    Must("TXA", 1, ("1",), only="MDM"), Must("TXA", 2, only="MDM"), Must("TXA", 3, ("TEXT",), only="MDM"),
    Must("TXA", 12, only="MDM"), Must("TXA", 17, ("AU", "LA"), only="MDM"),
)  # fmt: skip


def speaks(message: Hl7Message) -> bool:
    """Whether the message is to be held to the profile."""
    return _kind(message) == "MDM" or any(item.value(2).strip() == PROFILE for item in message.msh.repetitions(21))


def check(message: Hl7Message) -> None:
    """Raises the Hl7Invalid, or UnsupportedVersion, of the first rule that is broken."""
    for rule in (_header, _sequence, _fields, _visit, _control, _documents, _words, _senders):
        rule(message)


def groups(message: Hl7Message) -> list[Group]:
    """Every OBX with what follows it."""
    found: list[Group] = []
    for segment in message.segments:
        if segment.name == "OBX":
            found.append(Group(segment))
        elif segment.name == "PRT" and found:
            found[-1].participants.append(segment)
    return found


def document_number(segment: Segment, number: int) -> str:
    """The uniqueId that TXA-12 or TXA-13 names: ``root`` or ``root^extension`` (EI.3 and EI.1)."""
    root, extension = segment.value(number, 3), segment.value(number)
    return f"{root}^{extension}" if root and extension else extension


def check_number(message: Hl7Message, unique_id: str, replaces: str) -> None:
    """TXA-12 and TXA-13 name what the document's own header says. Raises Contradiction."""
    txa = message.first("TXA")
    if txa is None:
        return
    if document_number(txa, 12) != unique_id:
        raise Contradiction("TXA-12 is not the identifier of the document.", location=txa.at(12))
    parent = document_number(txa, 13)
    if parent and replaces and parent != replaces:
        raise Contradiction("TXA-13 is not the document that the document says it replaces.", location=txa.at(13))


def _kind(message: Hl7Message) -> str:
    return message.msh.value(9)


def _header(message: Hl7Message) -> None:
    msh, kind = message.msh, _kind(message)
    if message.version != _VERSIONS[kind]:
        raise UnsupportedVersion(f"{kind} is sent in version {_VERSIONS[kind]}.", location=msh.at(12))
    _one_of(msh, 9, (_STRUCTURES[kind],), 3)
    profiles = {item.value(2).strip(): item.value(1).strip() for item in msh.repetitions(21)}
    if not profiles:
        raise FieldMissing(location=msh.at(21))
    if not re.fullmatch(r"2\.[0-9]{1,2}", profiles.get(PROFILE, "")):
        raise TableValueUnknown(f"MSH-21 must name {PROFILE}, version 2.", location=msh.at(21))


def _sequence(message: Hl7Message) -> None:
    kind = _kind(message)
    names = [segment.name for segment in message.segments if segment.name in _ORDER]
    for name in _NEEDED[kind]:
        if name not in names:
            raise SegmentMissing(f"The {name} segment is missing.", location=name)
    first = list(dict.fromkeys(names))
    if first != sorted(first, key=_ORDER.index):
        wrong = next(name for name, right in zip(first, sorted(first, key=_ORDER.index), strict=True) if name != right)
        raise SequenceWrong("The segment does not stand where it should.", location=wrong)
    for name in _ONCE[kind]:
        if names.count(name) > 1:
            raise CardinalityWrong("The segment may stand once.", location=f"{name}[2]")


def _fields(message: Hl7Message) -> None:
    kind = _kind(message)
    for must in FIELDS:
        if must.only in ("", kind):
            for segment in message.all(must.segment):
                _one_of(segment, must.number, must.values, must.component)


def _visit(message: Hl7Message) -> None:
    pv1 = message.first("PV1")
    if pv1 is not None and pv1.value(2) in ("E", "I", "O", "R"):
        pv1.require(19)


def _control(message: Hl7Message) -> None:
    """Event, ORC-1 and OBX-11 ask for the same; else nothing is done (CI-SIS: Le segment ORC)."""
    orcs = list(message.all("ORC"))
    wanted = EVENTS.get(message.event) or orcs[0].value(1)
    for orc in orcs:
        if orc.value(1) != wanted:
            raise Contradiction("ORC-1 asks for something else than the message.", location=orc.at(1))
    for group in groups(message):
        status = group.obx.require(11)
        if status not in (*REQUESTS.values(), "F"):
            raise TableValueUnknown("OBX-11 must be F, C or D.", location=group.obx.at(11))
        if status != (REQUESTS[wanted] if not group.word else "F"):
            raise Contradiction("OBX-11 asks for something else than ORC-1.", location=group.obx.at(11))
    if message.event == "MDM^T10":
        message.require("TXA").require(13)


def _documents(message: Hl7Message) -> None:
    kind, found = _kind(message), groups(message)
    documents = [group for group in found if not group.word]
    if not documents:
        raise SegmentMissing("No OBX carries the document.", location="OBX")
    if len(documents) > _MOST_DOCUMENTS[kind]:
        wrong = documents[_MOST_DOCUMENTS[kind]].obx
        raise CardinalityWrong(f"{kind} carries {_MOST_DOCUMENTS[kind]} documents at most.", location=wrong.at(3))
    if documents != found[: len(documents)]:
        raise SequenceWrong("Documents stand before MetaDMPMSS.", location=f"OBX[{documents[-1].obx.index}]")
    codes = {obr.value(4) for obr in message.all("OBR")} | {txa.value(2) for txa in message.all("TXA")}
    for group in documents:
        obx = group.obx
        _one_of(obx, 2, ("ED",))
        _one_of(obx, 5, ("TEXT",), 2, fold=True)
        _one_of(obx, 5, ("XML",), 3, fold=True)
        obx.require(5, 5)
        if codes != {obx.value(3)}:
            raise Contradiction("OBX-3, OBR-4 and TXA-2 must name the same type of document.", location=obx.at(3))
    for group in found[1:]:
        for prt in group.participants:
            raise SequenceWrong("PRT stands behind the document.", location=f"PRT[{prt.index}]")


def _words(message: Hl7Message) -> None:
    words = [group for group in groups(message) if group.word]
    seen: list[str] = []
    for group in words:
        obx, word = group.obx, group.word
        if word not in WORDS:
            raise TableValueUnknown("OBX-3 is no code of MetaDMPMSS.", location=obx.at(3))
        if word in seen:
            raise CardinalityWrong("The code of MetaDMPMSS stands twice.", location=obx.at(3))
        if seen and WORDS.index(word) < WORDS.index(seen[-1]):
            raise SequenceWrong("The codes of MetaDMPMSS do not stand in their order.", location=obx.at(3))
        seen.append(word)
        if word in BODIES:
            _one_of(obx, 2, ("ED",))
        else:
            _one_of(obx, 2, ("CE", "CWE"))
            _one_of(obx, 5, ("Y", "N"))
    for word in REQUIRED:
        if word not in seen:
            raise SegmentMissing(f"The OBX of {word} (MetaDMPMSS) is missing.", location="OBX")


def _senders(message: Hl7Message) -> None:
    prts = list(message.all("PRT"))
    for prt in prts:
        _one_of(prt, 2, ("UC",))
        _one_of(prt, 4, _ROLES)
        PARTICIPANTS[prt.value(4)](prt)
    said = {group.word for group in groups(message) if group.word and group.obx.value(5) == "Y"}
    for word, role in (("DESTDMP", "SB"), ("DESTMSSANTEPS", "RCT")):
        if word in said and not any(prt.value(4) == role for prt in prts):
            raise SegmentMissing(f"{word} needs a PRT of the role {role}.", location="PRT")
    senders = [prt for prt in prts if prt.value(4) == "SB"]
    if len(senders) > 1:
        raise CardinalityWrong("There is one sender.", location=senders[1].at(4))


def _sender(prt: Segment) -> None:
    """SB: a person or a device, and the structure that they belong to."""
    if not prt.value(5) and not prt.value(10):
        raise FieldMissing("The sender is a person (PRT-5) or a device (PRT-10).", location=prt.at(5))
    if prt.value(5):
        _has(prt, 5, (2, 3, 13))
        _is_oid(prt, 5, 9, "1.2.250.1.71.4.2.1")
    _has(prt, 8, (1, 10))
    _one_of(prt, 8, ("FINEJ", "FINEG", "IDNST"), 7)
    _is_oid(prt, 8, 6, "1.2.250.1.71.4.2.2")


def _addressed(prt: Segment) -> None:
    """RCT, REPLY: a mailbox."""
    _one_of(prt, 15, ("X.400",), 3)
    if not prt.value(15, 4):
        raise FieldMissing("The participant has no mail address.", location=prt.at(15, 4))
    if not _MAILBOX.fullmatch(prt.value(15, 4).strip()):
        raise DataTypeError("This is not a mail address.", location=prt.at(15, 4))


PARTICIPANTS: Mapping[str, Callable[[Segment], None]] = {"SB": _sender, "RCT": _addressed, "REPLY": _addressed}


def _has(segment: Segment, number: int, components: Iterable[int]) -> None:
    for component in components:
        if not segment.value(number, component):
            raise FieldMissing(location=segment.at(number, component))


def _is_oid(segment: Segment, number: int, component: int, oid: str) -> None:
    if not segment.value(number, component, 2):
        raise FieldMissing(location=segment.at(number, component))
    if segment.value(number, component, 2) != oid:
        raise TableValueUnknown("The assigning authority is another one.", location=segment.at(number, component))


def _one_of(segment: Segment, number: int, values: Sequence[str], component: int = 1, *, fold: bool = False) -> None:
    location = segment.at(number) if component == 1 else segment.at(number, component)
    value = segment.value(number, component).strip()
    if not value:
        raise FieldMissing(location=location)
    if values and (value.upper() if fold else value) not in values:
        name = location.partition("[")[0].partition("-")[0]
        raise TableValueUnknown(f"{name}-{number} must be {' or '.join(values)}.", location=location)
