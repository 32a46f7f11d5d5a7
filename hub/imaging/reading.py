"""Reading instances: what the caller may read, without what was rejected, streamed from its source."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hub.access.rights_model import Rights
from hub.context import Context
from hub.imaging.by_manifest import ByManifest
from hub.imaging.cache import InstanceCache
from hub.imaging.elsewhere import Elsewhere, OpenStudy
from hub.imaging.hiding import Hiding, shown, shown_metadata
from hub.imaging.locate import Archives
from hub.imaging.model import (
    GetMetadata,
    InstanceRequest,
    InstanceStream,
    PassedThrough,
    RetrieveFrames,
    RetrieveInstances,
)
from hub.imaging.readers import Disguise, StudyReaders, of_study, require_study
from hub.imaging.retrieval import Retriever, check
from hub.imaging.several_rendered import WHOLE, whole_rendered
from hub.storage.engine import Database
from hub.usecase import use_case

_MOST_MEMBERS = 100_000


class Reading:
    """The part of the imaging room that hands out objects."""

    def __init__(
        self, database: Database, archives: Archives, cache: InstanceCache, rights: Rights, *, home: str = ""
    ) -> None:
        self.hiding = Hiding(database)
        self.readers = StudyReaders(database, archives, rights)
        self.retriever = Retriever(database, archives, cache, self.readers, home=home)
        self.by_manifest = ByManifest()
        self.elsewhere: Elsewhere | None = None  #: studies of other regions
        self._members: set[tuple[str, str]] = set()  # (study, instance) that a source has confirmed

    @use_case
    def retrieve(self, command: RetrieveInstances, context: Context) -> InstanceStream:
        """Stream instances from their sources; one that can't be had is a FailedInstance and stops no other."""
        remote = self._open_elsewhere(command.requests, context)
        if remote is not None:
            return remote.retrieve(command, context)
        disguise = self._disguise(command.requests, context)
        requests, refused, hidden = self.hiding.allowed(self.by_manifest.narrowed(disguise, context))
        stream = self.retriever.retrieve(replace(command, requests=requests), context) if requests else iter(())
        if hidden:
            stream = shown(stream, refused, hidden)
        return disguise.lifted(stream) if disguise.originals else stream

    @use_case
    def metadata(self, command: GetMetadata, context: Context) -> Iterator[Mapping[str, Any]]:
        """DICOM JSON of every instance. Raises UnknownStudy, ConnectorError."""
        remote = self._open_elsewhere([command.request], context)
        if remote is not None:
            return remote.metadata(command.request, context)
        disguise = self._disguise([command.request], context)
        (request,) = disguise.requests
        referenced = self.by_manifest.of(disguise, context)
        if referenced is not None:
            referenced.narrowed(request)
        self.hiding.refuse(request)
        hidden = self.hiding.of([request])
        found = self.retriever.metadata(request, context)
        if referenced is not None:
            found = referenced.metadata(found)
        if not self.readers.rights.plain(context):
            found = of_study(request.study_instance_uid, found)
        return shown_metadata(found, hidden) if hidden else found

    @use_case
    def frames(self, command: RetrieveFrames, context: Context) -> PassedThrough:
        """Frames, a rendered image or bulk data of one instance, or all rendered images of a study or series.

        Raises UnknownStudy, NoSuchFrame, ConnectorError."""
        if command.path in WHOLE and not command.request.sop_instance_uid:
            return self._whole(command, context)
        remote = self._open_elsewhere([command.request], context)
        if remote is not None:
            return remote.frames(command, context)
        disguise = self._disguise([command.request], context)
        (request,) = disguise.requests
        referenced = self.by_manifest.of(disguise, context)
        if referenced is not None:
            referenced.require(request)
        self.hiding.refuse(request)
        if request.sop_instance_uid and not self.readers.rights.plain(context):
            self._require_member(request, context)
        return self.retriever.frames(replace(command, request=request), context)

    def _whole(self, command: RetrieveFrames, context: Context) -> PassedThrough:
        def render(one: RetrieveFrames) -> PassedThrough:
            self._confirm(one.request)  # the study's own list named it
            return self.frames(one, context)

        return whole_rendered(command, self.metadata(GetMetadata(command.request), context), render)

    def _open_elsewhere(self, requests: Sequence[InstanceRequest], context: Context) -> OpenStudy | None:
        """The study of another region that is open in the caller's session, when the requests are of it."""
        studies = {request.study_instance_uid for request in requests}
        if self.elsewhere is None or not context.session or len(studies) != 1:
            return None
        for request in requests:
            check(request)
        (study,) = studies
        found = self.elsewhere.opened(study, context)
        if found is not None:
            context.touch("study", study)
        return found

    def _disguise(self, requests: Sequence[InstanceRequest], context: Context) -> Disguise:
        for request in requests:
            check(request)
            context.touch("study", request.study_instance_uid)
        return self.readers.disguise(requests, context)

    def _require_member(self, request: InstanceRequest, context: Context) -> None:
        """A source may take an instance's UID for all there is to know: it must be of the study that may be read.

        Raises UnknownInstance, UnknownStudy, ConnectorError."""
        if (request.study_instance_uid, request.sop_instance_uid) not in self._members:
            require_study(request.study_instance_uid, self.retriever.metadata(request, context))
            self._confirm(request)

    def _confirm(self, request: InstanceRequest) -> None:
        if len(self._members) >= _MOST_MEMBERS:
            self._members.clear()
        self._members.add((request.study_instance_uid, request.sop_instance_uid))
