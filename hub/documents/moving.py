"""Documents follow their persons: when identities part, what was registered for one of them goes with it.

An entry names its patient twice: patientId, the region's number, and sourcePatientId, the hospital's own. Persons that
are joined need nothing: both regional numbers mean the survivor. When they part, the hospital's number says to whom an
entry belongs, and its row moves in the unit of work that parts them; joined again and parted again, it moves again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from hub.context import Context
from hub.documents.codec import patient_key
from hub.documents.model import APPROVED, AssociationType, DocumentEntry
from hub.documents.registration import Patients
from hub.documents.store import DocumentStore
from hub.documents.store_moving import MovingStore
from hub.documents.structure import REFERENCE
from hub.errors import Invalid
from hub.storage.engine import Database, UnitOfWork
from hub.values import PatientIdentifier

#: Called after what was registered has moved, within the same unit of work, with the persons concerned.
Settled = Callable[[UnitOfWork, Sequence[PatientIdentifier], Context], object]


def note_strangers(
    store: MovingStore,
    entries: Iterable[DocumentEntry],
    patients: Patients,
    survivor: Callable[[PatientIdentifier], PatientIdentifier],
) -> None:
    """Entries that are registered with the number of another person stay with their patientId for good."""
    entries = tuple(entries)
    owners = {text: owner_of(text, patients) for text in {item.source_patient_id for item in entries}}
    store.stays(
        item.id
        for item in entries
        if (owner := owners[item.source_patient_id]) is not None and not same(owner, survivor(item.patient_id))
    )


def owner_of(text: str, patients: Patients) -> PatientIdentifier | None:
    """The person whom a sourcePatientId means; None when nobody is known by it, or not one person."""
    try:
        return patients.resolve(PatientIdentifier.from_cx(text)) if text else None
    except Invalid:
        return None


def same(one: PatientIdentifier, other: PatientIdentifier) -> bool:
    """Whether both are the same number of the same authority."""
    return (one.value, one.authority) == (other.value, other.authority)


class DocumentsFollow:
    """Listener of the patients room. ``settled``: told afterwards."""

    def __init__(self, *, database: Database, patients: Patients) -> None:
        self.database = database
        self.patients = patients
        self.settled: list[Settled] = []

    def regrouped(self, persons: Sequence[PatientIdentifier], context: Context) -> None:
        """Identities went from one of these persons to another, or persons were joined; in the open unit of work."""
        with self.database.transaction() as work:
            store = MovingStore(work)
            store.hold(alone=True)
            survivors: dict[str, str] = {}
            groups: dict[str, PatientIdentifier] = {}
            for person in persons:
                group = self.patients.equivalents(person)
                for item in group:
                    survivors[patient_key(item)] = patient_key(group[0])
                    groups[patient_key(group[0])] = group[0]
            if len(groups) > 1:
                self._move(DocumentStore(work), store, survivors, context)
            for listener in self.settled:
                listener(work, tuple(groups.values()), context)

    def _move(
        self, documents: DocumentStore, store: MovingStore, survivors: Mapping[str, str], context: Context
    ) -> None:
        entries = documents.get(DocumentEntry, "patient", survivors, lock=True)
        staying = store.staying(item.id for item in entries)
        # The last version of a document speaks for all of them.
        last = {item.logical_id: item for item in sorted(entries, key=lambda item: item.version)}
        owners = {text: owner_of(text, self.patients) for text in {item.source_patient_id for item in last.values()}}
        moved: dict[str, str] = {}
        for item in entries:
            speaker = last[item.logical_id]
            owner = owners[speaker.source_patient_id]
            if owner is None or speaker.id in staying:
                continue
            # Only between the persons that were regrouped just now: to anybody else it never belonged.
            here, there = survivors[patient_key(item.patient_id)], patient_key(owner)
            if there in survivors and there != here:
                moved[item.id] = there
                context.led_to("document-moved", item.unique_id)
        store.move("entry", moved)
        for kind in ("folder", "set"):
            self._follow(documents, store, kind, survivors)

    @staticmethod
    def _follow(documents: DocumentStore, store: MovingStore, kind: str, survivors: Mapping[str, str]) -> None:
        """A folder, or a submission set, is where everything is that it holds, or that it brought."""
        own = store.of(kind, survivors)
        held: dict[str, list[str]] = {}
        for item in documents.associations(source=own, types=[AssociationType.HAS_MEMBER]):
            if item.submission_set_status != REFERENCE if kind == "set" else item.status == APPROVED:
                held.setdefault(item.source, []).append(item.target)
        inside = {target for targets in held.values() for target in targets}
        patients = {**store.patients_of("entry", inside), **store.patients_of("folder", inside)}
        moved: dict[str, str] = {}
        for owner, targets in held.items():
            where = {survivors.get(patients[item], patients[item]) for item in targets if item in patients}
            if len(where) == 1 and where.isdisjoint({survivors[own[owner]]}):
                moved[owner] = where.pop()
        store.move(kind, moved)
