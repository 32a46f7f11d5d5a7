"""What can be wrong with a version 3 message, and how an answer says so (ITI TF-2: 3.55.4.2.2.7)."""

from collections.abc import Mapping
from dataclasses import dataclass

from hub.errors import Ambiguous, HubError, Invalid, NotFound, Unavailable, Unsupported


class Hl7v3Invalid(Invalid):
    """An element of the message is missing or has a value that its rule forbids; ``location`` is its path."""

    code = "hl7v3-invalid"
    title = "An element of the HL7 v3 message is missing or not valid."


class ParameterUnsupported(Unsupported):
    """A parameter of the query that the hub can't search by; ``location`` is its XPath."""

    code = "hl7v3-parameter"
    title = "This parameter can't be searched by."


class UnsupportedPurpose(Unsupported):
    """processingCode says that it is for training or debugging, and this hub works for real; or the other way."""

    code = "hl7v3-processing-code"
    title = "This hub does not take messages of this processingCode."


@dataclass(frozen=True, slots=True)
class Refusal:
    """How an error is told: acknowledgement detail, and the reason of XCPD's own code system."""

    detail: str
    reason: str
    response: str = "AE"  #: queryResponseCode


REFUSALS: Mapping[type[HubError], Refusal] = {
    HubError: Refusal("INTERR", "InternalError"),
    Invalid: Refusal("SYN", "AnswerNotAvailable", "QE"),
    Hl7v3Invalid: Refusal("SYN100", "AnswerNotAvailable", "QE"),
    Unsupported: Refusal("NS250", "AnswerNotAvailable"),
    UnsupportedPurpose: Refusal("NS250", "AnswerNotAvailable"),  # "Unsupported processing Id"
    ParameterUnsupported: Refusal("SYN113", "AnswerNotAvailable", "QE"),
    NotFound: Refusal("NS250", "AnswerNotAvailable"),
    Ambiguous: Refusal("INTERR", "AnswerNotAvailable"),
    Unavailable: Refusal("INTERR", "ResponderBusy"),
}
