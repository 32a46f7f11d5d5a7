"""One timeline of a person's studies and documents, whatever they came from. Pure functions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hub.documents.model import DocumentEntry
from hub.imaging.model import IndexedStudy, StudyState
from hub.portal import formats

STUDY_INSTANCE_UID = "urn:ihe:iti:xds:2016:studyInstanceUID"
ACCESSION = "urn:ihe:iti:xds:2013:accession"
DICOM = "application/dicom"


@dataclass(frozen=True, slots=True)
class Item:
    """One row: a study with its reports, or a document alone."""

    date: str  #: DTM text, "" when unknown
    title: str
    origin: str
    study: IndexedStudy | None = None
    documents: tuple[DocumentEntry, ...] = ()
    modalities: tuple[str, ...] = ()
    live: bool = False  #: an archive has it, the index does not

    @property
    def year(self) -> str:
        """For the headings."""
        return self.date[:4]

    @property
    def key(self) -> str:
        """Tells portal.js that a row is already there."""
        return self.study.study.study_instance_uid if self.study else self.documents[0].unique_id


@dataclass(frozen=True, slots=True)
class Names:
    """How sources and authorities are called on pages."""

    sources: Mapping[str, str] = field(default_factory=dict)
    authorities: Mapping[str, str] = field(default_factory=dict)

    def source(self, name: str) -> str:
        """A source's title."""
        return self.sources.get(name) or name

    def authority(self, oid: str, namespace: str = "") -> str:
        """An authority's name."""
        return self.authorities.get(oid) or namespace or oid


def is_report(entry: DocumentEntry) -> bool:
    """Whether an entry is for people: manifests (DICOM objects) are for systems."""
    return entry.mime_type != DICOM


def belongs(entry: DocumentEntry, indexed: IndexedStudy) -> bool:
    """Whether a document is about a study: the index says so, or the document refers to it."""
    study = indexed.study
    if entry.unique_id in indexed.report_ids:
        return True
    for reference in entry.reference_ids:
        if reference.type_code == STUDY_INSTANCE_UID and reference.value == study.study_instance_uid:
            return True
        if reference.type_code == ACCESSION and study.accession_number and reference.value == study.accession_number:
            return not (reference.authority and study.accession_issuer) or (
                reference.authority == study.accession_issuer
            )
    return False


def reports_of(indexed: IndexedStudy, entries: Iterable[DocumentEntry]) -> tuple[DocumentEntry, ...]:
    """A study's reports."""
    return tuple(entry for entry in entries if is_report(entry) and belongs(entry, indexed))


def build(
    studies: Sequence[IndexedStudy],
    entries: Sequence[DocumentEntry],
    names: Names,
    *,
    later: Sequence[IndexedStudy] = (),
) -> list[Item]:
    """The timeline, newest first; what has no date comes last. ``later``: studies of other pages, which show their
    reports."""
    shown = {entry.unique_id for indexed in later if _stands(indexed) for entry in reports_of(indexed, entries)}
    items = []
    for indexed in studies:
        if not _stands(indexed):
            continue
        reports = reports_of(indexed, entries)
        shown.update(entry.unique_id for entry in reports)
        items.append(of_study(indexed, names, reports))
    items += [of_document(entry) for entry in entries if is_report(entry) and entry.unique_id not in shown]
    return sorted(items, key=lambda item: (item.date, item.key), reverse=True)


def _stands(indexed: IndexedStudy) -> bool:
    return indexed.state is not StudyState.WITHDRAWN


def of_study(
    indexed: IndexedStudy, names: Names, reports: tuple[DocumentEntry, ...] = (), *, live: bool = False
) -> Item:
    """A study's row."""
    study = indexed.study
    modalities = study.modalities or tuple(dict.fromkeys(series.modality for series in study.series))
    title = study.description or next((meaning for _, _, meaning in study.procedure_codes if meaning), "")
    return Item(study.started, title, names.source(study.source), indexed, reports, modalities, live)


def of_document(entry: DocumentEntry) -> Item:
    """The row of a document that belongs to no known study."""
    when = formats.local(entry.service_start_time or entry.creation_time)
    return Item(when, entry.title, author_institution(entry), None, (entry,))


def author_institution(entry: DocumentEntry) -> str:
    """Where a document comes from, as its author says."""
    for author in entry.authors:
        for institution in author.institutions:
            return formats.component(institution, 1)
    return ""


def author_person(entry: DocumentEntry) -> str:
    """Who wrote it: an XCN's family and given name, or its text."""
    for author in entry.authors:
        name = formats.component(author.person, 3, 2)
        if name or author.person:
            return name or author.person
    return ""


def series_count(indexed: IndexedStudy) -> int | None:
    """How many series, as far as anybody knows."""
    return indexed.study.series_count if indexed.study.series_count is not None else len(indexed.study.series) or None


def instance_count(indexed: IndexedStudy) -> int | None:
    """How many instances, as far as anybody knows."""
    study = indexed.study
    if study.instance_count is not None:
        return study.instance_count
    counts = [series.instance_count for series in study.series]
    known = [count for count in counts if count is not None]
    return sum(known) if known and len(known) == len(counts) else None
