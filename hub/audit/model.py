"""What happened, and for whom (ITI TF-1: 9, DICOM PS3.15: A.5). Frozen values."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hub.context import Touched


class AuditOutcome(StrEnum):
    """EventOutcomeIndicator."""

    SUCCESS = "0"
    MINOR_FAILURE = "4"
    SERIOUS_FAILURE = "8"
    MAJOR_FAILURE = "12"


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One access or change, successful or not."""

    id: str
    at: datetime
    transaction: str
    event_code: str
    event_display: str
    action: str  #: C R U D E
    outcome: AuditOutcome
    principal_id: str
    principal_name: str
    scheme: str
    purpose: str
    peer: str
    source: str
    correlation_id: str
    message_id: str = ""
    error_code: str = ""
    detail: str = ""  #: safe sentence
    milliseconds: int = 0
    objects: tuple[Touched, ...] = ()  #: patients, documents, studies, queries
