"""The store of feeds that share a unit of work: what concerns them is read at once, what is new is written at once.

It answers as ``PatientStore`` does. What it has not read, or no longer knows for certain, it asks the database for;
then what waits is written first."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, insert

from hub.patients import matching
from hub.patients.forms import Forms, forms
from hub.patients.model import Identity, Traits
from hub.patients.numbering import new_regional_values
from hub.patients.store import BATCH, KEYED, LINKS, Member, PatientStore, PersonRecord, member, others_of
from hub.patients.store_tables import IDENTITY, PERSON
from hub.patients.store_together import MOST, NEXT, NUMBERED, READ, TAKEN_NUMBERS
from hub.storage.columns import json_text
from hub.storage.engine import UnitOfWork, Values
from hub.storage.prepared import Prepared, ask, instant_text
from hub.values import PatientIdentifier, now

_ADD_IDENTITY = Prepared(lambda _dialect: insert(IDENTITY), *(column.name for column in IDENTITY.c))
_ADD_PERSON = Prepared(lambda _dialect: insert(PERSON), "id", "value", "authority", "external", "created_at")

Questions = Sequence[tuple[Prepared, Values]]
Rows = list[tuple[Any, ...]]
Expected = Sequence[tuple[Identity, int | None]]  #: identities with their strict keys
FormsOf = dict[int, tuple[Traits, Forms]]  #: by the id() of the traits


class BatchStore(PatientStore):
    """See the module. ``gather`` reads; until then, and after ``cool``, everything is asked of the database."""

    def __init__(self, work: UnitOfWork, authority: str, known: FormsOf | None = None) -> None:
        """``known``: forms that were reckoned before."""
        super().__init__(work)  # has an earlier one of the same unit of work forget what it read
        self._authority = authority
        self._forms = known or {}
        self._instant: Callable[[datetime], Any] = _utc if self._postgresql else instant_text
        self._now = self._instant(now())  # persons that are new are new together
        self._expected: Expected = ()
        self._ids: dict[str, Iterator[int]] = {}
        self._spare: list[str] = []
        self._free: set[str] = set()
        self._known = _Known(())
        self._met: dict[int, Member] = {}  # who is only compared with
        self._changes: set[int] = set()  # rows whose insert or update waits
        self._readers: list[Callable[[], None]] = []
        work.notes[BATCH] = self

    @classmethod
    def of(cls, work: UnitOfWork) -> PatientStore:
        """The unit of work's store of several feeds, else an ordinary one."""
        found = work.notes.get(BATCH)
        return found if isinstance(found, cls) else PatientStore(work)

    @property
    def _connection(self) -> Connection:
        """For whatever is asked of the database: what waits is there before."""
        self._work.flush()
        return self._work.connection

    @_connection.setter
    def _connection(self, _connection: Connection) -> None:
        """The unit of work has it."""

    def _write(self, statement: Prepared, values: Values) -> None:
        self._work.later(statement, values)

    # Reading ahead

    def gather(self, expected: Expected, names: Iterable[str] = (), *, linking: bool = False) -> bool:
        """Take these locks, and read what concerns these identities, with ids and numbers for those that are new.
        ``linking``: that of ``lock_links`` as well, since it will be wanted. Whether it was."""
        if not expected:
            return linking
        self._expected = expected
        numbers = list(dict.fromkeys(new_regional_values(len(expected))))
        count = {"count": len(expected)}
        taken = {**self._lists({"numbers": numbers}), "authority": self._authority}
        *ids, known = self._read(
            [*self._locking(names), *self._locking([LINKS] if linking else [])],
            [*((NEXT[name], count) for name in NUMBERED), (TAKEN_NUMBERS, taken)],
        )
        for table, rows in zip(NUMBERED, ids, strict=True):
            self._ids[table] = iter(self._numbers(rows, len(expected)))
        self._spare = [number for number in numbers if (number,) not in known]
        self._free = set(self._spare)
        if self._postgresql and self._known.met and LINKS not in self._work.held:
            self.lock_links()  # reads again
        return self._known.met

    def _numbers(self, rows: Rows, count: int) -> Sequence[int]:
        """The rows' ids that ``NEXT`` gives."""
        last = rows[0][0]
        return [row[0] for row in rows] if self._postgresql else range(last + 1, last + 1 + count)

    def strangers(self) -> list[Identity]:
        """Of those that were gathered: who is new and met nobody by the rules."""
        known = self._known
        return [
            item
            for item, key in self._expected
            if known.numbers.get(_key(item.identifier)) is None
            and not known.candidates(item.ins.value if item.ins else None, key)
        ]

    def meet(self, ids: Iterable[int], again: Callable[[], None]) -> None:
        """Read at once whom feeds will be compared with. ``again`` does so anew, where others may have changed them."""
        self._met = {item.id: item for item in super().by_ids(set(ids).difference(self._known.members))}
        self._readers = [again]

    def lock_links(self) -> bool:
        """As the base's; what was read before others were kept out is read again. False where it was read since."""
        fresh = LINKS not in self._work.held
        if not self._postgresql or not fresh or not self._known.numbers:
            return super().lock_links() and fresh
        self._read(self._locking([LINKS]))
        self._met = {}
        for reader in self._readers:
            reader()
        return True

    def cool(self) -> None:
        """Forget what was read: it changes. What waits is written."""
        self._work.flush()
        self._known, self._ids, self._spare = _Known(()), {}, []
        self._free, self._met, self._readers = set(), {}, []
        self._changes.clear()

    def _read(self, before: Questions = (), after: Questions = ()) -> list[Rows]:
        """Who is expected, and who is with them. ``before``, ``after``: asked with it; the rows of the latter."""
        self._work.flush()
        self._known = known = _Known(self._expected)
        pairs = list(known.numbers)
        values: Values = {
            "numbers": [value for value, _ in pairs],
            "authorities": [authority for _, authority in pairs],
            "ins": list(known.ins),
            "strict": list(known.strict),
        }
        if not self._postgresql:
            values["pairs"] = pairs
        connection = self._work.connection
        answers = ask(connection, [*before, (READ, self._lists(values)), *after])[len(before) :]
        self._took(answers[0])
        return answers[1:]

    def _took(self, rows: Rows) -> None:
        """Identities with their persons; of each person everybody in use."""
        known = self._known
        for row in rows:
            found, (value, authority, survivor, external, aliases) = member(row[:-5]), row[-5:]
            if found.person not in known.persons:
                number = PatientIdentifier(value, authority)
                known.persons[found.person] = PersonRecord(found.person, number, survivor, external)
                known.members_of[found.person] = set()
                known.aliases[found.person] = [PatientIdentifier(*alias) for alias in aliases]
            known.put(found, matching.strict_key(found.identity))

    def _lists(self, values: Values) -> Values:
        if self._postgresql:
            return values
        return {name: orjson.dumps(value).decode() for name, value in values.items()}

    # What feeds ask

    def identity(self, identifier: PatientIdentifier) -> Member | None:
        """As the base's."""
        if _key(identifier) not in self._known.numbers:
            return super().identity(identifier)
        found = self._known.numbers[_key(identifier)]
        if found is None:
            return None
        if found in self._changes:  # statements of different kinds are not carried out in the order of their coming
            self._work.flush()
            self._changes.clear()
        return self._known.members[found]

    def candidates(self, identity: Identity, strict_key: int | None, not_id: int) -> list[Member]:
        """As the base's."""
        found = self._known.candidates(identity.ins.value if identity.ins else None, strict_key)
        if found is None:
            return super().candidates(identity, strict_key, not_id)
        return [item for item in found if item.id != not_id][:MOST]

    def met(self, ids: Sequence[int]) -> list[Member]:
        """As the base's."""
        known, met = self._known.members, self._met
        found = [known.get(key) or met.get(key) for key in ids]
        return super().met(ids) if None in found else [item for item in found if item is not None]

    def members(self, person: int) -> list[Member]:
        """As the base's."""
        found = self._known.members_of.get(person)
        return super().members(person) if found is None else [self._known.members[key] for key in sorted(found)]

    def person(self, person: int) -> PersonRecord:
        """As the base's."""
        return self._known.persons.get(person) or super().person(person)

    def numbers(self, person: int) -> tuple[PatientIdentifier, ...] | None:
        """What a person in use may be known by (``Person.identifiers``), or None: that has to be asked for."""
        known = self._known
        record, aliases = known.persons.get(person), known.aliases.get(person)
        if record is None or aliases is None or record.survivor is not None:
            return None
        members = [known.members[key].identity for key in sorted(known.members_of[person])]
        if len({item.ins for item in members if item.ins is not None}) > 1:  # only the golden record's is the person's
            return None
        every = [record.identifier, *(number for identity in members for number in identity.numbers), *aliases]
        return tuple(dict.fromkeys(every))

    def coming(self) -> list[PatientIdentifier]:
        """What those that were gathered, and whom they met, may be known by once they are fed."""
        met = [number for person in self._known.members_of for number in self.numbers(person) or ()]
        new = [PatientIdentifier(value, self._authority) for value in self._spare]
        return [*(number for identity, _ in self._expected for number in identity.numbers), *met, *new]

    # What they add and change

    def spare_number(self) -> str:
        """One of those that nobody had when they were looked for."""
        return self._spare.pop() if self._spare else ""

    def add_person(self, identifier: PatientIdentifier, *, external: bool = False) -> int | None:
        """As the base's."""
        key = None if external or not self._unused(identifier) else next(self._ids[PERSON.name], None)
        if key is None:
            self.cool()
            return super().add_person(identifier, external=external)
        return self._new_person(key, identifier).id

    def newcomer(self, identity: Identity, strict_key: int | None) -> Member | None:
        """Add somebody whom nobody knew and nobody meets by the rules, with a person, as ``add_person`` and
        ``add_identity`` would. None: that has to be looked at."""
        known, number, ins = self._known, identity.identifier, identity.ins
        same_ins = known.ins.get(ins.value, _SOMEBODY) if ins is not None else _NOBODY
        same_traits = known.strict.get(strict_key, _SOMEBODY) if strict_key is not None else _NOBODY
        if known.numbers.get(_key(number), 0) is not None or same_ins or same_traits or not self._spare:
            return None
        person, key = next(self._ids[PERSON.name], None), next(self._ids[IDENTITY.name], None)
        if person is None or key is None:
            return None
        regional = self._new_person(person, PatientIdentifier(self._spare.pop(), self._authority))
        return self._new_identity(key, identity, strict_key, regional.id, person)

    def _new_person(self, key: int, identifier: PatientIdentifier) -> PersonRecord:
        self._work.rows_later(_ADD_PERSON, ((key, identifier.value, identifier.authority, False, self._now),))
        record = self._known.persons[key] = PersonRecord(key, identifier, None, external=False)
        self._known.members_of[key], self._known.aliases[key] = set(), []
        return record

    def _new_identity(
        self, key: int, identity: Identity, strict_key: int | None, person: int, home: int | None
    ) -> Member:
        number = identity.identifier
        traits, ins, others = identity.traits, identity.ins, identity.others
        ahead = self._forms.get(id(traits))
        its = ahead[1] if ahead is not None else forms(traits)
        row = (  # as ``identity_values`` and its processors have it
            key, number.value, number.authority, person, home, None, identity.active, identity.status.value,
            " ".join(sorted(identity.attributes)), its.text, json_text(others_of(identity)) if others else "[]",
            ins.value if ins else None, ins.authority if ins else None, strict_key, traits.birth_date[:8], its.given,
            traits.sex, traits.postal_code, self._instant(identity.updated_at or now()),
            self._work.notes.get(KEYED, 0),
        )  # fmt: skip
        self._work.rows_later(_ADD_IDENTITY, (row,))
        self._added(key, identity, its.names)
        self._changes.add(key)
        added = Member(key, person, home, None, identity)
        self._known.put(added, strict_key)
        return added

    def _unused(self, identifier: PatientIdentifier) -> bool:
        return identifier.value in self._free and identifier.authority == self._authority

    def add_identity(
        self, identity: Identity, person: int, strict_key: int | None, *, home: bool, survivor: int | None = None
    ) -> Member:
        """As the base's."""
        key = next(self._ids[IDENTITY.name], None) if self._ids and survivor is None else None
        if key is None:
            self.cool()
            return super().add_identity(identity, person, strict_key, home=home, survivor=survivor)
        return self._new_identity(key, identity, strict_key, person, person if home else None)

    def change_identity(self, before: Member, identity: Identity, strict_key: int | None) -> Member:
        """As the base's."""
        changed = super().change_identity(before, identity, strict_key)
        self._known.put(changed, strict_key)
        self._changes.add(before.id)
        return changed

    def touch_identity(self, identity: Member) -> None:
        """As the base's."""
        super().touch_identity(identity)
        self._changes.add(identity.id)

    def retire(self, lost: Member) -> None:
        """As the base's."""
        super().retire(lost)
        self.cool()

    def point(self, lost: Member, survivor: Member) -> None:
        """As the base's."""
        super().point(lost, survivor)
        self.cool()

    def absorb(self, lost: int, survivor: int) -> None:
        """As the base's."""
        super().absorb(lost, survivor)
        self.cool()

    def revive(self, person: int) -> None:
        """As the base's."""
        super().revive(person)
        self.cool()

    def at_home(self, identity: Member, person: int) -> None:
        """As the base's."""
        super().at_home(identity, person)
        self.cool()

    def subordinate(self, aliases: Iterable[int], person: int) -> None:
        """As the base's."""
        super().subordinate(aliases, person)
        self.cool()

    def renumber(self, identity: Member, value: str) -> None:
        """As the base's."""
        super().renumber(identity, value)
        self.cool()

    def move(self, identities: Iterable[int], person: int) -> None:
        """As the base's."""
        super().move(identities, person)
        self.cool()


