"""What can be wrong with messages and deliveries."""

from hub.errors import Conflict, NotFound, Unavailable


class MessageNotFound(NotFound):
    """No kept message has this id."""

    code = "message-not-found"
    title = "There is no such message."


class DeliveryNotFound(NotFound):
    """No delivery has this id."""

    code = "delivery-not-found"
    title = "There is no such delivery."


class NotReplayable(Conflict):
    """Its state does not allow it to be tried again or put away."""

    code = "not-replayable"
    title = "In its present state this can't be tried again or put away."


class Preempted(Unavailable):
    """The database took the unit of work back to let another one go on (a deadlock between the two)."""

    code = "preempted"
    title = "Another message was let past; this one is carried out again."
