"""DICOM data sets and DICOM JSON <-> the imaging room's Study, Series and Instance.

Reading is tolerant, because archives are: dates as ``2008.08.19``, times with colons, text outside its declared
character set, UIDs with leading zeros. What is read is normalised into the model only; bytes are never changed, pixel
data is never decoded.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset

from hub.errors import Invalid
from hub.imaging.model import Instance, Series, Study
from hub.values import Oid, Uid, is_uid
from hub.wire.dicom_reader import NUMBERS, PADDING, DatasetReader, JsonReader, Reader, first, hex_tag, number

__all__ = [
    "DatasetReader",
    "JsonReader",
    "Reader",
    "attributes",
    "date",
    "first",
    "hex_tag",
    "in_order",
    "instance_from",
    "instances_in_order",
    "moment",
    "number",
    "person_name",
    "series_from",
    "study_from",
    "study_of_instances",
    "time",
    "to_dataset",
    "to_json",
    "uid",
]

_DATE = re.compile(r"([0-9]{4})[.\-/]?([0-9]{2})[.\-/]?([0-9]{2})")
_TIME = re.compile(r"([0-9]{2}):?([0-9]{2})?:?([0-9]{2})?")
_ZONE = re.compile(r"[+-][0-9]{4}")


def date(text: str) -> str:
    """``YYYYMMDD``, also from ACR-NEMA's ``2008.08.19`` and from ISO; "" when it is none."""
    match = _DATE.match(text.strip())
    return "".join(match.groups()) if match else ""


def time(text: str) -> str:
    """``HHMMSS``, also with colons and with parts missing; "" when it is none."""
    match = _TIME.match(text.strip())
    return "".join(part or "00" for part in match.groups()) if match else ""


def moment(day: str, clock: str) -> str:
    """DICOM DTM text from a date and a time."""
    normal = date(day)
    return normal + time(clock) if normal else ""


def uid(text: str) -> Uid:
    """A UID as archives really write them: padding is dropped, leading zeros in a component are let through.

    Raises Invalid when it is not made of digits and dots."""
    value = text.strip(PADDING)
    try:
        return Uid(value)
    except Invalid:
        if not is_uid(value):
            raise
        return str.__new__(Uid, value)


def person_name(text: str) -> str:
    """A PN without padding in its groups and components."""
    groups = ["^".join(part.strip() for part in group.split("^")).rstrip("^") for group in text.split("=")]
    return "=".join(groups).rstrip("=")


def study_from(reader: Reader, source: str, series: tuple[Series, ...] = ()) -> Study:
    """The study-level attributes. Raises Invalid when the study's UID is missing or none."""
    modalities = (
        [item for item in reader.texts("ModalitiesInStudy") if item]
        or [item.modality for item in series]
        or reader.texts("Modality")
    )
    return Study(
        study_instance_uid=uid(first(reader, "StudyInstanceUID")),
        source=source,
        patient_id=first(reader, "PatientID"),
        issuer=_issuer(reader.items("IssuerOfPatientIDQualifiersSequence")) or _oid(first(reader, "IssuerOfPatientID")),
        patient_name=person_name(first(reader, "PatientName")),
        patient_birth_date=date(first(reader, "PatientBirthDate")),
        patient_sex=_sex(first(reader, "PatientSex")),
        accession_number=first(reader, "AccessionNumber"),
        accession_issuer=_issuer(reader.items("IssuerOfAccessionNumberSequence")),
        study_id=first(reader, "StudyID"),
        description=first(reader, "StudyDescription"),
        started=moment(first(reader, "StudyDate"), first(reader, "StudyTime")),
        timezone=_zone(first(reader, "TimezoneOffsetFromUTC")),
        modalities=tuple(dict.fromkeys(modalities)),
        referring_physician=person_name(first(reader, "ReferringPhysicianName")),
        procedure_codes=tuple(filter(any, (_code(item) for item in reader.items("ProcedureCodeSequence")))),
        institution=first(reader, "InstitutionName"),
        series=series,
        series_count=number(reader, "NumberOfStudyRelatedSeries") if not series else len(series),
        instance_count=number(reader, "NumberOfStudyRelatedInstances")
        if not series
        else sum(len(item.instances) or item.instance_count or 0 for item in series),
    )


