"""Who is told of changes of persons (PMIR: ITI-94), through the outbox, in the commit of the change."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hub.context import Context
from hub.errors import AccessDenied, HubError, NotAuthenticated
from hub.outbox import Outbox
from hub.patients.model import Person
from hub.storage.engine import Database
from hub.subscriptions.consumers import Consumers
from hub.subscriptions.errors import (
    ConsumerNotPermitted,
    SubscriptionNotFound,
    TooManySubscriptions,
    UnacceptableInitialTerminationTime,
)
from hub.subscriptions.patient_model import (
    About,
    ChangePatientSubscription,
    Criteria,
    EndPatientSubscription,
    FeedState,
    GetPatientSubscription,
    PatientSubscription,
    SubscribeToPatients,
    Told,
    Wanted,
)
from hub.subscriptions.ports import Access, Persons
from hub.subscriptions.service import ANY_PATIENT
from hub.subscriptions.store_patients import PatientSubscriptionStore, key
from hub.usecase import use_case
from hub.values import PatientIdentifier, new_key, now

#: The kind of delivery.
PATIENT_FEED = "patient-feed"
QUERY, SUBSCRIBE = "patients.query", "subscriptions.subscribe"


class PatientFeedService:
    """Subscriptions to changes of persons. ``consumers``: where it may send; ``longest``: no subscription is granted
    for longer; ``most``: per client."""

    def __init__(
        self,
        *,
        database: Database,
        patients: Persons,
        access: Access,
        outbox: Outbox,
        consumers: Consumers,
        longest: timedelta = timedelta(days=366),
        most: int = 1000,
    ) -> None:
        self.database = database
        self.patients = patients
        self.access = access
        self.outbox = outbox
        self.consumers = consumers
        self.longest = longest
        self.most = most

    # ITI-94

    @use_case
    def subscribe(self, command: SubscribeToPatients, context: Context) -> PatientSubscription:
        """Make a subscription. Raises AccessDenied, ConsumerNotPermitted, TooManySubscriptions,
        UnacceptableInitialTerminationTime."""
        at = now()
        made = self._granted(PatientSubscription(
            id=new_key(), owner=context.principal.id, criteria=command.wanted.criteria, endpoint="", reason="",
            contacts=(), expires_at=at, created_at=at,
        ), command.wanted, context)  # fmt: skip
        with self.database.transaction() as work:
            store = PatientSubscriptionStore(work)
            store.forget_ended(at)
            if store.count(made.owner, at) >= self.most:
                raise TooManySubscriptions
            store.put(made)
        context.touch("subscription", made.id)
        return made

    @use_case
    def get(self, command: GetPatientSubscription, context: Context) -> PatientSubscription:
        """One's own subscription. Raises SubscriptionNotFound."""
        context.touch("subscription", command.id)
        with self.database.reading() as work:
            return _own(PatientSubscriptionStore(work).get(command.id, now()), context)

    @use_case
    def change(self, command: ChangePatientSubscription, context: Context) -> PatientSubscription:
        """Replace a subscription: enable it, disable it, another end or address. Raises as ``subscribe``, and
        SubscriptionNotFound."""
        context.touch("subscription", command.id)
        with self.database.transaction() as work:
            store = PatientSubscriptionStore(work)
            changed = self._granted(_own(store.get(command.id, now(), lock=True), context), command.wanted, context)
            store.put(changed)
            return changed

    @use_case
    def end(self, command: EndPatientSubscription, context: Context) -> None:
        """End a subscription; what was on its way is not sent any more. Raises SubscriptionNotFound."""
        context.touch("subscription", command.id)
        with self.database.transaction() as work:
            store = PatientSubscriptionStore(work)
            store.remove(_own(store.get(command.id, now(), lock=True), context).id)

    def _granted(self, before: PatientSubscription, wanted: Wanted, context: Context) -> PatientSubscription:
        for permission in _needed(wanted.criteria):
            self.access.permit(context.principal, permission, context)
        self.consumers.check(wanted.endpoint)
        at = now()
        latest = at + self.longest
        expires_at = wanted.expires_at or latest
        if not at < expires_at <= latest:
            raise UnacceptableInitialTerminationTime(minimum=at.isoformat(), maximum=latest.isoformat())
        return replace(
            before,
            criteria=wanted.criteria,
            endpoint=wanted.endpoint,
            reason=wanted.reason,
            contacts=wanted.contacts,
            expires_at=expires_at,
            state=FeedState.OFF if wanted.off else FeedState.ACTIVE,
            error="",
        )

    # A listener of the patients room

    def changed(self, regional: PatientIdentifier, numbers: Iterable[PatientIdentifier], context: Context) -> None:
        """A person is new or has changed: queue what is to be told, in the open unit of work.

        Nobody can know the regional identifier of a person who is new: it is not among the numbers."""
        at = now()
        with self.database.transaction() as work:
            store = PatientSubscriptionStore(work)
            if not store.any(at):
                return
            every = tuple(numbers)
            payload = {"regional": [regional.value, regional.authority], "created": regional not in every}
            for subscription in store.about(_keys(regional, every), at):
                self._queue(subscription, payload, context)

    def _queue(self, subscription: PatientSubscription, payload: dict[str, Any], context: Context) -> None:
        if not self._may_be_told(subscription):
            return
        destination = f"consumer:{self.consumers.check(subscription.endpoint)}"
        self.outbox.enqueue(destination, PATIENT_FEED, {"subscription": subscription.id, **payload}, context)

    def _may_be_told(self, subscription: PatientSubscription) -> bool:
        """Whether the settings still let the owner see this, and let it be sent there."""
        owner = self.access.named(subscription.owner)
        if owner is None:
            return False
        try:
            for permission in _needed(subscription.criteria):
                self.access.permit(owner, permission, Context(principal=owner))
            self.consumers.check(subscription.endpoint)
        except (AccessDenied, NotAuthenticated, ConsumerNotPermitted):
            return False
        return True

    # For the worker

    def outgoing(self, subscription_id: str, regional: PatientIdentifier, *, created: bool) -> Told | None:
        """What is to be sent where; None when nobody may be told any more."""
        with self.database.reading() as work:
            found = PatientSubscriptionStore(work).get(subscription_id, now())
        if found is None or found.state is FeedState.OFF or not self._may_be_told(found):
            return None
        return Told(found, regional, created)

    def person(self, regional: PatientIdentifier) -> Person | None:
        """The person as they are now."""
        person = self.patients.person(regional)
        return self.patients.with_details([person])[0] if person is not None else None

    def sent(self, subscription_id: str, error: HubError | None) -> None:
        """Note whether a message arrived, for the subscriber to see."""
        state = FeedState.ERROR if error is not None else FeedState.ACTIVE
        with self.database.transaction() as work:
            store = PatientSubscriptionStore(work)
            found = store.get(subscription_id, now(), lock=True)
            if found is None or found.state in (FeedState.OFF, state):
                return
            store.change(subscription_id, state=state.value, error=error.message if error is not None else "")


def _own(found: PatientSubscription | None, context: Context) -> PatientSubscription:
    if found is None or found.owner != context.principal.id:
        raise SubscriptionNotFound
    return found


def _needed(criteria: Criteria) -> Iterable[str]:
    """The permissions: who is not one person or one number is the population."""
    yield from (SUBSCRIBE, QUERY)
    if criteria.about in (About.EVERYBODY, About.DOMAIN):
        yield ANY_PATIENT


def _keys(regional: PatientIdentifier, numbers: Iterable[PatientIdentifier]) -> Iterable[str]:
    yield key(About.EVERYBODY)
    for item in (regional, *numbers):
        if item.authority == regional.authority:  # its own, and former ones
            yield key(About.PERSON, item.value)
        yield key(About.NUMBER, item.value, item.authority)
        yield key(About.NUMBER, item.value)
        yield key(About.DOMAIN, "", item.authority)
