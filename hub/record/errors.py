"""What can go wrong with publications to the national record."""

from hub.errors import Conflict, NotFound


class PublicationNotFound(NotFound):
    """No publication of this id."""

    code = "publication-not-found"
    title = "There is no such publication."


class PublicationNotHeld(Conflict):
    """Only what is held is tried again."""

    code = "publication-not-held"
    title = "The publication is not held: there is nothing to try again."
