"""Patients' words: kept under the identity under which they were said, never changed, counted by the newest."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from hub.access.model import HUB, Principal, Professional, Purpose, Scheme
from hub.access.rights import RightsService
from hub.access.rights_errors import (
    ConsentAboutAnother,
    ConsentAlreadyOver,
    ConsentChanged,
    ConsentFromTheFuture,
    UnknownConsent,
    UnknownPatient,
)
from hub.access.rights_model import (
    Choice,
    Consent,
    ExplainAccess,
    Explained,
    FindConsents,
    GetConsent,
    KeptConsent,
    Kind,
    Matter,
    RecordConsent,
    Said,
    Thing,
)
from hub.access.store_rights import Number, RightsStore
from hub.context import CREATED, Context
from hub.storage.engine import UnitOfWork
from hub.usecase import use_case
from hub.values import PatientIdentifier, new_key

#: What ``ExplainAccess`` looks at where it is not told.
USUAL = (
    (Kind.PERSON, ""),
    (Kind.DOCUMENT, "N"),
    (Kind.DOCUMENT, "R"),
    (Kind.DOCUMENT, "V"),
    (Kind.DOCUMENT, "N MASQUE_PS"),
    (Kind.DOCUMENT, "N INVISIBLE_PATIENT"),
    (Kind.DOCUMENT, "N INVISIBLE_REPRESENTANTS_LEGAUX"),
    (Kind.STUDY, "N"),
)

_LOOKS_BACK = timedelta(days=30)  #: so long may no worker have run
_CLOCKS = timedelta(minutes=1)  #: another system's clock may be that far ahead: what it says was said now
_EARLIEST_DAY = timedelta(hours=14)  #: a day begins that long before it does in UTC


class ConsentService:
    """Records, finds and explains. ``settled``: nobody else acts on a person's number to the end of the open unit of
    work (``PatientService.settled``), so that who holds something for what was said before does not miss the word."""

    def __init__(self, rights: RightsService, settled: Callable[[PatientIdentifier], object] | None = None) -> None:
        self.rights = rights
        self.settled = settled or (lambda _number: None)
        #: Hear of a new word in its unit of work: whose identity, on what.
        self.listeners: list[Callable[[PatientIdentifier, Matter, Context], object]] = []
        self.database = rights.database

    @use_case
    def record(self, command: RecordConsent, context: Context) -> KeptConsent:
        """Keep a word. Raises UnknownPatient, UnknownConsent, ConsentFromTheFuture, ConsentAlreadyOver, ConsentChanged,
        ConsentAboutAnother."""
        consent, at = command.consent, self.rights.clock()
        if consent.at > at + (_EARLIEST_DAY if command.day else _CLOCKS):
            raise ConsentFromTheFuture()
        consent = replace(consent, at=min(consent.at, at))
        if consent.until is not None and consent.until <= consent.at:
            raise ConsentAlreadyOver()
        regional = self._known(consent.identity, context)
        if not consent.identity.authority:
            consent = replace(consent, identity=regional)
        with self.database.transaction() as work:
            self.settled(consent.identity)
            if command.day:
                consent = replace(consent, at=_after(consent, self._of_that_day(work, consent), at))
            kept = replace(self._keep(work, consent, command.version, context, at), patient=regional)
        if not command.consent.id:
            context.action = CREATED
        context.touch("patient", regional.cx)
        context.touch("consent", kept.consent.id)
        context.led_to("consent", kept.consent.id)
        return kept

    def heard(self, identity: PatientIdentifier, words: Sequence[Said], context: Context) -> None:
        """What a feed says of its own patient, in the message's unit of work. A date in the future is today's."""
        at = self.rights.clock()
        with self.database.transaction() as work:
            for said in words:
                word = Consent(
                    "",
                    identity,
                    said.matter,
                    said.choice,
                    min(said.at or said.told_at or at, at),
                    source=context.source or context.principal.id,
                )
                if said.choice is Choice.UNKNOWN and not self._own(work, word):
                    continue
                if said.at is None and self._stands(work, word):
                    continue
                if said.day:
                    known = self._of_that_day(work, word)
                    own = [item for item in known if (item.identity, item.source) == (identity, word.source)]
                    if own and own[-1].choice is word.choice:
                        continue
                    word = replace(word, at=_after(word, known, at))
                kept = self._keep(work, word, 0, context, at)
                context.led_to("consent", kept.consent.id)

    @staticmethod
    def _own(work: UnitOfWork, word: Consent) -> bool:
        """Whether the identity's newest word came from the same feed: what somebody else was told (a Consent, the
        portal) is not taken back by a feed that has collected nothing."""
        found = _of_identity(work, word)
        return bool(found) and max(found, key=lambda item: item.at).source == word.source

    def _of_that_day(self, work: UnitOfWork, word: Consent) -> list[Consent]:
        """What else was said of the person on the day that begins with the word, in the order in which it was kept."""
        words = [item.consent for item in RightsStore(work).every(self._numbers(word.identity))]
        return [
            item
            for item in words
            if (item.matter, item.actor) == (word.matter, word.actor)
            and timedelta(0) <= item.at - word.at < timedelta(days=1)
        ]

    @staticmethod
    def _stands(work: UnitOfWork, word: Consent) -> bool:
        """Whether the identity's own word is this one already."""
        mine = _of_identity(work, word)
        return bool(mine) and max(mine, key=lambda item: item.at).choice is word.choice

    def _keep(self, work: UnitOfWork, consent: Consent, version: int, context: Context, at: datetime) -> KeptConsent:
        store = RightsStore(work)
        identity = consent.identity
        store.lock(f"consent:{identity.value}^{identity.authority}")
        versions = store.versions(consent.id) if consent.id else []
        if consent.id and not versions:
            raise UnknownConsent()
        if versions and self._numbers(versions[0].consent.identity) != self._numbers(identity):
            raise ConsentAboutAnother()
        if version and (not versions or versions[-1].version != version):
            raise ConsentChanged()
        mine = {item.key for item in versions}
        before = [
            item
            for item in store.standing([(identity.value, identity.authority)])
            if (item.consent.matter, item.consent.actor) == (consent.matter, consent.actor) and item.key not in mine
        ]
        newest = max(before, key=lambda item: (item.consent.at, item.key), default=None)
        if newest is not None and not versions and _same(newest.consent, consent):
            return newest
        standing = all(item.consent.until is not None or consent.at >= item.consent.at for item in before)
        for item in versions:
            if item.superseded_at is None:
                store.supersede(item.key, at)
        for item in before if standing and consent.until is None else ():  # one that ends lets the others come back
            if consent.at >= item.consent.at:
                store.supersede(item.key, at)
        kept = store.add(
            replace(consent, id=consent.id or new_key()),
            version=versions[-1].version + 1 if versions else 1,
            author=context.principal.name or context.principal.id,
            message_id=context.message_id,
            at=at,
            standing=standing,
        )
        for listener in self.listeners:
            listener(identity, consent.matter, context)
        return kept

    def ended(self) -> int:
        """Tell those who wait for it of oppositions that are over since a while, and that no other one follows: time
        takes them back without a message. Returns how many there were. For a worker, now and then; to be told again
        is harmless."""
        at, told = self.rights.clock(), 0
        with self.database.reading() as work:
            words = RightsStore(work).ended(Choice.OPPOSITION, at - _LOOKS_BACK, at)
        for word in words:
            identity, matter = word.consent.identity, word.consent.matter
            if self.rights.said(identity, matter) is Choice.OPPOSITION:
                continue
            with self.database.transaction():
                self.settled(identity)
                for listener in self.listeners:
                    listener(identity, matter, Context(principal=HUB))
            told += 1
        return told

    @use_case
    def find(self, command: FindConsents, context: Context) -> tuple[KeptConsent, ...]:
        """The words of a patient, newest first. Raises UnknownPatient."""
        regional = self._known(command.patient, context)
        with self.database.reading() as work:
            store, numbers = RightsStore(work), self._numbers(command.patient)
            found = store.every(numbers) if command.history else store.standing(numbers)
        context.touch("patient", regional.cx)
        wanted = [item for item in found if command.matter in (None, item.consent.matter)]
        wanted = [replace(item, patient=regional) for item in wanted]
        return tuple(sorted(wanted, key=lambda item: (item.consent.at, item.key), reverse=True))

    @use_case
    def get(self, command: GetConsent, context: Context) -> KeptConsent:
        """One word. Raises UnknownConsent, whether it is not there or not for the caller."""
        with self.database.reading() as work:
            versions = RightsStore(work).versions(command.id)
        identity = versions[-1].consent.identity if versions else None
        if identity is None or not self._may(identity, context):
            raise UnknownConsent()
        known = self.rights.people.known([identity]).get(identity)
        context.touch("consent", command.id)
        return replace(versions[-1], patient=known.regional if known is not None else None)

    @use_case
    def explain(self, command: ExplainAccess, context: Context) -> tuple[Explained, ...]:
        """What the rules say of somebody else's request. Raises UnknownPatient."""
        regional = self._known(command.patient, context)
        asked = Context(principal=_asker(command))
        things = command.things or tuple(
            Thing(kind, command.patient, frozenset(codes.split())) for kind, codes in USUAL
        )
        context.touch("patient", regional.cx)
        names = [rule.name for rule in self.rights.table]
        return tuple(
            Explained(thing, ruling, tuple(names[: names.index(ruling.rule)]))
            for thing, ruling in zip(things, self.rights.rulings(things, asked), strict=True)
        )

    def choices(self, patient: PatientIdentifier) -> dict[Matter, Choice]:
        """The words to everybody as they stand now, for a page."""
        return {matter: self.rights.said(patient, matter) for matter in Matter}

    def _numbers(self, patient: PatientIdentifier) -> tuple[Number, ...]:
        return self.rights.numbers(patient)

    def _known(self, patient: PatientIdentifier, context: Context) -> PatientIdentifier:
        """The regional identifier. Raises UnknownPatient for somebody who is not there, or not for the caller."""
        known = self.rights.people.known([patient]).get(patient)
        if known is None or not self._may(patient, context):
            raise UnknownPatient()
        return known.regional

    def _may(self, patient: PatientIdentifier, context: Context) -> bool:
        return self.rights.visible([Thing(Kind.PERSON, patient)], context)[0]


def _of_identity(work: UnitOfWork, word: Consent) -> list[Consent]:
    """The words of the identity to everybody on the matter that stand."""
    standing = RightsStore(work).standing([(word.identity.value, word.identity.authority)])
    return [item.consent for item in standing if (item.consent.matter, item.consent.actor) == (word.matter, "")]


def _after(word: Consent, others: Sequence[Consent], at: datetime) -> datetime:
    """When a word was said of which only the day is known: after the others of that day."""
    return min(at, max([word.at, *(item.at for item in others)]))


def _same(one: Consent, other: Consent) -> bool:
    return (one.choice, one.at, one.until) == (other.choice, other.at, other.until)


def _asker(command: ExplainAccess) -> Principal:
    professional = Professional(
        command.professional,
        profession=command.profession,
        structure=command.structure,
        specialities=command.specialities,
    )
    return Principal(
        command.professional,
        scheme=Scheme.ASSERTION,
        roles=command.roles,
        person=True,
        professional=professional,
        purpose=command.purpose or Purpose.NORMAL,
        reason=command.reason,
    )
