"""Secure mail: heard with the report, sent by the outbox once its document is registered, followed by its reports.

One row for each letter and box. Nothing is sent while a unit of work is open."""

import hashlib
import secrets
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from hub.access.rights_model import Choice, Matter
from hub.context import Context
from hub.documents.model import APPROVED, DocumentEntry, Folder, SubmissionSet
from hub.errors import Category, HubError, lookup
from hub.exchange.model import Delivery
from hub.imaging.model import Report
from hub.imaging.ports import Senders
from hub.imaging.reports import FINAL
from hub.imaging.sending_model import Outcome, Told
from hub.mail.choosing import HIDDEN_FROM, HOLDING, Chosen, choose
from hub.mail.failures import CODES, FAILURES, MOVES
from hub.mail.model import Enclosed, LetterKind, LetterReason, LetterState, Notification, Outgoing
from hub.mail.ports import Contents, Entries, Patients, Post, Words
from hub.mail.store import LetterStore
from hub.outbox import LimitedOutbox
from hub.patients.model import Person
from hub.storage.engine import Database
from hub.values import PatientIdentifier, new_key, new_uid, now

#: The kind of delivery.
KIND = "secure-mail"
#: What a patient may oppose, that others than they and the author read it: nothing goes to anybody else then.
_MATTERS = (Matter.CONSULTATION, Matter.FEEDING)
#: What these hold goes by itself, once they are gone.
_PASSING = (LetterReason.NOT_QUALIFIED, LetterReason.OPPOSITION)


