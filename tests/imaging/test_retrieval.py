import io
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.pixels import pixel_array

from hub.context import Context
from hub.errors import Invalid, NotFound, TooLarge
from hub.imaging.errors import (
    NoSuchFrame,
    NotRendered,
    TransferSyntaxNotPossible,
    UnknownImagingSource,
    UnknownInstance,
    UnknownStudy,
)
from hub.imaging.model import (
    FailedInstance,
    GetMetadata,
    InstanceRequest,
    InstanceStream,
    PassedThrough,
    PublishStudy,
    RetrievedInstance,
    RetrieveFrames,
    RetrieveInstances,
)
from hub.imaging.several_rendered import whole_rendered
from hub.values import PatientIdentifier
from hub.wire import multipart
from hub.wire.dicomweb.errors import NotAcceptable
from hub.wire.dicomweb.media import OCTETS
from tests.imaging.archive import STUDY, A, B, part10, read, study_files
from tests.imaging.conftest import Room

EXPLICIT, RLE, J2K, JLS = (
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.80",
)


@pytest.fixture
def published(room: Room) -> Room:
    room.patients.add("R1", PatientIdentifier("A-1", A.authority_oid))
    room.a.datasets = study_files()
    room.service.publish_study(PublishStudy("PACS_A", STUDY), Context())
    return room


def ask(room: Room, *requests: InstanceRequest, syntaxes: tuple[str, ...] = ("*",)) -> InstanceStream:
    return room.service.retrieve(RetrieveInstances(requests, syntaxes), Context())


def got(stream: InstanceStream) -> tuple[dict[str, bytes], dict[str, FailedInstance]]:
    found, failed = {}, {}
    for item in stream:
        if isinstance(item, RetrievedInstance):
            found[item.sop_instance_uid] = b"".join(item.chunks)
        else:
            failed[item.request.sop_instance_uid] = item
    return found, failed


def wanted(*numbers: int, **values: str) -> tuple[InstanceRequest, ...]:
    return tuple(InstanceRequest(STUDY, f"{STUDY}.{number}", f"{STUDY}.{number}.1", **values) for number in numbers)


def test_a_study_comes_as_stored(published: Room) -> None:
    found, failed = got(ask(published, InstanceRequest(STUDY)))
    assert not failed
    assert found == {ds.SOPInstanceUID: part10(ds) for ds in study_files()}


def test_what_is_not_acceptable_is_decompressed(published: Room) -> None:
    found, failed = got(ask(published, InstanceRequest(STUDY), syntaxes=(EXPLICIT,)))
    assert not failed
    rle = read(found[f"{STUDY}.3.1"])
    assert rle.file_meta.TransferSyntaxUID == EXPLICIT
    assert np.array_equal(rle.pixel_array, study_files()[2].pixel_array)
    assert {read(content).file_meta.TransferSyntaxUID for content in found.values()} == {EXPLICIT}
    assert not list(published.service.retriever.cache.directory.glob("*.converted"))


def test_what_cannot_be_converted_fails_alone(published: Room) -> None:
    found, failed = got(ask(published, InstanceRequest(STUDY), syntaxes=(RLE,)))
    assert set(found) == {f"{STUDY}.3.1"}
    assert len(failed) == 4
    assert {type(item.error) for item in failed.values()} == {TransferSyntaxNotPossible}


def test_an_undecodable_instance_fails_alone(room: Room) -> None:
    room.a.datasets = study_files(names=("CT_small.dcm", "MR_small_jpeg_ls_lossless.dcm"))
    room.a.datasets[1].PixelData = encapsulate([b"\xff\xd8 no picture \xff\xd9"])
    found, failed = got(ask(room, InstanceRequest(STUDY), syntaxes=(EXPLICIT,)))
    assert set(found) == {f"{STUDY}.1.1"}
    assert isinstance(failed[f"{STUDY}.2.1"].error, TransferSyntaxNotPossible)


def test_instances_by_the_oid_of_their_source(published: Room) -> None:
    found, failed = got(ask(published, *wanted(1, 2, repository_unique_id=A.repository_unique_id)))
    assert len(found) == 2
    assert not failed


def test_another_sources_oid_has_nothing_of_it(published: Room) -> None:
    _, failed = got(ask(published, *wanted(1, repository_unique_id=B.repository_unique_id)))
    assert isinstance(failed[f"{STUDY}.1.1"].error, UnknownInstance)


