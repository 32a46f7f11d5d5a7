"""ITI-18: parameters, their errors, and what each stored query answers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hub.context import Context
from hub.documents.errors import (
    DocumentError,
    RegistryError,
    ResultNotSinglePatient,
    StoredQueryMissingParam,
    StoredQueryParamNumber,
    TooManyResults,
    UnknownCommunity,
    UnknownStoredQuery,
)
from hub.documents.model import APPROVED, DEPRECATED, STABLE, AssociationType, Author, ReferenceId, StoredQuery
from hub.documents.queries import QUERIES
from hub.documents.service import DocumentService
from hub.storage.engine import Database
from tests.documents.builders import (
    ANNE,
    BERT,
    STRANGER,
    ask,
    code,
    entry,
    find,
    folder,
    kinds,
    member,
    register,
    relation,
    service_on,
    submit,
)

FIND = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
GET = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"
PATIENT = {"$XDSDocumentEntryPatientId": ((ANNE.cx,),)}
STATUS = {"$XDSDocumentEntryStatus": ((APPROVED,),)}


@pytest.mark.parametrize(
    ("query_id", "parameters", "error", "location"),
    [
        ("urn:uuid:00000000-0000-0000-0000-000000000000", {}, UnknownStoredQuery, "urn:uuid:0"),
        (FIND, {}, StoredQueryMissingParam, "$XDSDocumentEntryPatientId"),
        (FIND, PATIENT, StoredQueryMissingParam, "$XDSDocumentEntryStatus"),
        (
            FIND,
            {**STATUS, "$XDSDocumentEntryPatientId": ((ANNE.cx, BERT.cx),)},
            StoredQueryParamNumber,
            "$XDSDocumentEntryPatientId",
        ),
        (
            FIND,
            {**STATUS, **PATIENT, "$XDSDocumentEntryCreationTimeFrom": (("2024", "2025"),)},
            StoredQueryParamNumber,
            "$XDSDocumentEntryCreationTimeFrom",
        ),
        (
            FIND,
            {**STATUS, **PATIENT, "$XDSDocumentEntryClassCode": (("A^^1.2",), ("B^^1.2",))},
            StoredQueryParamNumber,
            "$XDSDocumentEntryClassCode",
        ),
        (
            FIND,
            {**STATUS, **PATIENT, "$XDSDocumentEntryClassCode": (("A",),)},
            RegistryError,
            "$XDSDocumentEntryClassCode",
        ),
        (
            FIND,
            {
                **STATUS,
                **PATIENT,
                "$XDSDocumentEntryClassCode": (("A",),),
                "$XDSDocumentEntryClassCodeScheme": (("1.2",),),
            },
            RegistryError,
            "$XDSDocumentEntryClassCode",
        ),
        (
            FIND,
            {**STATUS, **PATIENT, "$XDSDocumentEntryEventCodeList": (("A^^",),)},
            RegistryError,
            "$XDSDocumentEntryEventCodeList",
        ),
        (FIND, {**PATIENT, "$XDSDocumentEntryStatus": (("Approved",),)}, RegistryError, "$XDSDocumentEntryStatus"),
        (FIND, {**PATIENT, "$XDSDocumentEntryStatus": ((),)}, RegistryError, "$XDSDocumentEntryStatus"),
        (
            FIND,
            {**STATUS, "$XDSDocumentEntryPatientId": (("R1",),)},
            RegistryError,
            "$XDSDocumentEntryPatientId",
        ),
        (
            FIND,
            {**STATUS, **PATIENT, "$XDSDocumentEntryCreationTimeFrom": (("yesterday",),)},
            RegistryError,
            "$XDSDocumentEntryCreationTimeFrom",
        ),
        (FIND, {**STATUS, **PATIENT, "XDSDocumentEntryTitle": (("x",),)}, RegistryError, "XDSDocumentEntryTitle"),
        (FIND, {**STATUS, **PATIENT, "$XDSDocumentEntryType": (("x\0",),)}, RegistryError, "$XDSDocumentEntryType"),
        (GET, {}, StoredQueryMissingParam, "$XDSDocumentEntryEntryUUID"),
        (
            GET,
            {"$XDSDocumentEntryEntryUUID": (("urn:uuid:1",),), "$XDSDocumentEntryUniqueId": (("1.2",),)},
            StoredQueryParamNumber,
            "$XDSDocumentEntryUniqueId",
        ),
        (GET, {"$XDSDocumentEntryUniqueId": (tuple(map(str, range(6000))),)}, RegistryError, ""),
    ],
)
def test_bad_parameters_get_the_specific_error(
    service: DocumentService,
    query_id: str,
    parameters: Mapping[str, tuple[tuple[str, ...], ...]],
    error: type[DocumentError],
    location: str,
) -> None:
    with pytest.raises(DocumentError) as caught:
        service.query(StoredQuery(query_id, parameters), Context())
    assert type(caught.value) is error
    assert caught.value.location.startswith(location)


def test_unknown_parameters_are_ignored(service: DocumentService) -> None:
    register(service, submit(given := entry()))
    assert find(service, ClassCodeScheme="1.2", ClassCode="IMAGING^^1.2.3.4", Unheard="x") == [given.unique_id]


def test_another_community_is_unknown(service: DocumentService) -> None:
    with pytest.raises(UnknownCommunity):
        service.query(StoredQuery(FIND, {**PATIENT, **STATUS}, home="urn:oid:1.2.3"), Context())


def test_an_unknown_patient_has_no_documents(service: DocumentService) -> None:
    assert find(service, STRANGER) == []


def test_a_patient_sees_only_their_own(service: DocumentService) -> None:
    register(service, submit(mine := entry(ANNE)))
    register(service, submit(theirs := entry(BERT)))
    assert (find(service, ANNE), find(service, BERT)) == ([mine.unique_id], [theirs.unique_id])


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({}, True),
        ({"ClassCode": "IMAGING^^1.2.3.4"}, True),
        ({"ClassCode": ["OTHER^^1.2.3.4", "IMAGING^^1.2.3.4"]}, True),
        ({"ClassCode": "IMAGING^^9.9"}, False),
        ({"TypeCode": "CT^^1.2.3.4", "FormatCode": "KOS^^1.2.3.4"}, True),
        ({"TypeCode": "MR^^1.2.3.4", "FormatCode": "KOS^^1.2.3.4"}, False),
        ({"PracticeSettingCode": "RADIOLOGY^^1.2.3.4", "HealthcareFacilityTypeCode": "HOSPITAL^^1.2.3.4"}, True),
        ({"EventCodeList": "CT^^1.2.3.4"}, True),
        ({"EventCodeList": [["CT^^1.2.3.4"], ["CHEST^^1.2.3.4", "HEAD^^1.2.3.4"]]}, True),
        ({"EventCodeList": [["CT^^1.2.3.4"], ["HEAD^^1.2.3.4"]]}, False),
        ({"ConfidentialityCode": [["N^^1.2.3.4"], ["R^^1.2.3.4"]]}, False),
        ({"CreationTimeFrom": "20240301101500"}, True),
        ({"CreationTimeFrom": "20240301101501"}, False),
        ({"CreationTimeTo": "20240301101500"}, False),
        ({"CreationTimeTo": "20240301101501"}, True),
        ({"CreationTimeFrom": "2024", "CreationTimeTo": "2025"}, True),
        ({"ServiceStartTimeFrom": "202403", "ServiceStopTimeTo": "202404"}, True),
        ({"AuthorPerson": "%Curie%"}, True),
        ({"AuthorPerson": ["%Pasteur%", "801234^Curie^M_rie"]}, True),
        ({"AuthorPerson": "Curie"}, False),
        ({"Type": STABLE}, True),
        ({"Type": "urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248"}, False),
        ({"Status": DEPRECATED}, False),
        ({"Status": [DEPRECATED, APPROVED]}, True),
        ({"MetadataLevel": "1"}, True),
    ],
)
def test_find_documents(service: DocumentService, parameters: dict[str, Any], found: bool) -> None:
    register(service, submit(given := entry()))
    assert find(service, **parameters) == ([given.unique_id] if found else [])


def test_an_entry_without_the_time_never_matches(service: DocumentService) -> None:
    register(service, submit(entry(service_start_time="", service_stop_time="")))
    assert find(service, ServiceStartTimeFrom="1900") == find(service, ServiceStopTimeTo="2100") == []


def test_find_documents_by_reference_id(service: DocumentService) -> None:
    accession = ReferenceId("A7", "1.2.250.1.72", "urn:ihe:iti:xds:2013:accession")
    study = ReferenceId("1.2.840.1", "", "urn:ihe:iti:xds:2016:studyInstanceUID")
    register(service, submit(given := entry(reference_ids=(accession, study)), entry()))
    base = {"XDSDocumentEntryPatientId": ANNE.cx, "XDSDocumentEntryStatus": APPROVED}

    def by(*groups: list[str]) -> list[str]:
        found = ask(service, "FindDocumentsByReferenceId", XDSDocumentEntryReferenceIdList=list(groups), **base)
        return [item.unique_id for item in found]  # type: ignore[union-attr]

    assert by([accession.text]) == [given.unique_id]
    assert by([study.text]) == by(["1.2.840.1^^^^urn:ihe:iti:xds:2016:studyInstanceUID"]) == [given.unique_id]
    assert by([accession.text], [study.text]) == [given.unique_id]
    assert by(["A8^^^&1.2.250.1.72&ISO^urn:ihe:iti:xds:2013:accession", study.text]) == [given.unique_id]
    assert by(["A8^^^&1.2.250.1.72&ISO^urn:ihe:iti:xds:2013:accession"], [study.text]) == []
    with pytest.raises(StoredQueryMissingParam):
        ask(service, "FindDocumentsByReferenceId", **base)


def test_find_submission_sets(service: DocumentService) -> None:
    register(service, submit(entry(), source_id="1.2.3", authors=(Author("1^Pasteur"),)))
    register(service, submit(entry()))
    base = {"XDSSubmissionSetPatientId": ANNE.cx, "XDSSubmissionSetStatus": APPROVED}
    for parameters, count in (
        ({}, 2),
        ({"XDSSubmissionSetSourceId": ["1.2.3", "1.2.4"]}, 1),
        ({"XDSSubmissionSetAuthorPerson": "%Pasteur%"}, 1),
        ({"XDSSubmissionSetSubmissionTimeFrom": "20240301120000", "XDSSubmissionSetSubmissionTimeTo": "2025"}, 2),
        ({"XDSSubmissionSetSubmissionTimeTo": "20240301120000"}, 0),
        ({"XDSSubmissionSetContentType": "IMAGING^^1.2.3.4"}, 2),
        ({"XDSSubmissionSetContentType": "OTHER^^1.2.3.4"}, 0),
    ):
        found = ask(service, "FindSubmissionSets", **base, **parameters)
        assert kinds(found) == ({"SubmissionSet": count} if count else {}), parameters


def test_find_folders(service: DocumentService) -> None:
    register(service, submit(folders=[folder(codes=(code("A"), code("B"))), folder()]))
    base = {"XDSFolderPatientId": ANNE.cx, "XDSFolderStatus": APPROVED}
    assert kinds(ask(service, "FindFolders", **base)) == {"Folder": 2}
    both = [["A^^1.2.3.4"], ["B^^1.2.3.4"]]
    assert kinds(ask(service, "FindFolders", XDSFolderCodeList=both, **base)) == {"Folder": 1}
    late = ask(service, "FindFolders", XDSFolderLastUpdateTimeFrom="2999", **base)
    assert late == ()


@pytest.fixture
def family(service: DocumentService) -> dict[str, str]:
    """A report in a folder, an addendum to it, and a rendering of the addendum."""
    report, group = entry(), folder()
    first = register(service, submit(report, folders=[group], in_folders=[member(group.id, report.id)])).submission
    names = {
        "report": first.entries[0].id,
        "report uid": report.unique_id,
        "folder": first.folders[0].id,
        "folder uid": group.unique_id,
        "set": first.submission_set.id,
        "set uid": first.submission_set.unique_id,
    }
    addendum = entry(format_code=code("PDF"))
    appended = relation(AssociationType.APPEND, addendum.id, names["report"])
    second = register(service, submit(addendum, also=[appended])).submission
    return {**names, "addendum": second.entries[0].id, "second set": second.submission_set.id}


def test_get_all(service: DocumentService, family: dict[str, str]) -> None:
    base = {
        "patientId": ANNE.cx,
        "XDSDocumentEntryStatus": APPROVED,
        "XDSSubmissionSetStatus": APPROVED,
        "XDSFolderStatus": APPROVED,
    }
    everything = kinds(ask(service, "GetAll", **base))
    assert everything == {"SubmissionSet": 2, "DocumentEntry": 2, "Folder": 1, "Association": 6}
    narrowed = kinds(ask(service, "GetAll", XDSDocumentEntryFormatCode="PDF^^1.2.3.4", **base))
    assert narrowed["DocumentEntry"] == 1
    with pytest.raises(StoredQueryMissingParam):
        ask(service, "GetAll", patientId=ANNE.cx, XDSDocumentEntryStatus=APPROVED, XDSFolderStatus=APPROVED)


def test_get_documents(service: DocumentService, family: dict[str, str]) -> None:
    by_uuid = ask(service, "GetDocuments", XDSDocumentEntryEntryUUID=[family["report"], family["addendum"]])
    assert {item.id for item in by_uuid} == {family["report"], family["addendum"]}
    for parameters in (
        {"XDSDocumentEntryUniqueId": family["report uid"]},
        {"XDSDocumentEntryLogicalID": family["report"]},
    ):
        assert [item.id for item in ask(service, "GetDocuments", **parameters)] == [family["report"]]
    assert ask(service, "GetDocuments", XDSDocumentEntryUniqueId="1.2.3") == ()


def test_get_folders(service: DocumentService, family: dict[str, str]) -> None:
    assert [item.id for item in ask(service, "GetFolders", XDSFolderUniqueId=family["folder uid"])] == [
        family["folder"]
    ]
    assert [item.id for item in ask(service, "GetFolders", XDSFolderEntryUUID=[family["folder"]])] == [family["folder"]]


def test_get_associations(service: DocumentService, family: dict[str, str]) -> None:
    assert kinds(ask(service, "GetAssociations", uuid=family["report"])) == {"Association": 3}
    assert kinds(ask(service, "GetAssociations", uuid=[family["set"], family["report"]])) == {"Association": 5}


def test_get_documents_and_associations(service: DocumentService, family: dict[str, str]) -> None:
    found = ask(service, "GetDocumentsAndAssociations", XDSDocumentEntryEntryUUID=family["addendum"])
    assert kinds(found) == {"DocumentEntry": 1, "Association": 2}


def test_get_submission_sets(service: DocumentService, family: dict[str, str]) -> None:
    found = ask(service, "GetSubmissionSets", uuid=[family["report"], family["folder"]])
    assert kinds(found) == {"SubmissionSet": 1, "Association": 2}


def test_get_submission_set_and_contents(service: DocumentService, family: dict[str, str]) -> None:
    whole = {"SubmissionSet": 1, "DocumentEntry": 1, "Folder": 1, "Association": 4}
    assert kinds(ask(service, "GetSubmissionSetAndContents", XDSSubmissionSetEntryUUID=family["set"])) == whole
    assert kinds(ask(service, "GetSubmissionSetAndContents", XDSSubmissionSetUniqueId=family["set uid"])) == whole
    narrowed = ask(
        service,
        "GetSubmissionSetAndContents",
        XDSSubmissionSetEntryUUID=family["set"],
        XDSDocumentEntryFormatCode="PDF^^1.2.3.4",
    )
    assert kinds(narrowed) == {"SubmissionSet": 1, "Folder": 1, "Association": 1}


def test_get_folder_and_contents(service: DocumentService, family: dict[str, str]) -> None:
    found = ask(service, "GetFolderAndContents", XDSFolderUniqueId=family["folder uid"])
    assert kinds(found) == {"Folder": 1, "DocumentEntry": 1, "Association": 1}


def test_get_folders_for_document(service: DocumentService, family: dict[str, str]) -> None:
    found = ask(service, "GetFoldersForDocument", XDSDocumentEntryUniqueId=family["report uid"])
    assert [item.id for item in found] == [family["folder"]]


def test_get_related_documents(service: DocumentService, family: dict[str, str]) -> None:
    appended, replaced = AssociationType.APPEND.value, AssociationType.REPLACE.value
    found = ask(
        service,
        "GetRelatedDocuments",
        XDSDocumentEntryEntryUUID=family["report"],
        AssociationTypes=[appended, replaced],
    )
    assert kinds(found) == {"DocumentEntry": 2, "Association": 1}
    assert (
        ask(service, "GetRelatedDocuments", XDSDocumentEntryEntryUUID=family["report"], AssociationTypes=replaced) == ()
    )


def test_full_metadata_of_two_patients_is_refused(service: DocumentService) -> None:
    register(service, submit(mine := entry(ANNE)))
    register(service, submit(theirs := entry(BERT)))
    wanted = [mine.unique_id, theirs.unique_id]
    with pytest.raises(ResultNotSinglePatient):
        ask(service, "GetDocuments", XDSDocumentEntryUniqueId=wanted)
    assert len(ask(service, "GetDocuments", leaf_class=False, XDSDocumentEntryUniqueId=wanted)) == 2


def test_too_many_results(database: Database, tmp_path: Path) -> None:
    service = service_on(database, tmp_path, max_results=3)
    register(service, submit(*(entry() for _ in range(4))))
    with pytest.raises(TooManyResults):
        find(service)
    with pytest.raises(TooManyResults):
        find(service, AuthorPerson="%Curie%")


def test_a_query_says_what_it_touched(service: DocumentService) -> None:
    register(service, submit(entry()))
    context = Context()
    service.query(StoredQuery(FIND, {**PATIENT, **STATUS}), context)
    assert [(item.kind, item.reference) for item in context.touched] == [
        ("query", "FindDocuments"),
        ("patient", ANNE.cx),
    ]


def test_documents_of_a_person_newest_first(service: DocumentService) -> None:
    old, new = entry(creation_time="2020"), entry(creation_time="2024")
    register(service, submit(old, new))
    assert [item.unique_id for item in service.documents_of(ANNE)] == [new.unique_id, old.unique_id]
    assert service.documents_of(STRANGER) == ()
    assert service.documents_of(ANNE, format_codes=["PDF^^1.2.3.4"]) == ()


def test_every_query_has_an_answer() -> None:
    assert len(QUERIES) == 15
    for query in QUERIES.values():
        assert set(query.one_of) <= set(query.by_name)
