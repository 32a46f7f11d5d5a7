"""The answers to ITI-20's RESTful feed, and the Bundle that the hub itself sends."""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from hub.audit.model import AuditRecord, Own
from hub.wire.fhir import search
from hub.wire.fhir.audit_event import audit_event
from hub.wire.fhir.errors import outcome
from hub.wire.http import HttpRequest, HttpResponse


def kept(ids: Sequence[str], message: HttpRequest) -> HttpResponse:
    """201 for one event; a Bundle of answers for a Bundle."""
    where = [f"{message.base}/AuditEvent/{item}" for item in ids]
    sent = orjson.loads(message.body)
    if sent.get("resourceType") == "AuditEvent":
        told = outcome("information", "informational", "The event is in the audit trail.")
        return search.answer(told, 201, {"Location": where[0]})
    entries = [{"response": {"status": "201 Created", "location": place}} for place in where]
    kind = "transaction-response" if sent.get("type") == "transaction" else "batch-response"
    return search.answer({"resourceType": "Bundle", "type": kind, "entry": entries})


def feed(records: Iterable[AuditRecord], own: Own) -> dict[str, Any]:
    """A batch of AuditEvents."""
    entries = [
        {"resource": audit_event(record, own), "request": {"method": "POST", "url": "AuditEvent"}} for record in records
    ]
    return {"resourceType": "Bundle", "type": "batch", "entry": entries}
