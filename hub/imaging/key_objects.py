"""Key Object Selections of a study: rejection notes take instances away (IOCM, RAD TF-1: 35), others are described.

A note is known because it was sent to the hub, or because it stands among the study's objects at its source. One that
was sent holds until it is forgotten; one that was found holds as long as it is found.
"""

import io
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import KeyObjectSelectionDocumentStorage

from hub.connector.contract import RetrievesInstances
from hub.imaging.errors import ManifestUnreadable
from hub.imaging.locate import Archives
from hub.imaging.manifest import UNREADABLE
from hub.imaging.manifest_model import KeyObject
from hub.imaging.model import Instance, InstanceRequest, Series, Study
from hub.imaging.store_life import KeyObjectStore
from hub.storage.engine import Database

log = logging.getLogger(__name__)

_MAX_BYTES = 8 * 1024 * 1024
_DESCRIPTION = "113012"


class KeyObjects:
    """What the hub knows of studies' key objects; asks the sources for those that it has not read yet."""

    def __init__(self, database: Database, archives: Archives) -> None:
        self.database = database
        self.archives = archives

    def apply(self, study: Study) -> tuple[Study, Mapping[str, KeyObject]]:
        """The study without what was rejected, and its remaining key objects by SOPInstanceUID.

        Raises ConnectorError when a key object can't be had: what it takes away is not known then."""
        present = {instance.sop_instance_uid for _, instance in study.instances}
        here = [(series, item) for series, item in study.instances if is_key_object(item)]
        with self.database.reading() as work:
            known = KeyObjectStore(work).known(study.source, [item.sop_instance_uid for _, item in here])
        fresh = [self._fetch(study, series, item) for series, item in here if item.sop_instance_uid not in known]
        read = [item for item in fresh if item is not None]
        with self.database.transaction() as work:
            store = KeyObjectStore(work)
            for item in read:
                store.keep(study.source, item, received=False)
            store.forget_absent(study.source, study.study_instance_uid, present)
            rejected = store.rejected([study.study_instance_uid], study.source)
        objects = known | {item.sop_instance_uid: item for item in read}
        hidden = rejected | {uid for uid, item in objects.items() if item.rejects}
        return without(study, hidden), {uid: item for uid, item in objects.items() if uid not in hidden}

    def received(self, files: Iterable[Path], sources: Sequence[str]) -> tuple[str, ...]:
        """Keep the rejection notes among Part 10 files that were sent to the hub; within the open unit of work.

        ``sources``: for which the sender speaks. Returns the studies that lose instances."""
        touched: dict[str, None] = {}
        with self.database.transaction() as work:
            store = KeyObjectStore(work)
            for path in files:
                try:
                    note = read_key_object(_beginning(path))
                except (ManifestUnreadable, OSError):
                    log.warning("a key object that was sent can't be read")
                    continue
                if note.rejects:
                    for source in sources:
                        store.keep(source, note, received=True)
                    touched.update(dict.fromkeys(study for study, _ in note.references))
        return tuple(touched)

    def _fetch(self, study: Study, series: Series, instance: Instance) -> KeyObject | None:
        connector = self.archives.connector(study.source)
        if not isinstance(connector, RetrievesInstances):
            return None
        request = InstanceRequest(
            study.study_instance_uid, series.series_instance_uid, instance.sop_instance_uid, study.source
        )
        deadline = self.archives.info(study.source).deadline
        for found in connector.retrieve(request, ("*",), timeout=deadline):
            content = _limited(found.chunks)
            if found.sop_instance_uid != instance.sop_instance_uid:
                continue
            try:
                return read_key_object(content)
            except ManifestUnreadable:
                log.warning("a key object can't be read", extra={"source": study.source})
                return KeyObject(instance.sop_instance_uid, study.study_instance_uid, ("", "", ""))
        log.warning("a key object that the source tells of does not come", extra={"source": study.source})
        return None


def is_key_object(instance: Instance) -> bool:
    """Whether the instance is a Key Object Selection."""
    return str(instance.sop_class_uid) == str(KeyObjectSelectionDocumentStorage)


def without(study: Study, hidden: Iterable[str]) -> Study:
    """The study without some of its instances, and without the series that are left empty."""
    gone = frozenset(hidden)
    if not gone:
        return study
    kept = []
    for series in study.series:
        instances = tuple(item for item in series.instances if item.sop_instance_uid not in gone)
        if instances:
            kept.append(replace(series, instances=instances, instance_count=len(instances)))
    return replace(
        study,
        series=tuple(kept),
        series_count=len(kept),
        instance_count=sum(len(item.instances) for item in kept),
        modalities=tuple(dict.fromkeys(item.modality for item in kept if item.modality)),
    )


def read_key_object(content: bytes) -> KeyObject:
    """A Key Object Selection as a Part 10 file. Raises ManifestUnreadable."""
    if len(content) > _MAX_BYTES:
        raise ManifestUnreadable("The key object is larger than the limit.")
    try:
        ds = dcmread(io.BytesIO(content), force=False)
        if ds.SOPClassUID != KeyObjectSelectionDocumentStorage:
            raise ManifestUnreadable("The object is not a Key Object Selection document.")
        return _read(ds)
    except UNREADABLE as error:
        raise ManifestUnreadable() from error


def _read(ds: Dataset) -> KeyObject:
    code = ds.ConceptNameCodeSequence[0] if ds.get("ConceptNameCodeSequence") else Dataset()
    texts = [
        str(item.get("TextValue", ""))
        for item in ds.get("ContentSequence") or ()
        if item.get("ConceptNameCodeSequence")
        and str(item.ConceptNameCodeSequence[0].get("CodeValue", "")) == _DESCRIPTION
    ]
    references = [
        (str(study.StudyInstanceUID), str(sop.ReferencedSOPInstanceUID))
        for study in ds.get("CurrentRequestedProcedureEvidenceSequence") or ()
        for series in study.get("ReferencedSeriesSequence") or ()
        for sop in series.get("ReferencedSOPSequence") or ()
    ]
    return KeyObject(
        str(ds.SOPInstanceUID),
        str(ds.get("StudyInstanceUID", "")),
        (str(code.get("CodeValue", "")), str(code.get("CodingSchemeDesignator", "")), str(code.get("CodeMeaning", ""))),
        next(iter(texts), ""),
        tuple(dict.fromkeys(references)),
    )


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MAX_BYTES + 1)


def _limited(chunks: Iterable[bytes]) -> bytes:
    """All pieces are read, as the contract asks; no more is kept than a key object can have."""
    kept = bytearray()
    for chunk in chunks:
        if len(kept) <= _MAX_BYTES:
            kept += chunk
    return bytes(kept)
