"""The imaging room among the real rooms, an archive whose content changes, and rejection notes."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, KeyObjectSelectionDocumentStorage

from hub.access.rights_model import Everything
from hub.context import Context
from hub.documents.model import APPROVED, DEPRECATED, Association, AssociationType, DocumentEntry, StoredQuery
from hub.documents.queries import QUERIES
from hub.documents.service import DocumentService
from hub.documents.withdrawal import WithdrawalService
from hub.exchange.service import ExchangeService
from hub.exchange.worker import Worker
from hub.imaging.life import ManifestLife
from hub.imaging.manifest import Manifest, read_manifest
from hub.imaging.manifest_model import CheckManifests, CheckReport, Flavour
from hub.imaging.service import ImagingService
from hub.patients.authorities import AuthorityDirectory
from hub.patients.model import Authority, FeedIdentity, Identity, IdentityStatus, Traits
from hub.patients.service import PatientService
from hub.storage.content import ContentStore
from hub.storage.engine import Database
from hub.values import PatientIdentifier, now
from tests.imaging.archive import AFFINITY, A, B, FakeSources, WebArchive

REPOSITORY = "1.2.250.1.999.1.2"
PATIENT = PatientIdentifier("A-1", A.authority_oid)
TRAITS = Traits("DURAND", "ELODIE", "ELODIE", birth_date="19790327", sex="F", birth_place="75112")
_FIND = {query.name: query.id for query in QUERIES.values()}


@dataclass
class Living:
    """Everything that a manifest's life needs."""

    patients: PatientService
    documents: DocumentService
    exchange: ExchangeService
    imaging: ImagingService
    life: ManifestLife
    worker: Worker
    archive: WebArchive

    def identity(self, number: str = "A-1", **traits: Any) -> PatientIdentifier:
        """Feed an identity of hospital A; its regional identifier."""
        identity = Identity(
            PatientIdentifier(number, A.authority_oid), TRAITS if not traits else Traits(**traits),
            IdentityStatus.VALIDATED,
        )  # fmt: skip
        return self.patients.feed(FeedIdentity(identity), Context()).regional

    def work(self) -> None:
        """Carry out everything that is queued, what is put off as well."""
        with self.exchange.database.transaction() as work:
            work.connection.exec_driver_sql("UPDATE exchange_delivery SET due_at = created_at WHERE state = 'waiting'")
        self.worker.run_pending()

    def found(self, person: PatientIdentifier, *, status: str = APPROVED, mime: str = "") -> list[DocumentEntry]:
        """ITI-18 FindDocuments."""
        query = StoredQuery(
            _FIND["FindDocuments"],
            {"$XDSDocumentEntryPatientId": ((person.cx,),), "$XDSDocumentEntryStatus": ((status,),)},
        )
        objects = self.documents.query(query, Context()).objects
        return [item for item in objects if isinstance(item, DocumentEntry) and mime in ("", item.mime_type)]

    def manifests(self, person: PatientIdentifier, *, status: str = APPROVED) -> list[Manifest]:
        """The KOS manifests that the registry shows, read from the repository."""
        return [
            read_manifest(self.documents.open_content(entry.unique_id).path.read_bytes())
            for entry in self.found(person, status=status, mime="application/dicom")
        ]

    def deprecated(self, person: PatientIdentifier) -> int:
        """How many manifests are deprecated."""
        return len(self.found(person, status=DEPRECATED, mime="application/dicom"))

    def relations(self, entry: DocumentEntry) -> list[tuple[str, str]]:
        """(type, target) of the associations that start at an entry (ITI-18 GetAssociations)."""
        query = StoredQuery(_FIND["GetAssociations"], {"$uuid": ((entry.id,),)})
        objects = self.documents.query(query, Context()).objects
        return [
            (item.type, item.target)
            for item in objects
            if isinstance(item, Association) and item.source == entry.id and item.type != AssociationType.HAS_MEMBER
        ]

    def check(self, *, repair: bool = False) -> CheckReport:
        """What the nightly check says."""
        report = self.life.check(CheckManifests(repair=repair), Context())
        assert report is not None
        return report


