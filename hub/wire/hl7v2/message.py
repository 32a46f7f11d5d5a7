"""ER7, the vertical bar form of HL7 v2 (HL7 v2.5: 2.5 to 2.7): read lazily, strictly, within limits."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from hub.wire.hl7v2.charset import codec_of
from hub.wire.hl7v2.errors import FieldMissing, Hl7Charset, Hl7Malformed, Hl7TooLarge, SegmentMissing

MAX_SEGMENTS = 20_000
MAX_REPETITIONS = 1_000
MAX_SEGMENT = 256 * 1024  #: characters, for every segment but those that carry documents
DOCUMENT_SEGMENTS = frozenset({"OBX", "NTE", "TXA"})

_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
_USUAL = frozenset({"MSH", "EVN", "PID", "PD1", "PV1", "PV2", "MRG", "NK1", "ORC", "OBR", "OBX", "ZFU", "ZFV"})
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_HEAD = 4096


@dataclass(frozen=True, slots=True)
class Delimiters:
    """MSH-1 and MSH-2."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"

    @classmethod
    def read(cls, text: str) -> Self:
        """From the head of a message. Raises Hl7Malformed."""
        if not text.startswith("MSH") or len(text) < 8:
            raise Hl7Malformed("The message does not begin with an MSH segment.", location="MSH")
        field = text[3]
        encoding = text[4 : text.find(field, 4)] if field in text[4:10] else text[4:8]
        given = field + encoding
        if len(encoding) < 3 or len(set(given)) != len(given) or any(c.isalnum() or not c.isprintable() for c in given):
            raise Hl7Malformed("MSH-1 and MSH-2 must be five different delimiters.", location="MSH-2")
        return cls(field, encoding[0], encoding[1], encoding[2], encoding[3] if len(encoding) > 3 else "&")


STANDARD = Delimiters()


class Repetition:
    """One repetition of a field. Numbers count from 1, as in the standard; what is not there is ""."""

    __slots__ = ("_components", "segment", "text")

    def __init__(self, text: str, segment: "Segment") -> None:
        self.text = text
        self.segment = segment
        self._components: list[str] | None = None

    def raw(self, component: int) -> str:
        """A component as it came, escapes and all."""
        if self._components is None:
            self._components = self.text.split(self.segment.delimiters.component)
        return self._components[component - 1] if component <= len(self._components) else ""

    def value(self, component: int = 1, subcomponent: int = 1) -> str:
        """A component's subcomponent as text. HL7's null (two double quotes) is ""."""
        return self.segment.part(self.text, component, subcomponent)

    def __bool__(self) -> bool:
        return bool(self.text) and self.text != '""'


class Segment:
    """One segment; its fields are split when first asked for. ``index``: its number among those of its name."""

    __slots__ = ("_fields", "codec", "delimiters", "index", "name", "text")

    def __init__(self, name: str, text: str, delimiters: Delimiters, codec: str, index: int = 1) -> None:
        self.name = name
        self.text = text
        self.delimiters = delimiters
        self.codec = codec
        self.index = index
        self._fields: list[str] | None = None

    def field(self, number: int) -> str:
        """A field as it came, all repetitions, escapes and all."""
        if self._fields is None:
            self._fields = self.text.split(self.delimiters.field)
            if self.name == "MSH":  # MSH-1 is the separator itself
                self._fields.insert(1, self.delimiters.field)
        return self._fields[number] if number < len(self._fields) else ""

    def repetitions(self, number: int) -> list[Repetition]:
        """The repetitions of a field that are not empty. Raises Hl7TooLarge."""
        text = self.field(number)
        if not text:
            return []
        if self.delimiters.repetition not in text:
            return [Repetition(text, self)] if text != '""' else []
        parts = text.split(self.delimiters.repetition)
        if len(parts) > MAX_REPETITIONS:
            raise Hl7TooLarge("A field repeats too often.", location=self.at(number))
        return [item for item in (Repetition(part, self) for part in parts) if item]

    def value(self, number: int, component: int = 1, subcomponent: int = 1) -> str:
        """Text of the field's first repetition."""
        text = self.field(number)
        return self.part(text.partition(self.delimiters.repetition)[0], component, subcomponent) if text else ""

    def part(self, text: str, component: int, subcomponent: int = 1) -> str:
        """A component's subcomponent of a repetition as text. HL7's null (two double quotes) is ""."""
        delimiters = self.delimiters
        if delimiters.component in text:
            parts = text.split(delimiters.component)
            text = parts[component - 1] if component <= len(parts) else ""
        elif component > 1:
            return ""
        if delimiters.subcomponent in text:
            parts = text.split(delimiters.subcomponent)
            text = parts[subcomponent - 1] if subcomponent <= len(parts) else ""
        elif subcomponent > 1:
            return ""
        if delimiters.escape in text:
            return unescape(text, self)
        return text if text != '""' else ""

    def require(self, number: int, component: int = 1) -> str:
        """As ``value``. Raises FieldMissing that names the field."""
        value = self.value(number, component)
        if not value:
            raise FieldMissing(location=self.at(number))
        return value

    def at(self, number: int, *parts: int) -> str:
        """The place of a field for an error: ``PID-3``, ``OBX[2]-5.4``."""
        name = self.name if self.index == 1 else f"{self.name}[{self.index}]"
        return ".".join([f"{name}-{number}", *map(str, parts)])

    def __repr__(self) -> str:
        return f"Segment({self.name})"


