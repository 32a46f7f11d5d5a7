"""ITI-65 Provide Document Bundle (MHD: 2:3.65): keep these documents and register them, all or nothing."""

from hub.context import Context
from hub.documents.model import Registered
from hub.documents.sharing_model import ProvideBundle
from hub.pipeline.transaction import AuditEvent, Durability, Fhir, Kind, Transaction
from hub.wire.fhir import search
from hub.wire.fhir.document_bundle import answer_bundle, read_bundle
from hub.wire.http import HttpRequest, HttpResponse

TRANSACTION = Transaction(
    id="ITI-65",
    title="Provide Document Bundle",
    profile="MHD",
    initiator="Document Source",
    responder="Document Recipient",
    bindings=(Fhir("POST", "", "", "transaction"),),
    section="MHD: 2:3.65",
    kind=Kind.CHANGE,
    permission="documents.submit",
    audit=AuditEvent("110107", "Import", "C"),
    durability=Durability.ORIGINAL,
    options=(
        "Comprehensive Metadata",
        "minimal metadata, registered as limited metadata",
        "XDS on FHIR",
        "new folders",
        "documents as Binary resources of the Bundle",
        "ITI-65 FHIR Documents Publish",
        "relatesTo replaces, transforms, appends, signs",
    ),
)


def decode(message: HttpRequest, context: Context) -> ProvideBundle:
    """The Bundle's submission and documents."""
    search.accept_json(message)
    return read_bundle(message)


def encode(outcome: Registered, message: HttpRequest, context: Context) -> HttpResponse:
    """The transaction-response with the ids that were given."""
    return search.answer(answer_bundle(outcome, message))
