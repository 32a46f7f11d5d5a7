"""ITI-94 Subscribe to Patient Updates (PMIR: 2:3.94): Subscription resources."""

from hub.context import Context
from hub.pipeline.transaction import AuditEvent, Fhir, Kind, Transaction
from hub.subscriptions.patient_model import PatientSubscription
from hub.wire.fhir.subscription import Command, subscription_asked, subscription_told
from hub.wire.http import HttpRequest, HttpResponse

TRANSACTION = Transaction(
    id="ITI-94",
    title="Subscribe to Patient Updates",
    profile="PMIR",
    initiator="Patient Identity Subscriber",
    responder="Patient Identity Registry",
    bindings=(
        Fhir("POST", "/Subscription", "Subscription", "create"),
        Fhir("GET", "/Subscription/{id}", "Subscription", "read"),
        Fhir("PUT", "/Subscription/{id}", "Subscription", "update"),
        Fhir("DELETE", "/Subscription/{id}", "Subscription", "delete"),
    ),
    section="PMIR: 2:3.94",
    kind=Kind.CHANGE,
    permission="subscriptions.subscribe",
    audit=AuditEvent("110112", "Query", "E"),
    options=(
        "Patient, Patient?_id=, Patient?identifier=",
        "endpoints only on hosts that subscriptions.consumers names",
        "everybody or a whole domain needs population.subscribe",
    ),
)


def decode(message: HttpRequest, context: Context) -> Command:
    """What is to be done with a subscription."""
    return subscription_asked(message)


def encode(outcome: PatientSubscription | None, message: HttpRequest, context: Context) -> HttpResponse:
    """The Subscription, or nothing once it was ended."""
    return subscription_told(outcome, message)
