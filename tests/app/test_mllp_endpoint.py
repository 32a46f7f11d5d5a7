"""The HL7 v2 port over real sockets, with the real pipeline, patient index and inbox."""

# ruff: noqa: ARG002, PLR0917

import random
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from hub.access.model import ANONYMOUS, Credentials, Principal, Scheme
from hub.app.mllp import WIRE, MllpEndpoint
from hub.app.settings.model import Feed, Mllp, Settings
from hub.context import Context
from hub.errors import HubError, Misconfigured, NotAuthenticated
from hub.exchange.model import MessageState, Page, ReplayMessage
from hub.exchange.service import ExchangeService
from hub.patients.authorities import AuthorityDirectory
from hub.patients.model import Authority, GetPerson, Traits
from hub.patients.portions import PortionService
from hub.patients.service import PatientService
from hub.patients.visits import VisitService
from hub.pipeline.catalogue import discover
from hub.pipeline.pipeline import Pipeline
from hub.pipeline.together import Together
from hub.pipeline.transaction import Hl7, Transaction
from hub.storage.engine import Database
from hub.testing.hl7 import Patient, Sender, adt, local, merge, pix_query
from hub.usecase import Command, Dispatcher
from hub.values import PatientIdentifier
from hub.wire.hl7v2.answers import acknowledge, refuse
from hub.wire.hl7v2.client import MllpClient
from hub.wire.hl7v2.message import Hl7Message
from hub.wire.hl7v2.mllp import END, MllpServer, Peer, frame

REGION, A = "1.2.250.1.999.1.1", "1.2.250.1.999.2.1"
HIS = Sender(application="HIS", facility="A")
ZOE = Patient(identifier=local("A1", "CHA", A), traits=Traits("LÉGER", "ZOÉ", birth_date="19790328", sex="F"))


@dataclass
class OpenAccess:
    """Everybody may do everything, unless the door is shut."""

    shut: bool = False
    source: str = ""

    def authenticate(self, credentials: Credentials) -> Principal:
        if self.shut:
            raise NotAuthenticated()
        return Principal("his", scheme=Scheme.LOOPBACK, source=self.source)

    transmitter = authenticate

    def prove(self, credentials: Credentials) -> Credentials:
        return credentials

    def permit(self, principal: Principal, permission: str, context: Context, command: Command | None = None) -> None:
        assert principal is not ANONYMOUS


@dataclass
class Records:
    """Audit and metrics, kept in memory."""

    audited: list[tuple[str, str, str]] = field(default_factory=list)

    def record(self, transaction: Transaction, context: Context, error: HubError | None, milliseconds: int) -> None:
        self.audited.append((transaction.id, context.source, error.code if error else ""))

    def begin(self, transaction: Transaction, context: Context, milliseconds: int) -> Callable[[HubError | None], None]:
        return lambda error: self.record(transaction, context, error, milliseconds)

    def record_within(self, entries: Sequence[tuple[Transaction, Context, int]]) -> None:
        self.audited += [(transaction.id, context.source, "") for transaction, context, _ in entries]

    def transaction(self, transaction_id: str, outcome: str, seconds: float) -> None:
        assert seconds >= 0


@dataclass
class Hub:
    endpoint: MllpEndpoint
    exchange: ExchangeService
    patients: PatientService
    access: OpenAccess
    records: Records

    def send(self, raw: bytes) -> Hl7Message:
        with MllpClient("127.0.0.1", self.endpoint.port, timeout=20) as client:
            return Hl7Message.parse(client.send(raw))

    def kept(self) -> list[tuple[str, str, MessageState, str]]:
        rows = reversed(self.exchange.messages(Page()))
        return [(row.transaction, row.source, row.state, row.error_code) for row in rows]

    def regional(self, number: str) -> PatientIdentifier:
        return self.patients.get(GetPerson(PatientIdentifier(number, A)), Context()).regional


