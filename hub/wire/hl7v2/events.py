"""What each event of a feed means here: one row each (ITI TF-2: 3.8, 3.30, 3.31; PAM-FR 2.11)."""

from dataclasses import dataclass
from enum import StrEnum


class Effect(StrEnum):
    """What a message asks of the patients room."""

    IDENTITY = "identity"  #: announce or update
    VISIT = "visit"  #: that, and where the patient is now
    DISCHARGE = "discharge"  #: that, and the visit is over
    CANCEL = "cancel"  #: that, and the visit never was: the identity stays
    MERGE = "merge"
    LINK = "link"
    UNLINK = "unlink"
    CHANGE = "change"  #: another number
    WITHDRAW = "withdraw"


@dataclass(frozen=True, slots=True)
class Event:
    """One trigger event. ``transaction``: who takes it; ``named``: whether PID-5 is required."""

    transaction: str
    effect: Effect
    meaning: str
    named: bool = True


EVENTS: dict[str, Event] = {
    "A01": Event("ITI-8", Effect.VISIT, "Admit"),
    "A04": Event("ITI-8", Effect.VISIT, "Register outpatient"),
    "A05": Event("ITI-8", Effect.VISIT, "Pre-admit"),
    "A08": Event("ITI-8", Effect.VISIT, "Update patient information"),
    "A40": Event("ITI-8", Effect.MERGE, "Merge patient identifier lists", named=False),
    "A28": Event("ITI-30", Effect.IDENTITY, "Add person information"),
    "A31": Event("ITI-30", Effect.IDENTITY, "Update person information"),
    "A24": Event("ITI-30", Effect.LINK, "Link patient information", named=False),
    "A37": Event("ITI-30", Effect.UNLINK, "Unlink patient information", named=False),
    "A47": Event("ITI-30", Effect.CHANGE, "Change patient identifier list", named=False),
    "A29": Event("ITI-30", Effect.WITHDRAW, "Delete person information", named=False),
    "A02": Event("ITI-31", Effect.VISIT, "Transfer"),
    "A03": Event("ITI-31", Effect.DISCHARGE, "Discharge"),
    "A06": Event("ITI-31", Effect.VISIT, "Outpatient to inpatient"),
    "A07": Event("ITI-31", Effect.VISIT, "Inpatient to outpatient"),
    "A11": Event("ITI-31", Effect.CANCEL, "Cancel admit or registration", named=False),
    "A12": Event("ITI-31", Effect.VISIT, "Cancel transfer", named=False),
    "A13": Event("ITI-31", Effect.VISIT, "Cancel discharge", named=False),
    "A14": Event("ITI-31", Effect.IDENTITY, "Pending admit"),
    "A15": Event("ITI-31", Effect.IDENTITY, "Pending transfer"),
    "A16": Event("ITI-31", Effect.IDENTITY, "Pending discharge"),
    "A21": Event("ITI-31", Effect.VISIT, "Leave of absence"),
    "A22": Event("ITI-31", Effect.VISIT, "Return from leave of absence"),
    "A25": Event("ITI-31", Effect.IDENTITY, "Cancel pending discharge", named=False),
    "A26": Event("ITI-31", Effect.IDENTITY, "Cancel pending transfer", named=False),
    "A27": Event("ITI-31", Effect.IDENTITY, "Cancel pending admit", named=False),
    "A38": Event("ITI-31", Effect.CANCEL, "Cancel pre-admit", named=False),
    "A52": Event("ITI-31", Effect.VISIT, "Cancel leave of absence", named=False),
    "A53": Event("ITI-31", Effect.VISIT, "Cancel return from leave of absence", named=False),
    "A54": Event("ITI-31", Effect.VISIT, "Change attending doctor"),
    "A55": Event("ITI-31", Effect.VISIT, "Cancel change of attending doctor", named=False),
    "Z99": Event("ITI-31", Effect.VISIT, "Change a movement (ZBE)"),
}


def of(transaction: str) -> tuple[str, ...]:
    """The events that a transaction takes, as MSH-9 names them."""
    return tuple(f"ADT^{code}" for code, event in EVENTS.items() if event.transaction == transaction)
