"""Manifests as the national record wants them: by the rules of DRIM-M, whatever the region itself publishes."""

from dataclasses import replace

from hub.imaging.draft import derived_uid
from hub.imaging.errors import StudyNotThereYet
from hub.imaging.manifest import build_manifest
from hub.imaging.manifest_model import Flavour
from hub.imaging.publication import Publisher
from hub.imaging.store import ImagingStore


class NationalManifests:
    """Draws them from the index; ``publisher`` knows what a manifest is made of."""

    def __init__(self, publisher: Publisher) -> None:
        self.publisher = publisher

    def national(self, study_instance_uid: str, unique_id: str, deleted: int = 0) -> tuple[str, bytes] | None:
        """(SOPInstanceUID, bytes) in the place of the region's manifest ``unique_id``, always the same for it.

        ``deleted``: how many were sent and deleted there before: a uniqueId that was deleted is never good again. None:
        the region's own manifest is one of DRIM-M, and can be sent. Raises StudyNotThereYet when the index does not
        know the study any more."""
        if self.publisher.settings.flavour is Flavour.DRIM_M and not deleted:
            return None
        with self.publisher.database.reading() as work:
            found = ImagingStore(work).studies([study_instance_uid], deep=True)
        for indexed in found:
            spec = self.publisher.spec_of(indexed.study) if indexed.manifest_id == unique_id else None
            if spec is not None:
                uid = derived_uid(unique_id, "drim-m", *([str(deleted)] if deleted else []))
                return uid, build_manifest(replace(spec, flavour=Flavour.DRIM_M, sop_instance_uid=uid))
        raise StudyNotThereYet()
