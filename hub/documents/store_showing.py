"""The documents room's tables as rights see them: what a document's confidentiality is now, and what groups hold."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import select, text

from hub.documents.codec import authors_of, mime_type_of
from hub.documents.formats import reference_key
from hub.documents.model import APPROVED, AssociationType, Author
from hub.documents.rows import SEPARATOR
from hub.documents.store import ASSOCIATION, ENTRY, TERM
from hub.storage.arrays import among, listed
from hub.storage.engine import Database, UnitOfWork
from hub.storage.prepared import Prepared

_CHUNK = 1000
MANIFEST = "application/dicom"  #: mimeType of a manifest (RAD TF-3: 4.68.4.1.2.3)
STUDY = "urn:ihe:iti:xds:2016:studyInstanceUID"  #: type of reference (ITI TF-3: 4.2.3.2.28)
_TERM_COLUMNS = (TERM.c.value, ENTRY.c.status, ENTRY.c.confidentiality_codes, ENTRY.c.body)
_REFERRING = {
    "postgresql": "SELECT t.value, e.status, e.confidentiality_codes, e.body "  # noqa: S608 (our own text)
    "FROM documents_term AS t JOIN documents_entry AS e ON e.id = t.object "
    f"WHERE t.attribute = 'reference_ids' AND t.value {among('keys')}",
    "sqlite": "SELECT t.value, e.status, e.confidentiality_codes, e.body "
    "FROM json_each(:keys) AS n CROSS JOIN documents_term AS t ON t.value = n.value AND t.attribute = 'reference_ids' "
    "CROSS JOIN documents_entry AS e ON e.id = t.object",
}
_REFERENCES = Prepared(lambda dialect: text(_REFERRING[dialect]).columns(*_TERM_COLUMNS))


@dataclass(frozen=True, slots=True)
class Marks:
    """What decides who may read a document's bytes: of its last version."""

    codes: frozenset[str]
    authors: tuple[Author, ...]
    repository: str


class ShowingStore:
    """Questions that rights add to a request."""

    def __init__(self, work: UnitOfWork) -> None:
        self._connection = work.connection

    def last_codes(self, logical_ids: Iterable[str]) -> Mapping[str, frozenset[str]]:
        """The confidentiality of each entry's last version, by logical id: codes alone."""
        found: dict[str, frozenset[str]] = {}
        columns = (ENTRY.c.logical_id, ENTRY.c.confidentiality_codes)
        for chunk in _chunks(logical_ids):
            statement = select(*columns).where(ENTRY.c.logical_id.in_(chunk)).order_by(ENTRY.c.version)
            found.update(
                (row.logical_id, _unpacked(row.confidentiality_codes)) for row in self._connection.execute(statement)
            )
        return found

    def held(self, group_ids: Iterable[str]) -> Mapping[str, list[str]]:
        """The entries that submission sets and folders hold, by the group's id; a group without any is left out."""
        found: dict[str, list[str]] = {}
        for chunk in _chunks(group_ids):
            statement = (
                select(ASSOCIATION.c.source, ASSOCIATION.c.target)
                .join(ENTRY, ENTRY.c.id == ASSOCIATION.c.target)
                .where(ASSOCIATION.c.source.in_(chunk), ASSOCIATION.c.type == AssociationType.HAS_MEMBER.value)
            )
            for row in self._connection.execute(statement):
                found.setdefault(row.source, []).append(row.target)
        return found

    def marks(self, unique_ids: Iterable[str]) -> Mapping[str, Marks]:
        """By uniqueId: what the last version says."""
        found: dict[str, Marks] = {}
        columns = (ENTRY.c.unique_id, ENTRY.c.confidentiality_codes, ENTRY.c.repository_unique_id, ENTRY.c.body)
        for chunk in _chunks(unique_ids):
            statement = select(*columns).where(ENTRY.c.unique_id.in_(chunk)).order_by(ENTRY.c.version)
            for row in self._connection.execute(statement):
                codes = _unpacked(row.confidentiality_codes)
                found[row.unique_id] = Marks(codes, authors_of(row.body), row.repository_unique_id)
        return found

    def manifests(self, study_uids: Iterable[str]) -> Mapping[str, frozenset[str]]:
        """Confidentiality codes of the manifests (DICOM objects that refer to the study) by StudyInstanceUID: of those
        that are approved; where none is, of those that were. One question to the database, also about nothing."""
        wanted = {reference_key(f"{uid}^^^^{STUDY}"): uid for uid in study_uids}
        approved: dict[str, frozenset[str]] = {}
        former: dict[str, frozenset[str]] = {}
        rows = _REFERENCES.rows(self._connection, {"keys": listed(self._connection, sorted(wanted))})
        for key, status, codes, body in rows:
            if mime_type_of(body) != MANIFEST:
                continue
            found = approved if status == APPROVED else former
            found[wanted[key]] = found.get(wanted[key], frozenset()) | _unpacked(codes)
        return former | approved


class StudyManifests:
    """What the registry says of studies, for those who decide who may read them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_studies(self, uids: Collection[str]) -> Mapping[str, frozenset[str]]:
        """See ``Manifests`` of the access room."""
        with self._database.reading() as work:
            return ShowingStore(work).manifests(uids)


def _unpacked(keys: str) -> frozenset[str]:
    """Codes of a packed column, without their schemes."""
    return frozenset(key.partition("^^")[0] for key in keys.split(SEPARATOR) if key)


def _chunks(values: Iterable[str]) -> Iterator[list[str]]:
    ordered = sorted(set(values))
    for start in range(0, len(ordered), _CHUNK):
        yield ordered[start : start + _CHUNK]
