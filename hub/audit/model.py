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


@dataclass(frozen=True, slots=True)
class AuditSearch:
    """What to look for, newest first; everything that is given must hold. ``cursor``: an earlier page's."""

    references: tuple[str, ...] = ()  #: any of these was touched: a person's identifiers, a document, a study
    kind: str = ""  #: what kind of thing was touched: patient, document ...
    transaction: str = ""
    principal: str = ""
    outcomes: tuple[AuditOutcome, ...] = ()
    since: datetime | None = None
    until: datetime | None = None  #: exclusive
    correlation_id: str = ""
    cursor: str = ""
    limit: int = 50


@dataclass(frozen=True, slots=True)
class AuditPage:
    """One page of records; ``cursor`` "" at the end."""

    records: tuple[AuditRecord, ...]
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class ChainState:
    """The result of checking the chain: how many records, the last hash, and where it is broken (None: nowhere)."""

    records: int
    head: str
    broken_at: int | None = None
    reason: str = ""

    @property
    def intact(self) -> bool:
        """Whether every record is as it was written."""
        return self.broken_at is None
