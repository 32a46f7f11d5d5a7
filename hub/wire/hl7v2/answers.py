"""Acknowledgements: MSA and ERR (HL7 v2.5: 2.14.8, 2.15.5)."""

import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

from hub.context import Context
from hub.errors import HubError, lookup
from hub.values import new_key, now
from hub.wire.hl7v2 import writer
from hub.wire.hl7v2.errors import ANSWERS, CONDITIONS
from hub.wire.hl7v2.message import STANDARD, Delimiters, Hl7Message, Segment
from hub.wire.hl7v2.writer import escape, segment

_LOCATION = re.compile(
    r"(?P<segment>[A-Z][A-Z0-9]{2})(?:\[(?P<index>\d+)\])?(?:-(?P<field>\d+))?(?:\[(?P<repetition>\d+)\])?"
    r"(?:\.(?P<component>\d+))?(?:\.(?P<subcomponent>\d+))?"
)
_USUAL = 512  #: characters of a header that is worth remembering
ACCEPTED = "AA"
COMMITTED = "CA"


def acknowledge(message: Hl7Message, code: str = ACCEPTED, error: HubError | None = None) -> bytes:
    """The general acknowledgement (ACK) with an MSA code of HL7 table 0008."""
    asked, control_id = message.msh, message.control_id
    if error is not None or len(asked.text) > _USUAL or not control_id or not control_id.isascii():
        return answer(message, "ACK", code, error=error)
    separator = asked.delimiters.field
    fields = asked.text.split(separator)
    fields[6:7] = fields[9:10] = [""]  # without time and control id the headers of one sender are the same
    parts = _template(separator.join(fields), asked.delimiters, message.codec, code)
    if len(parts) != 4:  # a control character, by way of an escape sequence
        return answer(message, "ACK", code)
    at, own = _second(int(time.time())).encode(), new_key().encode()
    return b"".join((parts[0], at, parts[1], own, parts[2], escape(control_id).encode(), parts[3]))


@lru_cache(maxsize=256)
def _template(msh: str, delimiters: Delimiters, codec: str, code: str) -> list[bytes]:
    """The acknowledgement of messages with this header, cut at its time, its control id and theirs."""
    header = _header(Segment("MSH", msh, delimiters, codec), "ACK", at="\0", own="\1")
    return re.split(rb"[\0-\2]", writer.write(header, [segment("MSA", {1: code, 2: "\2"})], codec))


@lru_cache(maxsize=2)
def _second(at: int) -> str:
    return writer.dtm(datetime.fromtimestamp(at, UTC))


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
    header = _header(message.msh, kind, structure, accept, at=writer.dtm(now()), own=new_key())
    msa = {1: code, 2: escape(message.control_id)}
    first = [segment("MSA", msa)]
    if error is not None:
        first = [segment("MSA", {**msa, 3: escape(error.title)[:80]}), err(error, message.version, location, condition)]
    return writer.write(header, [*first, *segments], message.codec)


def _header(asked: Segment, kind: str, structure: str = "", accept: str = "", *, at: str, own: str) -> dict[int, str]:
    kind = kind if "^" in kind else "^".join(filter(None, (kind, escape(asked.value(9, 2)))))
    return {
        3: _hd(asked, 5) or "MAILLAGE",
        4: _hd(asked, 6) or "MAILLAGE",
        5: _hd(asked, 3),
        6: _hd(asked, 4),
        7: at,
        9: f"{kind}^{structure or kind.partition('^')[0]}" if "^" in kind else kind,
        10: own,
        11: _components(asked, 11, 2) or "P",
        12: _components(asked, 12, 3) or "2.5",
        15: accept,
        16: "NE" if accept else "",
        17: escape(asked.value(17)),
    }


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
