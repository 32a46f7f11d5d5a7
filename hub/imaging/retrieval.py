"""Reading objects: which copy, in which transfer syntax, streamed through; what can't be had is said per instance."""

import logging
import re
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from pydicom import dcmread

from hub.connector.contract import ConnectorError, GivesMetadata, PassesThrough, RetrievesInstances
from hub.context import Context
from hub.errors import HubError, Invalid, NotFound, Unavailable
from hub.imaging import frames as pixel_frames
from hub.imaging import transcode
from hub.imaging.cache import InstanceCache
from hub.imaging.contents import IndexedContents
from hub.imaging.errors import TransferSyntaxNotPossible, UnknownInstance, UnknownStudy
from hub.imaging.frame_parts import frame_parts
from hub.imaging.headers import metadata_of
from hub.imaging.locate import Archives
from hub.imaging.model import (
    FailedInstance,
    InstanceRequest,
    InstanceStream,
    PassedThrough,
    RetrievedInstance,
    RetrieveFrames,
    RetrieveInstances,
    Study,
)
from hub.imaging.planning import Part, Planner
from hub.imaging.readers import StudyReaders
from hub.imaging.store import ImagingStore
from hub.storage.engine import Database
from hub.values import is_uid, new_uid
from hub.wire import dicom
from hub.wire.dicom import JsonReader
from hub.wire.dicom_deflated import check_size
from hub.wire.dicomweb.media import choose

log = logging.getLogger(__name__)

_FRAMES = re.compile(r"frames/([0-9,]+)(/rendered|/thumbnail)?|(rendered|thumbnail)")
#: What may follow an instance's path: no segment that leads elsewhere, no query, nothing to escape.
_RESOURCE = re.compile(r"(?!(.*/)?\.{1,2}(/|$))[A-Za-z0-9._~,:@=+-]+(/[A-Za-z0-9._~,:@=+-]+)*")
_REMEMBER = 60.0  #: seconds that a live answer to "who holds this study" is believed


