"""Who: identities as hospitals send them, persons as the region sees them. Frozen values, pure functions."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from enum import StrEnum

from hub.access.rights_model import Said
from hub.usecase import Command
from hub.values import PatientIdentifier

INS_AUTHORITIES = {
    "1.2.250.1.213.1.4.8": "INS-NIR",
    "1.2.250.1.213.1.4.9": "INS-NIA",
    "1.2.250.1.213.1.4.10": "INS-NIR-TEST",
    "1.2.250.1.213.1.4.11": "INS-NIR-DEMO",
}


class IdentityStatus(StrEnum):
    """RNIV: four exclusive statuses. ``INSi called`` x ``identity document checked``."""

    PROVISIONAL = "PROV"
    RETRIEVED = "RECUP"
    VALIDATED = "VALI"
    QUALIFIED = "QUAL"


@dataclass(frozen=True, slots=True)
class Traits:
    """What describes a person. Strict traits (RNIV): birth name, given names, birth date, sex, birth place."""

    birth_name: str = ""
    birth_given: str = ""  #: first birth given name
    given_names: str = ""  #: the list of birth given names, blank separated
    used_name: str = ""
    used_given: str = ""
    birth_date: str = ""  #: YYYY[MM[DD]]
    sex: str = ""  #: M, F, O, U (HL7 table 0001)
    birth_place: str = ""  #: INSEE code (COG), 5 characters
    address: str = ""
    city: str = ""
    postal_code: str = ""
    country: str = ""
    phone: str = ""
    mother_name: str = ""
    multiple_birth: bool = False

    def __hash__(self) -> int:
        """Of what tells people apart: a hash of all fields costs several times as much, and caches ask for it often."""
        return hash((self.birth_name, self.birth_given, self.birth_date, self.birth_place))


@dataclass(frozen=True, slots=True)
class Identity:
    """One person's identity as one authority (a hospital) keeps it."""

    identifier: PatientIdentifier
    traits: Traits
    status: IdentityStatus = IdentityStatus.PROVISIONAL
    attributes: frozenset[str] = frozenset()  #: RNIV attributes: HOMO, DOUT, FICT ...
    ins: PatientIdentifier | None = None  #: kept for a qualified identity only
    others: tuple[PatientIdentifier, ...] = ()
    updated_at: datetime | None = None
    active: bool = True

    @property
    def numbers(self) -> tuple[PatientIdentifier, ...]:
        """Those that it names."""
        return (self.identifier, *self.others, *([self.ins] if self.ins else []))


@dataclass(frozen=True, slots=True)
class Details:
    """As the hospital's codes have it; "" where it says nothing. Dates: YYYY[MM[DD]]."""

    obtained: str = ""  #: ZFD-5, how the traits came in: SM, CV, INSI, CB, RFID
    checked_on: str = ""  #: ZFD-6, when the national service (INSi) was asked
    document: str = ""  #: ZFD-7, the identity document that was seen: CN, PA, CS, LE, AN ...
    document_until: str = ""  #: ZFD-8, until when that is valid
    date_corrected: str = ""  #: ZFD-4, Y: INSi's answer changed the birth date
    lunar_date: str = ""  #: ZFD-1 as day/month/year of another calendar, or of a date that is known in part
    gestation_weeks: str = ""  #: ZFD-2
    text_messages: str = ""  #: ZFD-3, Y or N: whether text messages are wanted
    occupation: str = ""  #: ZFP-1 (INSEE's PCS, 1 to 8)
    occupation_group: str = ""  #: ZFP-2 (two digits)

    @property
    def said(self) -> dict[str, str]:
        """What is not empty, by name."""
        return {item.name: value for item in fields(self) if (value := getattr(self, item.name))}

    def after(self, told: Mapping[str, str]) -> "Details":
        """With what a message tells; "" deletes. A new word on how it was checked takes the whole old one's place."""
        kept = replace(self, **dict.fromkeys(_CHECK, "")) if any(told.get(name) for name in _CHECK) else self
        return replace(kept, **told)


#: What belongs together, how an identity was checked: words of two checks are not mixed.
_CHECK = ("obtained", "checked_on", "document", "document_until", "date_corrected")


@dataclass(frozen=True, slots=True)
class Person:
    """A person of the region: a regional identifier over the identities linked to it."""

    regional: PatientIdentifier
    traits: Traits  #: golden: derived from the members
    status: IdentityStatus
    identities: tuple[Identity, ...] = ()
    aliases: tuple[PatientIdentifier, ...] = ()  #: former regional identifiers that still answer
    ins: PatientIdentifier | None = None
    called_by: PatientIdentifier | None = None  #: the identity whose status and strict traits these are
    details: Details | None = field(default=None, compare=False)  #: of that identity, where they were asked for

    @property
    def attributes(self) -> tuple[str, ...]:
        """RNIV's, of the identity whose status this is."""
        return next((tuple(sorted(i.attributes)) for i in self.identities if i.identifier == self.called_by), ())

    @property
    def current(self) -> tuple[PatientIdentifier, ...]:
        """The identifiers without the former ones: what an answer tells that cannot mark them as such."""
        return tuple(item for item in self.identifiers if item not in self.aliases)

    @property
    def identifiers(self) -> tuple[PatientIdentifier, ...]:
        """Every identifier that means this person: regional, INS, local, others, aliases; each once."""
        every = [self.regional, *([self.ins] if self.ins else [])]
        for identity in self.identities:
            every += [identity.identifier, *identity.others]
        return tuple(dict.fromkeys([*every, *self.aliases]))