def test_an_unknown_oid_fails_alone(published: Room) -> None:
    requests = (*wanted(1), *wanted(2, repository_unique_id="1.2.3"))
    found, failed = got(ask(published, *requests))
    assert set(found) == {f"{STUDY}.1.1"}
    assert isinstance(failed[f"{STUDY}.2.1"].error, UnknownImagingSource)


def test_an_instance_of_another_series_is_not_given(published: Room) -> None:
    request = InstanceRequest(STUDY, f"{STUDY}.1", f"{STUDY}.2.1")
    found, failed = got(ask(published, request))
    assert not found
    assert list(failed) == [f"{STUDY}.2.1"]


def test_many_instances_of_a_series_are_one_question(room: Room) -> None:
    room.patients.add("R1", PatientIdentifier("A-1", A.authority_oid))
    files = study_files(names=["CT_small.dcm"] * 6)
    for number, ds in enumerate(files):
        ds.SeriesInstanceUID = f"{STUDY}.1"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{STUDY}.1.{number}"
    room.a.datasets = files
    room.service.publish_study(PublishStudy("PACS_A", STUDY), Context())
    room.a.calls.clear()
    found, failed = got(ask(room, *(InstanceRequest(STUDY, f"{STUDY}.1", f"{STUDY}.1.{n}") for n in (0, 1, 2, 3, 9))))
    assert room.a.calls == ["retrieve"]
    assert set(found) == {f"{STUDY}.1.{n}" for n in range(4)}
    assert set(failed) == {f"{STUDY}.1.9"}


@pytest.mark.parametrize("apart", [False, True])
def test_many_instances_that_nobody_knows_are_one_question(published: Room, apart: bool) -> None:
    published.a.calls.clear()
    unknown = [InstanceRequest(STUDY, f"{STUDY}.1{f'.{n}' if apart else ''}", f"{STUDY}.9.{n}") for n in range(300)]
    found, failed = got(ask(published, *unknown, *wanted(2, 3)))
    assert set(found) == {f"{STUDY}.2.1", f"{STUDY}.3.1"}
    assert set(failed) == {item.sop_instance_uid for item in unknown}
    assert {type(item.error) for item in failed.values()} == {UnknownInstance}
    assert published.a.calls == ["describe", "retrieve", "retrieve"]


def test_many_instances_of_a_study_that_nobody_knows_are_few_questions(room: Room) -> None:
    named = [InstanceRequest(STUDY, "1.2", f"1.2.{n}", repository_unique_id=A.repository_unique_id) for n in range(300)]
    _, failed = got(ask(room, *named))
    assert {type(item.error) for item in failed.values()} == {UnknownInstance}
    assert (len(failed), room.a.calls) == (300, ["describe"])
    _, failed = got(ask(room, *(InstanceRequest(STUDY, "1.2", f"1.2.{n}") for n in range(300))))
    assert {type(item.error) for item in failed.values()} == {UnknownStudy}
    assert (len(failed), room.a.calls, room.b.calls) == (300, ["describe", "find"], ["find"])


def test_instances_that_are_newer_than_the_index_are_found(published: Room) -> None:
    new = study_files(names=["CT_small.dcm"] * 5)
    for number, ds in enumerate(new):
        ds.SeriesInstanceUID = f"{STUDY}.8"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{STUDY}.8.{number}"
    published.a.datasets += new
    published.a.calls.clear()
    found, failed = got(ask(published, *(InstanceRequest(STUDY, f"{STUDY}.8", f"{STUDY}.8.{n}") for n in range(6))))
    assert set(found) == {ds.SOPInstanceUID for ds in new}
    assert set(failed) == {f"{STUDY}.8.5"}
    assert published.a.calls == ["describe", "retrieve"]


def test_a_source_that_does_not_tell_what_it_holds_is_asked_for_it(published: Room) -> None:
    published.a.lies = True
    published.a.calls.clear()
    new = [InstanceRequest(STUDY, f"{STUDY}.8", f"{STUDY}.8.{n}") for n in range(6)]
    _, failed = got(ask(published, *new))
    assert {type(item.error) for item in failed.values()} == {UnknownInstance}
    assert published.a.calls == ["describe", "retrieve"]


def test_a_source_that_is_down_is_named_for_what_the_index_does_not_know(published: Room) -> None:
    published.a.down = True
    new = [InstanceRequest(STUDY, f"{STUDY}.8", f"{STUDY}.8.{n}") for n in range(6)]
    _, failed = got(ask(published, *new))
    assert {item.error.code for item in failed.values()} == {"source-unavailable"}
    assert len(failed) == 6


