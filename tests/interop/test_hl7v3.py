"""PIXV3 and PDQV3 over real sockets: what is kept before it is acknowledged, what is audited, what is described.

The consumer of notifications (ITI-46) is the standard library's HTTP server; zeep reads the hub's own description."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import zeep
from lxml import etree
from zeep.transports import Transport

from hub.app.settings.model import Authority, Feed, Security, Settings, Storage
from hub.app.settings.sharing import NotificationRecipient
from hub.app.web.purposes import guarded
from hub.app.wiring import Hub
from hub.context import Context
from hub.exchange.model import DeliveryState, MessageState, Page, ReplayMessage
from hub.pipeline.catalogue import discover
from hub.wire.soap.message import SoapMessage
from tests.interop.by_hand import envelope
from tests.loopback import PORTS
from tests.waiting import until
from tests.wire.hl7v3 import messages
from tests.wire.hl7v3.messages import ADD, DETAILS, DEVICE, REVISE, V3, ZOE, code, every, feed, ids, named, person
from tests.wire.hl7v3.schemas import problems

pytestmark = pytest.mark.interop
A, B = "1.2.250.1.999.71", "1.2.250.1.999.72"
CONSUMER = "1.2.250.1.999.60.5"
NIR = "1.2.250.1.213.1.4.8"
SOAP_TYPE = "application/soap+xml; charset=UTF-8"
BODY = "{http://www.w3.org/2003/05/soap-envelope}Body"
SURE = messages.status("VALI")


class Consumer:
    """A PIXV3 consumer: keeps the messages, answers with ``codes`` in turn, then with CA. ``instead``: status, media
    type and content of what answers first in its place."""

    def __init__(self) -> None:
        self.received: list[Any] = []
        self.instead: list[tuple[int, str, bytes]] = []
        self.codes: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = etree.fromstring(self.rfile.read(int(self.headers["Content-Length"]))).find(BODY)
                assert body is not None
                outer.received.append(body[0])
                if outer.instead:
                    status, media_type, content = outer.instead.pop(0)
                else:
                    status, media_type, content = 200, SOAP_TYPE, outer.answer(body[0])
                self.send_response(status)
                self.send_header("Content-Type", media_type)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/pix/consumer"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, message: Any) -> bytes:
        told = self.codes.pop(0) if self.codes else "CA"
        root = message.find(f"{{{V3}}}id").get("root")
        ack = messages.message("MCCI_IN000002UV01", "", extra=(
            f'<acknowledgement><typeCode code="{told}"/><targetMessage><id root="{root}"/></targetMessage>'
            "</acknowledgement>"
        )).replace('<controlActProcess classCode="CACT" moodCode="EVN"></controlActProcess>', "")  # fmt: skip
        return envelope("urn:hl7-org:v3:MCCI_IN000002UV01", ack)


@pytest.fixture
def consumer() -> Iterator[Consumer]:
    consumer = Consumer()
    yield consumer
    consumer.server.shutdown()
    consumer.server.server_close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def hub(request: pytest.FixtureRequest, tmp_path: Path, consumer: Consumer) -> Iterator[Hub]:
    told = NotificationRecipient(name="RIS", kind="hl7v3", address=consumer.url, device=CONSUMER, domains=(A, B))
    settings = Settings(
        authorities=(
            Authority(namespace="CHA", oid=A, application="HIS_A", facility="CHA"),
            Authority(namespace="CHB", oid=B),
        ),
        feeds=(Feed(application="HIS_A", facility="CHA", name="HIS_A", device=DEVICE),),
        notifications=(told,),
        **PORTS,
        security=Security(node_authentication=False),
        storage=Storage(database=request.getfixturevalue(f"{request.param}_url"), content=tmp_path / "content"),
    )
    hub = Hub(settings)
    hub.exchange.backoff = 0.1
    hub.start()
    yield hub
    hub.stop()


def ask(hub: Hub, path: str, text: str, action: str = "", *, status: int = 200, checked: bool = True) -> Any:
    """The answer's element; question and answer are valid by HL7's schemas."""
    name = etree.fromstring(text.encode()).tag.rpartition("}")[2]
    content = envelope(f"{V3}:{action or name}", text)
    answer = httpx.post(hub.public_url() + path, content=content, headers={"Content-Type": SOAP_TYPE}, timeout=60)
    assert answer.status_code == status, answer.text
    body = etree.fromstring(answer.content).find(BODY)
    assert body is not None
    if status == 200 and checked:
        assert problems(etree.fromstring(text.encode())) == []
        assert problems(body[0]) == []
    return body[0]


def told(hub: Hub, text: str) -> str:
    return code(ask(hub, "/pix/manager", text), "acknowledgement/typeCode")


def test_a_feed_is_kept_then_acknowledged_and_a_consumer_hears_of_it(hub: Hub, consumer: Consumer) -> None:
    assert told(hub, feed(ADD, person("A1", A, after=SURE))) == "CA"
    (message,) = hub.exchange.messages(Page())
    assert (message.transaction, message.wire, message.source) == ("ITI-44", "soap", "HIS_A")
    assert message.state is MessageState.PROCESSED
    assert b"A1" in hub.exchange.message(message.id).raw
    assert told(hub, feed(ADD, person("B1", B, after=SURE))) == "CA"
    answer = ask(hub, "/pix/manager", messages.pix_query("A1", A, [B]))
    assert ids(every(answer, "patient/id")) == [("B1", B)]
    until(lambda: len(consumer.received) == 1)
    (notice,) = consumer.received
    assert problems(notice) == []
    assert set(ids(every(notice, "patient/id") + every(notice, "asOtherIDs/id"))) == {("A1", A), ("B1", B)}
    assert [item.get("root") for item in every(notice, "receiver/device/id")] == [CONSUMER]
    assert "LÉGER" not in etree.tostring(notice, encoding="unicode")


def test_a_consumer_that_is_busy_or_refuses(hub: Hub, consumer: Consumer) -> None:
    consumer.codes = ["CR", "CE"]
    for number, root in (("A1", A), ("B1", B)):
        assert told(hub, feed(ADD, person(number, root, after=SURE))) == "CA"
    until(lambda: len(consumer.received) == 2)
    first, second = (ids(every(notice, "id")) for notice in consumer.received)
    assert first == second, "sent again it is the same message, so that a consumer can tell"
    until(lambda: [item.state for item in hub.exchange.deliveries(Page())] == [DeliveryState.DEAD])


def test_what_a_proxy_answers_in_its_place_does_not_end_the_delivery(hub: Hub, consumer: Consumer) -> None:
    page = b"<html><body>Maintenance</body></html>"
    consumer.instead = [
        (200, "text/html", page), (200, SOAP_TYPE, page), (200, SOAP_TYPE, b"<unfinished"), (200, "", b""),
        (302, "text/html; charset=utf-8", page), (200, "multipart/related", page),
        (200, SOAP_TYPE, b"<!DOCTYPE html>" + page), (200, "text/html", b"x" * 2_000_000),
    ]  # fmt: skip
    hub.exchange.max_attempts, hub.exchange.longest_backoff = 20, 0.1
    ended = (DeliveryState.DONE, DeliveryState.DEAD)
    waited = len(consumer.instead)
    for number, root in (("A1", A), ("B1", B)):
        assert told(hub, feed(ADD, person(number, root, after=SURE))) == "CA"
    until(lambda: [item.state in ended for item in hub.exchange.deliveries(Page())] == [True])
    (delivery,) = hub.exchange.deliveries(Page())
    assert (delivery.state, len(consumer.received)) == (DeliveryState.DONE, waited + 1)


def test_a_repeat_a_stranger_and_a_replay(hub: Hub) -> None:
    text = feed(ADD, person("A1", A, others=messages.other("279035121518989", NIR)))
    content = envelope(f"{V3}:{ADD}", text)
    for _ in range(2):
        answer = httpx.post(
            f"{hub.public_url()}/pix/manager", content=content, headers={"Content-Type": SOAP_TYPE}, timeout=60
        )
        assert b'code="CA"' in answer.content
        assert b"kept without its INS" in answer.content, "a repeat has the first one's answer"
    assert len(hub.exchange.messages(Page())) == 1, "the same bytes are taken once"
    stranger = feed(REVISE, person("A1", A, name=ZOE.replace("LÉGER", "AUTRE")), device="1.2.3.4")
    assert told(hub, stranger) == "CE"
    assert b"AUTRE" not in etree.tostring(ask(hub, "/pdq/supplier", messages.pdq_query(named("Léger"))))
    refused = next(item for item in hub.exchange.messages(Page()) if item.state is MessageState.REFUSED)
    assert (refused.source, refused.error_code) == ("1.2.3.4", "authority-not-owned")
    again = hub.exchange.replay_message(ReplayMessage(refused.id), Context())
    assert (again.state, again.error_code) == (MessageState.REFUSED, "authority-not-owned")
    unknown = feed(ADD, person("Q1", "1.2.3.4.5"))
    assert told(hub, unknown) == "CE"


@pytest.mark.parametrize("purpose", ["T", "D", "X"])
def test_what_is_not_for_real_is_refused(hub: Hub, purpose: str) -> None:
    """processingCode, as MSH-11: the transaction's own answer, one record, nobody becomes a patient or is told of."""

    def refused(path: str, text: str, action: str = "") -> tuple[str, ...]:
        for_another = text.replace('<processingCode code="P"/>', f'<processingCode code="{purpose}"/>')
        answer = ask(hub, path, for_another, action, checked=purpose != "X")
        assert every(answer, "registrationEvent") == []
        (place,) = every(answer, "acknowledgement/acknowledgementDetail/location")
        assert place.text == "//processingCode"
        parts = ("typeCode", "acknowledgementDetail/code")
        return tuple(code(answer, f"acknowledgement/{part}") for part in parts)

    assert told(hub, feed(ADD, person("A1", A, after=SURE))) == "CA"
    asked = messages.pdq_query(named("Léger"))
    assert refused("/pix/manager", feed(ADD, person("A2", A, after=SURE))) == ("CR", "NS250")
    assert refused("/pix/manager", messages.pix_query("A1", A)) == ("AE", "NS250")
    assert refused("/pdq/supplier", asked) == ("AE", "NS250")
    assert refused("/pdq/supplier", messages.more("p", cancel=True)) == ("CR", "NS250")
    discovery = "PRPA_IN201305UV02:CrossGatewayPatientDiscovery"
    assert refused("/xcpd/responding", asked, discovery) == ("AE", "NS250")
    assert hub.audit.flush()
    records = [item.transaction for item in hub.audit.recent() if item.error_code == "hl7v3-processing-code"]
    assert sorted(records) == ["ITI-44", "ITI-45", "ITI-47", "ITI-47", "ITI-55"]
    (kept,) = [item for item in hub.exchange.messages(Page()) if item.state is MessageState.REFUSED]
    assert (kept.transaction, kept.error_code) == ("ITI-44", "hl7v3-processing-code")
    again = hub.exchange.replay_message(ReplayMessage(kept.id), Context())
    assert (again.state, again.error_code) == (MessageState.REFUSED, "hl7v3-processing-code")
    assert code(ask(hub, "/pix/manager", messages.pix_query("A2", A)), "acknowledgement/typeCode") == "AE"


