"""Which topic is told of what, and as what, as data (DSUB extensions: Tables 3.53.4.3.2-1 and -2)."""

from collections.abc import Iterable, Mapping, Sequence

from hub.documents.changes import Change, Changed
from hub.documents.model import Folder
from hub.exchange.store import new_id
from hub.subscriptions.errors import TopicNotSupported
from hub.subscriptions.filters import FILTERS
from hub.subscriptions.model import Notification, Subscription, Topic

_OF_AN_ENTRY = {
    Change.REGISTERED: "",
    Change.UPDATED: "UpdateMetadata",
    Change.STATUS: "Deprecate",
    Change.REMOVED: "Delete",
}
_OF_A_FOLDER = {
    Change.REGISTERED: "",
    Change.FILLED: "UpdateContent",
    Change.EMPTIED: "RemoveDocument",
    Change.UPDATED: "UpdateMetadata",
    Change.STATUS: "Deprecate",
}
#: Topic -> what it is told of, and what its Topic says then behind a slash.
EVENTS: Mapping[Topic, Mapping[Change, str]] = {
    Topic.FULL_DOCUMENT_ENTRY: {Change.REGISTERED: ""},
    Topic.MINIMAL_DOCUMENT_ENTRY: {Change.REGISTERED: ""},
    Topic.SUBMISSION_SET: {Change.REGISTERED: ""},
    Topic.FOLDER: {Change.REGISTERED: "", Change.FILLED: ""},
    Topic.EXTENDED_FULL: _OF_AN_ENTRY,
    Topic.EXTENDED_MINIMAL: _OF_AN_ENTRY,
    Topic.UPDATE_FOLDER: _OF_A_FOLDER,
    Topic.EXTENDED_FOLDER: {**_OF_A_FOLDER, Change.REMOVED: "Delete"},
}
#: What a publisher's topic says behind a slash, and what has happened then.
PUBLISHED: Mapping[str, Change] = {
    ending: change for change, ending in EVENTS[Topic.EXTENDED_FOLDER].items() if ending
} | {"": Change.REGISTERED}
#: They tell references only: no metadata, and nothing that would have to be permitted for it.
MINIMAL = frozenset({Topic.MINIMAL_DOCUMENT_ENTRY, Topic.EXTENDED_MINIMAL})


def published(topic: str) -> Change:
    """What another registry says has happened. Raises TopicNotSupported."""
    change = PUBLISHED.get(topic.partition("/")[2])
    if change is None or (topic and topic.partition("/")[0] not in set(Topic)):
        raise TopicNotSupported
    return change


def concerned(subscription: Subscription, changes: Iterable[Changed]) -> list[Changed]:
    """Those of the changes that its topic is about."""
    about, events = FILTERS[subscription.filter.query_id].about, EVENTS[subscription.topic]
    return [one for one in changes if isinstance(one.item, about) and one.what in events]


def notifications(subscription: Subscription, changes: Sequence[Changed]) -> Iterable[Notification]:
    """One for all entries of a kind of change, one for each folder (ITI TF-2: 3.53.4.1.2)."""
    for what in dict.fromkeys(one.what for one in changes):
        objects = tuple(one.item for one in changes if one.what is what)
        ending = EVENTS[subscription.topic][what]
        topic = f"{subscription.topic}/{ending}" if ending else str(subscription.topic)
        if subscription.topic in MINIMAL:
            references = tuple((item.id, item.home) for item in objects)
            yield Notification(new_id(), subscription.id, topic, references=references)
            continue
        for told in [(item,) for item in objects] if isinstance(objects[0], Folder) else [objects]:
            yield Notification(new_id(), subscription.id, topic, told)
