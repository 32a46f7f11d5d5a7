"""Transactions as rows of plain values: for ``maillage transactions`` and the reference pages."""

from typing import Any

from hub.pipeline.catalogue import Bound, Catalogue
from hub.pipeline.transaction import Binding, Dicomweb, Dimse, Direction, Fhir, Hl7, Soap


def transaction_rows(catalogue: Catalogue) -> list[dict[str, Any]]:
    """Every transaction, in the catalogue's order."""
    return [_row(bound) for bound in catalogue]


def _row(bound: Bound) -> dict[str, Any]:
    item = bound.transaction
    actor = {
        Direction.RESPONDER: item.responder,
        Direction.INITIATOR: item.initiator,
        Direction.BOTH: f"{item.responder}, {item.initiator}",
    }[item.direction]
    return {
        "id": item.id,
        "title": item.title,
        "profile": item.profile,
        "initiator": item.initiator,
        "responder": item.responder,
        "actor": actor,
        "direction": str(item.direction),
        "kind": str(item.kind),
        "durability": str(item.durability),
        "permission": item.permission,
        "section": item.section,
        "audit": {"code": item.audit.code, "display": item.audit.display, "action": item.audit.action},
        "options": list(item.options),
        "bindings": [{"wire": binding.wire, "where": where(binding)} for binding in item.bindings],
        "module": bound.module,
    }


def where(binding: Binding) -> str:
    """Where and how a binding is called, in a line."""
    match binding:
        case Soap():
            return f"{binding.path} {binding.action}{' (MTOM)' if binding.mtom else ''}"
        case Hl7():
            return ", ".join(binding.events)
        case Fhir():
            return f"{binding.method} /fhir{binding.path}"
        case Dicomweb():
            return f"{binding.method} /dicom-web{binding.path}"
        case Dimse():
            return f"{binding.service} {', '.join(binding.sop_classes) or 'storage classes'}"
