"""MDM and ORU of CISIS_CDA_HL7_V2 in the real rooms: registered, masked, mailed, taken back; senders are told."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hub.app.outside.acknowledging import BusinessAcknowledgements
from hub.app.settings.model import Feed
from hub.context import Context
from hub.documents.administration import UpdateService
from hub.documents.model import APPROVED, DEPRECATED
from hub.errors import HubError
from hub.exchange.worker import Worker
from hub.imaging.errors import UnknownReport
from hub.imaging.masking import Masking
from hub.imaging.model import FeedReport
from hub.imaging.sending_model import Outcome, Told
from hub.mail.model import LetterKind, Notification
from hub.mail.model import Outcome as Said
from hub.storage.engine import Database
from hub.testing.cda import ImagingReport, build_report
from hub.testing.hl7 import Patient
from hub.testing.transmission import Transmission
from hub.wire.hl7v2.answers import acknowledge
from hub.wire.hl7v2.message import Hl7Message
from hub.wire.hl7v2.mllp import MllpServer, Peer
from hub.wire.hl7v2.reports import reports
from tests.imaging.archive import STUDY
from tests.imaging.living import TRAITS
from tests.mail.place import DOCTOR, LOCAL, Place, place
from tests.mail.test_letters import Server

BOTH = {"DESTMSSANTEPS": "Y", "DESTMSSANTEPAT": "Y", "ACK_RECEPTION": "Y", "ACK_LECTURE_MSS": "Y"}
TO_DOCTOR = {"INVISIBLE_PATIENT": "Y", "DESTMSSANTEPS": "Y", "ACK_RECEPTION": "Y"}
FIRST, SECOND, SET = "1.2.250.1.999.60.1", "1.2.250.1.999.60.2", "1.2.250.1.999.60.9"


def cda(unique_id: str, **more: Any) -> bytes:
    values = {
        "patient_ids": (LOCAL,), "traits": TRAITS, "study_instance_uid": STUDY, "accession_number": "ACC-1",
        "placer_number": "ORD-1", "set_id": SET, "document_id": unique_id, "created": "20260301110000+0100", **more,
    }  # fmt: skip
    return build_report(ImagingReport(**values))


def sent(unique_id: str = FIRST, **more: Any) -> Transmission:
    values = {"documents": [(unique_id, cda(unique_id))], "recipients": [DOCTOR], **more}
    return Transmission(patient=Patient(identifier=LOCAL, traits=TRAITS), **values)


@dataclass
class Heard:
    """Whoever tells senders."""

    outcomes: list[Outcome] = field(default_factory=list)

    def tell(self, outcome: Outcome, context: Context) -> None:  # noqa: ARG002
        self.outcomes.append(outcome)

    def words(self) -> list[tuple[str, str, bool, str]]:
        return [(item.told.value, item.control_id, item.good, item.code) for item in self.outcomes]


@dataclass
class Made:
    place: Place
    server: Server
    heard: Heard

    def feed(self, transmission: Transmission, control_id: str) -> None:
        first, *also = reports(Hl7Message.parse(transmission.message(control_id=control_id)), "RIS_A")
        self.place.rooms.imaging.feed_report(FeedReport(first, tuple(also)), Context(source="RIS_A"))

    def found(self, status: str = APPROVED) -> dict[str, list[str]]:
        """uniqueId -> confidentiality, of the reports that the region shows."""
        person = self.place.rooms.patients.resolve(LOCAL)
        assert person is not None
        entries = self.place.rooms.found(person, status=status, mime="text/xml")
        return {item.unique_id: [code.value for code in item.confidentiality_codes] for item in entries}


@pytest.fixture
def made(database: Database, tmp_path: Path) -> Iterator[Made]:
    here, server, heard = place(database, tmp_path, None), Server(), Heard()
    here.hub.service.post, here.hub.service.senders = server, heard
    rooms = here.rooms
    masking = Masking(
        database=database, updates=UpdateService(documents=rooms.documents),
        withdrawals=rooms.imaging.withdrawals, vocabulary=rooms.imaging.publisher.settings.vocabulary,
        source_id="1.2.250.1.999.1.4",
    )  # fmt: skip
    rooms.imaging.report_listeners.append(masking.asked)
    here.qualify()
    yield Made(here, server, heard)
    here.close()


def test_initial_replacement_deletion(made: Made) -> None:
    made.feed(sent(words=TO_DOCTOR), "T02-1")
    made.place.work()
    assert made.found() == {FIRST: ["N", "INVISIBLE_PATIENT"]}
    assert made.place.states() == {"professional": "sent"}
    made.feed(sent(SECOND, control="RO", replaces=FIRST), "T10-1")
    made.place.work()
    assert made.found() == {SECOND: ["N"]}
    assert made.found(DEPRECATED) == {FIRST: ["N", "INVISIBLE_PATIENT"]}
    made.feed(sent(SECOND, control="CA"), "T04-1")
    assert made.found() == {}
    made.feed(sent(SECOND, control="CA"), "T04-2")  # once more changes nothing
    with pytest.raises(UnknownReport):
        made.feed(sent("1.2.250.7", control="CA", documents=[("1.2.250.7", cda("1.2.250.7", set_id="1.2.250.8"))]), "T")


def test_a_replacement_is_one_by_its_header_alone(made: Made) -> None:
    made.feed(sent(documents=[(FIRST, cda(FIRST, set_id=""))]), "1")
    made.place.work()
    made.feed(sent(SECOND, documents=[(SECOND, cda(SECOND, set_id="", replaces=FIRST))], control="RO", replaces=FIRST),
              "2")  # fmt: skip
    made.place.work()
    assert list(made.found()) == [SECOND]


def test_one_letter_takes_both_documents(made: Made) -> None:
    both = [(FIRST, cda(FIRST, set_id="1.2.3.1")), (SECOND, cda(SECOND, set_id="1.2.3.2", text="N3"))]
    made.feed(sent(kind="ORU", documents=both, words=BOTH), "ORU-1")
    made.place.work()
    assert sorted(made.found()) == [FIRST, SECOND]
    letters = {item.kind: item for item in made.server.taken}
    assert sorted(letters) == [LetterKind.PATIENT, LetterKind.PROFESSIONAL]
    for letter in letters.values():
        assert [item.entry.unique_id for item in letter.enclosed] == [FIRST, SECOND]
    assert {item.unique_ids for item in made.place.letters()} == {(FIRST, SECOND)}


def test_a_deletion_takes_letters_with_it_that_have_not_gone(made: Made) -> None:
    both = [(FIRST, cda(FIRST, set_id="1.2.3.1")), (SECOND, cda(SECOND, set_id="1.2.3.2"))]
    made.server.down = True
    made.feed(sent(kind="ORU", documents=both, words=BOTH), "1")
    made.place.work()
    made.feed(sent(kind="ORU", documents=both, control="CA"), "2")
    made.server.down = False
    made.place.work()
    assert made.place.states() == {"professional": "withdrawn", "patient": "withdrawn"}
    assert not made.server.taken


def test_what_is_masked_meanwhile_is_not_mailed(made: Made) -> None:
    made.server.down = True
    made.feed(sent(words=BOTH), "1")
    made.place.work()
    made.feed(sent(words={"MASQUE_PS": "Y", "MODIF_CONF_CODE": "Y"}), "2")
    assert made.found() == {FIRST: ["N", "MASQUE_PS"]}
    made.server.down = False
    made.place.work()
    assert made.place.states() == {"professional": "held: hidden", "patient": "sent"}
    made.feed(sent(words={"MODIF_CONF_CODE": "Y"}), "3")
    assert made.found() == {FIRST: ["N"]}


def test_the_sender_is_told(made: Made) -> None:
    made.feed(sent(words=BOTH, recipients=[DOCTOR, "b.martin@example.org"]), "ORU-7")
    assert made.heard.words() == [("Z02", "ORU-7", False, "551")]  # no secure box, and no notices are sent
    made.place.work()
    ids = {item.kind: item.message_id for item in made.server.taken}
    service, told = made.place.hub.service, made.heard.outcomes
    told.clear()
    service.notified(Notification(Said.DELIVERED, ids[LetterKind.PROFESSIONAL]), Context())
    service.notified(Notification(Said.READ, ids[LetterKind.PROFESSIONAL]), Context())
    service.notified(Notification(Said.FAILED, ids[LetterKind.PATIENT], code="5.2.2"), Context())
    service.notified(Notification(Said.NOT_INTEGRATED, ids[LetterKind.PROFESSIONAL], code="902"), Context())
    assert made.heard.words() == [
        ("Z02", "ORU-7", True, ""), ("Z03", "ORU-7", True, ""), ("Z02", "ORU-7", False, "552"),
        ("Z03", "ORU-7", False, "902"),
    ]  # fmt: skip
    assert told[0].recipient == DOCTOR


def test_nobody_is_told_who_did_not_ask(made: Made) -> None:
    made.feed(sent(words={**BOTH, "ACK_RECEPTION": "N", "ACK_LECTURE_MSS": "N"}), "1")
    made.place.work()
    for letter in made.server.taken:
        made.place.hub.service.notified(Notification(Said.READ, letter.message_id), Context())
    assert made.heard.words() == []


class Listener:
    """A sender's own port."""

    def __init__(self) -> None:
        self.taken: list[Hl7Message] = []
        self.server = MllpServer(self, host="127.0.0.1", port=0, tls=None)

    def handle(self, raw: bytes, peer: Peer) -> bytes:  # noqa: ARG002
        message = Hl7Message.parse(raw)
        self.taken.append(message)
        return acknowledge(message)

    def reject(self, raw: bytes, error: HubError, peer: Peer) -> bytes:  # noqa: ARG002
        raise AssertionError


def test_a_business_acknowledgement_over_the_wire(made: Made) -> None:
    listener = Listener()
    listener.server.start()
    rooms = made.place.rooms
    feed = Feed(application="RIS", facility="CH_A", name="RIS_A", reports_to=f"127.0.0.1:{listener.server.port}")
    silent = Feed(application="RIS", facility="CH_B", name="RIS_B")
    acknowledgements = BusinessAcknowledgements([feed, silent], rooms.exchange, made.place.hub.audit, lambda: None)
    try:
        for source in ("RIS_A", "RIS_B", "nobody"):
            acknowledgements.tell(Outcome(Told.DELIVERY, source, "015", False, "550", DOCTOR), Context())
        Worker(rooms.exchange, acknowledgements.handlers()).run_pending()
    finally:
        listener.server.stop()
    (message,) = listener.taken
    assert (message.event, message.msh.value(5), message.msh.value(6)) == ("ZAM^Z02", "RIS", "CH_A")
    assert message.require("ERR").value(5) == "550"
