"""HL7 v2 in ER7: reading, writing, acknowledging. Framing (MLLP) is in :mod:`hub.wire.hl7v2.mllp`."""

from hub.wire.hl7v2.answers import acknowledge, answer, refuse, refuse_commit
from hub.wire.hl7v2.errors import ANSWERS, Hl7Invalid, Hl7Malformed
from hub.wire.hl7v2.message import Hl7Message, Repetition, Segment

__all__ = [
    "ANSWERS",
    "Hl7Invalid",
    "Hl7Malformed",
    "Hl7Message",
    "Repetition",
    "Segment",
    "acknowledge",
    "answer",
    "refuse",
    "refuse_commit",
]
