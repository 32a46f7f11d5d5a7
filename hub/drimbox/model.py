"""Contextual calls, studies of other boxes that are open in a session, exports. Frozen values."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from hub.imaging.manifest import Manifest
from hub.imaging.model import SourceStatus, Study
from hub.patients.model import Traits
from hub.usecase import Command
from hub.values import PatientIdentifier

INFORMED = "InformationEtOppositionConsultation"  #: the field of a call that says it of the patient


@dataclass(frozen=True, slots=True)
class Sought:
    """What of a person's studies somebody is interested in. Empty: whatever there is."""

    study_instance_uid: str = ""
    accession_number: str = ""
    accession_issuer: str = ""
    modality: str = ""
    started: str = ""  #: YYYYMMDD
    region: str = ""  #: code of the anatomic region

    def __bool__(self) -> bool:
        return any((self.study_instance_uid, self.accession_number, self.modality, self.started, self.region))


@dataclass(frozen=True, slots=True)
class Call:
    """Whom a hospital's system calls for, and what it looks for."""

    national: PatientIdentifier  #: Patient.identifier
    local: PatientIdentifier  #: PatientID in the domain of PatientIDIssuer: an OID, or a namespace
    traits: Traits = field(repr=False)
    sought: Sought = Sought()
    informed: str = ""  #: InformationEtOppositionConsultation, as the calling system says it
    situation: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ReceiveCall(Command):
    """A hospital's system opens a patient for one of its users (DRIM-M). Outcome: the call's uuid."""

    call: Call


@dataclass(frozen=True, slots=True)
class WishedSituation(Command):
    """The situation of exercise that a call names, asked before somebody signs in for it.

    Outcome: str, "" for none, and for a call that is over or somebody's already."""

    uuid: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OpenCall(Command):
    """Whoever came by the call's address, once they have signed in. Outcome: OpenedCall.

    Raises CallUnknown, CallContradicts, CallPersonUnknown, and what the patient index says of a new patient."""

    uuid: str


@dataclass(frozen=True, slots=True)
class OpenedCall:
    """The person, and what is looked for."""

    person: PatientIdentifier  #: regional
    sought: Sought


@dataclass(frozen=True, slots=True)
class OpenRemote(Command):
    """Open a study whose images another box keeps, in the caller's session. Outcome: OpenedRemote.

    ``manifest``: as the national record has just given it to the caller. Raises SignInWithProvider, NotForYou,
    ManifestOfAnother."""

    person: PatientIdentifier
    manifest: Manifest
    content: bytes = field(repr=False)
    description: str = ""
    started: str = ""  #: DTM, as the record says
    modalities: tuple[str, ...] = ()  #: as the record says


@dataclass(frozen=True, slots=True)
class OpenedRemote:
    """What can be seen of it, and what each box said."""

    study: Study
    statuses: tuple[SourceStatus, ...]

    @property
    def usable(self) -> bool:
        """Whether any image can be had."""
        return any(not status.reason for status in self.statuses)

    @property
    def whole(self) -> bool:
        """Whether every box answered."""
        return self.usable and not any(status.reason for status in self.statuses)


class ExportState(StrEnum):
    """Where an export stands."""

    FETCHING = "fetching"
    SENDING = "sending"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Export:
    """A study on its way to an archive."""

    id: str
    study_instance_uid: str
    person: PatientIdentifier
    archive: str
    state: ExportState
    fetched: int = 0
    stored: int = 0
    total: int | None = None
    error_code: str = ""
    asked_by: str = ""
    created_at: datetime | None = None
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ExportStudy(Command):
    """Have a study that the caller may read stored in an archive, under the patient's number there. Outcome: Export.

    Raises NoSuchArchive, NoLocalNumber, NotForYou."""

    person: PatientIdentifier
    study_instance_uid: str
    archive: str


@dataclass(frozen=True, slots=True)
class ListExports(Command):
    """Exports of one person's study, the newest first. Outcome: tuple of Export."""

    person: PatientIdentifier
    study_instance_uid: str
