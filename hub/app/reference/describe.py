"""Transactions as rows of plain values: for ``maillage transactions`` and the reference pages."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hub.pipeline.catalogue import Bound, Catalogue
from hub.pipeline.transaction import Binding, Dicomweb, Dimse, Direction, Fhir, Form, Hl7, Page, Soap


def transaction_rows(catalogue: Catalogue) -> list[dict[str, Any]]:
    """Every transaction, in the catalogue's order."""
    return [_row(bound) for bound in catalogue]


def transaction_lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """One line each, in the order of their numbers: id, wires, module, title."""
    table = [("id", "wire", "module", "title")]
    for row in sorted(rows, key=lambda row: _by_number(row["id"])):
        wires = ", ".join(dict.fromkeys(binding["wire"] for binding in row["bindings"]))
        table.append((row["id"], wires, row["module"].removeprefix("profiles."), row["title"]))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for cells in table:
        yield "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _by_number(transaction_id: str) -> tuple[str, int, str]:
    """ITI-8 before ITI-18."""
    family, _, rest = transaction_id.partition("-")
    return family, int(rest) if rest.isdecimal() else 0, rest


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
            return f"{binding.method} {binding.root}{binding.path}"
        case Form() | Page():
            return f"{binding.method} {binding.path}"
        case Dimse():
            return f"{binding.service} {', '.join(binding.sop_classes) or 'storage classes'}"
