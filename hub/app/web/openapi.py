"""The OpenAPI 3.1 description of what is served over HTTP with JSON: derived from the transactions, as the routes are.

SOAP has its WSDLs (``GET`` on an endpoint), DICOM its conformance statement; FHIR's CapabilityStatement says more of
FHIR than this does. It is for those who have neither reader: gateways, testers, portals of APIs."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from hub.pipeline.catalogue import Bound, Catalogue
from hub.pipeline.transaction import Dicomweb, Direction, Fhir, Transaction

VERSION = "3.1.0"
FHIR_JSON, FHIR_XML = "application/fhir+json", "application/fhir+xml"
#: Statuses that say no, and when: what no wire's table has is never answered.
REFUSALS: Mapping[int, str] = {
    400: "The request is not well formed, or breaks a rule.",
    401: "Nobody vouches for the caller.",
    403: "The caller may not do this.",
    404: "There is nothing of that name, or the caller may not know of it.",
    405: "The address does not take this method.",
    406: "None of the acceptable media types can be given.",
    409: "It conflicts with what is there.",
    410: "It was there once.",
    412: "The condition does not hold.",
    413: "The request is too large.",
    415: "The request's media type is not understood.",
    422: "The resource breaks a rule.",
    501: "Not supported here.",
    502: "The archive behind the hub refused.",
    503: "Unavailable for the moment.",
    504: "The archive behind the hub did not answer in time.",
}
_SUCCESS = {"create": "201", "delete": "204"}
_TYPES = {"number": "number"}
_PATH_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
_ERROR = {
    "type": "object",
    "required": ["code", "message", "correlation_id"],
    "properties": {name: {"type": "string"} for name in ("code", "message", "correlation_id", "location")},
}


def describe(catalogue: Catalogue, *, url: str, version: str, title: str) -> dict[str, Any]:
    """The description of everything that answers."""
    paths: dict[str, dict[str, Any]] = {}
    for path, method, operation in sorted(_operations(catalogue), key=lambda row: row[:2]):
        paths.setdefault(path, {})[method] = operation
    return {
        "openapi": VERSION,
        "info": {"title": title, "version": version},
        "servers": [{"url": url}],
        "security": [{"bearer": []}, {"certificate": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "certificate": {"type": "mutualTLS", "description": "Node authentication (ITI-19)."},
            },
            "schemas": {
                "Resource": {
                    "type": "object",
                    "required": ["resourceType"],
                    "properties": {"resourceType": {"type": "string"}},
                },
                "OperationOutcome": {
                    "type": "object",
                    "required": ["resourceType", "issue"],
                    "properties": {
                        "resourceType": {"const": "OperationOutcome"},
                        "issue": {"type": "array", "minItems": 1},
                    },
                },
                "Error": _ERROR,
            },
        },
    }


def _operations(catalogue: Catalogue) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for kind, described in ((Fhir, _fhir), (Dicomweb, _dicomweb)):
        for binding, bound in catalogue.bindings(kind):
            shared = isinstance(binding, Fhir) and binding.bundles_of  # described with the path's other transaction
            if bound.transaction.direction is Direction.INITIATOR or shared:
                continue
            root = "/fhir" if isinstance(binding, Fhir) else binding.root
            path = _PATH_PARAMETER.sub(r"{\1}", root + binding.path)
            method = binding.method.lower()
            name = re.sub(r"[^A-Za-z0-9]+", "-", f"{bound.id}-{method}{binding.path}").strip("-")
            yield path, method, {"operationId": name, **_head(bound, path), **described(binding, bound)}


def _head(bound: Bound, path: str) -> dict[str, Any]:
    transaction: Transaction = bound.transaction
    return {
        "summary": f"{transaction.id} {transaction.title}",
        "description": f"{transaction.section}. Permission: {transaction.permission}.",
        "tags": [transaction.profile],
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in _PATH_PARAMETER.findall(path)
        ],
    }


def _fhir(binding: Fhir, bound: Bound) -> dict[str, Any]:
    head = _head(bound, binding.path)
    head["parameters"] += [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": meaning,
            "schema": {"type": "array", "items": {"type": "string"}},
            "explode": True,
        }
        for name, _, meaning in binding.search_parameters
    ]
    content = {FHIR_JSON: _schema("Resource")} | ({FHIR_XML: {}} if binding.xml else {"*/*": {}})
    success = _SUCCESS.get(binding.interaction, "200")
    answers: dict[str, Any] = {success: {"description": "Done."} | ({} if success == "204" else {"content": content})}
    if success == "201" or binding.interaction in ("update", "delete"):
        answers |= {"200": {"description": "Done.", "content": content}}
        answers |= {"201": {"description": "Made.", "content": content}} if binding.interaction == "update" else {}
    refused = {FHIR_JSON: _schema("OperationOutcome"), FHIR_XML: {}}
    found = {"parameters": head["parameters"], "responses": answers | _refusals(refused)}
    if binding.method in ("POST", "PUT"):
        media = "application/x-www-form-urlencoded" if binding.path.endswith("/_search") else FHIR_JSON
        schema = {"schema": {"type": "object"}} if binding.path.endswith("/_search") else _schema("Resource")
        found["requestBody"] = {"required": not binding.path.endswith("/_search"), "content": {media: schema}}
    return found


def _dicomweb(binding: Dicomweb, bound: Bound) -> dict[str, Any]:  # noqa: ARG001 (the same for each)
    answers = {str(code): {"description": text, "content": {"*/*": {}}} for code, text in _GIVEN.items()}
    answers["204"] = {"description": "Nothing fits."}
    return {"responses": answers | _refusals({"application/json": _schema("Error")})}


_GIVEN = {200: "What was asked for.", 206: "Some of the sources did not answer: the header Warning says which."}


def _refusals(content: Mapping[str, Any]) -> dict[str, Any]:
    return {str(code): {"description": text, "content": content} for code, text in REFUSALS.items()}


def _schema(name: str) -> dict[str, Any]:
    return {"schema": {"$ref": f"#/components/schemas/{name}"}}
