"""Several documents in one letter by hand: one package to each box, all of them or none, told once."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hub.audit.model import AuditSearch
from hub.context import Context
from hub.documents.model import DocumentEntry, QueryResult, RetrievedDocuments, RetrieveDocuments, StoredQuery
from hub.errors import HubError, NotFound, Unavailable
from hub.imaging.model import FeedReport
from hub.mail.by_hand import LettersByHand
from hub.mail.errors import (
    LetterDocumentsRefused,
    LetterHidden,
    LetterNotFound,
    LetterUnreadable,
    MailTooLarge,
)
from hub.mail.hand_model import MOST_DOCUMENTS, Draft, FindLetters, PrepareLetter, SendLetter
from hub.mail.model import LetterKind, Notification, Outcome
from hub.storage.engine import Database
from hub.wire.hl7v2.message import Hl7Message
from hub.wire.hl7v2.reports import reports
from tests.mail.place import BOX, DOCTOR, place
from tests.mail.test_by_hand import AUTHOR, Written
from tests.mail.test_letters import Server
from tests.mail.test_transmission import FIRST, SECOND, cda, sent

THIRD = "1.2.250.1.999.60.3"
COLLEAGUE = "jean.bon@chu.mssante.fr"
SETS = {FIRST: "1.2.3.1", SECOND: "1.2.3.2", THIRD: "1.2.3.3"}


class Several(Written):
    """A person with some reports."""

    def register(self, unique_id: str, control: str = "NW", **words: str) -> None:
        made = sent(documents=[(unique_id, cda(unique_id, set_id=SETS[unique_id]))], words=words, control=control)
        first, *_ = reports(Hl7Message.parse(made.message()), "RIS_A")
        self.here.rooms.imaging.feed_report(FeedReport(first), Context(source="RIS_A"))

    def letter(self, *unique_ids: str, **more: Any) -> Draft:
        values = {"recipients": (DOCTOR,), **more}
        return Draft(self.person, unique_ids, **values)

    def refused(self, draft: Draft) -> HubError:
        """Why it is; nothing has gone, nor will."""
        errors = []
        for _ in range(2):
            context = replace(AUTHOR, touched={}, effects={})
            with pytest.raises(HubError) as caught:
                self.hand.send(SendLetter(draft, "x"), context)
            errors.append(caught.value)
        with pytest.raises(type(errors[0])):
            self.hand.prepare(PrepareLetter(draft), AUTHOR)
        self.here.work()
        assert not self.here.letters()
        assert not self.server.taken
        return errors[0]


@pytest.fixture
def several(database: Database, tmp_path: Path) -> Iterator[Several]:
    here, server = place(database, tmp_path, None), Server()
    here.hub.service.post = server
    here.qualify()
    made = Several(here, server)
    yield made
    here.close()


def test_one_letter_to_each_box_with_all_of_them(several: Several) -> None:
    for unique_id in SETS:
        several.register(unique_id)
    several.here.work()
    draft = several.letter(SECOND, FIRST, SECOND, recipients=(DOCTOR, COLLEAGUE), to_patient=True)
    planned = several.hand.prepare(PrepareLetter(draft), AUTHOR)
    assert [entry.unique_id for entry in planned.entries] == [SECOND, FIRST]
    context = replace(AUTHOR, touched={}, effects={})
    made = several.hand.send(SendLetter(draft, "page"), context)
    assert [item.id for item in several.hand.send(SendLetter(draft, "page"), AUTHOR)] == [item.id for item in made]
    assert {item.reference for item in context.touched if item.kind == "document"} == {FIRST, SECOND}
    several.here.work()
    assert sorted(item.recipient for item in several.server.taken) == sorted([DOCTOR, COLLEAGUE, BOX])
    for taken in several.server.taken:
        assert [item.entry.unique_id for item in taken.enclosed] == [SECOND, FIRST]
    packages = {item.package_id for item in several.server.taken}
    assert len(packages) == 3
    audit = several.here.hub.audit
    audit.flush()
    records = audit.search(AuditSearch(transaction="ITI-32")).records
    assert len(records) == 3
    for record in records:
        told = {kind: [item.reference for item in record.objects if item.kind == kind] for kind in
                ("document", "patient", "submission set")}  # fmt: skip
        assert told["document"] == [SECOND, FIRST]
        assert told["patient"] == [several.person.cx]
        assert set(told["submission set"]) <= packages
        packages -= set(told["submission set"])
    assert not packages


def test_how_far_it_came_is_said_beside_each_of_them(several: Several) -> None:
    several.register(FIRST)
    several.register(SECOND)
    several.here.work()
    several.hand.send(SendLetter(several.letter(FIRST, SECOND), "x"), AUTHOR)
    several.here.work()
    (taken,) = several.server.taken
    for outcome in (Outcome.DELIVERED, Outcome.READ):
        several.here.hub.service.notified(Notification(outcome, taken.message_id), Context())
        for unique_id in (FIRST, SECOND):
            found = several.hand.letters(FindLetters(several.person, (unique_id,)), AUTHOR)
            assert [(item.state.value, item.unique_ids) for item in found.letters] == [(outcome.value, (FIRST, SECOND))]
            assert [entry.unique_id for entry in found.entries] == [unique_id]
            assert found.known.keys() == {FIRST, SECOND}


class Blind:
    """The documents room for somebody whom one document is hidden from, or to whom one is not handed out."""

    def __init__(self, hand: LettersByHand, hidden: str = "", failing: HubError | None = None) -> None:
        self.real, self.hidden, self.failing = hand.documents, hidden, failing

    def query(self, command: StoredQuery, context: Context) -> QueryResult:
        found = self.real.query(command, context).objects
        return QueryResult(
            tuple(item for item in found if not (isinstance(item, DocumentEntry) and item.unique_id == self.hidden))
        )

    def retrieve(self, command: RetrieveDocuments, context: Context) -> RetrievedDocuments:
        answer = self.real.retrieve(command, context)
        if self.failing is None:
            return answer
        *before, last = answer.documents
        return RetrievedDocuments(tuple(before), ((last.request, self.failing),))


def test_who_does_not_see_one_of_them_is_not_told_of_it(several: Several) -> None:
    several.register(FIRST)
    several.register(SECOND)
    several.here.work()
    hidden, never = several.letter(FIRST, SECOND), several.letter(FIRST, "1.2.3.4")
    unknown = several.refused(never)
    real = several.hand.documents
    several.hand.documents = Blind(several.hand, SECOND)
    said = several.refused(hidden)
    assert (type(said), said.message, said.context) == (LetterNotFound, unknown.message, unknown.context)
    several.hand.documents = real
    several.hand.send(SendLetter(hidden, "x"), AUTHOR)
    several.hand.documents = Blind(several.hand, SECOND)
    found = several.hand.letters(FindLetters(several.person, (FIRST,)), AUTHOR)
    assert [item.unique_ids for item in found.letters] == [(FIRST,)]
    assert found.known.keys() == {FIRST}
    with pytest.raises(LetterNotFound):
        several.hand.letters(FindLetters(several.person, (FIRST, SECOND)), AUTHOR)


def test_one_that_is_masked_holds_back_all(several: Several) -> None:
    several.register(FIRST, INVISIBLE_PATIENT="Y")
    several.register(SECOND, MASQUE_PS="Y")
    several.register(THIRD)
    several.here.work()
    error = several.refused(several.letter(FIRST, SECOND, THIRD, to_patient=True))
    assert isinstance(error, LetterHidden)
    assert error.context == {"professional": SECOND, "patient": FIRST}
    assert several.refused(several.letter(SECOND, THIRD)).context == {"professional": SECOND}
    assert several.hand.send(SendLetter(several.letter(SECOND, THIRD, recipients=(), to_patient=True), "x"), AUTHOR)
    assert several.hand.send(SendLetter(several.letter(FIRST, THIRD), "x"), AUTHOR)


def test_one_that_can_not_be_read_holds_back_all(several: Several) -> None:
    several.register(FIRST)
    several.register(SECOND)
    several.here.work()
    several.hand.documents = Blind(several.hand, failing=NotFound())
    error = several.refused(several.letter(FIRST, SECOND))
    assert isinstance(error, LetterUnreadable)
    assert error.context == {"documents": SECOND}
    several.hand.documents = Blind(several.hand, failing=Unavailable())
    assert type(several.refused(several.letter(FIRST, SECOND))) is Unavailable  # later it may work


def test_how_many_and_how_large(several: Several) -> None:
    several.register(FIRST)
    several.register(SECOND)
    several.here.work()
    many = tuple(f"1.2.3.{number}" for number in range(MOST_DOCUMENTS + 1))
    for unique_ids in ((), many):
        assert isinstance(several.refused(several.letter(*unique_ids)), LetterDocumentsRefused)
    service = several.here.hub.service
    planned = several.hand.prepare(PrepareLetter(several.letter(FIRST, SECOND)), AUTHOR)
    sizes = [int(entry.size or 0) for entry in planned.entries]
    service.rules = replace(service.rules, max_bytes=sum(sizes) - 1)
    assert isinstance(several.refused(several.letter(FIRST, SECOND)), MailTooLarge)
    assert several.hand.send(SendLetter(several.letter(FIRST), "x"), AUTHOR)


def test_what_is_withdrawn_before_it_went_stays_here(several: Several) -> None:
    several.register(FIRST)
    several.register(SECOND)
    several.here.work()
    several.hand.send(SendLetter(several.letter(FIRST, SECOND), "x"), AUTHOR)
    several.register(FIRST, control="CA")
    several.here.work()
    assert [item.kind for item in several.server.taken] == [LetterKind.PROFESSIONAL]
    assert [item.entry.unique_id for item in several.server.taken[0].enclosed] == [SECOND]


def test_a_withdrawal_of_one_is_told_once(several: Several) -> None:
    several.register(FIRST)
    several.register(SECOND)
    several.here.work()
    several.hand.send(SendLetter(several.letter(FIRST, SECOND), "x"), AUTHOR)
    several.here.work()
    several.register(SECOND, control="CA")
    several.here.work()
    several.here.work()
    first, *told = several.server.taken
    assert [(item.kind, item.recipient, item.about) for item in told] == [
        (LetterKind.WITHDRAWAL, DOCTOR, first.message_id)
    ]
