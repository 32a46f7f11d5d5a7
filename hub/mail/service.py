"""Secure mail: heard with the report, sent by the outbox once its document is registered, followed by its reports.

One row for each document and box. Nothing is sent while a unit of work is open."""

import hashlib
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from hub.context import Context
from hub.documents.model import APPROVED, DocumentEntry, Folder, SubmissionSet
from hub.errors import Category, HubError, lookup
from hub.exchange.model import Delivery
from hub.imaging.model import Report
from hub.mail.choosing import HIDDEN_FROM_PATIENT, Chosen, choose
from hub.mail.failures import FAILURES, MOVES
from hub.mail.model import LetterKind, LetterReason, LetterState, Notification, Outgoing
from hub.mail.ports import Contents, Entries, Outbox, Patients, Post
from hub.mail.store import LetterStore
from hub.patients.model import Person
from hub.storage.engine import Database
from hub.values import PatientIdentifier, new_key, now

#: The kind of delivery.
KIND = "secure-mail"


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


class MailService:
    """What is mailed, and how far it came."""

    def __init__(
        self,
        *,
        database: Database,
        patients: Patients,
        entries: Entries,
        contents: Contents,
        outbox: Outbox,
        post: Post,
        rules: Rules,
    ) -> None:
        self.database = database
        self.patients = patients
        self.entries = entries
        self.contents = contents
        self.outbox = outbox
        self.post = post
        self.rules = rules

    # what is heard

    def asked(self, report: Report, unique_id: str, context: Context) -> None:
        """A final report came, in this unit of work, with what is to be mailed to whom."""
        sending, rules = report.sending, self.rules
        if sending is None:
            return
        chosen = choose(sending, patients=rules.patients, trusted=rules.trusted, notices=rules.notices)
        with self.database.transaction() as work:
            store = LetterStore(work)
            there = {(row.kind, row.recipient) for row in store.of_document([unique_id])}
            for item in chosen:
                if (item.kind.value, item.recipient) not in there:
                    key = self._add(store, report, unique_id, item)
                    context.led_to("letter", key)

    def _add(self, store: LetterStore, report: Report, unique_id: str, chosen: Chosen) -> str:
        sending, key, at = report.sending, new_key(), now()
        assert sending is not None
        patient = chosen.kind is LetterKind.PATIENT
        bodies = {LetterKind.PATIENT: sending.body_patient, LetterKind.PROFESSIONAL: sending.body_professional}
        store.add(
            {
                "id": key,
                "kind": chosen.kind.value,
                "unique_id": unique_id,
                "told_of": report.patient.cx,
                "recipient": chosen.recipient,
                "reply_to": sending.reply_to,
                "text": bodies.get(chosen.kind, ""),
                "no_reply": patient and (sending.no_reply or not sending.reply_to),
                "tell_delivery": sending.says("ACK_RECEPTION"),
                "tell_reading": sending.says("ACK_LECTURE_MSS"),
                "message_id": f"<{secrets.token_hex(20)}@{self.rules.domain}>",
                "state": (LetterState.HELD if chosen.held else LetterState.WAITING).value,
                "reason": chosen.held.value if chosen.held else "",
                "created_at": at,
                "changed_at": at,
            }
        )
        return key

    def registered(self, objects: tuple[DocumentEntry | SubmissionSet | Folder, ...], context: Context) -> None:
        """Something was registered, in this unit of work: the letters of the hub's own reports may go."""
        if not any(isinstance(item, SubmissionSet) and item.source_id in self.rules.own for item in objects):
            return
        entries = {
            item.unique_id: item for item in objects if isinstance(item, DocumentEntry) and item.status == APPROVED
        }
        if not entries:
            return
        with self.database.transaction() as work:
            store = LetterStore(work)
            for row in store.of_document(entries):
                if row.entry:
                    continue
                entry = entries[row.unique_id]
                store.change(row.id, entry=entry.id, patient=entry.patient_id.cx)
                if row.state == LetterState.WAITING.value:
                    self.enqueue(row.id, context)

    def withdrawn(self, entries: Iterable[DocumentEntry], context: Context) -> None:  # noqa: ARG002
        """Entries were taken back, in this unit of work: what was not sent yet never is."""
        with self.database.transaction() as work:
            store = LetterStore(work)
            keys = [entry.id for entry in entries]
            for row in store.of_entries(keys, [LetterState.WAITING, LetterState.HELD]):
                store.change(row.id, state=LetterState.WITHDRAWN.value, reason="", changed_at=now())

    def person_changed(
        self, regional: PatientIdentifier, numbers: Iterable[PatientIdentifier], context: Context
    ) -> None:
        """A person was qualified or joined: what was held for it is looked at again."""
        persons = {regional.cx, *(number.cx for number in numbers)}
        with self.database.transaction() as work:
            store = LetterStore(work)
            for row in store.held_of(persons, LetterReason.NOT_QUALIFIED):
                store.change(row.id, state=LetterState.WAITING.value, reason="", changed_at=now())
                self.enqueue(row.id, context)

    def enqueue(self, key: str, context: Context) -> None:
        """Put a letter in the outbox, in the open unit of work."""
        self.outbox.enqueue(f"{KIND}/{key}", KIND, {"letter": key}, context, key=key)

    # what is carried out

    def deliver(self, delivery: Delivery, context: Context) -> HubError | None:
        """Send one letter. Raises what only time can mend; every other failure becomes a state, and is returned."""
        key = str(delivery.payload["letter"])
        with self.database.reading() as work:
            row = LetterStore(work).get(key)
        if row is None or row.state != LetterState.WAITING.value:
            return None
        context.touch("document", row.unique_id)
        try:
            if not self._send(row, context):
                self._move(key, LetterState.WITHDRAWN)
                return None
        except Held as held:
            self._move(key, LetterState.HELD, held.reason)
            context.led_to(f"mail-held-{held.reason.value}", row.unique_id)
            return None
        except HubError as error:
            state, reason = lookup(FAILURES, error)
            again = error.category is Category.TRANSIENT
            if again and delivery.attempts < self.outbox.max_attempts:
                state = LetterState.WAITING
            self._move(key, state, reason, error.context.get("told", ""))
            context.led_to(f"mail-{state.value}", row.unique_id)
            if again:
                raise
            return error
        self._move(key, LetterState.SENT, sent_at=now())
        context.led_to("mail-sent", row.unique_id)
        return None

    def _send(self, row: Any, context: Context) -> bool:
        """Whether there is something to send, and it was. Raises Held, HubError."""
        entry = next(iter(self.entries.approved([row.entry])), None)
        if entry is None:
            return False
        person = self.patients.person(entry.patient_id)
        told_of = self.patients.person(PatientIdentifier.from_cx(row.told_of))
        if person is None or told_of is None or told_of.regional != person.regional:
            raise Held(LetterReason.NOT_QUALIFIED)  # the message spoke of somebody else than the document does now
        context.touch("patient", person.regional.cx)
        letter = {"reply_to": row.reply_to, "text": row.text, "no_reply": row.no_reply}
        letter |= {"tell_delivery": row.tell_delivery, "tell_reading": row.tell_reading}
        kind = LetterKind(row.kind)
        if kind is LetterKind.NOTICE:
            link = self._link(row.id)
            self.post.send(Outgoing(kind, row.message_id, row.recipient, link=link, tell_delivery=row.tell_delivery))
            return True
        recipient = self._patients_box(row, entry, person) if kind is LetterKind.PATIENT else row.recipient
        kept = self.contents.open_content(entry.unique_id)
        try:
            self.post.send(
                Outgoing(
                    kind, row.message_id, recipient, entry=entry, content=kept,
                    patient=person.ins or person.regional, traits=person.traits, **letter,
                )
            )  # fmt: skip
        finally:
            if kept.lease is not None:
                kept.lease.release()
        return True

    def _patients_box(self, row: Any, entry: DocumentEntry, person: Person) -> str:
        """``<INS>@domain``. Raises Held: no qualified INS, no box; and what is hidden by now is not sent either."""
        if any(code.value == HIDDEN_FROM_PATIENT for code in entry.confidentiality_codes):
            raise Held(LetterReason.HIDDEN)
        if person.ins is None or not (person.ins.value.isascii() and person.ins.value.isalnum()):
            raise Held(LetterReason.NOT_QUALIFIED)
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
        self, key: str, state: LetterState, reason: LetterReason | None = None, detail: str = "", **more: Any
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
            context.touch("document", row.unique_id)
            context.led_to(f"mail-{notification.outcome.value}", row.unique_id)
            values: dict[str, Any] = {"detail": notification.code or row.detail, "changed_at": now()}
            move = MOVES.get(notification.outcome)
            if move is not None and LetterState(row.state) in move[0]:
                values |= {"state": move[1].value, "reason": move[2].value if move[2] else ""}
                store.change(row.id, **values)
            elif move is None:
                store.change(row.id, **values)
            return True


def hashed(token: str) -> str:
    """What is kept of a link."""
    return hashlib.sha256(token.encode()).hexdigest()
