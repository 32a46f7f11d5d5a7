"""Frames as parts of an answer, in a media type that the caller takes (PS3.18: 8.7.3.3, 8.7.3.5)."""

import secrets
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydicom import dcmread

from hub.imaging import frames
from hub.imaging.errors import TransferSyntaxNotPossible
from hub.imaging.model import PassedThrough
from hub.wire import multipart
from hub.wire.dicomweb.media import DEFAULT_TRANSFER_SYNTAX, OCTETS, parse_accept

_JPEG = "1.2.840.10008.1.2.4."
#: Transfer syntax of compressed frames -> their media type (PS3.18: Tables 8.7.3-2 and 8.7.3-5).
MEDIA_TYPES: Mapping[str, str] = {
    **{f"{_JPEG}{one}": "image/jpeg" for one in (50, 51, 57, 70)},
    **{f"{_JPEG}{one}": "image/jls" for one in (80, 81)},
    **{f"{_JPEG}{one}": "image/jp2" for one in (90, 91)},
    **{f"{_JPEG}{one}": "image/jpx" for one in (92, 93)},
    **{f"{_JPEG}{one}": "image/jxl" for one in (110, 111, 112)},
    **{f"{_JPEG}{one}": "image/jphc" for one in (201, 202, 203)},
    "1.2.840.10008.1.2.5": "image/dicom-rle",
}


def frame_parts(path: Path, numbers: Sequence[int], accept: str) -> PassedThrough:
    """The frames of a Part 10 file, the way the caller likes best: as stored, or uncompressed.

    Raises TransferSyntaxNotPossible when it takes neither, NoSuchFrame, NotRendered."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stored = str(dcmread(path, stop_before_pixels=True, specific_tags=[]).file_meta.TransferSyntaxUID)
    native, labelled = _choice(accept, stored)
    syntax, found = frames.frames(path, numbers, native=native)
    media_type = MEDIA_TYPES.get(syntax, OCTETS) if labelled else OCTETS
    boundary = secrets.token_hex(16)
    headers = {"Content-Type": f"{media_type}; transfer-syntax={syntax}"}
    parts = (multipart.Part(headers, iter((frame,))) for frame in found)
    return PassedThrough(
        f'multipart/related; type="{media_type}"; boundary={boundary}', multipart.write(parts, boundary)
    )


def _choice(accept: str, stored: str) -> tuple[bool, bool]:
    """As stored? By the media type of what is stored, or as octets? Raises TransferSyntaxNotPossible."""
    own = MEDIA_TYPES.get(stored, "")
    for item in parse_accept(accept):
        wanted = item.transfer_syntax
        if item.matches(OCTETS):
            if wanted in ("*", stored):
                return True, False
            if wanted in ("", DEFAULT_TRANSFER_SYNTAX):
                return False, False
        elif own and item.matches(own) and wanted in ("", "*", stored):
            return True, True
    raise TransferSyntaxNotPossible()
