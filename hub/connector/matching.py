"""Filters a source's answer again: archives ignore keys that they do not know (or answer for all of them)."""

import fnmatch
import unicodedata
from collections.abc import Callable, Mapping, Sequence

from hub.connector.contract import StudyQuery
from hub.imaging.model import Study

#: What a study has for the keys that a question carries as they came.
KEYS: Mapping[str, Callable[[Study], Sequence[str]]] = {
    "StudyTime": lambda study: (study.started[8:14],),
    "AccessionNumber": lambda study: (study.accession_number,),
    "ModalitiesInStudy": lambda study: study.modalities,
    "ReferringPhysicianName": lambda study: (study.referring_physician,),
    "StudyDescription": lambda study: (study.description,),
    "PatientBirthDate": lambda study: (study.patient_birth_date,),
    "StudyID": lambda study: (study.study_id,),
}


def matches(study: Study, query: StudyQuery) -> bool:
    """Whether the study meets every criterion.

    Modalities that the source did not return are taken as matched, because many archives match them without returning
    them; every other criterion must be seen to hold."""
    return (
        (not query.patient_ids or study.patient_id in query.patient_ids)
        and query.study_instance_uid in ("", study.study_instance_uid)
        and query.accession_number in ("", study.accession_number)
        and (not query.modalities or not study.modalities or bool(set(query.modalities) & set(study.modalities)))
        and _in_range(study.started[:8], query.started_from, query.started_to)
        and query.patient_birth_date in ("", study.patient_birth_date)
        and (not query.patient_name or name_matches(study.patient_name, query.patient_name))
        and keys_match(study, query.keys)
    )


def keys_match(study: Study, keys: Sequence[tuple[str, str]]) -> bool:
    """Whether the study meets the keys of KEYS, and has a value for each."""
    return all(
        any(_key_matches(keyword, value, one) for value in KEYS[keyword](study) if value for one in wanted.split("\\"))
        for keyword, wanted in keys
    )


def _key_matches(keyword: str, value: str, wanted: str) -> bool:
    """Wildcard matching whatever the case, of dates and times range matching (PS3.4: C.2.2.2)."""
    if keyword == "ReferringPhysicianName":
        return name_matches(value, wanted)
    if keyword in ("StudyTime", "PatientBirthDate"):
        start, dash, end = wanted.partition("-")
        return _in_range(value, start.ljust(6, "0") if start else "", (end if dash else start).ljust(6, "9"))
    return fnmatch.fnmatchcase(value.casefold(), wanted.casefold().replace("[", "[[]"))


def name_matches(name: str, pattern: str) -> bool:
    """DICOM wildcard matching of a person name, whatever its case and accents; any of its representations."""
    wanted = _fold(pattern)
    return any(fnmatch.fnmatchcase(_fold(group), wanted) for group in name.split("=") if group)


def _fold(text: str) -> str:
    plain = unicodedata.normalize("NFD", text.strip().rstrip("^"))
    folded = "".join(letter for letter in plain if not unicodedata.combining(letter)).casefold()
    return folded.replace("[", "[[]")


def _in_range(day: str, start: str, end: str) -> bool:
    if not start and not end:
        return True
    return bool(day) and (not start or day >= start) and (not end or day <= end)