def series_from(reader: Reader, instances: tuple[Instance, ...] = ()) -> Series:
    """The series-level attributes. Raises Invalid when the series' UID is missing or none."""
    started = moment(first(reader, "SeriesDate"), first(reader, "SeriesTime"))
    body_part = first(reader, "BodyPartExamined")
    return Series(
        series_instance_uid=uid(first(reader, "SeriesInstanceUID")),
        modality=first(reader, "Modality") or "OT",
        number=number(reader, "SeriesNumber"),
        description=first(reader, "SeriesDescription"),
        body_part=body_part,
        laterality=first(reader, "Laterality", "ImageLaterality"),
        started=started,
        instance_count=len(instances) if instances else number(reader, "NumberOfSeriesRelatedInstances"),
        instances=instances,
        performer=person_name(first(reader, "PerformingPhysicianName")),
        manufacturer=first(reader, "Manufacturer"),
    )


def instance_from(reader: Reader) -> Instance:
    """The instance-level attributes. Raises Invalid when the SOP instance UID is missing or none."""
    titles = [first(item, "CodeMeaning") for item in reader.items("ConceptNameCodeSequence")]
    return Instance(
        sop_instance_uid=uid(first(reader, "SOPInstanceUID")),
        sop_class_uid=first(reader, "SOPClassUID"),
        number=number(reader, "InstanceNumber"),
        frames=number(reader, "NumberOfFrames"),
        rows=number(reader, "Rows"),
        columns=number(reader, "Columns"),
        title=first(reader, "DocumentTitle") or next(iter(titles), ""),
    )


def study_of_instances(readers: Iterable[Reader], source: str) -> Study | None:
    """A study put together from its instances' own attributes; None when there is no instance."""
    head: Reader | None = None
    series: dict[str, Reader] = {}
    instances: dict[str, dict[str, Instance]] = {}
    for reader in readers:
        head = head or reader
        key = uid(first(reader, "SeriesInstanceUID"))
        series.setdefault(key, reader)
        item = instance_from(reader)
        instances.setdefault(key, {})[item.sop_instance_uid] = item
    if head is None:
        return None
    return study_from(
        head, source, in_order(series_from(series[key], tuple(instances[key].values())) for key in series)
    )


def in_order(series: Iterable[Series]) -> tuple[Series, ...]:
    """Series by number, those without one last."""
    return tuple(sorted(series, key=lambda item: (item.number is None, item.number or 0, item.series_instance_uid)))


def instances_in_order(instances: Iterable[Instance]) -> tuple[Instance, ...]:
    """Instances by number, those without one last."""
    return tuple(sorted(instances, key=lambda item: (item.number is None, item.number or 0, item.sop_instance_uid)))


Attributes = Mapping[str, Any]

_STUDY: Mapping[str, Callable[[Study], Any]] = {
    "StudyDate": lambda study: study.started[:8],
    "StudyTime": lambda study: study.started[8:14],
    "AccessionNumber": lambda study: study.accession_number,
    "ModalitiesInStudy": lambda study: list(study.modalities),
    "InstitutionName": lambda study: study.institution,
    "ReferringPhysicianName": lambda study: study.referring_physician,
    "TimezoneOffsetFromUTC": lambda study: study.timezone,
    "StudyDescription": lambda study: study.description,
    "PatientName": lambda study: study.patient_name,
    "PatientID": lambda study: study.patient_id,
    "PatientBirthDate": lambda study: study.patient_birth_date,
    "PatientSex": lambda study: study.patient_sex,
    "StudyInstanceUID": lambda study: study.study_instance_uid,
    "StudyID": lambda study: study.study_id,
    "NumberOfStudyRelatedSeries": lambda study: len(study.series) or study.series_count,
    "NumberOfStudyRelatedInstances": lambda study: sum(1 for _ in study.instances) or study.instance_count,
}
_SERIES: Mapping[str, Callable[[Series], Any]] = {
    "Modality": lambda series: series.modality,
    "SeriesDate": lambda series: series.started[:8],
    "SeriesTime": lambda series: series.started[8:14],
    "SeriesDescription": lambda series: series.description,
    "BodyPartExamined": lambda series: series.body_part,
    "Laterality": lambda series: series.laterality,
    "Manufacturer": lambda series: series.manufacturer,
    "PerformingPhysicianName": lambda series: series.performer,
    "SeriesInstanceUID": lambda series: series.series_instance_uid,
    "SeriesNumber": lambda series: series.number,
    "NumberOfSeriesRelatedInstances": lambda series: len(series.instances) or series.instance_count,
}
_INSTANCE: Mapping[str, Callable[[Instance], Any]] = {
    "SOPClassUID": lambda instance: instance.sop_class_uid,
    "SOPInstanceUID": lambda instance: instance.sop_instance_uid,
    "InstanceNumber": lambda instance: instance.number,
    "NumberOfFrames": lambda instance: instance.frames,
    "Rows": lambda instance: instance.rows,
    "Columns": lambda instance: instance.columns,
}


