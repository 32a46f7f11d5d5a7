"""ITI-46 PIXV3 Update Notification (ITI TF-2: 3.46): a consumer is told which numbers mean the same person now.

The hub sends it only: the outbox carries it (``hub.app.sharing.notices``), the message is made in the wire."""

from hub.pipeline.transaction import AuditEvent, Direction, Kind, Transaction

TRANSACTION = Transaction(
    id="ITI-46",
    title="PIXV3 Update Notification",
    profile="PIXV3",
    initiator="Patient Identifier Cross-reference Manager",
    responder="Patient Identifier Cross-reference Consumer",
    bindings=(),
    section="ITI TF-2: 3.46",
    kind=Kind.RETRIEVE,
    permission="",
    audit=AuditEvent("110110", "Patient Record", "R"),
    direction=Direction.INITIATOR,
    options=("Domains of interest by consumer ([[notifications]])",),
)
