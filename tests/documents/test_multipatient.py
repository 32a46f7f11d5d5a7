"""ITI-51, and the stored queries that leave something out."""

from typing import Any

import pytest

from hub.access.rights_model import Everything
from hub.context import Context
from hub.documents import search
from hub.documents.errors import StoredQueryMissingParam, TooManyResults, UnknownCommunity, UnknownStoredQuery
from hub.documents.model import (
    APPROVED,
    DEPRECATED,
    OFFLINE,
    ONLINE,
    AssociationType,
    Author,
    DocumentEntry,
    Folder,
    MultiPatientQuery,
    ReferenceId,
    StoredQuery,
)
from hub.documents.multipatient import MultiPatientService
from hub.documents.queries import MULTI_PATIENT
from hub.documents.service import DocumentService
from hub.storage.engine import Database
from tests.documents.builders import (
    ANNE,
    ANNE_ALIAS,
    BERT,
    HOME,
    STRANGER,
    Region,
    ask,
    code,
    entry,
    find,
    folder,
    member,
    register,
    relation,
    submit,
)

DE, FOL = "$XDSDocumentEntry", "$XDSFolder"


@pytest.fixture
def many(database: Database) -> MultiPatientService:
    return MultiPatientService(
        database=database,
        patients=Region((ANNE, ANNE_ALIAS), (BERT,)),
        home_community_id=HOME,
        max_results=5,
        rights=Everything(),
    )


def of_many(service: MultiPatientService, name: str, **parameters: Any) -> set[str]:
    """The uniqueIds. A parameter without its prefix; a value is a list (OR) or a list of lists (AND)."""
    query = next(query for query in MULTI_PATIENT.values() if query.name == name)
    prefix = FOL if "Folders" in name else DE
    groups = {
        f"{prefix}{key}": tuple(map(tuple, value)) if isinstance(value[0], list) else (tuple(value),)
        for key, value in {"Status": [APPROVED], **parameters}.items()
    }
    context = Context()
    found = service.query(MultiPatientQuery(StoredQuery(query.id, groups)), context).objects
    assert all(isinstance(item, DocumentEntry | Folder) for item in found)
    about = {item.patient_id.cx for item in found if isinstance(item, DocumentEntry | Folder)}
    assert {item.reference for item in context.touched if item.kind == "patient"} == about
    return {item.unique_id for item in found if isinstance(item, DocumentEntry | Folder)}


def test_documents_of_several_patients(service: DocumentService, many: MultiPatientService) -> None:
    mine, theirs = entry(ANNE_ALIAS), entry(BERT, class_code=code("OTHER"), event_codes=(code("MR"),))
    register(service, submit(mine))
    register(service, submit(theirs))
    both = {mine.unique_id, theirs.unique_id}
    name = "FindDocumentsForMultiplePatients"
    assert of_many(many, name, PatientId=[ANNE.cx, BERT.cx]) == both
    assert of_many(many, name, PatientId=[STRANGER.cx, BERT.cx]) == {theirs.unique_id}
    assert of_many(many, name, PatientId=[STRANGER.cx]) == set()
    assert of_many(many, name, HealthcareFacilityTypeCode=["HOSPITAL^^1.2.3.4"]) == both
    assert of_many(many, name, ClassCode=["OTHER^^1.2.3.4", "NONE^^1.2.3.4"]) == {theirs.unique_id}
    assert of_many(many, name, EventCodeList=["MR^^1.2.3.4", "CT^^1.2.3.4"]) == both
    assert of_many(many, name, EventCodeList=[["CT^^1.2.3.4"], ["MR^^1.2.3.4"]]) == set()
    assert of_many(many, name, EventCodeList=["MR^^1.2.3.4"], ClassCode=["IMAGING^^1.2.3.4"]) == set()
    assert of_many(many, name, ClassCode=["IMAGING^^1.2.3.4"], Status=[DEPRECATED]) == set()
    assert of_many(many, name, ClassCode=["IMAGING^^1.2.3.4"], AuthorPerson=["%Curie%"]) == {mine.unique_id}
    with pytest.raises(StoredQueryMissingParam):
        of_many(many, name, TypeCode=["CT^^1.2.3.4"])


def test_documents_by_reference_whoever_they_are_of(service: DocumentService, many: MultiPatientService) -> None:
    accession = ReferenceId("A7", "1.2.250.1.72", "urn:ihe:iti:xds:2013:accession")
    order = ReferenceId("O1", "1.2.250.1.73", "urn:ihe:iti:xds:2013:order")
    mine, theirs = entry(ANNE, reference_ids=(accession, order)), entry(BERT, reference_ids=(accession,))
    register(service, submit(mine, entry()))
    register(service, submit(theirs))
    name = "FindDocumentsByReferenceIdForMultiplePatients"
    assert of_many(many, name, ReferenceIdList=[accession.text]) == {mine.unique_id, theirs.unique_id}
    assert of_many(many, name, ReferenceIdList=[[accession.text], [order.text]]) == {mine.unique_id}
    assert of_many(many, name, ReferenceIdList=[accession.text], PatientId=[BERT.cx]) == {theirs.unique_id}
    with pytest.raises(StoredQueryMissingParam):
        of_many(many, name, PatientId=[BERT.cx])


