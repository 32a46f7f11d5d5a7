"""What can be wrong with an HL7 v2 message, and how every error of the hub is said in MSA and ERR (HL7 v2.5: 2.15)."""

from dataclasses import dataclass

from hub import errors
from hub.errors import HubError, Invalid, Malformed, TooLarge, Unsupported
from hub.patients.errors import AuthorityNotOwned, UnknownDomain


class Hl7Malformed(Malformed):
    """Not an ER7 message: no MSH, a segment without a name, a control character."""

    code = "hl7-malformed"
    title = "The bytes are not an HL7 v2 message."


class Hl7Charset(Hl7Malformed):
    """The bytes are not what MSH-18, or the feed's setting, says; or the character set is unknown."""

    code = "hl7-character-set"
    title = "The message is not in the character set that it names."


class Hl7TooLarge(TooLarge, Hl7Malformed):
    """Too many bytes, segments or repetitions."""

    code = "hl7-too-large"
    title = "The HL7 message is larger than the limit."


class Hl7Invalid(Invalid):
    """A field breaks a rule; ``location`` names it: ``PID-3``, ``OBX[2]-5.4``."""

    code = "hl7-invalid"
    title = "A field of the HL7 message is not valid."


class SegmentMissing(Hl7Invalid):
    """A segment that the transaction needs is not there."""

    code = "hl7-segment-missing"
    title = "A segment is missing."


class FieldMissing(Hl7Invalid):
    """A field that the transaction needs is empty."""

    code = "hl7-field-missing"
    title = "A required field is empty."


class DataTypeError(Hl7Invalid):
    """A field does not have the form of its data type."""

    code = "hl7-data-type"
    title = "A field does not have the form of its data type."


class TableValueUnknown(Hl7Invalid):
    """A coded field holds a value that its table does not have."""

    code = "hl7-table-value"
    title = "A value is not in its HL7 table."


class SequenceWrong(Hl7Invalid):
    """A segment stands where it must not."""

    code = "hl7-sequence"
    title = "The segments of the message do not stand in their order."


class CardinalityWrong(Hl7Invalid):
    """A segment or field stands more often than it may."""

    code = "hl7-cardinality"
    title = "A segment or field stands more often than it may."


class Contradiction(Hl7Invalid):
    """Fields that must say the same do not: event, ORC-1, OBX-11; TXA and the document's header."""

    code = "hl7-contradiction"
    title = "The fields of the message contradict each other."


class UnknownMessageType(Unsupported):
    """MSH-9.1 names a message that no transaction takes."""

    code = "hl7-message-type"
    title = "No transaction of this hub takes this message type."


class UnknownEvent(Unsupported):
    """MSH-9.2 names an event that no transaction takes."""

    code = "hl7-event"
    title = "No transaction of this hub takes this event."


class UnsupportedVersion(Unsupported):
    """MSH-12 is no version 2."""

    code = "hl7-version"
    title = "Only versions 2.x of HL7 are read here."


class UnsupportedProcessing(Unsupported):
    """MSH-11 says that the message is for training or debugging, and this hub works for real; or the other way."""

    code = "hl7-processing-id"
    title = "This hub does not take messages of this processing id (MSH-11)."


@dataclass(frozen=True, slots=True)
class Answer:
    """One row: the application acknowledgement (HL7 table 0008) and the condition (HL7 table 0357)."""

    acknowledgement: str
    condition: str

    @property
    def commit(self) -> str:
        """The same in enhanced mode: CE or CR."""
        return "C" + self.acknowledgement[1]


CONDITIONS = {
    "0": "Message accepted",
    "100": "Segment sequence error",
    "101": "Required field missing",
    "102": "Data type error",
    "103": "Table value not found",
    "198": "Non-Conformant Cardinality",
    "199": "Other HL7 Error",
    "200": "Unsupported message type",
    "201": "Unsupported event code",
    "202": "Unsupported processing id",
    "203": "Unsupported version id",
    "204": "Unknown key identifier",
    "205": "Duplicate key identifier",
    "206": "Application record locked",
    "207": "Application internal error",
}
"""HL7 table 0357, message error condition codes."""
UNKNOWN_KEY = "204"

ANSWERS: dict[type[HubError], Answer] = {
    # AE: the content must change. AR: the message is not for this hub, or the hub can't take it now.
    HubError: Answer("AE", "207"),
    errors.InternalError: Answer("AR", "207"),
    errors.Malformed: Answer("AR", "100"),
    Hl7Charset: Answer("AR", "102"),
    errors.TooLarge: Answer("AR", "102"),
    errors.Unsupported: Answer("AR", "200"),
    UnknownMessageType: Answer("AR", "200"),
    UnknownEvent: Answer("AR", "201"),
    UnsupportedVersion: Answer("AR", "203"),
    UnsupportedProcessing: Answer("AR", "202"),
    errors.NotAuthenticated: Answer("AR", "207"),
    errors.AccessDenied: Answer("AR", "207"),
    errors.NotFound: Answer("AE", "204"),
    errors.Invalid: Answer("AE", "102"),
    SegmentMissing: Answer("AE", "100"),
    FieldMissing: Answer("AE", "101"),
    TableValueUnknown: Answer("AE", "103"),
    # CX.4 is coded: its table (0363) is that of the authorities that the sender may name.
    UnknownDomain: Answer("AE", "103"),
    AuthorityNotOwned: Answer("AE", "103"),
    SequenceWrong: Answer("AE", "100"),
    CardinalityWrong: Answer("AE", "198"),
    Contradiction: Answer("AE", "199"),
    errors.Conflict: Answer("AE", "205"),
    errors.Ambiguous: Answer("AE", "207"),
    errors.Unavailable: Answer("AR", "207"),
    errors.Misconfigured: Answer("AR", "207"),
}
"""Error class -> how it is answered; the nearest ancestor's row counts (``hub.errors.lookup``)."""
