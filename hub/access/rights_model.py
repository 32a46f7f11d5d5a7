"""What may be read of whom: the facts that rules decide on, and their rulings. Frozen values, no decisions."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from hub.context import Context
from hub.errors import AccessDenied
from hub.usecase import Command
from hub.values import PatientIdentifier

WITHHELD = "withheld"  #: kind of what the audit record says of an answer that left something out


class Kind(StrEnum):
    """What is to be read."""

    PERSON = "person"  #: that somebody is known, and their traits
    DOCUMENT = "document"
    STUDY = "study"


class Choice(StrEnum):
    """A patient's word on one matter."""

    UNKNOWN = "unknown"  #: not collected
    CONSENT = "consent"
    OPPOSITION = "opposition"


class Matter(StrEnum):
    """What a patient may allow or oppose (CSP L1110-4, L1111-15, L1111-17)."""

    CONSULTATION = "consultation"  #: that others than the author read (ZFA-11)
    FEEDING = "feeding"  #: that documents are shared at all (ZFA-9)
    EMERGENCY = "emergency"  #: that the glass may be broken


class NotForYou(AccessDenied):
    """The rights of this person do not let the caller read it. Never raised where it would tell that there is something
    to read."""

    code = "not-permitted-for-this-person"
    title = "This person's data may not be read by the caller."


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that somebody wants to read.

    ``patient``: any identifier of the person that it is about. ``confidentiality``: codes alone (N, R, V, MASQUE_PS,
    INVISIBLE_PATIENT, INVISIBLE_REPRESENTANTS_LEGAUX). ``authors``: national ids of persons and structures that made
    it, and names of the sources and clients that brought it. ``study``: StudyInstanceUID of a study, which is as
    confidential as its manifests are as well."""

    kind: Kind
    patient: PatientIdentifier
    confidentiality: frozenset[str] = frozenset()
    authors: frozenset[str] = frozenset()
    study: str = ""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the rules say, and which one decided: safe to show to the caller."""

    allowed: bool
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Consent:
    """A patient's word on a matter, as somebody passed it on: the newest one of a matter counts.

    ``identity``: the identifier under which it was said; it follows the person whom that identity belongs to.
    ``actor``: national id of the only professional or structure that it is about, "" for everybody."""

    id: str
    identity: PatientIdentifier
    matter: Matter
    choice: Choice
    at: datetime
    actor: str = ""
    until: datetime | None = None
    source: str = ""  #: who passed it on
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """What a feed says that its patient said. ``at``: when, None where it tells no date; then ``told_at`` (when the
    message was recorded) counts, but the same again changes nothing. ``day``: ``at`` is the start of a day, the hour is
    not known: it was said after what else is known of that day, unless the feed says the same again."""

    matter: Matter
    choice: Choice
    at: datetime | None = None
    told_at: datetime | None = None
    day: bool = False


@dataclass(frozen=True, slots=True)
class KnownPerson:
    """Whom an identifier means. ``numbers`` (value, authority): every one that they have or had.

    ``born``: YYYY[MM[DD]], as their identities tell it."""

    regional: PatientIdentifier
    numbers: tuple[tuple[str, str], ...]
    born: frozenset[str] = frozenset()


class People(Protocol):
    """The patients room, as rights see it."""

    def known(self, identifiers: Iterable[PatientIdentifier]) -> Mapping[PatientIdentifier, KnownPerson]:
        """The persons whom the identifiers mean; who is not there is nobody, or not one person."""
        ...


class Manifests(Protocol):
    """The documents room, as rights see it."""

    def of_studies(self, uids: Collection[str]) -> Mapping[str, frozenset[str]]:
        """Confidentiality codes of the manifests of studies, by StudyInstanceUID; a study without any is left out. One
        question to the database, also about nothing. Joins the open unit of work."""
        ...


class Rights(Protocol):
    """The access room's rights, as rooms see them. Answers hold for one request: ask again for the next."""

    def plain(self, context: Context) -> bool:
        """Whether nothing at all can be hidden from the caller: nobody has said anything about their record, and the
        rules restrict the caller to no person and to no confidentiality (a system, the hub itself). No look-up."""
        ...

    def visible(self, things: Sequence[Thing], context: Context) -> Sequence[bool]:
        """For each thing whether the caller of this context may read it; one look-up a person, not one a thing. As many
        look-ups for a person whom nobody knows as for one who is known."""
        ...

    def ahead(self, patients: Sequence[PatientIdentifier], context: Context) -> Any:
        """What will be asked of the database to decide about things of these persons (``hub.storage.beside.Beside``),
        for those who send it along with a question of their own; None: nothing. ``visible`` takes the answer, in the
        same unit of work."""
        ...

    def require(self, thing: Thing, context: Context) -> None:
        """Raises NotForYou."""
        ...

    def feeding(self, patient: PatientIdentifier) -> bool:
        """Whether the hub may publish about the person: FEEDING is not opposed. Joins the open unit of work."""
        ...


