"""C-FIND identifiers <-> the imaging room's question and its answer (PS3.4: C.2.2.2, C.4.1, C.6)."""

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataset import Dataset

from hub.errors import Invalid
from hub.imaging.model import FindStudies, IndexedStudy, Instance, InstanceRequest, Series, Study
from hub.values import Oid, PatientIdentifier
from hub.wire import dicom, nul
from hub.wire.dicom import DatasetReader
from hub.wire.dicom_keys import FURTHER, days, divided
from hub.wire.dicom_reader import Reader

LEVELS = ("PATIENT", "STUDY", "SERIES", "IMAGE")
_CHARSET = "SpecificCharacterSet"  #: a match has its own, whatever the question's
_ISSUER = ("IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence")
#: Keys that the question itself carries; the others are matched on the answer.
_ASKED = ("PatientID", "StudyInstanceUID", "StudyDate", "PatientName", "QueryRetrieveLevel", "RetrieveAETitle",
          _CHARSET, *FURTHER, *_ISSUER)  # fmt: skip


def level_of(identifier: Dataset) -> str:
    """The query level. Raises Invalid."""
    found = str(identifier.get("QueryRetrieveLevel", "")).strip()
    if found not in LEVELS:
        raise Invalid("QueryRetrieveLevel must be PATIENT, STUDY, SERIES or IMAGE.", section="PS3.4: C.4.1.1.3.1")
    return found


def question(identifier: Dataset, limit: int) -> FindStudies:
    """What is asked for. Raises Invalid."""
    level = level_of(identifier)
    reader = DatasetReader(identifier)
    uids = tuple(filter(None, _texts(reader, "StudyInstanceUID")))
    if level in ("SERIES", "IMAGE") and not uids:  # no relational queries: archives need not know them
        raise Invalid("Series and instances are searched for within a study: name it.", section="PS3.4: C.4.1.2.1")
    studied = _text(reader, "StudyDate")
    start, end = days("StudyDate", studied) if studied.strip("-") else ("", "")
    exact, further = divided({keyword: "\\".join(_wanted(reader, keyword)) for keyword in FURTHER})
    return FindStudies(
        person=_person(reader),
        study_instance_uids=uids,
        accession_number=exact.get("AccessionNumber", ""),
        modalities=tuple(filter(None, exact.get("ModalitiesInStudy", "").split("\\"))),
        started_from=start,
        started_to=end,
        patient_name=_text(reader, "PatientName"),
        patient_birth_date=exact.get("PatientBirthDate", ""),
        keys=further,
        live=True,
        level="STUDY" if level == "PATIENT" else level,
        series_instance_uid=_single(reader, "SeriesInstanceUID"),
        sop_instance_uid=_single(reader, "SOPInstanceUID"),
        limit=limit,
    )


def matches(identifier: Dataset, studies: Sequence[IndexedStudy], ae_title: str) -> Iterator[Dataset]:
    """One data set for each match, holding the keys that were asked for.

    A patient number that was a matching key is given back as it was asked for (PS3.4: C.4.1.1.3.2 wants every answer to
    match its key): the hub knows the person under several."""
    level = level_of(identifier)
    keys = _keys(identifier)
    asked = {keyword: value for keyword, value in keys.items() if value and keyword not in _ASKED}
    patient = _text(DatasetReader(identifier), "PatientID")
    seen: set[tuple[str, str]] = set()
    for item in studies:
        if level == "PATIENT":
            who = (item.study.patient_id, item.study.issuer or item.study.source)
            if who in seen:
                continue
            seen.add(who)
        for series, instance in _parts(item.study, level):
            values = dicom.attributes(item.study, series, instance)
            if all(_satisfies(values.get(keyword), wanted) for keyword, wanted in asked.items()):
                found = _match(keys, values, patient, identifier)
                found.QueryRetrieveLevel = level
                found.RetrieveAETitle = ae_title
                yield found


def wanted_instances(identifier: Dataset) -> tuple[InstanceRequest, ...]:
    """What a C-GET or C-MOVE identifier names. Raises Invalid."""
    level = level_of(identifier)
    reader = DatasetReader(identifier)
    studies = [item for item in _texts(reader, "StudyInstanceUID") if item]
    series = [item for item in _texts(reader, "SeriesInstanceUID") if item] if level in ("SERIES", "IMAGE") else []
    instances = [item for item in _texts(reader, "SOPInstanceUID") if item] if level == "IMAGE" else []
    if not studies or (level == "SERIES" and not series) or (level == "IMAGE" and not instances):
        raise Invalid("The identifier lacks the unique key of its level.", section="PS3.4: C.4.2.1.4.1")
    if (level in ("SERIES", "IMAGE") and len(studies) > 1) or (level == "IMAGE" and len(series) > 1):
        raise Invalid("Above the retrieve level, a unique key has one value.", section="PS3.4: C.4.2.1.4.1")
    return tuple(
        InstanceRequest(str(dicom.uid(study)), one, sop)
        for study in studies
        for one in (series or [""])
        for sop in (instances or [""])
    )


