"""Single frames and rendered images out of a Part 10 file on disk, for archives that give whole objects only."""

import io
import logging
import math
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from hub.errors import Invalid
from hub.imaging.errors import NoSuchFrame, NotRendered, TransferSyntaxNotPossible
from hub.imaging.model import Rendering
from hub.imaging.transcode import decompress, pixel_bytes

log = logging.getLogger(__name__)

_PIXEL_DATA = 0x7FE00010
_MAX_FRAMES = 10_000
_MAX_SIDE = 4096
_LONG_VRS = frozenset({b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"UN", b"SQ", b"UT", b"UC", b"UR"})
_UNDECODABLE = (
    ValueError,
    RuntimeError,
    AttributeError,
    KeyError,
    NotImplementedError,
    EOFError,
    TypeError,
    IndexError,
)
#: Neither compressed nor reordered; what is not compressed (PS3.5: 10, A). pydicom does not know every syntax there is.
_PLAIN = (ImplicitVRLittleEndian, ExplicitVRLittleEndian)
_NATIVE = (*_PLAIN, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
_TOO_SHORT = "The pixel data end before the frame does."
_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
_PIXELS_NUMBER = re.compile(r"[0-9]{1,5}(\.[0-9]{1,9})?")
_MAX_RENDERED_BYTES = 512 * 1024 * 1024


def frame_numbers(text: str) -> tuple[int, ...]:
    """``1,2,3`` as numbers. Raises Invalid."""
    parts = text.split(",")
    if len(parts) > _MAX_FRAMES or not all(part.isdecimal() and part.isascii() and 0 < len(part) < 9 for part in parts):
        raise Invalid("Frames are numbered from 1 and separated by commas.")
    return tuple(int(part) for part in parts)


def frames(path: Path, numbers: Sequence[int], *, native: bool) -> tuple[str, Iterator[bytes]]:
    """The transfer syntax and the frames' bytes: as stored where ``native``, else uncompressed little endian.

    Raises NoSuchFrame, TransferSyntaxNotPossible, NotRendered (no pixel data)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        head = dcmread(path, stop_before_pixels=True)
    syntax = head.file_meta.TransferSyntaxUID
    count = int(head.get("NumberOfFrames") or 1)
    if not head.get("Rows"):
        raise NotRendered()
    if any(not 1 <= number <= count for number in numbers):
        raise NoSuchFrame()
    if syntax.is_private:
        raise TransferSyntaxNotPossible()  # nobody knows how the pixels lie there
    if syntax in _PLAIN and head.get("BitsAllocated") != 1:
        return str(ExplicitVRLittleEndian), _as_it_lies(path, head, numbers, count)
    if native and syntax not in _NATIVE:
        return str(syntax), _fragments(path, numbers, count)
    return str(ExplicitVRLittleEndian), _decoded(path, numbers, count)


def _as_it_lies(path: Path, head: Dataset, numbers: Sequence[int], count: int) -> Iterator[bytes]:
    size = pixel_bytes(head) // count
    with path.open("rb") as file:
        offset, length = _pixel_data(file, implicit=head.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian)
    if max(numbers) * size > length:
        raise NoSuchFrame(_TOO_SHORT)

    def found() -> Iterator[bytes]:
        with path.open("rb") as file:
            for number in numbers:
                file.seek(offset + (number - 1) * size)
                yield file.read(size)

    return found()


def _fragments(path: Path, numbers: Sequence[int], count: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        offset, _ = _pixel_data(file, implicit=False)
        for number in numbers:
            file.seek(offset)
            try:
                yield get_frame(file, number - 1, number_of_frames=count)
            except _UNDECODABLE as error:
                raise NoSuchFrame("The frame's fragments can't be told apart.") from error


def _pixel_data(file: BinaryIO, *, implicit: bool) -> tuple[int, int]:
    """Offset and length of the pixel data's value. Raises NotRendered."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcmread(file, stop_before_pixels=True)  # leaves the file at the first element of group 7FE0
    while len(tag := file.read(4)) == 4:
        number = int.from_bytes(tag[:2], "little") << 16 | int.from_bytes(tag[2:], "little")
        if implicit:
            length = int.from_bytes(file.read(4), "little")
        elif file.read(2) in _LONG_VRS:
            length = int.from_bytes(file.read(6)[2:], "little")
        else:
            length = int.from_bytes(file.read(2), "little")
        if number == _PIXEL_DATA:
            return file.tell(), length
        if length == 0xFFFFFFFF or number > _PIXEL_DATA:
            break
        file.seek(length, io.SEEK_CUR)
    raise NotRendered()


def _decoded(path: Path, numbers: Sequence[int], count: int) -> Iterator[bytes]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ds = dcmread(path)
            decompress(ds)
            data = ds.PixelData or b""
            size = pixel_bytes(ds) // count
    except _UNDECODABLE as error:
        raise TransferSyntaxNotPossible() from error
    if max(numbers) * size > len(data):
        raise NoSuchFrame(_TOO_SHORT)
    return (data[(number - 1) * size : number * size] for number in numbers)


def frame_count(path: Path) -> int:
    """How many frames the object has, 0 when it is no image."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        head = dcmread(path, stop_before_pixels=True, specific_tags=["Rows", "NumberOfFrames"])
    return int(head.get("NumberOfFrames") or 1) if head.get("Rows") else 0


def rendered(
    path: Path, number: int, *, media_type: str, window: str = "", viewport: str = "", quality: str = ""
) -> bytes:
    """One frame as JPEG or PNG (PS3.18: 8.3.5.1), with the image's own window or ``window``.

    ``window``: ``centre,width,function``. ``viewport``: ``width,height`` that it fits into, then the part of the image.
    Raises NotRendered, NoSuchFrame, Invalid."""
    sides, box = _viewport(viewport)
    percent = _quality(quality)
    image = _image(path, number, window)
    if box:
        left, top, width, height = box
        right, bottom = (
            min(left + (width or image.width), image.width),
            min(top + (height or image.height), image.height),
        )
        if left >= right or top >= bottom:
            raise Invalid("The viewport shows nothing of the image.")
        image = image.crop((left, top, right, bottom))
    image.thumbnail(sides)
    return _encoded(image, media_type, percent)


def rendered_as(path: Path, wanted: Rendering, media_type: str) -> bytes:
    """The same for WADO-URI: a part of the image, scaled to the rows and columns that are asked for.

    Raises NotRendered, NoSuchFrame."""
    image = _image(path, wanted.frame or 1, wanted.window)
    if wanted.region != Rendering().region:
        width, height = image.size
        left, top, right, bottom = wanted.region
        box = (int(left * width), int(top * height), round(right * width), round(bottom * height))
        image = image.crop((*box[:2], max(box[2], box[0] + 1), max(box[3], box[1] + 1)))
    width, height = image.size
    scales = [side / own for side, own in ((wanted.columns, width), (wanted.rows, height)) if side]
    scale = min(*scales, _MAX_SIDE / width, _MAX_SIDE / height) if scales else min(1.0, _MAX_SIDE / max(width, height))
    if scale != 1.0:
        image = image.resize((max(1, round(width * scale)), max(1, round(height * scale))))
    return _encoded(image, media_type, wanted.quality)


def _image(path: Path, number: int, window: str) -> Any:
    try:
        import numpy  # noqa: F401, PLC0415
        from PIL import Image  # noqa: PLC0415
    except ImportError as error:
        raise NotRendered("Rendering needs numpy and Pillow.") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Image.fromarray(_pixels(path, number, window))
    except _UNDECODABLE as error:
        raise NotRendered() from error


def _encoded(image: Any, media_type: str, quality: int = 0) -> bytes:
    out = io.BytesIO()
    options = {"quality": quality} if quality and media_type != "image/png" else {}
    image.save(out, "PNG" if media_type == "image/png" else "JPEG", **options)
    return out.getvalue()


def _pixels(path: Path, number: int, window: str) -> Any:
    import numpy as np  # noqa: PLC0415
    from pydicom.pixels import apply_modality_lut, apply_voi_lut, pixel_array  # noqa: PLC0415

    ds = dcmread(path, stop_before_pixels=True)
    count = int(ds.get("NumberOfFrames") or 1)
    if not 1 <= number <= count:
        raise NoSuchFrame()
    if pixel_bytes(ds) // count > _MAX_RENDERED_BYTES:
        raise NotRendered("The image is too large to be rendered.")
    deflated = ds.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian  # not known to pixel_array as a file
    pixels = pixel_array(dcmread(path) if deflated else path, index=number - 1)
    if pixels.ndim == 3:
        return pixels.astype(np.uint8) if pixels.dtype.itemsize == 1 else (pixels / 256).astype(np.uint8)
    if ds.get("PhotometricInterpretation") == "PALETTE COLOR":
        from pydicom.pixels import apply_color_lut  # noqa: PLC0415

        coloured = apply_color_lut(pixels, ds)[..., :3]
        return coloured if coloured.dtype.itemsize == 1 else (coloured >> 8).astype(np.uint8)
    values = apply_modality_lut(pixels, ds)
    chosen = _window(window) if window else _own_window(ds)
    if chosen is not None:
        scaled = 255.0 * _windowed(values.astype("float64"), *chosen)
    else:
        values = apply_voi_lut(values, ds).astype("float64")
        low, high = float(values.min()), float(values.max())
        scaled = (values - low) * (255.0 / (high - low)) if high > low else values * 0
    if ds.get("PhotometricInterpretation") == "MONOCHROME1":
        scaled = 255.0 - scaled
    return scaled.astype(np.uint8)


def _windowed(values: Any, centre: float, width: float, function: str) -> Any:
    """Values from 0 to 1, what lies outside of the window at its ends (PS3.3: C.11.2.1.2, C.11.2.1.3).

    pydicom's own answer lies in the range of the stored values, and that range is not told."""
    import numpy as np  # noqa: PLC0415

    if function == "SIGMOID":
        return 1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - centre) / width, -500.0, 500.0)))
    if function == "LINEAR_EXACT":
        return np.clip((values - centre) / width + 0.5, 0.0, 1.0)
    if width == 1:
        return (values > centre - 0.5).astype("float64")
    return np.clip((values - (centre - 0.5)) / (width - 1) + 0.5, 0.0, 1.0)


