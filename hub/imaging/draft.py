"""A submission in the making: manifests and reports, and what each of them takes the place of."""

import hashlib
from typing import Any

from hub.context import Context
from hub.documents.model import Content, DocumentEntry
from hub.imaging.ports import Contents
from hub.imaging.store import ImagingStore

MANIFEST_ENTRY = "manifest"


class Draft:
    """A submission in the making; files that nobody took are removed by ``clean``."""

    def __init__(self, content: Contents, context: Context) -> None:
        self._content = content
        self.context = context
        self.reports: list[Any] = []
        self.entries: list[DocumentEntry] = []
        self.contents: list[Content] = []
        self.replaced: dict[str, str] = {}

    def add(self, entry: DocumentEntry, content: bytes, replaces: str) -> None:
        """A document, and the entryUUID of the one that it replaces ("" : none)."""
        received = self._content.receive([content])
        self.entries.append(entry)
        self.contents.append(Content(entry.id, received.path, received.size, received.sha1))
        if replaces and replaces not in self.replaced.values():
            self.replaced[entry.id] = replaces

    def clean(self) -> None:
        """Remove the files that are still here."""
        for content in self.contents:
            content.path.unlink(missing_ok=True)


def note_reports(store: ImagingStore, draft: Draft, ids: dict[str, str]) -> None:
    """What was registered: the reports know their entries, by uniqueId in ``ids``; the replaced ones know that."""
    gone = set(draft.replaced.values())
    for report in draft.reports:
        if report.entry and report.entry in gone:
            store.change_report(report.id, state="replaced")
    for entry in draft.entries:
        if entry.id != MANIFEST_ENTRY:
            store.change_report(entry.id, state="published", entry=ids[entry.unique_id])


def latest_reports(store: ImagingStore, reports: list[Any]) -> list[Any]:
    """The waiting reports; of several versions that wait, the last."""
    waiting = [report for report in reports if report.state == "waiting"]
    kept = []
    for number, report in enumerate(waiting):
        if any(same_set(report, later) for later in waiting[number + 1 :]):
            store.change_report(report.id, state="replaced")
        else:
            kept.append(report)
    return kept


def same_set(one: Any, other: Any) -> bool:
    """Whether two reports are versions of one: by id, it says so, the same CDA setId, or corrected without one."""
    if one.document_id in (other.document_id, other.replaces):
        return True
    if one.set_id or other.set_id:
        return bool(one.set_id == other.set_id)
    return bool(other.status == "C")


def derived_uid(*parts: str) -> str:
    """A UID that is always the same for the same parts (PS3.5: B.2)."""
    value = hashlib.sha256("\n".join(parts).encode()).digest()[:16]
    return f"2.25.{int.from_bytes(value, 'big')}"