def test_the_other_copy_serves_when_a_source_is_down(published: Room) -> None:
    published.patients.add("R1", PatientIdentifier("A-1", A.authority_oid), PatientIdentifier("A-1", B.authority_oid))
    published.b.datasets = study_files()
    published.service.publish_study(PublishStudy("PACS_B", STUDY), Context())
    published.a.down = True
    found, failed = got(ask(published, InstanceRequest(STUDY)))
    assert len(found) == 5
    assert not failed


def test_a_source_that_is_down_is_named_per_instance(published: Room) -> None:
    published.a.down = True
    found, failed = got(ask(published, InstanceRequest(STUDY)))
    assert not found
    assert {item.error.code for item in failed.values()} == {"source-unavailable"}
    assert len(failed) == 5


def test_a_study_that_no_index_knows_is_looked_for_live(room: Room) -> None:
    room.b.datasets = study_files()
    found, failed = got(ask(room, InstanceRequest(STUDY)))
    assert len(found) == 5
    assert not failed


def test_a_study_that_nobody_holds_fails(room: Room) -> None:
    _, failed = got(ask(room, InstanceRequest(STUDY)))
    assert isinstance(failed[""].error, UnknownStudy)


@pytest.mark.parametrize("uid", ["", "1.2/../3", "..", ".", "1..2", "x", "1" * 65])
def test_what_is_no_uid_is_refused(room: Room, uid: str) -> None:
    with pytest.raises(Invalid):
        ask(room, InstanceRequest(uid))


def metadata(room: Room, request: InstanceRequest) -> list[dict[str, object]]:
    return [dict(item) for item in room.service.metadata(GetMetadata(request), Context())]


def test_metadata_as_the_source_gives_it(published: Room) -> None:
    assert len(metadata(published, InstanceRequest(STUDY))) == 5


