"""Subscriptions have an owner, an end, a limit; and nobody is told what may not be told."""

import threading
from datetime import timedelta
from typing import Any

import pytest

from hub.access.service import AccessService
from hub.context import Context
from hub.errors import AccessDenied, HubError
from hub.subscriptions.consumers import Consumers
from hub.subscriptions.errors import (
    ConsumerNotPermitted,
    InvalidFilter,
    PullPointNotFound,
    SubscribeCreationFailed,
    SubscriptionNotFound,
    TooManySubscriptions,
    TopicNotSupported,
    UnableToCreatePullPoint,
    UnacceptableInitialTerminationTime,
    UnacceptableTerminationTime,
)
from hub.subscriptions.model import (
    DestroyPullPoint,
    Endpoint,
    Notification,
    Publish,
    ReceiveNotifications,
    Renew,
    Topic,
    Unsubscribe,
)
from hub.values import now
from tests.documents.builders import ANNE, BERT, entry, submit
from tests.subscriptions.room import CLIENTS, CONSUMER, Room, about, client, wanted

ANYBODY = wanted("PatientIndependentDocumentEntry", XDSDocumentEntryClassCode=["IMAGING^^1.2.3.4"])


def test_they_survive_a_restart_and_end(room: Room) -> None:
    kept = room.subscribe(until=now() + timedelta(hours=1))
    assert kept.expires_at > now()
    room.broker = room.make_broker()
    room.register(submit(entry()))
    assert len(room.told()) == 1
    (shown,) = room.broker.active()
    assert (shown.id, shown.patient, shown.notified_at is not None) == (kept.id, ANNE.cx, True)


