"""Answers of several sources made one. Pure functions."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from hub.connector.contract import StudyQuery
from hub.connector.matching import matches as meets
from hub.imaging.copies import together
from hub.imaging.model import FindStudies, IndexedStudy, Study, StudyState

_RANK = (StudyState.PUBLISHED, StudyState.INDEXED, StudyState.HELD, StudyState.ORDERED, StudyState.WITHDRAWN)


def source_query(query: FindStudies, patient_ids: frozenset[str], limit: int) -> StudyQuery:
    """What one source is asked for; ``patient_ids``: the person's numbers there."""
    return StudyQuery(
        patient_ids=tuple(sorted(patient_ids)),
        accession_number=query.accession_number,
        modalities=query.modalities,
        started_from=query.started_from[:8],
        started_to=query.started_to[:8],
        patient_name=query.patient_name,
        patient_birth_date=query.patient_birth_date,
        keys=query.keys,
        limit=limit,
    )


def matches(study: Study, query: FindStudies, patient_ids: Mapping[str, frozenset[str]] | None) -> bool:
    """Whether a source's study really fits: archives ignore keys, cut answers and widen matches.

    ``patient_ids``: the person's numbers by source; None: no person was asked for."""
    numbers = patient_ids.get(study.source, frozenset()) if patient_ids is not None else frozenset[str]()
    if patient_ids is not None and not numbers:
        return False
    if query.study_instance_uids and study.study_instance_uid not in query.study_instance_uids:
        return False
    return meets(study, source_query(query, numbers, 0))


def merge(found: Iterable[IndexedStudy]) -> list[IndexedStudy]:
    """Each study once, newest first: the copy that the index knows best with what only others hold, and where it is."""
    by_uid: dict[str, list[IndexedStudy]] = {}
    for item in found:
        by_uid.setdefault(item.study.study_instance_uid, []).append(item)
    merged = [_best(copies) for copies in by_uid.values()]
    return sorted(merged, key=lambda item: (item.study.started, item.study.study_instance_uid), reverse=True)


def _best(copies: list[IndexedStudy]) -> IndexedStudy:
    best = min(copies, key=lambda item: (_RANK.index(item.state), -(item.study.instance_count or 0), item.study.source))
    elsewhere = {item.study.source for item in copies} - {best.study.source}
    study = together(best, (item for item in copies if item is not best))
    return replace(best, study=study, also_at=tuple(sorted(elsewhere)))