class Hl7Message:
    """One message. ``raw`` are the bytes as received; text is decoded once, fields are split when asked for."""

    def __init__(self, raw: bytes, segments: list[Segment], delimiters: Delimiters, codec: str) -> None:
        self.raw = raw
        self.segments = segments
        self.delimiters = delimiters
        self.codec = codec

    @classmethod
    def parse(cls, raw: bytes, *, charset: str = "", default_charset: str = "utf-8") -> Self:
        """Read a message. ``charset``: codec to use whatever MSH-18 says; ``default_charset``: where MSH-18 is empty.

        Raises Hl7Malformed, Hl7Charset, Hl7TooLarge with the place in ``location``."""
        codec = charset or _declared(raw) or default_charset
        try:
            text = raw.decode(codec)
        except UnicodeDecodeError as error:
            place = _place(raw[: error.start].decode("latin-1"))
            raise Hl7Charset(f"A byte is not {codec} text.", location=place) from None
        delimiters = Delimiters.read(text)
        bad = _CONTROL.search(text)
        if bad is not None:
            raise Hl7Malformed("A control character is not allowed.", location=_place(text[: bad.start()]))
        return cls(raw, _segments(text, delimiters, codec), delimiters, codec)

    @classmethod
    def salvage(cls, raw: bytes) -> Self:
        """What can be had of the MSH segment of any bytes, to answer them; never raises."""
        head = raw[:_HEAD].decode("latin-1").lstrip()
        line = _CONTROL.sub("", re.split(r"[\r\n]", head, maxsplit=1)[0])
        try:
            delimiters = Delimiters.read(line)
        except Hl7Malformed:
            delimiters, line = STANDARD, "MSH|^~\\&"
        return cls(raw, [Segment("MSH", line, delimiters, "latin-1")], delimiters, "utf-8")

    @property
    def msh(self) -> Segment:
        """The header."""
        return self.segments[0]

    def all(self, name: str) -> Iterator[Segment]:
        """Every segment of a name."""
        return (segment for segment in self.segments if segment.name == name)

    def first(self, name: str) -> Segment | None:
        """The first segment of a name."""
        for segment in self.segments:
            if segment.name == name:
                return segment
        return None

    def require(self, name: str) -> Segment:
        """The first segment of a name. Raises SegmentMissing."""
        segment = self.first(name)
        if segment is None:
            raise SegmentMissing(f"The {name} segment is missing.", location=name)
        return segment

    @property
    def control_id(self) -> str:
        """MSH-10."""
        return self.msh.value(10)

    @cached_property
    def event(self) -> str:
        """MSH-9 as ``ADT^A28``; the event from EVN-1 where MSH-9 leaves it out (v2.1)."""
        kind, trigger = self.msh.value(9), self.msh.value(9, 2)
        if kind and not trigger:
            evn = self.first("EVN")
            trigger = evn.value(1) if evn else ""
        return f"{kind}^{trigger}" if trigger else kind

    @property
    def sending_application(self) -> str:
        """MSH-3, its namespace."""
        return self.msh.value(3)

    @property
    def sending_facility(self) -> str:
        """MSH-4, its namespace."""
        return self.msh.value(4)

    @property
    def version(self) -> str:
        """MSH-12.1; 2.5 where it is empty."""
        return self.msh.value(12) or "2.5"

    @property
    def accept_acknowledgement(self) -> str:
        """MSH-15 (HL7 table 0155): AL, NE, ER, SU, or "" in original mode."""
        return self.msh.value(15)

    @property
    def application_acknowledgement(self) -> str:
        """MSH-16."""
        return self.msh.value(16)

    @property
    def wants_commit(self) -> bool:
        """Whether the sender asks for a commit acknowledgement (enhanced mode, HL7 v2.5: 2.9.3)."""
        return self.accept_acknowledgement in ("AL", "SU", "ER")

    def wants_commit_when(self, *, failed: bool) -> bool:
        """Whether it asks for one of this kind (MSH-15, HL7 table 0155)."""
        return self.accept_acknowledgement in ("AL", "ER" if failed else "SU")

    def wants_answer(self, *, failed: bool) -> bool:
        """Whether the sender asks for an application acknowledgement of its own (MSH-16, HL7 table 0155)."""
        return self.application_acknowledgement in ("AL", "ER" if failed else "SU")

    def __repr__(self) -> str:  # never a patient's data
        return f"Hl7Message({self.event}, {len(self.raw)} bytes)"


