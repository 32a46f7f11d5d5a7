"""ITI-20 Record Audit Event, the RESTful feed (RESTful ATNA: 3.20.4.4): other systems' events into the same chain."""

from hub.audit.model import KeepEvents
from hub.context import Context
from hub.pipeline.transaction import AuditEvent, Direction, Fhir, Kind, Transaction
from hub.wire.fhir.audit_feed import kept
from hub.wire.fhir.audit_reading import events_in
from hub.wire.http import HttpRequest, HttpResponse

TRANSACTION = Transaction(
    id="ITI-20",
    title="Record Audit Event",
    profile="ATNA",
    initiator="Secure Application",
    responder="Audit Record Repository",
    bindings=(
        Fhir("POST", "/AuditEvent", "AuditEvent", "create"),
        Fhir("POST", "", "", "batch", bundles_of="AuditEvent"),
    ),
    section="RESTful ATNA: 3.20",
    kind=Kind.CHANGE,
    permission="audit.feed",
    audit=AuditEvent("110107", "Import", "C"),
    direction=Direction.BOTH,
    options=(
        "AuditEvent, or a Bundle of them (batch: each for itself; transaction: all or none), at the base as well",
        "sent as syslog over TLS (RFC 5425) or as AuditEvents: setting atna.destinations",
    ),
)


def decode(message: HttpRequest, context: Context) -> KeepEvents:
    """The events."""
    return events_in(message, context)


def encode(outcome: KeepEvents, message: HttpRequest, context: Context) -> HttpResponse:
    """201, or a Bundle of answers."""
    return kept(outcome, message)
