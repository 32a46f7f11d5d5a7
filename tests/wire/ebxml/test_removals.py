"""RemoveObjectsRequest and RemoveDocumentsRequest, both ways and by the public schemas."""

from dataclasses import replace

import pytest
from lxml import etree

from hub.documents.errors import (
    DocumentUniqueIdError,
    NothingRemoved,
    RegistryError,
    RepositoryError,
    UnknownRepositoryId,
)
from hub.documents.model import (
    APPROVED,
    DEPRECATED,
    Association,
    AssociationType,
    DocumentRequest,
    RemovedDocuments,
    Submission,
)
from hub.wire.ebxml.names import FAILURE, LCM, RIM, SUCCESS, XDSB, rmd
from hub.wire.ebxml.removals import (
    DELETE_ALL,
    read_document_removal,
    read_removal,
    write_document_removal,
    write_documents_removed,
    write_removal,
    write_removal_refusal,
)
from hub.wire.ebxml.submissions import read_submission, write_submission
from tests.wire.ebxml.samples import ENTRY, FOLDER, SET
from tests.wire.ebxml.schemas import validate

IDS = ("urn:uuid:0c9f0a04-8ae3-4a0e-8ba9-d2e4a4fbb0c5", "urn:uuid:9f1e0f2c-93c1-4f2b-8a8c-2a6a3f2b1d11")
FIRST = DocumentRequest("1.2.3", "1.2.3.4^a", "urn:oid:1.2.9")
SECOND = DocumentRequest("1.2.3", "1.2.3.5")


def test_a_removal_both_ways() -> None:
    request = write_removal(IDS)
    validate(request, "ebRS30/lcm.xsd")
    assert read_removal(request) == IDS
    request.set("deletionScope", DELETE_ALL)
    assert read_removal(request) == IDS


def test_an_empty_query_asks_nothing() -> None:
    etree.SubElement(request := write_removal(IDS), f"{{{RIM}}}AdhocQuery")
    assert read_removal(request) == IDS


@pytest.mark.parametrize(
    ("attributes", "inner", "location"),
    [
        ("", "", "ObjectRefList"),
        ("", "<rim:ObjectRefList/>", "ObjectRefList"),
        ("", "<rim:ObjectRefList><rim:ObjectRef/></rim:ObjectRefList>", "ObjectRefList"),
        ("", '<rim:AdhocQuery id="urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"/>', "AdhocQuery"),
        (
            'deletionScope="urn:oasis:names:tc:ebxml-regrep:DeletionScopeType:DeleteRepositoryItemOnly"',
            f'<rim:ObjectRefList><rim:ObjectRef id="{IDS[0]}"/></rim:ObjectRefList>',
            "deletionScope",
        ),
    ],
)
def test_a_removal_that_is_none(attributes: str, inner: str, location: str) -> None:
    text = (
        f'<lcm:RemoveObjectsRequest xmlns:lcm="{LCM}" xmlns:rim="{RIM}" {attributes}>{inner}</lcm:RemoveObjectsRequest>'
    )
    with pytest.raises(RegistryError) as caught:
        read_removal(etree.fromstring(text))
    assert caught.value.location == location


def test_documents_to_remove_both_ways() -> None:
    request = write_document_removal([FIRST, SECOND])
    assert request.tag == rmd("RemoveDocumentsRequest")
    assert read_document_removal(request) == (FIRST, SECOND)
    request.tag = f"{{{XDSB}}}RetrieveDocumentSetRequest"  # the schema gives both the same type
    validate(request)
    with pytest.raises(RepositoryError):
        read_document_removal(etree.Element(rmd("RemoveDocumentsRequest")))


def test_what_was_removed_and_what_was_not() -> None:
    for outcome, status, codes in (
        (RemovedDocuments((FIRST, SECOND)), SUCCESS, []),
        (None, SUCCESS, ["XDSRepositoryError"]),
    ):
        answer = write_documents_removed(outcome)
        validate(answer, "ebRS30/rs.xsd")
        assert answer.get("status") == status
        assert [row.get("errorCode") for row in answer.iter("{*}RegistryError")] == codes


def test_why_nothing_was_removed() -> None:
    error = NothingRemoved()
    error.failures = (("1.2.3.4^a", DocumentUniqueIdError()), ("1.2.3.5", UnknownRepositoryId()))
    answer = write_removal_refusal(error)
    validate(answer, "ebRS30/rs.xsd")
    assert answer.get("status") == FAILURE
    assert [(row.get("errorCode"), row.get("location")) for row in answer.iter("{*}RegistryError")] == [
        ("XDSDocumentUniqueIdError", "1.2.3.4^a"),
        ("XDSUnknownRepositoryId", "1.2.3.5"),
    ]
    (row,) = write_removal_refusal(RepositoryError("No.")).iter("{*}RegistryError")
    assert row.get("errorCode") == "XDSRepositoryError"


def test_an_update_both_ways() -> None:
    """A new version keeps its logicalID, an update's associations keep what they ask for."""
    member = Association(
        "as01", AssociationType.HAS_MEMBER, SET.id, ENTRY.id, "Original", previous_version=3, propagation="no"
    )
    change = Association(
        "as02", AssociationType.UPDATE_STATUS, SET.id, IDS[1], original_status=APPROVED, new_status=DEPRECATED
    )
    update = Submission(
        replace(SET, logical_id="", extra={}),
        (replace(ENTRY, logical_id=IDS[0]),),
        (replace(FOLDER, logical_id=IDS[1]),),
        (member, change),
    )
    request = write_submission(update)
    validate(request, "ebRS30/lcm.xsd")
    assert read_submission(request) == update
