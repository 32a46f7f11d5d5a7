"""Resources written by hand."""

import uuid
from typing import Any

from tests.profiles.fhir_patients.conftest import A

JSON = {"Content-Type": "application/fhir+json"}
EVENT = "urn:ihe:iti:pmir:2019:patient-feed"


def number(value: str, authority: str = A) -> dict[str, str]:
    return {"system": f"urn:oid:{authority}", "value": value}


def patient(value: str, authority: str = A, family: str = "DURAND", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "identifier": [number(value, authority)],
        "active": True,
        "name": [{"use": "official", "family": family, "given": ["ÉLODIE"]}],
        "gender": "female",
        "birthDate": "1979-03-27",
        **more,
    }


def replaced(value: str, by: str, authority: str = A) -> dict[str, Any]:
    link = [{"other": {"identifier": number(by, authority)}, "type": "replaced-by"}]
    return patient(value, authority, active=False, link=link)


def message(*entries: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """A feed message of (method, Patient)."""
    rows = []
    for method, given in entries:
        resource = {"id": given["identifier"][0]["value"], **given}
        full = f"http://his.example.org/Patient/{resource['id']}"
        request = {"method": method, "url": "Patient" if method == "POST" else f"Patient/{uuid.uuid4()}"}
        rows.append({"fullUrl": full, "resource": resource, "request": request, "response": {"status": "200"}})
    history = {"resourceType": "Bundle", "type": "history", "entry": rows}
    where = f"urn:uuid:{uuid.uuid4()}"
    header = {
        "resourceType": "MessageHeader",
        "id": str(uuid.uuid4()),
        "eventUri": EVENT,
        "source": {"endpoint": "http://his.example.org/fhir"},
        "destination": [{"endpoint": "http://hub.example.org/fhir/$process-message"}],
        "focus": [{"reference": where}],
    }
    first = {"fullUrl": f"urn:uuid:{header['id']}", "resource": header}
    return {"resourceType": "Bundle", "type": "message", "entry": [first, {"fullUrl": where, "resource": history}]}


def subscription(endpoint: str, criteria: str = "Patient", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "contact": [{"system": "email", "value": "someone@example.org"}],
        "reason": "A test",
        "criteria": criteria,
        "channel": {"type": "message", "endpoint": endpoint, "payload": "application/fhir+json"},
        **more,
    }


def parameters(*rows: tuple[str, str, Any]) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [{"name": name, kind: value} for name, kind, value in rows]}
