"""Filters a source's answer again: archives ignore keys that they do not know (or answer for all of them)."""

import fnmatch
import unicodedata

from hub.connector.contract import StudyQuery
from hub.imaging.model import Study


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
    )


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
