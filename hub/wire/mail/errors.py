"""What can be wrong with a mail that came."""

from hub.errors import Malformed, TooLarge


class MailUnreadable(Malformed):
    """The mail is not what RFC 5322 and MIME allow."""

    code = "mail-unreadable"
    title = "The mail can't be read."


class MailBeyondLimits(TooLarge):
    """Too large, too many parts, or parts within parts within parts."""

    code = "mail-beyond-limits"
    title = "The mail is larger, or nested deeper, than is read."
