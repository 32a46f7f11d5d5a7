"""Answers that go to another place than the connection (WS-Addressing): 202 at once, the answer to the ReplyTo address.

The peer is an HTTP server of Python's library; requests are written by hand."""

import queue
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from lxml import etree

from hub.testing.sandbox import SandboxProcess
from tests.interop.by_hand import FIND_DOCUMENTS, SOAP, WSA, Answer, Entry, Integrator, Set, package, query, read
from tests.interop.test_communities import retrieve, urn, wanted

pytestmark = pytest.mark.interop
HOME, REPOSITORY = "1.2.250.1.999.92", "1.2.250.1.999.92.1"
APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
QUERY, RETRIEVE = "urn:ihe:iti:2007:CrossGatewayQuery", "urn:ihe:iti:2007:CrossGatewayRetrieve"
XDSB = "urn:ihe:iti:xds-b:2007"
SECONDS = 60


@dataclass
class Listener:
    """Takes answers. ``statuses``: what it says to the next ones; then 202."""

    statuses: list[int] = field(default_factory=list)
    answers: "queue.Queue[tuple[str, httpx.Response]]" = field(default_factory=queue.Queue)

    def __post_init__(self) -> None:
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = listener.statuses.pop(0) if listener.statuses else 202
                if status == 202:
                    kind = self.headers["Content-Type"]
                    listener.answers.put((self.path, httpx.Response(200, headers={"content-type": kind}, content=body)))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_request(self, *_: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def answer(self) -> tuple[str, Answer]:
        path, response = self.answers.get(timeout=SECONDS)
        return path, read(response)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(SECONDS)


@pytest.fixture(scope="module")
def system() -> Iterator[Integrator]:
    options = ("--open", "--home-community", HOME, "--repository-id", REPOSITORY)
    with SandboxProcess(*options) as box, Integrator(box) as running:
        yield running


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture
def entry(system: Integrator) -> Entry:
    patient = system.announce(f"A{uuid.uuid4().hex[:8]}", system.box["affinity_domain"])
    entry = Entry(patient=patient, content=b"asked for now, sent later")
    assert system.provide([entry], Set(patient=patient)).outcome == "Success"
    return entry


def envelope(action: str, body: str, message_id: str, **addresses: str) -> bytes:
    where = "".join(
        f"<a:{name}><a:Address>{address}</a:Address></a:{name}>" for name, address in addresses.items() if address
    )
    named = f"<a:MessageID>{message_id}</a:MessageID>" if message_id else ""
    return (
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="{WSA}"><s:Header><a:Action s:mustUnderstand="1">{action}</a:Action>'
        f"{named}{where}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def ask(system: Integrator, entry: Entry, message_id: str = "urn:uuid:1", **addresses: str) -> httpx.Response:
    """ITI-38."""
    asked = {"XDSDocumentEntryPatientId": f"'{entry.patient}'", "XDSDocumentEntryStatus": f"('{APPROVED}')"}
    content = envelope(QUERY, query(FIND_DOCUMENTS, asked), message_id, **addresses)
    return system.post(system.box["xca_responding"], f'application/soap+xml; action="{QUERY}"', content)


def header(answer: Answer, name: str) -> str:
    return str(answer.root.findtext(f"{{{SOAP}}}Header/{{{WSA}}}{name}"))


def replies(system: Integrator) -> list[Path]:
    """What still waits to be sent."""
    return list((Path(system.box["ca"]).parents[1] / "content" / "replies").iterdir())


def test_a_query_is_answered_elsewhere(system: Integrator, listener: Listener, entry: Entry) -> None:
    response = ask(system, entry, "urn:uuid:q1", ReplyTo=f"{listener.url}/gateway?x=1")
    assert (response.status_code, response.content) == (202, b"")
    path, answer = listener.answer()
    assert path == "/gateway?x=1"
    assert (answer.outcome, answer.uids) == ("Success", [entry.uid])
    assert header(answer, "RelatesTo") == "urn:uuid:q1"
    assert header(answer, "To") == f"{listener.url}/gateway?x=1"
    assert header(answer, "Action") == QUERY + "Response"


def test_a_peer_that_is_busy_is_tried_again(system: Integrator, listener: Listener, entry: Entry) -> None:
    listener.statuses = [503, 500]
    assert ask(system, entry, ReplyTo=listener.url).status_code == 202
    _, answer = listener.answer()
    assert answer.uids == [entry.uid]


def test_documents_come_as_a_package(system: Integrator, listener: Listener, entry: Entry) -> None:
    row = wanted(REPOSITORY, entry.uid, urn(HOME))
    body = f'<xdsb:RetrieveDocumentSetRequest xmlns:xdsb="{XDSB}">{row}</xdsb:RetrieveDocumentSetRequest>'
    content_type, content = package(envelope(RETRIEVE, body, "urn:uuid:r1", ReplyTo=listener.url), {}, RETRIEVE)
    assert system.post(system.box["xca_responding"], content_type, content).status_code == 202
    _, answer = listener.answer()
    assert (answer.outcome, answer.documents()) == ("Success", {entry.uid: entry.content})
    assert answer.parts
    assert retrieve(system, "xca_responding", row).documents() == {entry.uid: entry.content}


def test_what_is_refused_goes_there_too(system: Integrator, listener: Listener, entry: Entry) -> None:
    unknown = Entry(patient=f"NOBODY^^^&{system.box['affinity_domain']}&ISO")
    assert ask(system, unknown, ReplyTo=listener.url).status_code == 202
    assert listener.answer()[1].errors == ["XDSUnknownPatientId"]
    discover = "urn:hl7-org:v3:PRPA_IN201305UV02:CrossGatewayPatientDiscovery"
    broken = '<v:PRPA_IN201305UV02 xmlns:v="urn:hl7-org:v3"/>'
    for fault_to, path in (("", "/answers"), (f"{listener.url}/faults", "/faults")):
        content = envelope(discover, broken, "urn:uuid:f1", ReplyTo=f"{listener.url}/answers", FaultTo=fault_to)
        kind = f'application/soap+xml; action="{discover}"'
        assert system.post(system.box["xcpd_responding"], kind, content).status_code == 202
        where, answer = listener.answer()
        assert (where, answer.outcome, header(answer, "RelatesTo")) == (path, "Fault Sender", "urn:uuid:f1")


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.2:1/",
        "http://metadata.example/",
        "https://gateway.example/",
        "https://127.0.0.1@gateway.example/",
        "file:///etc/passwd",
        "urn:somewhere",
        "http://[::1",
    ],
)
def test_nothing_is_sent_to_places_that_are_not_permitted(system: Integrator, entry: Entry, address: str) -> None:
    for addresses in ({"ReplyTo": address}, {"FaultTo": address}):
        answer = read(ask(system, entry, **addresses))
        assert answer.outcome == "Fault Sender"
        assert b"OnlyAnonymousAddressSupported" in etree.tostring(answer.root)


