"""RAD-14 Query Images: C-FIND (RAD TF-2: 4.14)."""

from hub.context import Context
from hub.imaging.model import FindStudies, SourceState, StudyAnswer
from hub.pipeline.transaction import AuditEvent, Dimse, Kind, Transaction
from hub.wire.dimse.contexts import FIND
from hub.wire.dimse.messages import DimseAnswer, DimseRequest
from hub.wire.dimse.query import matches, question

TRANSACTION = Transaction(
    id="RAD-14",
    title="Query Images",
    profile="SWF.b",
    initiator="Image Display",
    responder="Image Manager/Archive",
    bindings=(Dimse("C-FIND", FIND),),
    section="RAD TF-2: 4.14",
    kind=Kind.QUERY,
    permission="imaging.query",
    audit=AuditEvent("110112", "Query", "E"),
    options=("Patient Root and Study Root", "PATIENT, STUDY, SERIES and IMAGE level"),
)
#: Studies in one answer: a question that finds more is told so, never cut silently.
LIMIT = 500
_TOO_MANY = 0xA700
_NO_SOURCE = 0xA700


def decode(message: DimseRequest, context: Context) -> FindStudies:
    """The identifier as a question."""
    return question(message.identifier, LIMIT)


def encode(outcome: StudyAnswer, message: DimseRequest, context: Context) -> DimseAnswer:
    """Matches, and a status that says when they are not all."""
    cut = [item for item in outcome.statuses if item.state is SourceState.CUT]
    silent = [item.source for item in outcome.statuses if not item.whole and item not in cut]
    status, comment = 0x0000, ""
    if cut:
        status, comment = _TOO_MANY, f"{cut[0].source}: {cut[0].reason}"
    elif outcome.more:
        status, comment = _TOO_MANY, "There are more studies than these: narrow the search"
    elif silent:
        status = 0x0000 if outcome.studies else _NO_SOURCE
        comment = f"Without: {', '.join(silent)}"
    return DimseAnswer(status, comment[:64], matches(message.identifier, outcome.studies, message.called))
