"""What a subscriber writes, read strictly: every mistake has the standard's own fault."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from lxml import etree

from hub.context import Context
from hub.errors import HubError, Malformed
from hub.subscriptions.errors import (
    InvalidFilter,
    InvalidTopic,
    SubscribeCreationFailed,
    SubscriptionNotFound,
    TopicNotSupported,
    UnacceptableInitialTerminationTime,
    UnacceptableTerminationTime,
)
from hub.subscriptions.model import Endpoint, Filter, Notification, Subscribe, Topic
from hub.wire.soap.message import SoapMessage
from hub.wire.wsn.faults import FAULTS, refuse
from hub.wire.wsn.names import BROKER, WSNT, wsnt
from hub.wire.wsn.reading import (
    read_maximum,
    read_notifications,
    read_publication,
    read_renew,
    read_subscribe,
    resource_id,
)
from hub.wire.wsn.times import read_termination, write_time
from hub.wire.wsn.writing import write_notify, write_publication, write_pulled, write_subscribe
from tests.every_error import EVERY_ERROR, example
from tests.profiles.dsub.clients import subscribe_body
from tests.wire.wsn.schemas import validate

CX = "P1^^^&1.2.3&ISO"
ASKED = Filter(
    "urn:uuid:aa2332d0-f8fe-11e0-be50-0800200c9a66",
    {
        "$XDSDocumentEntryPatientId": ((CX,),),
        "$XDSDocumentEntryEventCodeList": (("a^^1.2", "it's^^1.2"), ("b^^1.2", "c^^1.2")),
    },
)
SLOTS = {"XDSDocumentEntryPatientId": [f"'{CX}'"]}
CONSUMER = "https://ris.example/notify"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2030-05-31T00:00:00.00000Z", datetime(2030, 5, 31, tzinfo=UTC)),
        ("2030-05-31T00:00:00", datetime(2030, 5, 31, tzinfo=UTC)),
        (" 2030-05-31T02:00:00+02:00 ", datetime(2030, 5, 31, 2, tzinfo=timezone(timedelta(hours=2)))),
        ("P1D", timedelta(days=1)),
        ("PT90M", timedelta(minutes=90)),
        ("P1Y2M3DT4H5M6.7S", timedelta(days=365 + 60 + 3, hours=4, minutes=5, seconds=6)),
        ("PT0S", timedelta(0)),
    ],
)
def test_termination_times(text: str, expected: datetime | timedelta) -> None:
    assert read_termination(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "P", "PT", "P1DT", "-P1D", "P1S", "tomorrow", "2030-05-31", "P99999999D", "2030-13-01T00:00:00Z", "P" * 9],
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (the caller makes the standard's fault of it)
        read_termination(text)
    body = etree.fromstring(subscribe_body(CONSUMER, SLOTS, until=text or " "))
    with pytest.raises(UnacceptableInitialTerminationTime):
        read_subscribe(body)
    renew = etree.fromstring(f'<w:Renew xmlns:w="{WSNT}"><w:TerminationTime>{text}</w:TerminationTime></w:Renew>')
    with pytest.raises(UnacceptableTerminationTime):
        read_renew(renew, "s")


def test_times_are_written_in_utc() -> None:
    assert write_time(datetime(2030, 5, 31, 2, tzinfo=timezone(timedelta(hours=2)))) == "2030-05-31T00:00:00.000Z"


def test_a_subscription_there_and_back() -> None:
    body = write_subscribe(Topic.FULL_DOCUMENT_ENTRY, ASKED, CONSUMER, "P1D")
    validate(body)
    expected = Subscribe(Topic.FULL_DOCUMENT_ENTRY, ASKED, Endpoint(CONSUMER), timedelta(days=1))
    assert read_subscribe(body) == expected


def test_an_end_that_never_comes_is_not_granted() -> None:
    body = write_subscribe(Topic.FULL_DOCUMENT_ENTRY, ASKED, CONSUMER, "P1D")
    (end,) = body.iter(wsnt("InitialTerminationTime"))
    end.set("{http://www.w3.org/2001/XMLSchema-instance}nil", "true")
    with pytest.raises(UnacceptableInitialTerminationTime):
        read_subscribe(body)


@pytest.mark.parametrize("prefix", ["ihe", "x"])
def test_the_prefix_of_a_topic_is_bound_or_the_usual_one(prefix: str) -> None:
    text = subscribe_body(CONSUMER, SLOTS, topic=f"{prefix}:MinimalDocumentEntry")
    bound = text.replace("<wsnt:Subscribe ", f'<wsnt:Subscribe xmlns:{prefix}="urn:ihe:iti:dsub:2009" ', 1)
    assert read_subscribe(etree.fromstring(bound)).topic == Topic.MINIMAL_DOCUMENT_ENTRY


@pytest.mark.parametrize(
    ("topic", "error"),
    [
        ("", InvalidTopic),
        ("a b", InvalidTopic),
        ("//*", InvalidTopic),
        ("Full", TopicNotSupported),
        ("é:x", TopicNotSupported),
    ],
)
def test_what_is_no_topic(topic: str, error: type[HubError]) -> None:
    with pytest.raises(error):
        read_subscribe(etree.fromstring(subscribe_body(CONSUMER, SLOTS, topic=topic)))


def test_no_filter_two_filters_and_something_else() -> None:
    text = subscribe_body(CONSUMER, SLOTS)
    query = text[text.index("<rim:AdhocQuery") : text.index("</wsnt:Filter>")]
    other = "<wsnt:MessageContent Dialect='http://www.w3.org/TR/1999/REC-xpath-19991116'>true()</wsnt:MessageContent>"
    for replaced in ("", query * 2, query + other):
        with pytest.raises(InvalidFilter):
            read_subscribe(etree.fromstring(text.replace(query, replaced)))
    without = etree.fromstring(f'<w:Subscribe xmlns:w="{WSNT}"/>')
    with pytest.raises(InvalidTopic):
        read_subscribe(without)


def test_reference_parameters_are_bounded() -> None:
    for inner in ("<x/>" * 2, f"<x xmlns='urn:x'>{'a' * 5000}</x>", "<x xmlns='urn:x'/>" * 21, "<a:To/>"):
        parameters = f"<a:ReferenceParameters>{inner}</a:ReferenceParameters>"
        with pytest.raises(SubscribeCreationFailed):
            read_subscribe(etree.fromstring(subscribe_body(CONSUMER, SLOTS, parameters=parameters)))


@pytest.mark.parametrize("text", ["-1", "1.5", "many", "", "9" * 10, "٣"])
def test_what_is_no_maximum(text: str) -> None:
    body = etree.fromstring(
        f'<w:GetMessages xmlns:w="{WSNT}"><w:MaximumNumber>{text}</w:MaximumNumber></w:GetMessages>'
    )
    with pytest.raises(Malformed):
        read_maximum(body)


def test_which_subscription_a_message_is_for() -> None:
    def asked(path: str, to: str = "") -> str:
        return resource_id(SoapMessage("", None, to=to, path=path), BROKER)

    assert asked(f"{BROKER}/s1") == "s1"
    assert asked(BROKER, f"https://hub.example{BROKER}/s2") == "s2"
    assert asked(f"{BROKER}/s1", f"https://hub.example{BROKER}/s2") == "s1", "where it was posted decides"
    assert asked(BROKER, "urn:s2") == asked(BROKER) == asked(BROKER, f"https://hub.example{BROKER}") == ""


def test_notifications_there_and_back() -> None:
    references = (("urn:uuid:00000000-0000-4000-8000-000000000001", "urn:oid:1.2"), ("urn:uuid:2", ""))
    foreign = Notification("", "https://b.example/s/1", "ihe:MinimalDocumentEntry", (), references, "https://b.example")
    for body in (
        write_pulled((foreign,), "https://x", "https://x"),
        write_notify((foreign,), "https://x", "https://x"),
    ):
        validate(body)
        assert read_notifications(body) == (foreign,)
    ours = Notification("n", "s1", Topic.MINIMAL_DOCUMENT_ENTRY, (), references)
    (read,) = read_notifications(write_notify((ours,), "https://hub.example/dsub/broker", "https://hub.example"))
    assert (read.subscription, read.producer) == ("https://hub.example/dsub/broker/s1", "https://hub.example")


def test_a_publication_has_one_message_with_objects() -> None:
    empty = write_publication(Notification(producer="urn:oid:1.2"))
    for body in (empty, etree.fromstring(f'<w:Notify xmlns:w="{WSNT}"/>')):
        with pytest.raises(HubError):
            read_publication(body)


@pytest.mark.parametrize("kind", EVERY_ERROR, ids=lambda kind: kind.__name__)
def test_every_error_is_a_fault(kind: type[HubError]) -> None:
    answer = refuse(example(kind), None, Context())
    assert answer.body is not None
    assert answer.body.tag == "{http://www.w3.org/2003/05/soap-envelope}Fault"
    known = any(ancestor in FAULTS for ancestor in kind.__mro__)
    assert answer.action.endswith(("/wsn/fault", "/wsrf/fault")) is known


def test_a_fault_names_no_id() -> None:
    body = refuse(SubscriptionNotFound(), None, Context()).body
    assert body is not None
    assert "ResourceUnknownFault" in etree.tostring(body).decode()
