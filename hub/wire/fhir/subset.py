"""Parts of resources: _summary and _elements (FHIR R4: 3.1.1.5.8, 3.1.1.5.9), for searches and reads alike.

What is mandatory or changes the meaning of the rest stays whatever is asked for, and what is left is marked SUBSETTED,
lest it be taken for the whole."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hub.errors import Invalid
from hub.wire.fhir.shapes import choices, in_summary, lasting, names_of, shapes_of
from hub.wire.http import HttpRequest

SUBSETTED: Mapping[str, str] = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
}
_SUMMARIES = ("", "true", "text", "data", "count", "false")


@dataclass(frozen=True, slots=True)
class Parts:
    """What of a resource is wanted. ``elements`` beat ``summary``; with neither it is the whole."""

    summary: str = ""  #: true, text or data
    elements: tuple[str, ...] = ()

    def of(self, resource: Mapping[str, Any]) -> Mapping[str, Any]:
        """Of a resource what is wanted."""
        if self.elements:
            return _marked(_named(resource, frozenset(self.elements)), resource)
        if self.summary == "true":
            return _marked(_summed(resource, resource["resourceType"]), resource)
        if self.summary == "text":
            return _marked(_named(resource, frozenset({"text"})), resource)
        if self.summary == "data" and "text" in resource:
            return _marked({name: value for name, value in resource.items() if name != "text"}, resource)
        return resource


def asked(message: HttpRequest, kind: str) -> Parts:
    """What _summary and _elements say, as far as there are such elements. Raises Invalid."""
    summary = message.parameter("_summary")
    if summary not in _SUMMARIES:
        raise Invalid("_summary is true, text, data, count or false.", location="_summary")
    elements = tuple(name for name in named(message) if name in names_of(kind))
    return Parts("" if elements or summary in ("count", "false") else summary, elements)


def named(message: HttpRequest) -> tuple[str, ...]:
    """What _elements names, whether there is such an element or not."""
    names = (name.strip() for text in message.parameters("_elements") for name in text.split(","))
    return tuple(dict.fromkeys(filter(None, names)))


def _named(resource: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The elements of these names, and those that always stay."""
    kind = resource["resourceType"]
    kept = {*names, *lasting(kind)}
    by_choice = choices(kind)
    return {
        name: value for name, value in resource.items() if {bare := name.removeprefix("_"), by_choice.get(bare)} & kept
    }


def _summed(value: Any, kind: str) -> Any:
    """What the definition marks as part of the summary, at each level."""
    if isinstance(value, list):
        return [made for item in value if (made := _summed(item, kind)) != {}]
    if not isinstance(value, dict):
        return value
    kept, types = in_summary(kind), shapes_of(kind)
    found = {
        name: _summed(item, types[name].type_name) if name in types and types[name].type_name else item
        for name, item in value.items()
        if name.removeprefix("_") in kept
    }
    return {name: item for name, item in found.items() if item not in ({}, [])}  # nothing in FHIR is empty


def _marked(part: dict[str, Any], whole: Mapping[str, Any]) -> dict[str, Any]:
    """Tagged, and with those of the contained resources that it still refers to."""
    meta = part.get("meta", {})
    made = {**part, "meta": {**meta, "tag": [*meta.get("tag", ()), SUBSETTED]}}
    if "contained" in part:
        return made
    contained = {f"#{item.get('id')}": item for item in whole.get("contained", ())}
    wanted: set[str] = set()
    todo: list[Mapping[str, Any]] = [made]
    while todo:
        new = {name for name in _local(todo.pop()) if name in contained} - wanted
        todo += [contained[name] for name in new]
        wanted |= new
    kept = [item for name, item in contained.items() if name in wanted]
    return {**made, "contained": kept} if kept else made


def _local(value: Any) -> Iterable[str]:
    """Every reference to a contained resource in a value."""
    if isinstance(value, list):
        for item in value:
            yield from _local(item)
    elif isinstance(value, dict):
        found = value.get("reference")
        if isinstance(found, str) and found.startswith("#"):
            yield found
        for item in value.values():
            yield from _local(item)
