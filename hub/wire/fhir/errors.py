"""The HTTP status and OperationOutcome of every error of the hub (FHIR R4: 3.1.0.1.5, 2.34)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from hub.access.rights_errors import ConsentAlreadyOver, ConsentChanged, ConsentFromTheFuture, UnknownPatient
from hub.context import Context
from hub.documents.errors import DocumentChanged, NotAmendable, SeveralDocuments, UnknownPatientId
from hub.errors import (
    AccessDenied,
    Ambiguous,
    Conflict,
    DeadlineExceeded,
    HubError,
    InternalError,
    Invalid,
    Malformed,
    MethodNotAllowed,
    Misconfigured,
    NotAuthenticated,
    NotFound,
    TooLarge,
    Unavailable,
    Unsupported,
    lookup,
)
from hub.patients.errors import AuthorityNotOwned, InvalidMerge, SearchTooBroad, UnknownDomain
from hub.wire.fhir.r4 import MEDIA_TYPE
from hub.wire.http import HttpResponse
from hub.wire.oauth.errors import challenge


class FormatNotSupported(Unsupported):
    """The caller accepts neither JSON nor XML."""

    code = "fhir-format"
    title = "This server answers in application/fhir+json and application/fhir+xml."


class NotAcceptable(Unsupported):
    """The caller takes none of the media types that there are."""

    code = "fhir-not-acceptable"
    title = "The document is not available in a media type that the caller accepts."


class ConditionNotSupported(Unsupported):
    """The request is to hold for one version of the resource only: identities have none here."""

    code = "fhir-condition"
    title = "A condition on the version (If-Match ...) is not supported here."


class ConsentNotSupported(Unsupported):
    """A Consent that says more than one thing, or something finer than this hub decides by."""

    code = "consent-not-supported"
    title = "A Consent says one thing: permit or deny, one matter, one actor at most, one period."


class PatchFormatNotSupported(Unsupported):
    """A PATCH in another form than a FHIRPath Patch."""

    code = "fhir-patch-format"
    title = "A PATCH is a FHIRPath Patch: Parameters as application/fhir+json or application/fhir+xml."


class ElementNotAmendable(Unsupported):
    """A PATCH of an element that may not be changed this way (PDSm 3.1: flux 04)."""

    code = "fhir-patch-element"
    title = "Only status and securityLabel can be changed this way."


class UnknownParameter(Invalid):
    """A search parameter that this server does not know: ignoring it would widen the answer."""

    code = "fhir-parameter"
    title = "The search parameter is not supported."


@dataclass(frozen=True, slots=True)
class Row:
    """HTTP status and IssueType."""

    status: int
    issue: str


OUTCOMES: Mapping[type[HubError], Row] = {
    HubError: Row(500, "processing"),
    InternalError: Row(500, "exception"),
    Malformed: Row(400, "structure"),
    TooLarge: Row(413, "too-long"),
    Unsupported: Row(404, "not-supported"),
    MethodNotAllowed: Row(405, "not-supported"),
    FormatNotSupported: Row(406, "not-supported"),
    NotAcceptable: Row(406, "not-supported"),
    ConditionNotSupported: Row(412, "not-supported"),
    ConsentNotSupported: Row(422, "not-supported"),
    PatchFormatNotSupported: Row(415, "not-supported"),
    ElementNotAmendable: Row(405, "not-supported"),
    NotAmendable: Row(422, "business-rule"),
    SeveralDocuments: Row(412, "multiple-matches"),
    DocumentChanged: Row(412, "conflict"),
    UnknownParameter: Row(400, "not-supported"),
    NotAuthenticated: Row(401, "login"),
    AccessDenied: Row(403, "forbidden"),
    NotFound: Row(404, "not-found"),
    UnknownPatientId: Row(422, "business-rule"),
    UnknownPatient: Row(422, "business-rule"),
    ConsentChanged: Row(412, "conflict"),
    ConsentFromTheFuture: Row(422, "business-rule"),
    ConsentAlreadyOver: Row(422, "business-rule"),
    Invalid: Row(400, "invalid"),
    AuthorityNotOwned: Row(403, "forbidden"),
    InvalidMerge: Row(422, "business-rule"),
    SearchTooBroad: Row(400, "too-costly"),
    UnknownDomain: Row(400, "code-invalid"),
    Conflict: Row(409, "conflict"),
    Ambiguous: Row(409, "multiple-matches"),
    Unavailable: Row(503, "transient"),
    DeadlineExceeded: Row(504, "timeout"),
    Misconfigured: Row(502, "processing"),
}


def outcome(severity: str, issue: str, text: str, *, code: str = "", expression: str = "") -> dict[str, Any]:
    """An OperationOutcome with one issue."""
    found: dict[str, Any] = {"severity": severity, "code": issue, "diagnostics": text}
    if code:
        found["details"] = {"coding": [{"system": "urn:maillage:error", "code": code}], "text": text}
    if expression:
        found["expression"] = [expression]
    return {"resourceType": "OperationOutcome", "issue": [found]}


def refusal(error: HubError, message: Any, context: Context) -> HttpResponse:  # noqa: ARG001 - the pipeline's signature
    """The answer that says no, with the error's code and the correlation id."""
    row = lookup(OUTCOMES, error)
    body = outcome("error", row.issue, error.told, code=error.code, expression=error.location)
    answer = answer_outcome(row.status, body, context)
    needed = challenge(error, "fhir", context)
    return replace(answer, headers={**answer.headers, "WWW-Authenticate": needed}) if needed else answer


def answer_outcome(status: int, body: Mapping[str, Any], context: Context) -> HttpResponse:
    """An OperationOutcome as the answer, with the correlation id and what goes with its status."""
    headers = {"X-Correlation-Id": context.correlation_id}
    if status == 503:
        headers["Retry-After"] = "30"
    return HttpResponse(status, orjson.dumps({**body, "id": context.correlation_id}), MEDIA_TYPE, headers)
