"""Letters by hand: who may, to whom, what hides a document, nothing twice; and the pages in a whole hub."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.access.model import Principal, Scheme
from hub.context import Context
from hub.imaging.model import FeedReport
from hub.mail.by_hand import LettersByHand
from hub.mail.errors import (
    LetterAddressRefused,
    LetterHidden,
    LetterNotFound,
    LetterNotQualified,
    LetterToNobody,
)
from hub.mail.hand_model import Draft, FindLetters, PrepareLetter, SendLetter
from hub.mail.model import LetterKind, Notification, Outcome
from hub.storage.engine import Database
from hub.wire.hl7v2.message import Hl7Message
from hub.wire.hl7v2.reports import reports
from tests.mail.place import BOX, DOCTOR, LOCAL, Place, place
from tests.mail.test_letters import Server
from tests.mail.test_transmission import FIRST, sent

AUTHOR = Context(principal=Principal("dr", "Dr Anne MARTIN", Scheme.SESSION, person=True, permissions=frozenset({"*"})))


class Written:
    """A person with one report, and somebody who mails it."""

    def __init__(self, here: Place, server: Server) -> None:
        self.here, self.server = here, server
        self.hand = LettersByHand(here.hub.service, here.rooms.documents)
        person = here.rooms.patients.resolve(LOCAL)
        assert person is not None
        self.person = person

    def draft(self, *recipients: str, **more: Any) -> Draft:
        return Draft(self.person, (FIRST,), recipients, **more)

    def report(self, **words: str) -> None:
        first, *_ = reports(Hl7Message.parse(sent(words=words).message()), "RIS_A")
        self.here.rooms.imaging.feed_report(FeedReport(first), Context(source="RIS_A"))
        self.here.work()


@pytest.fixture
def written(database: Database, tmp_path: Path) -> Iterator[Written]:
    here, server = place(database, tmp_path, None), Server()
    here.hub.service.post = server
    here.qualify()
    made = Written(here, server)
    yield made
    here.close()


def test_to_professional_and_patient(written: Written) -> None:
    written.report()
    draft = written.draft(f" {DOCTOR.upper()} ", DOCTOR, to_patient=True, text="Chère consœur\x07", tell_reading=True)
    planned = written.hand.prepare(PrepareLetter(draft), AUTHOR)
    assert planned.boxes == ((LetterKind.PROFESSIONAL, DOCTOR), (LetterKind.PATIENT, ""))
    assert written.hand.letters(FindLetters(written.person, (FIRST,)), AUTHOR).letters == ()
    made = written.hand.send(SendLetter(draft, "page-1"), AUTHOR)
    again = written.hand.send(SendLetter(draft, "page-1"), AUTHOR)  # the form was sent twice
    assert [item.id for item in made] == [item.id for item in again]
    written.here.work()
    taken = {item.kind: item for item in written.server.taken}
    assert len(written.server.taken) == 2
    assert taken[LetterKind.PATIENT].recipient == BOX
    assert taken[LetterKind.PATIENT].no_reply
    letter = taken[LetterKind.PROFESSIONAL]
    assert (letter.text, letter.tell_reading, letter.no_reply) == ("Chère consœur", True, False)
    assert [item.entry.unique_id for item in letter.enclosed] == [FIRST]
    written.here.hub.service.notified(Notification(Outcome.READ, letter.message_id), Context())
    found = {item.kind: item for item in written.hand.letters(FindLetters(written.person, (FIRST,)), AUTHOR).letters}
    assert (found[LetterKind.PROFESSIONAL].state, found[LetterKind.PROFESSIONAL].author) == ("read", "Dr Anne MARTIN")
    assert (found[LetterKind.PATIENT].state, found[LetterKind.PATIENT].recipient) == ("sent", "")


@pytest.mark.parametrize(
    "address",
    ["a@b", "a@example.org", BOX, "x@mssante.fr\r\nBcc: y@z.fr", "<a@x.mssante.fr>", "a@mssante.fr.example.org"],
)
def test_an_address_that_is_none_of_a_professional_is_refused(written: Written, address: str) -> None:
    written.report()
    for draft in (written.draft(address), written.draft(DOCTOR, reply_to=address)):
        with pytest.raises(LetterAddressRefused):
            written.hand.send(SendLetter(draft, "x"), AUTHOR)
    assert not written.here.letters()


def test_what_can_not_be_sent(written: Written) -> None:
    written.report()
    for draft, error in (
        (written.draft(), LetterToNobody),
        (written.draft(*(f"b{number}@x.mssante.fr" for number in range(11))), LetterAddressRefused),
        (Draft(written.person, ("1.2.3.4",), (DOCTOR,)), LetterNotFound),
        (Draft(written.person.__class__("nobody", "1.2.3"), (FIRST,), (DOCTOR,)), LetterNotFound),
    ):
        with pytest.raises(error):
            written.hand.send(SendLetter(draft, "x"), AUTHOR)
    written.here.qualify(None)
    with pytest.raises(LetterNotQualified):
        written.hand.send(SendLetter(written.draft(to_patient=True), "x"), AUTHOR)
    assert not written.here.letters()


@pytest.mark.parametrize(
    ("word", "forbidden", "permitted"),
    [("MASQUE_PS", {"recipients": (DOCTOR,)}, {"to_patient": True}),
     ("INVISIBLE_PATIENT", {"to_patient": True}, {"recipients": (DOCTOR,)})],
)  # fmt: skip
def test_a_hidden_document(written: Written, word: str, forbidden: dict[str, Any], permitted: dict[str, Any]) -> None:
    written.report(**{word: "Y"})
    with pytest.raises(LetterHidden):
        written.hand.send(SendLetter(Draft(written.person, (FIRST,), **forbidden), "x"), AUTHOR)
    assert not written.here.letters()
    assert written.hand.send(SendLetter(Draft(written.person, (FIRST,), **permitted), "x"), AUTHOR)


def test_a_document_that_is_withdrawn_takes_the_letter_with_it(written: Written) -> None:
    written.report()
    written.server.down = True
    written.hand.send(SendLetter(written.draft(DOCTOR), "x"), AUTHOR)
    first, *_ = reports(Hl7Message.parse(sent(control="CA").message()), "RIS_A")
    written.here.rooms.imaging.feed_report(FeedReport(first), Context(source="RIS_A"))
    assert written.here.states() == {"professional": "withdrawn"}
    with pytest.raises(LetterNotFound):
        written.hand.send(SendLetter(written.draft(DOCTOR), "y"), AUTHOR)
