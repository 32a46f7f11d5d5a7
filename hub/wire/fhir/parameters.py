"""Parameters of operations: read from a body or from a query, and written (FHIR R4: 2.26, 3.2.0)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hub.errors import Invalid
from hub.wire.fhir import search
from hub.wire.fhir.body import resource_in
from hub.wire.fhir.codes import text
from hub.wire.fhir.people import listed
from hub.wire.http import HttpRequest, HttpResponse

_MOST = 100


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its value, by the name of the element that holds it."""

    name: str
    kind: str  #: valueString, valueIdentifier, resource ...
    value: Any


def parameters_in(message: HttpRequest, known: Iterable[str]) -> tuple[Parameter, ...]:
    """Those of a Parameters resource (POST) or of the query (GET, as texts). Raises Malformed, Invalid.

    One that the operation does not know is refused."""
    search.accept_json(message)
    found = _of_query(message) if message.method == "GET" else _of_body(message)
    for item in found:
        if item.name not in known:
            raise Invalid("The operation has no such parameter.", location=item.name[:64])
    return found


def texts(found: Iterable[Parameter], name: str) -> tuple[str, ...]:
    """Every value of a parameter that is a text, a URI or a code, an Identifier as ``system|value``. Raises Invalid."""
    values = tuple(_token(item) for item in found if item.name == name)
    if not all(isinstance(value, str) for value in values):
        raise Invalid("A text is expected.", location=name)
    return values


def _token(item: Parameter) -> Any:
    if item.kind != "valueIdentifier" or not isinstance(item.value, Mapping):
        return item.value
    return f"{text(item.value, 'system')}|{text(item.value, 'value')}"


def one_text(found: Iterable[Parameter], name: str, *, required: bool = False) -> str:
    """The value of a parameter that stands once, "" when it does not. Raises Invalid."""
    values = texts(found, name)
    if len(values) > 1 or (required and not any(values)):
        raise Invalid("The parameter stands once.", location=name)
    return values[0] if values else ""


def written(rows: Iterable[tuple[str, str, Any]]) -> HttpResponse:
    """A Parameters resource of (name, element, value); an element ``part`` holds further rows."""
    found = [_row(*row) for row in rows]
    return search.answer({"resourceType": "Parameters", **({"parameter": found} if found else {})})


def _row(name: str, element: str, value: Any) -> dict[str, Any]:
    if element == "part":
        value = [_row(*row) for row in value]
    return {"name": name, element: value}


def _of_query(message: HttpRequest) -> tuple[Parameter, ...]:
    return tuple(
        Parameter(name, "valueString", value) for name, value in message.query if name not in search.SHAPING and value
    )


def _of_body(message: HttpRequest) -> tuple[Parameter, ...]:
    body = resource_in(message, "Parameters")
    rows = listed(body, "parameter")
    if len(rows) > _MOST:
        raise Invalid("An operation takes at most 100 parameters.", location="Parameters.parameter")
    found = (_parameter(row) for row in rows)
    return tuple(item for item in found if item.name not in search.SHAPING)


def _parameter(row: Any) -> Parameter:
    if not isinstance(row, Mapping):
        raise Invalid("A parameter is an object.", location="Parameters.parameter")
    values = [(name, value) for name, value in row.items() if name.startswith("value") or name == "resource"]
    if len(values) != 1:
        raise Invalid("A parameter has one value.", location="Parameters.parameter.value")
    return Parameter(text(row, "name"), *values[0])
