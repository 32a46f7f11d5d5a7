"""What goes wrong on an association, and the DIMSE status of every error of the hub (PS3.7: C, PS3.4: C.4)."""

from collections.abc import Mapping
from typing import Any

from hub.context import Context
from hub.errors import (
    AccessDenied,
    Category,
    DeadlineExceeded,
    HubError,
    InternalError,
    Invalid,
    Malformed,
    Misconfigured,
    NotAuthenticated,
    NotFound,
    TooLarge,
    Unavailable,
    Unsupported,
    lookup,
)
from hub.wire.dimse.messages import DimseAnswer


class AssociationFailed(Unavailable):
    """The connection could not be made, or the peer closed or aborted it."""

    code = "association-failed"
    title = "The DICOM association failed."


class AssociationRejected(HubError):
    """The peer does not accept this association: an AE title that it does not know, or too many associations."""

    code = "association-rejected"
    category = Category.CONFIGURATION
    title = "The peer rejected the DICOM association."


class PeerSilent(DeadlineExceeded):
    """The peer said nothing for longer than it may, or the whole exchange took too long."""

    code = "peer-silent"
    title = "The DICOM peer did not answer in time."


class NoContext(HubError):
    """No presentation context was accepted for what must be sent."""

    code = "no-presentation-context"
    title = "The peer accepts no presentation context for this."


class UnknownDestination(Misconfigured):
    """A C-MOVE names a destination that is not configured (PS3.4: Table C.4-2, A801)."""

    code = "unknown-move-destination"
    title = "The move destination is not one of the configured ones."


class MissingAttribute(Invalid):
    """A data set lacks an attribute that it must have (PS3.7: C.5.22)."""

    code = "missing-attribute"
    title = "A required attribute is missing."


class MissingValue(Invalid):
    """An attribute that must have a value is empty (PS3.7: C.5.23)."""

    code = "missing-attribute-value"
    title = "A required attribute has no value."


SUCCESS, PENDING, PENDING_OPTIONAL, CANCEL, WARNING = 0x0000, 0xFF00, 0xFF01, 0xFE00, 0xB000
UNABLE = 0xC001
ALL_FAILED = 0xA702

#: The status of an error: PS3.7 Annex C, PS3.4 Tables B.2-1, C.4-1, C.4-2 and C.4-3.
STATUS: Mapping[type[HubError], int] = {
    HubError: UNABLE,
    InternalError: 0x0110,
    Malformed: 0xA900,
    TooLarge: 0xA700,
    Invalid: 0xA900,
    Unsupported: 0x0122,
    NotAuthenticated: 0x0124,
    AccessDenied: 0x0124,
    NotFound: 0xC002,
    Unavailable: 0xA700,
    NoContext: 0x0122,
    UnknownDestination: 0xA801,
}

#: The status of an error where a DIMSE-N service is refused (PS3.7: 10.1.5.1.6, Annex C).
NOTICE_STATUS: Mapping[type[HubError], int] = {
    HubError: 0x0110,
    Invalid: 0x0106,
    MissingAttribute: 0x0120,
    MissingValue: 0x0121,
    NotAuthenticated: 0x0124,
    AccessDenied: 0x0124,
    NoContext: 0x0118,
}

#: Association rejection (PS3.8: Table 9-21): (result, source, reason) -> what it means.
REJECTIONS: Mapping[tuple[int, int], str] = {
    (1, 1): "no reason given",
    (1, 2): "application context not supported",
    (1, 3): "calling AE title not recognised",
    (1, 7): "called AE title not recognised",
    (2, 1): "no reason given",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}


def status_of(error: HubError) -> int:
    """The DIMSE status that answers an error."""
    return lookup(STATUS, error)


def notice_refused(error: HubError) -> DimseAnswer:
    """The answer of a DIMSE-N service that says no, with a comment that is safe to show."""
    return DimseAnswer(status=lookup(NOTICE_STATUS, error), comment=error.told[:64])


def refusal(error: HubError, message: Any, context: Context) -> DimseAnswer:  # noqa: ARG001 - the pipeline's signature
    """The answer that says no, with a comment that is safe to show."""
    return DimseAnswer(status=status_of(error), comment=error.told[:64])
