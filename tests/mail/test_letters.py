"""Who gets what: the matrix, qualified INS, withdrawn and hidden documents. The mail server is made up."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from hub.access.rights_model import Choice, Matter
from hub.context import Context
from hub.imaging.sending_model import Sending
from hub.mail.choosing import choose, in_domains, is_address
from hub.mail.errors import LetterNotFound, LetterNotHeld, MailUnavailable
from hub.mail.model import LetterKind, LetterReason, Notification, Outcome, Outgoing, RetryLetter
from hub.storage.engine import Database
from hub.values import now
from hub.wire.mail.composing import compose
from tests.mail.place import BOTH, BOX, DOCTOR, DOCTOR_ONLY, PATIENT_ONLY, Place, place


@dataclass
class Server:
    """Takes everything, or nothing."""

    taken: list[Outgoing] = field(default_factory=list)
    down: bool = False

    def send(self, letter: Outgoing) -> None:
        if self.down:
            raise MailUnavailable()
        self.taken.append(letter)


@dataclass
class Made:
    place: Place
    server: Server


@pytest.fixture
def made(database: Database, tmp_path: Path) -> Iterator[Made]:
    here, server = place(database, tmp_path, None), Server()
    here.hub.service.post = server
    yield Made(here, server)
    here.close()


def chosen(flags: dict[str, str], recipients: tuple[str, ...] = (DOCTOR,), *, notices: bool = False) -> list[str]:
    sending = Sending({code: value == "Y" for code, value in flags.items()}, recipients)
    found = choose(sending, patients="patient.mssante.fr", trusted=("mssante.fr",), notices=notices)
    return [item.held or item.kind for item in found]


P, U, H = LetterKind.PROFESSIONAL, LetterKind.PATIENT, LetterReason.COMBINATION


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"DESTMSSANTEPS": "Y", "DESTMSSANTEPAT": "Y"}, [P, U]),
        ({"DESTMSSANTEPS": "Y", "DESTMSSANTEPAT": "Y", "DESTDMP": "Y"}, [P, U]),
        ({"DESTMSSANTEPS": "Y", "DESTMSSANTEPAT": "Y", "MASQUE_PS": "Y"}, [H, H]),
        ({"DESTMSSANTEPS": "Y", "DESTMSSANTEPAT": "Y", "INVISIBLE_PATIENT": "Y"}, [H, H]),
        ({"DESTMSSANTEPS": "Y", "DESTMSSANTEPAT": "Y", "CONNEXION_SECRETE": "Y"}, [P, U]),
        ({"DESTMSSANTEPS": "Y", "DESTMSSANTEPAT": "Y", "INVISIBLE_REP_LEGAUX": "Y"}, [H, H]),
        ({"DESTMSSANTEPS": "Y", "INVISIBLE_PATIENT": "Y"}, [P]),
        ({"DESTMSSANTEPS": "Y", "INVISIBLE_PATIENT": "Y", "MASQUE_PS": "Y"}, [H]),
        ({"DESTMSSANTEPS": "Y", "INVISIBLE_PATIENT": "N"}, [H]),
        ({"DESTMSSANTEPAT": "Y"}, [U]),
        ({"DESTMSSANTEPAT": "Y", "MASQUE_PS": "Y", "INVISIBLE_REP_LEGAUX": "Y"}, [U]),
        ({"DESTMSSANTEPAT": "Y", "DESTDMP": "Y"}, [H]),
        ({"DESTMSSANTEPAT": "Y", "CONNEXION_SECRETE": "Y"}, [H]),
        ({"DESTMSSANTEPAT": "Y", "INVISIBLE_PATIENT": "Y"}, [H]),
        ({"DESTDMP": "Y", "DESTMSSANTEPS": "N"}, []),
    ],
)
def test_the_matrix(flags: dict[str, str], expected: list[str]) -> None:
    assert chosen(flags) == expected


def test_recipients() -> None:
    allowed = {"DESTMSSANTEPS": "Y", "INVISIBLE_PATIENT": "Y"}
    assert chosen(allowed, (DOCTOR, BOX)) == [P]  # the patient's box gets nothing that the patient may not see
    assert chosen(allowed, ("a@example.org",)) == [LetterReason.OUTSIDE]
    assert chosen(allowed, ("a@example.org",), notices=True) == [LetterKind.NOTICE]
    assert chosen(allowed, ("a@mssante.fr.example.org",)) == [LetterReason.OUTSIDE]
    for wrong in ("a@b", "a b@mssante.fr", "a@mssante.fr\r\nBcc: x@y.fr", "<a@mssante.fr>", "a@mssante.fr>", "@", ""):
        assert not is_address(wrong)
    assert chosen(allowed, ("a@mssante.fr\nX: y",)) == [LetterReason.ADDRESS]
    assert in_domains("a@Chu.MSSANTE.fr", ["mssante.fr"])
    assert not in_domains("a@notmssante.fr", ["mssante.fr"])


def test_only_a_qualified_ins_has_a_box(made: Made) -> None:
    made.place.qualify(None)
    made.place.oru(PATIENT_ONLY)
    made.place.work()
    assert made.place.states() == {"patient": "held: ins-not-qualified"}
    assert not made.server.taken
    made.place.qualify()
    made.place.work()
    assert made.place.states() == {"patient": "sent"}
    assert made.server.taken[0].recipient == BOX


def test_a_report_is_mailed_once_each(made: Made) -> None:
    made.place.qualify()
    same = {"document_id": "1.2.250.7.7", "set_id": "1.2.250.7.8"}
    made.place.oru(BOTH, DOCTOR, DOCTOR, **same)
    made.place.oru(BOTH, DOCTOR, **same)
    made.place.work()
    made.place.work()
    assert sorted(letter.kind for letter in made.server.taken) == ["patient", "professional"]


def test_what_is_not_understood_is_mailed_to_nobody(made: Made) -> None:
    made.place.qualify()
    made.place.oru({**BOTH, "INVISIBLE_PATIENT": "O"}, DOCTOR)
    made.place.work()
    assert made.place.states() == {"professional": "held: combination", "patient": "held: combination"}
    with pytest.raises(LetterNotHeld):
        made.place.desk.retry(RetryLetter(made.place.letters()[0].id), Context())
    with pytest.raises(LetterNotFound):
        made.place.desk.retry(RetryLetter("nothing"), Context())


def test_a_preliminary_report_is_not_mailed(made: Made) -> None:
    made.place.qualify()
    made.place.oru(BOTH, DOCTOR, status="P")
    made.place.work()
    assert made.place.states() == {}


def test_what_is_taken_back_before_it_was_sent_never_is(made: Made) -> None:
    made.place.qualify()
    made.server.down = True
    same = {"document_id": "1.2.250.7.7", "set_id": "1.2.250.7.8"}
    made.place.oru(DOCTOR_ONLY, DOCTOR, **same)
    made.place.work()
    assert made.place.states() == {"professional": "waiting: unavailable"}
    made.place.oru({}, status="D", **same)
    made.server.down = False
    made.place.work()
    assert made.place.states() == {"professional": "withdrawn"}
    assert not made.server.taken


@pytest.mark.parametrize("matter", [Matter.CONSULTATION, Matter.FEEDING])
def test_an_opposition_stops_what_waits_for_the_mail_server_but_not_the_patients_own(
    made: Made, matter: Matter
) -> None:
    made.place.qualify()
    made.server.down = True
    made.place.oru(BOTH, DOCTOR)
    made.place.work()
    assert made.place.states() == {"patient": "waiting: unavailable", "professional": "waiting: unavailable"}
    made.place.say(matter, Choice.OPPOSITION)
    made.server.down = False
    made.place.work()
    assert made.place.states() == {"patient": "sent", "professional": "held: opposition"}
    assert [item.recipient for item in made.server.taken] == [BOX]
    made.place.desk.retry(RetryLetter(next(item.id for item in made.place.letters() if item.recipient)), Context())
    made.place.work()
    assert made.place.states()["professional"] == "held: opposition"
    made.place.say(matter, Choice.UNKNOWN)
    made.place.work()
    assert [item.recipient for item in made.server.taken] == [BOX, DOCTOR]


def test_an_opposition_to_broken_glass_stops_no_letter(made: Made) -> None:
    made.place.qualify()
    made.place.say(Matter.EMERGENCY, Choice.OPPOSITION)
    made.place.oru(DOCTOR_ONLY, DOCTOR)
    made.place.work()
    assert made.place.states() == {"professional": "sent"}


def test_reports_about_nothing_of_ours_change_nothing(made: Made) -> None:
    made.place.qualify()
    made.place.oru(DOCTOR_ONLY, DOCTOR)
    made.place.work()
    service = made.place.hub.service
    original = made.server.taken[0].message_id
    assert not service.notified(Notification(Outcome.READ, "<stranger@x>"), Context())
    assert not service.notified(Notification(Outcome.READ, original, recipient="x@y.fr"), Context())
    assert not service.notified(Notification(Outcome.READ), Context())
    assert made.place.states() == {"professional": "sent"}
    assert service.notified(Notification(Outcome.NOT_READ, original, code="deleted"), Context())
    assert made.place.letters()[0].detail == "deleted"
    assert service.notified(Notification(Outcome.FAILED, original, recipient=DOCTOR.upper(), code="5.2.2"), Context())
    assert made.place.states() == {"professional": "refused: bounced"}


def told(made: Made) -> list[tuple[str, str, str]]:
    """Who was told that what they got does not stand any more, and of which letter."""
    return [(item.recipient, item.text, item.about) for item in made.server.taken if item.kind is LetterKind.WITHDRAWAL]


SAME = {"document_id": "1.2.250.7.7", "set_id": "1.2.250.7.8"}


def test_whoever_got_a_document_hears_that_it_was_taken_back(made: Made) -> None:
    made.place.qualify()
    made.place.oru(BOTH, DOCTOR, **SAME)
    made.place.work()
    first = {item.recipient: item.message_id for item in made.server.taken}
    assert set(first) == {DOCTOR, BOX}
    assert told(made) == []
    made.place.oru({}, status="D", **SAME)
    for _ in range(2):
        made.place.work()
        assert sorted(told(made)) == sorted((box, "withdrawn", first[box]) for box in (DOCTOR, BOX))
    last = made.server.taken[-1]
    assert (last.enclosed, last.patient, last.traits, last.no_reply) == ((), None, None, True)
    assert BOX not in {item.recipient for item in made.place.letters()}, "no INS is shown"


def test_and_that_it_was_replaced(made: Made) -> None:
    made.place.qualify()
    made.place.oru(DOCTOR_ONLY, DOCTOR, **SAME)
    made.place.work()
    (first,) = made.server.taken
    made.place.oru({}, status="C", document_id="1.2.250.7.9", set_id="1.2.250.7.8")
    made.place.work()
    made.place.work()
    assert told(made) == [(DOCTOR, "replaced", first.message_id)]


def test_a_setting_keeps_it_back(made: Made) -> None:
    made.place.hub.service.rules = replace(made.place.hub.service.rules, withdrawals=False)
    made.place.qualify()
    made.place.oru(DOCTOR_ONLY, DOCTOR, **SAME)
    made.place.work()
    made.place.oru({}, status="D", **SAME)
    made.place.work()
    assert len(made.server.taken) == 1
    assert told(made) == []


def test_the_mail_says_nothing_about_anybody() -> None:
    letter = Outgoing(LetterKind.WITHDRAWAL, "<b@hub>", DOCTOR, text="replaced", no_reply=True, about="<a@hub>")
    mail = message_from_bytes(compose(letter, None, sender="hub@x.mssante.fr", region="R", at=now()), policy=default)
    assert (mail["In-Reply-To"], mail["X-MSS-MES"]) == ("<a@hub>", "FIN")
    assert mail["Subject"] == "Un document envoyé a été remplacé"
    assert "remplacé par une version plus récente" in mail.get_content()
