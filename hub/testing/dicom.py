"""DICOM files for tests and the demo: pydicom's own, re-labelled, and big synthetic studies."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from hub.imaging.model import Study
from hub.values import new_uid
from hub.wire.dicom import DatasetReader, study_of_instances
from hub.wire.dimse import part10
from hub.wire.dimse.messages import encode

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
#: Uncompressed files that every archive takes.
PLAIN = ("CT_small.dcm", "MR_small.dcm", "SC_rgb_small_odd.dcm", "rtdose.dcm")
#: Compressed ones, in syntaxes that the poorer archives refuse.
COMPRESSED = ("JPEG2000.dcm", "MR_small_RLE.dcm", "SC_rgb_jpeg_gdcm.dcm", "MR_small_jp2klossless.dcm")


@dataclass(frozen=True, slots=True)
class Label:
    """Whose study it is."""

    patient_id: str
    patient_name: str = "DUPONT^JEANNE"
    birth_date: str = "19520316"
    sex: str = "F"
    accession_number: str = "ACC1"
    study_instance_uid: str = ""
    study_date: str = "20260115"
    study_time: str = "101500"
    description: str = "SCANNER THORACIQUE"
    institution: str = ""
    charset: str = "ISO_IR 100"
    issuer: str = ""  #: OID of the patient number's authority
    more: dict[str, str] = field(default_factory=dict)


def relabelled(directory: Path, label: Label, names: Sequence[str] = PLAIN) -> Study:
    """Write re-labelled copies of pydicom's files as one study, a series for each modality. Outcome: what they hold."""
    directory.mkdir(parents=True, exist_ok=True)
    study_uid = label.study_instance_uid or new_uid()
    series: dict[str, str] = {}
    numbers: dict[str, int] = {}
    for index, name in enumerate(names):
        dataset = dcmread(shipped_file(name))
        modality = str(dataset.get("Modality", "OT"))
        _label(dataset, label, study_uid)
        dataset.SeriesInstanceUID = series.setdefault(modality, new_uid())
        numbers[modality] = numbers.get(modality, 0) + 1
        dataset.SeriesNumber = list(series).index(modality) + 1
        dataset.InstanceNumber = numbers[modality]
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = new_uid()
        dataset.save_as(directory / f"{index:04d}.dcm", enforce_file_format=True)
    return describe(directory.glob("*.dcm"))


def synthetic_ct(
    directory: Path,
    label: Label,
    *,
    slices: int = 600,
    size: int = 512,
    series: int = 1,
    transfer_syntax: str = ExplicitVRLittleEndian,
) -> Study:
    """Write a CT study of ``slices`` images of ``size`` x ``size`` 16-bit pixels, quickly. Outcome: what it holds."""
    directory.mkdir(parents=True, exist_ok=True)
    study_uid = label.study_instance_uid or new_uid()
    series_uids = [new_uid() for _ in range(series)]
    pixels = _phantom(size)
    syntax = ImplicitVRLittleEndian if transfer_syntax == ImplicitVRLittleEndian else ExplicitVRLittleEndian
    head = struct.pack("<HH", 0x7FE0, 0x0010)
    length = struct.pack("<L", len(pixels))
    pixel_element = head + length if syntax == ImplicitVRLittleEndian else head + b"OW\0\0" + length
    for index in range(slices):
        dataset = _ct(size, index, series_uids[index % series], index % series + 1)
        _label(dataset, label, study_uid)
        body = encode(dataset, syntax)
        mark = struct.pack("<H", index & 0xFFF)  # no two slices are equal
        path = directory / f"{index:05d}.dcm"
        with path.open("wb") as file:
            file.write(part10.header(CT_IMAGE, dataset.SOPInstanceUID, syntax))
            file.write(body + pixel_element + mark + pixels[2:])
    return describe(directory.glob("*.dcm"))


def describe(files: Iterable[Path], source: str = "") -> Study:
    """What a directory of one study's files holds, read from their headers."""
    found = study_of_instances(
        (DatasetReader(dcmread(path, stop_before_pixels=True)) for path in sorted(files)), source
    )
    if found is None:
        raise ValueError("the directory holds no DICOM file")
    return found


def shipped_file(name: str) -> Path:
    """The path of a file that pydicom ships. Raises FileNotFoundError."""
    path = get_testdata_file(name, download=False)
    if path is None:
        raise FileNotFoundError(name)
    return Path(str(path))


def _label(dataset: Dataset, label: Label, study_uid: str) -> None:
    dataset.decode()  # texts first, so that they can be written in another character set
    dataset.SpecificCharacterSet = label.charset
    dataset.PatientID = label.patient_id
    dataset.PatientName = label.patient_name
    dataset.PatientBirthDate = label.birth_date
    dataset.PatientSex = label.sex
    dataset.AccessionNumber = label.accession_number
    dataset.StudyInstanceUID = study_uid
    dataset.StudyID = label.accession_number[:16]
    dataset.StudyDate = label.study_date
    dataset.StudyTime = label.study_time
    dataset.SeriesDate, dataset.SeriesTime = label.study_date, label.study_time
    dataset.StudyDescription = label.description
    if label.institution:
        dataset.InstitutionName = label.institution
    if label.issuer:
        item = Dataset()
        item.UniversalEntityID, item.UniversalEntityIDType = label.issuer, "ISO"
        dataset.IssuerOfPatientIDQualifiersSequence = [item]
    for keyword, value in label.more.items():
        setattr(dataset, keyword, value)


def _ct(size: int, index: int, series_uid: str, series_number: int) -> Dataset:
    dataset = Dataset()
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SOPClassUID = CT_IMAGE
    dataset.SOPInstanceUID = new_uid()
    dataset.SeriesInstanceUID = series_uid
    dataset.Modality, dataset.Manufacturer = "CT", "MAILLAGE"
    dataset.SeriesNumber, dataset.InstanceNumber = series_number, index + 1
    dataset.SeriesDescription = "THORAX 1.0"
    dataset.BodyPartExamined = "CHEST"
    dataset.FrameOfReferenceUID = series_uid
    dataset.ImagePositionPatient = ["-160", "-160", f"{index:d}"]
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    dataset.PixelSpacing, dataset.SliceThickness = ["0.625", "0.625"], "1"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = size, size
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "-1024", "1", "HU"
    dataset.WindowCenter, dataset.WindowWidth = "40", "400"
    return dataset


def _phantom(size: int) -> bytes:
    """A disc of water in air, as 16-bit pixels."""
    middle, radius = size / 2, size * 0.4
    rows = []
    for row in range(size):
        half = radius * radius - (row - middle) ** 2
        width = int(half**0.5) * 2 if half > 0 else 0
        margin = (size - width) // 2
        rows.append(b"\0\0" * margin + struct.pack("<H", 1024 + row % 64) * width + b"\0\0" * (size - width - margin))
    return b"".join(rows)
