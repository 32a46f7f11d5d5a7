"""DSUB against a running hub: foreign subscribers, a real consumer, pull points; on both databases."""

import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from lxml import etree

from hub.audit.model import AuditOutcome, AuditSearch
from hub.exchange.model import DeliveryState, Page
from tests.interop.by_hand import Answer, Entry, Set
from tests.profiles.dsub.clients import (
    ANY_DOCUMENTS,
    BW,
    NAMES,
    SIMPLE,
    WSNT,
    Consumer,
    R,
    address_of,
    fault_of,
    subscribe_body,
)
from tests.profiles.dsub.conftest import Site
from tests.waiting import until
from tests.wire.ebxml.schemas import validate as validate_ebxml
from tests.wire.wsn.schemas import validate


def patient_is(cx: str) -> dict[str, list[str]]:
    return {"XDSDocumentEntryPatientId": [f"'{cx}'"]}


def subscribed(site: Site, cx: str, who: str = "ris", **more: Any) -> str:
    answer = site[who].subscribe(site.consumer.url, patient_is(cx), **more)
    assert answer.status == 200, etree.tostring(answer.root)
    validate(answer.body)
    return address_of(answer)


def wsa_action(answer: Answer) -> str:
    return str(answer.root.findtext("s:Header/wsa:Action", namespaces=NAMES))


def test_subscribe_notify_renew_unsubscribe(site: Site) -> None:
    anne = site.person("A1")
    body = subscribe_body(site.consumer.url, patient_is(anne.cx), until="P1D")
    validate(etree.fromstring(body))
    answer = site["ris"].subscribe(site.consumer.url, patient_is(anne.cx), until="P1D")
    validate(answer.body)
    assert wsa_action(answer) == f"{BW}/NotificationProducer/SubscribeResponse"
    address = address_of(answer)
    assert address.startswith(f"{site.hub.public_url()}/dsub/broker/")

    uid = site["ris"].provide(Entry(patient=anne.cx))
    until(lambda: site.consumer.received)
    (notify,) = site.consumer.received
    ((path, headers),) = site.consumer.requests
    assert (path, headers["Content-Type"].partition(";")[0]) == ("/xdsBnotification", "application/soap+xml")
    assert notify.findtext("s:Header/wsa:Action", namespaces=NAMES) == f"{BW}/NotificationConsumer/Notify"
    assert notify.findtext("s:Header/wsa:To", namespaces=NAMES) == site.consumer.url
    (message,) = notify.findall("s:Body/wsnt:Notify/wsnt:NotificationMessage", NAMES)
    assert message.findtext("wsnt:SubscriptionReference/wsa:Address", namespaces=NAMES) == address
    topic = message.find("wsnt:Topic", NAMES)
    assert topic is not None
    assert (topic.get("Dialect"), topic.text) == (SIMPLE, "ihe:FullDocumentEntry")
    validate(notify.find("s:Body/wsnt:Notify", NAMES))  # type: ignore[arg-type]
    (request,) = message.find("wsnt:Message", NAMES)  # type: ignore[misc]
    validate_ebxml(request, "ebRS30/lcm.xsd")
    (objects,) = request
    assert [etree.QName(item).localname for item in objects] == ["ExtrinsicObject"]
    assert (site.consumer.uids, objects[0].get("home")) == (
        [uid],
        f"urn:oid:{site.hub.settings.region.home_community_id}",
    )

    renewed = site["ris"].renew(address, "P20D")
    validate(renewed.body)
    assert str(renewed.body.findtext("wsnt:TerminationTime", namespaces=NAMES)) > str(
        answer.body.findtext("wsnt:TerminationTime", namespaces=NAMES)
    )
    gone = site["ris"].unsubscribe(address)
    validate(gone.body)
    assert etree.QName(gone.body).localname == "UnsubscribeResponse"
    again = site["ris"].unsubscribe(address)
    assert (fault_of(again), wsa_action(again)) == ("ResourceUnknownFault", "http://docs.oasis-open.org/wsrf/fault")
    site["ris"].provide(Entry(patient=anne.cx))
    assert site.hub.exchange.deliveries(Page(state=DeliveryState.WAITING)) == ()


