"""What was rejected is given to nobody and told to nobody: retrieval and queries leave it out (IOCM, RAD TF-1: 35)."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hub.imaging.errors import UnknownInstance
from hub.imaging.key_objects import KeyObjects, without
from hub.imaging.locate import Archives
from hub.imaging.model import (
    FailedInstance,
    IndexedStudy,
    InstanceRequest,
    InstanceStream,
    RetrievedInstance,
    Study,
    StudyState,
)
from hub.imaging.store import ImagingStore
from hub.imaging.store_life import KeyObjectStore
from hub.storage.engine import Database

_SOP_INSTANCE_UID = "00080018"


class Hiding:
    """Knows which instances of a study are rejected, wherever they are."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def of(self, requests: Collection[InstanceRequest]) -> frozenset[str]:
        """Rejected instances of the studies that are asked for, and the notes that reject them."""
        with self.database.reading() as work:
            found = KeyObjectStore(work).hidden({item.study_instance_uid for item in requests})
        return frozenset().union(*found.values())

    def refuse(self, request: InstanceRequest) -> None:
        """Raises UnknownInstance for a rejected instance."""
        if request.sop_instance_uid and request.sop_instance_uid in self.of([request]):
            raise UnknownInstance()

    def allowed(
        self, requests: tuple[InstanceRequest, ...]
    ) -> tuple[tuple[InstanceRequest, ...], tuple[FailedInstance, ...], frozenset[str]]:
        """(what may be asked for, what was asked for by name and is rejected, what else is rejected)."""
        hidden = self.of(requests)
        refused = tuple(FailedInstance(item, UnknownInstance()) for item in requests if item.sop_instance_uid in hidden)
        return tuple(item for item in requests if item.sop_instance_uid not in hidden), refused, hidden


def shown(stream: InstanceStream, refused: tuple[FailedInstance, ...], hidden: frozenset[str]) -> InstanceStream:
    """The stream without what is rejected."""
    yield from refused
    for item in stream:
        if isinstance(item, RetrievedInstance) and item.sop_instance_uid in hidden:
            for _ in item.chunks:  # the source sends it; the next one comes after it
                pass
            continue
        yield item


def shown_metadata(stream: Iterator[Mapping[str, Any]], hidden: frozenset[str]) -> Iterator[Mapping[str, Any]]:
    """The objects of DICOM JSON without what is rejected."""
    for item in stream:
        values = item.get(_SOP_INSTANCE_UID, {}).get("Value") or [""]
        if values[0] not in hidden:
            yield item


class ShownStudies:
    """What queries tell of studies: without rejected instances and their notes, with counts to match."""

    def __init__(self, database: Database, archives: Archives) -> None:
        self.database = database
        self.archives = archives
        self.key_objects = KeyObjects(database, archives)

    def indexed(self, found: Sequence[IndexedStudy]) -> list[IndexedStudy]:
        """The index's studies; one of which nothing is left is left out."""
        hidden = self._hidden({item.study.study_instance_uid for item in found})
        if not hidden:
            return list(found)
        uids = [uid for _, uid in hidden]
        with self.database.reading() as work:
            deep = {
                (item.study.source, item.study.study_instance_uid): item.study
                for item in ImagingStore(work).studies(uids, deep=True)
            }
        shown = []
        for item in found:
            key = (item.study.source, item.study.study_instance_uid)
            whole = deep.get(key, item.study)
            if item.state is StudyState.ORDERED or not whole.series:
                shown.append(item)
                continue
            left = without(whole, _at(hidden, *key))
            if left.series:
                shown.append(replace(item, study=left if item.study.series else replace(left, series=())))
        return shown

    def described(self, study: Study | None) -> Study | None:
        """A study that its source described now; its notes are read. None: nothing is left of it.

        Raises ConnectorError when a note can't be had: what it takes away is not known then."""
        if study is None:
            return None
        left, _ = self.key_objects.apply(study)
        return left if left.series or not study.series else None

    def told(self, name: str, studies: Sequence[Study], timeout: float) -> list[Study]:
        """Studies as a source told them without their instances: those that lose some are described, to be counted.

        Raises ConnectorError."""
        hidden = self._hidden({study.study_instance_uid for study in studies})
        found: list[Study] = []
        for study in studies:
            if not _at(hidden, name, study.study_instance_uid):
                found.append(study)
                continue
            left = self.described(self.archives.describe(name, study.study_instance_uid, timeout))
            if left is not None:
                found.append(replace(left, series=left.series if study.series else ()))
        return found

    def _hidden(self, uids: Collection[str]) -> Mapping[tuple[str, str], set[str]]:
        with self.database.reading() as work:
            return KeyObjectStore(work).hidden(uids)


def _at(hidden: Mapping[tuple[str, str], set[str]], source: str, uid: str) -> set[str]:
    return hidden.get((source, uid), set()) | hidden.get(("", uid), set())