#: What a match has at each level, besides where it can be retrieved.
KEYWORDS: Mapping[str, frozenset[str]] = {
    "STUDY": frozenset(_STUDY),
    "SERIES": frozenset((*_STUDY, *_SERIES)),
    "IMAGE": frozenset((*_STUDY, *_SERIES, *_INSTANCE)),
}


def attributes(study: Study, series: Series | None = None, instance: Instance | None = None) -> dict[str, Any]:
    """Attributes by keyword of one match at STUDY, SERIES or IMAGE level; empty values are "", [] or None."""
    found = {keyword: value(study) for keyword, value in _STUDY.items()}
    if study.issuer:
        found["IssuerOfPatientIDQualifiersSequence"] = [
            {"UniversalEntityID": study.issuer, "UniversalEntityIDType": "ISO"}
        ]
    if series is not None:
        found |= {keyword: value(series) for keyword, value in _SERIES.items()}
    if instance is not None:
        found |= {keyword: value(instance) for keyword, value in _INSTANCE.items()}
    return found


def to_json(values: Attributes) -> dict[str, Any]:
    """DICOM JSON (PS3.18: F.2), tags in order; empty attributes keep their VR only."""
    found: dict[str, Any] = {"00080005": {"vr": "CS", "Value": ["ISO_IR 192"]}}
    for keyword, value in values.items():
        vr = dictionary_VR(keyword)
        element: dict[str, Any] = {"vr": vr}
        wanted = [item for item in (value if isinstance(value, list) else [value]) if item not in ("", None)]
        if wanted:
            element["Value"] = [_to_json_value(vr, item) for item in wanted]
        found[hex_tag(keyword)] = element
    return dict(sorted(found.items()))


def to_dataset(values: Attributes) -> Dataset:
    """A data set in UTF-8 (ISO_IR 192) with the given attributes."""
    found = Dataset()
    found.SpecificCharacterSet = "ISO_IR 192"
    for keyword, value in values.items():
        if dictionary_VR(keyword) == "SQ":
            setattr(found, keyword, [_item(item) for item in value])
        else:
            setattr(found, keyword, None if value == "" else value)
    return found


def _item(values: Attributes) -> Dataset:
    item = to_dataset(values)
    del item.SpecificCharacterSet
    return item


def _to_json_value(vr: str, value: Any) -> Any:
    if vr == "SQ":
        nested = to_json(value)
        nested.pop("00080005", None)
        return nested
    if vr == "PN":
        groups = zip(("Alphabetic", "Ideographic", "Phonetic"), str(value).split("="), strict=False)
        return {name: group for name, group in groups if group}
    return int(value) if vr in NUMBERS else str(value)


def _code(item: Reader) -> tuple[str, str, str]:
    code = first(item, "CodeValue", "LongCodeValue", "URNCodeValue")
    return (code, first(item, "CodingSchemeDesignator"), first(item, "CodeMeaning"))


def _issuer(items: list[Reader]) -> str:
    return _oid(first(items[0], "UniversalEntityID")) if items else ""


def _oid(text: str) -> str:
    try:
        return str(Oid(text))
    except Invalid:
        return ""


def _sex(text: str) -> str:
    return text if text in ("M", "F", "O") else ""


def _zone(text: str) -> str:
    return text if _ZONE.fullmatch(text) else ""
