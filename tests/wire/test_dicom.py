"""Tolerant reading of what archives really hold."""

import io
import tracemalloc
import warnings
from pathlib import Path

import pydicom
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from hub.errors import Invalid, Malformed, TooLarge
from hub.testing.dicom import Label, relabelled, shipped_file
from hub.wire import dicom, dicom_deflated, dicom_head
from hub.wire.dicom import DatasetReader, JsonReader, attributes, study_from, study_of_instances, to_dataset, to_json
from hub.wire.dicom_head import header, peek
from hub.wire.dimse.part10 import chunks_of, end_of_meta

CHARSETS = Path(pydicom.__file__).parent / "data" / "charset_files"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("20080819", "20080819"), ("2008.08.19", "20080819"), ("2008-08-19", "20080819"), ("", ""), ("unknown", "")],
)
def test_dates(text: str, expected: str) -> None:
    assert dicom.date(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("101500", "101500"), ("10:15:00", "101500"), ("1015", "101500"), ("101500.123", "101500"), ("", "")],
)
def test_times(text: str, expected: str) -> None:
    assert dicom.time(text) == expected


def test_uids_as_archives_write_them() -> None:
    assert dicom.uid("1.2.840.10008.1 ") == "1.2.840.10008.1"
    assert dicom.uid("1.2.03.4\0") == "1.2.03.4"
    with pytest.raises(Invalid):
        dicom.uid("one.two")
    with pytest.raises(Invalid):
        dicom.uid("..")
    with pytest.raises(Invalid):
        dicom.uid("")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("chrFren", "Buc^Jérôme"), ("chrArab", "قباني^لنزار"), ("chrH31", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
     ("chrRuss", "Люкceмбypг"), ("chrX1", "Wang^XiaoDong=王^小東=")],
)  # fmt: skip
def test_names_in_every_character_set(name: str, expected: str) -> None:
    reader = DatasetReader(dcmread(CHARSETS / f"{name}.dcm", force=True))
    assert dicom.person_name(dicom.first(reader, "PatientName")) == expected.rstrip("=")


def test_undeclared_and_wrong_character_sets() -> None:
    source = dcmread(CHARSETS / "chrFren.dcm", force=True)
    raw = source.get_item("PatientName").value
    del source.SpecificCharacterSet
    assert dicom.first(DatasetReader(source), "PatientName") == raw.decode("latin-1").strip()
    greek = dcmread(CHARSETS / "chrGreek.dcm", force=True)
    greek.SpecificCharacterSet = "ISO_IR 100"
    assert dicom.first(DatasetReader(greek, "ISO_IR 126"), "PatientName") == "Διονυσιος"


def test_illegal_values_are_absent_and_the_data_set_stays(tmp_path: Path) -> None:
    source = Dataset()
    source.StudyInstanceUID = "1.2.3"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source.PatientSex = "0000"
        source.StudyDate = "2008.08.19"
        source.StudyTime = "10:20"
    study = study_from(DatasetReader(source), "PACS")
    assert (study.patient_sex, study.started) == ("", "20080819102000")
    assert source.PatientSex == "0000"


def test_json_and_data_set_say_the_same(tmp_path: Path) -> None:
    study = relabelled(tmp_path, Label("PA-1", "LÉGER^ZOË", issuer="1.2.3.4"))
    for series, instance in study.instances:
        values = attributes(study, series, instance)
        from_json = study_of_instances([JsonReader(to_json(values))], "")
        from_dataset = study_of_instances([DatasetReader(to_dataset(values))], "")
        assert from_json == from_dataset
        assert from_json is not None
        assert from_json.issuer == "1.2.3.4"
        assert next(from_json.instances)[1] == instance


def test_the_head_of_a_file_is_read_without_the_rest() -> None:
    path = shipped_file("CT_small.dcm")
    head, whole = peek(chunks_of(path))
    assert head.sop_class_uid == "1.2.840.10008.5.1.4.1.1.2"
    assert b"".join(whole) == path.read_bytes()
    found = header(iter([path.read_bytes()[index : index + 1000] for index in range(0, path.stat().st_size, 1000)]))
    assert "PixelData" not in found
    assert found.Rows == 128


def test_a_glance_at_a_file_sees_what_the_parser_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [path.read_bytes() for path in shipped_file("CT_small.dcm").parent.glob("*.dcm")]
    glanced = [dicom_head._glance(raw) for raw in files]
    monkeypatch.setattr(dicom_head, "_glance", lambda _raw: None)
    for raw, head in zip(files, glanced, strict=True):
        if head is not None:
            assert peek(iter((raw,)))[0] == head
    assert sum(head is not None for head in glanced) > len(files) / 2


@pytest.mark.parametrize("raw", [b"", b"GIF89a", b"\0" * 128 + b"DICM", b"\0" * 128 + b"DICM" + b"\xff" * 400])
def test_what_is_no_dicom_file(raw: bytes) -> None:
    with pytest.raises(Malformed):
        peek(iter((raw,)))


def deflated(pixels: int) -> bytes:
    dataset = dcmread(shipped_file("CT_small.dcm"))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.PixelData = bytes(pixels)
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def test_a_deflated_file_is_inflated_only_as_far_as_it_is_looked_at(tmp_path: Path) -> None:
    raw = deflated(64 << 20)
    tracemalloc.start()
    head, whole = peek(iter((raw[:20_000], raw[20_000:])))
    assert "PixelData" not in header(iter((raw,)))
    assert tracemalloc.get_traced_memory()[1] < 50 << 20
    tracemalloc.stop()
    assert head.transfer_syntax == DeflatedExplicitVRLittleEndian
    assert head.study_instance_uid == dcmread(shipped_file("CT_small.dcm")).StudyInstanceUID
    assert b"".join(whole) == raw


def test_a_deflated_file_that_would_fill_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "small.dcm"
    path.write_bytes(deflated(4 << 20))
    dicom_deflated.check_size(path)
    dicom_deflated.check_size(shipped_file("CT_small.dcm"))
    monkeypatch.setattr(dicom_deflated, "MAX_INFLATED", 2 << 20)
    with pytest.raises(TooLarge):
        dicom_deflated.check_size(path)
    raw = path.read_bytes()
    path.write_bytes(raw[: end_of_meta(raw)] + b"\xff" * 500)
    with pytest.raises(Malformed):
        dicom_deflated.check_size(path)


def test_a_transfer_syntax_that_would_end_a_header_line_is_refused() -> None:
    raw = shipped_file("CT_small.dcm").read_bytes()
    known = b"1.2.840.10008.1.2.1\0"
    assert raw.count(known) == 1
    with pytest.raises(Malformed):
        peek(iter((raw.replace(known, b"1.2\r\nX-Header: yes "),)))
