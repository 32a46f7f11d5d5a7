"""Copies of one study at several archives: what one holds and another lacks belongs to the study as well."""

from collections.abc import Iterable
from dataclasses import replace

from hub.imaging.model import IndexedStudy, Series, Study
from hub.wire import dicom


def joined(known: Study, arrived: Study) -> Study:
    """What both hold together; what both say of an object, a series or the study, the second one says."""
    series = {item.series_instance_uid: item for item in known.series}
    for item in arrived.series:
        before = series.get(item.series_instance_uid)
        series[item.series_instance_uid] = item if before is None else _joined_series(before, item)
    ordered = dicom.in_order(series.values())
    modalities = tuple(dict.fromkeys(item.modality for item in ordered if item.modality))
    return replace(arrived, series=ordered, modalities=modalities, series_count=None, instance_count=None)


def together(best: IndexedStudy, others: Iterable[IndexedStudy]) -> Study:
    """The best copy with what only others hold, as far as their content is known."""
    found = best.study
    for other in others:
        if found.series and other.study.series and same_study(best, other):
            found = joined(other.study, found)
    return found


def same_study(one: IndexedStudy, other: IndexedStudy) -> bool:
    """Whether they are the same copy, or copies of one person's study: a StudyInstanceUID that two persons have, or
    somebody whom nobody knows, joins nothing."""
    return one is other or (one.person is not None and one.person == other.person)


def _joined_series(before: Series, arrived: Series) -> Series:
    instances = {item.sop_instance_uid: item for item in (*before.instances, *arrived.instances)}
    ordered = dicom.instances_in_order(instances.values())
    return replace(arrived, instances=ordered, instance_count=len(ordered))