@dataclass(frozen=True, slots=True)
class Authority:
    """An assigning authority of patient numbers, and the feed that owns it ("" in all three: any may feed it)."""

    oid: str
    namespace: str = ""
    type: str = "PI"  #: HL7 table 0203
    name: str = ""
    application: str = ""  #: MSH-3 of the owning feed
    facility: str = ""  #: MSH-4 of the owning feed
    feed: str = ""  #: its configured name, as in ``Context.source``
    trust: int = 0  #: rank of its descriptions among others', the higher the better
    unstated: IdentityStatus = IdentityStatus.PROVISIONAL  #: of its identities whose message names no status

    @property
    def owned(self) -> bool:
        """Whether only one feed may speak for it."""
        return bool(self.application or self.facility or self.feed)

    @property
    def owners(self) -> frozenset[str]:
        """What ``Context.source`` may be for a feed of this authority; empty: anything."""
        pair = f"{self.application}|{self.facility}" if self.application or self.facility else ""
        return frozenset(filter(None, (self.feed, pair)))


class TaskKind(StrEnum):
    """Why a steward should look at identities that the hub did not link."""

    DUPLICATE = "duplicate"  #: two identities of one authority seem to be one person
    COLLISION = "collision"  #: the same INS, contradicting traits
    BRIDGE = "bridge"  #: one identity matches several persons
    POSSIBLE = "possible"  #: the score says perhaps, or says yes where a rule forbids to decide
    WRONG_JOIN = "wrong-join"  #: identities that are together contradict each other
    STRICT_TRAITS = "strict-traits"  #: the strict traits of a linked identity changed
    INS_CONFLICT = "ins-conflict"  #: a feed or a decision would join two different qualified INS


@dataclass(frozen=True, slots=True)
class Task:
    """A question for a steward. ``identifiers``: the identity first, then those that it matches."""

    id: int
    kind: TaskKind
    identifiers: tuple[PatientIdentifier, ...]
    reason: str
    created_at: datetime
    closed_at: datetime | None = None
    evidence: str = ""  #: JSON of what was compared: levels and weights, never names
    proposed: str = ""  #: a first steward's verdict that awaits a second one (four eyes)
    proposed_by: str = ""
    proposed_about: PatientIdentifier | None = None  #: which of the others the proposal is about
    decided: str = ""  #: the verdict; "" when it was closed because the question went away
    decided_by: str = ""
    decided_why: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """An edge between two identities: why they are one person. Never deleted, only ended."""

    one: PatientIdentifier
    other: PatientIdentifier
    rule: str  #: "same-ins", "strict-traits", "score", "merge", "owner", "external", "steward", or "no-match"
    since: datetime
    ended_at: datetime | None = None
    ended_why: str = ""
    message_id: str = ""
    author: str = ""  #: who: a steward's name, a feed's source, or "" for the hub itself
    reason: str = ""  #: what a steward wrote
    evidence: str = ""  #: JSON: levels and weights when it was made, never names
    model_version: str = ""


@dataclass(frozen=True, slots=True)
class FeedIdentity(Command):
    """A hospital announces or updates an identity (ITI-8, ITI-30: A01 A04 A05 A08 A28 A31; ITI-44).

    ``stated``: the message names the identity's status; otherwise the authority's setting does. ``partial``: what it
    leaves empty stays as it was, but for the traits ``cleared``, and the status where it names one (``checked``)."""

    identity: Identity
    event: str = "A28"
    stated: bool = True
    partial: bool = False
    cleared: frozenset[str] = frozenset()
    checked: bool = True
    said: tuple[Said, ...] = ()  #: the patient's words on sharing, as the message passes them on


@dataclass(frozen=True, slots=True)
class MergeIdentities(Command):
    """A hospital merges two of its own identities (A40): ``lost`` becomes ``survivor``.

    ``details``: said of the survivor, by name of a field of ``Details``; "" deletes; ``said``: as in FeedIdentity."""

    survivor: Identity
    lost: PatientIdentifier
    stated: bool = True  #: as in FeedIdentity
    details: Mapping[str, str] = field(default_factory=dict)
    said: tuple[Said, ...] = ()


@dataclass(frozen=True, slots=True)
class CrossReference(Command):
    """PIX (ITI-9): which identifiers mean the same person? ``domains`` empty: all.

    Outcome: tuple of PatientIdentifier. Raises UnknownIdentifier, UnknownDomain."""

    identifier: PatientIdentifier
    domains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FindPersons(Command):
    """PDQ (ITI-21) and the portal's search. All given criteria must hold. Outcome: PersonPage.

    ``name`` matches birth or used name by normalised prefix, ``given`` likewise; ``key`` takes the place of the name: a
    telephone number, mother's name or place (``normalise``). A search without an identifier, or a birth date, or at
    least two letters of a name, or a key raises SearchTooBroad."""

    identifier: PatientIdentifier | None = None
    identifier_value: str = ""  #: an identifier typed without its authority
    name: str = ""
    given: str = ""
    birth_date: str = ""
    sex: str = ""
    postal_code: str = ""
    key: str = ""
    domains: tuple[str, ...] = ()
    limit: int = 50
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class PersonPage:
    """One page of persons; ``cursor`` "" at the end."""

    persons: tuple[Person, ...]
    cursor: str = ""
    total: int | None = None


@dataclass(frozen=True, slots=True)
class GetPerson(Command):
    """The person whom any identifier (regional, alias, INS, local) means. Raises UnknownIdentifier."""

    identifier: PatientIdentifier


@dataclass(frozen=True, slots=True)
class Fed:
    """Outcome of a feed: the person, and what happened."""

    regional: PatientIdentifier
    created: bool = False  #: a new person
    linked: bool = False  #: joined to a person that existed
    split: bool = False  #: left the person it was linked to
    reason: str = ""  #: rule that decided: "same-ins", "strict-traits", "new", "known", "merge"
    lost: PatientIdentifier | None = field(default=None)  #: regional identifier that became an alias