@pytest.mark.parametrize("said", ['<processingCode code="T"/>', '<processingCode nullFlavor="NI"/>', ""])
def test_what_a_hub_takes_beside(said: str) -> None:
    bound = guarded(discover(), ("P", "T"))["ITI-44"]
    text = feed(ADD, person("A1", A, after=SURE)).replace('<processingCode code="P"/>', said)
    bound.decode(SoapMessage("", etree.fromstring(text.encode())), Context())


def test_every_use_is_audited(hub: Hub) -> None:
    told(hub, feed(ADD, person("A1", A, after=SURE)))
    ask(hub, "/pix/manager", messages.pix_query("A1", A))
    ask(hub, "/pix/manager", messages.pix_query("NOBODY", A))
    ask(hub, "/pdq/supplier", messages.pdq_query(named("Léger"), quantity=0, query="p"))
    ask(hub, "/pdq/supplier", messages.more("p"), "QUQI_IN000003UV01_Continue")
    ask(hub, "/pdq/supplier", messages.more("p", cancel=True))
    until(lambda: len(outcomes(hub)) >= 6)
    assert sorted(outcomes(hub)) == [
        ("ITI-44", ""), ("ITI-45", ""), ("ITI-45", "unknown-identifier"), *[("ITI-47", "")] * 3,
    ]  # fmt: skip


