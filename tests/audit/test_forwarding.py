"""The trail on its way to a real rsyslog (TLS, mutual authentication) and to a FHIR server: nothing lost, in order."""

import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import ValidationError

from hub.app.audit.forwarding import AuditForwarder, LagMetrics
from hub.app.audit.sinks import CollectorUnavailable, sink_of
from hub.app.keys import pki
from hub.app.keys.tls import client_context
from hub.app.settings.atna import Atna, Collector
from hub.app.settings.nodes import Tls
from hub.audit.model import Own
from hub.audit.retention import Retention
from hub.audit.service import AuditService
from hub.storage.engine import Database
from hub.storage.migrate import load_stores
from hub.testing.ports import free_port
from tests.audit.builders import record
from tests.audit.collector import Rsyslog
from tests.waiting import until

OWN = Own("hub-1", "REGION", "https://hub.example", "hub.example", "4711", {"ITI-18": "Registry Stored Query"})
ROOT = Path(__file__).parents[2]
MANY = 2_000
IN_VAIN = 5.0  #: seconds given to a collector that will not answer
pytestmark = pytest.mark.timeout(600)
#: The document that each record of this test touched: its number.
_NUMBER = re.compile(r'ParticipantObjectID="1\.2\.3\.([0-9]+)"')


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pki")
    pki.init(directory)
    for node in ("hub", "collector"):
        pki.issue(directory, node)
    return directory


@pytest.fixture
def rsyslog(tmp_path: Path, keys: Path) -> Iterator[Rsyslog]:
    collector = Rsyslog(tmp_path / "rsyslog", keys)
    yield collector
    collector.stop()


@dataclass
class Sender:
    forwarder: AuditForwarder
    service: AuditService


def atna(address: str, **more: Any) -> Atna:
    return Atna(destinations=(Collector(**{"name": "arr", "address": address, "timeout": 20.0, **more}),))


def tls(keys: Path) -> Tls:
    return Tls(certificate=keys / "hub.crt", key=keys / "hub.key", ca=keys / "ca.crt")


@pytest.fixture
def sender(database: Database, rsyslog: Rsyslog, keys: Path) -> Iterator[Sender]:
    forwarder = AuditForwarder(atna(rsyslog.address), database, lambda: OWN, lambda: client_context(tls(keys)))
    forwarder.forwarding.open("arr", history=True)
    with AuditService(database=database) as service:
        yield Sender(forwarder, service)


def numbered(service: AuditService, numbers: range) -> None:
    for number in numbers:
        record(service, touched=[("patient", "Zoé^^^&1.2&ISO"), ("document", f"1.2.3.{number}")])
    service.flush()


def arrived(rsyslog: Rsyslog) -> list[int]:
    return [int(found[1]) for line in rsyslog.lines() if (found := _NUMBER.search(line))]


def test_what_rsyslog_gets(sender: Sender, rsyslog: Rsyslog) -> None:
    numbered(sender.service, range(3))
    with pytest.raises(CollectorUnavailable):
        sender.forwarder.step("arr", 10)  # it is down: nothing is lost
    rsyslog.start()
    assert sender.forwarder.step("arr", 2)
    assert sender.forwarder.step("arr", 2)
    assert not sender.forwarder.step("arr", 2)
    until(lambda: len(rsyslog.lines()) == 3)
    assert arrived(rsyslog) == [0, 1, 2]
    line = rsyslog.lines()[0]
    assert re.match(r"<85>1 \d{4}-\d\d-\d\dT[0-9:.]+Z hub\.example maillage 4711 IHE\+RFC-3881 - \ufeff<\?xml", line)
    assert "Zoé^^^&amp;1.2&amp;ISO" in line
    (lag,) = sender.forwarder.lags()
    assert (lag.waiting, lag.problem) == (0, "")


def test_a_collector_that_we_do_not_know_gets_nothing(
    sender: Sender, rsyslog: Rsyslog, database: Database, tmp_path: Path, keys: Path
) -> None:
    pki.init(tmp_path / "other")
    pki.issue(tmp_path / "other", "hub")
    rsyslog.start()
    numbered(sender.service, range(1))
    for shown, believed in ((tmp_path / "other", keys), (keys, tmp_path / "other")):
        context = client_context(Tls(certificate=shown / "hub.crt", key=shown / "hub.key", ca=believed / "ca.crt"))
        own = atna(rsyslog.address, timeout=IN_VAIN)
        forwarder = AuditForwarder(own, database, lambda: OWN, lambda given=context: given)  # type: ignore[misc]
        with pytest.raises(CollectorUnavailable):
            forwarder.step("arr", 10)
        forwarder.forwarding.release()
    assert sender.forwarder.step("arr", 10)
    until(lambda: arrived(rsyslog) == [0])


