"""Query by parameter: QPD, RCP, QAK (HL7 v2.5: 5.5), as PIX (ITI TF-2: 3.9) and PDQ (ITI TF-2: 3.21) use them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from hub.errors import HubError, lookup
from hub.patients.errors import InvalidCursor
from hub.values import PatientIdentifier
from hub.wire.hl7v2 import writer
from hub.wire.hl7v2.answers import answer, err
from hub.wire.hl7v2.datatypes import hd
from hub.wire.hl7v2.errors import ANSWERS, FieldMissing, TableValueUnknown
from hub.wire.hl7v2.message import Hl7Message

FOUND, NOT_FOUND, FAILED, REJECTED = "OK", "NF", "AE", "AR"
"""QAK-2, HL7 table 0208."""


@dataclass(frozen=True, slots=True)
class Hits:
    """QAK-4 to QAK-6; an unknown total is None."""

    total: int | None
    payload: int
    remaining: int | None


def domains(message: Hl7Message, field: int) -> tuple[str, ...]:
    """The domains that the answer is restricted to (repetitions of CX-4 in QPD): OIDs, namespaces where there is none.

    Raises FieldMissing."""
    qpd = message.require("QPD")
    wanted = []
    for number, item in enumerate(qpd.repetitions(field), 1):
        location = qpd.at(field) + (f"[{number}]" if number > 1 else "")
        namespace, oid = hd(item, 4, location)
        if not (oid or namespace):
            raise FieldMissing("The domain is empty.", location=f"{location}.4")
        wanted.append(oid or namespace)
    return tuple(wanted)


def within(identifiers: Sequence[PatientIdentifier], wanted: Collection[str]) -> list[PatientIdentifier]:
    """Those in the wanted domains; all where none is named."""
    return [item for item in identifiers if not wanted or item.authority in wanted or item.namespace in wanted]


def unknown_domains(message: Hl7Message, field: int, error: HubError) -> list[str]:
    """Where the domains' field names the unknown ones: each repetition that does; empty when none does."""
    qpd, unknown = message.require("QPD"), f" {error.context.get('domains', '')} "
    named = (item.value(4, 2) or item.value(4, 1) for item in qpd.repetitions(field))
    return [f"{qpd.at(field)}[{number}]" for number, name in enumerate(named, 1) if name and f" {name} " in unknown]


def quantity(message: Hl7Message, default: int, most: int) -> int:
    """RCP-2, records a page. Raises TableValueUnknown for a unit other than RD."""
    rcp = message.first("RCP")
    if rcp is None or not rcp.value(2):
        return default
    if rcp.value(2, 2) not in ("", "RD") or not rcp.value(2).isdecimal():
        raise TableValueUnknown("Only a quantity of records (RD) is supported.", location=rcp.at(2))
    return max(1, min(int(rcp.value(2)), most))


def pointer(text: str) -> int:
    """Of DSC-1: the number of the record to go on with, from 1. Raises InvalidCursor."""
    if not (text.isdecimal() and len(text) < 10 and int(text)):
        raise InvalidCursor(location="DSC-1")
    return int(text)


def respond(
    message: Hl7Message,
    kind: str,
    structure: str,
    records: Sequence[str],
    *,
    hits: Hits | None = None,
    cursor: str = "",
) -> bytes:
    """The RSP with AA: QAK, QPD echoed, the records, DSC where there is more."""
    status = FOUND if records else NOT_FOUND
    segments = [_qak(message, status, hits), _qpd(message), *records]
    if cursor:
        segments.append(writer.segment("DSC", {1: writer.escape(cursor), 2: "I"}))
    return answer(message, kind, "AA", segments, structure=structure)


def refuse_query(
    message: Hl7Message,
    kind: str,
    structure: str,
    error: HubError,
    *,
    location: str = "",
    more: Sequence[str] = (),
    condition: str = "",
) -> bytes:
    """The RSP with AE (or AR): ERR, one for each of the ``more`` places as well, QAK, QPD echoed."""
    code = lookup(ANSWERS, error).acknowledgement
    segments = [err(error, message.version, place, condition) for place in more]
    segments += [_qak(message, code, None), _qpd(message)]
    return answer(
        message, kind, code, segments, structure=structure, error=error, location=location, condition=condition
    )


def _qak(message: Hl7Message, status: str, hits: Hits | None) -> str:
    qpd = message.first("QPD")
    fields = {1: writer.escape(qpd.value(2)) if qpd else "", 2: status, 3: _query_name(message)}
    if hits is not None:
        fields |= {
            4: "" if hits.total is None else str(hits.total),
            5: str(hits.payload),
            6: "" if hits.remaining is None else str(hits.remaining),
        }
    return writer.segment("QAK", fields)


def _query_name(message: Hl7Message) -> str:
    qpd = message.first("QPD")
    return writer.components(qpd.value(1, 1), qpd.value(1, 2), qpd.value(1, 3)) if qpd else ""


def _qpd(message: Hl7Message) -> str:
    """QPD as it came; rewritten only where it came with other delimiters."""
    qpd = message.first("QPD")
    if qpd is None:
        return "QPD"
    d = message.delimiters
    if (d.field, d.component, d.repetition, d.escape, d.subcomponent) == ("|", "^", "~", "\\", "&"):
        return qpd.text
    received = d.field + d.component + d.repetition + d.escape + d.subcomponent
    return qpd.text.translate(str.maketrans(received, "|^~\\&"))