def test_an_answer_must_be_told_from_others(system: Integrator, listener: Listener, entry: Entry) -> None:
    answer = read(ask(system, entry, "", ReplyTo=listener.url))
    assert answer.outcome == "Fault Sender"
    assert b"MessageAddressingHeaderRequired" in etree.tostring(answer.root)


def test_other_transactions_answer_on_the_connection(system: Integrator, listener: Listener, entry: Entry) -> None:
    action = "urn:ihe:iti:2007:RegistryStoredQuery"
    asked = {"XDSDocumentEntryPatientId": f"'{entry.patient}'", "XDSDocumentEntryStatus": f"('{APPROVED}')"}
    content = envelope(action, query(FIND_DOCUMENTS, asked), "urn:uuid:x", ReplyTo=listener.url)
    answer = read(system.post(system.box["xds_registry"], f'application/soap+xml; action="{action}"', content))
    assert b"OnlyAnonymousAddressSupported" in etree.tostring(answer.root)


def test_a_stranger_has_nothing_sent_anywhere(listener: Listener) -> None:
    with SandboxProcess("--home-community", HOME) as box, box.client(token=False) as client:
        content = envelope(QUERY, query(FIND_DOCUMENTS, {}), "urn:uuid:s", ReplyTo=listener.url)
        kind = {"Content-Type": "application/soap+xml"}
        assert client.post(box["xca_responding"], content=content, headers=kind).status_code == 401
    assert listener.answers.empty()


def test_what_was_sent_is_gone(system: Integrator, listener: Listener, entry: Entry) -> None:
    assert ask(system, entry, ReplyTo=listener.url).status_code == 202
    listener.answer()
    deadline = time.monotonic() + SECONDS
    while replies(system) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not replies(system)
