"""Rendered images of a whole study or series, and the one image that stands for it (PS3.18: 10.4.1.1.3, 10.4.1.1.4)."""

import logging
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

from hub.errors import HubError, Invalid, TooLarge, Unavailable
from hub.imaging.errors import NotRendered, UnknownStudy
from hub.imaging.model import InstanceRequest, PassedThrough, RetrieveFrames
from hub.wire import dicom, multipart
from hub.wire.dicom import JsonReader
from hub.wire.dicomweb.media import choose, multipart_type

log = logging.getLogger(__name__)

WHOLE = ("rendered", "thumbnail")  #: what there is of a study or a series, too
_MOST_IMAGES = 1000  #: each costs its decoding
_MEDIA_TYPES = ("image/jpeg", "image/png")
_ROWS = "00280010"


def whole_rendered(
    command: RetrieveFrames,
    objects: Iterable[Mapping[str, Any]],
    render: Callable[[RetrieveFrames], PassedThrough],
) -> PassedThrough:
    """One part for each image of the study or series, or the image in its middle as a thumbnail.

    ``objects``: what it holds, as DICOM JSON. ``render``: the same of one instance. Raises UnknownStudy, NotRendered
    when none of it is an image, TooLarge, NotAcceptable."""
    media_type, _ = choose(command.accept, _MEDIA_TYPES)
    command = replace(command, accept=media_type)
    images = [replace(command, request=request) for request in _images(command.request, objects)]
    if command.path == "thumbnail":
        middle = len(images) // 2
        return next(_rendered([*images[middle:], *reversed(images[:middle])], render))
    if len(images) > _MOST_IMAGES:
        raise TooLarge("There are more images than are rendered at once: ask for a series, or an instance.")
    found = _rendered(images, render)
    first = next(found)  # an error comes before the answer begins
    parts = (multipart.Part({"Content-Type": item.media_type}, item.chunks) for item in chain((first,), found))
    boundary = secrets.token_hex(16)
    return PassedThrough(multipart_type(boundary, media_type), multipart.write(parts, boundary))


def _images(request: InstanceRequest, objects: Iterable[Mapping[str, Any]]) -> list[InstanceRequest]:
    """The images by series and number. Raises UnknownStudy, NotRendered."""
    found = []
    anything = False
    for item in objects:
        anything = True
        if item.get(_ROWS, {}).get("Value"):
            reader = JsonReader(item)
            series, uid = dicom.first(reader, "SeriesInstanceUID"), dicom.first(reader, "SOPInstanceUID")
            numbers = dicom.number(reader, "SeriesNumber") or 0, series, dicom.number(reader, "InstanceNumber") or 0
            found.append((numbers, replace(request, series_instance_uid=series, sop_instance_uid=uid)))
    if not found:
        raise NotRendered() if anything else UnknownStudy()
    return [request for _, request in sorted(found, key=lambda one: one[0])]


def _rendered(
    images: Iterable[RetrieveFrames], render: Callable[[RetrieveFrames], PassedThrough]
) -> Iterator[PassedThrough]:
    """Those that can be; raises why not when none can, and at once when the source is gone."""
    error: HubError | None = None
    given = False
    for command in images:
        try:
            item = render(command)
        except (Unavailable, Invalid):
            raise
        except HubError as failure:
            log.info("an image of a study can't be rendered: %s", failure.code)
            error = failure
            continue
        given = True
        yield item
    if not given:
        raise error or NotRendered()