def unescape(text: str, segment: Segment) -> str:
    """Escape sequences resolved (HL7 v2.5: 2.7). Raises Hl7Malformed for ``\\Xdd..\\`` that is not text."""
    delimiters = segment.delimiters
    mark = delimiters.escape
    if mark not in text:
        return text
    parts = text.split(mark)
    known = {
        "F": delimiters.field,
        "S": delimiters.component,
        "T": delimiters.subcomponent,
        "R": delimiters.repetition,
        "E": mark,
        "H": "",
        "N": "",
        ".br": "\n",
        ".sp": "\n",
    }
    result = [parts[0]]
    position = 1
    while position < len(parts):
        sequence = parts[position]
        closed = position + 1 < len(parts)
        if closed and sequence in known:
            result += [known[sequence], parts[position + 1]]
            position += 2
        elif closed and sequence[:1] == "X" and sequence[1:]:
            result += [_hexadecimal(sequence[1:], segment), parts[position + 1]]
            position += 2
        else:  # a lone escape character, or a sequence that says nothing about the text: kept as it came
            result += [mark, sequence]
            position += 1
    return "".join(result)


def _hexadecimal(digits: str, segment: Segment) -> str:
    try:
        text = bytes.fromhex(digits).decode(segment.codec)
    except ValueError:
        raise Hl7Malformed("A hexadecimal escape sequence is not text.", location=segment.name) from None
    if "\x00" in text:
        raise Hl7Malformed("A hexadecimal escape sequence is not text.", location=segment.name)
    return text


def _declared(raw: bytes) -> str:
    head = raw[:_HEAD]
    if not head.startswith(b"MSH") or len(head) < 8:
        raise Hl7Malformed("The message does not begin with an MSH segment.", location="MSH")
    line = head.partition(b"\r")[0].partition(b"\n")[0].decode("latin-1")
    fields = line.split(line[3]) if len(line) > 3 else []
    label = fields[17].partition("~")[0].partition("^")[0] if len(fields) > 17 else ""
    return codec_of(label) if label.strip() else ""


def _segments(text: str, delimiters: Delimiters, codec: str) -> list[Segment]:
    lines = text.split("\r" if "\r" in text else "\n")
    if len(lines) > MAX_SEGMENTS:
        raise Hl7TooLarge(f"The message has more than {MAX_SEGMENTS} segments.")
    segments: list[Segment] = []
    count: dict[str, int] = {}
    for number, received in enumerate(lines, 1):
        line = received.strip("\n")
        if not line:
            continue
        name = line[:3]
        if (name not in _USUAL and not _NAME.fullmatch(name)) or (len(line) > 3 and line[3] != delimiters.field):
            raise Hl7Malformed(f"Line {number} does not begin with a segment's name.", location=f"line {number}")
        if len(line) > MAX_SEGMENT and name not in DOCUMENT_SEGMENTS:
            raise Hl7TooLarge(f"A segment is longer than {MAX_SEGMENT} characters.", location=name)
        count[name] = count.get(name, 0) + 1
        if name == "MSH" and segments:
            raise Hl7Malformed("One frame must hold one message.", location="MSH[2]")
        segments.append(Segment(name, line, delimiters, codec, count[name]))
    return segments


def _place(before: str) -> str:
    """The segment and field in which the text before it ends."""
    lines = [line.strip("\n") for line in before.split("\r" if "\r" in before else "\n")]
    name = lines[-1][:3]
    if not _NAME.fullmatch(name):
        return f"line {len(lines)}"
    field = lines[-1].count(before[3]) + (name == "MSH") if len(before) > 3 else 0
    index = sum(line.startswith(name) for line in lines)
    return f"{name}[{index}]-{field}" if index > 1 else f"{name}-{field}"
