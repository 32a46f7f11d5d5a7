"""Criteria applied once more on our side: archives ignore keys, cut answers and widen matches. Pure functions."""

import fnmatch
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from hub.imaging.model import FindStudies, IndexedStudy, Study, StudyState

_RANK = (StudyState.PUBLISHED, StudyState.INDEXED, StudyState.HELD, StudyState.ORDERED, StudyState.WITHDRAWN)


def matches(study: Study, query: FindStudies, patient_ids: Mapping[str, frozenset[str]] | None) -> bool:
    """Whether a source's study really fits. ``patient_ids``: the person's numbers by source; None: not asked for.

    A study without modalities passes the criterion: some archives never return them."""
    if patient_ids is not None and study.patient_id.strip() not in patient_ids.get(study.source, frozenset()):
        return False
    if query.study_instance_uids and study.study_instance_uid not in query.study_instance_uids:
        return False
    if query.accession_number and study.accession_number.strip() != query.accession_number:
        return False
    if query.modalities and study.modalities and not set(query.modalities) & set(study.modalities):
        return False
    day = study.started[:8]
    if query.started_from and day < query.started_from[:8]:
        return False
    if query.started_to and (not day or day > query.started_to[:8]):
        return False
    if query.description and query.description.lower() not in study.description.lower():
        return False
    if query.patient_birth_date and study.patient_birth_date not in ("", query.patient_birth_date):
        return False
    return not query.patient_name or _name_fits(study.patient_name, query.patient_name)


def merge(found: Iterable[IndexedStudy]) -> list[IndexedStudy]:
    """Each study once, newest first; the copy that the index knows best, and where else it is."""
    by_uid: dict[str, list[IndexedStudy]] = {}
    for item in found:
        by_uid.setdefault(item.study.study_instance_uid, []).append(item)
    merged = [_best(copies) for copies in by_uid.values()]
    return sorted(merged, key=lambda item: (item.study.started, item.study.study_instance_uid), reverse=True)


def _best(copies: list[IndexedStudy]) -> IndexedStudy:
    best = min(copies, key=lambda item: (_RANK.index(item.state), -(item.study.instance_count or 0), item.study.source))
    elsewhere = {item.study.source for item in copies} - {best.study.source}
    return replace(best, also_at=tuple(sorted(elsewhere)))


def _name_fits(name: str, pattern: str) -> bool:
    wanted = re.sub(r"\[", "[[]", pattern.upper().rstrip("^"))
    plain = name.upper().split("=")[0].rstrip("^")
    return fnmatch.fnmatchcase(plain, wanted) or fnmatch.fnmatchcase(plain, f"{wanted}^*")
