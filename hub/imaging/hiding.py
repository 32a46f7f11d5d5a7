"""What was rejected is given to nobody: retrieval leaves it out (IOCM, RAD TF-1: 35)."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from hub.imaging.errors import UnknownInstance
from hub.imaging.model import FailedInstance, InstanceRequest, InstanceStream, RetrievedInstance
from hub.imaging.store_life import KeyObjectStore
from hub.storage.engine import Database

_SOP_INSTANCE_UID = "00080018"


class Hiding:
    """Knows which instances of a study are rejected, wherever they are."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def of(self, requests: Collection[InstanceRequest]) -> frozenset[str]:
        """Rejected instances of the studies that are asked for."""
        with self.database.reading() as work:
            return frozenset(KeyObjectStore(work).rejected({item.study_instance_uid for item in requests}))

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
