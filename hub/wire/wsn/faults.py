"""Which fault of WS-BaseNotification 1.3 (and of WS-Resource 1.2) an error is."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from lxml import etree

from hub.context import Context
from hub.errors import HubError
from hub.subscriptions import errors
from hub.values import now
from hub.wire.ebxml.names import RIM
from hub.wire.soap.message import SoapMessage, SoapResponse
from hub.wire.soap.names import soap
from hub.wire.soap.writing import refuse as soap_refuse
from hub.wire.wsn.names import WSN_FAULT, WSNT, WSRF_BF, WSRF_FAULT, WSRF_R, wsnt
from hub.wire.wsn.times import write_time
from hub.wire.xml import Element


@dataclass(frozen=True, slots=True)
class BaseFault:
    """The element in the fault's Detail, and the action of the message."""

    name: str
    namespace: str = WSNT
    action: str = WSN_FAULT


FAULTS: Mapping[type[HubError], BaseFault] = {
    errors.SubscriptionNotFound: BaseFault("ResourceUnknownFault", WSRF_R, WSRF_FAULT),
    errors.PullPointNotFound: BaseFault("ResourceUnknownFault", WSRF_R, WSRF_FAULT),
    errors.InvalidFilter: BaseFault("InvalidFilterFault"),
    errors.InvalidTopic: BaseFault("InvalidTopicExpressionFault"),
    errors.TopicNotSupported: BaseFault("TopicNotSupportedFault"),
    errors.TopicDialectUnknown: BaseFault("TopicExpressionDialectUnknownFault"),
    errors.UnacceptableInitialTerminationTime: BaseFault("UnacceptableInitialTerminationTimeFault"),
    errors.UnacceptableTerminationTime: BaseFault("UnacceptableTerminationTimeFault"),
    errors.UnsupportedPolicy: BaseFault("UnsupportedPolicyRequestFault"),
    errors.UnrecognizedPolicy: BaseFault("UnrecognizedPolicyRequestFault"),
    errors.SubscribeCreationFailed: BaseFault("SubscribeCreationFailedFault"),
    errors.UnableToCreatePullPoint: BaseFault("UnableToCreatePullPointFault"),
}


def refuse(error: HubError, message: SoapMessage | None, context: Context) -> SoapResponse:
    """A SOAP fault whose Detail holds the standard's own fault, where it has one for the error."""
    answer = soap_refuse(error, message, context)
    body: Element = answer.body
    row = next((FAULTS[kind] for kind in type(error).__mro__ if kind in FAULTS), None)
    if row is None:
        return answer
    fault = etree.Element(
        f"{{{row.namespace}}}{row.name}", nsmap={"fault": row.namespace, "wsnt": WSNT, "wsrf-bf": WSRF_BF, "rim": RIM}
    )
    etree.SubElement(fault, f"{{{WSRF_BF}}}Timestamp").text = write_time(now())
    etree.SubElement(fault, f"{{{WSRF_BF}}}Description").text = error.message
    if isinstance(error, errors.InvalidFilter):
        etree.SubElement(fault, wsnt("UnknownFilter")).text = "rim:AdhocQuery"
    if isinstance(error, errors.UnacceptableInitialTerminationTime | errors.UnacceptableTerminationTime):
        etree.SubElement(fault, wsnt("MinimumTime")).text = error.context.get("minimum", write_time(now()))
        if "maximum" in error.context:
            etree.SubElement(fault, wsnt("MaximumTime")).text = error.context["maximum"]
    body.find(soap("Detail")).insert(0, fault)
    return replace(answer, action=row.action)