def wanted_person(identifier: Dataset) -> PatientIdentifier:
    """Whose studies a C-GET or C-MOVE identifier at PATIENT level names. Raises Invalid."""
    reader = DatasetReader(identifier)
    person = _person(reader)
    if person is None or len(list(filter(None, _texts(reader, "PatientID")))) > 1:
        raise Invalid("At PATIENT level the identifier needs one PatientID.", section="PS3.4: C.4.2.1.4.1")
    return person


def _keys(identifier: Dataset) -> dict[str, list[str]]:
    reader = DatasetReader(identifier)
    found: dict[str, list[str]] = {}
    for tag in list(identifier.keys()):
        keyword = keyword_for_tag(tag)
        if keyword:
            values = [] if dictionary_VR(keyword) == "SQ" else reader.texts(keyword)
            found[keyword] = [item for item in values if item and item != "*"]
    return found


def _parts(study: Study, level: str) -> Iterator[tuple[Series | None, Instance | None]]:
    if level in ("PATIENT", "STUDY"):
        yield None, None
    elif level == "SERIES":
        for series in study.series:
            yield series, None
    else:
        yield from study.instances


def _match(keys: Mapping[str, Any], values: dict[str, Any], patient: str, identifier: Dataset) -> Dataset:
    if patient:
        values = {**values, "PatientID": patient}
    asked = [keyword for keyword in keys if keyword != _CHARSET and dictionary_VR(keyword) != "SQ"]
    known = {keyword: values.get(keyword, "") for keyword in asked}
    found = dicom.to_dataset(known)
    for keyword in _ISSUER:
        if patient and keyword in identifier:
            found[keyword] = identifier[keyword]
        elif keyword == _ISSUER[1] and keyword in keys and keyword in values:
            setattr(found, keyword, dicom.to_dataset({keyword: values[keyword]})[keyword].value)
    return found


def _satisfies(value: Any, wanted: Sequence[str]) -> bool:
    """Single value, list of values, wildcard and range matching of what the question could not carry."""
    have = [str(item) for item in (value if isinstance(value, list) else [value]) if item not in ("", None)]
    for pattern in wanted:
        start, dash, end = pattern.partition("-")
        for item in have:
            if fnmatch.fnmatchcase(item.casefold(), pattern.casefold().replace("[", "[[]")):
                return True
            if dash and (start + end).replace(".", "").isdigit() and (start or item) <= item <= (end or item):
                return True
    return False


def _person(reader: DatasetReader) -> PatientIdentifier | None:
    number = _text(reader, "PatientID")
    if not number:
        return None
    if set(number) & set("*?\\"):
        raise Invalid("PatientID is matched as a single value.", section="PS3.4: C.2.2.2.1")
    qualifiers = reader.items("IssuerOfPatientIDQualifiersSequence")
    oid = next(filter(None, _texts(qualifiers[0], "UniversalEntityID")), "") if qualifiers else ""
    issuer = _text(reader, "IssuerOfPatientID")
    try:
        return PatientIdentifier(number, Oid(oid or issuer))
    except Invalid:
        return PatientIdentifier(number, "", namespace=issuer)


def _wanted(reader: DatasetReader, keyword: str) -> list[str]:
    """Values that restrict: an empty one, asterisks alone and a range without ends do not."""
    return [item for item in _texts(reader, keyword) if item.strip("*-")]


def _text(reader: DatasetReader, keyword: str) -> str:
    text = next(filter(None, _texts(reader, keyword)), "")
    return "" if text == "*" else text


def _texts(reader: Reader, keyword: str) -> list[str]:
    """All values. Raises Invalid for a NUL inside one, where it is no padding."""
    found = reader.texts(keyword)
    if nul.in_texts(found):
        raise Invalid(f"{keyword} has a character that is not allowed.", location=keyword, section="PS3.5: 6.2")
    return found


def _single(reader: DatasetReader, keyword: str) -> str:
    """The one value that the question can carry; several are matched on the answer."""
    values = [item for item in _texts(reader, keyword) if item]
    return values[0] if len(values) == 1 else ""
