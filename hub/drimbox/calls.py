"""Contextual calls: a hospital's system opens a patient for one of its users (DRIM-M).

What the call says is sealed with its uuid, which only the calling system's user has: it goes to the first session that
comes with it, and to no other."""

import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Protocol, TypeVar

from hub.access.model import Principal
from hub.context import Context
from hub.drimbox.errors import CallContradicts, CallPersonUnknown, CallUnfit, CallUnknown
from hub.drimbox.model import INFORMED, Call, OpenCall, OpenedCall, ReceiveCall, Sought, WishedSituation
from hub.drimbox.store import DrimboxStore
from hub.errors import Unavailable
from hub.imaging.codec import fold
from hub.patients.model import INS_AUTHORITIES, Fed, FeedIdentity, Identity, IdentityStatus, Person, Traits
from hub.storage.engine import Database
from hub.usecase import use_case
from hub.values import PatientIdentifier, now
from hub.wire.sealed import NotSealedHere, seal, unseal

T = TypeVar("T")

PURPOSE = "contextual call"
#: Calls of one system that nobody has followed yet.
MOST_WAITING = 2000
#: Announcing patients: a calling system that has it may bring somebody who is not known here.
FEED = "patients.feed"


class Patients(Protocol):
    """The patients room."""

    def person(self, identifier: PatientIdentifier) -> Person | None:
        """Whom an identifier means; None for nobody, or several."""
        ...

    def feed(self, command: FeedIdentity, context: Context) -> Fed:
        """Take in an identity."""
        ...


class TooManyCalls(Unavailable):
    """So many calls of the system wait that something is wrong with it."""

    code = "too-many-calls"
    title = "Too many calls of this system wait for somebody to come."


class CallService:
    """``informed``: words which say that the patient does not oppose. ``life``: how long a call waits for somebody, and
    may be opened again by the same session.

    ``resolve``: an identifier with its authority's OID. ``may``: whether a principal has a permission."""

    def __init__(
        self,
        *,
        database: Database,
        patients: Patients,
        resolve: Callable[[PatientIdentifier], PatientIdentifier],
        may: Callable[[Principal, str], bool],
        informed: Collection[str] = ("true",),
        life: timedelta = timedelta(minutes=10),
        clock: Callable[[], datetime] = now,
    ) -> None:
        self.database = database
        self.patients = patients
        self.resolve = resolve
        self.may = may
        self.informed = frozenset(word.lower() for word in informed)
        self.life = life
        self.clock = clock

    @use_case
    def receive(self, command: ReceiveCall, context: Context) -> str:
        """Keep the call; its uuid. Raises CallUnfit, UnknownAuthority, TooManyCalls."""
        if command.call.informed.lower() not in self.informed:
            told = f"{INFORMED}: must say that the patient was informed and does not oppose."
            raise CallUnfit(told, location=INFORMED, fields=INFORMED)
        call, at, key = command.call, self.clock(), str(uuid.uuid4())
        self.resolve(call.local)
        context.touch("patient", call.national.cx)
        row = {
            "uuid_hash": _hash(key),
            "sealed": seal(key, PURPOSE, asdict(call)),
            "caller": context.principal.id,
            "source": context.principal.source or context.source,
            "feeds": self.may(context.principal, FEED),
            "session_hash": "",
            "created_at": at,
            "expires_at": at + self.life,
        }
        with self.database.transaction() as work:
            store = DrimboxStore(work)
            if store.waiting_calls(context.principal.id, at) >= MOST_WAITING:
                raise TooManyCalls()
            store.add_call(row)
        return key

    @use_case
    def open(self, command: OpenCall, context: Context) -> OpenedCall:
        """The person of the call, for this session alone. Raises as the command says."""
        if not context.session:
            raise CallUnknown()
        with self.database.transaction() as work:
            row = DrimboxStore(work).claim_call(_hash(command.uuid), _hash(context.session), self.clock())
        if row is None:
            raise CallUnknown()
        try:
            call = _restored(unseal(command.uuid, PURPOSE, row.sealed))
        except (NotSealedHere, TypeError, KeyError) as error:
            raise CallUnknown() from error
        person = self._person(call, row.source, row.caller, feeds=row.feeds)
        context.touch("patient", person.regional.cx)
        return OpenedCall(person.regional, call.sought)

    @use_case
    def wished(self, command: WishedSituation, context: Context) -> str:  # noqa: ARG002
        """See the command. It claims nothing, and tells nothing of the patient."""
        with self.database.reading() as work:
            row = DrimboxStore(work).waiting_call(_hash(command.uuid), self.clock())
        try:
            return _restored(unseal(command.uuid, PURPOSE, row.sealed)).situation if row is not None else ""
        except (NotSealedHere, TypeError, KeyError):
            return ""

    def sweep(self) -> None:
        """Forget what is over."""
        with self.database.transaction() as work:
            DrimboxStore(work).forget(self.clock())

    def _person(self, call: Call, source: str, caller: str, *, feeds: bool) -> Person:
        local = self.resolve(call.local)
        by_national, by_local = self.patients.person(call.national), self.patients.person(local)
        found = by_local or by_national
        if by_national is not None and by_local is not None and by_national.regional != by_local.regional:
            raise CallContradicts("The two numbers of the call mean two different persons.", fields="PatientID")
        if found is not None:
            wrong = tuple(_contradictions(call.traits, found.traits))
            if call.national.authority in INS_AUTHORITIES and found.ins not in (None, call.national):
                wrong = ("Patient.identifier.value", *wrong)
            if wrong:
                raise CallContradicts(
                    f"Not as it is known here: {', '.join(wrong)}.", location=wrong[0], fields=",".join(wrong)
                )
            bound = by_local is not None and (by_national is not None or by_local.ins is not None)
            if bound or not feeds:
                return found
        elif not feeds:
            raise CallPersonUnknown()
        return self._bound(call, local, source, caller)

    def _bound(self, call: Call, local: PatientIdentifier, source: str, caller: str) -> Person:
        """The patient as the calling system announces them: it may, and DRIM-M has it call for qualified ones only."""
        ins = call.national if call.national.authority in INS_AUTHORITIES else None
        status = IdentityStatus.QUALIFIED if ins is not None else IdentityStatus.PROVISIONAL
        others = () if ins is not None else (call.national,)
        identity = Identity(local, call.traits, status, ins=ins, others=others)
        announced = Context(transaction="internal", principal=Principal(caller, source=source), source=source)
        self.patients.feed(FeedIdentity(identity), announced)
        person = self.patients.person(local)
        if person is None:
            raise CallPersonUnknown()
        return person


def _contradictions(told: Traits, known: Traits) -> Iterator[str]:
    """Fields of the call that are not as they are known."""
    names = {fold(name) for name in (known.birth_name, known.used_name) if name}
    if names and fold(told.birth_name) not in names:
        yield "Patient.name.family"
    if len(known.birth_date) == 8 and told.birth_date != known.birth_date:
        yield "Patient.birthDate"
    if {known.sex, told.sex} == {"M", "F"}:
        yield "Patient.gender"


def _restored(values: Mapping[str, Any]) -> Call:
    def made(name: str, kind: type[T]) -> T:
        return kind(**values[name])

    return Call(
        made("national", PatientIdentifier),
        made("local", PatientIdentifier),
        made("traits", Traits),
        made("sought", Sought),
        str(values["informed"]),
        str(values["situation"]),
    )


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
