"""What can go wrong with publications to the national record, and with reading in it."""

from hub.errors import AccessDenied, Conflict, NotFound


class PublicationNotFound(NotFound):
    """No publication of this id."""

    code = "publication-not-found"
    title = "There is no such publication."


class PublicationNotHeld(Conflict):
    """Only what is held is tried again."""

    code = "publication-not-held"
    title = "The publication is not held: there is nothing to try again."


class ConsultationNotOpen(AccessDenied):
    """The record is read by professionals whom a provider of identities vouches for, never by an organisation."""

    code = "record-consultation-not-open"
    title = "The national record is read only by a professional signed in with a national identity."


class NationalNumberMissing(Conflict):
    """Without a qualified national number there is nothing to ask the record with."""

    code = "record-number-missing"
    title = "The person has no qualified national number."


class NationalDocumentNotFound(NotFound):
    """The record shows no such document to the caller."""

    code = "record-document-not-found"
    title = "The national record shows no such document."
