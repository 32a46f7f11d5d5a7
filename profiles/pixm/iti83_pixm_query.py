"""ITI-83 Mobile Patient Identifier Cross-reference Query (PIXm: 2:3.83): ``Patient/$ihe-pix``."""

from hub.context import Context
from hub.errors import HubError
from hub.patients.lookup_model import FindNumbers, Numbers
from hub.pipeline.transaction import AuditEvent, Fhir, Kind, Transaction
from hub.wire.fhir.patient_numbers import number_asked, numbers_told, refuse_number
from hub.wire.http import HttpRequest, HttpResponse

TRANSACTION = Transaction(
    id="ITI-83",
    title="Mobile Patient Identifier Cross-reference Query",
    profile="PIXm",
    initiator="Patient Identifier Cross-reference Consumer",
    responder="Patient Identifier Cross-reference Manager",
    bindings=(
        Fhir("GET", "/Patient/$ihe-pix", "Patient", "$ihe-pix"),
        Fhir("POST", "/Patient/$ihe-pix", "Patient", "$ihe-pix"),
    ),
    section="PIXm: 2:3.83",
    kind=Kind.QUERY,
    permission="patients.query",
    audit=AuditEvent("110112", "Query", "E"),
    options=("sourceIdentifier by the id of this server's Patient", "POST with Parameters"),
)


def decode(message: HttpRequest, context: Context) -> FindNumbers:
    """The number, and the domains wanted."""
    return number_asked(message)


def encode(outcome: Numbers, message: HttpRequest, context: Context) -> HttpResponse:
    """Parameters with targetId and targetIdentifier."""
    return numbers_told(outcome, message)


def refuse(error: HubError, message: HttpRequest, context: Context) -> HttpResponse:
    """404: no such number; 400: no such source domain; 403: no such target domain."""
    return refuse_number(error, message, context)
