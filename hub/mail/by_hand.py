"""Letters by hand: whoever may read a document mails it, to whom it is not hidden from; the outbox does the rest."""

import hashlib
from collections.abc import Iterator
from typing import Protocol

from hub.context import Context
from hub.documents.model import (
    APPROVED,
    DocumentEntry,
    DocumentRequest,
    QueryResult,
    RetrievedDocuments,
    RetrieveDocuments,
    StoredQuery,
)
from hub.mail.choosing import HIDDEN_FROM, in_domains, is_address
from hub.mail.errors import (
    LetterAddressRefused,
    LetterHidden,
    LetterNotFound,
    LetterNotQualified,
    LetterToNobody,
)
from hub.mail.hand_model import LONGEST, MOST, Draft, FindLetters, Planned, PrepareLetter, SendLetter
from hub.mail.model import Letter, LetterKind, LetterState
from hub.mail.service import MailService
from hub.mail.store import LetterStore
from hub.patients.model import Person
from hub.usecase import use_case
from hub.values import PatientIdentifier

GET_DOCUMENTS = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"  #: ITI TF-2: 3.18.4.1.2.4


class Reading(Protocol):
    """The documents room, as the caller may see it."""

    def query(self, command: StoredQuery, context: Context) -> QueryResult:
        """What of it exists for the caller."""
        ...

    def retrieve(self, command: RetrieveDocuments, context: Context) -> RetrievedDocuments:
        """What of it the caller may read."""
        ...


class LettersByHand:
    """The use cases of somebody who mails a document."""

    def __init__(self, mail: MailService, documents: Reading) -> None:
        self.mail = mail
        self.documents = documents
        self.database = mail.database

    @use_case
    def prepare(self, command: PrepareLetter, context: Context) -> Planned:
        """Check a draft; nothing is sent."""
        return self._planned(command.draft, context)[1]

    @use_case
    def send(self, command: SendLetter, context: Context) -> tuple[Letter, ...]:
        """One letter to each box, in the outbox when this returns."""
        draft, author = command.draft, context.principal
        person, planned = self._planned(draft, context)
        entry = planned.entry
        common = {
            "author": author.name or author.id,
            "told_of": person.regional.cx,
            "patient": entry.patient_id.cx,
            "reply_to": draft.reply_to,
            "text": _plain(draft.text),
            "tell_delivery": draft.tell_delivery,
            "tell_reading": draft.tell_reading,
            "state": LetterState.WAITING.value,
        }
        keys = []
        with self.database.transaction() as work:
            store = LetterStore(work)
            for kind, box in planned.boxes:
                key = hashlib.sha256(f"{command.once}|{entry.id}|{kind}|{box}".encode()).hexdigest()[:32]
                keys.append(key)
                if store.get(key, lock=True) is not None:
                    continue
                final = kind is LetterKind.PATIENT and not draft.reply_to
                to = {"id": key, "kind": kind.value, "recipient": box, "no_reply": final}
                self.mail.write(store, [(entry.unique_id, entry.id)], **to, **common)
                self.mail.enqueue(key, context)
                context.led_to("letter", key)
            return store.letters([row for key in keys if (row := store.get(key)) is not None])

    @use_case
    def letters(self, command: FindLetters, context: Context) -> tuple[Letter, ...]:
        """How far a document's letters came, for whoever may see the document."""
        person, _ = self._shown(command.person, command.unique_id, context)
        with self.database.reading() as work:
            store = LetterStore(work)
            rows = [row for row in store.of_document([command.unique_id]) if self._about(row.told_of, person)]
            return store.letters(sorted(rows, key=lambda row: row.created_at, reverse=True))

    def _about(self, told_of: str, person: Person) -> bool:
        return any(number.cx == told_of for number in (person.regional, *person.identifiers))

    def _planned(self, draft: Draft, context: Context) -> tuple[Person, Planned]:
        """Raises as PrepareLetter says."""
        person, entry = self._shown(draft.person, draft.unique_id, context)
        boxes = tuple(self._boxes(draft, person))
        if not boxes:
            raise LetterToNobody()
        codes = {code.value for code in entry.confidentiality_codes}
        for kind, _ in boxes:
            if HIDDEN_FROM[kind] in codes:
                raise LetterHidden(location=kind.value)
        self._read(entry, context)
        return person, Planned(entry, boxes)

    def _boxes(self, draft: Draft, person: Person) -> Iterator[tuple[LetterKind, str]]:
        rules = self.mail.rules
        typed = list(dict.fromkeys(address.strip().lower() for address in draft.recipients if address.strip()))
        if len(typed) > MOST:
            raise LetterAddressRefused(f"A letter goes to {MOST} boxes at most.", location="recipients")
        for address in (*typed, *filter(None, [draft.reply_to])):
            known = is_address(address) and in_domains(address, rules.trusted)
            if not known or in_domains(address, [rules.patients]):
                raise LetterAddressRefused(location="recipients")
        for address in typed:
            yield LetterKind.PROFESSIONAL, address
        if draft.to_patient:
            if person.ins is None:
                raise LetterNotQualified()
            yield LetterKind.PATIENT, ""

    def _shown(self, about: PatientIdentifier, unique_id: str, context: Context) -> tuple[Person, DocumentEntry]:
        """Raises LetterNotFound: no such document for the caller, of this person, in this region."""
        query = StoredQuery(GET_DOCUMENTS, {"$XDSDocumentEntryUniqueId": ((unique_id,),)})
        person = self.mail.patients.person(about)
        if person is None:
            raise LetterNotFound()
        numbers = {person.regional, *person.identifiers}
        for item in self.documents.query(query, context).objects:
            if not isinstance(item, DocumentEntry) or (item.unique_id, item.status) != (unique_id, APPROVED):
                continue
            if item.patient_id in numbers and self.mail.entries.approved([item.id]):
                context.touch("patient", person.regional.cx)
                return person, item
        raise LetterNotFound()

    def _read(self, entry: DocumentEntry, context: Context) -> None:
        """Raises what keeps the caller from reading it: nobody mails what they may not read."""
        wanted = DocumentRequest(entry.repository_unique_id, entry.unique_id)
        answer = self.documents.retrieve(RetrieveDocuments((wanted,)), context)
        for document in answer.documents:
            if document.lease is not None:
                document.lease.release()
        for _, error in answer.failures:
            raise error


def _plain(text: str) -> str:
    return "".join(letter for letter in text[:LONGEST] if letter.isprintable() or letter in "\n\t").strip()
