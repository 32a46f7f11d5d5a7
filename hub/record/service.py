"""What of the region goes to the national record: heard in the commit of the registration, carried out by the outbox.

One row for each document says what is to stand in the record (``wanted``) and what stands there; a delivery brings the
two together, however often it runs. Nothing is sent while a unit of work is open."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from hub.access.rights_model import Matter
from hub.connector.record import ORGANISATION, Life, RecordDocument, RecordHasIt, Standing
from hub.context import Context
from hub.documents.model import APPROVED, DocumentEntry, Folder, SubmissionSet
from hub.errors import Category, HubError, NotFound, lookup
from hub.exchange.model import Delivery
from hub.imaging.model import Report
from hub.imaging.ports import Senders
from hub.imaging.sending_model import Outcome, Told
from hub.outbox import LimitedOutbox
from hub.patients.model import Person
from hub.record import failures
from hub.record.drawing import Sender, lot_of, national_entry
from hub.record.model import (
    LOOKED_AT,
    PublicationState,
    Reason,
)
from hub.record.ports import Contents, Entries, Feeding, Manifests, Patients, Record
from hub.record.store import RecordStore
from hub.storage.engine import Database, UnitOfWork
from hub.values import Code, PatientIdentifier, new_key, now

#: The kind of delivery.
KIND = "national-record"
STUDY = "urn:ihe:iti:xds:2016:studyInstanceUID"
#: What these hold is looked at again when its person changes or speaks.
_HEARD = (Reason.NOT_QUALIFIED, Reason.OPPOSITION)


class Held(Exception):
    """A publication can't be sent now: a state, not an error."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class RecordService:
    """The use cases of the record room.

    ``types``: typeCode -> "manifest" or "report", of what is sent. ``own``: sourceIds of the submissions that are
    looked at. ``deadline``: seconds for each request. ``look_again``: after that time what may change by itself is
    looked at again, at most ``looks`` times; without end what stands in the record and should not, or not so."""

    def __init__(
        self,
        *,
        database: Database,
        record: Record,
        patients: Patients,
        feeding: Feeding,
        entries: Entries,
        contents: Contents,
        manifests: Manifests,
        outbox: LimitedOutbox,
        sender: Sender,
        own: Collection[str],
        types: Mapping[str, str],
        codes: Mapping[str, Code] | None = None,
        needs_report: bool = True,
        deadline: float = 30.0,
        look_again: timedelta = timedelta(hours=24),
        looks: int = 30,
        replaced: Callable[[UnitOfWork, str], tuple[str, ...]],
        senders: Senders | None = None,
    ) -> None:
        self.database = database
        self.record = record
        self.patients = patients
        self.feeding = feeding
        self.entries = entries
        self.contents = contents
        self.manifests = manifests
        self.outbox = outbox
        self.sender = sender
        self.own = frozenset(own)
        self.types = dict(types)
        self.codes = dict(codes or {})
        self.needs_report = needs_report
        self.deadline = deadline
        self.look_again = look_again
        self.looks = looks
        self.replaced = replaced
        self.senders = senders

    # what is heard

    def asked(self, told: Sequence[tuple[Report, str]], context: Context) -> None:  # noqa: ARG002
        """Reports came, or were taken back, in this unit of work, with what their message says about the record."""
        with self.database.transaction() as work:
            for report, unique_id in told:
                sending = report.sending
                if sending is None:
                    continue
                RecordStore(work).keep_wish(
                    unique_id,
                    wanted=sending.to_record,
                    secret=sending.says("CONNEXION_SECRETE"),
                    source=report.source,
                    control_id=report.control_id if sending.says("ACK_RECEPTION") and sending.to_record else "",
                    told="",
                )

    def registered(self, objects: tuple[DocumentEntry | SubmissionSet | Folder, ...], context: Context) -> None:
        """Something was registered, in this unit of work: the hub's own manifests and reports are to be sent."""
        sets = [item for item in objects if isinstance(item, SubmissionSet)]
        known = any(item.source_id in self.own for item in sets)
        for entry in objects:
            if isinstance(entry, DocumentEntry) and entry.status == APPROVED:
                self._heard(entry, context, new=known)

    def _heard(self, entry: DocumentEntry, context: Context, *, new: bool) -> None:
        kind = self.types.get(entry.type_code.value if entry.type_code else "", "")
        if not kind or (kind == "manifest" and entry.mime_type != "application/dicom"):
            return
        study = next((item.value for item in entry.reference_ids if item.type_code == STUDY), "")
        values: dict[str, Any] = {
            "kind": kind,
            "study_instance_uid": study,
            "entry": entry.id,
            "logical_id": entry.logical_id or entry.id,
            "unique_id": entry.unique_id,
            "patient": entry.patient_id.cx,
            "wanted": True,
            "state": PublicationState.WAITING.value,
            "reason": "",
            "detail": "",
            "attempts": 0,
            "changed_at": now(),
        }
        with self.database.transaction() as work:
            store = RecordStore(work)
            row = store.of_entry([entry.id, *self.replaced(work, entry.id)], entry.logical_id)
            if row is not None:
                store.change(row.id, **values)
            elif new:
                store.add({**values, "id": new_key(), "created_at": values["changed_at"]})
            else:
                return
            row = store.of_entry([entry.id])
            if row is not None:
                self.enqueue(row, context)

    def withdrawn(self, entries: Iterable[DocumentEntry], context: Context) -> None:
        """Entries were taken back, in this unit of work: the record is to lose them as well."""
        with self.database.transaction() as work:
            store = RecordStore(work)
            for entry in entries:
                row = store.of_entry([entry.id], entry.logical_id)
                if row is not None and row.wanted and row.entry == entry.id:
                    store.change(
                        row.id, wanted=False, state=PublicationState.WAITING.value, reason="", detail="",
                        attempts=0, changed_at=now(),
                    )  # fmt: skip
                    self.enqueue(row, context)
                    self._follow(row, context)

    def person_changed(
        self, regional: PatientIdentifier, numbers: Iterable[PatientIdentifier], context: Context
    ) -> None:
        """A person was qualified, joined, has another number, or said something: what was held for it, or was sent
        for another number, is looked at again."""
        persons = {regional.cx, *(number.cx for number in numbers)}
        with self.database.transaction() as work:
            for row in RecordStore(work).unsettled(persons, _HEARD):
                self.enqueue(row, context)

    def said(self, identity: PatientIdentifier, matter: Matter, context: Context) -> None:
        """A patient spoke of their record, or a word of theirs is over, in this unit of work."""
        if matter is Matter.FEEDING:
            person = self.patients.person(identity)
            self.person_changed(*((person.regional, person.identifiers) if person else (identity, ())), context)

    def enqueue(self, row: Any, context: Context, *, later: bool = False) -> None:
        """Have the record looked at for one publication, in the open unit of work."""
        destination = f"{KIND}/{row.study_instance_uid or row.id}"
        due = now() + self.look_again if later else now()
        self.outbox.enqueue(destination, KIND, {"publication": row.id}, context, key=row.id, due_at=due)

    def _follow(self, row: Any, context: Context) -> None:
        """Of a report that comes to the record, or leaves it, the manifests are looked at, in the open unit of work."""
        if row.kind == "report":
            with self.database.transaction() as work:
                for manifest in RecordStore(work).of_study(row.study_instance_uid, "manifest"):
                    self.enqueue(manifest, context)

    # what is carried out

    def handlers(self) -> Mapping[str, Any]:
        """What a worker needs: delivery kind -> handler."""
        return {KIND: self.deliver}

    def deliver(self, delivery: Delivery, context: Context) -> HubError | None:
        """Bring the record to what is wanted. Raises what only time can mend; everything else becomes a state, and is
        returned, for the audit record."""
        key = str(delivery.payload["publication"])
        with self.database.reading() as work:
            row = RecordStore(work).get(key)
        if row is None:
            return None
        context.touch("document", row.unique_id)
        try:
            changes = self._carry_out(row, context)
        except Held as held:
            with self.database.transaction():
                if held.reason in _HEARD and self._heard_meanwhile(row):
                    self.enqueue(row, context)
                else:
                    self._hold(row, held.reason, "", context)
            return None
        except HubError as error:
            reason = lookup(failures.REASONS, error)
            detail = error.context.get("told", "") or error.location
            if error.category is Category.TRANSIENT:
                last = delivery.attempts >= self.outbox.max_attempts
                state = PublicationState.HELD if last else PublicationState.WAITING
                self._change(row.id, state=state.value, reason=reason.value, detail=detail, attempts=row.attempts + 1)
                raise
            self._hold(row, reason, detail, context)
            self._tell(row, context, error.context.get("told", "") or error.code)
            return error
        with self.database.transaction():
            self._change(row.id, reason="", detail="", attempts=0, **changes)
            if "sent_at" in changes:
                self._follow(row, context)
        self._tell(row, context)
        context.led_to(f"record-{changes['state']}", row.unique_id)
        return None

    def _carry_out(self, row: Any, context: Context) -> dict[str, Any]:
        """What changes in the row. Raises Held, HubError."""
        entry = next(iter(self.entries.approved([row.entry])), None) if row.wanted else None
        if entry is None:
            self._delete(row)
            if row.wanted:  # else it is noted already; who wants it again meanwhile is not to be overwritten
                self._change(row.id, wanted=False)
            return {"state": PublicationState.WITHDRAWN.value, "record_unique_id": ""}
        try:
            person = self._permitted(row, entry)
        except Held as held:
            if held.reason is Reason.NO_REPORT:  # the last report was taken back, or stands in another record
                self._take_away(row, context)
            raise
        ins = person.ins
        assert ins is not None
        context.touch("patient", person.regional.cx)
        if row.record_unique_id and row.record_patient != ins.cx:
            self._take_away(row, context)  # the person's number was another one: it stands where it does not belong
            row = self._again(row.id)
        source = _source(entry)
        if row.record_unique_id and row.record_source == source:
            return {"state": _standing(row.versions)}
        if row.record_unique_id and row.record_source.partition("|")[0] == source.partition("|")[0]:
            self._show_otherwise(row, entry, ins)
            return {"state": _standing(row.versions), "record_source": source}
        unique_id = self._send(row, entry, person, ins)
        return {
            "state": _standing(row.versions + 1),
            "record_unique_id": unique_id,
            "record_patient": ins.cx,
            "record_source": source,
            "versions": row.versions + 1,
            "sent_at": now(),
        }

    def _permitted(self, row: Any, entry: DocumentEntry) -> Person:
        """The qualified person. Raises Held."""
        person = self._person(entry)
        assert person.ins is not None
        with self.database.reading() as work:
            store = RecordStore(work)
            if row.kind == "report":
                _check_wish(store.wish(row.unique_id))
            elif self.needs_report:
                reports = store.of_study(row.study_instance_uid, "report")
                if not any(item.record_unique_id and item.record_patient == person.ins.cx for item in reports):
                    raise Held(Reason.NO_REPORT)
        return person

    def _person(self, entry: DocumentEntry) -> Person:
        """The qualified person, who does not oppose. Raises Held."""
        person = self.patients.person(entry.patient_id)
        if person is None or person.ins is None:
            raise Held(Reason.NOT_QUALIFIED)
        if not self.feeding.feeding(person.regional):
            raise Held(Reason.OPPOSITION)
        return person

    def _heard_meanwhile(self, row: Any) -> bool:
        """Whether nothing holds it any more: who changed that just now did not find it held. Nobody else does so to
        the end of the open unit of work."""
        for entry in self.entries.approved([row.entry]):
            self.patients.settled(entry.patient_id)
            try:
                self._person(entry)
            except Held:
                return False
        return True

    def _tell(self, row: Any, context: Context, failed: str = "") -> None:
        """The sender hears that the record has its report, or why not, once each; ``failed``: a code."""
        if self.senders is None or row.kind != "report":
            return
        word = "N" if failed else "Y"
        with self.database.transaction() as work:
            store = RecordStore(work)
            wish = store.wish(row.unique_id)
            if wish is None or not wish.control_id or wish.told == word:
                return
            store.keep_wish(row.unique_id, told=word)
            self.senders.tell(Outcome(Told.RECORD, wish.source, wish.control_id, not failed, failed), context)

    def _send(self, row: Any, entry: DocumentEntry, person: Person, ins: PatientIdentifier) -> str:
        """The uniqueId of what the record holds now. Raises Held, HubError."""
        record = self.record()
        standing = record.status(ins, ORGANISATION, timeout=self.deadline).standing
        if standing is not Standing.OPEN:
            raise Held(Reason.NO_RECORD if standing is Standing.MISSING else Reason.CLOSED)
        document = self._draw(row, entry, person, ins)
        if row.record_unique_id:
            found = record.locate(ins, [row.record_unique_id], ORGANISATION, timeout=self.deadline)
            old = found.get(row.record_unique_id)
            if old is not None and old.status == APPROVED:
                document = RecordDocument(document.entry, document.content, old.id)
        try:
            record.submit(lot_of(self.sender, ins, document), ORGANISATION, timeout=self.deadline)
        except RecordHasIt:
            self._check_same(ins, document)
        return document.entry.unique_id

    def _check_same(self, ins: PatientIdentifier, document: RecordDocument) -> None:
        """An attempt whose answer was lost has brought it already. Raises RecordHasIt where it is another document, or
        was deleted, there or in another record: only its sender can give it another number."""
        unique_id = document.entry.unique_id
        found = self.record().locate(ins, [unique_id], ORGANISATION, timeout=self.deadline).get(unique_id)
        sha1 = hashlib.sha1(document.content, usedforsecurity=False).hexdigest()
        if found is None or found.status != APPROVED or found.hash.lower() != sha1:
            raise RecordHasIt(location="uniqueId")

    def _draw(self, row: Any, entry: DocumentEntry, person: Person, ins: PatientIdentifier) -> RecordDocument:
        unique_id, content = entry.unique_id, b""
        if row.kind == "manifest":
            deleted = row.versions if not row.record_unique_id else 0
            drawn_up = self.manifests.national(row.study_instance_uid, unique_id, deleted)
            unique_id, content = drawn_up or (unique_id, b"")
        if not content:
            kept = self.contents.open_content(entry.unique_id)
            try:
                content = kept.path.read_bytes()
            finally:
                if kept.lease is not None:
                    kept.lease.release()
        drawn = national_entry(
            entry,
            kind=row.kind,
            sender=self.sender,
            ins=ins,
            traits=person.traits,
            authenticator=self._authenticator(row) if row.kind == "manifest" else "",
            codes=self.codes,
            unique_id=unique_id,
        )
        return RecordDocument(drawn, content)

    def _authenticator(self, row: Any) -> str:
        """Who signed the report of a manifest's study."""
        with self.database.reading() as work:
            reports = RecordStore(work).of_study(row.study_instance_uid, "report")
        for entry in self.entries.approved([report.entry for report in reports]):
            if entry.legal_authenticators:
                return entry.legal_authenticators[0]
        return ""

    def _delete(self, row: Any) -> None:
        """What was sent is deleted; what is not there any more is as good."""
        if not row.record_unique_id:
            return
        patient = PatientIdentifier.from_cx(row.record_patient)
        found = self.record().locate(patient, [row.record_unique_id], ORGANISATION, timeout=self.deadline)
        if row.record_unique_id in found:
            entry = found[row.record_unique_id]
            self.record().change_life(entry, Life.DELETED, ORGANISATION, timeout=self.deadline)

    def _take_away(self, row: Any, context: Context) -> None:
        """What was sent is deleted, to be sent elsewhere or later; without a report its manifests go as well."""
        if not row.record_unique_id:
            return
        self._delete(row)
        with self.database.transaction():
            self._change(row.id, record_unique_id="", record_patient="", record_source="")
            self._follow(row, context)

    def _show_otherwise(self, row: Any, entry: DocumentEntry, ins: PatientIdentifier) -> None:
        """Only who may see it has changed."""
        found = self.record().locate(ins, [row.record_unique_id], ORGANISATION, timeout=self.deadline)
        if row.record_unique_id not in found:
            raise NotFound("The national record no longer holds the document.")
        there = found[row.record_unique_id]
        self.record().change_confidentiality(there, entry.confidentiality_codes, ORGANISATION, timeout=self.deadline)

    def _hold(self, row: Any, reason: Reason, detail: str, context: Context) -> None:
        values = {"state": PublicationState.HELD.value, "reason": reason.value, "detail": detail[:200]}
        with self.database.transaction() as work:
            store = RecordStore(work)
            current = store.get(row.id, lock=True)
            if current is None:
                return
            store.change(row.id, attempts=current.attempts + 1, changed_at=now(), **values)
            if reason in LOOKED_AT and (current.record_unique_id or current.attempts < self.looks):
                self.enqueue(row, context, later=True)
        context.led_to(f"record-held-{reason.value}", row.unique_id)

    def _change(self, key: str, **values: Any) -> None:
        with self.database.transaction() as work:
            RecordStore(work).change(key, changed_at=now(), **values)

    def _again(self, key: str) -> Any:
        with self.database.reading() as work:
            return RecordStore(work).get(key)


def _check_wish(wish: Any) -> None:
    """Raises Held where the sender keeps its report from the record."""
    if wish is not None and not wish.wanted:
        raise Held(Reason.NOT_ASKED)
    if wish is not None and wish.secret:
        raise Held(Reason.SECRET)


def _standing(versions: int) -> str:
    return (PublicationState.REPLACED if versions > 1 else PublicationState.SENT).value


def _source(entry: DocumentEntry) -> str:
    """What of the region's document the record should show: another version, or other eyes."""
    return "|".join([entry.unique_id, *sorted(code.value for code in entry.confidentiality_codes)])
