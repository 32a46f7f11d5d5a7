"""The CapabilityStatement, derived from the transactions' bindings: no list is kept by hand (FHIR R4: 2.21)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from hub.wire.fhir import fr_core
from hub.wire.fhir.codes import MHD
from hub.wire.fhir.r4 import MEDIA_TYPE, VERSION, XML_TYPE

#: The definitions of the operations.
OPERATIONS: Mapping[str, str] = {
    "generate-metadata": f"{MHD}/OperationDefinition/generate-metadata",
    "ihe-pix": "https://profiles.ihe.net/ITI/PIXm/OperationDefinition/IHE.PIXm.pix",
    "match": "https://profiles.ihe.net/ITI/PDQm/OperationDefinition/PDQmMatch",
    "process-message": "http://hl7.org/fhir/OperationDefinition/MessageHeader-process-message",
    "link": "urn:maillage:operation:patient-link",
    "unlink": "urn:maillage:operation:patient-unlink",
    "explain": "urn:maillage:operation:patient-explain",
}
#: How callers may prove who they are.
SECURITY_SERVICE = "http://terminology.hl7.org/CodeSystem/restful-security-service"
SERVICES = ("Certificates", "OAuth")
#: What resources conform to.
PROFILES: Mapping[str, Sequence[str]] = {
    "Patient": (fr_core.PDQM_PATIENT, fr_core.PATIENT, fr_core.PATIENT_INS),
    "Subscription": (f"{fr_core.PMIR}/StructureDefinition/IHE.PMIR.Subscription",),
}


class Interaction(Protocol):
    """A FHIR binding, as ``hub.pipeline.transaction.Fhir`` declares it."""

    @property
    def path(self) -> str:
        """``/ImagingStudy/{id}``."""
        ...

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

    @property
    def includes(self) -> Sequence[str]:
        """What _include may ask for."""
        ...


def capability_statement(
    interactions: Iterable[Interaction], *, url: str, version: str, date: datetime, title: str = "Maillage"
) -> dict[str, Any]:
    """What this server offers. ``url``: its FHIR base."""
    resources: dict[str, dict[str, Any]] = {}
    whole: list[dict[str, Any]] = []  # what is done with the whole system, not with a resource
    operations: list[dict[str, Any]] = []
    for item in interactions:
        operation = _operation(item.interaction)
        if not item.resource:
            (operations if operation else whole).append(operation or {"code": item.interaction})
            continue
        found = resources.setdefault(item.resource, _resource(item.resource))
        if operation:
            offers = found.setdefault("operation", [])
            offers += [operation] if operation not in offers else []
            continue
        found |= _conditional(item)
        offered = {"code": item.interaction}
        if offered not in found["interaction"]:
            found["interaction"].append(offered)
        names = {parameter["name"] for parameter in found["searchParam"]}
        found["searchParam"] += [
            {"name": name, "type": kind, "documentation": text}
            for name, kind, text in item.search_parameters
            if name not in names and "." not in name  # a chained parameter is no parameter of the resource
        ]
        if item.includes:
            found["searchInclude"] = [*item.includes]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date.isoformat(timespec="seconds"),
        "kind": "instance",
        "software": {"name": "Maillage", "version": version},
        "implementation": {"description": title, "url": url},
        "fhirVersion": VERSION,
        "format": [MEDIA_TYPE, XML_TYPE, "json", "xml"],
        "rest": [
            _clean(
                {
                    "mode": "server",
                    "security": {
                        "service": [{"coding": [{"system": SECURITY_SERVICE, "code": name}]} for name in SERVICES],
                        "description": "Mutual TLS (IHE ATNA) or a bearer token.",
                    },
                    "resource": [_clean(resources[name]) for name in sorted(resources)],
                    "interaction": whole,
                    "operation": operations,
                }
            )
        ],
    }


def _resource(kind: str) -> dict[str, Any]:
    return {"type": kind, "supportedProfile": list(PROFILES.get(kind, ())), "interaction": [], "searchParam": []}


def _operation(interaction: str) -> dict[str, str]:
    name = interaction.removeprefix("$")
    return {"name": name, "definition": OPERATIONS[name]} if name != interaction else {}


def _conditional(item: Interaction) -> dict[str, Any]:
    """What is done without an id is done where a condition holds (FHIR R4: 3.1.0.4.3, 3.1.0.7.1)."""
    if "{id}" in item.path or item.interaction not in ("update", "delete"):
        return {}
    return {"conditionalUpdate": True} if item.interaction == "update" else {"conditionalDelete": "single"}


def _clean(resource: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if value}