def test_folders_of_several_patients(service: DocumentService, many: MultiPatientService) -> None:
    mine, theirs = folder(ANNE), folder(BERT, codes=(code("STROKE"), code("TRIAL")))
    register(service, submit(folders=[mine]))
    register(service, submit(folders=[theirs]))
    name = "FindFoldersForMultiplePatients"
    assert of_many(many, name, CodeList=["STROKE^^1.2.3.4"]) == {mine.unique_id, theirs.unique_id}
    assert of_many(many, name, CodeList=[["STROKE^^1.2.3.4"], ["TRIAL^^1.2.3.4"]]) == {theirs.unique_id}
    assert of_many(many, name, PatientId=[ANNE.cx]) == {mine.unique_id}
    with pytest.raises(StoredQueryMissingParam):
        of_many(many, name)


def test_the_answer_and_the_search_are_bounded(
    service: DocumentService, many: MultiPatientService, monkeypatch: pytest.MonkeyPatch
) -> None:
    rare = entry(BERT, event_codes=(code("RARE"),))
    register(service, submit(*(entry() for _ in range(6))))
    register(service, submit(rare))
    name = "FindDocumentsForMultiplePatients"
    common = ["IMAGING^^1.2.3.4"]
    with pytest.raises(TooManyResults):
        of_many(many, name, ClassCode=common)
    with pytest.raises(TooManyResults):
        of_many(many, name, ClassCode=common, AuthorPerson=["%Curie%"])
    monkeypatch.setattr(search, "MOST_CANDIDATES", 3)
    with pytest.raises(TooManyResults):  # nothing is looked at: the code alone is too common
        of_many(many, name, ClassCode=common, FormatCode=["NONE^^1.2.3.4"])
    assert of_many(many, name, ClassCode=common, EventCodeList=["RARE^^1.2.3.4"]) == {rare.unique_id}
    assert of_many(many, name, ClassCode=common, PatientId=[BERT.cx]) == {rare.unique_id}


def test_single_patient_queries_stay_where_they_are(service: DocumentService, many: MultiPatientService) -> None:
    with pytest.raises(UnknownStoredQuery):
        many.query(MultiPatientQuery(StoredQuery("urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d", {})), Context())
    with pytest.raises(UnknownStoredQuery):
        service.query(StoredQuery("urn:uuid:3d1bdb10-39a2-11de-89c2-2f44d94eaa9f", {}), Context())
    with pytest.raises(UnknownCommunity):
        many.query(MultiPatientQuery(StoredQuery("urn:uuid:x", {}, home="urn:oid:1.9")), Context())


@pytest.mark.parametrize(
    ("parameters", "left"),
    [
        ({}, "ab"),
        ({"ClassCodeExclude": ["OTHER^^1.2.3.4"]}, "a"),
        ({"ClassCodeExclude": ["IMAGING^^1.2.3.4", "OTHER^^1.2.3.4"]}, ""),
        ({"EventCodeListExclude": ["MR^^1.2.3.4"]}, "a"),
        ({"EventCodeListExclude": [["MR^^1.2.3.4"], ["HEAD^^1.2.3.4"]]}, "a"),
        ({"EventCodeListExclude": [["MR^^1.2.3.4"], ["CT^^1.2.3.4"]]}, "ab"),
        ({"AuthorPersonExclude": ["%Curie%"]}, "b"),
        ({"ReferenceIdListExclude": ["A1^^^&1.2.250.1.72&ISO^urn:ihe:iti:xds:2013:accession"]}, "b"),
        ({"TypeExclude": ["urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248"]}, "ab"),
        ({"ClassCode": ["IMAGING^^1.2.3.4"], "TypeCodeExclude": ["MR^^1.2.3.4"]}, "a"),
    ],
)
def test_exclusions(service: DocumentService, parameters: dict[str, Any], left: str) -> None:
    first = entry()
    second = entry(
        class_code=code("OTHER"),
        event_codes=(code("MR"), code("HEAD")),
        authors=(Author("1^Pasteur"),),
        reference_ids=(),
    )
    register(service, submit(first, second))
    named = {f"XDSDocumentEntry{key}": value for key, value in {"Status": APPROVED, **parameters}.items()}
    found = ask(service, "FindDocumentsExclude", XDSDocumentEntryPatientId=ANNE.cx, **named)
    names = {first.unique_id: "a", second.unique_id: "b"}
    assert "".join(sorted(names[item.unique_id] for item in found if isinstance(item, DocumentEntry))) == left


def test_by_availability(service: DocumentService) -> None:
    register(service, submit(given := entry(availability=OFFLINE), silent := entry()))
    assert find(service, DocumentAvailability=[OFFLINE]) == [given.unique_id]
    assert find(service, DocumentAvailability=[ONLINE]) == [silent.unique_id]  # the default (MU: 4.2.3.2.30)


def test_associations_by_status(service: DocumentService) -> None:
    report = entry()
    first = register(service, submit(report, folders=[group := folder()], in_folders=[member(group.id, report.id)]))
    target = first.submission.entries[0].id
    addendum = entry()
    register(service, submit(addendum, also=[relation(AssociationType.APPEND, addendum.id, target)]))
    assert len(ask(service, "GetAssociations", uuid=[target])) == 3
    assert len(ask(service, "GetAssociations", uuid=[target], XDSAssociationStatus=[DEPRECATED, APPROVED])) == 3
    assert ask(service, "GetAssociations", uuid=[target], XDSAssociationStatus=[DEPRECATED]) == ()
    contents = ask(service, "GetFolderAndContents", XDSFolderUniqueId=group.unique_id, XDSAssociationStatus=DEPRECATED)
    assert [type(item) for item in contents] == [Folder]