def _own_window(ds: Dataset) -> tuple[float, float, str] | None:
    """The image's first window; None when it has none that can be used, or a table instead."""
    if ds.get("VOILUTSequence"):
        return None
    first = [value[0] if isinstance(value, Sequence) and not isinstance(value, str) and value else value
             for value in (ds.get("WindowCenter"), ds.get("WindowWidth"))]  # fmt: skip
    try:
        return _window(f"{first[0]},{first[1]},{ds.get('VOILUTFunction') or 'LINEAR'}")
    except Invalid:
        return None


def _window(text: str) -> tuple[float, float, str]:
    """``40,400,linear-exact``. Raises Invalid."""
    first, _, rest = text.partition(",")
    second, _, function = rest.partition(",")
    named = function.strip().upper().replace("-", "_") or "LINEAR"
    try:
        centre, width = float(first), float(second)
    except ValueError as error:
        raise Invalid("A window has the form centre,width,function.") from error
    if named not in _FUNCTIONS:
        raise Invalid("A window's function is linear, linear-exact or sigmoid.")
    if not (math.isfinite(centre) and math.isfinite(width)) or width <= 0 or (width < 1 and named == "LINEAR"):
        raise Invalid("A window's width is at least 1.")
    return centre, width, named


def _viewport(text: str) -> tuple[tuple[int, int], tuple[int, int, int, int] | None]:
    """The largest sides, and the part of the image: left, top, width, height (0: all there is). Raises Invalid."""
    if not text:
        return (_MAX_SIDE, _MAX_SIDE), None
    parts = [part.strip() for part in text.split(",")]
    if len(parts) not in (2, 6) or not all(_PIXELS_NUMBER.fullmatch(part) for part in parts if part):
        raise Invalid("A viewport has the form width,height or width,height,left,top,width,height.")
    numbers = [int(float(part or 0)) for part in parts]
    if min(numbers[:2]) < 1:
        raise Invalid("A viewport is at least 1 pixel wide and high.")
    sides = min(numbers[0], _MAX_SIDE), min(numbers[1], _MAX_SIDE)
    return sides, (numbers[2], numbers[3], numbers[4], numbers[5]) if len(numbers) == 6 else None


def _quality(text: str) -> int:
    if text and not (text.isdecimal() and text.isascii() and 1 <= int(text[:4]) <= 100):
        raise Invalid("A quality is a whole number from 1 to 100.")
    return int(text or 0)
