"""Documents for those who ask by resource and page: MHD's view of registry and repository (ITI-65 to ITI-68).

Nothing is asked of the database here: every answer is made of stored queries, every change is a ProvideDocuments.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from hub.context import Context
from hub.documents.errors import DocumentUniqueIdError, RegistryMetadataError, UnknownCommunity, UnknownPatientId
from hub.documents.formats import is_uuid
from hub.documents.matching import Listed, fits, in_order
from hub.documents.model import (
    APPROVED,
    DEPRECATED,
    ON_DEMAND,
    STABLE,
    Association,
    AssociationType,
    Content,
    DocumentEntry,
    DocumentRequest,
    Folder,
    ProvideDocuments,
    Registered,
    RegistryObject,
    RetrieveDocuments,
    StoredQuery,
    Submission,
    SubmissionSet,
)
from hub.documents.ports import Elsewhere, Spool
from hub.documents.registration import Patients
from hub.documents.rules import ENTRY_RULES, printable
from hub.documents.service import DocumentService
from hub.documents.sharing_elsewhere import IDS, SET_BY_ID, Gathering, is_elsewhere
from hub.documents.sharing_model import (
    Asked,
    CommunityStatus,
    Custodian,
    DescribeDocument,
    FindShared,
    Matching,
    OpenDocument,
    OpenedDocument,
    ProvideBundle,
    PublishDocument,
    Published,
    SharedPage,
)
from hub.usecase import use_case
from hub.values import Code, PatientIdentifier, new_uid, now

#: What the queries that look for a person's objects call the person and the status.
_FIND = {
    "FindDocuments": "$XDSDocumentEntry",
    "FindDocumentsByReferenceId": "$XDSDocumentEntry",
    "FindSubmissionSets": "$XDSSubmissionSet",
    "FindFolders": "$XDSFolder",
}
_CHUNK = 1000
#: Attributes that a document may leave to the region's settings, and what the standard calls them.
_GENERATED = {
    "class_code": "classCode",
    "type_code": "typeCode",
    "format_code": "formatCode",
    "healthcare_facility_type_code": "healthcareFacilityTypeCode",
    "practice_setting_code": "practiceSettingCode",
}
GENERATED = (*_GENERATED.values(), "confidentialityCode", "contentTypeCode")
_BY_REPOSITORY = frozenset({"hash", "size", "repositoryUniqueId"})


class SharingService:
    """Search by page, retrieval by entry, submission with documents in memory.

    ``affinity_domains``: the main one first; ``source_id``: of the submission sets that are made here; ``custodian``:
    the French constraints (PDSm) are in force, and this is who keeps the documents; ``generated``: the standard's name
    of an attribute -> the code of a document that does not tell it (ITI-106); ``language``: as well. ``elsewhere``:
    other communities, once they can be asked."""

    def __init__(
        self,
        *,
        documents: DocumentService,
        content: Spool,
        patients: Patients,
        affinity_domains: Iterable[str],
        source_id: str = "",
        custodian: Custodian | None = None,
        generated: Mapping[str, Code] | None = None,
        language: str = "",
    ) -> None:
        self.documents = documents
        self.content = content
        self.patients = patients
        self.domains = tuple(affinity_domains)
        self.source_id = source_id
        self.custodian = custodian
        self.generated = dict(generated or {})
        self.language = language
        self.elsewhere: Elsewhere | None = None

    @use_case
    def find(self, command: FindShared, context: Context) -> SharedPage:
        """One page, the newest first (MHD: 2:3.66, 2:3.67). A person whom nobody knows has nothing: an empty page."""
        patient = None
        gathering = self._gathering(command, context)
        here = not command.community and (not command.communities or self.documents.home in command.communities)
        strangers = self._unknown(command, gathering)
        if strangers and not here and gathering is None:
            raise UnknownCommunity(location="targetCommunityIdList")
        if command.patient is not None:
            patient = self._meant(command.patient)
            if patient is None:
                if self.documents.rights.plain(context):
                    return SharedPage(custodian=self.custodian)
                patient = PatientIdentifier(command.patient.value, command.patient.authority or self.domains[0])
        found: list[Listed] = []
        if here:
            every = [self._any_of(group, patient, command, context) for group in command.asked]
            found = [item for key, item in every[0].items() if all(key in other for other in every[1:])]
        if gathering is not None:
            found += gathering.listed(
                command, patient, lambda query: self._of_person(query, patient, command.matching), self._meant
            )
            if not here:
                gathering.check()
        found = in_order(filter(fits(command.matching), found), command.sort)
        page = tuple(found[command.offset : command.offset + command.limit])
        starting = self._starting_at([item.id for item in page if not is_elsewhere(item.id)], context)
        members = self._members(starting, context) if command.lists else ()
        shared = SharedPage(page, len(found), starting, members, self.custodian)
        if gathering is not None:
            shared = gathering.completed(shared, command.lists)
        return replace(shared, communities=(*shared.communities, *strangers)) if strangers else shared

    def _unknown(self, command: FindShared, gathering: Gathering | None) -> list[CommunityStatus]:
        """The communities that the search names and nobody knows."""
        known = {self.documents.home, *(gathering.homes if gathering is not None else ())}
        names = [printable(home) for home in dict.fromkeys(command.communities) if home not in known]
        return [CommunityStatus(name, name, answered=False, reason=UnknownCommunity.title) for name in names]

    def _gathering(self, command: FindShared, context: Context) -> Gathering | None:
        """Who else is asked: the community of an id, those that are named, or all about a person.

        Raises UnknownCommunity."""
        if self.elsewhere is None:
            if command.community:
                raise UnknownCommunity()
            return None
        if command.community:
            homes: tuple[str, ...] = (self.elsewhere.home_of(command.community),)
        elif command.communities or command.patient is not None:
            homes = self.elsewhere.meant(command.communities)
        else:
            homes = ()
        return Gathering(self.elsewhere, homes, context) if homes else None

    @use_case
    def open(self, command: OpenDocument, context: Context) -> OpenedDocument:
        """Where a document's bytes are (MHD: 2:3.68). Raises DocumentUniqueIdError."""
        if not is_uuid(command.entry_id):
            raise DocumentUniqueIdError()
        if command.community:
            if self.elsewhere is None:
                raise DocumentUniqueIdError()
            home = self.elsewhere.home_of(command.community)
            return Gathering(self.elsewhere, (home,), context).opened(command.entry_id)
        entry = self.documents.entry_by_id(command.entry_id, context)
        request = DocumentRequest(entry.repository_unique_id, entry.unique_id)
        outcome = self.documents.retrieve(RetrieveDocuments((request,)), context)
        for _, error in outcome.failures:
            raise error
        return OpenedDocument(entry, outcome.documents[0])

    @use_case
    def provide(self, command: ProvideBundle, context: Context) -> Registered:
        """Keep documents and register them: ITI-41's path, all or nothing (MHD: 2:3.65).

        Raises the specific DocumentError."""
        self._check_french(command.french)
        patient = self._meant(command.submission.submission_set.patient_id)
        if patient is None:
            raise UnknownPatientId(location="patientId")
        return self._provide(_about(command.submission, patient), command.documents, context)

    @use_case
    def publish(self, command: PublishDocument, context: Context) -> Published:
        """Keep one document and register it in a submission set of its own (MHD: 2:3.105).

        What lacks an attribute of comprehensive metadata is registered with limited metadata. Raises the specific
        DocumentError."""
        self._check_french(command.french)
        given = command.entry.patient_id
        patient = self._meant(given)
        if patient is None:
            raise UnknownPatientId(location="patientId")
        entry = replace(command.entry, patient_id=patient)
        if given.authority and not entry.source_patient_id:
            entry = replace(entry, source_patient_id=given.cx)
        return self._publish(entry, command.data, command.associations, context)

    @use_case
    def describe(self, command: DescribeDocument, context: Context) -> Published:
        """Keep a document with the metadata that was read out of it (MHD: 2:3.106).

        One that is registered already keeps its entry. Raises the specific DocumentError."""
        known = ((given, self._meant(given)) for given in command.patients)
        given, patient = next(((given, found) for given, found in known if found is not None), (None, None))
        if given is None or patient is None:
            raise UnknownPatientId(location="patientId")
        entry = self._completed(replace(command.entry, patient_id=patient))
        if not entry.source_patient_id:
            entry = replace(entry, source_patient_id=(given if given.authority else patient).cx)
        registered = self._registered(entry, command.data)
        if registered is not None:
            return Published(registered, self._starting_at([registered.id], context), self.custodian)
        return self._publish(entry, command.data, (), context)

    def _check_french(self, missing: tuple[str, ...]) -> None:
        if self.custodian is not None and missing:
            raise RegistryMetadataError(
                f"{missing[0]} is not as the French constraints want it (PDSm 3.1).",
                location=missing[0],
                section="PDSm",
            )

    def _completed(self, entry: DocumentEntry) -> DocumentEntry:
        """With the region's codes, where the document names none."""
        filled = {
            name: self.generated[attribute]
            for name, attribute in _GENERATED.items()
            if getattr(entry, name) is None and attribute in self.generated
        }
        usual = self.generated.get("confidentialityCode")
        return replace(
            entry,
            **filled,  # type: ignore[arg-type]
            confidentiality_codes=entry.confidentiality_codes or ((usual,) if usual else ()),
            language_code=entry.language_code or self.language,
        )

    def _registered(self, entry: DocumentEntry, data: bytes) -> DocumentEntry | None:
        """The current entry of the very same document."""
        try:
            found = self.documents.entry(entry.unique_id)
        except DocumentUniqueIdError:
            return None
        same = found.hash == hashlib.sha1(data, usedforsecurity=False).hexdigest()
        return found if same and found.status == APPROVED and found.patient_id == entry.patient_id else None

    def _publish(
        self, entry: DocumentEntry, data: bytes, associations: tuple[Association, ...], context: Context
    ) -> Published:
        content_type = self.generated.get("contentTypeCode") or entry.type_code
        owner = SubmissionSet(
            id="SubmissionSet01",
            unique_id=new_uid(),
            source_id=self.source_id,
            patient_id=entry.patient_id,
            submission_time=now().strftime("%Y%m%d%H%M%S"),
            content_type_code=content_type,
            authors=entry.authors,
            title=entry.title,
            limited=content_type is None,
        )
        member = Association("HasMember01", AssociationType.HAS_MEMBER, owner.id, entry.id, "Original")
        entry = replace(entry, limited=not _is_comprehensive(entry))
        submission = Submission(owner, (entry,), associations=(member, *associations))
        stored = self._provide(submission, ((entry.id, data),), context).submission
        (made,) = stored.entries
        links = tuple(item for item in stored.associations if item.source == made.id)
        return Published(replace(made, home=self.documents.home), links, self.custodian)

    def _provide(self, submission: Submission, documents: Iterable[tuple[str, bytes]], context: Context) -> Registered:
        contents: list[Content] = []
        try:
            for entry_id, data in documents:
                file = self.content.receive([data])
                contents.append(Content(entry_id, file.path, file.size, file.sha1))
        except BaseException:
            for content in contents:
                content.path.unlink(missing_ok=True)
            raise
        return self.documents.provide(ProvideDocuments(submission, tuple(contents)), context)

    def _meant(self, identifier: PatientIdentifier) -> PatientIdentifier | None:
        """The surviving regional identifier; a number without authority is a regional one."""
        domains = (identifier.authority,) if identifier.authority else self.domains
        for domain in domains:
            found = self.patients.resolve(PatientIdentifier(identifier.value, domain))
            if found is not None:
                return found
        return None

    def _any_of(
        self, group: tuple[Asked, ...], patient: PatientIdentifier | None, command: FindShared, context: Context
    ) -> Mapping[str, Listed]:
        kinds = (SubmissionSet, Folder) if command.lists else (DocumentEntry,)
        found: dict[str, Listed] = {}
        for asked in group:
            parameters = {**self._of_person(asked.query, patient, command.matching), **asked.parameters}
            wanted = (SubmissionSet,) if asked.query == SET_BY_ID else kinds
            for item in self._query(asked.query, parameters, context):
                if isinstance(item, wanted):
                    found[item.id] = item
        return found

    def _of_person(
        self, query: str, patient: PatientIdentifier | None, matching: Matching
    ) -> Mapping[str, tuple[tuple[str, ...], ...]]:
        prefix = _FIND.get(query)
        if prefix is None or patient is None:
            return {}
        statuses = matching.statuses or (APPROVED, DEPRECATED)
        found = {f"{prefix}PatientId": ((patient.cx,),), f"{prefix}Status": (statuses,)}
        if prefix == "$XDSDocumentEntry":  # a resource does not say which it is: both are shown and can be opened
            found[f"{prefix}Type"] = ((STABLE, ON_DEMAND),)
        return found

    def _starting_at(self, ids: list[str], context: Context) -> tuple[Association, ...]:
        found = self._in_chunks("GetAssociations", "$uuid", ids, context)
        known = set(ids)
        return tuple(item for item in found if isinstance(item, Association) and item.source in known)

    def _members(self, associations: Iterable[Association], context: Context) -> tuple[DocumentEntry | Folder, ...]:
        targets = [item.target for item in associations if item.type == AssociationType.HAS_MEMBER]
        entries = self._in_chunks("GetDocuments", "$XDSDocumentEntryEntryUUID", targets, context)
        folders = self._in_chunks("GetFolders", "$XDSFolderEntryUUID", targets, context)
        return tuple(item for item in (*entries, *folders) if isinstance(item, DocumentEntry | Folder))

    def _in_chunks(self, query: str, parameter: str, ids: list[str], context: Context) -> Iterator[RegistryObject]:
        for start in range(0, len(ids), _CHUNK):
            yield from self._query(query, {parameter: (tuple(ids[start : start + _CHUNK]),)}, context)

    def _query(
        self, query: str, parameters: Mapping[str, tuple[tuple[str, ...], ...]], context: Context
    ) -> tuple[RegistryObject, ...]:
        return self.documents.query(StoredQuery(IDS[query], parameters, leaf_class=False), context).objects


def _about(submission: Submission, patient: PatientIdentifier) -> Submission:
    """The submission about the regional identifier, where the objects name the same person as the set does."""
    given = submission.submission_set.patient_id

    def about(item: Any) -> Any:
        return replace(item, patient_id=patient) if item.patient_id == given else item

    return replace(
        submission,
        submission_set=about(submission.submission_set),
        entries=tuple(map(about, submission.entries)),
        folders=tuple(map(about, submission.folders)),
    )


def _is_comprehensive(entry: DocumentEntry) -> bool:
    """Whether every attribute is there that metadata must have when it is not limited (ITI TF-3: Table 4.3.1-3)."""
    asked = (rule for rule in ENTRY_RULES if rule.least and rule.attribute not in _BY_REPOSITORY)
    return all(any(True for _ in rule.read(entry)) for rule in asked)
