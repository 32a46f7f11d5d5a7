"""The Mobile Patient Identity Feed: a message Bundle of a MessageHeader and a history of Patients (PMIR: 2:3.93)."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hub.errors import Invalid
from hub.patients.feeding_model import Change, Received, ReceiveIdentities
from hub.patients.model import Person
from hub.patients.steward_model import WithdrawIdentity
from hub.values import PatientIdentifier
from hub.wire.fhir import fr_core, search
from hub.wire.fhir.body import resource_in
from hub.wire.fhir.codes import text
from hub.wire.fhir.patient import patient, plain, replaced
from hub.wire.fhir.patient_feed import change_of, doubted
from hub.wire.fhir.patient_reading import identifiers, identity, survivor
from hub.wire.fhir.people import listed
from hub.wire.http import HttpRequest, HttpResponse

EVENT = "urn:ihe:iti:pmir:2019:patient-feed"
RESPONSE = f"{EVENT}-response"
_DEFINITION = f"{fr_core.PMIR}/MessageDefinition/IHE.PMIR.MessageDefinition"
_MOST_ENTRIES = 1000
_METHODS = ("POST", "PUT", "DELETE")


def message_of(request: HttpRequest) -> ReceiveIdentities:
    """The changes of a feed message, in its order. Raises Malformed, Invalid; the location is the element."""
    search.accept_json(request)
    _, history = _parts(resource_in(request, "Bundle"))
    rows = listed(history, "entry")
    if not rows or len(rows) > _MOST_ENTRIES:
        raise Invalid(f"A history has 1 to {_MOST_ENTRIES} entries.", location="Bundle.entry[1].resource.entry")
    entries = [_Entry(row, f"Bundle.entry[1].resource.entry[{number}]") for number, row in enumerate(rows)]
    known = {name: entry for entry in entries for name in entry.names}
    return ReceiveIdentities(tuple(entry.change(known) for entry in entries))


def message_answered(done: Sequence[Received], request: HttpRequest) -> HttpResponse:
    """The response: a message Bundle whose header says that it was taken (2:3.93.4.2.2), and in its details what of
    which entry is not kept (FHIR R4: MessageHeader.response.details)."""
    header, _ = _parts(resource_in(request, "Bundle"))
    response = {"identifier": header["id"], "code": "ok"}
    made: dict[str, Any] = {
        "resourceType": "MessageHeader",
        "id": str(uuid.uuid4()),
        "eventUri": RESPONSE,
        "source": {"endpoint": f"{request.base}/$process-message"},
        "response": response,
        "definition": f"{_DEFINITION}.Response",
    }
    issues = [
        issue
        for number, item in enumerate(done)
        for code in item.doubts
        for issue in doubted(code, f"Bundle.entry[1].resource.entry[{number}]")["issue"]
    ]
    if not issues:
        return search.answer(_message(made))
    told = {"resourceType": "OperationOutcome", "id": str(uuid.uuid4()), "issue": issues}
    where = f"urn:uuid:{told['id']}"
    return search.answer(
        _message(made | {"response": {**response, "details": {"reference": where}}}, _full(where, told))
    )


def _full(where: str, resource: Mapping[str, Any]) -> dict[str, Any]:
    return {"fullUrl": where, "resource": resource}


def feed_message(changes: Iterable[Mapping[str, Any]], *, source: str, destination: str) -> dict[str, Any]:
    """A feed message of entries (see ``changed``, ``merged``, ``withdrawn``). ``source``: this server's base."""
    history = {"resourceType": "Bundle", "id": str(uuid.uuid4()), "type": "history", "entry": list(changes)}
    where = f"urn:uuid:{history['id']}"
    header = {
        "resourceType": "MessageHeader",
        "id": str(uuid.uuid4()),
        "eventUri": EVENT,
        "source": {"endpoint": source},
        "destination": [{"endpoint": destination}],
        "focus": [{"reference": where}],
        "definition": _DEFINITION,
    }
    return _message(header, _full(where, history))


def changed(person: Person, base: str, *, created: bool) -> dict[str, Any]:
    """The entry of a person who is new, or changed."""
    number = person.regional.value
    url, status = ("Patient", "201") if created else (f"Patient/{number}", "200")
    return _entry(base, patient(person), "POST" if created else "PUT", url, status)