def test_a_collector_that_goes_away_in_the_middle_loses_nothing(sender: Sender, rsyslog: Rsyslog) -> None:
    numbered(sender.service, range(400))
    rsyslog.start()
    sender.forwarder.start()
    try:
        until(lambda: len(arrived(rsyslog)) >= 200)
        rsyslog.stop()
        numbered(sender.service, range(400, 800))
        rsyslog.start()
        until(lambda: set(arrived(rsyslog)) == set(range(800)))
    finally:
        sender.forwarder.stop()
    assert list(dict.fromkeys(arrived(rsyslog))) == list(range(800))


def test_sigkill_of_the_hub_loses_nothing(tmp_path: Path, rsyslog: Rsyslog, keys: Path) -> None:
    """2,000 records while the collector is down; the hub is killed while it sends, and starts again."""
    url = f"sqlite:///{tmp_path / 'hub.sqlite'}"
    load_stores()
    database = Database(url)
    database.create_all()
    with AuditService(database=database, spool=tmp_path / "spool") as service:
        numbered(service, range(MANY))
    database.dispose()

    def hub() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.audit.forwards", url, rsyslog.address, str(keys)]
        return subprocess.Popen(command, cwd=ROOT)

    first = hub()
    rsyslog.start()
    try:
        until(lambda: len(arrived(rsyslog)) >= 300)
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait(30)
    before = len(arrived(rsyslog))
    second = hub()
    try:
        until(lambda: set(arrived(rsyslog)) == set(range(MANY)))
    finally:
        second.terminate()
        second.wait(30)
    assert before < MANY
    assert list(dict.fromkeys(arrived(rsyslog))) == list(range(MANY))


