"""DICOM files (PS3.10: 7.1) around data sets that are never decoded."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from hub.errors import Malformed
from hub.wire.dimse.pdu import IMPLEMENTATION_NAME, IMPLEMENTATION_UID

CHUNK = 256 * 1024
_LONG = ("OB", "UN", "OW", "SQ")


def header(sop_class: str, sop_instance: str, transfer_syntax: str, source_ae: str = "") -> bytes:
    """Preamble and file meta information for a data set in the given transfer syntax."""
    elements = [
        _element(0x0001, "OB", b"\0\1"),
        _element(0x0002, "UI", sop_class.encode("ascii", "replace")),
        _element(0x0003, "UI", sop_instance.encode("ascii", "replace")),
        _element(0x0010, "UI", transfer_syntax.encode("ascii", "replace")),
        _element(0x0012, "UI", IMPLEMENTATION_UID.encode()),
        _element(0x0013, "SH", IMPLEMENTATION_NAME.encode()),
    ]
    if source_ae:
        elements.append(_element(0x0016, "AE", source_ae.encode("ascii", "replace")[:16]))
    body = b"".join(elements)
    return b"\0" * 128 + b"DICM" + _element(0, "UL", struct.pack("<L", len(body))) + body


def read_meta(file: IO[bytes]) -> dict[str, str]:
    """``sop_class``, ``sop_instance``, ``transfer_syntax`` of a file; leaves it at its data set. Raises Malformed."""
    if file.read(132)[128:] != b"DICM":
        raise Malformed("This is not a DICOM file.")
    found: dict[str, str] = {}
    names = {0x0002: "sop_class", 0x0003: "sop_instance", 0x0010: "transfer_syntax"}
    while True:
        start = file.tell()
        head = file.read(8)
        if len(head) < 8:
            break
        group, element = struct.unpack_from("<HH", head)
        if group != 0x0002:
            file.seek(start)
            break
        length = int.from_bytes(head[6:8], "little")
        if head[4:6].decode("latin-1") in _LONG:
            length = int.from_bytes(file.read(4), "little")
        if length > 64 * 1024:
            raise Malformed("The file meta information is too large.")
        value = file.read(length)
        if element in names:
            found[names[element]] = value.decode("ascii", "replace").strip(" \0")
    if len(found) < len(names):
        raise Malformed("The file meta information is incomplete.")
    return found


def pieces(file: IO[bytes]) -> Iterator[bytes]:
    """What is left of an open file, piece by piece."""
    while piece := file.read(CHUNK):
        yield piece


def chunks_of(path: Path, *, delete: bool = False) -> Iterator[bytes]:
    """The file in pieces; with ``delete``, gone when read."""
    try:
        with path.open("rb") as file:
            yield from pieces(file)
    finally:
        if delete:
            path.unlink(missing_ok=True)


def _element(element: int, vr: str, value: bytes) -> bytes:
    if len(value) % 2:
        value += b" " if vr in ("AE", "SH") else b"\0"
    size = struct.pack("<HL", 0, len(value)) if vr in _LONG else struct.pack("<H", len(value))
    return struct.pack("<HH", 2, element) + vr.encode() + size + value


def end_of_meta(raw: bytes | bytearray) -> int | None:
    """Where the data set starts; None while ``raw`` does not reach it. Raises Malformed."""
    if len(raw) < 144:
        return None
    if raw[128:132] != b"DICM" or raw[132:136] != b"\x02\0\0\0":
        raise Malformed("This is not a DICOM file with a group length.")
    end = 144 + int.from_bytes(raw[140:144], "little")
    return end if len(raw) >= end else None
