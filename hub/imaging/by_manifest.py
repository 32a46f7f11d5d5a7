"""Reading by a manifest (DRIM-M): another DRIMbox names a published one, and gets what it refers to, nothing else.

Whether the caller may read the study is decided before the manifest is looked at, so that nothing of a study that is
not for the caller can be learnt from the answer: an unknown manifest and a hidden one look alike."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from hub.context import Context
from hub.imaging.errors import ManifestGone, ManifestNeeded, UnknownInstance, UnknownManifest
from hub.imaging.manifest import Manifest
from hub.imaging.model import InstanceRequest
from hub.imaging.readers import Disguise
from hub.values import is_uid

_SOP_INSTANCE_UID = "00080018"


@dataclass(frozen=True, slots=True)
class Published:
    """A manifest that is or was published. ``manifest``: what it says, None when it is not published any more."""

    manifest: Manifest | None


class FindsManifests(Protocol):
    """Knows what was published."""

    def find(self, sop_instance_uid: str, study_instance_uid: str, context: Context) -> Published | None:
        """The manifest of this study; None when there was none, or not for the caller."""
        ...


@dataclass(frozen=True, slots=True)
class Referenced:
    """What a manifest refers to: SOPInstanceUID -> SeriesInstanceUID."""

    series: Mapping[str, str]

    def narrowed(self, request: InstanceRequest) -> tuple[InstanceRequest, ...]:
        """The request's part of it, instance by instance. Raises UnknownInstance when there is none."""
        found = tuple(
            replace(request, series_instance_uid=series, sop_instance_uid=uid)
            for uid, series in self.series.items()
            if request.series_instance_uid in ("", series) and request.sop_instance_uid in ("", uid)
        )
        if not found:
            raise UnknownInstance()
        return found

    def require(self, request: InstanceRequest) -> None:
        """Raises UnknownInstance unless it is one of the instances."""
        if not request.sop_instance_uid:
            raise UnknownInstance()
        self.narrowed(request)

    def metadata(self, objects: Iterator[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """Those of the objects (DICOM JSON)."""
        for item in objects:
            values = item.get(_SOP_INSTANCE_UID, {}).get("Value") or [""]
            if values[0] in self.series:
                yield item


class ByManifest:
    """``published`` None: nothing was."""

    def __init__(self, published: FindsManifests | None = None) -> None:
        self.published = published

    def narrowed(self, disguise: Disguise, context: Context) -> tuple[InstanceRequest, ...]:
        """What may be asked for. Raises ManifestNeeded, UnknownManifest, ManifestGone, UnknownInstance."""
        referenced = self.of(disguise, context)
        if referenced is None:
            return disguise.requests
        return tuple(dict.fromkeys(one for request in disguise.requests for one in referenced.narrowed(request)))

    def of(self, disguise: Disguise, context: Context) -> Referenced | None:
        """What the manifest that the caller named refers to; None for who reads without one.

        Raises ManifestNeeded, UnknownManifest, ManifestGone."""
        uid = context.manifest
        if not uid and not context.principal.by_manifest:
            return None
        if not is_uid(uid):
            raise ManifestNeeded()
        context.touch("document", uid)
        studies = {request.study_instance_uid for request in disguise.requests}
        if disguise.originals or len(studies) != 1 or self.published is None:
            raise UnknownManifest()
        (study,) = studies
        found = self.published.find(uid, study, context)
        if found is None:
            raise UnknownManifest()
        manifest = found.manifest
        if manifest is None:
            raise ManifestGone()
        if manifest.study_instance_uid != study:
            raise UnknownManifest()
        return Referenced({uid: item.series_instance_uid for item in manifest.series for _, uid in item.instances})