def test_metadata_of_a_source_that_gives_instances_only(room: Room) -> None:
    room.b.datasets = study_files()
    found = metadata(room, InstanceRequest(STUDY))
    assert [item["0020000D"] for item in found] == [{"vr": "UI", "Value": [STUDY]}] * 5
    assert found[0]["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "DURAND^ÉLODIE"}]}
    assert found[2]["00083002"] == {"vr": "UI", "Value": [RLE]}
    assert "7FE00010" not in found[0]


def test_metadata_of_nothing(room: Room) -> None:
    with pytest.raises(UnknownStudy):
        metadata(room, InstanceRequest(STUDY))


def frames(
    room: Room, number: int, path: str, accept: str = "", query: tuple[tuple[str, str], ...] = ()
) -> PassedThrough:
    return room.service.frames(RetrieveFrames(wanted(number)[0], path, query, accept), Context())


def parts(passed: PassedThrough) -> Iterator[tuple[str, bytes]]:
    for part in multipart.read(passed.chunks, passed.media_type):
        yield part.content_type.parameters["transfer-syntax"], b"".join(part.chunks)


def test_frames_are_passed_through(published: Room) -> None:
    assert b"".join(frames(published, 1, "frames/1").chunks) == b"frames/1"


@pytest.mark.parametrize(
    "path", ["bulk/../../1", "..", "bulk/.", "bulk/x?y=z", "bulk/x#y", "bulk//x", "bulk/%2e%2e", "a b"]
)
def test_a_path_that_leads_out_of_the_instance_never_reaches_a_source(published: Room, path: str) -> None:
    with pytest.raises(NotFound):
        frames(published, 1, path)


def test_frames_of_a_source_that_gives_instances_only(room: Room) -> None:
    room.b.datasets = study_files()
    [(syntax, frame)] = parts(frames(room, 1, "frames/1"))
    assert (syntax, frame) == (EXPLICIT, study_files()[0].PixelData)
    anything = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
    [(syntax, frame)] = parts(frames(room, 4, "frames/1", anything))
    assert syntax == J2K
    assert frame.startswith(b"\xff\x4f\xff\x51")
    [(syntax, frame)] = parts(frames(room, 3, "frames/1", f"multipart/related; transfer-syntax={EXPLICIT}"))
    assert np.array_equal(np.frombuffer(frame, "<i2"), study_files()[2].pixel_array.ravel())
    assert room.b.calls.count("retrieve") == 3  # one per series


@pytest.mark.parametrize(
    ("number", "accept", "media_type", "syntax"),
    [
        (4, "image/jp2", "image/jp2", J2K),
        (4, 'multipart/related; type="image/jp2"', "image/jp2", J2K),
        (4, f"multipart/related; type=image/jp2; transfer-syntax={J2K}", "image/jp2", J2K),
        (4, "image/*", "image/jp2", J2K),
        (4, f'multipart/related; type="application/octet-stream"; transfer-syntax={J2K}', OCTETS, J2K),
        (4, 'multipart/related; type="image/jls", multipart/related; type="image/jp2"', "image/jp2", J2K),
        (4, "*/*", OCTETS, EXPLICIT),
        (1, "image/jp2, application/octet-stream; q=0.5", OCTETS, EXPLICIT),
    ],
)
def test_frames_in_a_media_type_of_their_own(
    room: Room, number: int, accept: str, media_type: str, syntax: str
) -> None:
    room.b.datasets = study_files()
    passed = frames(room, number, "frames/1", accept)
    assert f'type="{media_type}"' in passed.media_type
    [part] = [
        (part.content_type, len(b"".join(part.chunks))) for part in multipart.read(passed.chunks, passed.media_type)
    ]
    assert (part[0].media_type, part[0].parameters["transfer-syntax"]) == (media_type, syntax)
    assert part[1]


@pytest.mark.parametrize(("number", "accept"), [(1, "image/jp2"), (4, "image/jls"), (4, "text/html"), (4, "video/mp4")])
def test_frames_in_no_media_type_that_is_taken(room: Room, number: int, accept: str) -> None:
    room.b.datasets = study_files()
    with pytest.raises(TransferSyntaxNotPossible):
        frames(room, number, "frames/1", accept)


@pytest.mark.parametrize("name", ["SC_rgb_rle_2frame.dcm", "SC_rgb_small_odd_big_endian.dcm", "MR_small_bigendian.dcm"])
def test_frames_of_many_kinds(room: Room, name: str) -> None:
    room.b.datasets = study_files(names=[name])
    expected = pixel_array(room.b.datasets[0], raw=True, index=0)
    [(_, frame)] = parts(frames(room, 1, "frames/1", f"multipart/related; transfer-syntax={EXPLICIT}"))
    assert len(frame) == expected.nbytes


def test_there_is_no_such_frame(room: Room) -> None:
    room.b.datasets = study_files()
    with pytest.raises(NoSuchFrame):
        frames(room, 1, "frames/2")
    with pytest.raises(Invalid):
        frames(room, 1, "frames/1,")


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_rendered_images(room: Room, number: int) -> None:
    room.b.datasets = study_files()
    passed = frames(room, number, "rendered", "image/png", (("viewport", "64,64"),))
    image = Image.open(io.BytesIO(b"".join(passed.chunks)))
    assert passed.media_type == "image/png"
    assert max(image.size) <= 64


def shown(room: Room, **query: str) -> Image.Image:
    passed = frames(room, 1, "rendered", "image/png", tuple(query.items()))
    return Image.open(io.BytesIO(b"".join(passed.chunks)))


def test_a_window_is_as_wide_as_it_is_said_to_be(room: Room) -> None:
    ds = study_files(names=["CT_small.dcm"])[0]
    ds.RescaleIntercept, ds.RescaleSlope = "0", "1"
    pixels = pixel_array(ds)
    pixels[:], pixels[0, 0], pixels[0, 1], pixels[0, 2] = 500, 550, 0, 2000
    ds.PixelData = pixels.tobytes()
    room.b.datasets = [ds]
    image = shown(room, window="500,1001,linear")  # nothing but the values says how bright they are
    assert [image.getpixel((x, 0)) for x in range(4)] == [140, 0, 255, 127]
    assert shown(room, window="500,1000,linear-exact").getpixel((0, 0)) == 140
    assert shown(room, window="500,100,sigmoid").getpixel((0, 0)) == int(255 / (1 + math.exp(-2)))


def test_an_image_without_contrast_in_its_own_window_gets_none(room: Room) -> None:
    ds = study_files(names=["CT_small.dcm"])[0]
    ds.RescaleIntercept, ds.RescaleSlope = "0", "1"
    pixels = pixel_array(ds)
    pixels[:], pixels[0, 0] = 500, 550
    ds.PixelData, ds.WindowCenter, ds.WindowWidth = pixels.tobytes(), ["500", "0"], ["1001", "1"]
    room.b.datasets = [ds]
    image = shown(room)
    assert [image.getpixel((x, 0)) for x in range(2)] == [140, 127]


def test_a_part_of_an_image(room: Room) -> None:
    room.b.datasets = study_files(names=["CT_small.dcm"])  # 128 x 128
    assert shown(room, viewport="64,64,0,0,32,64").size == (32, 64)
    assert shown(room, viewport="64,64,100,,,").size == (14, 64)


@pytest.mark.parametrize(
    "query",
    [
        {"viewport": "0,0"}, {"viewport": "64"}, {"viewport": "-1,64"}, {"viewport": "64,64,500,0,10,10"},
        {"window": "40,400,cubic"}, {"window": "40"}, {"window": "40,0,linear"}, {"window": "nan,inf"},
        {"quality": "0"}, {"quality": "101"}, {"quality": "best"},
    ],
)  # fmt: skip
def test_rendering_that_makes_no_sense(room: Room, query: dict[str, str]) -> None:
    room.b.datasets = study_files(names=["CT_small.dcm"])
    with pytest.raises(Invalid):
        shown(room, **query)


@pytest.mark.parametrize(
    "accept", ["text/html", "image/gif", "application/dicom", 'multipart/related; type="image/gif"']
)
def test_a_kind_of_image_that_is_not_made(room: Room, accept: str) -> None:
    room.b.datasets = study_files(names=["CT_small.dcm"])
    with pytest.raises(NotAcceptable):
        frames(room, 1, "rendered", accept)


def whole(room: Room, path: str, series: str = "", accept: str = "") -> PassedThrough:
    return room.service.frames(RetrieveFrames(InstanceRequest(STUDY, series), path, (), accept), Context())


def test_the_rendered_images_of_a_study(room: Room) -> None:
    room.b.datasets = study_files()
    report, broken = study_files(names=["CT_small.dcm", "MR_small_jpeg_ls_lossless.dcm"])
    report.SOPInstanceUID = report.file_meta.MediaStorageSOPInstanceUID = f"{STUDY}.1.2"
    del report.PixelData, report.Rows, report.Columns
    broken.SOPInstanceUID = broken.file_meta.MediaStorageSOPInstanceUID = f"{STUDY}.2.2"
    broken.PixelData = encapsulate([b"\xff\xd8 no picture \xff\xd9"])
    room.b.datasets += [report, broken]
    passed = whole(room, "rendered", accept='multipart/related; type="image/png"')
    kinds = [part.content_type.media_type for part in multipart.read(passed.chunks, passed.media_type)]
    assert kinds == ["image/png"] * 5
    passed = whole(room, "rendered", f"{STUDY}.2")
    assert len([b"".join(part.chunks) for part in multipart.read(passed.chunks, passed.media_type)]) == 1
    assert whole(room, "thumbnail").media_type == "image/jpeg"
    with pytest.raises(UnknownInstance):
        whole(room, "thumbnail", f"{STUDY}.77")
    with pytest.raises(NotAcceptable):
        whole(room, "rendered", accept="video/mp4")


def test_too_many_images_are_not_rendered_at_once() -> None:
    images = [{"00280010": {"vr": "US", "Value": [1]}}] * 1001
    made = PassedThrough("image/jpeg", iter(()))
    with pytest.raises(TooLarge):
        whole_rendered(RetrieveFrames(InstanceRequest(STUDY), "rendered", accept="*/*"), images, lambda _: made)
    assert (
        whole_rendered(RetrieveFrames(InstanceRequest(STUDY), "thumbnail", accept="*/*"), images, lambda _: made)
        is made
    )


def test_a_study_without_images_is_not_rendered(room: Room) -> None:
    room.b.datasets = study_files(names=["CT_small.dcm"])
    del room.b.datasets[0].PixelData, room.b.datasets[0].Rows, room.b.datasets[0].Columns
    for path in ("rendered", "thumbnail"):
        with pytest.raises(NotRendered):
            whole(room, path)


def test_frames_are_numbers(published: Room) -> None:
    for path in ("frames/a", "frames/1,", "frames/1,a/rendered"):
        with pytest.raises(Invalid):
            frames(published, 1, path)
    assert "pass_through" not in published.a.calls


def test_a_report_has_no_image(room: Room, tmp_path: Path) -> None:
    ds = study_files(names=["CT_small.dcm"])[0]
    del ds.PixelData, ds.Rows, ds.Columns
    room.b.datasets = [ds]
    with pytest.raises(NotRendered):
        frames(room, 1, "rendered")
