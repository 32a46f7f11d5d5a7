"""WS-BaseNotification messages -> commands. What can't be read has a fault of its own where the standard gives one."""

from urllib.parse import urlsplit

from lxml import etree

from hub.documents.errors import RegistryError, RegistryMetadataError
from hub.documents.model import Association
from hub.errors import Malformed
from hub.subscriptions.errors import (
    InvalidFilter,
    InvalidTopic,
    SubscribeCreationFailed,
    TopicDialectUnknown,
    TopicNotSupported,
    UnacceptableInitialTerminationTime,
    UnacceptableTerminationTime,
    UnrecognizedPolicy,
    UnsupportedPolicy,
)
from hub.subscriptions.model import (
    Endpoint,
    Filter,
    Notification,
    Publish,
    Published,
    Renew,
    Subscribe,
    Termination,
    Topic,
)
from hub.wire.ebxml.names import lcm, rim
from hub.wire.ebxml.queries import read_slot_values
from hub.wire.ebxml.reading import read_objects
from hub.wire.soap.message import SoapMessage
from hub.wire.soap.names import SOAP, WSA, WSSE, wsa
from hub.wire.wsn.names import SIMPLE, TOPIC_NAMESPACES, WSNT, XSI, wsnt
from hub.wire.wsn.times import read_termination
from hub.wire.xml import Element, serialise

MOST_PARAMETERS = 20
MOST_PARAMETER_BYTES = 4096
#: Headers that an endpoint's reference parameters must not smuggle into the hub's own messages.
_OWN_HEADERS = frozenset({SOAP, WSA, WSSE, ""})


def resource_id(message: SoapMessage, root: str) -> str:
    """Which subscription or pull point a message is for: the end of its address. "" where it names none."""
    for address in (message.path, urlsplit(message.to).path if message.to.startswith("http") else ""):
        if address.startswith(f"{root}/"):
            return address.removeprefix(f"{root}/")
    return ""


def read_subscribe(body: Element) -> Subscribe:
    """wsnt:Subscribe. Raises what has a fault of its own."""
    policy = body.find(wsnt("SubscriptionPolicy"))
    for item in policy if policy is not None else ():
        if etree.QName(item).namespace == WSNT:
            raise UnsupportedPolicy
        raise UnrecognizedPolicy
    return Subscribe(
        topic=_topic(body),
        filter=_filter(body),
        consumer=_endpoint(body.find(wsnt("ConsumerReference"))),
        termination=_termination(body.find(wsnt("InitialTerminationTime")), UnacceptableInitialTerminationTime),
    )


def read_renew(body: Element, subscription_id: str) -> Renew:
    """wsnt:Renew. Raises UnacceptableTerminationTime."""
    return Renew(subscription_id, _termination(body.find(wsnt("TerminationTime")), UnacceptableTerminationTime))


def _termination(
    element: Element | None, error: type[UnacceptableInitialTerminationTime | UnacceptableTerminationTime]
) -> Termination:
    if element is None:
        return None
    if element.get(f"{{{XSI}}}nil") in ("1", "true"):
        raise error("A subscription without end is not granted.")
    try:
        return read_termination(str(element.text or ""))
    except (ValueError, OverflowError):
        raise error("The termination time is neither an xsd:dateTime nor an xsd:duration.") from None


def _topic(body: Element) -> str:
    found = body.findall(f"{wsnt('Filter')}/{wsnt('TopicExpression')}")
    if len(found) != 1:
        raise InvalidTopic("The filter must hold one TopicExpression (ITI TF-2: 3.52.5.1).", location="TopicExpression")
    element = found[0]
    if element.get("Dialect", SIMPLE) != SIMPLE:
        raise TopicDialectUnknown
    prefix, colon, name = str(element.text or "").strip().rpartition(":")
    if not name.isalnum():
        raise InvalidTopic
    namespace = element.nsmap.get(prefix or None)
    if namespace not in TOPIC_NAMESPACES and prefix != "ihe":
        raise TopicNotSupported
    if colon and not prefix:
        raise InvalidTopic
    text = f"ihe:{name}"
    if text not in set(Topic):
        raise TopicNotSupported(location=name[:80])
    return text


