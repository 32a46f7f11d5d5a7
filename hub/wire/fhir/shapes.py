"""What FHIR defines of its types, as the models of ``fhir.resources`` have it: elements, their order and kind, which of
them are mandatory and which belong to the summary."""

import types
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Union, get_args, get_origin

from fhir.resources.R4B import get_fhir_model_class

_ALWAYS = frozenset({"resourceType", "id", "meta", "implicitRules", "modifierExtension"})
#: Modifiers that are not mandatory (FHIR R4: 2.1.0.14); the models don't tell them.
_MODIFIERS: Mapping[str, frozenset[str]] = {"Patient": frozenset({"active", "deceased", "link"})}


@dataclass(frozen=True, slots=True)
class Shape:
    """One element: whether it repeats, and its type; "" for a primitive, whose Python type is ``primitive``."""

    name: str
    many: bool
    type_name: str = ""
    primitive: type = str
    xhtml: bool = False


@lru_cache(maxsize=512)
def shapes_of(type_name: str) -> Mapping[str, Shape]:
    """The elements of a type in the schema's order. Raises ValueError for a type that FHIR does not have."""
    model = get_fhir_model_class(type_name)
    fields = {item.alias or name: item.annotation for name, item in model.model_fields.items()}
    return {name: _shape(name, fields[name]) for name in model.elements_sequence()}


def _shape(name: str, annotation: Any) -> Shape:
    many, xhtml = False, False
    while True:
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin in (Union, types.UnionType):
            annotation = next((item for item in arguments if item not in (type(None), str)), str)
        elif origin is list:
            many, annotation = True, arguments[0]
        elif origin is Annotated:
            xhtml = any(type(item).__name__ == "Xhtml" for item in arguments[1:])
            annotation = arguments[0]
        else:
            break
    kind = getattr(annotation, "__name__", "")
    if kind.endswith("Type"):
        return Shape(name, many, kind.removesuffix("Type"))
    return Shape(name, many, primitive=annotation, xhtml=xhtml)


@lru_cache(maxsize=64)
def names_of(kind: str) -> frozenset[str]:
    """What _elements may name: deceased, as deceasedBoolean."""
    return frozenset((*shapes_of(kind), *choices(kind).values()))


@lru_cache(maxsize=64)
def choices(kind: str) -> Mapping[str, str]:
    """deceasedBoolean -> deceased."""
    fields = get_fhir_model_class(kind).model_fields.items()
    return {
        field.alias or name: _extra(field)["one_of_many"] for name, field in fields if "one_of_many" in _extra(field)
    }


@lru_cache(maxsize=64)
def lasting(kind: str) -> frozenset[str]:
    """What stays: mandatory elements, and those that change the meaning of others."""
    fields = get_fhir_model_class(kind).model_fields.items()
    mandatory = {
        field.alias or name for name, field in fields if field.is_required() or _extra(field).get("element_required")
    }
    return _ALWAYS | mandatory | _MODIFIERS.get(kind, frozenset())


@lru_cache(maxsize=512)
def in_summary(kind: str) -> frozenset[str]:
    """What the definition marks for the summary, and what stays."""
    return lasting(kind) | set(get_fhir_model_class(kind).summary_elements_sequence())


def _extra(field: Any) -> Mapping[str, Any]:
    return field.json_schema_extra or {}
