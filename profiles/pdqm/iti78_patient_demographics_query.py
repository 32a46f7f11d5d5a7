"""ITI-78 Patient Demographics Query for Mobile (PDQm: 2:3.78): search and read of the region's persons."""

from hub.context import Context
from hub.errors import HubError
from hub.patients.lookup_model import SearchPersons
from hub.patients.model import PersonPage
from hub.pipeline.transaction import AuditEvent, Fhir, Kind, Transaction
from hub.wire.fhir.errors import answer_outcome
from hub.wire.fhir.patient_search import PARAMETERS, persons_asked, persons_told, refused
from hub.wire.http import HttpRequest, HttpResponse

TRANSACTION = Transaction(
    id="ITI-78",
    title="Patient Demographics Query for Mobile",
    profile="PDQm",
    initiator="Patient Demographics Consumer",
    responder="Patient Demographics Supplier",
    bindings=(
        Fhir("GET", "/Patient", "Patient", "search-type", PARAMETERS),
        Fhir("POST", "/Patient/_search", "Patient", "search-type"),
        Fhir("GET", "/Patient/{id}", "Patient", "read"),
    ),
    section="PDQm: 2:3.78",
    kind=Kind.QUERY,
    permission="patients.query",
    audit=AuditEvent("110112", "Query", "E"),
    options=(
        "Patient Search",
        "identifier=[system]| restricts the domains whose numbers are told",
        "AND and OR, :exact on texts",
        "a number, a full birth date, two letters of a family name or of the mother's, a telephone number or a place "
        "must select: nothing is ever scanned",
        "_count and links to the next page; _elements, _summary, _total; Prefer: handling=lenient",
        "fr-core-patient, fr-core-patient-ins",
    ),
)


def decode(message: HttpRequest, context: Context) -> SearchPersons:
    """Search parameters or an id -> SearchPersons."""
    return persons_asked(message)


def encode(outcome: PersonPage, message: HttpRequest, context: Context) -> HttpResponse:
    """A searchset, or the one patient."""
    return persons_told(outcome, message)


def refuse(error: HubError, message: HttpRequest, context: Context) -> HttpResponse:
    """404 with a warning for a domain that is not known (case 4)."""
    return answer_outcome(*refused(error), context)