class Held(Exception):
    """A letter can't be sent now: a state, not an error."""

    def __init__(self, reason: LetterReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say. ``own``: sourceIds of the submissions that are looked at; ``link``: the page that asks
    who somebody is, the token is put behind it; ``link_days``: so long it works."""

    own: frozenset[str]
    domain: str  #: of Message-IDs
    patients: str = "patient.mssante.fr"
    trusted: tuple[str, ...] = ("mssante.fr",)
    notices: bool = False
    link: Callable[[], str] = str
    link_days: float = 14.0
    withdrawals: bool = True  #: whoever got a document hears that it was taken back or replaced
    max_bytes: int = 10 * 1024 * 1024  #: of all documents of a letter


class MailService:
    """What is mailed, and how far it came."""

    def __init__(
        self,
        *,
        database: Database,
        patients: Patients,
        words: Words,
        entries: Entries,
        contents: Contents,
        outbox: LimitedOutbox,
        post: Post,
        rules: Rules,
        senders: Senders | None = None,
    ) -> None:
        self.database = database
        self.patients = patients
        self.words = words
        self.entries = entries
        self.contents = contents
        self.outbox = outbox
        self.post = post
        self.rules = rules
        self.senders = senders

    # what is heard

    def asked(self, told: Sequence[tuple[Report, str]], context: Context) -> None:
        """Final reports of a message came, in this unit of work, with what is to be mailed to whom: one letter to each
        takes all of them."""
        told = [item for item in told if item[0].status in FINAL]
        if not told or told[0][0].sending is None:
            return
        sending, rules = told[0][0].sending, self.rules
        unique_ids = [unique_id for _, unique_id in told]
        chosen = choose(sending, patients=rules.patients, trusted=rules.trusted, notices=rules.notices)
        with self.database.transaction() as work:
            store = LetterStore(work)
            there = {(row.kind, row.recipient) for row in store.of_document(unique_ids)}
            for item in chosen:
                if (item.kind.value, item.recipient) not in there:
                    key = self._add(store, told[0][0], unique_ids, item)
                    context.led_to("letter", key)
                    if item.held:
                        self._tell(store.get(key), Told.DELIVERY, context, failed=(item.held, ""))

    def _add(self, store: LetterStore, report: Report, unique_ids: Sequence[str], chosen: Chosen) -> str:
        sending = report.sending
        assert sending is not None
        patient = chosen.kind is LetterKind.PATIENT
        bodies = {LetterKind.PATIENT: sending.body_patient, LetterKind.PROFESSIONAL: sending.body_professional}
        return self.write(
            store,
            [(unique_id, "") for unique_id in unique_ids],
            kind=chosen.kind.value,
            source=report.source,
            control_id=report.control_id,
            told_of=report.patient.cx,
            recipient=chosen.recipient,
            reply_to=sending.reply_to,
            text=bodies.get(chosen.kind, ""),
            no_reply=patient and (sending.no_reply or not sending.reply_to),
            tell_delivery=sending.says("ACK_RECEPTION"),
            tell_reading=sending.says("ACK_LECTURE_MSS"),
            state=(LetterState.HELD if chosen.held else LetterState.WAITING).value,
            reason=chosen.held.value if chosen.held else "",
        )

    def write(self, store: LetterStore, documents: Iterable[tuple[str, str]], **values: Any) -> str:
        """A new letter of documents (uniqueId, entryUUID), each of which waits while it has no entry; its key."""
        key, at = str(values.pop("id", "")) or new_key(), now()
        message_id = f"<{secrets.token_hex(20)}@{self.rules.domain}>"
        store.add({"id": key, "message_id": message_id, "created_at": at, "changed_at": at, **values}, documents)
        return key

    def registered(self, objects: tuple[DocumentEntry | SubmissionSet | Folder, ...], context: Context) -> None:
        """Something was registered, in this unit of work: letters of the hub's own reports may go, once all that they
        enclose is there; whoever got what it replaces is told."""
        self._tell_holders({item.patient_id.cx for item in objects if isinstance(item, DocumentEntry)}, context)
        if not any(isinstance(item, SubmissionSet) and item.source_id in self.rules.own for item in objects):
            return
        entries = {
            item.unique_id: item for item in objects if isinstance(item, DocumentEntry) and item.status == APPROVED
        }
        if not entries:
            return
        with self.database.transaction() as work:
            store = LetterStore(work)
            for unique_id, entry in entries.items():
                store.register(unique_id, entry.id)
            rows = [row for row in store.of_document(entries) if not row.patient]
            enclosed = store.documents([row.id for row in rows])
            for row in rows:
                if not all(item.entry for item in enclosed[row.id]):
                    continue
                person = next(entries[item.unique_id] for item in enclosed[row.id] if item.unique_id in entries)
                store.change(row.id, patient=person.patient_id.cx)
                if row.state == LetterState.WAITING.value:
                    self.enqueue(row.id, context)

    def withdrawn(self, entries: Iterable[DocumentEntry], context: Context) -> None:
        """Entries were taken back, in this unit of work: a letter that encloses nothing else is never sent; whoever
        got one of them is told."""
        entries = tuple(entries)
        self._tell_holders({entry.patient_id.cx for entry in entries}, context, {entry.unique_id for entry in entries})
        with self.database.transaction() as work:
            store = LetterStore(work)
            rows = store.of_entries([entry.id for entry in entries], [LetterState.WAITING, LetterState.HELD])
            enclosed = store.documents([row.id for row in rows])
            for row in rows:
                told = row.kind == LetterKind.WITHDRAWAL.value
                if not told and not self.entries.approved([item.entry for item in enclosed[row.id]]):
                    store.change(row.id, state=LetterState.WITHDRAWN.value, reason="", changed_at=now())

    def _tell_holders(self, patients: Collection[str], context: Context, taken_back: Collection[str] = ()) -> None:
        """Write to each box that got a document of these persons which does not stand any more, once for each."""
        if not self.rules.withdrawals or not patients:
            return
        with self.database.transaction() as work:
            store = LetterStore(work)
            rows = store.sent_to(patients, HOLDING)
            enclosed = store.documents([row.id for row in rows])
            every = {item.entry for items in enclosed.values() for item in items}
            standing = {entry.unique_id for entry in self.entries.approved(sorted(every))} if every else set()
            for row in rows:
                for item in enclosed[row.id]:
                    if item.unique_id not in standing:
                        self._tell_holder(store, row, item, context, withdrawn=item.unique_id in taken_back)

    def _tell_holder(self, store: LetterStore, row: Any, item: Any, context: Context, *, withdrawn: bool) -> None:
        key = hashlib.sha256(f"{LetterKind.WITHDRAWAL}|{row.id}|{item.entry}".encode()).hexdigest()[:32]
        if store.get(key, lock=True) is not None:
            return
        self.write(
            store,
            [(item.unique_id, item.entry)],
            id=key,
            kind=LetterKind.WITHDRAWAL.value,
            control_id=row.id,  # the letter that it is about; no message asked for it, so nobody is told of it
            told_of=row.told_of,
            patient=row.patient,
            recipient=row.recipient,
            text="withdrawn" if withdrawn else "replaced",
            no_reply=True,
            state=LetterState.WAITING.value,
        )
        self.enqueue(key, context)
        context.led_to("letter", key)

    def person_changed(
        self, regional: PatientIdentifier, numbers: Iterable[PatientIdentifier], context: Context
    ) -> None:
        """A person was qualified, joined, or said something: what was held for it is looked at again."""
        persons = {regional.cx, *(number.cx for number in numbers)}
        with self.database.transaction() as work:
            store = LetterStore(work)
            for row in store.held_of(persons, _PASSING):
                store.change(row.id, state=LetterState.WAITING.value, reason="", changed_at=now())
                self.enqueue(row.id, context)

    def said(self, identity: PatientIdentifier, matter: Matter, context: Context) -> None:
        """A patient spoke of who may read, or a word of theirs is over, in this unit of work."""
        if matter in _MATTERS:
            person = self.patients.person(identity)
            self.person_changed(*((person.regional, person.identifiers) if person else (identity, ())), context)

    def enqueue(self, key: str, context: Context) -> None:
        """Put a letter in the outbox, in the open unit of work."""
        self.outbox.enqueue(f"{KIND}/{key}", KIND, {"letter": key}, context, key=key)

    # what is carried out

    def deliver(self, delivery: Delivery, context: Context) -> HubError | None:
        """Send one letter. Raises what only time can mend; every other failure becomes a state, and is returned."""
        key = str(delivery.payload["letter"])
        with self.database.reading() as work:
            row = LetterStore(work).get(key)
            enclosed = LetterStore(work).documents([key])[key]
        if row is None or row.state != LetterState.WAITING.value:
            return None
        for item in enclosed:
            context.touch("document", item.unique_id)
        about = enclosed[0].unique_id
        try:
            if not self._send(row, enclosed, context):
                self._move(key, LetterState.WITHDRAWN, context)
                return None
        except Held as held:
            with self.database.transaction():
                if held.reason in _PASSING and self._passed_meanwhile(row, enclosed):
                    self.enqueue(key, context)
                    return None
                self._move(key, LetterState.HELD, context, held.reason)
            context.led_to(f"mail-held-{held.reason.value}", about)
            return None
        except HubError as error:
            state, reason = lookup(FAILURES, error)
            again = error.category is Category.TRANSIENT
            if again and delivery.attempts < self.outbox.max_attempts:
                state = LetterState.WAITING
            self._move(key, state, context, reason, error.context.get("told", ""))
            context.led_to(f"mail-{state.value}", about)
            if again:
                raise
            return error
        self._move(key, LetterState.SENT, context, sent_at=now())
        context.led_to("mail-sent", about)
        return None

    def _send(self, row: Any, enclosed: Sequence[Any], context: Context) -> bool:
        """Whether there is something to send, and it was. Raises Held, HubError."""
        if row.kind == LetterKind.WITHDRAWAL.value:
            self._send_withdrawal(row)
            return True
        standing = self._standing(enclosed)
        if not standing:
            return False
        person, kind = self._person(row, standing), LetterKind(row.kind)
        context.touch("patient", person.regional.cx)
        if kind is LetterKind.NOTICE:
            link = self._link(row.id)
            self.post.send(Outgoing(kind, row.message_id, row.recipient, link=link, tell_delivery=row.tell_delivery))
            return True
        recipient = self._patients_box(row, person) if kind is LetterKind.PATIENT else row.recipient
        kept = [Enclosed(entry, self.contents.open_content(entry.unique_id)) for entry in standing]
        package_id = new_uid()
        context.touch("submission set", package_id)
        try:
            self.post.send(
                Outgoing(
                    kind,
                    row.message_id,
                    recipient,
                    reply_to=row.reply_to,
                    text=row.text,
                    no_reply=row.no_reply,
                    tell_delivery=row.tell_delivery,
                    tell_reading=row.tell_reading,
                    package_id=package_id,
                    enclosed=tuple(kept),
                    patient=person.ins or person.regional,
                    traits=person.traits,
                )
            )
        finally:
            for item in kept:
                if item.content.lease is not None:
                    item.content.lease.release()
        return True

    def _standing(self, enclosed: Sequence[Any]) -> list[DocumentEntry]:
        found = {entry.unique_id: entry for entry in self.entries.approved([item.entry for item in enclosed])}
        return [found[item.unique_id] for item in enclosed if item.unique_id in found]

    def _passed_meanwhile(self, row: Any, enclosed: Sequence[Any]) -> bool:
        """Whether nothing holds it any more: who changed that just now did not find it held. Nobody else does so to
        the end of the open unit of work."""
        self.patients.settled(PatientIdentifier.from_cx(row.told_of))
        standing = self._standing(enclosed)
        try:
            if standing:  # else it was taken back
                self._person(row, standing)
        except Held:
            return False
        return True

    def _send_withdrawal(self, row: Any) -> None:
        """To the box that the document went to. Raises HubError."""
        with self.database.reading() as work:
            about = LetterStore(work).get(row.control_id)
        told = about.message_id if about is not None else ""
        self.post.send(
            Outgoing(LetterKind.WITHDRAWAL, row.message_id, row.recipient, text=row.text, no_reply=True, about=told)
        )

    def _person(self, row: Any, standing: Sequence[DocumentEntry]) -> Person:
        """Whom the message and every document are about. Raises Held where that is not one person any more, or the
        letter is not to go now."""
        told_of = self.patients.person(PatientIdentifier.from_cx(row.told_of))
        for entry in standing:
            person = self.patients.person(entry.patient_id)
            if person is None or told_of is None or told_of.regional != person.regional:
                raise Held(LetterReason.NOT_QUALIFIED)
        assert told_of is not None
        kind = LetterKind(row.kind)
        _check_shown(kind, standing)
        if kind is not LetterKind.PATIENT:
            self._check_opposed(told_of)
        elif told_of.ins is None or not (told_of.ins.value.isascii() and told_of.ins.value.isalnum()):
            raise Held(LetterReason.NOT_QUALIFIED)  # no qualified INS, no box
        return told_of

    def _check_opposed(self, person: Person) -> None:
        """Raises Held: nobody else is to read what is about this person."""
        if any(self.words.said(person.regional, matter) is Choice.OPPOSITION for matter in _MATTERS):
            raise Held(LetterReason.OPPOSITION)

    def _patients_box(self, row: Any, person: Person) -> str:
        """``<INS>@domain``."""
        assert person.ins is not None
        recipient = f"{person.ins.value}@{self.rules.patients}"
        with self.database.transaction() as work:
            LetterStore(work).change(row.id, recipient=recipient)
        return recipient

    def _link(self, key: str) -> str:
        """A fresh link: only its hash is kept."""
        token = secrets.token_urlsafe(32)
        ends = now() + timedelta(days=self.rules.link_days)
        with self.database.transaction() as work:
            LetterStore(work).change(key, token_hash=hashed(token), token_ends_at=ends)
        return self.rules.link() + token

    def _move(
        self,
        key: str,
        state: LetterState,
        context: Context,
        reason: LetterReason | None = None,
        detail: str = "",
        **more: Any,
    ) -> None:
        """After an attempt: a report that was faster than our own commit, or a withdrawal, is not overwritten."""
        with self.database.transaction() as work:
            store = LetterStore(work)
            row = store.get(key, lock=True)
            if row is None:
                return
            values: dict[str, Any] = {"attempts": row.attempts + 1, "changed_at": now(), **more}
            if row.state == LetterState.WAITING.value:
                values |= {"state": state.value, "reason": reason.value if reason else "", "detail": detail[:80]}
                if reason and reason not in _PASSING and state is not LetterState.WAITING:
                    self._tell(row, Told.DELIVERY, context, failed=(reason, detail))
            store.change(key, **values)

    # what is told

    def notified(self, notification: Notification, context: Context) -> bool:
        """A report came; False where it is about nothing of ours, or about another recipient."""
        message_id = notification.message_id or f"<{notification.envelope_id.lower()}@{self.rules.domain}>"
        with self.database.transaction() as work:
            store = LetterStore(work)
            row = store.of_message(message_id)
            if row is None or (notification.recipient and notification.recipient.lower() != row.recipient.lower()):
                return False
            unique_ids = [item.unique_id for item in store.documents([row.id])[row.id]]
            for unique_id in unique_ids:
                context.touch("document", unique_id)
            context.led_to(f"mail-{notification.outcome.value}", unique_ids[0])
            values: dict[str, Any] = {"detail": notification.code or row.detail, "changed_at": now()}
            move = MOVES.get(notification.outcome)
            if move is not None and LetterState(row.state) in move.changes:
                values |= {"state": move.state.value, "reason": move.reason.value if move.reason else ""}
                store.change(row.id, **values)
                failed = (move.reason, notification.code) if move.reason else None
                self._tell(row, move.told, context, failed=failed)
            elif move is None:
                store.change(row.id, **values)
            return True

    def _tell(self, row: Any, told: Told, context: Context, *, failed: tuple[LetterReason, str] | None = None) -> None:
        """The sender hears how far it came, where its message asked for that."""
        asked = row.tell_reading if told is Told.READING else row.tell_delivery
        if self.senders is None or not asked or not row.control_id:
            return
        code = CODES[told](*failed) if failed else ""
        recipient = row.recipient
        self.senders.tell(Outcome(told, row.source, row.control_id, failed is None, code, recipient), context)


def _check_shown(kind: LetterKind, entries: Iterable[DocumentEntry]) -> None:
    """Raises Held for what is hidden by now from those whom it is addressed to."""
    hidden = HIDDEN_FROM[kind]
    if any(code.value == hidden for entry in entries for code in entry.confidentiality_codes):
        raise Held(LetterReason.HIDDEN)


def hashed(token: str) -> str:
    """What is kept of a link."""
    return hashlib.sha256(token.encode()).hexdigest()
