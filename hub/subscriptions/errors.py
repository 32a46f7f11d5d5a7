"""What can be wrong with subscriptions. Most have a fault of their own in WS-BaseNotification 1.3."""

from hub.errors import Conflict, Invalid, NotFound, Unsupported


class SubscriptionNotFound(NotFound):
    """No subscription has this id, or it is another client's, or it has ended."""

    code = "subscription-not-found"
    title = "There is no such subscription."


class PullPointNotFound(NotFound):
    """No pull point has this id, or it is another client's."""

    code = "pull-point-not-found"
    title = "There is no such pull point."


class InvalidFilter(Invalid):
    """The filter is none of ITI TF-2: 3.52.5.2, or breaks one of its rules. ``location``: the parameter."""

    code = "invalid-filter"
    title = "The filter is not valid."


class InvalidTopic(Invalid):
    """The topic expression is not one topic's name."""

    code = "invalid-topic-expression"
    title = "The topic expression is not valid."


class TopicNotSupported(Unsupported):
    """A topic that is not offered here."""

    code = "topic-not-supported"
    title = "The topic is not supported."


class TopicDialectUnknown(Unsupported):
    """A topic expression in another dialect than the simple one."""

    code = "topic-dialect-unknown"
    title = "Topic expressions must be in the Simple dialect (WS-Topics 1.3: 8.1)."


class UnacceptableInitialTerminationTime(Invalid):
    """A new subscription's end is past, or later than is granted here."""

    code = "unacceptable-initial-termination-time"
    title = "The termination time is in the past, or later than is granted here."


class UnacceptableTerminationTime(Invalid):
    """A renewed subscription's end is past, or later than is granted here."""

    code = "unacceptable-termination-time"
    title = "The termination time is in the past, or later than is granted here."


class UnsupportedPolicy(Unsupported):
    """A policy of the standard that is not offered here (wsnt:UseRaw)."""

    code = "unsupported-subscription-policy"
    title = "The subscription policy is not supported."


class UnrecognizedPolicy(Unsupported):
    """A policy that the standard does not know."""

    code = "unrecognized-subscription-policy"
    title = "The subscription policy is not known."


class SubscribeCreationFailed(Conflict):
    """The subscription can't be made, for a reason that has no fault of its own."""

    code = "subscribe-creation-failed"
    title = "The subscription could not be made."


class ConsumerNotPermitted(SubscribeCreationFailed):
    """Notifications may not be sent to this address: ``subscriptions.consumers`` does not allow it."""

    code = "consumer-not-permitted"
    title = "Notifications may not be sent to this address."


class TooManySubscriptions(SubscribeCreationFailed):
    """The client has as many subscriptions as one may have."""

    code = "too-many-subscriptions"
    title = "You have as many subscriptions as one client may have."


class UnableToCreatePullPoint(Conflict):
    """The client has as many pull points as one may have."""

    code = "unable-to-create-pull-point"
    title = "You have as many pull points as one client may have."
