"""What people do with letters: an operator looks and sends again, a professional follows a notice's link."""

from dataclasses import replace

from hub.context import Context
from hub.mail.errors import LetterNotFound, LetterNotHeld
from hub.mail.model import (
    Awaiting,
    Letter,
    LetterKind,
    LetterPage,
    LetterReason,
    LetterState,
    ListLetters,
    OpenAwaiting,
    RetryLetter,
)
from hub.mail.service import MailService, hashed
from hub.mail.store import LetterStore
from hub.usecase import use_case
from hub.values import now

#: Held for good: another message has to say otherwise.
_FINAL = (LetterReason.COMBINATION.value, LetterReason.ADDRESS.value, LetterReason.OUTSIDE.value)


class MailDesk:
    """The use cases of the mail room."""

    def __init__(self, mail: MailService) -> None:
        self.mail = mail
        self.database = mail.database

    @use_case
    def letters(self, command: ListLetters, context: Context) -> LetterPage:  # noqa: ARG002
        """How far letters came."""
        with self.database.reading() as work:
            store = LetterStore(work)
            return LetterPage(store.list(command), store.counts())

    @use_case
    def retry(self, command: RetryLetter, context: Context) -> Letter:
        """Send a held or refused one again. Raises LetterNotFound, LetterNotHeld."""
        with self.database.transaction() as work:
            store = LetterStore(work)
            row = store.get(command.letter_id, lock=True)
            if row is None:
                raise LetterNotFound()
            stopped = row.state in (LetterState.HELD.value, LetterState.REFUSED.value)
            (letter,) = store.letters([row])
            if not stopped or not row.patient or row.reason in _FINAL:
                raise LetterNotHeld()
            for unique_id in letter.unique_ids:
                context.touch("document", unique_id)
            store.change(row.id, state=LetterState.WAITING.value, reason="", detail="", changed_at=now())
            self.mail.enqueue(row.id, context)
            return replace(letter, state=LetterState.WAITING, reason=None, detail="")

    @use_case
    def awaiting(self, command: OpenAwaiting, context: Context) -> Awaiting:
        """The document behind a notice's link. Raises LetterNotFound: never was, has ended, or was taken back."""
        with self.database.transaction() as work:
            store = LetterStore(work)
            row = store.of_token(hashed(command.token))
            if row is None or row.kind != LetterKind.NOTICE or row.token_ends_at is None or row.token_ends_at < now():
                raise LetterNotFound()
            enclosed = store.documents([row.id])[row.id]
            entry = next(iter(self.mail.entries.approved([item.entry for item in enclosed])), None)
            if entry is None:
                raise LetterNotFound()
            context.touch("document", entry.unique_id)
            if command.read and row.state != LetterState.READ.value:
                store.change(row.id, state=LetterState.READ.value, reason="", changed_at=now())
            return Awaiting(entry.repository_unique_id, entry.unique_id, entry.patient_id)
