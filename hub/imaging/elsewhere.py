"""Studies of other regions that are open in a session: read from the box that keeps their images, by their manifest.

For the caller they are as the region's own: searched, described, streamed, cut into frames. Nobody else sees them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from hub.context import Context
from hub.imaging.by_manifest import Referenced
from hub.imaging.errors import UnknownInstance
from hub.imaging.model import (
    FailedInstance,
    IndexedStudy,
    InstanceRequest,
    InstanceStream,
    PassedThrough,
    RetrieveFrames,
    RetrieveInstances,
    SourceStatus,
    Study,
)
from hub.imaging.readers import of_study
from hub.imaging.retrieval import Retriever
from hub.values import PatientIdentifier


@dataclass(frozen=True)
class OpenStudy:
    """One of them. ``retriever`` has the box as its only source, by the name in ``study.source``."""

    study: Study
    referenced: Referenced
    indexed: IndexedStudy
    status: SourceStatus
    retriever: Retriever

    def retrieve(self, command: RetrieveInstances, context: Context) -> InstanceStream:
        """What the manifest refers to, series by series where whole ones are wanted."""
        wanted: dict[InstanceRequest, None] = {}
        for request in command.requests:
            for one in self._series_of(request):
                wanted[self._there(one)] = None
        stream = self.retriever.retrieve(replace(command, requests=tuple(wanted)), context)
        expected = {one.sop_instance_uid: one for request in wanted for one in self.referenced.narrowed(request)}
        return self._only_named(stream, expected)

    def metadata(self, request: InstanceRequest, context: Context) -> Iterator[Mapping[str, Any]]:
        """DICOM JSON, made from the objects. Raises UnknownInstance, ConnectorError."""
        self.referenced.narrowed(request)
        found = self.retriever.metadata(self._there(request), context)
        return self.referenced.metadata(of_study(self.study.study_instance_uid, found))

    def frames(self, command: RetrieveFrames, context: Context) -> PassedThrough:
        """Cut out of the objects here. Raises UnknownInstance, NoSuchFrame, ConnectorError."""
        self.referenced.require(command.request)
        return self.retriever.frames(replace(command, request=self._there(command.request)), context)

    def _there(self, request: InstanceRequest) -> InstanceRequest:
        return replace(request, source=self.study.source, repository_unique_id="", home="")

    def _series_of(self, request: InstanceRequest) -> Iterator[InstanceRequest]:
        named = self.referenced.narrowed(request)
        if request.sop_instance_uid:
            yield from named
            return
        for series in dict.fromkeys(one.series_instance_uid for one in named):
            yield replace(request, series_instance_uid=series)

    def _only_named(self, stream: InstanceStream, expected: dict[str, InstanceRequest]) -> InstanceStream:
        """What a box sends beside what it was asked for goes to nobody; what it leaves out is said."""
        for item in stream:
            if isinstance(item, FailedInstance):
                for uid, one in list(expected.items()):
                    if item.request.sop_instance_uid in ("", uid) and (
                        item.request.series_instance_uid == one.series_instance_uid
                    ):
                        expected.pop(uid)
                        yield FailedInstance(replace(one, source=""), item.error)
            elif expected.pop(item.sop_instance_uid, None) is not None:
                yield item
            else:
                for _ in item.chunks:
                    pass
        for one in expected.values():
            yield FailedInstance(replace(one, source=""), UnknownInstance())


class Elsewhere(Protocol):
    """Knows what is open in a session."""

    def opened(self, study_instance_uid: str, context: Context) -> OpenStudy | None:
        """None: not open in the session of this context, or not for the caller any more."""
        ...

    def of_person(self, person: PatientIdentifier, context: Context) -> Sequence[OpenStudy]:
        """The person's studies that are open in the session of this context; by the regional identifier."""
        ...
