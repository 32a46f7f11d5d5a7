"""SOAP's own errors, and the fault that an error becomes where no answer of the transaction can tell it."""

from collections.abc import Mapping
from dataclasses import dataclass

from hub.access.assertion_errors import (
    AssertionAlgorithm,
    AssertionConfirmation,
    AssertionRefused,
    AssertionRequired,
    AssertionSignature,
    AssertionUnreadable,
    AssertionUnsupported,
)
from hub.errors import (
    AccessDenied,
    Ambiguous,
    Conflict,
    DeadlineExceeded,
    HubError,
    Invalid,
    Malformed,
    NotAuthenticated,
    NotFound,
    Unavailable,
    Unsupported,
)
from hub.wire.soap.names import WSA, WSSE


class SoapError(Malformed):
    """The envelope or its headers break a rule of SOAP 1.2 or WS-Addressing."""

    code = "soap-error"
    title = "The SOAP message breaks a rule."


class VersionMismatch(SoapError):
    """Not SOAP 1.2."""

    code = "soap-version-mismatch"
    title = "Only SOAP 1.2 is understood."


class NotUnderstood(SoapError):
    """A header block with mustUnderstand that the hub does not know. ``location`` is its Clark name."""

    code = "soap-must-understand"
    title = "A mandatory header is not understood."


class ActionNotSupported(SoapError):
    """No transaction at this endpoint has the wsa:Action. ``location`` is the action."""

    code = "action-not-supported"
    title = "The action is not offered at this endpoint."


class ActionMismatch(SoapError):
    """wsa:Action and the action of the Content-Type differ."""

    code = "action-mismatch"
    title = "wsa:Action and the Content-Type's action differ."


class HeaderRequired(SoapError):
    """A WS-Addressing header is missing. ``location`` is its name."""

    code = "addressing-header-required"
    title = "A WS-Addressing header is missing."


class InvalidHeader(SoapError):
    """A WS-Addressing header stands twice or has no proper value. ``location`` is its name."""

    code = "invalid-addressing-header"
    title = "A WS-Addressing header is not valid."


class OnlyAnonymousAddress(SoapError):
    """An answer is wanted at another address than the connection."""

    code = "only-anonymous-address"
    title = "Answers are given on the same connection only; wsa:ReplyTo must be anonymous."


class MtomRequired(SoapError):
    """The transaction is defined as an MTOM package (ITI TF-2: V.3.6)."""

    code = "mtom-required"
    title = "This transaction must be sent as an MTOM package (multipart/related, application/xop+xml)."


class UnknownMediaType(SoapError):
    """The Content-Type is neither SOAP 1.2 nor MTOM."""

    code = "unknown-media-type"
    title = "The Content-Type must be application/soap+xml, or multipart/related with type application/xop+xml."


@dataclass(frozen=True, slots=True)
class Fault:
    """A row of the table: SOAP code, subcode in Clark notation, HTTP status (SOAP 1.2-2: Table 17)."""

    code: str
    subcode: str = ""
    status: int = 400


FAULTS: Mapping[type[HubError], Fault] = {
    HubError: Fault("Receiver", status=500),
    Unavailable: Fault("Receiver", status=503),
    DeadlineExceeded: Fault("Receiver", status=504),
    Malformed: Fault("Sender"),
    Unsupported: Fault("Sender"),
    Invalid: Fault("Sender"),
    Conflict: Fault("Sender"),
    Ambiguous: Fault("Sender"),
    NotFound: Fault("Sender"),
    AssertionRefused: Fault("Sender", f"{{{WSSE}}}InvalidSecurityToken", 401),
    AssertionUnreadable: Fault("Sender", f"{{{WSSE}}}InvalidSecurity", 401),
    AssertionRequired: Fault("Sender", f"{{{WSSE}}}InvalidSecurity", 401),
    AssertionUnsupported: Fault("Sender", f"{{{WSSE}}}UnsupportedSecurityToken", 401),
    AssertionAlgorithm: Fault("Sender", f"{{{WSSE}}}UnsupportedAlgorithm", 401),
    AssertionSignature: Fault("Sender", f"{{{WSSE}}}FailedCheck", 401),
    AssertionConfirmation: Fault("Sender", f"{{{WSSE}}}FailedAuthentication", 401),
    NotAuthenticated: Fault("Sender", f"{{{WSSE}}}FailedAuthentication", 401),
    AccessDenied: Fault("Sender", f"{{{WSSE}}}FailedCheck", 403),
    VersionMismatch: Fault("VersionMismatch", status=500),
    NotUnderstood: Fault("MustUnderstand", status=500),
    ActionNotSupported: Fault("Sender", f"{{{WSA}}}ActionNotSupported"),
    ActionMismatch: Fault("Sender", f"{{{WSA}}}ActionMismatch"),
    HeaderRequired: Fault("Sender", f"{{{WSA}}}MessageAddressingHeaderRequired"),
    InvalidHeader: Fault("Sender", f"{{{WSA}}}InvalidAddressingHeader"),
    OnlyAnonymousAddress: Fault("Sender", f"{{{WSA}}}OnlyAnonymousAddressSupported"),
    UnknownMediaType: Fault("Sender", status=415),
}
