"""What of a feed that was taken is not kept: told to its sender as a warning, and beside the message."""

from collections.abc import Mapping

from hub.context import Context, Touched
from hub.patients.ins_model import valid
from hub.patients.model import Identity

WARNING = "warning"  #: kind of the effects that tell what of an accepted message was not taken
NUMBER_MERGED, INS_KEY, INS_NOT_QUALIFIED = "number-merged", "ins-key", "ins-not-qualified"

#: Code -> the sentence that whoever sent the message reads.
TEXTS: Mapping[str, str] = {
    NUMBER_MERGED: "The number was merged or changed into another one: what is said of the patient is not taken.",
    INS_KEY: "The INS is mistyped: its key is wrong. The identity is kept without it.",
    INS_NOT_QUALIFIED: "The identity is not qualified: it is kept without its INS.",
}


def told(context: Context) -> tuple[str, ...]:
    """The codes of what was not kept."""
    return tuple(code for code in TEXTS if Touched(WARNING, code) in context.effects)


def note_ins(told_of: Identity, context: Context) -> None:
    """Of an identity whose INS is not kept: why."""
    context.led_to(WARNING, INS_NOT_QUALIFIED if valid(told_of.ins) else INS_KEY)
