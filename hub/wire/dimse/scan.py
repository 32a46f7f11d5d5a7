"""Study and series of an encoded data set, found without decoding it: for objects on their way to disk."""

import struct

from hub.wire.dimse.messages import IMPLICIT_LITTLE

SOP_CLASS, SOP_INSTANCE, STUDY, SERIES = 0x00080016, 0x00080018, 0x0020000D, 0x0020000E
_WANTED = frozenset((SOP_CLASS, SOP_INSTANCE, STUDY, SERIES))
_ELEMENT, _LENGTH = struct.Struct("<HH2sH"), struct.Struct("<L")
_LONG = frozenset((b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"UN", b"SQ", b"UT", b"UC", b"UR", b"SV", b"UV"))
_UNDEFINED = 0xFFFFFFFF
_OTHER_ENCODINGS = ("1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")


def study_and_series(raw: bytes | bytearray, transfer_syntax: str) -> tuple[str, str] | None:
    """StudyInstanceUID and SeriesInstanceUID; None when ``raw`` does not reach them, or they can't be found quickly.

    Sequences of undefined length, big endian and deflated data are left to a real parser."""
    found = uids(raw, 0, transfer_syntax)
    if found is None or STUDY not in found or SERIES not in found:
        return None
    return found[STUDY], found[SERIES]


def uids(raw: bytes | bytearray, position: int, transfer_syntax: str) -> dict[int, str] | None:
    """The values of SOPClassUID, SOPInstanceUID, StudyInstanceUID and SeriesInstanceUID by tag, of a data set that
    starts at ``position``; None as above."""
    if transfer_syntax in _OTHER_ENCODINGS:
        return None
    implicit = transfer_syntax == IMPLICIT_LITTLE
    found: dict[int, str] = {}
    end = len(raw)
    while position + 12 <= end:
        group, element, vr, short = _ELEMENT.unpack_from(raw, position)
        tag = group << 16 | element
        if tag > SERIES:
            return None
        if implicit:
            length, start = _LENGTH.unpack_from(raw, position + 4)[0], position + 8
        elif vr in _LONG:
            length, start = _LENGTH.unpack_from(raw, position + 8)[0], position + 12
        else:
            length, start = short, position + 8
        if length == _UNDEFINED or start + length > end:
            return None
        if tag in _WANTED:
            found[tag] = bytes(raw[start : start + length]).decode("ascii", "replace").strip(" \0")
            if tag == SERIES:
                return found
        position = start + length
    return None