class Retriever:
    """Retrieval use cases. ``home``: the homeCommunityId (URN) that requests may name; "": any. ``silence``: seconds
    that a source may keep quiet within an answer."""

    def __init__(
        self,
        database: Database,
        archives: Archives,
        cache: InstanceCache,
        readers: StudyReaders,
        *,
        home: str = "",
        silence: float = 60.0,
    ) -> None:
        self.database = database
        self.archives = archives
        self.cache = cache
        self.readers = readers
        self.silence = silence
        self._located: dict[str, tuple[float, list[Study]]] = {}
        self.contents = IndexedContents(database)
        self.planner = Planner(archives, self.contents, home=home, silence=silence)

    # instances

    def retrieve(self, command: RetrieveInstances, context: Context) -> InstanceStream:
        """The plan is made at once, the objects are fetched while the stream is read."""
        for request in command.requests:
            check(request)
        parts, failures = self.planner.plan(command.requests, lambda request: self._sources(request, context))
        self._tell(parts, context)
        return self._stream(parts, failures, command.transfer_syntaxes)

    def _tell(self, parts: Iterable[Part], context: Context) -> None:
        """How many instances of each SOP class of each study are about to be sent, and its accession number (audit
        trail, PS3.15: A.5.3.7), as far as the index knows: the record is written when the answer begins."""
        counts: Counter[tuple[str, str]] = Counter()
        for part in parts:
            study = part.request.study_instance_uid
            known = self.contents.known(study, part.sources, part.wanted)
            counts.update((study, known.classes[uid]) for uid in part.wanted if uid in known.classes)
            if known.accession_number:
                context.touch("accession", f"{study}|{known.accession_number}")
        for (study, sop_class), count in counts.items():
            context.touch("sop class", f"{study}|{sop_class}|{count}")

    def _stream(
        self, parts: Iterable[Part], failures: Iterable[FailedInstance], syntaxes: tuple[str, ...]
    ) -> InstanceStream:
        yield from failures
        for part in parts:
            yield from self._part(part, syntaxes)

    def _part(self, part: Part, syntaxes: tuple[str, ...]) -> InstanceStream:
        remaining = dict(part.wanted)
        delivered: set[str] = set()
        error: HubError | None = None
        for source in part.sources:
            error = None
            asked = self.planner.rest(source, remaining.values()) if delivered and remaining else [part]
            try:
                for item in chain.from_iterable(self._from(source, one, syntaxes, delivered) for one in asked):
                    uid = (
                        item.sop_instance_uid if isinstance(item, RetrievedInstance) else item.request.sop_instance_uid
                    )
                    remaining.pop(uid, None)
                    delivered.add(uid)
                    yield item
            except HubError as failure:
                log.warning("source %s: %s", source, failure.code)
                error = failure
            self.archives.note(source, error)
            if error is None and not remaining and (delivered or part.wanted):
                return
        if not part.wanted and (error is not None or not delivered):
            yield FailedInstance(part.request, error or UnknownInstance())
        for request in remaining.values():
            yield FailedInstance(request, error or UnknownInstance())

    def _from(self, source: str, part: Part, syntaxes: tuple[str, ...], delivered: set[str]) -> InstanceStream:
        connector = self.archives.capable(source, RetrievesInstances)
        again: list[RetrievedInstance] = []
        for item in connector.retrieve(part.request, (transcode.ANY,), timeout=self.silence):
            if not _is_wanted(item, part, delivered):
                _drain(item)
            elif transcode.acceptable(item.transfer_syntax, syntaxes):
                yield replace(item, source=source)
            else:
                converted = self._convert(item, syntaxes)
                if converted is None:
                    again.append(replace(item, chunks=iter(())))
                    continue
                try:
                    yield replace(item, source=source, transfer_syntax=converted[0], chunks=converted[2], size=None)
                finally:
                    converted[1].unlink(missing_ok=True)
        for item in again:
            yield from self._from_transcoding(source, connector, item, part, syntaxes)

    def _convert(self, item: RetrievedInstance, syntaxes: tuple[str, ...]) -> tuple[str, Path, Iterator[bytes]] | None:
        """(transfer syntax, file, chunks), None when the hub can't do it."""
        with tempfile.NamedTemporaryFile(dir=self.cache.directory, suffix=".dcm", delete=False) as file:
            for chunk in item.chunks:
                file.write(chunk)
        path = Path(file.name)
        try:
            wanted = transcode.target(item.transfer_syntax, syntaxes)
            converted = transcode.convert(path, wanted)
        except TransferSyntaxNotPossible:
            return None
        finally:
            path.unlink(missing_ok=True)
        return wanted, converted, transcode.chunks_of(converted)

    def _from_transcoding(
        self, source: str, connector: RetrievesInstances, item: RetrievedInstance, part: Part, syntaxes: tuple[str, ...]
    ) -> InstanceStream:
        """Have the source itself convert one instance: some can what the hub can't."""
        request = InstanceRequest(item.study_instance_uid, item.series_instance_uid, item.sop_instance_uid)
        try:
            for found in connector.retrieve(request, syntaxes, timeout=self.silence):
                if found.sop_instance_uid != item.sop_instance_uid or found.transfer_syntax not in syntaxes:
                    _drain(found)
                    continue
                yield replace(found, source=source)
                return
        except HubError as error:
            log.info("source %s does not convert: %s", source, error.code)
        yield FailedInstance(part.wanted.get(item.sop_instance_uid, request), TransferSyntaxNotPossible())

    # metadata

    def metadata(self, request: InstanceRequest, context: Context) -> Iterator[Mapping[str, Any]]:
        """DICOM JSON per instance, from the source, or made from the instances themselves.

        The first object is fetched at once, so that an error comes before the answer begins."""
        check(request)
        objects = self._every_metadata(request, self._sources(request, context))
        return _chained(next(objects), objects)

    def _every_metadata(self, request: InstanceRequest, sources: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        """Each object once, of one source after the other until nothing is missing that the index knows."""
        missing: set[str] = set()
        if len(sources) > 1:
            indexed = self.contents.instances(request.study_instance_uid, request.series_instance_uid, sources)
            missing = {uid for _, uid in indexed if request.sop_instance_uid in ("", uid)}
        given: set[str] = set()
        error: HubError | None = None
        for source in sources:
            try:
                for item in self._metadata(source, request):
                    uid = dicom.first(JsonReader(item), "SOPInstanceUID")
                    if uid not in given:
                        given.add(uid)
                        yield item
            except HubError as failure:
                error = failure
                self.archives.note(source, failure)
                continue
            missing -= given
            if given and not missing:
                return
        if error is not None and (missing or not given):
            raise error
        if not given:
            raise UnknownInstance() if request.series_instance_uid else UnknownStudy()

    def _metadata(self, source: str, request: InstanceRequest) -> Iterator[Mapping[str, Any]]:
        connector = self.archives.connector(source)
        if isinstance(connector, GivesMetadata):
            yield from connector.metadata(request, timeout=self.silence)
            return
        for series in self._series(source, request):
            key = (source, request.study_instance_uid, series)
            fetch = self._fetch(source, request.study_instance_uid, series)
            if request.sop_instance_uid:
                path = self.cache.instance(key, request.sop_instance_uid, fetch, timeout=self.silence)
                yield _metadata_of(path)
            else:
                for path in self.cache.instances(key, fetch, timeout=self.silence):
                    yield _metadata_of(path)

    def _series(self, source: str, request: InstanceRequest) -> list[str]:
        if request.series_instance_uid:
            return [request.series_instance_uid]
        known = dict.fromkeys(
            series for series, _ in self.contents.instances(request.study_instance_uid, "", (source,))
        )
        if known:
            return list(known)
        study = self.archives.describe(source, request.study_instance_uid, self.silence)
        return [series.series_instance_uid for series in study.series] if study is not None else []

    def _fetch(self, source: str, study: str, series: str) -> Any:
        connector = self.archives.capable(source, RetrievesInstances)
        return lambda: connector.retrieve(InstanceRequest(study, series), (transcode.ANY,), timeout=self.silence)

    # frames

    def frames(self, command: RetrieveFrames, context: Context) -> PassedThrough:
        """As the source serves them, or cut out of the instance here."""
        request = command.request
        check(request)
        if not _RESOURCE.fullmatch(command.path):
            raise NotFound("A source has no such resource.")
        if command.path.startswith("frames/"):
            pixel_frames.frame_numbers(command.path.split("/")[1])
        error: HubError = UnknownStudy()
        for source in self._sources(request, context):
            try:
                return self._frames(source, command)
            except Invalid:
                raise
            except HubError as failure:
                error = failure
        raise error

    def _frames(self, source: str, command: RetrieveFrames) -> PassedThrough:
        request = command.request
        connector = self.archives.connector(source)
        if isinstance(connector, PassesThrough):
            try:
                return connector.pass_through(
                    request, command.path, command.query, command.accept, timeout=self.silence
                )
            except Unavailable:
                raise
            except ConnectorError as refused:  # an archive that gives whole objects only: the frame is cut out here
                log.info("the source passes nothing through", extra={"source": source, "code": refused.code})
        return self._cut_out(source, command)

    def _cut_out(self, source: str, command: RetrieveFrames) -> PassedThrough:
        request = command.request
        match = _FRAMES.fullmatch(command.path)
        if match is None or not request.series_instance_uid or not request.sop_instance_uid:
            raise NotFound("The source has no such resource.")
        key = (source, request.study_instance_uid, request.series_instance_uid)
        fetch = self._fetch(source, request.study_instance_uid, request.series_instance_uid)
        path = self.cache.instance(key, request.sop_instance_uid, fetch, timeout=self.silence)
        numbers = pixel_frames.frame_numbers(match.group(1) or "1")
        if match.group(2) or match.group(3):
            return _rendered(path, numbers[0], command, thumbnail="thumbnail" in command.path)
        return frame_parts(path, numbers, command.accept)

    # where

    def _sources(self, request: InstanceRequest, context: Context) -> list[str]:
        """Names of the sources to ask, the best first. Raises UnknownImagingSource, UnknownStudy."""
        if request.repository_unique_id:
            return [self.archives.of_repository(request.repository_unique_id).name]
        if request.source:
            return [self.archives.info(request.source).name]
        with self.database.reading() as work:
            known = ImagingStore(work).sources_of(request.study_instance_uid)
        known = [name for name in known if name in self.archives.infos]
        return known or self._live(request.study_instance_uid, context)

    def _live(self, study: str, context: Context) -> list[str]:
        until, found = self._located.get(study, (0.0, []))
        error: HubError | None = None
        if until < time.monotonic():
            found, error = self.archives.holders(study)
            if found:
                if len(self._located) > 1000:
                    self._located.clear()
                self._located[study] = (time.monotonic() + _REMEMBER, found)
        elif not self.readers.found_live(found, context):
            found, error = self.archives.holders(new_uid())  # as one who asks about what nobody has
        if not self.readers.found_live(found, context) or not found:
            raise error or UnknownStudy()
        return [item.source for item in found]

    def close(self) -> None:
        """Start no further fetch."""
        self.cache.close()


def _metadata_of(path: Path) -> dict[str, Any]:
    check_size(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return metadata_of(dcmread(path, stop_before_pixels=True))


def check(request: InstanceRequest) -> None:
    """Raises Invalid."""
    for uid in (request.study_instance_uid, request.series_instance_uid, request.sop_instance_uid):
        if uid and not is_uid(uid):
            raise Invalid("A UID is made of digits and dots, at most 64 characters.")
    if not request.study_instance_uid:
        raise Invalid("A StudyInstanceUID is needed.")


def _is_wanted(item: RetrievedInstance, part: Part, delivered: set[str]) -> bool:
    request = part.request
    if item.study_instance_uid != request.study_instance_uid or item.sop_instance_uid in delivered:
        return False
    if request.series_instance_uid and item.series_instance_uid != request.series_instance_uid:
        return False
    return part.whole or item.sop_instance_uid in part.wanted


def _drain(item: RetrievedInstance) -> None:
    for _ in item.chunks:
        pass


def _chained(first: Mapping[str, Any], rest: Iterator[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    yield first
    yield from rest


def _rendered(path: Path, number: int, command: RetrieveFrames, *, thumbnail: bool) -> PassedThrough:
    query = dict(command.query)
    media_type, _ = choose(command.accept, ("image/jpeg", "image/png"))
    content = pixel_frames.rendered(
        path,
        number,
        media_type=media_type,
        window=query.get("window", ""),
        viewport=query.get("viewport", "128,128" if thumbnail else ""),
        quality=query.get("quality", ""),
    )
    return PassedThrough(media_type, iter((content,)))
