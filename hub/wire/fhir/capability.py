"""The CapabilityStatement, derived from the transactions' bindings: no list is kept by hand (FHIR R4: 2.21)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from hub.wire.fhir.codes import MHD
from hub.wire.fhir.r4 import MEDIA_TYPE, VERSION

#: The definitions of the operations.
OPERATIONS: Mapping[str, str] = {"generate-metadata": f"{MHD}/OperationDefinition/generate-metadata"}


class Interaction(Protocol):
    """A FHIR binding, as ``hub.pipeline.transaction.Fhir`` declares it."""

    @property
    def resource(self) -> str:
        """``ImagingStudy``; "" for the whole system."""
        ...

    @property
    def interaction(self) -> str:
        """``read``, ``search-type`` ... or an operation, ``$name``."""
        ...

    @property
    def search_parameters(self) -> Sequence[tuple[str, str, str]]:
        """(name, type, what it means)."""
        ...


def capability_statement(
    interactions: Iterable[Interaction], *, url: str, version: str, date: datetime, title: str = "Maillage"
) -> dict[str, Any]:
    """What this server offers. ``url``: its FHIR base."""
    resources: dict[str, dict[str, Any]] = {}
    whole: list[dict[str, Any]] = []  # what is done with the whole system, not with a resource
    for item in interactions:
        if not item.resource:
            whole.append({"code": item.interaction})
            continue
        found = resources.setdefault(item.resource, {"type": item.resource, "interaction": [], "searchParam": []})
        if item.interaction.startswith("$"):
            name = item.interaction.removeprefix("$")
            found.setdefault("operation", []).append({"name": name, "definition": OPERATIONS[name]})
            continue
        offered = {"code": item.interaction}
        if offered not in found["interaction"]:
            found["interaction"].append(offered)
        names = {parameter["name"] for parameter in found["searchParam"]}
        found["searchParam"] += [
            {"name": name, "type": kind, "documentation": text}
            for name, kind, text in item.search_parameters
            if name not in names and "." not in name  # a chained parameter is no parameter of the resource
        ]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date.isoformat(timespec="seconds"),
        "kind": "instance",
        "software": {"name": "Maillage", "version": version},
        "implementation": {"description": title, "url": url},
        "fhirVersion": VERSION,
        "format": [MEDIA_TYPE, "json"],
        "rest": [
            _clean(
                {
                    "mode": "server",
                    "security": {"description": "Mutual TLS (IHE ATNA) or a bearer token."},
                    "resource": [_clean(resources[name]) for name in sorted(resources)],
                    "interaction": whole,
                }
            )
        ],
    }


def _clean(resource: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if value}
