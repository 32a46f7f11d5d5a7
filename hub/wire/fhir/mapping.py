"""A mapping between an object of the registry and a resource as one table of rows, read in both directions."""

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hub.errors import HubError, Invalid
from hub.wire.fhir.people import Box

Put = Callable[[Any, Box], Any]
Get = Callable[[Any, Box], Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One attribute and the element it stands in: ``content.0.attachment.size``, with the value's two translations.

    ``get``: None where the element says nothing that a submission could set."""

    attribute: str
    element: str
    put: Put
    get: Get | None = None


def write(rows: Iterable[Row], item: Any, box: Box) -> dict[str, Any]:
    """The elements of an object's attributes; what is empty is left out."""
    found: dict[str, Any] = {}
    for row in rows:
        value = getattr(item, row.attribute)
        if value in ("", None, ()):
            continue
        element = row.put(value, box)
        if element not in ("", None, [], {}):
            _place(found, row.element.split("."), element)
    return found


def read(rows: Iterable[Row], resource: Mapping[str, Any], box: Box) -> dict[str, Any]:
    """The attributes that a resource's elements give. Raises Invalid; its location is the element."""
    found: dict[str, Any] = {}
    for row in rows:
        element = _look(resource, row.element.split("."))
        if row.get is None or element is None:
            continue
        try:
            value = row.get(element, box)
        except HubError as error:
            raise Invalid(f"{row.element}: {error.message}", location=row.element) from error
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise Invalid(f"{row.element} is not what FHIR R4 wants there.", location=row.element) from error
        if value not in ("", None, ()):
            found[row.attribute] = value
    return found


def _place(found: dict[str, Any], path: list[str], element: Any) -> None:
    """Set an element; a list that is already there grows."""
    target: Any = found
    for step, following in itertools.pairwise(path):
        if step == "0":
            if not target:
                target.append({})
            target = target[0]
        else:
            target = target.setdefault(step, [] if following == "0" else {})
    last = path[-1]
    if isinstance(element, list) and isinstance(target.get(last), list):
        target[last] += element
    else:
        target[last] = element


def _look(found: Any, path: list[str]) -> Any:
    for step in path:
        if step == "0":
            found = found[0] if isinstance(found, list) and found else None
        else:
            found = found.get(step) if isinstance(found, dict) else None
        if found is None:
            return None
    return found
