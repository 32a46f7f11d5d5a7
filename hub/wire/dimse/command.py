"""Command sets: group 0000, always implicit VR little endian (PS3.7: 6.3, Annex E)."""

import struct
from collections.abc import Mapping

from hub.errors import Malformed

Value = int | str | tuple[int, ...]
Command = dict[str, Value]

C_STORE, C_GET, C_FIND, C_MOVE, C_ECHO, C_CANCEL, RESPONSE = 0x0001, 0x0010, 0x0020, 0x0021, 0x0030, 0x0FFF, 0x8000
N_CREATE = 0x0140
NAMES = {C_STORE: "C-STORE", C_GET: "C-GET", C_FIND: "C-FIND", C_MOVE: "C-MOVE", C_ECHO: "C-ECHO", C_CANCEL: "C-CANCEL",
         N_CREATE: "N-CREATE"}  # fmt: skip
NO_DATA, WITH_DATA = 0x0101, 0x0001
MAX_COMMAND = 64 * 1024

_ELEMENTS: Mapping[str, tuple[int, str]] = {
    "AffectedSOPClassUID": (0x0002, "UI"),
    "RequestedSOPClassUID": (0x0003, "UI"),
    "CommandField": (0x0100, "US"),
    "MessageID": (0x0110, "US"),
    "MessageIDBeingRespondedTo": (0x0120, "US"),
    "MoveDestination": (0x0600, "AE"),
    "Priority": (0x0700, "US"),
    "CommandDataSetType": (0x0800, "US"),
    "Status": (0x0900, "US"),
    "OffendingElement": (0x0901, "AT"),
    "ErrorComment": (0x0902, "LO"),
    "ErrorID": (0x0903, "US"),
    "AffectedSOPInstanceUID": (0x1000, "UI"),
    "RequestedSOPInstanceUID": (0x1001, "UI"),
    "NumberOfRemainingSuboperations": (0x1020, "US"),
    "NumberOfCompletedSuboperations": (0x1021, "US"),
    "NumberOfFailedSuboperations": (0x1022, "US"),
    "NumberOfWarningSuboperations": (0x1023, "US"),
    "MoveOriginatorApplicationEntityTitle": (0x1030, "AE"),
    "MoveOriginatorMessageID": (0x1031, "US"),
}
_BY_ELEMENT = {element: (keyword, vr) for keyword, (element, vr) in _ELEMENTS.items()}


def encode(command: Mapping[str, Value]) -> bytes:
    """The encoded command set with its group length."""
    body = b"".join(
        struct.pack("<HHL", 0, element, len(raw)) + raw
        for element, raw in sorted(
            (_ELEMENTS[key][0], _encode(_ELEMENTS[key][1], value)) for key, value in command.items()
        )
    )
    return struct.pack("<HHLL", 0, 0, 4, len(body)) + body


def decode(raw: bytes) -> Command:
    """The command by keyword; unknown elements are skipped, and what is of no command: some archives list there what
    failed (DCMTK's details of a status). Raises Malformed."""
    found: Command = {}
    position = 0
    while position + 8 <= len(raw):
        group, element, length = struct.unpack_from("<HHL", raw, position)
        position += 8
        if position + length > len(raw):
            raise Malformed("The DIMSE command set is not well-formed.")
        keyword, vr = _BY_ELEMENT.get(element, ("", ""))
        if keyword and group == 0:
            found[keyword] = _decode(vr, raw[position : position + length])
        position += length
    if "CommandField" not in found:
        raise Malformed("The DIMSE command set names no command.")
    return found


def integer(command: Command, keyword: str, default: int = 0) -> int:
    """A numeric field, ``default`` when it is absent or empty."""
    value = command.get(keyword, default)
    return value if isinstance(value, int) else default


def text(command: Command, keyword: str) -> str:
    """A text field, "" when it is absent."""
    value = command.get(keyword, "")
    return value if isinstance(value, str) else ""


def response(request: Command, status: int, **more: Value) -> Command:
    """The response to a request."""
    answer: Command = {
        "CommandField": integer(request, "CommandField") | RESPONSE,
        "MessageIDBeingRespondedTo": integer(request, "MessageID"),
        "Status": status,
        "CommandDataSetType": NO_DATA,
        **more,
    }
    for keyword in ("AffectedSOPClassUID", "AffectedSOPInstanceUID"):
        if keyword in request and keyword not in more:
            answer[keyword] = request[keyword]
    return answer


def _encode(vr: str, value: Value) -> bytes:
    if vr == "US":
        return struct.pack("<H", value)
    if vr == "AT":
        return b"".join(
            struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in (value if isinstance(value, tuple) else ())
        )
    raw = str(value).encode("ascii", "replace")
    return raw + (b"" if len(raw) % 2 == 0 else b"\0" if vr == "UI" else b" ")


def _decode(vr: str, raw: bytes) -> Value:
    if vr == "US":
        return int.from_bytes(raw[:2], "little")
    if vr == "AT":
        pairs = struct.iter_unpack("<HH", raw[: len(raw) // 4 * 4])
        return tuple(group << 16 | element for group, element in pairs)
    return raw.decode("ascii", "replace").strip(" \0")
