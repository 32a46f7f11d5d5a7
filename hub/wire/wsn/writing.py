"""WS-BaseNotification messages that the hub sends."""

from collections.abc import Iterable
from datetime import datetime

from lxml import etree

from hub.federation.model import Reference
from hub.subscriptions.model import Filter, Notification, Subscription
from hub.wire.ebxml.names import LCM, NAMESPACES, lcm, rim
from hub.wire.ebxml.queries import write_parameters
from hub.wire.ebxml.writing import write_object, write_reference
from hub.wire.soap.names import WSA, wsa
from hub.wire.wsn.names import NSMAP, SIMPLE, wsnt
from hub.wire.wsn.times import write_time
from hub.wire.xml import Element

_NSMAP = {**NSMAP, "wsa": WSA}
_IHE = {"ihe": "urn:ihe:iti:dsub:2009"}


def write_subscribed(outcome: Subscription, address: str, at: datetime) -> Element:
    """wsnt:SubscribeResponse. ``address``: where the subscription can be renewed and ended."""
    body = etree.Element(wsnt("SubscribeResponse"), nsmap=_NSMAP)
    _reference(body, "SubscriptionReference", address)
    _times(body, outcome, at)
    return body


def write_renewed(outcome: Subscription, at: datetime) -> Element:
    """wsnt:RenewResponse."""
    body = etree.Element(wsnt("RenewResponse"), nsmap=_NSMAP)
    etree.SubElement(body, wsnt("TerminationTime")).text = write_time(outcome.expires_at)
    etree.SubElement(body, wsnt("CurrentTime")).text = write_time(at)
    return body


def _times(body: Element, outcome: Subscription, at: datetime) -> None:
    etree.SubElement(body, wsnt("CurrentTime")).text = write_time(at)
    etree.SubElement(body, wsnt("TerminationTime")).text = write_time(outcome.expires_at)


def write_empty(name: str) -> Element:
    """An answer that says nothing but its name."""
    return etree.Element(wsnt(name), nsmap=_NSMAP)


def write_pull_point(address: str) -> Element:
    """wsnt:CreatePullPointResponse."""
    body = etree.Element(wsnt("CreatePullPointResponse"), nsmap=_NSMAP)
    _reference(body, "PullPoint", address)
    return body


def write_notify(notifications: Iterable[Notification], subscription: str, producer: str) -> Element:
    """wsnt:Notify (ITI TF-2: 3.53.4.1.2). ``subscription``, ``producer``: root addresses of ours."""
    return _messages("Notify", notifications, subscription, producer)


def write_pulled(notifications: Iterable[Notification], subscription: str, producer: str) -> Element:
    """wsnt:GetMessagesResponse (ITI TF-2: 3.70)."""
    return _messages("GetMessagesResponse", notifications, subscription, producer)


def write_subscribe(topic: str, wanted: Filter, consumer: str, termination: str = "") -> Element:
    """wsnt:Subscribe, as a subscriber sends it."""
    body = etree.Element(wsnt("Subscribe"), nsmap={**_NSMAP, **NAMESPACES, **_IHE})
    _reference(body, "ConsumerReference", consumer)
    parts = etree.SubElement(body, wsnt("Filter"))
    etree.SubElement(parts, wsnt("TopicExpression"), {"Dialect": SIMPLE}).text = topic
    query = etree.SubElement(parts, rim("AdhocQuery"), {"id": wanted.query_id})
    write_parameters(query, wanted.parameters)
    if termination:
        etree.SubElement(body, wsnt("InitialTerminationTime")).text = termination
    return body


def write_publication(notification: Notification) -> Element:
    """wsnt:Notify, as a publisher sends it: without a subscription (ITI TF-2: 3.54.4.1.2)."""
    body = etree.Element(wsnt("Notify"), nsmap=_NSMAP)
    holder = etree.SubElement(body, wsnt("NotificationMessage"))
    _reference(holder, "ProducerReference", notification.producer)
    _message(holder, notification)
    return body


def _messages(name: str, notifications: Iterable[Notification], subscription: str, producer: str) -> Element:
    body = etree.Element(wsnt(name), nsmap={**_NSMAP, **_IHE})
    for item in notifications:
        ours = not item.producer and "/" not in item.subscription
        holder = etree.SubElement(body, wsnt("NotificationMessage"))
        address = f"{subscription}/{item.subscription}" if ours else item.subscription
        if address:
            _reference(holder, "SubscriptionReference", address)
        if item.topic:
            etree.SubElement(holder, wsnt("Topic"), {"Dialect": SIMPLE}).text = item.topic
        if ours or item.producer:
            _reference(holder, "ProducerReference", producer if ours else item.producer)
        _message(holder, item)
    return body


def _message(holder: Element, item: Notification) -> None:
    message = etree.SubElement(holder, wsnt("Message"))
    request = etree.SubElement(message, lcm("SubmitObjectsRequest"), nsmap={"lcm": LCM, **NAMESPACES})
    objects = etree.SubElement(request, rim("RegistryObjectList"))
    for one in item.objects:
        write_object(objects, one)
    for pair in item.references:
        write_reference(objects, Reference(*pair))


def _reference(parent: Element, name: str, address: str) -> None:
    etree.SubElement(etree.SubElement(parent, wsnt(name)), wsa("Address")).text = address
