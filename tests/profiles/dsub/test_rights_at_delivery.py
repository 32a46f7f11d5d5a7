"""What a subscriber may see is decided when it is told, not when the document was registered: over real sockets, on
both databases, to consumers and pull points, full and minimal notifications."""

from datetime import timedelta

import pytest
from lxml import etree
from sqlalchemy import func, select

from hub.access.model import HUB
from hub.access.rights_model import Choice, Consent, Matter, RecordConsent
from hub.audit.model import AuditSearch
from hub.context import Context
from hub.subscriptions.store import NOTIFICATION
from hub.values import PatientIdentifier, now
from tests.interop.by_hand import Entry
from tests.profiles.dsub import conftest
from tests.profiles.dsub.clients import address_of
from tests.profiles.dsub.conftest import Site
from tests.waiting import until

TOPICS = ("ihe:FullDocumentEntry", "ihe:MinimalDocumentEntry")


def says(site: Site, patient: PatientIdentifier, choice: Choice) -> None:
    """What the patient wants about consultation, from now on."""
    word = Consent("", patient, Matter.CONSULTATION, choice, now() - timedelta(days=1))
    site.hub.consents.record(RecordConsent(word), Context(principal=HUB))


def of(patient: PatientIdentifier) -> dict[str, list[str]]:
    return {"XDSDocumentEntryPatientId": [f"'{patient.cx}'"]}


def everything(site: Site) -> bytes:
    return b"".join(etree.tostring(root) for root in site.consumer.received)


def nothing_waits(site: Site) -> bool:
    """Every delivery has come to its end."""
    with site.hub.database.reading() as work:
        return not work.connection.execute(select(func.count()).select_from(NOTIFICATION)).scalar_one()


@pytest.mark.parametrize("topic", TOPICS)
def test_who_opposes_meanwhile_is_not_told_of(site: Site, topic: str) -> None:
    opposed, other = site.person("OPPOSED"), site.person("OTHER")
    for patient in (opposed, other):
        address_of(site["ris"].subscribe(site.consumer.url, of(patient), topic=topic))
    site.consumer.stop()
    first = site["ris"].provide(Entry(patient=opposed.cx, content=b"a secret"))
    assert not nothing_waits(site)
    says(site, opposed, Choice.OPPOSITION)
    until(lambda: nothing_waits(site))  # the next attempt finds nobody who may be told
    site.consumer.start()
    second = site["ris"].provide(Entry(patient=other.cx, content=b"no secret"))
    until(lambda: site.consumer.received)
    until(lambda: nothing_waits(site))
    told = everything(site)
    assert len(site.consumer.received) == 1
    for text in (first, opposed.cx.replace("&", "&amp;"), "OPPOSED"):
        assert text.encode() not in told
    if topic == TOPICS[0]:
        assert site.consumer.uids == [second]
    assert site.hub.audit.flush(60)
    sent = site.hub.audit.search(AuditSearch(transaction="ITI-53", limit=500)).records
    delivered = [record for record in sent if record.outcome.value == "0"]
    assert len(delivered) == 1
    assert first not in str(delivered[0].objects)
    says(site, opposed, Choice.CONSENT)
    third = site["ris"].provide(Entry(patient=opposed.cx, content=b"shared again"))
    until(lambda: len(site.consumer.received) == 2)
    assert first not in site.consumer.uids
    if topic == TOPICS[0]:
        assert site.consumer.uids == [second, third]


@pytest.mark.parametrize("topic", TOPICS)
def test_a_pull_point_gives_what_may_be_seen_when_it_is_asked(site: Site, topic: str) -> None:
    patient, ris = site.person("PULLED"), site["ris"]
    point = address_of(ris.create_pull_point(), "PullPoint")
    address_of(ris.subscribe(point, of(patient), topic=topic))
    ris.provide(Entry(patient=patient.cx, content=b"a secret"))
    says(site, patient, Choice.OPPOSITION)
    hidden = etree.tostring(ris.get_messages(point).root)
    empty = address_of(ris.create_pull_point(), "PullPoint")
    nothing = etree.tostring(ris.get_messages(empty).root)
    assert b"NotificationMessage" not in hidden, hidden
    assert len(hidden) == len(nothing)
    says(site, patient, Choice.CONSENT)
    assert b"NotificationMessage" not in etree.tostring(ris.get_messages(point).root), "it was dropped"
    ris.provide(Entry(patient=patient.cx, content=b"shared again"))
    assert b"NotificationMessage" in etree.tostring(ris.get_messages(point).root)


def test_who_lost_the_permission_is_told_nothing_more(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    patient = site.person("LOST")
    address_of(site["ris"].subscribe(site.consumer.url, of(patient)))
    site.consumer.stop()
    first = site["ris"].provide(Entry(patient=patient.cx, content=b"a report"))
    monkeypatch.setitem(conftest.CLIENTS, "ris", ("documents.submit",))
    later = site.restart()
    until(lambda: nothing_waits(later))
    later.consumer.start()
    assert later.consumer.received == []
    assert first not in str(later.consumer.requests)