def _utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a stored instant must be aware")
    return value


_NOBODY: frozenset[int] = frozenset()
_SOMEBODY = frozenset({0})  #: who has a key that was not asked for is not known


def _key(identifier: PatientIdentifier) -> tuple[str, str]:
    return (identifier.value, identifier.authority)


class _Known:
    """What was read of some identities, and what came to it since. A key that was asked for and met nobody is empty."""

    def __init__(self, expected: Expected) -> None:
        self.members: dict[int, Member] = {}
        self.members_of: dict[int, set[int]] = {}  #: person -> its active identities
        self.aliases: dict[int, list[PatientIdentifier]] = {}  #: person -> regional numbers that it had besides
        self.persons: dict[int, PersonRecord] = {}
        self.numbers: dict[tuple[str, str], int | None] = {_key(item.identifier): None for item, _ in expected}
        self.ins: dict[str, set[int]] = {item.ins.value: set() for item, _ in expected if item.ins}
        self.strict: dict[int, set[int]] = {key: set() for _, key in expected if key is not None}

    @property
    def met(self) -> bool:
        """Whether anybody was found who may have to be linked."""
        return any(self.ins.values()) or any(self.strict.values())

    def put(self, found: Member, strict_key: int | None) -> None:
        """One with a number or a key that was asked for, as it is now."""
        before = self.members.get(found.id)
        if before is not None:
            self._drop(before)
        self.put_member(found)
        number = _key(found.identity.identifier)
        if number in self.numbers:
            self.numbers[number] = found.id
        if found.identity.active:
            if found.identity.ins is not None and found.identity.ins.value in self.ins:
                self.ins[found.identity.ins.value].add(found.id)
            if strict_key in self.strict:
                self.strict[strict_key].add(found.id)

    def put_member(self, found: Member) -> None:
        """One of a person; of those in ``members_of`` every active one is put."""
        self.members.setdefault(found.id, found)
        if found.identity.active and found.person in self.members_of:
            self.members_of[found.person].add(found.id)

    def absorb(self, lost: int, survivor: int) -> None:
        """One person is now the other's alias; both were read."""
        for key, item in self.members.items():
            if item.person == lost:
                self.members[key] = replace(item, person=survivor)
        self.members_of[survivor] |= self.members_of.pop(lost)
        self.aliases[survivor] += [self.persons[lost].identifier, *self.aliases.pop(lost)]
        for key, record in self.persons.items():
            if key in (lost, survivor) or record.survivor == lost:
                self.persons[key] = replace(record, survivor=survivor if key != survivor else None)

    def _drop(self, before: Member) -> None:
        del self.members[before.id]
        ins, strict = before.identity.ins, matching.strict_key(before.identity)
        self.members_of.get(before.person, set()).discard(before.id)
        self.ins.get(ins.value if ins is not None else "", set()).discard(before.id)
        if strict is not None:
            self.strict.get(strict, set()).discard(before.id)

    def candidates(self, ins: str | None, strict: int | None) -> list[Member] | None:
        """The active identities with one of the keys, the oldest first; None when they must be asked for."""
        same_ins = self.ins.get(ins) if ins is not None else _NOBODY
        same_traits = self.strict.get(strict) if strict is not None else _NOBODY
        if same_ins is None or same_traits is None or max(len(same_ins), len(same_traits)) > MOST:
            return None
        return [self.members[key] for key in sorted(same_ins | same_traits)]
