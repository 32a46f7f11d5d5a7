"""What can go wrong with the audit trail."""

from hub.errors import InternalError, Unavailable


class AuditUnavailable(Unavailable):
    """A record can't be kept anywhere: what can't be audited is not answered."""

    code = "audit-unavailable"
    title = "The audit trail can't be written."


class SendingInterrupted(Unavailable):
    """How much of an answer was sent is not known: the hub ended before the answer did."""

    code = "sending-interrupted"
    title = "The hub ended while it was sending the answer."


class AuditUnreadable(InternalError):
    """A record in the table is none any more: somebody changed it there."""

    code = "audit-unreadable"
    title = "A record of the audit trail can't be read: maillage audit verify says where it was changed."
