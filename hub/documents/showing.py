"""The registry as one caller may see it: what the caller may not read is as if it were not registered.

Stored queries are answered from a ``ReadersStore``, so that no kind of query has to think of rights: a hidden document
is neither found nor counted, no association leads to it, and a submission set or folder all of whose documents are
hidden is not there either.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from hub.access.rights_model import WITHHELD, Kind, Rights, Thing
from hub.context import Context
from hub.documents.criteria import Clause
from hub.documents.model import DEPRECATED, Association, Author, DocumentEntry, Folder, SubmissionSet
from hub.documents.store import DocumentStore
from hub.documents.store_showing import Marks, ShowingStore
from hub.documents.survivors import Survivors
from hub.storage.engine import UnitOfWork
from hub.values import Code, PatientIdentifier

T = TypeVar("T", DocumentEntry, SubmissionSet, Folder, Association)
Whole = DocumentEntry | SubmissionSet | Folder
#: Looked up where nothing was found, as a regional number that nobody has: so the unknown costs what the hidden does.
NOBODY = PatientIdentifier("0", "")
_NOTHING = "urn:uuid:00000000-0000-0000-0000-000000000000"


@lru_cache(maxsize=4096)
def makers(authors: tuple[Author, ...]) -> frozenset[str]:
    """National numbers of the persons (XCN.1) and institutions (XON.10, else XON.6.2 and .1's place) that made it."""
    found: set[str] = set()
    for author in authors:
        found.add(author.person.partition("^")[0])
        for institution in author.institutions:
            parts = institution.split("^")
            found.add(parts[9] if len(parts) > 9 else "")
            found.add(parts[2] if len(parts) > 2 else "")
    return frozenset(found - {""})


@lru_cache(maxsize=4096)
def _values(codes: tuple[Code, ...]) -> frozenset[str]:
    return frozenset(code.value for code in codes)


def thing_of(item: Whole, codes: frozenset[str] | None = None) -> Thing:
    """What an object is to those who decide. ``codes``: its confidentiality, where that is another version's."""
    if isinstance(item, DocumentEntry):
        own = makers(item.authors) | ({item.repository_unique_id} if item.repository_unique_id else set())
        return Thing(
            Kind.DOCUMENT, item.patient_id, _values(item.confidentiality_codes) if codes is None else codes, own
        )
    if isinstance(item, SubmissionSet):
        return Thing(Kind.DOCUMENT, item.patient_id, frozenset(), makers(item.authors) | {item.source_id})
    return Thing(Kind.DOCUMENT, item.patient_id)


def thing_of_content(patient: PatientIdentifier, marks: Marks | None) -> Thing:
    """A document's bytes; ``marks`` None: no entry of the registry is about them any more."""
    if marks is None:
        return Thing(Kind.DOCUMENT, patient)
    own = makers(marks.authors) | ({marks.repository} if marks.repository else set())
    return Thing(Kind.DOCUMENT, patient, marks.codes, own)


class ReadersStore:
    """A ``DocumentStore`` for one request of one caller. ``about``: the person whom the question names, who is looked
    up whether they have documents or not. ``plain``: what the rights say of the caller, where that is known."""

    def __init__(
        self,
        work: UnitOfWork,
        rights: Rights,
        context: Context,
        *,
        survivors: Survivors,
        home: str = "",
        about: Sequence[PatientIdentifier] = (),
        plain: bool | None = None,
    ) -> None:
        self.store = DocumentStore(work, patient=survivors.of_key, home=home)
        self.showing = ShowingStore(work)
        self.survivors = survivors
        self.rights = rights
        self.context = context
        self.plain = rights.plain(context) if plain is None else plain
        self._about = [Thing(Kind.DOCUMENT, patient) for patient in about]
        self._rulings: dict[str, bool] = {}  # by entryUUID
        self._ruled: dict[Thing, bool] = {}

    def find(
        self, kind: type[T], clauses: Iterable[Clause], *, limit: int | None = None, among: Clause | None = None
    ) -> list[T]:
        """See ``DocumentStore.find``."""
        asked = list(clauses)
        known = self.plain or bool(self._ruled)
        beside = None if known else self.rights.ahead([thing.patient for thing in self._about], self.context)
        found = self.store.find(kind, asked, limit=limit, among=among, beside=beside)
        if self.plain:
            return found
        shown = self.shown(found, kind)
        if limit is not None and len(found) == limit and len(shown) < limit:
            return self.shown(self.store.find(kind, asked, among=among), kind)[:limit]
        return shown

    def get(self, kind: type[T], field: str, values: Iterable[str]) -> list[T]:
        """See ``DocumentStore.get``."""
        found = self.store.get(kind, field, values)
        return found if self.plain else self.shown(found, kind)

    def associations(
        self,
        *,
        source: Iterable[str] = (),
        target: Iterable[str] = (),
        types: Sequence[str] = (),
        statuses: Sequence[str] = (),
    ) -> list[Association]:
        """See ``DocumentStore.associations``."""
        found = self.store.associations(source=source, target=target, types=types, statuses=statuses)
        return found if self.plain else self.shown(found, Association)

    def rarest(self, clauses: Iterable[Clause], most: int) -> Clause | None:
        """See ``DocumentStore.rarest``."""
        return self.store.rarest(clauses, most)

    def last_versions(self, kind: type, logical_ids: Iterable[str]) -> dict[str, int]:
        """See ``DocumentStore.last_versions``."""
        return self.store.last_versions(kind, list(logical_ids))

    # what is shown

    def shown(self, items: Sequence[T], kind: type[T]) -> list[T]:
        """Those that the caller may see."""
        self._rule(items, kind)
        return [item for item in items if self._rulings[item.id]]

    def _rule(self, items: Sequence[Any], kind: type) -> None:
        fresh = [item for item in items if item.id not in self._rulings]
        if kind is DocumentEntry:
            self._rule_entries(fresh)
        elif kind is Association:
            self._rule_links(fresh)
        else:
            self._rule_groups(fresh)

    def _rule_entries(self, entries: Sequence[DocumentEntry]) -> None:
        last = self._last_codes(entries)
        things = [thing_of(item, last.get(item.logical_id)) for item in entries]
        for item, allowed in zip(entries, self._asked(things), strict=True):
            self._rulings[item.id] = allowed

    def _last_codes(self, entries: Sequence[DocumentEntry]) -> Mapping[str, frozenset[str]]:
        """A version is as confidential as the last one: what was masked is masked in what went before."""
        former = {item.logical_id for item in entries if item.status == DEPRECATED}
        return self.showing.last_codes(former) if former else {}

    def _rule_groups(self, groups: Sequence[SubmissionSet | Folder]) -> None:
        """By themselves, and by what they hold: a group of hidden documents is hidden."""
        things = [thing_of(item) for item in groups]
        for item, allowed in zip(groups, self._asked(things), strict=True):
            self._rulings[item.id] = allowed
        ids = [item.id for item in groups if self._rulings[item.id]]
        members = self.showing.held(ids or [_NOTHING])
        self._rule_entry_ids({entry for held in members.values() for entry in held})
        for group, held in members.items():
            self._rulings[group] = any(self._rulings.get(entry, True) for entry in held)

    def _rule_links(self, links: Sequence[Association]) -> None:
        """An association whose ends are not both there is not there; it may be the end of another one."""
        self._rule_ids({end for item in links for end in (item.source, item.target)})
        for item in links:
            self._rulings[item.id] = self._rulings.get(item.source, True) and self._rulings.get(item.target, True)

    def _rule_ids(self, ids: Iterable[str]) -> None:
        """Rule on what is not ruled on yet. An id of nothing that has rights of its own stays without a ruling."""
        unknown = self._rule_entry_ids(ids)
        left = {item for item in unknown if item not in self._rulings} - {_NOTHING} or {_NOTHING}
        self._rule_groups([*self.store.get(SubmissionSet, "id", left), *self.store.get(Folder, "id", left)])

    def _rule_entry_ids(self, ids: Iterable[str]) -> set[str]:
        """Rule on the entries among them. Returns those that were not ruled on before."""
        unknown = {item for item in ids if item not in self._rulings} or {_NOTHING}
        self._rule_entries([item for item in self.store.get(DocumentEntry, "id", unknown) if item.id in unknown])
        return unknown

    def _asked(self, things: Sequence[Thing]) -> list[bool]:
        """One question, also where nothing is left to ask: what is hidden costs what is unknown does."""
        numbers: dict[Thing, int] = {}
        which = [numbers.setdefault(thing, len(numbers)) for thing in things]  # many documents are alike to rules
        fresh = [thing for thing in numbers if thing not in self._ruled]
        first = self._about or ([] if fresh else [Thing(Kind.DOCUMENT, NOBODY)])
        if not things and not self._about and not self._ruled:
            self.survivors(NOBODY)
        answers = self.rights.visible([*first, *fresh], self.context)
        self._ruled.update(zip((*first, *fresh), answers, strict=True))
        if not all(answers[len(first) :]):
            self.context.touch(WITHHELD, Kind.DOCUMENT)
        rulings = [self._ruled[thing] for thing in numbers]
        return [rulings[number] for number in which]


def readable(
    rights: Rights,
    marks: Mapping[str, Marks],
    patients: Mapping[str, PatientIdentifier],
    survivors: Survivors,
    context: Context,
) -> Collection[str]:
    """The uniqueIds of ``patients`` (whose they are) that the caller may read; to find nothing costs as much."""
    wanted = {item: thing_of_content(patient, marks.get(item)) for item, patient in patients.items()}
    if not wanted:
        survivors(NOBODY)
    things = list(dict.fromkeys(wanted.values())) or [Thing(Kind.DOCUMENT, NOBODY)]
    answers = dict(zip(things, rights.visible(things, context), strict=True))
    if not all(answers[thing] for thing in wanted.values()):
        context.touch(WITHHELD, Kind.DOCUMENT)
    return {item for item, thing in wanted.items() if answers[thing]}