def test_the_minimal_topic_tells_references_and_other_filters_hold(site: Site) -> None:
    anne = site.person("A1")
    asked = {**patient_is(anne.cx), "XDSDocumentEntryTypeCode": ["('11488-4^^1.2.250.1.999.50')"]}
    answer = site["ris"].subscribe(site.consumer.url, asked, topic="ihe:MinimalDocumentEntry")
    assert answer.status == 200
    site["ris"].provide(Entry(patient=anne.cx))
    site["ris"].provide(Entry(patient=anne.cx, codes={"typeCode": "11488-4"}))
    until(lambda: site.consumer.received)
    (notify,) = site.consumer.received
    objects = notify.find(".//rim:RegistryObjectList", NAMES)
    assert objects is not None
    assert [etree.QName(item).localname for item in objects] == ["ObjectRef"]
    assert site.consumer.uids == []


def test_a_consumer_that_is_down_gets_everything_in_order_when_it_is_up(site: Site) -> None:
    anne = site.person("A1")
    subscribed(site, anne.cx)
    site.consumer.stop()
    uids = [site["ris"].provide(Entry(patient=anne.cx)) for _ in range(3)]
    until(lambda: any(item.attempts for item in site.hub.exchange.deliveries(Page(state=DeliveryState.WAITING))))
    site.consumer.answers += [503, 500, 429]
    site.consumer.start()
    until(lambda: len(site.consumer.uids) == 3)
    assert site.consumer.uids == uids


def test_subscriptions_and_notifications_survive_a_restart(site: Site) -> None:
    anne = site.person("A1")
    address = subscribed(site, anne.cx)
    site.consumer.stop()
    first = site["ris"].provide(Entry(patient=anne.cx))
    site = site.restart()
    site.consumer.start()
    until(lambda: site.consumer.uids == [first])
    second = site["ris"].provide(Entry(patient=anne.cx))
    until(lambda: site.consumer.uids == [first, second])
    assert site["ris"].unsubscribe(address).status == 200


def trickle(handler: Any) -> None:
    """A head that never ends."""
    try:
        handler.wfile.write(b"HTTP/1.1 202 Accepted\r\nX-Slow: ")
        for _ in range(3000):
            handler.wfile.write(b"a")
            handler.wfile.flush()
            time.sleep(0.02)
    except OSError:
        return


