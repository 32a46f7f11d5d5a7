"""Subscribers, pullers and consumers that are written by hand: SOAP over HTTP, nothing of the hub's own code."""

import http.server
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

import httpx
from lxml import etree

from tests.interop.by_hand import NS, RIM, Answer, Entry, Set, envelope, provision, slot

WSNT, BF, R = (
    "http://docs.oasis-open.org/wsn/b-2",
    "http://docs.oasis-open.org/wsrf/bf-2",
    "http://docs.oasis-open.org/wsrf/r-2",
)
BW = "http://docs.oasis-open.org/wsn/bw-2"
WSA = "http://www.w3.org/2005/08/addressing"
SIMPLE = "http://docs.oasis-open.org/wsn/t-1/TopicExpression/Simple"
NAMES = {**NS, "wsnt": WSNT, "wsa": WSA, "bf": BF, "r": R}
DOCUMENTS = "urn:uuid:aa2332d0-f8fe-11e0-be50-0800200c9a66"
ANY_DOCUMENTS = "urn:uuid:742790e0-aba6-43d6-9f1f-e43ed9790b79"


def subscribe_body(
    consumer: str,
    slots: Mapping[str, Iterable[str]],
    *,
    topic: str = "ihe:FullDocumentEntry",
    query: str = DOCUMENTS,
    until: str = "",
    dialect: str = SIMPLE,
    more: str = "",
    parameters: str = "",
) -> str:
    """A wsnt:Subscribe. ``slots``: parameter without ``$`` -> the texts of its Values."""
    filters = "".join(slot(f"${name}", values) for name, values in slots.items())
    end = f"<wsnt:InitialTerminationTime>{until}</wsnt:InitialTerminationTime>" if until else ""
    return (
        f'<wsnt:Subscribe xmlns:wsnt="{WSNT}" xmlns:a="{WSA}" xmlns:rim="{RIM}"><wsnt:ConsumerReference>'
        f"<a:Address>{consumer}</a:Address>{parameters}</wsnt:ConsumerReference><wsnt:Filter>"
        f'<wsnt:TopicExpression Dialect="{dialect}">{topic}</wsnt:TopicExpression>'
        f'<rim:AdhocQuery id="{query}">{filters}</rim:AdhocQuery></wsnt:Filter>{end}{more}</wsnt:Subscribe>'
    )


class System:
    """A system with its token, that talks to a hub."""

    def __init__(self, url: str, token: str = "") -> None:
        self.url = url
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.http = httpx.Client(timeout=60, headers=headers)

    def post(self, url: str, action: str, body: str) -> httpx.Response:
        """A SOAP message."""
        headers = {"Content-Type": f'application/soap+xml; charset=UTF-8; action="{action}"'}
        return self.http.post(url, content=envelope(action, body, url), headers=headers)

    def call(self, url: str, action: str, body: str) -> Answer:
        """A SOAP message and its answer."""
        answer = self.post(url, action, body)
        return Answer(answer.status_code, etree.fromstring(answer.content))

    def subscribe(self, consumer: str, slots: Mapping[str, Iterable[str]], **more: Any) -> Answer:
        """ITI-52."""
        action = f"{BW}/NotificationProducer/SubscribeRequest"
        return self.call(f"{self.url}/dsub/broker", action, subscribe_body(consumer, slots, **more))

    def unsubscribe(self, address: str) -> Answer:
        """ITI-52."""
        action = f"{BW}/SubscriptionManager/UnsubscribeRequest"
        return self.call(address, action, f'<wsnt:Unsubscribe xmlns:wsnt="{WSNT}"/>')

    def renew(self, address: str, until: str) -> Answer:
        """WS-BaseNotification 1.3: 6.1.1."""
        body = f'<w:Renew xmlns:w="{WSNT}"><w:TerminationTime>{until}</w:TerminationTime></w:Renew>'
        return self.call(address, f"{BW}/SubscriptionManager/RenewRequest", body)

    def create_pull_point(self) -> Answer:
        """ITI-69."""
        action = f"{BW}/CreatePullPoint/CreatePullPointRequest"
        return self.call(f"{self.url}/dsub/pullpoints", action, f'<wsnt:CreatePullPoint xmlns:wsnt="{WSNT}"/>')

    def destroy_pull_point(self, address: str) -> Answer:
        """ITI-69."""
        action = f"{BW}/PullPoint/DestroyPullPointRequest"
        return self.call(address, action, f'<wsnt:DestroyPullPoint xmlns:wsnt="{WSNT}"/>')

    def get_messages(self, address: str, maximum: str = "") -> Answer:
        """ITI-70."""
        inner = f"<wsnt:MaximumNumber>{maximum}</wsnt:MaximumNumber>" if maximum else ""
        action = f"{BW}/PullPoint/GetMessagesRequest"
        return self.call(address, action, f'<wsnt:GetMessages xmlns:wsnt="{WSNT}">{inner}</wsnt:GetMessages>')

    def notify(self, address: str, objects: str, *, head: str = "") -> httpx.Response:
        """ITI-54 to a broker, ITI-53 to a pull point. ``objects``: of the RegistryObjectList."""
        body = (
            f'<wsnt:Notify xmlns:wsnt="{WSNT}" xmlns:a="{WSA}" xmlns:rim="{RIM}"><wsnt:NotificationMessage>{head}'
            "<wsnt:ProducerReference><a:Address>urn:oid:1.2.3.4</a:Address></wsnt:ProducerReference><wsnt:Message>"
            '<lcm:SubmitObjectsRequest xmlns:lcm="urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0">'
            f"<rim:RegistryObjectList>{objects}</rim:RegistryObjectList></lcm:SubmitObjectsRequest></wsnt:Message>"
            "</wsnt:NotificationMessage></wsnt:Notify>"
        )
        return self.post(address, f"{BW}/NotificationConsumer/Notify", body)

    def provide(self, entry: Entry) -> str:
        """ITI-41: the uniqueId of what was registered."""
        kind, body = provision([entry], Set(patient=entry.patient), url=f"{self.url}/xds/repository")
        answer = self.http.post(f"{self.url}/xds/repository", content=body, headers={"Content-Type": kind})
        assert answer.status_code == 200
        assert b"ResponseStatusType:Success" in answer.content, answer.content
        return entry.uid


