"""What can go wrong with the audit trail."""

from hub.errors import Unavailable


class AuditUnavailable(Unavailable):
    """A record can't be kept anywhere: what can't be audited is not answered."""

    code = "audit-unavailable"
    title = "The audit trail can't be written."