def outcomes(hub: Hub) -> list[tuple[str, str]]:
    assert hub.audit.flush()
    return [(item.transaction, item.error_code) for item in hub.audit.recent() if item.transaction.startswith("ITI-4")]


def test_one_source_in_order_and_many_at_once(hub: Hub) -> None:
    texts = []
    for number in range(12):
        name = ZOE.replace("LÉGER", f"NOM{number}")
        texts.append(feed(ADD, person(f"B{number}", B, name=name, after=SURE), device=f"1.2.3.{number % 3}"))
    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(lambda text: told(hub, text), texts)) == {"CA"}
    same = [feed(ADD, person("B99", B, after=SURE), device=f"1.2.3.{number}") for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda text: told(hub, text), same)) == {"CA"}
    answer = ask(hub, "/pdq/supplier", messages.pdq_query(named("Léger")))
    assert code(answer, "queryAck/queryResponseCode") == "OK"
    assert len(every(answer, "registrationEvent")) == 1


@pytest.mark.parametrize(
    "text",
    [
        "<PRPA_IN201301UV02 xmlns='urn:hl7-org:v3'/>",
        feed(ADD, person("A1", A)).replace("<sender", "<x").replace("</sender>", "</x>"),
        feed(ADD, person("A1", A)).replace("creationTime", "creation"),
    ],
)
def test_what_has_no_wrapper_gets_a_fault(hub: Hub, text: str) -> None:
    body = ask(hub, "/pix/manager", text, ADD, status=400)
    assert body.tag.endswith("Fault")