def address_of(answer: Answer, name: str = "SubscriptionReference") -> str:
    """The address in an answer's endpoint reference."""
    found = answer.body.findtext(f"wsnt:{name}/wsa:Address", namespaces=NAMES)
    assert found, etree.tostring(answer.root)
    return str(found)


def fault_of(answer: Answer) -> str:
    """The local name of the standard's fault, "" when the fault is none of it."""
    detail = answer.root.find("s:Body/s:Fault/s:Detail", NS)
    assert detail is not None, etree.tostring(answer.root)
    names = [etree.QName(item) for item in detail]
    return next((str(name.localname) for name in names if name.namespace in (WSNT, R)), "")


class Consumer:
    """A notification recipient: a real HTTP server. ``answers``: a status, or what answers by hand."""

    def __init__(self) -> None:
        self.received: list[etree._Element] = []
        self.requests: list[tuple[str, Mapping[str, str]]] = []
        self.answers: list[int | Callable[[http.server.BaseHTTPRequestHandler], None]] = []
        consumer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                answer = consumer.answers.pop(0) if consumer.answers else 202
                consumer.requests.append((self.path, dict(self.headers.items())))
                if answer in (200, 202):
                    consumer.received.append(etree.fromstring(content))
                if callable(answer):
                    answer(self)
                    return
                self.send_response(answer)
                self.send_header("Content-Length", "0")
                if answer in (301, 302, 307, 308):
                    self.send_header("Location", "http://127.0.0.1:9/elsewhere")
                self.end_headers()

            def do_GET(self) -> None:
                consumer.requests.append((f"GET {self.path}", {}))
                self.send_error(404)

            def log_message(self, *_: Any) -> None:
                """Be quiet."""

        self._handler = Handler
        self._server: http.server.ThreadingHTTPServer | None = None
        self.port = 0

    def start(self) -> Self:
        """Listen: at the same port as before, if there was one."""
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), self._handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self) -> None:
        """Be down."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def url(self) -> str:
        """Where notifications are to be sent."""
        return f"http://127.0.0.1:{self.port}/xdsBnotification"

    @property
    def uids(self) -> list[str]:
        """uniqueIds of the entries that came, in order."""
        return [
            str(row.get("value"))
            for root in self.received
            for row in root.iter(f"{{{RIM}}}ExternalIdentifier")
            if row.get("identificationScheme") == "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"
        ]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