@pytest.fixture(params=["alone", "together"])
def hub(database: Database, request: pytest.FixtureRequest) -> Iterator[Hub]:
    directory = AuthorityDirectory(database=database, configured=(Authority(A, "CHA"),))
    patients = PatientService(database=database, directory=directory, affinity_domain=REGION)
    exchange, access, records = ExchangeService(database=database), OpenAccess(), Records()
    visits = VisitService(database=database, patients=patients, portions=PortionService(database, patients))
    pipeline = Pipeline(database, Dispatcher([patients, visits]), access, records, exchange, {WIRE: refuse}, records)
    settings = Settings(
        mllp=Mllp(port=0, max_message_mb=1),
        feeds=(
            Feed(application="HIS", facility="A", name="HIS_A"),
            Feed(application="OLD", facility="A", name="OLD_A", charset="windows-1252"),
        ),
    )
    together = Together(pipeline, exchange, records) if request.param == "together" else None
    endpoint = MllpEndpoint(pipeline, discover("profiles"), settings, together=together)
    exchange.processors[WIRE] = endpoint.process
    endpoint.start()
    yield Hub(endpoint, exchange, patients, access, records)
    endpoint.stop()


def test_identity_is_stored_when_aa_comes(hub: Hub) -> None:
    reply = hub.send(adt(HIS, ZOE, "A28", control_id="m1"))
    assert (reply.event, reply.require("MSA").value(1), reply.require("MSA").value(2)) == ("ACK^A28", "AA", "m1")
    assert hub.regional("A1").authority == REGION
    assert hub.kept() == [("ITI-30", "HIS_A", MessageState.PROCESSED, "")]
    assert hub.records.audited == [("ITI-30", "HIS_A", "")]


@pytest.mark.parametrize(
    ("event", "transaction"),
    [("A01", "ITI-8"), ("A04", "ITI-8"), ("A05", "ITI-8"), ("A08", "ITI-8"), ("A28", "ITI-30"), ("A31", "ITI-30")],
)
def test_events_and_their_transactions(hub: Hub, event: str, transaction: str) -> None:
    assert hub.send(adt(HIS, ZOE, event)).require("MSA").value(1) == "AA"
    assert hub.kept()[0][0] == transaction


def test_merge(hub: Hub) -> None:
    other = Patient(identifier=local("A2", "CHA", A), traits=ZOE.traits)
    for patient in (ZOE, other):
        assert hub.send(adt(HIS, patient)).require("MSA").value(1) == "AA"
    assert hub.send(merge(HIS, ZOE, other.identifier)).require("MSA").value(1) == "AA"
    assert hub.regional("A2") == hub.regional("A1")


def test_a_repeated_message_is_acknowledged_and_done_once(hub: Hub) -> None:
    raw = adt(HIS, ZOE)
    assert [hub.send(raw).require("MSA").value(1) for _ in range(3)] == ["AA"] * 3
    assert len(hub.kept()) == 1


def test_query(hub: Hub) -> None:
    hub.send(adt(HIS, ZOE))
    reply = hub.send(pix_query(HIS, ZOE.identifier))
    assert reply.event == "RSP^K23"
    assert reply.require("PID").repetitions(3)[0].value(4, 2) == REGION
    assert len(hub.kept()) == 1


def test_character_set_of_the_feed(hub: Hub) -> None:
    old = Sender(application="OLD", facility="A", charset="8859/1", delivered_as="windows-1252")
    odd = Patient(identifier=local("A3", "CHA", A), traits=Traits("CŒUR", "ZOÉ", birth_date="19790328", sex="F"))
    assert hub.send(adt(old, odd)).require("MSA").value(1) == "AA"
    assert hub.patients.get(GetPerson(odd.identifier), Context()).traits.birth_name == "CŒUR"


def test_unknown_sender_is_named_by_its_msh(hub: Hub) -> None:
    hub.send(adt(Sender(application="NEW", facility="Z"), ZOE))
    assert hub.kept()[0][1] == "NEW|Z"


