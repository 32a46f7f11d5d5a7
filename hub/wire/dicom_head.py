"""The head of a DICOM file that arrives in pieces: read without holding the file, and without its pixel data."""

import io
import itertools
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_dataset, read_partial
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from hub.errors import Malformed, TooLarge
from hub.values import is_uid
from hub.wire.dicom import DatasetReader, first
from hub.wire.dicom_deflated import data_set, is_deflated
from hub.wire.dimse import part10, scan

_SERIES_UID, _PIXEL_DATA = 0x0020000E, 0x7FE00008
_ENOUGH = 4096  #: bytes in which the head of nearly every file ends
_MAX_INFLATED = 16 << 20  #: bytes of a deflated data set that are looked at
_STEPS = (16 * 1024, 256 * 1024, 2 << 20, 16 << 20, 128 << 20)
#: What a hostile file makes pydicom raise.
_UNREADABLE = (InvalidDicomError, BytesLengthException, EOFError, ValueError, KeyError, OSError, NotImplementedError,
               AttributeError, TypeError, RecursionError, struct.error)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Head:
    """Which object a file holds."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax: str


def peek(chunks: Iterator[bytes]) -> tuple[Head, Iterator[bytes]]:
    """What the file is, and the whole file again. Raises Malformed."""
    start = next(chunks, b"")
    while len(start) < _ENOUGH and (more := next(chunks, b"")):
        start += more
    chunks = itertools.chain((start,), chunks)
    glanced = _glance(start)
    if glanced is not None:
        return glanced, chunks
    dataset, seen = _read(chunks, _SERIES_UID)
    reader = DatasetReader(dataset)
    meta = dataset.file_meta
    head = Head(
        first(reader, "StudyInstanceUID"),
        first(reader, "SeriesInstanceUID"),
        first(reader, "SOPInstanceUID"),
        first(reader, "SOPClassUID"),
        str(meta.get("TransferSyntaxUID", "")).strip(" \0"),
    )
    if not head.sop_instance_uid or not is_uid(head.transfer_syntax):  # it goes into headers
        raise Malformed("The object is no DICOM file with a SOP instance UID and a transfer syntax.")
    return head, itertools.chain((seen,), chunks)


def _glance(raw: bytes) -> Head | None:
    """The head of a file that says it plainly; None leaves it to the parser, and what is wrong as well."""
    if raw[128:136] != b"DICM\x02\0\0\0":
        return None
    try:
        syntax = part10.read_meta(io.BytesIO(raw[:_ENOUGH]))["transfer_syntax"]
        start = part10.end_of_meta(raw)
    except Malformed:
        return None
    found = scan.uids(raw, start, syntax) if start is not None else None
    if found is None or len(found) < 4 or not all(is_uid(text) for text in (*found.values(), syntax)):
        return None
    return Head(found[scan.STUDY], found[scan.SERIES], found[scan.SOP_INSTANCE], found[scan.SOP_CLASS], syntax)


def header(chunks: Iterator[bytes]) -> Dataset:
    """Everything before the pixel data; the rest of the chunks is read and dropped. Raises Malformed, TooLarge."""
    dataset, _ = _read(chunks, _PIXEL_DATA - 1)
    for _ in chunks:
        pass
    return dataset


def header_of(path: Path) -> Dataset:
    """``header`` of a file, of which no more is read than it takes. Raises OSError as well."""
    with path.open("rb", buffering=0) as file:
        dataset, _ = _read(iter(partial(file.read, _STEPS[0]), b""), _PIXEL_DATA - 1)
    return dataset


def _read(chunks: Iterator[bytes], last: int) -> tuple[Dataset, bytes]:
    """The data set up to the tag ``last``, and the bytes that were read for it."""
    seen = bytearray()
    for step in _STEPS:
        complete = True
        for chunk in chunks:
            seen += chunk
            if len(seen) >= step:
                complete = False
                break
        dataset = _parse(bytes(seen), last, complete=complete)
        if dataset is not None:
            return dataset, bytes(seen)
    raise TooLarge("The header of the object is too large.")


def _partial(raw: bytes, stop: Callable[[BaseTag, str | None, int], bool]) -> Dataset:
    if not is_deflated(raw):
        return read_partial(io.BytesIO(raw), stop, force=False)
    dataset: Dataset = read_dataset(
        io.BytesIO(data_set(raw, _MAX_INFLATED)), is_implicit_VR=False, is_little_endian=True, stop_when=stop
    )
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return dataset


def _parse(raw: bytes, last: int, *, complete: bool) -> Dataset | None:
    """None when the bytes do not reach far enough."""
    reached = False

    def stop(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        nonlocal reached
        reached = int(tag) > last
        return reached

    try:
        dataset = _partial(raw, stop)
    except _UNREADABLE as error:
        if complete:
            raise Malformed("The object is not a readable DICOM file.") from error
        return None
    return dataset if reached or complete else None