def merged(alias: PatientIdentifier, person: Person, base: str) -> dict[str, Any]:
    """The entry of a regional identifier that now means another person."""
    return _entry(base, replaced(alias, person.regional), "PUT", f"Patient/{alias.value}", "200")


def withdrawn(regional: PatientIdentifier, base: str) -> dict[str, Any]:
    """The entry of a person of whom no identity is left."""
    gone = {"resourceType": "Patient", "id": regional.value, "identifier": [plain(regional)], "active": False}
    return _entry(base, gone, "DELETE", f"Patient/{regional.value}", "204")


def _entry(base: str, resource: Mapping[str, Any], method: str, url: str, status: str) -> dict[str, Any]:
    return {
        "fullUrl": f"{base}/Patient/{resource['id']}",
        "resource": resource,
        "request": {"method": method, "url": url},
        "response": {"status": status},
    }


def _message(header: Mapping[str, Any], *entries: Mapping[str, Any]) -> dict[str, Any]:
    first = _full(f"urn:uuid:{header['id']}", header)
    return {"resourceType": "Bundle", "id": str(uuid.uuid4()), "type": "message", "entry": [first, *entries]}


def _parts(bundle: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """MessageHeader and history Bundle (IHE.PMIR.Bundle). Raises Invalid."""
    if text(bundle, "type") != "message":
        raise Invalid("The Bundle is a message.", location="Bundle.type")
    rows = listed(bundle, "entry")
    found = [row.get("resource") if isinstance(row, dict) else None for row in rows]
    if len(found) != 2 or not all(isinstance(item, dict) for item in found):
        raise Invalid("The message has a MessageHeader and a history Bundle.", location="Bundle.entry")
    header, history = found
    assert isinstance(header, dict)
    assert isinstance(history, dict)
    if text(header, "resourceType") != "MessageHeader" or text(header, "eventUri") != EVENT:
        raise Invalid(f"The MessageHeader's event is {EVENT}.", location="Bundle.entry[0].resource.eventUri")
    number = text(header, "id") or text(rows[0], "fullUrl").removeprefix("urn:uuid:")
    if not search.is_id(number):
        raise Invalid("The MessageHeader has an id, or a fullUrl urn:uuid:.", location="Bundle.entry[0].resource.id")
    if text(history, "resourceType") != "Bundle" or text(history, "type") != "history":
        raise Invalid("The message is about a history Bundle.", location="Bundle.entry[1].resource.type")
    return {**header, "id": number}, history


class _Entry:
    """One entry of the history."""

    def __init__(self, row: Any, where: str) -> None:
        request = row.get("request") if isinstance(row, dict) else None
        resource = row.get("resource") if isinstance(row, dict) else None
        if not isinstance(request, dict) or text(request, "method") not in _METHODS:
            raise Invalid("An entry is a POST, a PUT or a DELETE.", location=f"{where}.request.method")
        if not isinstance(resource, dict) or text(resource, "resourceType") != "Patient":
            raise Invalid("An entry has its Patient, with the source's own number.", location=f"{where}.resource")
        self.method = text(request, "method")
        self.resource: Mapping[str, Any] = resource
        number = text(resource, "id")
        self.names = [name for name in (text(row, "fullUrl"), f"Patient/{number}" if number else "") if name]

    def change(self, known: Mapping[str, "_Entry"]) -> Change:
        """What it means. ``known``: the entries by what references call them. Raises Invalid."""
        if self.method == "DELETE":
            return WithdrawIdentity(identity(self.resource).identifier)
        other = survivor(self.resource)
        if other is None or "identifier" in other:
            return change_of(self.resource)
        entry = known.get(text(other, "reference"))
        if entry is None:
            raise Invalid("The survivor is named by its identifier, or in the message.", location="Patient.link.other")
        own = identity(self.resource).identifier
        same = (
            item
            for item in identifiers(entry.resource)
            if (item.authority, item.namespace) == (own.authority, own.namespace)
        )
        kept = next(same, None)
        if kept is None:
            raise Invalid("The survivor has no number of the same authority.", location="Patient.link.other")
        return change_of(self.resource, replaced_by=kept)
