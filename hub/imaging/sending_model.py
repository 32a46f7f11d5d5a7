"""What a report's message says of whom its document goes to (CI-SIS, MetaDMPMSS), and what its sender is told then.
Frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

#: Code of MetaDMPMSS -> confidentialityCode of XDS (TRE_A07), which calls one of them otherwise.
MASKS: Mapping[str, str] = {
    "MASQUE_PS": "MASQUE_PS",
    "INVISIBLE_PATIENT": "INVISIBLE_PATIENT",
    "INVISIBLE_REP_LEGAUX": "INVISIBLE_REPRESENTANTS_LEGAUX",
}


@dataclass(frozen=True, slots=True)
class Sending:
    """The OBX of MetaDMPMSS and the PRT segments of an ORU.

    ``flags``: code -> whether it is Y; a code that was not sent is not there."""

    flags: Mapping[str, bool] = field(default_factory=dict)
    recipients: tuple[str, ...] = field(default=(), repr=False)  #: PRT-15.4 of RCT, each once
    reply_to: str = field(default="", repr=False)  #: PRT-15.4 of REPLY
    body_professional: str = field(default="", repr=False)  #: CORPSMAIL_PS
    body_patient: str = field(default="", repr=False)  #: CORPSMAIL_PATIENT
    no_reply: bool = False  #: an NTE says FIN
    readable: bool = True  #: False: something of it could not be understood, so nobody is to get anything

    def says(self, code: str) -> bool:
        """Whether a code was sent with Y."""
        return self.flags.get(code, False)

    @property
    def masks(self) -> tuple[str, ...]:
        """From whom the document is hidden, as codes of TRE_A07."""
        return tuple(code for said, code in MASKS.items() if self.says(said))

    @property
    def to_record(self) -> bool:
        """Whether the document may go to the national record: only an explicit N keeps it back."""
        return self.flags.get("DESTDMP", True)


class Told(StrEnum):
    """What a sender is told of, by the event of the message that does (ZAM)."""

    RECORD = "Z01"  #: the national record has the document, or refused it
    DELIVERY = "Z02"  #: the mail server of a recipient has it, or could not take it
    READING = "Z03"  #: a recipient has read it, or their system could not take it in


@dataclass(frozen=True, slots=True)
class Outcome:
    """How far a document came whose message asked to be told (ACK_RECEPTION, ACK_LECTURE_MSS).

    ``source``: the feed that sent it; ``control_id``: MSH-10 of its message; ``code``: of the national record, the
    mail server or the recipient's system, where it did not come there."""

    told: Told
    source: str
    control_id: str
    good: bool
    code: str = ""
    recipient: str = field(default="", repr=False)
