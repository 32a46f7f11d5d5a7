"""What of an accepted message is not taken, or is doubtful: told with an ERR of severity W."""

from dataclasses import dataclass

from hub.patients.doubts_model import INS_KEY, INS_NOT_QUALIFIED, NUMBER_MERGED, TEXTS
from hub.wire.hl7v2.message import Segment
from hub.wire.hl7v2.pid import refused_ins

_UNICODE = frozenset({"utf-8", "utf8", "ascii", "us-ascii"})


@dataclass(frozen=True, slots=True)
class Doubt:
    """ERR-2, ERR-3 and the sentence of ERR-5."""

    location: str
    condition: str
    text: str


WARNINGS = {
    INS_KEY: Doubt("PID^1^3", "103", TEXTS[INS_KEY]),
    INS_NOT_QUALIFIED: Doubt("PID^1^3", "103", TEXTS[INS_NOT_QUALIFIED]),
    "ins-without-oid": Doubt(
        "PID^1^3", "103", "The INS names no authority of the INS: the identity is kept without it."
    ),
    "character-set-doubtful": Doubt(
        "MSH^1^18", "102", "The name reads as UTF-8, which MSH-18 does not say: it is kept as MSH-18 has it."
    ),
    NUMBER_MERGED: Doubt("PID^1^3", "204", TEXTS[NUMBER_MERGED]),
}


def doubt(pid: Segment) -> str:
    """A key of ``WARNINGS``, or "" where nothing is wrong."""
    return refused_ins(pid) or ("character-set-doubtful" if misread(pid) else "")


def misread(pid: Segment) -> bool:
    """Whether the name's bytes are UTF-8 although the message names a set of one byte a letter.

    Two or more accented letters of such a set hardly ever make valid UTF-8 by chance."""
    name = pid.field(5)
    if name.isascii() or pid.codec.lower() in _UNICODE:
        return False
    try:
        name.encode(pid.codec).decode("utf-8")
    except UnicodeError:
        return False
    return True
