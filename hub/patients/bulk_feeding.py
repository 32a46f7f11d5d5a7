"""A batch of an import, carried out: what is known of it is read at once, and who is new and meets nobody by the rules
is added without detours. Everything else goes the way of every message."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hub.context import Context
from hub.errors import HubError
from hub.patients import matching
from hub.patients.forms import Forms, forms
from hub.patients.linking import Placed
from hub.patients.model import Fed, FeedIdentity, Identity
from hub.patients.service import PatientService
from hub.patients.store import Member, PatientStore
from hub.patients.store_batch import BatchStore, FormsOf
from hub.storage.engine import UnitOfWork
from hub.usecase import Command
from hub.values import PatientIdentifier

CarryOut = Callable[[Command, Context], Any]
_NEW = Fed(PatientIdentifier("", ""), created=True, linked=False, split=False, reason="new")  # for who only counts


class BulkFeed:
    """Feeds many identities in one unit of work. ``dispatch`` carries out whatever is not plain."""

    def __init__(self, patients: PatientService, dispatch: CarryOut) -> None:
        self.patients = patients
        self.dispatch = dispatch

    def batch(
        self, work: UnitOfWork, commands: Sequence[Command], context: Context, ahead: Mapping[int, Forms]
    ) -> "Batch":
        """Look at everybody who comes in the open unit of work. ``context``: says whose they are; ``ahead``: the forms
        of their traits that are known, by the command's id()."""
        patients = self.patients
        if patients.weigh is not None or patients.external_index:
            patients.ahead([(command, context) for command in commands if isinstance(command, FeedIdentity)])
            return Batch(self, work, None, {}, {})
        ready: dict[int, tuple[Identity, int | None]] = {}
        refused: dict[int, HubError] = {}
        known: FormsOf = {}
        for command in commands:
            if isinstance(command, FeedIdentity):
                try:
                    identity = patients.received(command.identity, context, stated=command.stated)
                except HubError as error:
                    refused[id(command)] = error
                    continue
                its = ahead.get(id(command)) or forms(identity.traits)
                ready[id(command)] = identity, its.strict if matching.decides(identity) else None
                known[id(identity.traits)] = identity.traits, its
        store = BatchStore(work, patients.affinity_domain, known)
        expected = list(ready.values())
        store.gather(expected, () if patients.database.sqlite else _names(expected))
        patients.expect(store)
        return Batch(self, work, store, ready, refused)

    @staticmethod
    def alone(work: UnitOfWork) -> None:
        """Keep other feeds out of the open unit of work: it is to carry out many, each for itself."""
        PatientStore(work).lock_alone()


class Batch:
    """One unit of work's. ``refused``: what can't be carried out whatever comes before it, by the command's id()."""

    def __init__(
        self,
        feed: BulkFeed,
        work: UnitOfWork,
        store: BatchStore | None,
        ready: dict[int, tuple[Identity, int | None]],
        refused: Mapping[int, HubError],
    ) -> None:
        self._feed = feed
        self._work = work
        self._store = store
        self._ready = ready
        self.refused = refused

    def carry_out(self, command: Command, context: Callable[[], Context]) -> Any:
        """The command's outcome. ``context`` makes its own, where anybody asks for it. Raises HubError."""
        if self._store is not None and isinstance(command, FeedIdentity) and id(command) in self._ready:
            identity, key = self._ready.pop(id(command))
            if type(command) is FeedIdentity:
                added = self._store.newcomer(identity, key)
                if added is not None:
                    return self._newcomer(self._store, added, command, context)
            self._work.notes[id(command)] = identity
        return self._feed.dispatch(command, context())

    def _newcomer(self, store: BatchStore, added: Member, command: FeedIdentity, context: Callable[[], Context]) -> Fed:
        patients = self._feed.patients
        if not command.said and not patients.listeners:
            return _NEW
        its = context()
        patients.hear(added.identity.identifier, command.said, its)
        return patients.fed(store, Placed(added, created=True, reason="new"), its)


def _names(expected: Sequence[tuple[Identity, int | None]]) -> list[str]:
    """What simultaneous first contacts have in common with these, as ``PatientService`` locks it."""
    names = []
    for identity, key in expected:
        names.append(f"identity:{identity.identifier.value}^{identity.identifier.authority}")
        if identity.ins is not None:
            names.append(f"ins:{identity.ins.value}")
        if key is not None:
            names.append(f"strict:{key}")
    return names