def endless(handler: Any) -> None:
    """A body that never ends, after a good head."""
    try:
        handler.wfile.write(b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            handler.wfile.write(b"10000\r\n" + b"a" * 0x10000 + b"\r\n")
    except OSError:
        return


@pytest.mark.parametrize("answer", [301, 302, 307, 400, 403, 404])
def test_a_consumer_that_refuses_makes_a_dead_letter(site: Site, answer: int) -> None:
    anne = site.person("A1")
    subscribed(site, anne.cx)
    site.consumer.answers.append(answer)
    site["ris"].provide(Entry(patient=anne.cx))
    until(lambda: site.hub.exchange.deliveries(Page(state=DeliveryState.DEAD)))
    (dead,) = site.hub.exchange.deliveries(Page(state=DeliveryState.DEAD))
    assert (dead.error_code, dead.reason) == ("peer-refused", f"The consumer answered HTTP {answer}.")
    assert set(dead.payload) == {"notification"}, "no metadata on the operator's page"
    assert [path for path, _ in site.consumer.requests] == ["/xdsBnotification"], "no redirect is followed"


def fault(text: str) -> Callable[[BaseHTTPRequestHandler], None]:
    """HTTP 200, and no all the same."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        content = text.encode()
        handler.send_response(200)
        handler.send_header("Content-Type", "application/soap+xml")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


SOAP_12 = (
    '<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body><e:Fault><e:Code><e:Value>e:{}</e:Value>'
    "</e:Code><e:Reason><e:Text>no</e:Text></e:Reason></e:Fault></e:Body></e:Envelope>"
)
SOAP_11 = (
    '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><e:Fault>'
    "<faultcode>e:{}</faultcode><faultstring>no</faultstring></e:Fault></e:Body></e:Envelope>"
)


@pytest.mark.parametrize("text", [SOAP_12.format("Sender"), SOAP_11.format("Client")], ids=["1.2", "1.1"])
def test_a_fault_is_a_refusal_whatever_the_status(site: Site, text: str) -> None:
    anne = site.person("A1")
    subscribed(site, anne.cx)
    site.consumer.answers.append(fault(text))
    site["ris"].provide(Entry(patient=anne.cx))
    until(lambda: site.hub.exchange.deliveries(Page(state=DeliveryState.DEAD)))
    (dead,) = site.hub.exchange.deliveries(Page(state=DeliveryState.DEAD))
    assert (dead.error_code, dead.reason) == ("peer-refused", "The consumer refused the message with a SOAP fault.")


@pytest.mark.parametrize("text", [SOAP_12.format("Receiver"), SOAP_11.format("Server")], ids=["1.2", "1.1"])
def test_a_consumer_that_fails_is_tried_again(site: Site, text: str) -> None:
    anne = site.person("A1")
    subscribed(site, anne.cx)
    site.consumer.answers.append(fault(text))
    site["ris"].provide(Entry(patient=anne.cx))
    until(lambda: len(site.consumer.received) == 1)
    assert len(site.consumer.requests) == 2


@pytest.mark.parametrize("text", ["<html>", "<e:Envelope xmlns:e='urn:x'><e:Body/></e:Envelope>", ""],
                         ids=["page", "envelope", "nothing"])  # fmt: skip
def test_any_other_answer_of_200_is_heard(site: Site, text: str) -> None:
    anne = site.person("A1")
    subscribed(site, anne.cx)
    site.consumer.answers.append(fault(text))
    site["ris"].provide(Entry(patient=anne.cx))
    until(lambda: site.hub.exchange.deliveries(Page(state=DeliveryState.DONE)))
    assert len(site.consumer.requests) == 1


def test_slow_and_endless_answers(site: Site) -> None:
    site.hub.notifier.seconds = 0.5
    anne = site.person("A1")
    subscribed(site, anne.cx)
    site.consumer.answers += [trickle, endless]
    site["ris"].provide(Entry(patient=anne.cx))
    until(lambda: len(site.consumer.requests) == 2)
    until(lambda: not site.hub.exchange.deliveries(Page(state=DeliveryState.WAITING)))
    until(lambda: not site.hub.exchange.deliveries(Page(state=DeliveryState.RUNNING)))
    (done,) = site.hub.exchange.deliveries(Page(state=DeliveryState.DONE))
    assert done.attempts == 2


HOSTILE = [
    "file:///etc/passwd",
    "http://169.254.169.254/latest/meta-data/",
    "https://169.254.169.254/",
    "http://10.0.0.1/",
    "https://hub.example/",
    "http://127.0.0.1@evil.example/",
    "http://www.w3.org/2005/08/addressing/anonymous",
    "",
]


def test_hostile_consumers_are_refused(site: Site) -> None:
    anne = site.person("A1")
    for address in HOSTILE:
        answer = site["ris"].subscribe(address, patient_is(anne.cx))
        assert fault_of(answer) == "SubscribeCreationFailedFault", address
        assert wsa_action(answer) == "http://docs.oasis-open.org/wsn/fault"
    assert site.hub.subscriptions.active() == ()


def test_faults(site: Site) -> None:
    anne = site.person("A1")
    known = patient_is(anne.cx)
    rows: list[tuple[str, dict[str, Any]]] = [
        ("TopicNotSupportedFault", {"topic": "ihe:ExtendedEverything"}),
        ("TopicNotSupportedFault", {"topic": "other:FullDocumentEntry"}),
        ("InvalidTopicExpressionFault", {"topic": "ihe:Full//*"}),
        ("TopicExpressionDialectUnknownFault", {"dialect": SIMPLE.replace("Simple", "Full")}),
        ("InvalidFilterFault", {"query": "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"}),
        ("InvalidFilterFault", {"slots": {}}),
        ("InvalidFilterFault", {"slots": {**known, "XDSDocumentEntryClassCode": ["(unquoted)"]}}),
        ("InvalidFilterFault", {"topic": "ihe:FolderMetadata"}),
        ("UnacceptableInitialTerminationTimeFault", {"until": "2001-01-01T00:00:00Z"}),
        ("UnacceptableInitialTerminationTimeFault", {"until": "P2000Y"}),
        ("UnacceptableInitialTerminationTimeFault", {"until": "tomorrow"}),
        (
            "UnsupportedPolicyRequestFault",
            {"more": "<wsnt:SubscriptionPolicy><wsnt:UseRaw/></wsnt:SubscriptionPolicy>"},
        ),
        (
            "UnrecognizedPolicyRequestFault",
            {"more": '<wsnt:SubscriptionPolicy><p xmlns="urn:p"/></wsnt:SubscriptionPolicy>'},
        ),
        (
            "SubscribeCreationFailedFault",
            {"parameters": "<a:ReferenceParameters><a:To>x</a:To></a:ReferenceParameters>"},
        ),
    ]
    for name, changes in rows:
        answer = site["ris"].subscribe(site.consumer.url, **{"slots": known, **changes})
        assert (answer.status, fault_of(answer)) == (400, name), changes
        (fault,) = answer.root.iterfind(f".//wsnt:{name}", NAMES)
        validate(fault)
        assert anne.value not in str(etree.tostring(answer.root))
    unknown = site["ris"].destroy_pull_point(f"{site.hub.public_url()}/dsub/pullpoints/none")
    (fault,) = unknown.root.iter(f"{{{R}}}ResourceUnknownFault")
    validate(fault, "r-2.xsd")
    assert site.hub.subscriptions.active() == ()


def test_who_may_what(site: Site) -> None:
    anne = site.person("A1")
    address = subscribed(site, anne.cx)
    assert fault_of(site["other"].unsubscribe(address)) == "ResourceUnknownFault"
    assert site["poor"].subscribe(site.consumer.url, patient_is(anne.cx)).status == 403
    anybody = {"XDSDocumentEntryClassCode": ["('11^^1.2.250.1.999.50')"]}
    assert site["ris"].subscribe(site.consumer.url, anybody, query=ANY_DOCUMENTS).status == 403
    assert site["region"].subscribe(site.consumer.url, anybody, query=ANY_DOCUMENTS).status == 200
    assert site["unknown"].subscribe(site.consumer.url, patient_is(anne.cx)).status == 401
    uid = site["ris"].provide(Entry(patient=site.person("B22").cx))
    until(lambda: site.consumer.uids == [uid])


def test_a_merged_patient(site: Site) -> None:
    anne, anna = site.person("A1"), site.person("A22")
    subscribed(site, anna.cx)
    site.merge(anne, anna)
    uid = site["ris"].provide(Entry(patient=anne.cx))
    until(lambda: site.consumer.uids == [uid])


def test_reference_parameters_come_back(site: Site) -> None:
    anne = site.person("A1")
    mine = '<a:ReferenceParameters><ward xmlns="urn:ris">B2</ward></a:ReferenceParameters>'
    subscribed(site, anne.cx, parameters=mine)
    site["ris"].provide(Entry(patient=anne.cx))
    until(lambda: site.consumer.received)
    ward = site.consumer.received[0].find("s:Header/{urn:ris}ward", NAMES)
    assert ward is not None
    assert (ward.text, ward.get(f"{{{NAMES['wsa']}}}IsReferenceParameter")) == ("B2", "true")


def test_pull_point(site: Site) -> None:
    anne = site.person("A1")
    made = site["ris"].create_pull_point()
    validate(made.body)
    assert wsa_action(made) == f"{BW}/CreatePullPoint/CreatePullPointResponse"
    point = address_of(made, "PullPoint")
    answer = site["ris"].subscribe(point, patient_is(anne.cx))
    assert answer.status == 200
    uids = [site["ris"].provide(Entry(patient=anne.cx)) for _ in range(3)]
    first = site["ris"].get_messages(point, "2")
    validate(first.body)
    assert wsa_action(first) == f"{BW}/PullPoint/GetMessagesResponse"
    assert len(first.body) == 2
    assert first.body.findtext(".//wsnt:SubscriptionReference/wsa:Address", namespaces=NAMES) == address_of(answer)
    assert [*first.uids, *site["ris"].get_messages(point).uids] == uids
    assert len(site["ris"].get_messages(point).body) == 0
    assert fault_of(site["other"].get_messages(point)) == "ResourceUnknownFault"
    assert site["ris"].get_messages(point, "many").status == 400
    gone = site["ris"].destroy_pull_point(point)
    validate(gone.body)
    assert fault_of(site["ris"].get_messages(point)) == "ResourceUnknownFault"
    assert site.hub.subscriptions.active() == ()
    assert site.consumer.received == []


def test_another_registry_publishes_and_another_broker_notifies(site: Site) -> None:
    anne = site.person("A1")
    subscribed(site, anne.cx)
    entry, owner = Entry(patient=anne.cx, id="urn:uuid:00000000-0000-4000-8000-000000000001"), Set(patient=anne.cx)
    answer = site["ris"].notify(f"{site.hub.public_url()}/dsub/broker", entry.xml + owner.xml)
    assert (answer.status_code, answer.content) == (202, b"")
    until(lambda: site.consumer.uids == [entry.uid])
    assert site["poor"].notify(f"{site.hub.public_url()}/dsub/broker", entry.xml).status_code == 403
    assert site["ris"].notify(f"{site.hub.public_url()}/dsub/broker", "").status_code == 400

    point = address_of(site["ris"].create_pull_point(), "PullPoint")
    head = (
        "<wsnt:SubscriptionReference><a:Address>https://broker.example/s/1</a:Address></wsnt:SubscriptionReference>"
        f'<wsnt:Topic Dialect="{SIMPLE}">ihe:FullDocumentEntry</wsnt:Topic>'
    )
    assert site["other"].notify(point, entry.xml, head=head).status_code == 202
    pulled = site["ris"].get_messages(point)
    validate(pulled.body)
    assert pulled.uids == [entry.uid]
    assert "https://broker.example/s/1" in str(etree.tostring(pulled.body))
    assert site["other"].notify(f"{site.hub.public_url()}/dsub/pullpoints/none", entry.xml).status_code == 400


def test_the_audit_trail_tells_who_was_told_what(site: Site) -> None:
    anne = site.person("A1")
    subscribed(site, anne.cx)
    uid = site["ris"].provide(Entry(patient=anne.cx))
    until(lambda: site.consumer.uids)
    until(lambda: site.hub.audit.count(AuditSearch(transaction="ITI-53")))
    (sent,) = site.hub.audit.search(AuditSearch(transaction="ITI-53")).records
    assert (sent.event_code, sent.action, sent.outcome) == ("110106", "R", AuditOutcome.SUCCESS)
    assert {("document", uid), ("patient", anne.cx)} <= {(item.kind, item.reference) for item in sent.objects}
    (made,) = site.hub.audit.search(AuditSearch(transaction="ITI-52")).records
    assert made.principal_id == "ris"
    assert "patient" in {item.kind for item in made.objects}


def test_the_consumer_is_a_consumer() -> None:
    with Consumer() as consumer:
        assert consumer.url.startswith("http://127.0.0.1:")
    assert WSNT.endswith("b-2")