def test_hostile_messages(hub: Hub) -> None:
    good = feed(ADD, person("A1", A))
    entity = b'<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd">]>' + envelope(f"{V3}:{ADD}", good)
    deep = envelope(
        f"{V3}:{ADD}", good.replace("</patientPerson>", "<desc>" * 5000 + "</desc>" * 5000 + "</patientPerson>")
    )
    for content in (entity, deep):
        answer = httpx.post(
            f"{hub.public_url()}/pix/manager", content=content, headers={"Content-Type": SOAP_TYPE}, timeout=60
        )
        assert answer.status_code in (400, 413, 500)
        assert b"root:" not in answer.content
    for bad in (
        good.replace("19790328", "19790328" * 40),
        good.replace("LÉGER", "L" * 100_000),
        good.replace('extension="A1"', f'extension="{"9" * 100_000}"'),
        feed(ADD, person("A1", A, others=messages.other("1", "1.2.3") * 500)),
        good.replace(DETAILS, DETAILS.replace('code="F"', 'code="&lt;script&gt;"')),
    ):
        answer = ask(hub, "/pix/manager", bad, ADD, checked=False)
        assert code(answer, "acknowledgement/typeCode") == "CE"
        assert "script" not in etree.tostring(answer, encoding="unicode")
    assert code(ask(hub, "/pdq/supplier", messages.pdq_query(named("Léger"))), "queryAck/queryResponseCode") == "NF"


def test_zeep_calls_by_the_description(hub: Hub) -> None:
    told(hub, feed(ADD, person("A1", A, after=SURE)))
    told(hub, feed(ADD, person("B1", B, after=SURE)))
    for path, text in (
        ("/pix/manager", messages.pix_query("A1", A, [B])), ("/pdq/supplier", messages.pdq_query(named("Léger"))),
    ):  # fmt: skip
        settings = zeep.Settings(strict=True, raw_response=True)
        transport = Transport(timeout=30, operation_timeout=30)
        client = zeep.Client(f"{hub.public_url()}{path}?wsdl", settings=settings, transport=transport)
        root = etree.fromstring(text)
        names = [name for binding in client.wsdl.bindings.values() for name in binding.all()]
        operation = next(name for name in names if name.endswith(etree.QName(root).localname))
        attributes = {str(name): str(value) for name, value in root.attrib.items()}
        answer = client.service[operation](_value_1=list(root), _attr_1=attributes)
        assert answer.status_code == 200, answer.content
        assert b"B1" in answer.content
