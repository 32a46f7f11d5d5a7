"""What can go wrong with secure mail."""

from hub.errors import Category, Conflict, Invalid, Misconfigured, NotFound, TooLarge, Unavailable


class LetterNotFound(NotFound):
    """No letter of this id."""

    code = "letter-not-found"
    title = "There is no such letter."


class LetterNotHeld(Conflict):
    """Only what is held or refused is sent again."""

    code = "letter-not-held"
    title = "The letter is neither held nor refused: there is nothing to send again."


class LetterToNobody(Invalid):
    """A letter by hand names no box."""

    code = "letter-to-nobody"
    title = "Say to whom the letter goes."


class LetterAddressRefused(Invalid):
    """A typed address is none, or is not of the secure mail, or is a patient's box."""

    code = "letter-address-refused"
    title = "An address is not that of a professional's box in the secure mail."


class LetterDocumentsRefused(Invalid):
    """A letter takes one document at least, and not more than the limit."""

    code = "letter-documents-refused"
    title = "A letter encloses one document at least, and 20 at most."


class LetterHidden(Conflict):
    """Documents are hidden from those whom the letter is for: ``context`` has the uniqueIds by the kind of letter."""

    code = "letter-hidden"
    title = "A document is hidden from those whom the letter is for."


class LetterUnreadable(Conflict):
    """Documents that the caller sees can't be read here: ``context`` has the uniqueIds."""

    code = "letter-unreadable"
    title = "A document can't be read here, so it can't be mailed."


class LetterNotQualified(Conflict):
    """Only a qualified national number makes the patient's box."""

    code = "letter-not-qualified"
    title = "The patient's identity is not qualified: there is no box of theirs."


class MailUnavailable(Unavailable):
    """The mail server does not answer, or asks to try later."""

    code = "mail-unavailable"
    title = "The mail server does not answer, or asks to try later."


class MailMisconfigured(Misconfigured):
    """The mail server's certificate, or ours, or the name of the hub's own box is not accepted."""

    code = "mail-misconfigured"
    category = Category.CONFIGURATION
    title = "The mail server and this hub do not accept each other: certificates, or the hub's own address."


class RecipientRefused(Invalid):
    """There is no such box."""

    code = "mail-recipient-refused"
    title = "The mail server refuses the recipient."


class MessageRefused(Invalid):
    """The server does not take the message."""

    code = "mail-message-refused"
    title = "The mail server refuses the message."


class MailTooLarge(TooLarge):
    """The package is larger than mails may be."""

    code = "mail-too-large"
    title = "The documents are larger than a mail may be."
