"""What travels with one transaction through the rooms: who asks, why, and what it touched (for the audit record)."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from hub.access.model import ANONYMOUS, Principal
from hub.errors import DeadlineExceeded, HubError
from hub.values import new_key, now

TREATMENT = "TREATMENT"  #: the purpose where nobody said another one
CREATED, DELETED = "C", "D"  #: ``Context.action`` (EventActionCode of DICOM PS3.15 A.5)


@dataclass(frozen=True, slots=True)
class Touched:
    """Something that a transaction read, made or changed. ``kind``: patient, document, study, query, message ..."""

    kind: str
    reference: str


@dataclass(slots=True)
class Context:
    """One transaction's company. Services read ``principal`` and call ``touch`` and ``led_to``."""

    transaction: str = "internal"  #: transaction id, "ITI-18"
    principal: Principal = ANONYMOUS
    purpose: str = TREATMENT
    source: str = ""  #: configured name of the feeding or asking system, "" when unknown
    peer: str = ""  #: network address of the caller
    session: str = field(default="", repr=False)  #: token of the caller's session, "" without one; never kept or logged
    community: str = ""  #: homeCommunityId of this community (urn:oid: form), "" where no gateway is concerned
    correlation_id: str = field(default_factory=new_key)
    manifest: str = ""  #: SOPInstanceUID of the manifest by which the caller reads, "" where none was named
    interaction: str = ""  #: what is done with which FHIR resource, as scopes say it: ImagingStudy.r
    called: str = ""  #: what was asked for on our side: the path of the endpoint, the AE title
    query: bytes = field(default=b"", repr=False)  #: the question as it was asked, for the audit trail only
    control_id: str = ""  #: what the sender calls the message
    query_form: str = ""  #: what the question is: ebxml, hl7v2, hl7v3, http, dicom
    action: str = ""  #: what was done, where it is another thing than the transaction's rule
    failed: HubError | None = None  #: why nothing, or not all, came of what was asked for, where the answer tells it
    at_end: Callable[[HubError | None], None] | None = None  #: of an answer that is being sent: tells what became of it
    message_id: str = ""  #: the inbox row that keeps the raw message, "" when none
    received_at: datetime = field(default_factory=now)
    deadline: float | None = None  #: time.monotonic() value after which the caller has gone
    touched: dict[Touched, None] = field(default_factory=dict)  #: each once, in order: there may be ten thousand
    effects: dict[Touched, None] = field(default_factory=dict)  #: likewise

    def touch(self, kind: str, reference: str) -> None:
        """Note what was accessed: it becomes a participant object of the audit record."""
        self.touched[Touched(kind, reference)] = None

    def led_to(self, kind: str, reference: str) -> None:
        """Note what the message caused: shown beside it on the operator's page."""
        self.effects[Touched(kind, reference)] = None

    def end(self, error: HubError | None = None) -> None:
        """The answer has been sent, or has broken off with ``error``; told twice, the first time counts."""
        tell, self.at_end = self.at_end, None
        if tell is not None:
            tell(self.failed or error)

    def forget(self) -> None:
        """What was noted of an attempt that was taken back."""
        self.message_id = self.action = ""
        self.failed = None
        self.touched.clear()
        self.effects.clear()

    def remaining(self, default: float) -> float:
        """Seconds left, at most ``default``. Raises DeadlineExceeded when none are left."""
        if self.deadline is None:
            return default
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise DeadlineExceeded()
        return min(default, left)