class Everything:
    """Rights that hide nothing: for a room that is used on its own, in tests and tools."""

    def plain(self, context: Context) -> bool:  # noqa: ARG002
        """Always."""
        return True

    def visible(self, things: Sequence[Thing], context: Context) -> Sequence[bool]:  # noqa: ARG002
        """All of them."""
        return [True] * len(things)

    def ahead(self, patients: Sequence[PatientIdentifier], context: Context) -> None:
        """Nothing."""

    def require(self, thing: Thing, context: Context) -> None:
        """Never raises."""

    def feeding(self, patient: PatientIdentifier) -> bool:  # noqa: ARG002
        """Always."""
        return True


# Commands


@dataclass(frozen=True, slots=True)
class RecordConsent(Command):
    """Keep a patient's word. One that is older than what is known of its identity, matter and actor is kept and counts
    for nothing. ``version``: the one that this replaces, 0 for whichever there is. ``day``: as in ``Said``. Outcome:
    KeptConsent.

    Raises UnknownPatient, ConsentFromTheFuture, ConsentAlreadyOver, ConsentAboutAnother, ConsentChanged."""

    consent: Consent
    version: int = 0
    day: bool = False


@dataclass(frozen=True, slots=True)
class FindConsents(Command):
    """The words that a patient has given, newest first; those that were superseded as well where ``history``.

    Outcome: tuple of KeptConsent. Raises UnknownPatient."""

    patient: PatientIdentifier
    history: bool = False
    matter: Matter | None = None


@dataclass(frozen=True, slots=True)
class GetConsent(Command):
    """One word, its newest version. Outcome: KeptConsent. Raises UnknownConsent."""

    id: str


@dataclass(frozen=True, slots=True)
class KeptConsent:
    """A word with what is known of its keeping."""

    key: int
    version: int
    consent: Consent
    author: str
    recorded_at: datetime
    superseded_at: datetime | None = None  #: since when a newer word counts instead
    patient: PatientIdentifier | None = None  #: the regional identifier of whom it is about


@dataclass(frozen=True, slots=True)
class ExplainAccess(Command):
    """What the rules say of somebody else's request, and why, rule by rule. Without ``things``: of one of each kind.

    Outcome: tuple of Explained. Raises UnknownPatient."""

    professional: str
    patient: PatientIdentifier
    purpose: str = ""
    things: tuple[Thing, ...] = ()
    structure: str = ""
    specialities: tuple[str, ...] = ()
    roles: frozenset[str] = frozenset({"clinician"})
    reason: str = ""
    profession: str = ""


@dataclass(frozen=True, slots=True)
class Explained:
    """The ruling on one thing, and the names of the rules that were looked at before and did not hold."""

    thing: Thing
    ruling: Ruling
    passed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BreakGlass(Command):
    """A professional breaks the glass for a person, with a reason. Outcome: Broken.

    It says nothing of whether anything is hidden. Raises ReasonNeeded, NotAProfessional, UnknownPatient."""

    patient: PatientIdentifier
    reason: str


@dataclass(frozen=True, slots=True)
class FindBroken(Command):
    """Broken glass, the newest first. ``before``: key of the last one of the page before. Outcome: tuple of Broken."""

    limit: int = 50
    before: int = 0


@dataclass(frozen=True, slots=True)
class SeeBroken(Command):
    """The data-protection officer has looked at it. Outcome: None."""

    key: int


@dataclass(frozen=True, slots=True)
class DeclareCare(Command):
    """A professional declares that they (``actor`` "") or somebody else care for a person, or that it ends (``until``).

    ``kind``: "declared", or "medecin_traitant" for the patient's own doctor. Outcome: None. Raises UnknownPatient,
    NotAProfessional."""

    patient: PatientIdentifier
    kind: str = "declared"
    actor: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """A broken glass."""

    patient: PatientIdentifier
    professional: str
    name: str
    structure: str
    purpose: str
    reason: str
    at: datetime
    until: datetime
    secret: bool = False
    key: int = 0
    seen_at: datetime | None = None
    seen_by: str = ""


def seen(rights: Rights, things: Sequence[Thing], context: Context) -> Sequence[bool]:
    """``Rights.visible``; the audit record of the request notes that something was withheld, not what."""
    answers = rights.visible(things, context)
    for thing, allowed in zip(things, answers, strict=True):
        if not allowed:
            context.touch(WITHHELD, thing.kind.value)
    return answers


def allowed_only(things: Iterable[Thing], answers: Iterable[bool]) -> list[Thing]:
    """The things that may be read."""
    return [thing for thing, allowed in zip(things, answers, strict=True) if allowed]
