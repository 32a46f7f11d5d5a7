"""Which transfer syntax an instance goes out in: its own, else uncompressed (RAD TF-2: 4.69.4.2.3)."""

import array
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from hub.imaging.errors import TransferSyntaxNotPossible
from hub.wire.dicom_deflated import check_size

log = logging.getLogger(__name__)

UNCOMPRESSED = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))
ANY = "*"
#: MPEG and HEVC: never decompressed.
_VIDEO = tuple(f"1.2.840.10008.1.2.4.{number}" for number in range(100, 109))
#: Values that stay bytes when they are read, and the words that they are made of (PS3.5: 6.2, 7.3).
_WORDS = {"OW": "H", "OF": "I", "OL": "I", "OD": "Q", "OV": "Q"}
_SUBSAMPLED = "YBR_FULL_422"
_MAX_PIXEL_BYTES = 512 * 1024 * 1024
_CHUNK = 256 * 1024


def acceptable(transfer_syntax: str, wanted: Sequence[str]) -> bool:
    """Whether the instance can go out as it is."""
    return ANY in wanted or transfer_syntax in wanted


def target(transfer_syntax: str, wanted: Sequence[str]) -> str:
    """The uncompressed syntax to convert to. Raises TransferSyntaxNotPossible."""
    if transfer_syntax not in _VIDEO:
        for candidate in UNCOMPRESSED:
            if candidate in wanted:
                return candidate
    raise TransferSyntaxNotPossible()


def convert(path: Path, transfer_syntax: str) -> Path:
    """The Part 10 file beside ``path`` in an uncompressed transfer syntax. Raises TransferSyntaxNotPossible."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_size(path)
            ds = dcmread(path)
            decompress(ds)
            ds.file_meta.TransferSyntaxUID = UID(transfer_syntax)
            converted = path.with_suffix(".converted")
            dcmwrite(converted, ds)
    except (ValueError, RuntimeError, AttributeError, KeyError, NotImplementedError, EOFError, TypeError) as error:
        log.warning("an instance could not be decompressed: %s", type(error).__name__)
        raise TransferSyntaxNotPossible() from error
    return converted


def decompress(ds: Dataset) -> None:
    """Decompress the pixel data in place. Raises TransferSyntaxNotPossible when it would be too large."""
    syntax = ds.file_meta.TransferSyntaxUID
    if pixel_bytes(ds) > _MAX_PIXEL_BYTES:
        raise TransferSyntaxNotPossible("The decompressed pixel data would be larger than the limit.")
    if syntax == ExplicitVRBigEndian:
        for element in ds.iterall():
            if element.VR in _WORDS and element.value:
                words = array.array(_WORDS[element.VR], element.value)
                words.byteswap()
                element.value = words.tobytes()
    elif syntax.is_compressed and "PixelData" in ds:
        # Colours stay as they are stored: the receiver reads Photometric Interpretation.
        ds.decompress(as_rgb=False, generate_instance_uid=False)
        if ds.PhotometricInterpretation == _SUBSAMPLED:
            ds.PhotometricInterpretation = "YBR_FULL"  # every pixel has its own colour now


def pixel_bytes(ds: Dataset) -> int:
    """Size of the uncompressed pixel data in bytes."""
    frames = int(ds.get("NumberOfFrames") or 1)
    samples = int(ds.get("SamplesPerPixel") or 1)
    if ds.get("PhotometricInterpretation") == _SUBSAMPLED:
        samples = 2  # two pixels share their colour (PS3.3: C.7.6.3.1.2)
    bits = int(ds.get("BitsAllocated") or 8)
    return int(ds.get("Rows") or 0) * int(ds.get("Columns") or 0) * samples * frames * bits // 8


def chunks_of(path: Path) -> Iterator[bytes]:
    """The file's bytes."""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
