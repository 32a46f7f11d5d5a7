"""Submissions for tests: valid by default, changed with ``dataclasses.replace``."""

import hashlib
import itertools
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hub.access.rights_model import Everything
from hub.context import Context
from hub.documents.model import (
    APPROVED,
    Association,
    AssociationType,
    Author,
    Content,
    DocumentEntry,
    Folder,
    ReferenceId,
    RegisterDocuments,
    Registered,
    RegistryObject,
    StoredQuery,
    Submission,
    SubmissionSet,
)
from hub.documents.queries import QUERIES
from hub.documents.service import DocumentService
from hub.storage.content import ContentStore
from hub.storage.engine import Database
from hub.values import Code, PatientIdentifier, new_uid

DOMAIN = "1.2.250.1.999.1.1"
REPOSITORY = "1.2.250.1.999.1.2"
HOME = "urn:oid:1.2.250.1.999.1.3"
ANNE = PatientIdentifier("R1", DOMAIN)
ANNE_ALIAS = PatientIdentifier("R0", DOMAIN)
BERT = PatientIdentifier("R2", DOMAIN)
STRANGER = PatientIdentifier("R9", DOMAIN)

DE, SS, FOL = "$XDSDocumentEntry", "$XDSSubmissionSet", "$XDSFolder"
_NUMBER = itertools.count(1)


class Region:
    """The patients room, for these tests: persons as tuples of identifiers, the surviving one first."""

    def __init__(self, *persons: tuple[PatientIdentifier, ...]) -> None:
        self.persons = list(persons)

    def equivalents(self, identifier: PatientIdentifier, *, wholly: bool = False) -> tuple[PatientIdentifier, ...]:  # noqa: ARG002
        return next((person for person in self.persons if identifier in person), ())

    def resolve(self, identifier: PatientIdentifier) -> PatientIdentifier | None:
        return next(iter(self.equivalents(identifier)), None)

    def registered(self, identifier: PatientIdentifier) -> bool:
        return bool(self.equivalents(identifier))


def service_on(database: Database, directory: Path, **options: Any) -> DocumentService:
    return DocumentService(
        database=database,
        content=ContentStore(directory),
        patients=options.pop("patients", None) or Region((ANNE, ANNE_ALIAS), (BERT,)),
        repository_unique_id=REPOSITORY,
        affinity_domains=(DOMAIN,),
        home_community_id=HOME,
        **{"rights": Everything(), **options},
    )


def code(value: str, scheme: str = "1.2.3.4") -> Code:
    return Code(value, scheme, value.title())


def entry(patient: PatientIdentifier = ANNE, **changes: Any) -> DocumentEntry:
    number = next(_NUMBER)
    base = DocumentEntry(
        id=f"Document{number:04}",
        unique_id=f"{new_uid()}",
        patient_id=patient,
        mime_type="application/dicom",
        class_code=code("IMAGING"),
        type_code=code("CT"),
        format_code=code("KOS"),
        healthcare_facility_type_code=code("HOSPITAL"),
        practice_setting_code=code("RADIOLOGY"),
        confidentiality_codes=(code("N"),),
        event_codes=(code("CHEST"), code("CT")),
        authors=(Author("801234^Curie^Marie", ("Hôpital A^^^^^&1.2.250.1.1&ISO",), ("PS",)),),
        creation_time="20240301101500",
        service_start_time="20240301100000",
        service_stop_time="20240301101000",
        language_code="fr-FR",
        source_patient_id="4711^^^&1.2.250.1.71&ISO",
        source_patient_info=("PID-5|Dupont^Anne",),
        reference_ids=(ReferenceId("A1", "1.2.250.1.72", "urn:ihe:iti:xds:2013:accession"),),
        title="Scanner thoracique",
        hash=hashlib.sha1(str(number).encode()).hexdigest(),
        size=100 + number,
        repository_unique_id=REPOSITORY,
    )
    return replace(base, **changes)


def submission_set(patient: PatientIdentifier = ANNE, **changes: Any) -> SubmissionSet:
    base = SubmissionSet(
        id="SubmissionSet01",
        unique_id=new_uid(),
        source_id="1.2.250.1.999.1.4",
        patient_id=patient,
        submission_time="20240301120000",
        content_type_code=code("IMAGING"),
        authors=(Author("801234^Curie^Marie"),),
    )
    return replace(base, **changes)


def folder(patient: PatientIdentifier = ANNE, **changes: Any) -> Folder:
    base = Folder(
        id=f"Folder{next(_NUMBER):04}",
        unique_id=new_uid(),
        patient_id=patient,
        codes=(code("STROKE"),),
        title="Dossier",
    )
    return replace(base, **changes)


def member(source: str, target: str, status: str = "") -> Association:
    return Association(
        f"as{next(_NUMBER):05}", AssociationType.HAS_MEMBER, source, target, submission_set_status=status
    )


def relation(kind: AssociationType, source: str, target: str) -> Association:
    return Association(f"as{next(_NUMBER):05}", kind, source, target)


def submit(
    *entries: DocumentEntry,
    folders: Iterable[Folder] = (),
    also: Iterable[Association] = (),
    in_folders: Iterable[Association] = (),
    patient: PatientIdentifier | None = None,
    **set_changes: Any,
) -> Submission:
    """A submission of the entries and folders, with the memberships that it needs."""
    folders, in_folders = tuple(folders), tuple(in_folders)
    patients = [item.patient_id for item in entries] + [item.patient_id for item in folders]
    about = patient or next(iter(patients), ANNE)
    owner = submission_set(about, **set_changes)
    return Submission(
        owner,
        entries,
        folders,
        (
            *(member(owner.id, item.id, "Original") for item in entries),
            *(member(owner.id, item.id) for item in folders),
            *in_folders,
            *(member(owner.id, item.id) for item in in_folders),
            *also,
        ),
    )


def register(service: DocumentService, submission: Submission) -> Registered:
    return service.register(RegisterDocuments(submission), Context())


def content(store: ContentStore, entry_id: str, data: bytes) -> Content:
    received = store.receive([data])
    return Content(entry_id, received.path, received.size, received.sha1)


def ask(
    service: DocumentService, name: str, *, leaf_class: Any = True, **parameters: Any
) -> tuple[RegistryObject, ...]:
    """Ask a stored query. A parameter's name is without its ``$``; a value is a text, a list (OR), a list of lists."""
    query_id = next(query.id for query in QUERIES.values() if query.name == name)
    groups = {f"${key}": _groups(value) for key, value in parameters.items()}
    return service.query(StoredQuery(query_id, groups, leaf_class=leaf_class), Context()).objects


def find(service: DocumentService, patient: PatientIdentifier = ANNE, **parameters: Any) -> list[str]:
    """FindDocuments: the uniqueIds. Parameters without their prefix."""
    named = {f"XDSDocumentEntry{key}": value for key, value in {"Status": APPROVED, **parameters}.items()}
    found = ask(service, "FindDocuments", XDSDocumentEntryPatientId=patient.cx, **named)
    return [item.unique_id for item in found if isinstance(item, DocumentEntry)]


def _groups(value: Any) -> tuple[tuple[str, ...], ...]:
    if isinstance(value, str):
        return ((value,),)
    if value and isinstance(value[0], list | tuple):
        return tuple(tuple(group) for group in value)
    return (tuple(value),)


def kinds(objects: Iterable[RegistryObject]) -> dict[str, int]:
    """How many objects of each kind."""
    counted: dict[str, int] = {}
    for item in objects:
        counted[type(item).__name__] = counted.get(type(item).__name__, 0) + 1
    return counted
