"""Which manifests are published: in the national record where the hub feeds it, else in the region's registry."""

from collections import OrderedDict
from threading import Lock

from hub.app.outside.record import replaced_by
from hub.context import Context
from hub.documents.errors import DocumentUniqueIdError
from hub.documents.model import APPROVED, DocumentEntry
from hub.documents.service import DocumentService
from hub.documents.store import DocumentStore
from hub.imaging.by_manifest import Published
from hub.imaging.draft import derived_uid
from hub.imaging.errors import ManifestUnreadable
from hub.imaging.manifest import Manifest, read_manifest
from hub.record.store_manifests import SentManifest, sent_manifests
from hub.storage.engine import Database, UnitOfWork

_KEPT = 64  #: manifests in memory: a study of thousands of images is asked for series by series
_MOST_VERSIONS = 200
_MIME_TYPE = "application/dicom"


class PublishedManifests:
    """See ``hub.imaging.by_manifest.FindsManifests``. ``national``: the hub feeds the national record."""

    def __init__(self, database: Database, documents: DocumentService, *, national: bool) -> None:
        self.database = database
        self.documents = documents
        self.national = national
        self._lock = Lock()
        self._read: OrderedDict[str, Manifest] = OrderedDict()

    def find(self, sop_instance_uid: str, study_instance_uid: str, context: Context) -> Published | None:
        """The manifest of this study; None when there was none, or not for the caller."""
        if self.national:
            return self._in_record(sop_instance_uid, study_instance_uid, context)
        return self._in_region(sop_instance_uid, study_instance_uid, context)

    def _in_region(self, uid: str, study: str, context: Context) -> Published | None:
        try:
            entry = self.documents.entry_by_id(self.documents.entry(uid).id, context)
        except DocumentUniqueIdError:
            return None
        manifest = self._manifest(uid) if entry.mime_type == _MIME_TYPE else None
        if manifest is None or manifest.study_instance_uid != study:
            return None
        return Published(manifest if entry.status == APPROVED else None)

    def _in_record(self, uid: str, study: str, context: Context) -> Published | None:
        with self.database.reading() as work:
            rows = [row for row in sent_manifests(work, study) if uid == row.sent or uid in _once(work, row)]
        for row in rows:
            try:
                self.documents.entry_by_id(row.entry, context)
            except DocumentUniqueIdError:  # not for this caller, masked for instance
                continue
            if row.sent != uid or not row.wanted:
                return Published(None)
            manifest = self._manifest(row.drawn_from)
            return Published(manifest) if manifest is not None else None
        return None

    def _manifest(self, unique_id: str) -> Manifest | None:
        """What the region's document says: its bytes never change. None when it is no manifest."""
        with self._lock:
            known = self._read.get(unique_id)
            if known is not None:
                self._read.move_to_end(unique_id)
                return known
        try:
            kept = self.documents.open_content(unique_id)
        except DocumentUniqueIdError:
            return None
        try:
            found = read_manifest(kept.path.read_bytes())
        except ManifestUnreadable:
            return None
        finally:
            if kept.lease is not None:
                kept.lease.release()
        with self._lock:
            self._read[unique_id] = found
            while len(self._read) > _KEPT:
                self._read.popitem(last=False)
        return found


def _once(work: UnitOfWork, row: SentManifest) -> set[str]:
    """SOPInstanceUIDs that stood in the record for the region's manifest and its earlier versions, or may have."""
    if not row.versions:
        return set()
    unique_ids, entries, store = {row.unique_id, row.drawn_from} - {""}, [row.entry], DocumentStore(work)
    for _ in range(_MOST_VERSIONS):
        entries = [older for entry in entries for older in replaced_by(work, entry)]
        if not entries:
            break
        unique_ids |= {item.unique_id for item in store.get(DocumentEntry, "id", entries)}
    numbers = [[], *([str(number)] for number in range(1, min(row.versions, _MOST_VERSIONS) + 1))]
    drawn = {derived_uid(unique_id, "drim-m", *number) for unique_id in unique_ids for number in numbers}
    return drawn | unique_ids
