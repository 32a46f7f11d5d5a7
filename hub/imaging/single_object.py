"""One object by its three UIDs: as it is, or rendered (RAD-55 WADO-URI)."""

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from hub.context import Context
from hub.errors import HubError
from hub.imaging import frames
from hub.imaging.errors import NotRendered, TransferSyntaxNotPossible, UnknownInstance
from hub.imaging.model import InstanceStream, PassedThrough, RetrievedInstance, RetrieveInstances, RetrieveObject
from hub.imaging.service import ImagingService
from hub.usecase import use_case
from hub.wire.dicom_deflated import check_size

DICOM, JPEG, PNG = "application/dicom", "image/jpeg", "image/png"
RENDERED = (JPEG, PNG)


class SingleObjectService:
    """RAD-55's use case. ``directory``: where an object lies while it is rendered."""

    def __init__(self, imaging: ImagingService, directory: Path) -> None:
        self.imaging = imaging
        self.directory = directory

    @use_case
    def retrieve_object(self, command: RetrieveObject, context: Context) -> InstanceStream | PassedThrough:
        """The first of the media types that is possible. Raises UnknownStudy, UnknownInstance, NotRendered, ..."""
        if command.media_types[:1] == (DICOM,):
            return self._as_it_is(command, command.transfer_syntaxes, context)
        failure: HubError = NotRendered()
        with self._spooled(command, context) as path:
            for media_type in command.media_types or self._usual(path):
                if media_type not in RENDERED:
                    return self._as_it_is(command, command.transfer_syntaxes, context)
                try:
                    content = frames.rendered_as(path, command.rendering, media_type)
                except (NotRendered, TransferSyntaxNotPossible) as error:
                    failure = error
                    continue
                return PassedThrough(media_type, iter((content,)), {"Content-Length": str(len(content))})
        raise failure

    def _usual(self, path: Path) -> tuple[str, ...]:
        """Without a wish: what people's browsers show where one picture says it all (PS3.18: Table 8.7.4-1)."""
        return (JPEG, DICOM) if frames.frame_count(path) == 1 else (DICOM,)

    def _as_it_is(self, command: RetrieveObject, syntaxes: tuple[str, ...], context: Context) -> InstanceStream:
        return self.imaging.retrieve(RetrieveInstances((command.request,), syntaxes), context)

    @contextmanager
    def _spooled(self, command: RetrieveObject, context: Context) -> Iterator[Path]:
        self.directory.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self.directory, suffix=".dcm") as file:
            for chunk in _only(self._as_it_is(command, ("*",), context)):
                file.write(chunk)
            file.flush()
            check_size(Path(file.name))
            yield Path(file.name)


def _only(stream: Any) -> Iterator[bytes]:
    """The one object's bytes. Raises why it can't be had."""
    error: HubError = UnknownInstance()
    with closing(stream):
        for item in stream:
            if isinstance(item, RetrievedInstance):
                yield from item.chunks
                return
            error = item.error
    raise error
