"""Acknowledgements: MSA and ERR (HL7 v2.5: 2.14.8, 2.15.5)."""

import re
from collections.abc import Sequence

from hub.context import Context
from hub.errors import HubError, lookup
from hub.values import new_key, now
from hub.wire.hl7v2 import writer
from hub.wire.hl7v2.errors import ANSWERS, CONDITIONS
from hub.wire.hl7v2.message import STANDARD, Hl7Message, Segment
from hub.wire.hl7v2.writer import escape, segment

_LOCATION = re.compile(
    r"(?P<segment>[A-Z][A-Z0-9]{2})(?:\[(?P<index>\d+)\])?(?:-(?P<field>\d+))?(?:\[(?P<repetition>\d+)\])?"
    r"(?:\.(?P<component>\d+))?(?:\.(?P<subcomponent>\d+))?"
)
ACCEPTED = "AA"
COMMITTED = "CA"


def acknowledge(message: Hl7Message, code: str = ACCEPTED, error: HubError | None = None) -> bytes:
    """The general acknowledgement (ACK) with an MSA code of HL7 table 0008."""
    return answer(message, "ACK", code, error=error)


def application_answer(message: Hl7Message, error: HubError | None = None) -> bytes:
    """The application acknowledgement of enhanced mode, a message of its own that asks for a commit acknowledgement."""
    code = lookup(ANSWERS, error).acknowledgement if error else ACCEPTED
    return answer(message, "ACK", code, error=error, accept="AL")


def refuse(
    error: HubError,
    message: Hl7Message,
    context: Context,  # noqa: ARG001
    *,
    location: str = "",
    condition: str = "",
) -> bytes:
    """The wire's refusal: AE or AR, with ERR naming what and where.

    ``location``, ``condition``: where a transaction knows them better than the error and the table."""
    code = lookup(ANSWERS, error).acknowledgement
    return answer(message, "ACK", code, error=error, location=error.location or location, condition=condition)


def refuse_commit(error: HubError, message: Hl7Message) -> bytes:
    """The refusal of a commit acknowledgement (enhanced mode): CE or CR."""
    return acknowledge(message, lookup(ANSWERS, error).commit, error)


def answer(
    message: Hl7Message,
    kind: str,
    code: str,
    segments: Sequence[str] = (),
    *,
    structure: str = "",
    error: HubError | None = None,
    location: str = "",
    condition: str = "",
    accept: str = "",
) -> bytes:
    """A message that answers another: MSH, MSA, ERR where there is an error, then ``segments``.

    ``kind``: MSH-9.1 (the event is the message's own), or MSH-9.1 and 9.2 joined by ``^``."""
    asked = message.msh
    kind = kind if "^" in kind else "^".join(filter(None, (kind, escape(asked.value(9, 2)))))
    header = {
        3: _hd(asked, 5) or "MAILLAGE",
        4: _hd(asked, 6) or "MAILLAGE",
        5: _hd(asked, 3),
        6: _hd(asked, 4),
        7: writer.dtm(now()),
        9: f"{kind}^{structure or kind.partition('^')[0]}" if "^" in kind else kind,
        10: new_key(),
        11: _components(asked, 11, 2) or "P",
        12: _components(asked, 12, 3) or "2.5",
        15: accept,
        16: "NE" if accept else "",
        17: escape(asked.value(17)),
    }
    msa = {1: code, 2: escape(message.control_id)}
    first = [segment("MSA", msa)]
    if error is not None:
        first = [segment("MSA", {**msa, 3: escape(error.title)[:80]}), err(error, message.version, location, condition)]
    return writer.write(header, [*first, *segments], message.codec)


def err(error: HubError, version: str = "2.5", location: str = "", condition: str = "") -> str:
    """The ERR segment (HL7 v2.5: 2.15.5), with ERR-1 for a reader of version 2.4 or older."""
    condition = condition or lookup(ANSWERS, error).condition
    named = f"{condition}^{CONDITIONS[condition]}^HL70357"
    place = err_location(location or error.location)
    return segment(
        "ERR",
        {
            1: f"{place}^{named.replace('^', '&')}" if place and version < "2.5" else "",
            2: place,
            3: named,
            4: "E",
            5: f"{error.code}^{escape(error.title)}^L",
            7: escape(error.message)[:250],
        },
    )


def err_location(location: str) -> str:
    """ERL from ``PID-3``, ``OBX[2]-5.4``, ``QPD-4[2]``: segment, number, field, repetition, component, subcomponent."""
    found = _LOCATION.fullmatch(location)
    if found is None:
        return ""
    part = found.groupdict(default="")
    repetition = part["repetition"] or ("1" if part["component"] else "")
    return "^".join(
        [part["segment"], part["index"] or "1", part["field"], repetition, part["component"], part["subcomponent"]]
    ).rstrip("^")


def _hd(msh: Segment, field: int) -> str:
    return _components(msh, field, 3)


def _components(msh: Segment, field: int, count: int) -> str:
    if msh.delimiters == STANDARD:  # escaped already, as we would
        return "^".join(msh.field(field).partition("~")[0].split("^")[:count]).rstrip("^")
    first = next(iter(msh.repetitions(field)), None)
    return writer.components(*(first.value(number) for number in range(1, count + 1))) if first else ""
