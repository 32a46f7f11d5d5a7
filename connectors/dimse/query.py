"""Identifiers of C-FIND, and splitting of searches that a PACS would cut short."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta

from pydicom.dataset import Dataset

from connectors.dimse.config import DimseConfig
from hub.connector.contract import StudyQuery

STUDY_KEYS = (
    "StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "ModalitiesInStudy", "ReferringPhysicianName",
    "StudyDescription", "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "StudyID",
    "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances",
)  # fmt: skip
SERIES_KEYS = (
    "SeriesInstanceUID", "Modality", "SeriesNumber", "SeriesDescription", "SeriesDate", "SeriesTime",
    "BodyPartExamined", "Laterality", "PerformingPhysicianName", "NumberOfSeriesRelatedInstances",
)  # fmt: skip
IMAGE_KEYS = ("SOPInstanceUID", "SOPClassUID", "InstanceNumber", "NumberOfFrames", "Rows", "Columns")
_EARLIEST = date(1900, 1, 1)


def study_identifiers(query: StudyQuery, config: DimseConfig) -> Iterable[Dataset]:
    """The C-FIND identifiers that together ask the question."""
    patients = query.patient_ids or ("",)
    several = config.modalities_in_study
    modalities: tuple[str, ...]
    if several == "filter" or not query.modalities:
        modalities = ("",)
    elif several == "loop":
        modalities = query.modalities
    else:
        modalities = ("\\".join(query.modalities),)
    for patient in patients:
        for modality in modalities:
            yield _study_identifier(query, patient, modality, config)


def _study_identifier(query: StudyQuery, patient: str, modality: str, config: DimseConfig) -> Dataset:
    found = level("STUDY", STUDY_KEYS, config)
    wanted = {
        "PatientID": patient,
        "StudyInstanceUID": query.study_instance_uid,
        "AccessionNumber": query.accession_number,
        "ModalitiesInStudy": modality.split("\\") if modality else "",
        "StudyDate": date_range(query.started_from, query.started_to),
        "PatientName": query.patient_name,
        "PatientBirthDate": query.patient_birth_date,
        **dict(query.keys),
    }
    for keyword, value in wanted.items():
        if value:  # an empty key is universal; "*" is refused by some in dates
            setattr(found, keyword, value)
    if not "".join((query.patient_name, patient, *dict(query.keys).values())).isascii():
        found.SpecificCharacterSet = config.request_charset
    return found


def level(name: str, keys: Iterable[str], config: DimseConfig, **values: str) -> Dataset:
    """An identifier at a level with empty return keys, and the unique keys of the levels above as values."""
    found = Dataset()
    found.QueryRetrieveLevel = name
    for keyword in keys:
        if keyword not in config.omit_keys:
            setattr(found, keyword, None)
    for keyword, value in values.items():
        if value:
            setattr(found, keyword, value)
    return found


def date_range(start: str, end: str) -> str:
    """A range with both ends: half-open ones are refused by some, and "-" finds nothing with others."""
    if not start and not end:
        return ""
    if start == end:
        return start
    return f"{start or '19000101'}-{end or (date.today() + timedelta(days=366)).strftime('%Y%m%d')}"


def halves(query: StudyQuery) -> tuple[StudyQuery, StudyQuery] | None:
    """The question in two by study date; None when it is about one day already."""
    start = _day(query.started_from) or _EARLIEST
    end = _day(query.started_to) or date.today() + timedelta(days=366)
    if start >= end:
        return None
    middle = start + (end - start) // 2
    text = "%Y%m%d"
    return (
        replace(query, started_from=start.strftime(text), started_to=middle.strftime(text)),
        replace(query, started_from=(middle + timedelta(days=1)).strftime(text), started_to=end.strftime(text)),
    )


def _day(text: str) -> date | None:
    return date(int(text[:4]), int(text[4:6]), int(text[6:8])) if len(text) == 8 and text.isdigit() else None
