"""Subscription -> who wants to hear of which persons, and back (PMIR: 2:3.94; FHIR R4: 2.48)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from hub.errors import Invalid, Unsupported
from hub.subscriptions.patient_model import (
    About,
    ChangePatientSubscription,
    Criteria,
    EndPatientSubscription,
    GetPatientSubscription,
    PatientSubscription,
    SubscribeToPatients,
    Wanted,
)
from hub.values import Oid
from hub.wire.fhir import fr_core, search
from hub.wire.fhir.body import resource_in
from hub.wire.fhir.codes import filled, text
from hub.wire.fhir.people import listed
from hub.wire.fhir.r4 import MEDIA_TYPE
from hub.wire.http import HttpRequest, HttpResponse

Command = SubscribeToPatients | GetPatientSubscription | ChangePatientSubscription | EndPatientSubscription
_PAYLOADS = (MEDIA_TYPE, "application/json")
_MOST_CONTACTS = 10
_MOST_CHARACTERS = 500


class CriteriaNotSupported(Unsupported):
    """A subscription that is about anything else than Patients, all, by id or by identifier."""

    code = "subscription-criteria"
    title = "Subscriptions are about Patient, Patient?_id=[id] or Patient?identifier=[system]|[number]."


class ChannelNotSupported(Unsupported):
    """A channel of another type than message, or with headers of its own."""

    code = "subscription-channel"
    title = "The channel is of type message, with payload application/fhir+json and no headers."


def subscription_asked(message: HttpRequest) -> Command:
    """What is to be done with a subscription. Raises Malformed, Invalid, CriteriaNotSupported, ChannelNotSupported."""
    search.accept_json(message)
    number = message.path_parameters.get("id", "")
    if message.method == "GET":
        return GetPatientSubscription(number)
    if message.method == "DELETE":
        return EndPatientSubscription(number)
    resource = resource_in(message, "Subscription")
    if message.method == "POST":
        return SubscribeToPatients(_wanted(resource, ("requested",)))
    if text(resource, "id") != number:
        raise Invalid("The Subscription has the id of the request.", location="Subscription.id")
    return ChangePatientSubscription(number, _wanted(resource, ("requested", "active", "error", "off")))


def subscription_told(outcome: PatientSubscription | None, message: HttpRequest) -> HttpResponse:
    """The Subscription as it is; 201 with its place when it is new; 204 when it was ended."""
    if outcome is None:
        return HttpResponse(204, b"", "")
    where = {"Location": f"{message.base}/Subscription/{outcome.id}"}
    if message.method == "GET":
        return search.read(message, _resource(outcome), where)
    return search.answer(_resource(outcome), 201 if message.method == "POST" else 200, where)


def _resource(item: PatientSubscription) -> dict[str, Any]:
    return filled(
        {
            "resourceType": "Subscription",
            "id": item.id,
            "meta": {"profile": [f"{fr_core.PMIR}/StructureDefinition/IHE.PMIR.Subscription"]},
            "status": item.state.value,
            "contact": [{"system": system, "value": value} for system, value in item.contacts],
            "end": item.expires_at.isoformat(timespec="seconds"),
            "reason": item.reason,
            "criteria": item.criteria.text,
            "error": item.error,
            "channel": {"type": "message", "endpoint": item.endpoint, "payload": MEDIA_TYPE},
        }
    )


def _wanted(resource: Mapping[str, Any], states: tuple[str, ...]) -> Wanted:
    status = text(resource, "status")
    if status not in states:
        raise Invalid(f"The status is {' or '.join(states)}.", location="Subscription.status")
    reason = text(resource, "reason")
    if not reason or len(reason) > _MOST_CHARACTERS:
        raise Invalid("A reason of at most 500 characters is expected.", location="Subscription.reason")
    channel = resource.get("channel")
    if not isinstance(channel, dict) or not text(channel, "endpoint"):
        raise Invalid("The channel has an endpoint.", location="Subscription.channel.endpoint")
    payload = text(channel, "payload").partition(";")[0]
    if text(channel, "type") != "message" or payload not in _PAYLOADS or listed(channel, "header"):
        raise ChannelNotSupported(location="Subscription.channel")
    return Wanted(
        _criteria(text(resource, "criteria")),
        text(channel, "endpoint"),
        reason,
        _contacts(resource),
        _end(text(resource, "end")),
        off=status == "off",
    )


def _criteria(written: str) -> Criteria:
    kind, mark, query = written.partition("?")
    if kind != "Patient" or len(written) > _MOST_CHARACTERS or "\0" in written:
        raise CriteriaNotSupported(location="Subscription.criteria")
    if not mark:
        return Criteria(About.EVERYBODY, text=written)
    try:
        rows = parse_qsl(query, keep_blank_values=True, strict_parsing=True, max_num_fields=5)
    except ValueError as error:
        raise CriteriaNotSupported(location="Subscription.criteria") from error
    if len(rows) == 1 and rows[0][0] == "_id" and search.is_id(rows[0][1]):
        return Criteria(About.PERSON, rows[0][1], text=written)
    if len(rows) != 1 or rows[0][0] != "identifier" or "," in rows[0][1]:
        raise CriteriaNotSupported(location="Subscription.criteria")
    found = search.token(rows[0][1])
    authority = str(Oid.from_urn(found.system)) if found.system else ""
    if not found.code and not authority:
        raise CriteriaNotSupported(location="Subscription.criteria")
    return Criteria(About.NUMBER if found.code else About.DOMAIN, found.code, authority, written)


def _contacts(resource: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    rows = listed(resource, "contact")
    if len(rows) > _MOST_CONTACTS or not all(isinstance(row, dict) for row in rows):
        raise Invalid("At most 10 contacts are expected.", location="Subscription.contact")
    found = tuple((text(row, "system"), text(row, "value")) for row in rows)
    systems = ("phone", "fax", "email", "pager", "url", "sms", "other")
    if not all(system in systems and 0 < len(value) <= _MOST_CHARACTERS for system, value in found):
        raise Invalid("A contact has a system and a value.", location="Subscription.contact")
    return found


def _end(written: str) -> datetime | None:
    if not written:
        return None
    try:
        found = datetime.fromisoformat(written)
        if found.tzinfo is None:
            raise Invalid("end is an instant with its zone.", location="Subscription.end")
        return found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Invalid("end is an instant.", location="Subscription.end") from error
