"""XCPD's own elements: Patient Location Query (ITI-56), and how long a correlation lasts (ITI TF-2: 3.55.4.1.2.5)."""

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta

from lxml import etree

from hub.federation.model import PatientLocation
from hub.values import PatientIdentifier
from hub.wire.hl7v3.datatypes import read_identifier
from hub.wire.hl7v3.errors import Hl7v3Invalid
from hub.wire.hl7v3.names import XCPD, xcpd
from hub.wire.xml import Element

TIME_TO_LIVE = xcpd("CorrelationTimeToLive")
_DURATION = re.compile(
    r"P(?:([0-9]{1,4})Y)?(?:([0-9]{1,5})M)?(?:([0-9]{1,6})D)?"
    r"(?:T(?:([0-9]{1,7})H)?(?:([0-9]{1,8})M)?(?:([0-9]{1,9})(?:\.[0-9]+)?S)?)?"
)
_DAYS = (365, 30, 1)


def read_time_to_live(blocks: Mapping[str, Element]) -> timedelta | None:
    """CorrelationTimeToLive of a message's header blocks; a year counts 365 days, a month 30. Raises Hl7v3Invalid."""
    block = blocks.get(TIME_TO_LIVE)
    if block is None:
        return None
    match = _DURATION.fullmatch((block.text or "").strip())
    if match is None or not any(match.groups()):
        raise Hl7v3Invalid("CorrelationTimeToLive is not a duration.", location="CorrelationTimeToLive")
    years_months_days = [int(part or 0) for part in match.groups()[:3]]
    hours, minutes, seconds = (int(part or 0) for part in match.groups()[3:])
    days = sum(count * length for count, length in zip(years_months_days, _DAYS, strict=True))
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def write_time_to_live(duration: timedelta) -> Element:
    """The header block."""
    block = etree.Element(TIME_TO_LIVE, nsmap={"xcpd": XCPD})
    block.text = f"P{duration.days}DT{duration.seconds}S" if duration.seconds else f"P{duration.days}D"
    return block


def read_location_query(body: Element) -> PatientIdentifier:
    """PatientLocationQueryRequest -> whose location is asked for. Raises Hl7v3Invalid."""
    wanted = body.findall(xcpd("RequestedPatientId"))
    if len(wanted) != 1:
        raise Hl7v3Invalid("RequestedPatientId stands once.", location="RequestedPatientId")
    return read_identifier(wanted[0], "RequestedPatientId")


def write_locations(asked: PatientIdentifier, locations: Iterable[PatientLocation]) -> Element:
    """PatientLocationQueryResponse: one PatientLocationResponse a community."""
    body = etree.Element(xcpd("PatientLocationQueryResponse"), nsmap={"xcpd": XCPD})
    for location in locations:
        row = etree.SubElement(body, xcpd("PatientLocationResponse"))
        etree.SubElement(row, xcpd("HomeCommunityId")).text = location.community
        for name, item in (("CorrespondingPatientId", location.identifier), ("RequestedPatientId", asked)):
            etree.SubElement(row, xcpd(name), {"root": item.authority, "extension": item.value})
    return body
