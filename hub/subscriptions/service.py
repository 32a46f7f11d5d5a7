"""Subscriptions: made, prolonged and ended by their owner (ITI-52), fed by everything that is registered (ITI-54)."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from hub.access.rights_model import Rights
from hub.context import Context
from hub.documents.changes import Change, Changed
from hub.documents.codec import patient_key
from hub.documents.model import DocumentEntry
from hub.errors import AccessDenied, NotAuthenticated
from hub.outbox import Outbox
from hub.storage.engine import Database
from hub.subscriptions.consumers import Consumers
from hub.subscriptions.errors import (
    ConsumerNotPermitted,
    InvalidFilter,
    SubscribeCreationFailed,
    SubscriptionNotFound,
    TooManySubscriptions,
    TopicNotSupported,
    UnacceptableInitialTerminationTime,
    UnacceptableTerminationTime,
)
from hub.subscriptions.events import MINIMAL, concerned, notifications, published
from hub.subscriptions.filters import FILTERS, matches, read_filter
from hub.subscriptions.model import (
    Notification,
    Publish,
    Renew,
    Subscribe,
    Subscription,
    Termination,
    Topic,
    Unsubscribe,
)
from hub.subscriptions.ports import Access, Patients
from hub.subscriptions.pull_points import tell_dropped
from hub.subscriptions.readers import Readers
from hub.subscriptions.store import NotificationStore, SubscriptionStore
from hub.usecase import use_case
from hub.values import PatientIdentifier, new_key, now

NOTIFY = "notify"  #: the kind of delivery
ANY_PATIENT = "population.subscribe"
METADATA = "documents.query"  #: what a client needs that is told metadata, not references only


class SubscriptionService:
    """The broker. ``consumers``: where it may send; ``pull_points``: the address under which the hub's own are reached,
    known once the hub listens; ``longest``: no subscription is granted for longer; ``most``: per client."""

    def __init__(
        self,
        *,
        database: Database,
        patients: Patients,
        access: Access,
        outbox: Outbox,
        consumers: Consumers,
        pull_points: Callable[[], str],
        longest: timedelta = timedelta(days=366),
        most: int = 10_000,
        most_waiting: int = 10_000,
        rights: Rights,
    ) -> None:
        self.database = database
        self.patients = patients
        self.access = access
        self.outbox = outbox
        self.consumers = consumers
        self.pull_points = pull_points
        self.longest = longest
        self.most = most
        self.most_waiting = most_waiting
        self.rights = rights

    # ITI-52

    @use_case
    def subscribe(self, command: Subscribe, context: Context) -> Subscription:
        """Make a subscription (ITI TF-2: 3.52). Raises what has a fault of its own, or AccessDenied."""
        topic = _topic(command.topic)
        question = read_filter(command.filter)
        kind = FILTERS[command.filter.query_id]
        context.touch("query", kind.query.name)
        if topic not in kind.topics:
            raise InvalidFilter(
                f"A {kind.query.name} filter does not go with the topic {topic} (ITI TF-2: Table 3.52.5.3-1)."
            )
        for permission in _needed(topic, any_patient=kind.any_patient):
            self.access.permit(context.principal, permission, context)
        if question.patient is not None:
            context.touch("patient", patient_key(question.patient))
        at = now()
        expires_at = self._end(command.termination, at)
        if expires_at is None:
            raise UnacceptableInitialTerminationTime(**self._granted(at))
        pull_point = self._own_pull_point(command.consumer.address)
        if not pull_point:
            self.consumers.check(command.consumer.address)
        subscription = Subscription(
            id=new_key(),
            owner=context.principal.id,
            topic=topic,
            filter=command.filter,
            consumer=command.consumer,
            expires_at=expires_at,
            patient=patient_key(question.patient) if question.patient else "",
            pull_point=pull_point,
            created_at=at,
        )
        with self.database.transaction() as work:
            store = SubscriptionStore(work)
            store.forget_ended(at)
            if store.count(subscription.owner, at) >= self.most:
                raise TooManySubscriptions
            if pull_point:
                found = NotificationStore(work).pull_point(pull_point, lock=True)
                if found is None or found.owner != subscription.owner:
                    raise SubscribeCreationFailed("The consumer is no pull point of yours.")
            store.add(subscription)
        context.touch("subscription", subscription.id)
        return subscription

    @use_case
    def renew(self, command: Renew, context: Context) -> Subscription:
        """Give a subscription another end. Raises SubscriptionNotFound, UnacceptableTerminationTime."""
        context.touch("subscription", command.subscription_id)
        at = now()
        with self.database.transaction() as work:
            store = SubscriptionStore(work)
            subscription = self._own(store, command.subscription_id, context, at)
            expires_at = self._end(command.termination, at)
            if expires_at is None:
                raise UnacceptableTerminationTime(**self._granted(at))
            store.change(subscription.id, expires_at=expires_at)
            return self._own(store, command.subscription_id, context, at)

    @use_case
    def unsubscribe(self, command: Unsubscribe, context: Context) -> None:
        """End a subscription; what was on its way is not delivered any more. Raises SubscriptionNotFound."""
        context.touch("subscription", command.subscription_id)
        with self.database.transaction() as work:
            store = SubscriptionStore(work)
            store.remove(self._own(store, command.subscription_id, context, now()).id)

    @staticmethod
    def _own(store: SubscriptionStore, subscription_id: str, context: Context, at: datetime) -> Subscription:
        found = store.get(subscription_id, at, lock=True)
        if found is None or found.owner != context.principal.id:
            raise SubscriptionNotFound
        return found

    def _end(self, wanted: Termination, at: datetime) -> datetime | None:
        """When it ends; None when that can't be granted. Unsaid: as late as is granted."""
        latest = at + self.longest
        if wanted is None:
            return latest
        end = at + min(wanted, self.longest * 2) if isinstance(wanted, timedelta) else wanted
        return end if at < end <= latest else None

    def _granted(self, at: datetime) -> dict[str, str]:
        return {"minimum": at.isoformat(), "maximum": (at + self.longest).isoformat()}

    def _own_pull_point(self, address: str) -> str:
        root = self.pull_points() + "/"
        return address.removeprefix(root) if address.startswith(root) else ""

    # ITI-54, and the hub's own registrations

    @use_case
    def publish(self, command: Publish, context: Context) -> int:
        """Tell subscribers of what another registry has registered, or what happened to it (ITI TF-2: 3.54).

        Raises TopicNotSupported."""
        for item in command.objects:
            context.touch("document" if isinstance(item, DocumentEntry) else "submission set", item.unique_id)
        change = published(command.topic)
        return self.happened([Changed(change, item) for item in command.objects], context)

    def happened(self, changes: Sequence[Changed], context: Context) -> int:
        """Tell whoever wants to hear of these, in the open unit of work; how many notifications that makes."""
        at, count = now(), 0
        with self.database.transaction() as work:
            store = SubscriptionStore(work)
            if not store.any(at):
                return 0
            for patient in dict.fromkeys(one.item.patient_id for one in changes):
                of_patient = [one for one in changes if one.item.patient_id == patient]
                kinds = {type(one.item) for one in of_patient}
                filters = [key for key, kind in FILTERS.items() if kind.about in kinds]
                for subscription in store.of(self._names(patient), filters, at):
                    count += self._tell(subscription, of_patient, at, context)
        return count

    def _names(self, patient: PatientIdentifier) -> list[str]:
        """Under which identifiers somebody may have subscribed to this person: also those that were merged away."""
        return ["", patient_key(patient), *(patient_key(item) for item in self.patients.equivalents(patient))]

    def _tell(self, subscription: Subscription, changes: Sequence[Changed], at: datetime, context: Context) -> int:
        found = [one for one in concerned(subscription, changes) if matches(subscription.filter, one.item)]
        if not found or not self._may_be_told(subscription):
            return 0
        found = self._without_hidden(subscription, found)
        made = list(notifications(subscription, found))
        with self.database.transaction() as work:
            store = NotificationStore(work)
            if subscription.pull_point and store.pull_point(subscription.pull_point, lock=True) is None:
                return 0  # it goes at this very moment
            for item in made:
                store.add(item, at, subscription.pull_point)
                if not subscription.pull_point:
                    destination = f"consumer:{self.consumers.check(subscription.consumer.address)}"
                    self.outbox.enqueue(destination, NOTIFY, {"notification": item.id}, context)
            if subscription.pull_point:
                tell_dropped(store.trim(subscription.pull_point, self.most_waiting))
            SubscriptionStore(work).change(subscription.id, notified_at=at)
        return len(made)

    def _without_hidden(self, subscription: Subscription, changes: list[Changed]) -> list[Changed]:
        """Without removed objects that the owner may not read: later nobody can tell that any more."""
        removed = [one.item for one in changes if one.what is Change.REMOVED]
        owner = self.access.named(subscription.owner)
        if not removed or owner is None:
            return changes
        (left,) = self.told([Notification(objects=tuple(removed))], Context(principal=owner)) or (Notification(),)
        known = {item.id for item in left.objects}
        return [one for one in changes if one.what is not Change.REMOVED or one.item.id in known]

    def _may_be_told(self, subscription: Subscription) -> bool:
        """Whether the settings still let the owner see this, and let it be sent there."""
        owner = self.access.named(subscription.owner)
        if owner is None:
            return False
        any_patient = FILTERS[subscription.filter.query_id].any_patient
        try:
            for permission in ("subscriptions.subscribe", *_needed(subscription.topic, any_patient=any_patient)):
                self.access.permit(owner, permission, Context(principal=owner))
            if not subscription.pull_point:
                self.consumers.check(subscription.consumer.address)
        except (AccessDenied, NotAuthenticated, ConsumerNotPermitted):
            return False
        return True

    # For the worker

    def outgoing(self, notification_id: str) -> tuple[Subscription, Notification] | None:
        """What is to be sent where; None when nobody may be told any more."""
        with self.database.reading() as work:
            notification = NotificationStore(work).get(notification_id)
            if notification is None:
                return None
            subscription = SubscriptionStore(work).get(notification.subscription, now())
        owner = self.access.named(subscription.owner) if subscription is not None else None
        if subscription is None or owner is None or not self._may_be_told(subscription):
            return None
        told = self.told([notification], Context(principal=owner))
        return (subscription, told[0]) if told else None

    def told(self, notifications: Sequence[Notification], context: Context) -> tuple[Notification, ...]:
        """Notifications with what their reader may read now; one of which nothing is left is not told."""
        if self.rights.plain(context):
            return tuple(notifications)
        with self.database.reading() as work:
            readers = Readers(work, self.rights, context, self.patients)
            found = [readers.shown(item) for item in notifications]
        return tuple(item for item in found if item is not None)

    def delivered(self, notification_id: str) -> None:
        """It has arrived, or will never be sent."""
        with self.database.transaction() as work:
            NotificationStore(work).remove([notification_id])

    # For the operator

    def active(self, limit: int = 200) -> tuple[Subscription, ...]:
        """Subscriptions that have not ended, the newest first."""
        with self.database.reading() as work:
            return tuple(SubscriptionStore(work).active(now(), limit))


def _topic(text: str) -> Topic:
    try:
        return Topic(text)
    except ValueError:
        raise TopicNotSupported from None


def _needed(topic: Topic, *, any_patient: bool) -> Iterable[str]:
    if topic not in MINIMAL:
        yield METADATA
    if any_patient:
        yield ANY_PATIENT
