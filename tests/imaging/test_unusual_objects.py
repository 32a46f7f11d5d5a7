"""Objects in syntaxes that few archives hold, and pixel data that are not what their head says."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from hub.context import Context
from hub.errors import TooLarge
from hub.imaging import transcode
from hub.imaging.errors import NoSuchFrame, TransferSyntaxNotPossible
from hub.imaging.frame_parts import frame_parts
from hub.imaging.frames import rendered
from hub.imaging.model import InstanceRequest, RetrieveObject
from hub.imaging.single_object import SingleObjectService
from hub.wire import dicom_deflated, multipart
from hub.wire.dimse import part10
from tests.imaging.archive import STUDY, study_files
from tests.imaging.conftest import Room

EXPLICIT, IMPLICIT, BIG, JPEG_XL, PRIVATE = (
    "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.4.110",
    "1.2.826.0.1.3680043.2.135.727",
)  # fmt: skip
AS_STORED = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
DEFAULT = 'multipart/related; type="application/octet-stream"'
SIBLINGS = [
    ("MR_small_bigendian.dcm", "MR_small.dcm"),
    ("SC_rgb_small_odd_big_endian.dcm", "SC_rgb_small_odd.dcm"),
]
Change = Callable[[Dataset], None]


def shipped(name: str) -> Dataset:
    return dcmread(str(get_testdata_file(name)))


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    def made(name: str, change: Change | None = None, syntax: str = "") -> Path:
        ds, path = shipped(name), tmp_path / "one.dcm"
        if change is not None:
            change(ds)
        ds.save_as(path)
        if syntax:
            with path.open("rb") as opened:
                meta, data = part10.read_meta(opened), opened.read()
            path.write_bytes(part10.header(meta["sop_class"], meta["sop_instance"], syntax) + data)
        return path

    return made


def one_frame(path: Path, accept: str, number: int = 1) -> tuple[str, bytes]:
    passed = frame_parts(path, [number], accept)
    [found] = [
        (str(part.content_type.parameters["transfer-syntax"]), b"".join(part.chunks))
        for part in multipart.read(passed.chunks, passed.media_type)
    ]
    return found


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize(("big", "little"), SIBLINGS)
def test_big_endian_is_turned_round(file: Callable[..., Path], big: str, little: str, syntax: str) -> None:
    def with_a_table(ds: Dataset) -> None:
        table = Dataset()
        table.LUTDescriptor, table.ModalityLUTType = [2, 0, 16], "US"
        table.add_new("LUTData", "OW", b"\x01\x02\x03\x04")
        ds.ModalityLUTSequence = [table]

    converted = dcmread(transcode.convert(file(big, with_a_table), syntax))
    assert converted.file_meta.TransferSyntaxUID == syntax
    assert converted.PixelData == shipped(little).PixelData
    assert converted.Rows == shipped(little).Rows
    assert converted.ModalityLUTSequence[0]["LUTData"].value in (b"\x02\x01\x04\x03", [0x0102, 0x0304])


@pytest.mark.parametrize(("big", "little"), SIBLINGS)
def test_frames_of_a_big_endian_image(file: Callable[..., Path], big: str, little: str) -> None:
    ds = shipped(little)
    size = ds.Rows * ds.Columns * ds.SamplesPerPixel * ds.BitsAllocated // 8
    for accept in (AS_STORED, DEFAULT):
        assert one_frame(file(big), accept) == (EXPLICIT, ds.PixelData[:size])


def test_colour_that_two_pixels_shared_is_each_pixels_own_when_decompressed(file: Callable[..., Path]) -> None:
    path = file("SC_rgb_dcmtk_+eb+cy+s2.dcm")
    before = dcmread(path)
    converted = dcmread(transcode.convert(path, EXPLICIT))
    assert (before.PhotometricInterpretation, converted.PhotometricInterpretation) == ("YBR_FULL_422", "YBR_FULL")
    assert (converted.pixel_array == before.pixel_array).all()


def test_frames_in_which_two_pixels_share_their_colour(file: Callable[..., Path]) -> None:
    ds = shipped("SC_ybr_full_422_uncompressed.dcm")

    def twice(changed: Dataset) -> None:
        changed.NumberOfFrames = 2
        changed.PixelData = bytes(len(ds.PixelData)) + ds.PixelData

    path = file("SC_ybr_full_422_uncompressed.dcm", twice)
    assert one_frame(path, DEFAULT, 2) == (EXPLICIT, ds.PixelData)


def test_frames_in_a_syntax_that_pydicom_does_not_know(file: Callable[..., Path]) -> None:
    path = file("MR_small_jp2klossless.dcm", syntax=JPEG_XL)
    as_jpeg_2000 = one_frame(file("MR_small_jp2klossless.dcm"), AS_STORED)[1]
    path = file("MR_small_jp2klossless.dcm", syntax=JPEG_XL)
    for accept in (AS_STORED, 'multipart/related; type="image/jxl"'):
        assert one_frame(path, accept) == (JPEG_XL, as_jpeg_2000)
    with pytest.raises(TransferSyntaxNotPossible):
        frame_parts(path, [1], DEFAULT)  # before the answer begins, where it still has a status of its own


@pytest.mark.parametrize("accept", [AS_STORED, DEFAULT])
def test_frames_in_a_private_syntax_are_nobodys(file: Callable[..., Path], accept: str) -> None:
    with pytest.raises(TransferSyntaxNotPossible):
        one_frame(file("CT_small.dcm", syntax=PRIVATE), accept)


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small_bigendian.dcm"])  # the first one has something behind
@pytest.mark.parametrize("held", [0, 100])
def test_pixel_data_that_end_too_early_are_no_frame(file: Callable[..., Path], name: str, held: int) -> None:
    def cut(ds: Dataset) -> None:
        ds["PixelData"].value = ds.PixelData[:held]

    with pytest.raises(NoSuchFrame):
        frame_parts(file(name, cut), [1], DEFAULT)


def test_a_deflated_image_is_rendered(file: Callable[..., Path]) -> None:
    image = Image.open(io.BytesIO(rendered(file("image_dfl.dcm"), 1, media_type="image/png")))
    assert (image.width, image.height) == (512, 512)


def test_a_deflated_object_that_would_fill_the_memory_is_not_rendered(
    room: Room, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(dicom_deflated, "MAX_INFLATED", 1000)
    room.b.datasets = study_files(names=("image_dfl.dcm",))
    service = SingleObjectService(room.service, tmp_path / "single")
    wanted = RetrieveObject(InstanceRequest(STUDY, f"{STUDY}.1", f"{STUDY}.1.1"), ("image/jpeg",))
    with pytest.raises(TooLarge):
        service.retrieve_object(wanted, Context())