@pytest.mark.parametrize(
    ("old", "new", "answer", "location", "condition", "error"),
    [
        (b"A1^^^CHA", b"^^^CHA", "AE", "PID^1^3^1^1", "101", "hl7-field-missing"),
        (b"|19790328|", b"|28/03/79|", "AE", "PID^1^7", "102", "hl7-data-type"),
        (b"PID|", b"ZZZ|", "AE", "PID^1", "100", "hl7-segment-missing"),
        (A.encode(), b"1.9.9", "AE", "PID^1^3^1^4", "204", "unknown-authority"),
        ("ZOÉ".encode(), b"ZO\xc9", "AR", "PID^1^5", "102", "hl7-character-set"),
        (b"ADT^A28", b"ADT^A99", "AR", "MSH^1^9^1^2", "201", "hl7-event"),
        (b"ADT^A28", b"MFN^M02", "AR", "MSH^1^9", "200", "hl7-message-type"),
        (b"|P|2.5^", b"|P|3^", "AR", "MSH^1^12", "203", "hl7-version"),
        (b"|P|2.5^", b"|T|2.5^", "AR", "MSH^1^11", "202", "hl7-processing-id"),
        (b"|P|2.5^", b"|D^A|2.5^", "AR", "MSH^1^11", "202", "hl7-processing-id"),
        (b"|P|2.5^", b"|X|2.5^", "AR", "MSH^1^11", "202", "hl7-processing-id"),
        (b"|m1|", b"||", "AE", "MSH^1^10", "101", "hl7-field-missing"),
        (b"UNICODE UTF-8", b"KLINGON", "AR", "MSH^1^18", "102", "hl7-character-set"),
        (b"\rPID|", b"\rpid|", "AR", "", "100", "hl7-malformed"),
    ],
)
def test_bad_messages_are_refused_and_kept(
    hub: Hub, old: bytes, new: bytes, answer: str, location: str, condition: str, error: str
) -> None:
    raw = adt(HIS, ZOE, "A28", control_id="m1").replace(old, new)
    reply = hub.send(raw)
    assert reply.require("MSA").value(1) == answer
    err = reply.require("ERR")
    assert (err.field(2), err.value(3), err.value(4)) == (location, condition, "E")
    assert "ZO" not in err.text
    [(_, source, state, code)] = hub.kept()
    assert (source, state, code) == ("HIS_A", MessageState.REFUSED, error)
    assert hub.exchange.message(hub.exchange.messages(Page())[0].id).raw == raw
    assert hub.records.audited[-1][2] == error


def test_messages_for_training_are_taken_where_a_setting_says_so(hub: Hub) -> None:
    hub.endpoint.processing = frozenset("PT")
    for number, purpose in enumerate([b"|T|", b"|P^A|", b"||"]):
        raw = adt(HIS, ZOE, "A28", control_id=f"m{number}").replace(b"|P|2.5^", purpose + b"2.5^")
        assert hub.send(raw).require("MSA").value(1) == "AA"
    raw = adt(HIS, ZOE, "A28", control_id="m9").replace(b"|P|2.5^", b"|D|2.5^")
    assert hub.send(raw).require("ERR").value(3) == "202"


def test_garbage_is_answered_and_kept(hub: Hub) -> None:
    reply = hub.send(b"\xff\xfe\x00garbage")
    assert reply.require("MSA").value(1) == "AR"
    assert hub.kept() == [("unknown", "", MessageState.REFUSED, "hl7-malformed")]
    assert hub.records.audited == [("unknown", "", "hl7-malformed")]


def test_too_large(hub: Hub) -> None:
    reply = hub.send(adt(HIS, ZOE).replace(b"\rPV1", b"\rNTE|" + b"x" * 2_000_000 + b"\rPV1"))
    assert reply.require("MSA").value(1) == "AR"
    assert hub.kept() == [("unknown", "HIS_A", MessageState.REFUSED, "hl7-too-large")]


