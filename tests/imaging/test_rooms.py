"""The imaging room among the real rooms: patients, documents, exchange with its worker."""

from pathlib import Path

from hub.access.rights_model import Everything
from hub.context import Context
from hub.documents.model import DocumentRequest, RetrieveDocuments
from hub.documents.service import DocumentService
from hub.documents.withdrawal import WithdrawalService
from hub.exchange.service import ExchangeService
from hub.exchange.worker import Worker
from hub.imaging.manifest import read_manifest
from hub.imaging.model import FeedReport, Report, StudyState
from hub.imaging.service import ImagingService
from hub.patients.authorities import AuthorityDirectory
from hub.patients.model import Authority, FeedIdentity, Identity, IdentityStatus, MergeIdentities, Traits
from hub.patients.service import PatientService
from hub.storage.content import ContentStore
from hub.storage.engine import Database
from hub.values import PatientIdentifier
from tests.imaging.archive import AFFINITY, STUDY, A, B, FakeSources, WebArchive, study_files

REPOSITORY = "1.2.250.1.999.1.2"
PATIENT = PatientIdentifier("A-1", A.authority_oid)
TRAITS = Traits("DURAND", "ELODIE", "ELODIE", birth_date="19790327", sex="F", birth_place="75112")


def test_a_report_before_its_patient(database: Database, tmp_path: Path) -> None:
    content = ContentStore(tmp_path / "content")
    directory = AuthorityDirectory(
        database=database,
        configured=[Authority(info.authority_oid, info.namespace) for info in (A, B)],
    )
    patients = PatientService(database=database, directory=directory, affinity_domain=AFFINITY)
    documents = DocumentService(
        database=database,
        content=content,
        patients=patients,
        repository_unique_id=REPOSITORY,
        affinity_domains=(AFFINITY,),
        rights=Everything(),
    )
    exchange = ExchangeService(database=database)
    archive = WebArchive("PACS_A", study_files())
    imaging = ImagingService(
        database=database,
        sources=FakeSources(archive, WebArchive("PACS_B")),
        infos=(A, B),
        patients=patients,
        documents=documents,
        withdrawals=WithdrawalService(database=database),
        exchange=exchange,
        content=content,
        cache=tmp_path / "cache",
        source_id="1.2.250.1.999.1.4",
        rights=Everything(),
    )
    imaging.listen(patients)
    worker = Worker(exchange, imaging.handlers())

    report = Report(PATIENT, "F", b"<ClinicalDocument/>", document_id="1.2.3.9", study_instance_uid=STUDY)
    imaging.feed_report(FeedReport(report), Context())
    worker.run_pending()
    assert imaging.indexed(STUDY).state is StudyState.HELD

    fed = patients.feed(FeedIdentity(Identity(PATIENT, TRAITS, IdentityStatus.VALIDATED)), Context())
    worker.run_pending()
    indexed = imaging.indexed(STUDY)
    assert (indexed.state, indexed.person) == (StudyState.PUBLISHED, fed.regional)
    requests = tuple(DocumentRequest(REPOSITORY, uid) for uid in (indexed.manifest_id, *indexed.report_ids))
    found = documents.retrieve(RetrieveDocuments(requests), Context())
    assert not found.failures
    assert read_manifest(found.documents[0].path.read_bytes()).study_instance_uid == STUDY
    assert found.documents[1].path.read_bytes() == report.content

    survivor = Identity(PatientIdentifier("A-2", A.authority_oid), TRAITS, IdentityStatus.VALIDATED)
    merged = patients.merge(MergeIdentities(survivor, PATIENT), Context())
    worker.run_pending()
    assert patients.resolve(PATIENT) == merged.regional
    assert imaging.indexed(STUDY).person == merged.regional
    imaging.close()
