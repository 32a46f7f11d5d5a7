"""The answers to ITI-20's RESTful feed, and the Bundle that the hub itself sends."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import orjson

from hub.audit.model import AuditRecord, KeepEvents, Own
from hub.errors import HubError, lookup
from hub.wire.fhir import search
from hub.wire.fhir.audit_event import audit_event, received
from hub.wire.fhir.errors import OUTCOMES, outcome
from hub.wire.http import HttpRequest, HttpResponse


def kept(done: KeepEvents, message: HttpRequest) -> HttpResponse:
    """201 and the event as it is kept; a Bundle of answers for a Bundle."""
    sent = orjson.loads(message.body)
    if sent.get("resourceType") == "AuditEvent":
        (record,) = done.records
        return search.answer(received(record), 201, {"Location": _place(record, message)})
    places = iter(done.records)
    answers = [
        _refused(done.refused[index])
        if index in done.refused
        else {"status": "201 Created", "location": _place(next(places), message)}
        for index in range(len(sent["entry"]))
    ]
    kind = "transaction-response" if sent.get("type") == "transaction" else "batch-response"
    entries = [{"response": item} for item in answers]
    return search.answer({"resourceType": "Bundle", "type": kind, "entry": entries})


def _place(record: AuditRecord, message: HttpRequest) -> str:
    return f"{message.base}/AuditEvent/{record.id}"


def _refused(error: HubError) -> dict[str, Any]:
    row = lookup(OUTCOMES, error)
    told = outcome("error", row.issue, error.told, code=error.code, expression=error.location)
    return {"status": f"{row.status} {HTTPStatus(row.status).phrase}", "outcome": told}


def feed(records: Iterable[AuditRecord], own: Own) -> dict[str, Any]:
    """A batch of AuditEvents."""
    entries = [
        {"resource": audit_event(record, own), "request": {"method": "POST", "url": "AuditEvent"}} for record in records
    ]
    return {"resourceType": "Bundle", "type": "batch", "entry": entries}
