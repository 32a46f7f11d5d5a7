"""ITI-57, ITI-92, ITI-62 and ITI-86 from bytes to command, and from outcome to bytes that the public schemas accept."""

from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from hub.context import Context
from hub.documents.errors import (
    DocumentUniqueIdError,
    MetadataVersionError,
    NothingRemoved,
    UnknownRepositoryId,
    UnresolvedReference,
)
from hub.documents.model import (
    DocumentRequest,
    Registered,
    RemovedDocuments,
    RemovedMetadata,
    RemoveDocuments,
    RemoveMetadata,
    RestrictedUpdateDocuments,
    UpdateDocuments,
)
from hub.pipeline.transaction import Durability, Kind
from hub.wire.ebxml.names import FAILURE, SUCCESS
from hub.wire.ebxml.removals import write_document_removal, write_removal
from hub.wire.ebxml.submissions import write_submission
from hub.wire.soap.message import SoapMessage
from profiles.rmu import iti92_restricted_update_document_set
from profiles.xds_b import iti57_update_document_set, iti62_delete_document_set, iti86_remove_documents
from tests.profiles.xds_b.test_transactions import binding, receive, sent
from tests.wire.ebxml.samples import SUBMISSION
from tests.wire.ebxml.schemas import validate

MODULES = [
    iti57_update_document_set,
    iti92_restricted_update_document_set,
    iti62_delete_document_set,
    iti86_remove_documents,
]
IDS = ("urn:uuid:0c9f0a04-8ae3-4a0e-8ba9-d2e4a4fbb0c5",)
WANTED = DocumentRequest("1.2.3", "1.2.3.4")
CASES = [
    (iti57_update_document_set, write_submission(SUBMISSION), UpdateDocuments(SUBMISSION), Registered(SUBMISSION)),
    (
        iti92_restricted_update_document_set,
        write_submission(SUBMISSION),
        RestrictedUpdateDocuments(SUBMISSION),
        Registered(SUBMISSION),
    ),
    (iti62_delete_document_set, write_removal(IDS), RemoveMetadata(IDS), RemovedMetadata(IDS)),
    (
        iti86_remove_documents,
        write_document_removal([WANTED]),
        RemoveDocuments((WANTED,)),
        RemovedDocuments((WANTED,)),
    ),
]


@pytest.mark.parametrize(
    ("module", "body", "command", "outcome"), CASES, ids=lambda item: getattr(item, "__name__", "")
)
def test_what_is_asked_and_answered(tmp_path: Path, module: Any, body: Any, command: Any, outcome: Any) -> None:
    message = receive(module, body, tmp_path, mtom=False)
    assert module.decode(message, Context()) == command
    for result in (outcome, None):
        answer = sent(module.encode(result, message, Context()), message, tmp_path)
        validate(answer.body, "ebRS30/rs.xsd")
        assert (answer.body.get("status"), answer.action) == (SUCCESS, binding(module).response_action)
    assert not answer.mtom


@pytest.mark.parametrize("module", MODULES)
def test_what_it_says_about_itself(module: Any) -> None:
    transaction = module.TRANSACTION
    assert (transaction.kind, transaction.durability) == (Kind.CHANGE, Durability.ORIGINAL)
    assert transaction.permission in ("administration.update", "administration.remove")
    actions = {"administration.update": "U", "administration.remove": "D"}
    assert transaction.audit.action == actions[transaction.permission]


@pytest.mark.parametrize("module", MODULES)
def test_refusals(tmp_path: Path, module: Any) -> None:
    message = SoapMessage("urn:x", etree.Element("a"), message_id="urn:uuid:1")
    for error, code in (
        (MetadataVersionError(location="Document01"), "XDSMetadataVersionError"),
        (UnresolvedReference(location=IDS[0]), "UnresolvedReferenceException"),
        (NothingRemoved(), "XDSRemoveDocumentsError"),
    ):
        answer = sent(module.refuse(error, message, Context()), message, tmp_path)
        validate(answer.body, "ebRS30/rs.xsd")
        (row,) = answer.body.iter("{*}RegistryError")
        assert (answer.body.get("status"), row.get("errorCode"), row.get("location") or "") == (
            FAILURE,
            code,
            error.location,
        )


def test_each_document_that_can_t_go_is_told(tmp_path: Path) -> None:
    message = SoapMessage("urn:x", etree.Element("a"))
    error = NothingRemoved()
    error.failures = (("1.2.3.5", DocumentUniqueIdError()), ("1.2.3.6", UnknownRepositoryId()))
    answer = sent(iti86_remove_documents.refuse(error, message, Context()), message, tmp_path)
    rows = [(row.get("errorCode"), row.get("location")) for row in answer.body.iter("{*}RegistryError")]
    assert answer.body.get("status") == FAILURE
    assert rows == [("XDSDocumentUniqueIdError", "1.2.3.5"), ("XDSUnknownRepositoryId", "1.2.3.6")]