def living(database: Database, directory: Path, flavour: Flavour = Flavour.XDS_I) -> Living:
    """The rooms on a database. Close ``imaging`` at the end."""
    content = ContentStore(directory / "content")
    authorities = AuthorityDirectory(
        database=database, configured=[Authority(info.authority_oid, info.namespace) for info in (A, B)]
    )
    patients = PatientService(database=database, directory=authorities, affinity_domain=AFFINITY)
    documents = DocumentService(
        database=database,
        content=content,
        patients=patients,
        repository_unique_id=REPOSITORY,
        affinity_domains=(AFFINITY,),
        rights=Everything(),
    )
    withdrawals = WithdrawalService(database=database)
    exchange = ExchangeService(database=database)
    archive = WebArchive("PACS_A")
    imaging = ImagingService(
        database=database,
        sources=FakeSources(archive, WebArchive("PACS_B")),
        infos=(A, B),
        patients=patients,
        documents=documents,
        withdrawals=withdrawals,
        exchange=exchange,
        content=content,
        cache=directory / "cache",
        source_id="1.2.250.1.999.1.4",
        retrieve_url="https://hub.example/dicom-web",
        flavour=flavour,
        rights=Everything(),
    )
    imaging.listen(patients)
    life = ManifestLife(database=database, imaging=imaging, documents=documents, withdrawals=withdrawals)
    worker = Worker(exchange, imaging.handlers())
    return Living(patients, documents, exchange, imaging, life, worker, archive)


def key_object(
    instances: Iterable[Dataset], code: str = "113001", meaning: str = "Rejected for Quality Reasons", uid: str = ""
) -> Dataset:
    """A Key Object Selection that refers to instances of one study."""
    instances = list(instances)
    first = instances[0]
    note = Dataset()
    note.SpecificCharacterSet = "ISO_IR 192"
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate",
                    "StudyTime", "AccessionNumber", "StudyID", "ReferringPhysicianName"):  # fmt: skip
        setattr(note, keyword, first.get(keyword, ""))
    note.SOPClassUID = KeyObjectSelectionDocumentStorage
    note.SOPInstanceUID = uid or f"{first.StudyInstanceUID}.99.{code}"
    note.SeriesInstanceUID = f"{first.StudyInstanceUID}.99"
    note.Modality, note.SeriesNumber, note.InstanceNumber = "KO", 99, 1
    moment = now()
    note.ContentDate, note.ContentTime = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S")
    note.Manufacturer = "Test"
    note.ReferencedPerformedProcedureStepSequence = []
    note.ValueType, note.ContinuityOfContent = "CONTAINER", "SEPARATE"
    note.ConceptNameCodeSequence = [_code(code, meaning)]
    text = Dataset()
    text.RelationshipType, text.ValueType, text.TextValue = "CONTAINS", "TEXT", "Bewegungsartefakt"
    text.ConceptNameCodeSequence = [_code("113012", "Key Object Description")]
    note.ContentSequence = [text, *(_contains(item) for item in instances)]
    study = Dataset()
    study.StudyInstanceUID = first.StudyInstanceUID
    study.ReferencedSeriesSequence = [_series(item) for item in instances]
    note.CurrentRequestedProcedureEvidenceSequence = [study]
    note.file_meta = FileMetaDataset()
    note.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    note.file_meta.MediaStorageSOPClassUID = note.SOPClassUID
    note.file_meta.MediaStorageSOPInstanceUID = note.SOPInstanceUID
    return note


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item


def _sop(instance: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = instance.SOPClassUID, instance.SOPInstanceUID
    return item


def _contains(instance: Dataset) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", "IMAGE"
    item.ReferencedSOPSequence = [_sop(instance)]
    return item


def _series(instance: Dataset) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID = instance.SeriesInstanceUID
    item.ReferencedSOPSequence = [_sop(instance)]
    return item


def instances(manifest: Manifest) -> int:
    """How many instances a manifest names."""
    return sum(len(series.instances) for series in manifest.series)


def loaded(content: bytes) -> Any:
    """JSON text."""
    return json.loads(content)