def test_one_that_has_ended_tells_nothing_and_goes(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = room.subscribe(until=timedelta(minutes=5))
    room.register(submit(entry()))
    assert len(room.told()) == 1
    later = now() + timedelta(minutes=6)
    monkeypatch.setattr("hub.subscriptions.service.now", lambda: later)
    assert room.told() == [], "what was still on its way is not sent any more"
    room.register(submit(entry()))
    assert (len(room.waiting()), room.broker.active()) == (1, ())
    with pytest.raises(SubscriptionNotFound):
        room.broker.unsubscribe(Unsubscribe(ended.id), room.context())
    room.subscribe()
    assert len(room.broker.active()) == 1


def test_its_owner_alone_changes_it(room: Room) -> None:
    kept = room.subscribe()
    for command, use in ((Unsubscribe(kept.id), room.broker.unsubscribe), (Renew(kept.id), room.broker.renew)):
        for who in ("other", "everyone"):
            with pytest.raises(SubscriptionNotFound):
                use(command, room.context(who))  # type: ignore[arg-type]
    room.register(submit(entry()))
    room.broker.unsubscribe(Unsubscribe(kept.id), room.context())
    assert room.told() == []
    with pytest.raises(SubscriptionNotFound):
        room.broker.unsubscribe(Unsubscribe(kept.id), room.context())


def test_renewal(room: Room) -> None:
    kept = room.subscribe(until=timedelta(hours=1))
    renewed = room.broker.renew(Renew(kept.id, timedelta(days=20)), room.context())
    assert renewed.expires_at - kept.expires_at > timedelta(days=19)
    for wrong in (now() - timedelta(seconds=1), now() + timedelta(days=31), timedelta(days=31), timedelta(0)):
        with pytest.raises(UnacceptableTerminationTime) as caught:
            room.broker.renew(Renew(kept.id, wrong), room.context())
        assert {"minimum", "maximum"} == set(caught.value.context)
    assert room.broker.active()[0].expires_at == renewed.expires_at


REFUSED: list[tuple[dict[str, Any], type[HubError]]] = [
    ({"topic": "ihe:ExtendedEverything"}, TopicNotSupported),
    ({"topic": ""}, TopicNotSupported),
    ({"topic": Topic.FOLDER}, InvalidFilter),
    ({"what": wanted("SubmissionSet", XDSSubmissionSetPatientId=ANNE.cx)}, InvalidFilter),
    ({"until": now() - timedelta(days=1)}, UnacceptableInitialTerminationTime),
    ({"until": timedelta(days=999_999)}, UnacceptableInitialTerminationTime),
    ({"what": ANYBODY}, AccessDenied),
    ({"who": "discreet"}, AccessDenied),
    ({"who": "nobody"}, HubError),
    ({"to": Endpoint("https://elsewhere.example/")}, ConsumerNotPermitted),
    ({"to": Endpoint("https://hub.example/dsub/pullpoints/none")}, SubscribeCreationFailed),
    ({"to": Endpoint("https://hub.example/dsub/pullpoints/")}, ConsumerNotPermitted),
]


@pytest.mark.parametrize(("changes", "error"), REFUSED)
def test_what_is_refused_leaves_nothing(room: Room, changes: dict[str, Any], error: type[HubError]) -> None:
    with pytest.raises(error):
        room.subscribe(**changes)
    assert room.broker.active() == ()


HOSTILE = [
    "file:///etc/passwd",
    "http://169.254.169.254/latest/meta-data",
    "https://169.254.169.254/",
    "http://ris.example/notify",
    "https://ris.example@evil.example/",
    "https://evil.example#ris.example",
    "https://ris.example:444/",
    "https://ris.example.evil.example/",
    "gopher://ris.example/",
    "https://ris.example\r\nX: y",
    "https://ris.example/ HTTP/1.1",
    "https://[::1",
    "https://ris.example:99999/",
    "https://\\evil.example/",
    "https:///notify",
    "//ris.example/",
    "ris.example",
    "https://ris.éxample/",
    f"https://ris.example/{'a' * 2000}",
    "http://www.w3.org/2005/08/addressing/anonymous",
    "http://127.0.0.1:22/",
    "http://2130706433/",
]


@pytest.mark.parametrize("address", HOSTILE)
def test_hostile_addresses(room: Room, address: str) -> None:
    room.broker.consumers = Consumers(["ris.example:443"])
    with pytest.raises(ConsumerNotPermitted):
        room.subscribe(to=Endpoint(address))


def test_addresses_that_the_setting_names() -> None:
    consumers = Consumers(["RIS.example", "10.0.0.5:8443", "127.0.0.1", "[::1]:9000"])
    for address, origin in (
        ("https://ris.example/notify?a=b", "https://ris.example:443"),
        ("https://RIS.example:8443", "https://ris.example:8443"),
        ("https://10.0.0.5:8443/", "https://10.0.0.5:8443"),
        ("http://127.0.0.1:9999/x", "http://127.0.0.1:9999"),
        ("http://[::1]:9000/", "http://[::1]:9000"),
    ):
        assert consumers.check(address) == origin
    for address in ("https://10.0.0.5/", "http://localhost/", "http://[::1]:9001/"):
        with pytest.raises(ConsumerNotPermitted):
            consumers.check(address)
    with pytest.raises(ConsumerNotPermitted):
        Consumers().check("https://ris.example/")


def test_independent_of_the_patient_needs_a_permission_of_its_own(room: Room) -> None:
    room.subscribe(ANYBODY, who="everyone")
    room.register(submit(entry(ANNE)))
    room.register(submit(entry(BERT)))
    assert [one.objects[0].patient_id for one in room.told()] == [ANNE, BERT]


def test_who_may_not_read_metadata_gets_references(room: Room) -> None:
    room.subscribe(topic=Topic.MINIMAL_DOCUMENT_ENTRY, who="discreet")
    room.register(submit(entry()))
    assert len(room.told()) == 1


def test_a_permission_that_was_taken_away_silences(room: Room) -> None:
    room.subscribe()
    room.subscribe(who="other")
    room.subscribe(ANYBODY, who="everyone")
    room.register(submit(entry()))
    assert len(room.told()) == 3
    fewer = (
        client("reader", "subscriptions.subscribe"),
        client("everyone", "subscriptions.subscribe", "documents.query"),
    )
    room.access = AccessService(database=room.database, clients=fewer)
    room.broker = room.make_broker()
    assert room.told() == [], "not even what was on its way"
    room.register(submit(entry()))
    assert len(room.waiting()) == 3


def test_a_host_that_was_taken_off_the_list_silences(room: Room) -> None:
    room.subscribe()
    room.register(submit(entry()))
    room.broker.consumers = Consumers()
    assert room.told() == []
    room.register(submit(entry()))
    assert len(room.waiting()) == 1


def test_so_many_and_no_more(room: Room) -> None:
    for _ in range(20):
        room.subscribe()
    with pytest.raises(TooManySubscriptions):
        room.subscribe()
    room.subscribe(who="other")


def test_a_refused_submission_tells_nothing(room: Room) -> None:
    room.subscribe()
    with pytest.raises(HubError):
        room.register(submit(entry(unique_id="not an oid")))
    with pytest.raises(ZeroDivisionError):
        rolled_back(room)
    assert room.waiting() == ()


def rolled_back(room: Room) -> None:
    with room.database.transaction():
        room.register(submit(entry()))
        raise ZeroDivisionError


def test_published_by_another_registry(room: Room) -> None:
    room.subscribe()
    count = room.broker.publish(Publish((entry(), entry(BERT)), "urn:oid:1.2.3"), Context())
    assert (count, len(room.told())) == (1, 1)


# Pull points


def test_notifications_wait_in_order_and_go_when_they_are_fetched(room: Room) -> None:
    point, address = room.pull_point()
    kept = room.subscribe(to=address)
    registered = [room.register(submit(entry())).entries[0].id for _ in range(3)]
    assert room.waiting() == (), "nothing is sent"
    first = room.pull(point, limit=2)
    assert [one.objects[0].id for one in first] == registered[:2]
    assert {one.subscription for one in first} == {kept.id}
    assert [one.objects[0].id for one in room.pull(point)] == registered[2:]
    assert room.pull(point) == ()
    assert room.pull(point, limit=0) == ()


def test_a_pull_point_is_its_owners(room: Room) -> None:
    point, address = room.pull_point()
    with pytest.raises(SubscribeCreationFailed):
        room.subscribe(who="other", to=address)
    with pytest.raises(PullPointNotFound):
        room.pull(point, "other")
    with pytest.raises(PullPointNotFound):
        room.pull_points.destroy(DestroyPullPoint(point), room.context("other"))
    room.subscribe(to=address)
    room.subscribe()
    room.register(submit(entry()))
    room.pull_points.destroy(DestroyPullPoint(point), room.context())
    assert len(room.broker.active()) == 1, "who filled it ends with it"
    with pytest.raises(PullPointNotFound):
        room.pull(point)


def test_a_full_pull_point_loses_the_oldest(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    room.broker.most_waiting = 3
    point, address = room.pull_point()
    room.subscribe(to=address)
    registered = [room.register(submit(entry())).entries[0].id for _ in range(5)]
    assert [one.objects[0].id for one in room.pull(point)] == registered[2:]
    told = [item.getMessage() for item in caplog.records if "pull point" in item.getMessage()]
    assert told == ["a pull point is full: 1 notifications dropped"] * 2
    for _ in range(2):
        room.pull_point()
    with pytest.raises(UnableToCreatePullPoint):
        room.pull_point()


def test_another_brokers_notifications(room: Room) -> None:
    point, _ = room.pull_point()
    foreign = Notification(
        subscription="https://broker.example/s/1",
        topic="ihe:MinimalDocumentEntry",
        references=(("urn:uuid:00000000-0000-4000-8000-000000000001", ""),),
        producer="https://broker.example",
    )
    command = ReceiveNotifications(point, (foreign,) * 7)
    assert room.pull_points.receive(command, Context()) == 7
    found = room.pull(point)
    assert len(found) == 5, "a full one loses the oldest"
    assert (found[0].producer, found[0].references) == (foreign.producer, foreign.references)
    with pytest.raises(PullPointNotFound):
        room.pull_points.receive(ReceiveNotifications("none", (foreign,)), Context())


# At the same time


def together(*work: Any) -> list[BaseException]:
    failed: list[BaseException] = []
    start = threading.Barrier(len(work))

    def run(one: Any) -> None:
        start.wait(30)
        try:
            one()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    return failed


def test_two_who_pull_at_the_same_time_get_everything_once(room: Room) -> None:
    room.broker.most_waiting = 1000
    point, address = room.pull_point()
    room.subscribe(to=address)
    registered = {room.register(submit(entry())).entries[0].id for _ in range(20)}
    found: list[str] = []

    def fetch() -> None:
        while some := room.pull(point, limit=3):
            found.extend(one.objects[0].id for one in some)

    assert together(*[fetch] * 4) == []
    rest = room.pull(point)  # who found the rows of the others locked may have stopped early
    assert sorted([*found, *(one.objects[0].id for one in rest)]) == sorted(registered)


def test_registered_and_unsubscribed_at_the_same_time(room: Room) -> None:
    kept = room.subscribe()
    for _ in range(5):
        room.subscribe(who="other")
    failed = together(
        *[lambda: room.register(submit(entry()))] * 3,
        lambda: room.broker.unsubscribe(Unsubscribe(kept.id), room.context()),
        room.subscribe,
    )
    assert failed == []
    assert {one.subscription for one in room.told()}.isdisjoint({kept.id})
    assert len(room.broker.active()) == 6


def test_a_repeat_subscription_is_another_one(room: Room) -> None:
    assert room.subscribe().id != room.subscribe().id
    room.register(submit(entry()))
    assert [item.destination for item in room.waiting()] == [f"consumer:{'https://ris.example:443'}"] * 2
    assert CONSUMER.address not in str([item.payload for item in room.waiting()])
    assert [person.name for person in CLIENTS][:2] == ["reader", "other"]


def test_no_filter_about_another_patient_leaks(room: Room) -> None:
    room.subscribe(about(BERT))
    room.register(submit(entry(ANNE)))
    assert room.waiting() == ()