def test_a_collector_that_does_not_confirm_gets_it_again(database: Database, keys: Path) -> None:
    """It took the bytes and fell over before it said that it had read everything."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys / "collector.crt", keys / "collector.key")
    with socket.create_server(("127.0.0.1", 0)) as listening, AuditService(database=database) as service:
        address = f"127.0.0.1:{listening.getsockname()[1]}"

        def fall_over() -> None:
            connection, _ = listening.accept()
            with context.wrap_socket(connection, server_side=True) as secured:
                secured.recv(100)

        peer = threading.Thread(target=fall_over)
        peer.start()
        own = atna(address, ca=keys / "ca.crt", timeout=IN_VAIN)
        forwarder = AuditForwarder(own, database, lambda: OWN, lambda: client_context(tls(keys)))
        forwarder.forwarding.open("arr", history=True)
        numbered(service, range(1))
        with pytest.raises(CollectorUnavailable):
            forwarder.step("arr", 10)
        peer.join(30)
        assert [position for position, _ in forwarder.forwarding.next("arr", 10)] == [1]


class Repository(BaseHTTPRequestHandler):
    """Takes Bundles; ``refuses``: answers 503 so many times. ``says``: what it answers first, taking nothing."""

    bundles: ClassVar[list[dict[str, Any]]] = []
    refuses: ClassVar[int] = 0
    says: ClassVar[list[bytes]] = []

    def do_POST(self) -> None:
        found = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
        taken = [{"response": {"status": "201 Created"}} for _ in found["entry"]]
        answer = orjson.dumps({"resourceType": "Bundle", "type": "batch-response", "entry": taken})
        if type(self).refuses:
            type(self).refuses -= 1
            self.send_response(503)
        else:
            if self.says:
                answer = self.says.pop(0)
            else:
                self.bundles.append(found)
            self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def answering(handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a collector."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


def test_audit_events_to_a_fhir_server(database: Database) -> None:
    Repository.bundles, Repository.refuses = [], 1
    with answering(Repository) as port:
        settings = atna(f"http://127.0.0.1:{port}/fhir", kind="fhir", batch=2)
        forwarder = AuditForwarder(settings, database, lambda: OWN, lambda: client_context(Tls()))
        with AuditService(database=database) as service:
            numbered(service, range(5))
            forwarder.start()
            until(lambda: sum(len(bundle["entry"]) for bundle in Repository.bundles) == 5)
            forwarder.stop()
        assert [len(bundle["entry"]) for bundle in Repository.bundles] == [1, 2, 2], "fewer after a failure"
        event = Repository.bundles[0]["entry"][0]["resource"]
        assert event["resourceType"] == "AuditEvent"
        assert event["subtype"][0]["code"] == "ITI-18"
        (lag,) = forwarder.lags()
        assert lag.waiting == 0
        gauges = LagMetrics(forwarder).collect()
        assert [sample.value for gauge in gauges for sample in gauge.samples] == [0, 0, 0]


@pytest.mark.parametrize(
    "answer",
    [
        b"{}", b"thank you", b"[]", b'{"resourceType": "Bundle", "entry": []}',
        b'{"resourceType": "Bundle", "entry": [{"response": {"status": "201"}}, {"response": {"status": "422"}}]}',
        b'{"resourceType": "Bundle", "entry": [{"response": {"status": "201"}}, {}]}',
    ],
)  # fmt: skip
def test_what_a_fhir_server_does_not_say_it_took_is_sent_again(database: Database, answer: bytes) -> None:
    Repository.bundles, Repository.says = [], [answer]
    with answering(Repository) as port:
        settings = atna(f"http://127.0.0.1:{port}/fhir", kind="fhir", batch=2)
        forwarder = AuditForwarder(settings, database, lambda: OWN, lambda: client_context(Tls()))
        forwarder.forwarding.open("arr", history=True)
        with AuditService(database=database) as service:
            numbered(service, range(2))
            service.flush()
            with pytest.raises(CollectorUnavailable):
                forwarder.step("arr", 2)
            assert [position for position, _ in forwarder.forwarding.next("arr", 2)] == [1, 2]
            forwarder.step("arr", 2)
        assert list(forwarder.forwarding.next("arr", 2)) == []
        assert [len(bundle["entry"]) for bundle in Repository.bundles] == [2]


class Choosy(Repository):
    """Takes each event of a Bundle but one, until it relents; ``most``: takes no larger Bundles."""

    taken: ClassVar[list[int]] = []
    never: ClassVar[int] = 5
    most: ClassVar[int] = 2

    def do_POST(self) -> None:
        found = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))["entry"]
        numbers = [int(re.findall(rb"1\.2\.3\.([0-9]+)\b", orjson.dumps(item))[0]) for item in found]
        answers = [{"response": {"status": "422" if one == self.never else "201 Created"}} for one in numbers]
        answer = orjson.dumps({"resourceType": "Bundle", "type": "batch-response", "entry": answers})
        if len(found) <= self.most:
            self.taken.extend(one for one in numbers if one != self.never)
        self.send_response(200 if len(found) <= self.most else 413)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


def test_one_event_that_a_collector_will_not_take_holds_back_none_before_it(database: Database) -> None:
    """Nor are the others sent again and again with it; nor does a collector stop the trail that takes fewer at once."""
    Choosy.taken, Choosy.never = [], 5
    with answering(Choosy) as port:
        settings = atna(f"http://127.0.0.1:{port}/fhir", kind="fhir", batch=8)
        forwarder = AuditForwarder(settings, database, lambda: OWN, lambda: client_context(Tls()))
        try:
            with AuditService(database=database) as service:
                numbered(service, range(8))
                forwarder.start()
                until(lambda: forwarder.lags()[0].problem == "The collector took 0 of 1 events. It answers 422.")
                assert forwarder.lags()[0].position == 5
                Choosy.never = -1
                until(lambda: forwarder.lags()[0].waiting == 0)
            assert sorted(set(Choosy.taken)) == list(range(8))
            assert list(dict.fromkeys(one for one in Choosy.taken if one < 6)) == list(range(6)), "in order"
        finally:
            forwarder.stop()


def test_what_a_collector_refuses_is_set_aside_and_sent_again(database: Database) -> None:
    Choosy.taken, Choosy.never = [], 5
    with answering(Choosy) as port:
        settings = atna(f"http://127.0.0.1:{port}/fhir", kind="fhir", batch=2)
        forwarder = AuditForwarder(settings, database, lambda: OWN, lambda: client_context(Tls()))
        forwarding = forwarder.forwarding
        try:
            with AuditService(database=database) as service:
                numbered(service, range(8))
                assert forwarding.set_aside("arr") is None, "nobody refused anything"
                forwarder.start()
                until(lambda: forwarder.lags()[0].refused)
                found = forwarding.set_aside("arr")
                assert found is not None
                assert found.objects[1].reference == "1.2.3.5"
                until(lambda: forwarder.lags()[0].waiting == 0)
                (lag,) = forwarder.lags()
                assert (lag.aside, lag.refused, lag.problem) == (1, False, "")
                assert sorted(set(Choosy.taken)) == [0, 1, 2, 3, 4, 6, 7]
                assert Retention(database, timedelta(microseconds=1), ["arr"]).sweep() == 5, "what was not taken stays"
                assert forwarding.send_again("arr") == 1
                until(lambda: not forwarding.asides()[0][0].again)
                ((aside, record),) = forwarding.asides()
                assert (aside.problem, record) == ("The collector took 0 of 1 events. It answers 422.", found)
                Choosy.never = -1
                assert forwarding.send_again("arr") == 1
                until(lambda: not forwarding.asides())
            assert sorted(set(Choosy.taken)) == list(range(8))
            assert Retention(database, timedelta(microseconds=1), ["arr"]).sweep() == 3
        finally:
            forwarder.stop()


def test_a_collector_that_is_away_refuses_nothing(database: Database) -> None:
    Repository.bundles, Repository.refuses = [], 1
    with answering(Repository) as port:
        settings = atna(f"http://127.0.0.1:{port}/fhir", kind="fhir")
        forwarder = AuditForwarder(settings, database, lambda: OWN, lambda: client_context(Tls()))
        forwarder.forwarding.open("arr", history=True)
        with AuditService(database=database) as service:
            numbered(service, range(1))
            with pytest.raises(CollectorUnavailable, match="503"):
                forwarder.step("arr", 1)
            assert forwarder.forwarding.set_aside("arr") is None


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"], ids=["head", "body"])
def test_a_collector_that_drips_is_cut_off(head: bytes) -> None:
    """A byte now and then is no silence: the time is for the whole."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                connection.recv(1_000_000)
                connection.sendall(head or b"HTTP/1.1 200 ")
                while True:
                    connection.sendall(b"a")
                    ended.wait(0.02)

        ended, peer = threading.Event(), threading.Thread(target=drip)
        peer.start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/fhir"
        (collector,) = atna(address, kind="fhir", timeout=0.2).destinations
        with pytest.raises(CollectorUnavailable, match="does not answer in time"):
            sink_of(collector, lambda: OWN, lambda: client_context(Tls())).send([])
        peer.join(30)
        assert not peer.is_alive()