def _filter(body: Element) -> Filter:
    parts = body.find(wsnt("Filter"))
    queries = [item for item in parts if item.tag == rim("AdhocQuery")]
    for item in parts:
        if item.tag not in (rim("AdhocQuery"), wsnt("TopicExpression")):
            raise InvalidFilter("The filter holds something else than a topic and an AdhocQuery.", location="Filter")
    if len(queries) != 1:
        raise InvalidFilter("The filter must hold one AdhocQuery (ITI TF-2: 3.52.5.2).", location="AdhocQuery")
    try:
        parameters, _ = read_slot_values(queries[0])
    except RegistryError as error:
        raise InvalidFilter(error.message, location=error.location) from error
    return Filter(queries[0].get("id", ""), parameters)


def _endpoint(element: Element | None) -> Endpoint:
    address = str(element.findtext(wsa("Address")) or "").strip() if element is not None else ""
    if element is None or not address:
        raise SubscribeCreationFailed("The ConsumerReference must hold a wsa:Address.", location="ConsumerReference")
    given = element.find(wsa("ReferenceParameters"))
    parameters = tuple(given) if given is not None else ()
    if any(etree.QName(item).namespace in _OWN_HEADERS | {None} for item in parameters):
        raise SubscribeCreationFailed("A reference parameter is a header of the message itself.")
    texts = tuple(serialise(item).decode() for item in parameters)
    if len(texts) > MOST_PARAMETERS or sum(map(len, texts)) > MOST_PARAMETER_BYTES:
        raise SubscribeCreationFailed("The consumer has too many reference parameters.")
    return Endpoint(address, texts)


def read_maximum(body: Element) -> int | None:
    """How many notifications a GetMessages wants at most. Raises Malformed."""
    text = body.findtext(wsnt("MaximumNumber"))
    if text is None:
        return None
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise Malformed("MaximumNumber must be a number that is not negative.", location="MaximumNumber")
    return int(text)


def read_publication(body: Element) -> Publish:
    """wsnt:Notify as a publisher sends it (ITI TF-2: 3.54.4.1.2). Raises Malformed, RegistryMetadataError."""
    messages = body.findall(wsnt("NotificationMessage"))
    if len(messages) != 1:
        raise Malformed("A publication has one NotificationMessage.", location="NotificationMessage")
    objects, _ = _objects(messages[0])
    if not objects:
        raise RegistryMetadataError("The publication holds no object.", location="RegistryObjectList")
    for item in objects:
        if not item.id or not item.unique_id:
            raise RegistryMetadataError("A published object has no id or no uniqueId.", location="RegistryObjectList")
    return Publish(objects, _producer(messages[0]), str(messages[0].findtext(wsnt("Topic")) or "").strip())


def read_notifications(body: Element) -> tuple[Notification, ...]:
    """The messages of a wsnt:Notify or wsnt:GetMessagesResponse. Raises Malformed, RegistryMetadataError."""
    return tuple(_notification(item) for item in body.iterchildren(wsnt("NotificationMessage")))


def _notification(element: Element) -> Notification:
    objects, references = _objects(element)
    return Notification(
        subscription=str(element.findtext(f"{wsnt('SubscriptionReference')}/{wsa('Address')}") or "").strip(),
        topic=str(element.findtext(wsnt("Topic")) or "").strip(),
        objects=objects,
        references=references,
        producer=_producer(element),
    )


def _producer(element: Element) -> str:
    return str(element.findtext(f"{wsnt('ProducerReference')}/{wsa('Address')}") or "").strip()


def _objects(element: Element) -> tuple[tuple[Published, ...], tuple[tuple[str, str], ...]]:
    objects = element.find(f"{wsnt('Message')}/{lcm('SubmitObjectsRequest')}/{rim('RegistryObjectList')}")
    if objects is None:
        raise Malformed("A notification's Message holds a SubmitObjectsRequest.", location="Message")
    found = tuple(item for item in read_objects(objects) if not isinstance(item, Association))
    references = tuple((item.get("id", ""), item.get("home", "")) for item in objects.iterchildren(rim("ObjectRef")))
    return found, references
