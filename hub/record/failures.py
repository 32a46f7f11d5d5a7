"""Which reason each error of the record, or on the way there, becomes."""

from collections.abc import Mapping

from hub.connector.contract import SourceLied, SourceMisconfigured
from hub.connector.record import (
    NoRecord,
    RecordCertificateRefused,
    RecordClosed,
    RecordHasIt,
    RecordMetadataUnfit,
    RecordNotAuthorised,
    RecordOpposed,
)
from hub.errors import HubError, Malformed, Misconfigured, NotFound, Unavailable
from hub.record.model import Reason

REASONS: Mapping[type[HubError], Reason] = {
    HubError: Reason.REFUSED,
    NoRecord: Reason.NO_RECORD,
    RecordClosed: Reason.CLOSED,
    RecordOpposed: Reason.OPPOSITION,
    RecordNotAuthorised: Reason.NOT_AUTHORISED,
    RecordCertificateRefused: Reason.CERTIFICATE,
    SourceMisconfigured: Reason.CONFIGURATION,
    Misconfigured: Reason.CONFIGURATION,
    RecordMetadataUnfit: Reason.METADATA,
    RecordHasIt: Reason.METADATA,  # another one of its number
    Malformed: Reason.METADATA,
    NotFound: Reason.INCONSISTENT,
    SourceLied: Reason.INCONSISTENT,
    Unavailable: Reason.UNAVAILABLE,
}
