"""Protocol data units of the DICOM upper layer (PS3.8: 9.3): framing and association negotiation."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from hub.errors import Malformed

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
IMPLEMENTATION_UID = "1.2.826.0.1.3680043.10.1634.1"
IMPLEMENTATION_NAME = "MAILLAGE"
MAX_CONTEXTS = 128
#: Largest association PDU that is read: 128 contexts with many transfer syntaxes stay far below.
MAX_NEGOTIATION = 1 << 20
_HEADER = struct.Struct(">HH16s16s32x")


@dataclass(frozen=True, slots=True)
class Proposal:
    """One presentation context as proposed: abstract syntax, transfer syntaxes in order of preference."""

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]
    scp: bool = False  #: the requestor wants to be the SCP (C-GET)


@dataclass(frozen=True, slots=True)
class Accepted:
    """One presentation context as agreed."""

    id: int
    abstract_syntax: str
    transfer_syntax: str
    scp: bool = False  #: the requestor may act as SCP


@dataclass(frozen=True, slots=True)
class Request:
    """A-ASSOCIATE-RQ."""

    called: str
    calling: str
    proposals: tuple[tuple[int, Proposal], ...]
    max_length: int = 0
    implementation: str = ""
    user_identity: tuple[int, bytes, bytes] = field(default=(0, b"", b""), repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """A-ASSOCIATE-AC."""

    results: tuple[tuple[int, int, str], ...]  #: context id, result, transfer syntax
    max_length: int = 0
    roles: tuple[tuple[str, bool, bool], ...] = ()  #: SOP class, SCU, SCP


def frame(kind: int, body: bytes = b"\0\0\0\0") -> bytes:
    """A PDU."""
    return struct.pack(">BxL", kind, len(body)) + body


def reject(result: int, source: int, reason: int) -> bytes:
    """A-ASSOCIATE-RJ."""
    return frame(ASSOCIATE_RJ, bytes((0, result, source, reason)))


def abort(source: int = 0, reason: int = 0) -> bytes:
    """A-ABORT."""
    return frame(ABORT, bytes((0, 0, source, reason)))


def encode_request(called: str, calling: str, proposals: Sequence[Proposal], max_length: int) -> bytes:
    """A-ASSOCIATE-RQ; contexts are numbered 1, 3, 5 ... in their order."""
    contexts = b"".join(
        _item(
            0x20,
            struct.pack(">B3x", 2 * index + 1)
            + _item(0x30, _ascii(item.abstract_syntax))
            + b"".join(_item(0x40, _ascii(syntax)) for syntax in item.transfer_syntaxes),
        )
        for index, item in enumerate(proposals)
    )
    with_role = dict.fromkeys(item.abstract_syntax for item in proposals if item.scp)
    roles = b"".join(_role(sop_class, False, True) for sop_class in with_role)
    return frame(ASSOCIATE_RQ, _head(called, calling) + contexts + _user(max_length, roles))


def encode_answer(
    request: Request, accepted: Sequence[Accepted], refused: Sequence[tuple[int, int]], max_length: int
) -> bytes:
    """A-ASSOCIATE-AC. ``refused``: context id and result (3: abstract syntax, 4: transfer syntaxes not supported)."""
    contexts = b"".join(
        _item(0x21, struct.pack(">BxBx", number, result) + _item(0x40, _ascii(syntax)))
        for number, result, syntax in sorted(
            [(item.id, 0, item.transfer_syntax) for item in accepted]
            + [(number, result, "1.2.840.10008.1.2") for number, result in refused]
        )
    )
    roles = b"".join(
        _role(sop_class, False, True)
        for sop_class in dict.fromkeys(item.abstract_syntax for item in accepted if item.scp)
    )
    return frame(ASSOCIATE_AC, _head(request.called, request.calling) + contexts + _user(max_length, roles))


def decode_request(body: bytes) -> Request:
    """Raises Malformed."""
    called, calling = _titles(body)
    proposals: list[tuple[int, Proposal]] = []
    roles: set[str] = set()
    max_length, implementation, identity = 0, "", (0, b"", b"")
    for kind, value in _items(body[68:]):
        if kind == 0x20:
            proposals.append(_proposal(value))
        elif kind == 0x50:
            for sub, content in _items(value):
                if sub == 0x51 and len(content) == 4:
                    max_length = int.from_bytes(content)
                elif sub == 0x55:
                    implementation = _text(content)
                elif sub == 0x54:
                    sop_class, _, scp = _read_role(content)
                    if scp:
                        roles.add(sop_class)
                elif sub == 0x58:
                    identity = _identity(content)
    if len(proposals) > MAX_CONTEXTS:
        raise Malformed("An association has at most 128 presentation contexts.")
    with_roles = tuple(
        (number, Proposal(item.abstract_syntax, item.transfer_syntaxes, item.abstract_syntax in roles))
        for number, item in proposals
    )
    return Request(called, calling, with_roles, max_length, implementation, identity)


def decode_answer(body: bytes) -> Answer:
    """Raises Malformed."""
    _titles(body)
    results: list[tuple[int, int, str]] = []
    roles: list[tuple[str, bool, bool]] = []
    max_length = 0
    for kind, value in _items(body[68:]):
        if kind == 0x21 and len(value) >= 4:
            syntax = next((_text(content) for sub, content in _items(value[4:]) if sub == 0x40), "")
            results.append((value[0], value[2], syntax))
        elif kind == 0x50:
            for sub, content in _items(value):
                if sub == 0x51 and len(content) == 4:
                    max_length = int.from_bytes(content)
                elif sub == 0x54:
                    roles.append(_read_role(content))
    return Answer(tuple(results), max_length, tuple(roles))


def _head(called: str, calling: str) -> bytes:
    head = _HEADER.pack(1, 0, called.encode("ascii").ljust(16), calling.encode("ascii").ljust(16))
    return head + _item(0x10, _ascii(APPLICATION_CONTEXT))


def _user(max_length: int, roles: bytes) -> bytes:
    return _item(
        0x50,
        _item(0x51, struct.pack(">L", max_length))
        + _item(0x52, _ascii(IMPLEMENTATION_UID))
        + roles
        + _item(0x55, _ascii(IMPLEMENTATION_NAME)),
    )


def _role(sop_class: str, scu: bool, scp: bool) -> bytes:
    value = _ascii(sop_class)
    return _item(0x54, struct.pack(">H", len(value)) + value + bytes((scu, scp)))


def _read_role(content: bytes) -> tuple[str, bool, bool]:
    length = int.from_bytes(content[:2])
    if len(content) < length + 4:
        raise Malformed("A role selection item is too short.")
    return _text(content[2 : 2 + length]), bool(content[2 + length]), bool(content[3 + length])


def _identity(content: bytes) -> tuple[int, bytes, bytes]:
    first = int.from_bytes(content[2:4])
    second = content[4 + first :]
    return (content[0] if content else 0, content[4 : 4 + first], second[2 : 2 + int.from_bytes(second[:2])])


def _proposal(value: bytes) -> tuple[int, Proposal]:
    if len(value) < 4:
        raise Malformed("A presentation context item is too short.")
    abstract, syntaxes = "", []
    for sub, content in _items(value[4:]):
        if sub == 0x30:
            abstract = _text(content)
        elif sub == 0x40:
            syntaxes.append(_text(content))
    return value[0], Proposal(abstract, tuple(syntaxes))


def _titles(body: bytes) -> tuple[str, str]:
    """AE titles as lenient as they come: NULs and blanks around, bytes that are no ASCII replaced."""
    if len(body) < 68:
        raise Malformed("The association PDU is too short.")
    return _text(body[4:20]), _text(body[20:36])


def _items(body: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + 4 <= len(body):
        kind, length = body[position], int.from_bytes(body[position + 2 : position + 4])
        end = position + 4 + length
        if end > len(body):
            raise Malformed("An item of the association PDU is longer than the PDU.")
        yield kind, body[position + 4 : end]
        position = end


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def _ascii(text: str) -> bytes:
    return text.encode("ascii")


def _text(raw: bytes) -> str:
    return raw.decode("ascii", "replace").strip(" \0")