def test_nothing_of_an_unknown_caller_is_kept(hub: Hub) -> None:
    hub.access.shut = True
    for raw in (adt(HIS, ZOE), b"garbage", adt(Sender(application="HIS", facility="A", accept="AL"), ZOE)):
        assert hub.send(raw).require("MSA").value(1) in ("AR", "CR")
    assert hub.kept() == []
    assert [code for _, _, code in hub.records.audited] == ["not-authenticated"] * 3


def test_a_client_can_not_speak_for_another_source(hub: Hub) -> None:
    hub.access.source = "HIS_B"
    reply = hub.send(adt(HIS, ZOE))
    assert reply.require("MSA").value(1) == "AR"
    assert hub.kept() == []
    assert hub.records.audited == [("ITI-30", "HIS_A", "access-denied")]
    hub.access.source = "HIS_A"
    assert hub.send(adt(HIS, ZOE)).require("MSA").value(1) == "AA"


def test_refused_message_can_be_replayed(hub: Hub) -> None:
    message = adt(HIS, ZOE, "A28", control_id="m1")
    hub.send(message.replace(A.encode(), b"1.2.250.1.999.2.7").replace(b"^^^CHA&", b"^^^CHX&"))
    [row] = hub.exchange.messages(Page())
    assert row.state is MessageState.REFUSED
    assert hub.exchange.replay_message(ReplayMessage(row.id), Context()).state is MessageState.REFUSED
    hub.patients.directory._remember(Authority("1.2.250.1.999.2.7", "CHX"))
    replayed = hub.exchange.replay_message(ReplayMessage(row.id), Context())
    assert (replayed.state, replayed.attempts) == (MessageState.PROCESSED, 3)
    assert hub.patients.resolve(PatientIdentifier("A1", "1.2.250.1.999.2.7"))
    assert [code for _, _, code in hub.records.audited] == ["unknown-authority", "unknown-authority", ""]


def test_enhanced_mode(hub: Hub) -> None:
    enhanced = Sender(application="HIS", facility="A", accept="AL")
    older = Patient(identifier=ZOE.identifier, traits=Traits("OLD", "ZOÉ", birth_date="19790328", sex="F"))
    for patient in (older, ZOE):
        assert hub.send(adt(enhanced, patient)).require("MSA").value(1) == "CA"
    assert [state for _, _, state, _ in hub.kept()] == [MessageState.RECEIVED] * 2
    assert hub.patients.resolve(ZOE.identifier) is None
    while hub.exchange.process_next():
        pass
    assert [state for _, _, state, _ in hub.kept()] == [MessageState.PROCESSED] * 2
    assert hub.patients.get(GetPerson(ZOE.identifier), Context()).traits.birth_name == "LÉGER"


def test_enhanced_mode_refusals(hub: Hub) -> None:
    enhanced = Sender(application="HIS", facility="A", accept="AL")
    assert hub.send(adt(enhanced, ZOE).replace(b"^A28^", b"^A99^")).require("MSA").value(1) == "CR"
    assert hub.send(adt(enhanced, ZOE, control_id="m1").replace(b"|m1|", b"||")).require("MSA").value(1) == "CE"
    assert hub.send(adt(enhanced, ZOE).replace(b"A1^^^CHA", b"^^^CHA")).require("MSA").value(1) == "CA"
    hub.exchange.process_next()
    assert hub.kept()[-1][2:] == (MessageState.REFUSED, "hl7-field-missing")


