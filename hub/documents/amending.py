"""What the holder of a document says anew of it: its status, its confidentiality (PDSm 3.1, flux 03 and 04).

Everything is a metadata update (ITI-57): new versions, checked by the registry as any other."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from hub.context import Context
from hub.documents.administration import UpdateService
from hub.documents.errors import DocumentChanged, NotAmendable, SeveralDocuments
from hub.documents.model import (
    Association,
    AssociationType,
    DocumentEntry,
    StoredQuery,
    Submission,
    SubmissionSet,
    UpdateDocuments,
)
from hub.documents.queries import QUERIES
from hub.documents.sharing_model import AmendDocument, Custodian, LabelChange, Published
from hub.errors import NotFound
from hub.usecase import use_case
from hub.values import Code, new_uid, new_uuid, now

_GET_DOCUMENTS = next(query.id for query in QUERIES.values() if query.name == "GetDocuments")
_GET_ASSOCIATIONS = next(query.id for query in QUERIES.values() if query.name == "GetAssociations")


class AmendingService:
    """``source_id``: of the submission sets that are made here; ``content_type``: their code, where a document has no
    type; ``custodian``: the French constraints are in force."""

    def __init__(self, *, updates: UpdateService, source_id: str = "", custodian: Custodian | None = None) -> None:
        self.updates = updates
        self.documents = updates.documents
        self.source_id = source_id
        self.custodian = custodian

    @use_case
    def amend(self, command: AmendDocument, context: Context) -> Published:
        """Carry it out, all or nothing. Nothing to change is no error: the document is answered as it is.

        Raises NotFound, SeveralDocuments, DocumentChanged, NotAmendable, and what ITI-57 raises."""
        entry = self._meant(command, context)
        if command.version not in (0, entry.version):
            raise DocumentChanged
        codes = entry.confidentiality_codes
        for change in command.labels:
            codes = _changed(codes, change)
        relabelled = [(code.value, code.scheme) for code in codes] != [
            (code.value, code.scheme) for code in entry.confidentiality_codes
        ]
        restated = command.status not in ("", entry.status)
        if relabelled or restated:
            entry = self._update(entry, codes if relabelled else None, command.status if restated else "", context)
        links = self._query(_GET_ASSOCIATIONS, "$uuid", [entry.id], context)
        starting = tuple(item for item in links if isinstance(item, Association) and item.source == entry.id)
        return Published(entry, starting, self.custodian)

    def _meant(self, command: AmendDocument, context: Context) -> DocumentEntry:
        found: dict[str, DocumentEntry] = {}
        named = (("UniqueId", command.unique_ids), ("EntryUUID", command.entry_ids))
        for name, values in named:
            items = self._query(_GET_DOCUMENTS, f"$XDSDocumentEntry{name}", values, context) if values else ()
            found.update((item.id, item) for item in items if isinstance(item, DocumentEntry))
        if not found:
            raise NotFound
        if len(found) > 1:
            raise SeveralDocuments
        return next(iter(found.values()))

    def _update(
        self, entry: DocumentEntry, codes: tuple[Code, ...] | None, status: str, context: Context
    ) -> DocumentEntry:
        owner = SubmissionSet(
            id=new_uuid(),
            unique_id=new_uid(),
            source_id=self.source_id,
            patient_id=entry.patient_id,
            submission_time=now().strftime("%Y%m%d%H%M%S"),
            content_type_code=entry.type_code,
            authors=entry.authors,
            limited=entry.type_code is None,
        )
        fresh: tuple[DocumentEntry, ...] = ()
        associations: list[Association] = []
        if codes is not None:
            fresh = (replace(entry, id=new_uuid(), confidentiality_codes=codes),)
            link = Association(new_uuid(), AssociationType.HAS_MEMBER, owner.id, fresh[0].id, "Original")
            associations.append(replace(link, previous_version=entry.version))
        if status:
            change = Association(new_uuid(), AssociationType.UPDATE_STATUS, owner.id, entry.id)
            associations.append(replace(change, original_status=entry.status, new_status=status))
        submission = Submission(owner, fresh, associations=tuple(associations))
        stored = self.updates.update(UpdateDocuments(submission), context).submission
        made = stored.entries[0] if stored.entries else entry
        return replace(made, status=status or made.status, home=self.documents.home)

    def _query(self, query: str, parameter: str, values: Sequence[str], context: Context) -> Iterable[object]:
        return self.documents.query(
            StoredQuery(query, {parameter: (tuple(values),)}, leaf_class=False), context
        ).objects


def _changed(codes: tuple[Code, ...], change: LabelChange) -> tuple[Code, ...]:
    if change.added:
        return (*codes, change.code) if change.code is not None else codes
    meant = [
        index
        for index, code in enumerate(codes)
        if change.place in (None, index) and change.scheme in ("", code.scheme)
    ]
    if len(meant) != 1:
        raise NotAmendable(
            "The path leads to no securityLabel, or to several.", location="DocumentReference.securityLabel"
        )
    (place,) = meant
    new = () if change.code is None else (replace(change.code, scheme=change.code.scheme or codes[place].scheme),)
    return (*codes[:place], *new, *codes[place + 1 :])
