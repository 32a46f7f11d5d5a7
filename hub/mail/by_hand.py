"""Letters by hand: whoever may read documents mails them, to whom none is hidden from; the outbox does the rest."""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
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
from hub.errors import Category
from hub.mail.choosing import HIDDEN_FROM, in_domains, is_address
from hub.mail.errors import (
    LetterAddressRefused,
    LetterDocumentsRefused,
    LetterHidden,
    LetterNotFound,
    LetterNotQualified,
    LetterToNobody,
    LetterUnreadable,
    MailTooLarge,
)
from hub.mail.hand_model import (
    LONGEST,
    MOST,
    MOST_DOCUMENTS,
    Correspondence,
    Draft,
    FindLetters,
    Planned,
    PrepareLetter,
    SendLetter,
)
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
    """The use cases of somebody who mails documents."""

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
        documents = [(entry.unique_id, entry.id) for entry in planned.entries]
        ids = "+".join(entry.id for entry in planned.entries)
        common = {
            "author": author.name or author.id,
            "told_of": person.regional.cx,
            "patient": planned.entries[0].patient_id.cx,
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
                key = hashlib.sha256(f"{command.once}|{ids}|{kind}|{box}".encode()).hexdigest()[:32]
                keys.append(key)
                if store.get(key, lock=True) is not None:
                    continue
                final = kind is LetterKind.PATIENT and not draft.reply_to
                to = {"id": key, "kind": kind.value, "recipient": box, "no_reply": final}
                self.mail.write(store, documents, **to, **common)
                self.mail.enqueue(key, context)
                context.led_to("letter", key)
            return store.letters([row for key in keys if (row := store.get(key)) is not None])

    @use_case
    def letters(self, command: FindLetters, context: Context) -> Correspondence:
        """How far the letters of documents came, for whoever may see the documents."""
        person, entries = self._shown(command.person, command.unique_ids, context)
        asked = {entry.unique_id: entry for entry in entries}
        with self.database.reading() as work:
            store = LetterStore(work)
            rows = [row for row in store.of_document(asked) if self._about(row.told_of, person)]
            letters = store.letters(sorted(rows, key=lambda row: row.created_at, reverse=True))
        beside = {unique_id for letter in letters for unique_id in letter.unique_ids} - asked.keys()
        known = {**asked, **self._seen(person, beside, context)}
        return Correspondence(
            entries,
            tuple(
                replace(letter, unique_ids=tuple(item for item in letter.unique_ids if item in known))
                for letter in letters
            ),
            known,
        )

    def _about(self, told_of: str, person: Person) -> bool:
        return any(number.cx == told_of for number in (person.regional, *person.identifiers))

    def _planned(self, draft: Draft, context: Context) -> tuple[Person, Planned]:
        """Raises as PrepareLetter says."""
        person, entries = self._shown(draft.person, draft.unique_ids, context)
        boxes = tuple(self._boxes(draft, person))
        if not boxes:
            raise LetterToNobody()
        hidden = {kind.value: found for kind in dict(boxes) if (found := _hidden(kind, entries))}
        if hidden:
            raise LetterHidden(location=next(iter(hidden)), **hidden)
        self._read(entries, context)
        return person, Planned(entries, boxes)

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

    def _shown(
        self, about: PatientIdentifier, unique_ids: Sequence[str], context: Context
    ) -> tuple[Person, tuple[DocumentEntry, ...]]:
        """The documents, each once. Raises LetterNotFound: one is none for the caller, of this person, in this region
        (which one is not told: that it exists would be), and LetterDocumentsRefused."""
        wanted = list(dict.fromkeys(unique_ids))
        if not 1 <= len(wanted) <= MOST_DOCUMENTS:
            raise LetterDocumentsRefused()
        person = self.mail.patients.person(about)
        if person is None:
            raise LetterNotFound()
        context.touch("patient", person.regional.cx)
        for unique_id in wanted:
            context.touch("document", unique_id)
        found = self._seen(person, wanted, context, status=APPROVED)
        standing = {entry.id for entry in self.mail.entries.approved([entry.id for entry in found.values()])}
        if not all(item in found and found[item].id in standing for item in wanted):
            raise LetterNotFound()
        return person, tuple(found[item] for item in wanted)

    def _seen(
        self, person: Person, unique_ids: Collection[str], context: Context, *, status: str = ""
    ) -> Mapping[str, DocumentEntry]:
        """What of these documents the caller sees, of this person."""
        if not unique_ids:
            return {}
        query = StoredQuery(GET_DOCUMENTS, {"$XDSDocumentEntryUniqueId": (tuple(unique_ids),)})
        numbers = {person.regional, *person.identifiers}
        return {
            item.unique_id: item
            for item in self.documents.query(query, context).objects
            if isinstance(item, DocumentEntry) and item.patient_id in numbers and (not status or item.status == status)
        }

    def _read(self, entries: Sequence[DocumentEntry], context: Context) -> None:
        """Nobody mails what they may not read. Raises LetterUnreadable, MailTooLarge, Unavailable."""
        wanted = tuple(DocumentRequest(entry.repository_unique_id, entry.unique_id) for entry in entries)
        answer = self.documents.retrieve(RetrieveDocuments(wanted), context)
        for document in answer.documents:
            if document.lease is not None:
                document.lease.release()
        for _, error in answer.failures:
            if error.category is Category.TRANSIENT:
                raise error
        if answer.failures:
            failed = " ".join(request.document_unique_id for request, _ in answer.failures)
            raise LetterUnreadable(documents=failed) from answer.failures[0][1]
        if sum(document.size for document in answer.documents) > self.mail.rules.max_bytes:
            raise MailTooLarge()


def _hidden(kind: LetterKind, entries: Sequence[DocumentEntry]) -> str:
    """The uniqueIds of what is hidden from those whom a letter is for, with blanks between them."""
    codes = {entry.unique_id: {code.value for code in entry.confidentiality_codes} for entry in entries}
    return " ".join(unique_id for unique_id, found in codes.items() if HIDDEN_FROM[kind] in found)


def _plain(text: str) -> str:
    return "".join(letter for letter in text[:LONGEST] if letter.isprintable() or letter in "\n\t").strip()