@pytest.fixture(scope="module")
def expired(keys: Path) -> Iterator[int]:
    """The port of a collector whose certificate is over."""
    authority, key = pki.authority_of(keys)
    own = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "collector")])
    hosts = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    builder = pki.builder_of(name, authority.subject, own.public_key(), -3).add_extension(hosts, critical=False)
    pki.write(keys, "expired", builder.sign(key, hashes.SHA256()), own)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys / "expired.crt", keys / "expired.key")
    with answering(Repository, context) as port:
        yield port


@pytest.mark.parametrize("kind", ["fhir", "syslog-tls"])
def test_the_operator_reads_why(keys: Path, expired: int, kind: str) -> None:
    """The same words whichever way it is sent, and the collector is not blamed for the hub's own files."""

    def why(place: str, **more: Any) -> str:
        address = f"https://{place}/fhir" if kind == "fhir" else place
        (collector,) = atna(address, kind=kind, **more).destinations
        with pytest.raises(CollectorUnavailable) as error:
            sink_of(collector, lambda: OWN, lambda: client_context(tls(keys))).send([])
        return error.value.message

    place = f"127.0.0.1:{expired}"
    assert why(place) == "The collector's certificate is not good: certificate has expired."
    assert "own files" in why(place, ca=keys / "none.crt")
    assert why(f"127.0.0.1:{free_port()}") == "The collector does not answer: Connection refused."
    with socket.create_server(("127.0.0.1", 0)) as silent:
        told = why(f"127.0.0.1:{silent.getsockname()[1]}", timeout=0.2)
        assert told == "The collector does not answer in time."


def test_udp_on_this_machine(database: Database) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer, AuditService(database=database) as service:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(30)
        settings = atna(f"127.0.0.1:{peer.getsockname()[1]}", kind="syslog-udp")
        forwarder = AuditForwarder(settings, database, lambda: OWN, lambda: client_context(Tls()))
        forwarder.forwarding.open("arr", history=True)
        numbered(service, range(1))
        assert forwarder.step("arr", 10)
        assert peer.recv(65_535).startswith(b"<85>1 ")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kind": "syslog-udp", "address": "10.0.0.9:514"}, "over TLS only"),
        ({"kind": "fhir", "address": "http://10.0.0.9/fhir"}, "over TLS only"),
        ({"kind": "fhir", "address": "10.0.0.9:1"}, "a URL for fhir"),
        ({"kind": "syslog-tls", "address": "https://arr.example/"}, "host:port"),
        ({"address": "arr.example:6514", "certificate": Path("x")}, "needed together"),
    ],
)
def test_settings_that_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Collector(name="arr", **settings)


def test_destinations_have_names_of_their_own() -> None:
    one = Collector(name="arr", address="arr.example:6514")
    with pytest.raises(ValidationError, match="the same name"):
        Atna(destinations=(one, one))
