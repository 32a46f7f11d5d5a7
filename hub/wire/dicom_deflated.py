"""Deflated data sets (PS3.5: A.5), inflated within bounds: a small file may say that it is gigabytes."""

import io
import zlib
from collections.abc import Iterator
from pathlib import Path

from hub.errors import Malformed, TooLarge
from hub.wire.dimse import part10

_DEFLATED = "1.2.840.10008.1.2.1.99"
_START = 256 * 1024
MAX_INFLATED = 512 * 1024 * 1024  #: bytes, as many as uncompressed pixel data may have
_PIECE = 1024 * 1024


def is_deflated(start: bytes) -> bool:
    """Whether a file with this start is deflated. Raises Malformed where it may be, and its meta is not readable."""
    if _DEFLATED.encode() not in start[:_START]:
        return False
    return part10.read_meta(io.BytesIO(start))["transfer_syntax"] == _DEFLATED


def data_set(start: bytes, limit: int) -> bytes:
    """The inflated data set of a deflated file, as far as ``start`` and ``limit`` reach. Raises Malformed."""
    file = io.BytesIO(start)
    part10.read_meta(file)
    return b"".join(inflated(part10.pieces(file), limit))


def inflated(pieces: Iterator[bytes], limit: int) -> Iterator[bytes]:
    """The data set in pieces of at most a megabyte, no more than ``limit`` bytes of it. Raises Malformed."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    left = limit
    try:
        for piece in pieces:
            waiting = piece
            while left and (plain := inflater.decompress(waiting, min(_PIECE, left))):
                waiting = inflater.unconsumed_tail
                left -= len(plain)
                yield plain
            if not left or inflater.eof:
                return
    except zlib.error as error:
        raise Malformed("The deflated data set can't be inflated.") from error


def check_size(path: Path) -> None:
    """For a file that is going to be read whole. Raises TooLarge when inflating it would fill the memory, Malformed."""
    with path.open("rb") as file:
        if not is_deflated(file.read(_START)):
            return
        file.seek(0)
        part10.read_meta(file)
        if sum(map(len, inflated(part10.pieces(file), MAX_INFLATED + 1))) > MAX_INFLATED:
            raise TooLarge("The inflated object would be larger than the limit.")
