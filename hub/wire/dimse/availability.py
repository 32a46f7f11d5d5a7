"""Instance Availability Notification: the data set of an N-CREATE (PS3.4: Table R.3.2-1)."""

from collections.abc import Sequence

from pydicom.dataset import Dataset

from hub.errors import Invalid, Malformed
from hub.imaging.model import InstancesAvailable
from hub.values import is_uid
from hub.wire.dimse.errors import MissingAttribute, MissingValue
from hub.wire.dimse.messages import UNREADABLE

_HERE = frozenset({"ONLINE", "NEARLINE"})
_STATES = _HERE | {"OFFLINE", "UNAVAILABLE"}


def read_notice(dataset: Dataset) -> InstancesAvailable:
    """Which study it is about, and whether anything of it can be had.

    Raises MissingAttribute, MissingValue, Invalid, Malformed."""
    try:
        return _notice(dataset)
    except UNREADABLE as error:  # values are decoded when they are looked at
        raise Malformed("The data set can't be read.") from error


def _notice(dataset: Dataset) -> InstancesAvailable:
    if "ReferencedPerformedProcedureStepSequence" not in dataset:  # type 2: may be empty
        raise MissingAttribute(location="ReferencedPerformedProcedureStepSequence")
    study = _uid(dataset, "StudyInstanceUID")
    states: dict[str, None] = {}
    titles: dict[str, None] = {}
    for series in _items(dataset, "ReferencedSeriesSequence"):
        _uid(series, "SeriesInstanceUID")
        for instance in _items(series, "ReferencedSOPSequence"):
            _uid(instance, "ReferencedSOPClassUID")
            _uid(instance, "ReferencedSOPInstanceUID")
            state = _text(instance, "InstanceAvailability")
            if state not in _STATES:
                raise Invalid("InstanceAvailability is ONLINE, NEARLINE, OFFLINE or UNAVAILABLE.",
                              location="InstanceAvailability")  # fmt: skip
            states[state] = None
            titles[_text(instance, "RetrieveAETitle")] = None
    return InstancesAvailable(study, tuple(titles), available=bool(_HERE & set(states)))


def _items(dataset: Dataset, keyword: str) -> Sequence[Dataset]:
    if keyword not in dataset:
        raise MissingAttribute(location=keyword)
    found: Sequence[Dataset] = dataset[keyword].value or ()
    if not found:
        raise MissingValue(location=keyword)
    return found


def _text(dataset: Dataset, keyword: str) -> str:
    if keyword not in dataset:
        raise MissingAttribute(location=keyword)
    value = dataset[keyword].value
    text = str(value if isinstance(value, str) or not isinstance(value, Sequence) else value[0]).strip(" \0")
    if value is None or not text:
        raise MissingValue(location=keyword)
    return text


def _uid(dataset: Dataset, keyword: str) -> str:
    text = _text(dataset, keyword)
    if not is_uid(text):
        raise Invalid(f"{keyword} is no UID.", location=keyword)
    return text
