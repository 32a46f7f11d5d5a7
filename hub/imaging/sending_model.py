"""What a report's message says of whom its document is mailed to (CI-SIS, MetaDMPMSS). Frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field


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