@pytest.mark.parametrize(("wanted", "answers"), [("AL", ["CA", "CR"]), ("ER", ["CR"]), ("SU", ["CA"])])
def test_enhanced_mode_tells_what_is_asked_for(hub: Hub, wanted: str, answers: list[str]) -> None:
    enhanced = Sender(application="HIS", facility="A", accept=wanted)
    good, bad = adt(enhanced, ZOE), adt(enhanced, ZOE).replace(b"^A28^", b"^A99^")
    last = adt(Sender(application="HIS", facility="A", accept="AL"), ZOE, control_id="last")
    told: list[tuple[str, str]] = []
    with socket.create_connection(("127.0.0.1", hub.endpoint.port), timeout=20) as peer:
        peer.sendall(frame(good) + frame(bad) + frame(last))
        received = b""
        while ("CA", "last") not in told:
            received += peer.recv(4096)
            every = [Hl7Message.parse(part.strip(b"\x0b")).require("MSA") for part in received.split(END)[:-1]]
            told = [(msa.value(1), msa.value(2)) for msa in every]
    assert [code for code, _ in told[:-1]] == answers
    assert [state for _, _, state, _ in hub.kept()] == [
        MessageState.RECEIVED,
        MessageState.REFUSED,
        MessageState.RECEIVED,
    ]


class Sink:
    """A sender's port for application acknowledgements."""

    def __init__(self) -> None:
        self.got: list[Hl7Message] = []

    def handle(self, raw: bytes, peer: Peer) -> bytes:
        self.got.append(Hl7Message.parse(raw))
        return acknowledge(self.got[-1], "CA")

    def reject(self, raw: bytes, error: HubError, peer: Peer) -> bytes:
        raise AssertionError


def test_application_acknowledgements_in_enhanced_mode(hub: Hub) -> None:
    sink = Sink()
    server = MllpServer(sink)
    server.start()
    feed = Feed(application="HIS", facility="A", name="HIS_A", answer_to=f"127.0.0.1:{server.port}")
    hub.endpoint.feeds["HIS", "A"] = feed
    hub.endpoint.enqueue = hub.exchange.enqueue
    enhanced = Sender(application="HIS", facility="A", accept="AL", answer="AL")
    hub.send(adt(enhanced, ZOE, control_id="good"))
    hub.send(adt(enhanced, ZOE, control_id="bad").replace(b"A1^^^CHA", b"^^^CHA"))
    hub.send(adt(Sender(application="HIS", facility="A", accept="AL", answer="NE"), ZOE, control_id="quiet"))
    while hub.exchange.process_next():
        pass
    for delivery in reversed(hub.exchange.deliveries(Page())):
        hub.endpoint.deliver(delivery, Context())
    server.stop()
    answers = [(reply.require("MSA").value(1), reply.require("MSA").value(2)) for reply in sink.got]
    assert sorted(answers) == [("AA", "good"), ("AE", "bad")]


def test_a_wrong_character_set_in_the_settings_is_named() -> None:
    feeds = (Feed(application="X", facility="Y", name="OLD", charset="klingon"),)
    with pytest.raises(Misconfigured) as caught:
        MllpEndpoint(None, discover("profiles"), Settings(feeds=feeds))  # type: ignore[arg-type]
    assert caught.value.location == "feeds.OLD.charset"


def test_random_messages_always_get_one_answer(hub: Hub) -> None:
    generator = random.Random(3)
    whole = adt(HIS, ZOE)
    with socket.create_connection(("127.0.0.1", hub.endpoint.port), timeout=20) as connection:
        for _ in range(60):
            raw = bytearray(whole)
            for _ in range(generator.randrange(1, 8)):
                raw[generator.randrange(len(raw))] = generator.randrange(256)
            connection.sendall(frame(bytes(raw).replace(END, b"")))
            data = b""
            while not data.endswith(END):
                data += connection.recv(65536)
            assert data.count(END) == 1
            assert Hl7Message.parse(data[1:-2]).require("MSA").value(1) in ("AA", "AE", "AR", "CA", "CE", "CR")


def test_one_event_belongs_to_one_transaction() -> None:
    events = [event for binding, _ in discover("profiles").bindings(Hl7) for event in binding.events]
    assert len(events) == len(set(events))
    assert {"ADT^A40", "QBP^Q22", "QBP^Q23", "ORM^O01", "OMG^O19", "OMI^O23", "ORU^R01"} <= set(events)
