"""ITI-104's conditional update and delete -> what changes in the index, and the answers (PIXm: 2:3.104)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hub.context import Context
from hub.errors import Invalid
from hub.patients import doubts_model as doubts
from hub.patients.details_model import FeedDetails
from hub.patients.feeding_model import Change, Received, ReceiveIdentities
from hub.patients.model import FeedIdentity, Identity, MergeIdentities, Traits
from hub.patients.steward_model import WithdrawIdentity
from hub.values import PatientIdentifier
from hub.wire.fhir import search
from hub.wire.fhir.body import resource_in
from hub.wire.fhir.errors import ConditionNotSupported, outcome
from hub.wire.fhir.patient import patient
from hub.wire.fhir.patient_reading import authority_of, details, identity, number_of, survivor
from hub.wire.http import HttpRequest, HttpResponse

_CONDITIONS = ("if-match", "if-none-match", "if-none-exist", "if-modified-since")
EVENT = "FHIR"


def feed_of(message: HttpRequest) -> ReceiveIdentities:
    """PUT or DELETE of ``Patient?identifier=[system]|[number]``. Raises Malformed, Invalid, ConditionNotSupported."""
    search.accept_json(message)
    if any(name in message.headers for name in _CONDITIONS):
        raise ConditionNotSupported()
    number = _named(message)
    if message.method == "DELETE":
        return ReceiveIdentities((WithdrawIdentity(number),))
    shown = "return=representation" in search.wishes(message)
    return ReceiveIdentities((change_of(resource_in(message, "Patient"), number),), shown=shown)


def change_of(
    resource: Mapping[str, Any], number: PatientIdentifier | None = None, replaced_by: PatientIdentifier | None = None
) -> Change:
    """What a Patient as its source now has it means. ``replaced_by``: the survivor, where ``link`` does not say its
    number itself. Raises Invalid."""
    found = identity(resource, number)
    other = survivor(resource)
    if other is not None:
        kept = replaced_by or number_of(other.get("identifier"), "Patient.link.other.identifier")
        return MergeIdentities(Identity(kept, Traits()), found.identifier)
    active = resource.get("active", True)
    if not isinstance(active, bool):
        raise Invalid("active is a boolean.", location="Patient.active")
    if not active:
        return WithdrawIdentity(found.identifier)
    if not (found.traits.birth_name or found.traits.used_name):
        raise Invalid("The patient's family name is missing.", location="Patient.name")
    told = details(resource)
    return FeedDetails(found, EVENT, details=told) if told else FeedIdentity(found, EVENT)


def feed_answered(outcomes: Sequence[Received], message: HttpRequest, context: Context) -> HttpResponse:
    """201 for a number that is new, 200 for one that was known, with the Patient's place; 204 after a delete.

    The body is what Prefer says (FHIR R4: 3.1.0.1.6): nothing, the identity as it is kept, else what was done."""
    if message.method == "DELETE" or not outcomes or outcomes[0].regional is None:
        return HttpResponse(204, b"", "")
    done = outcomes[0]
    status = 201 if done.created else 200
    where = {"Location": f"{message.base}/Patient/{outcomes[0].regional.value}"}
    if "return=minimal" in search.wishes(message):
        return HttpResponse(status, b"", "", where)
    if done.kept is not None:
        return search.answer(patient(done.kept), status, where)
    told = outcome("information", "informational", "The number was registered." if done.created else "It was updated.")
    for code in doubts.told(context):
        told["issue"] += doubted(code)["issue"]
    return search.answer(told, status, where)


def doubted(code: str, where: str = "") -> dict[str, Any]:
    """What of a feed that was taken is not kept, as an OperationOutcome."""
    return outcome("warning", "business-rule", doubts.TEXTS[code], code=code, expression=where)


def _named(message: HttpRequest) -> PatientIdentifier:
    """The number that the request is about: the only condition there is."""
    rows = [(name, text) for name, text in message.query if name not in search.SHAPING]
    if len(rows) != 1 or rows[0][0] != "identifier":
        raise Invalid("The request is about Patient?identifier=[system]|[number].", location="identifier")
    parts = search.alternatives(rows[0][1])
    found = search.token(parts[0]) if len(parts) == 1 else None
    if found is None or not found.system or not found.code or "\0" in found.code or len(found.code) > 250:
        raise Invalid("One identifier is expected: [system]|[number].", location="identifier")
    oid, namespace = authority_of(found.system, "identifier")
    return replace(PatientIdentifier(found.code, oid), namespace=namespace)
