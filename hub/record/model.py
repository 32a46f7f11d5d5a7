"""Publications to the national record: what is to stand there, where it stands, what to do next. Frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hub.usecase import Command


class PublicationState(StrEnum):
    """Where a document stands on its way to the national record."""

    WAITING = "waiting"  #: on its way, or tried again soon
    SENT = "sent"  #: the record holds it
    REPLACED = "replaced"  #: the record holds it in the place of an earlier version
    WITHDRAWN = "withdrawn"  #: deleted there, or never sent
    HELD = "held"  #: not sent; ``reason`` says why and what to do


class Reason(StrEnum):
    """Why a publication is held, or waits."""

    NO_REPORT = "no-report"
    NOT_ASKED = "not-asked-for"
    SECRET = "secret-connection"  # noqa: S105  (a reason)
    NOT_QUALIFIED = "ins-not-qualified"
    OPPOSITION = "opposition"
    NO_RECORD = "no-record"
    CLOSED = "closed-record"
    NOT_AUTHORISED = "not-authorised"
    CERTIFICATE = "certificate-refused"
    CONFIGURATION = "misconfigured"
    METADATA = "metadata-unfit"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"
    INCONSISTENT = "inconsistent"


@dataclass(frozen=True, slots=True)
class Advice:
    """What a reason means, what to do next, and whether the hub looks again by itself (``again``)."""

    means: str
    next: str
    again: bool = False


#: Every reason with what to do next: shown on the operator's page.
ADVICE: Mapping[Reason, Advice] = {
    Reason.NO_REPORT: Advice(
        "The manifest waits until the record holds a final report of its study.",
        "Nothing here: the manifest follows its report; where that is held, see there.",
        again=True,
    ),
    Reason.NOT_ASKED: Advice(
        "The sender keeps the report from the national record (DESTDMP: N).",
        "Nothing; what the record holds of an earlier version stays until its sender takes it back.",
    ),
    Reason.SECRET: Advice(
        "The sender asks for a secret connection (CONNEXION_SECRETE), which the hub does not offer.",
        "Have the sender publish the report by other means, or send it again without it.",
    ),
    Reason.NOT_QUALIFIED: Advice(
        "The person's identity is not qualified: its INS may not be sent.",
        "Qualify the identity (INSi and an identity document); the feed that says so sends it.",
        again=True,
    ),
    Reason.OPPOSITION: Advice(
        "The person opposes that documents are shared.",
        "Nothing, unless the person changes their mind: their next word is followed.",
        again=True,
    ),
    Reason.NO_RECORD: Advice(
        "The person has no national record.", "Nothing: it is looked for again once a day for a while.", again=True
    ),
    Reason.CLOSED: Advice(
        "The person's national record is closed.", "Nothing: it is looked at again once a day for a while.", again=True
    ),
    Reason.NOT_AUTHORISED: Advice(
        "The record does not let this structure do it.",
        "Check the structure's rights on the record with the person; then try again.",
    ),
    Reason.CERTIFICATE: Advice(
        "The record does not accept the certificate of the connection or of the seal.",
        "Renew or exchange the certificates, run the check of the source; then try again.",
    ),
    Reason.CONFIGURATION: Advice("A setting makes it impossible.", "Correct the settings of [record]; then try again."),
    Reason.METADATA: Advice(
        "The document or its metadata are not what the record takes.",
        "Have the sender correct the document (the attribute is named), or the settings; a corrected one is sent.",
    ),
    Reason.REFUSED: Advice(
        "The record refused with a code of its own.", "Look the code up with the record's operator; then try again."
    ),
    Reason.UNAVAILABLE: Advice("The record does not answer.", "Nothing while it waits: it is tried again by itself."),
    Reason.INCONSISTENT: Advice(
        "The record's answer contradicts itself.", "Tell the record's operator; then try again."
    ),
}


#: What the hub looks at again once a day: it may change without anybody telling the hub.
LOOKED_AT = frozenset(reason for reason, advice in ADVICE.items() if advice.again) - {Reason.NO_REPORT}


@dataclass(frozen=True, slots=True)
class Publication:
    """One document of the region and its counterpart in the national record. No patient data."""

    id: str
    kind: str  #: "manifest" or "report"
    study_instance_uid: str
    unique_id: str  #: of the region's document, as it is now
    state: PublicationState
    reason: Reason | None = None
    detail: str = ""  #: safe: the attribute or the record's own code
    record_unique_id: str = ""  #: of what the record holds, "" when it holds nothing
    versions: int = 0  #: how many were sent
    attempts: int = 0
    changed_at: datetime | None = None
    sent_at: datetime | None = None
    leaving: bool = False  #: it is to be deleted there
    given_up: bool = False  #: it is no longer looked at by itself

    @property
    def advice(self) -> Advice | None:
        """What to do next."""
        return ADVICE[self.reason] if self.reason else None


@dataclass(frozen=True, slots=True)
class ListPublications(Command):
    """Publications, the last changed first. Outcome: PublicationPage."""

    state: PublicationState | None = None
    reason: Reason | None = None
    study_instance_uid: str = ""
    limit: int = 50
    offset: int = 0


@dataclass(frozen=True, slots=True)
class PublicationPage:
    """A page of them. ``counts``: of all, by state and reason ("" : none)."""

    publications: tuple[Publication, ...]
    counts: Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class RetryPublication(Command):
    """Try a held publication again now. Outcome: Publication."""

    publication_id: str


@dataclass(frozen=True, slots=True)
class RetryHeld(Command):
    """Try everything again that is held for a reason: after a certificate was renewed. Outcome: how many."""

    reason: Reason
