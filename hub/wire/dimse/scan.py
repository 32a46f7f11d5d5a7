"""Study and series of an encoded data set, found without decoding it: for objects on their way to disk."""

import struct

from hub.wire.dimse.messages import IMPLICIT_LITTLE

_STUDY, _SERIES = 0x0020000D, 0x0020000E
_LONG = frozenset((b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"UN", b"SQ", b"UT", b"UC", b"UR", b"SV", b"UV"))
_UNDEFINED = 0xFFFFFFFF
_OTHER_ENCODINGS = ("1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")


def study_and_series(raw: bytes | bytearray, transfer_syntax: str) -> tuple[str, str] | None:
    """StudyInstanceUID and SeriesInstanceUID; None when ``raw`` does not reach them, or they can't be found quickly.

    Sequences of undefined length, big endian and deflated data are left to a real parser."""
    if transfer_syntax in _OTHER_ENCODINGS:
        return None
    implicit = transfer_syntax == IMPLICIT_LITTLE
    position, end = 0, len(raw)
    study = ""
    while position + 12 <= end:
        group, element = struct.unpack_from("<HH", raw, position)
        tag = group << 16 | element
        if tag > _SERIES:
            return None
        if implicit:
            length, start = int.from_bytes(raw[position + 4 : position + 8], "little"), position + 8
        elif bytes(raw[position + 4 : position + 6]) in _LONG:
            length, start = int.from_bytes(raw[position + 8 : position + 12], "little"), position + 12
        else:
            length, start = int.from_bytes(raw[position + 6 : position + 8], "little"), position + 8
        if length == _UNDEFINED or start + length > end:
            return None
        if tag in (_STUDY, _SERIES):
            text = bytes(raw[start : start + length]).decode("ascii", "replace").strip(" \0")
            if tag == _SERIES:
                return (study, text) if study else None
            study = text
        position = start + length
    return None
