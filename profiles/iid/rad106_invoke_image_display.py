"""RAD-106 Invoke Image Display (RAD TF-2: 4.106): another system's link opens a study or a person's studies here."""

from hub.context import Context
from hub.imaging.model import FindStudies, StudyAnswer
from hub.pipeline.transaction import AuditEvent, Kind, Page, Transaction
from hub.wire.http import HttpRequest
from hub.wire.invoke import Display, display_of, read_invoke

TRANSACTION = Transaction(
    id="RAD-106",
    title="Invoke Image Display",
    profile="IID",
    initiator="Image Display Invoker",
    responder="Image Display",
    bindings=(Page("/IHEInvokeImageDisplay"),),
    section="RAD TF-2: 4.106",
    kind=Kind.RETRIEVE,
    permission="imaging.retrieve",
    audit=AuditEvent("110103", "DICOM Instances Accessed", "R"),
)


def decode(message: HttpRequest, context: Context) -> FindStudies:
    """A link's parameters -> which studies."""
    return read_invoke(message)


def encode(outcome: StudyAnswer, message: HttpRequest, context: Context) -> Display:
    """What the portal is to show."""
    return display_of(outcome, message)
