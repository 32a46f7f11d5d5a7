"""The national record in the portal: a whole hub, the simulated record over TLS, professionals of every kind."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from hub.access.model import Principal, Professional, Scheme
from hub.access.roles import permissions_of
from hub.app.settings.roles import Role
from hub.app.wiring import Hub
from hub.audit.model import AuditOutcome, AuditSearch
from hub.connector.record import RecordDocument
from hub.context import Context
from hub.patients.model import FeedIdentity, Identity, IdentityStatus, Traits
from hub.portal.visit import SESSION_COOKIE
from hub.record.store import PUBLICATION
from hub.testing.dmp.pki import STRUCTURE, make_pki
from hub.testing.dmp.server import DmpSimulator
from hub.testing.dmp.state import Person
from hub.values import PatientIdentifier, now
from tests.app.test_wiring import settings
from tests.connectors.dmp_site import INS, connect, kos, lot, report, study
from tests.connectors.dmp_site import settings as connector_settings
from tests.portal.conftest import field

READER = Professional("899700000001", "DURAND", "Paul", "10", specialities=("SM26",), structure=STRUCTURE)
LOCAL = PatientIdentifier("PA-1", "1.2.250.1.999.2.1", "PI")


class Site:
    """A hub with a person, and their national record with a report, its study, and an old report."""

    def __init__(self, directory: Path) -> None:
        self.dmp = DmpSimulator(make_pki(directory / "pki")).start()
        self.dmp.state.add(Person(INS.value, INS.authority, authorised={STRUCTURE}))
        made = study()
        self.report, self.kos, self.old = report(made, text="Nodule du lobe supérieur droit."), kos(made), report(made)
        ago = (datetime.now(UTC) - timedelta(days=4 * 365)).strftime("%Y%m%d%H%M%S")
        self.old = RecordDocument(replace(self.old.entry, creation_time=ago, service_start_time=ago), self.old.content)
        connector = connect(self.dmp)
        from hub.connector.record import ORGANISATION

        for document in (self.report, self.kos, self.old):
            connector.submit(lot(document), ORGANISATION, timeout=30)
        connector.close()
        self.person = self.dmp.state.persons[f"{INS.cx}^NH"]
        self.person.authorised.clear()
        record = {
            "structure": STRUCTURE, "structure_name": "CH A", "config": connector_settings(self.dmp),
            "web": "https://dmp.example",
        }  # fmt: skip
        authorities = [{"namespace": "A", "oid": LOCAL.authority}]
        self.hub = Hub(settings(directory, record=record, authorities=authorities))
        self.hub.start({Role.WEB})
        traits = Traits("PAT-TROIS", "DOMINIQUE", "DOMINIQUE", sex="F", birth_date="19790301")
        identity = Identity(LOCAL, traits, IdentityStatus.VALIDATED, ins=INS)
        self.regional = self.hub.patients.feed(FeedIdentity(identity), Context()).regional

    def stop(self) -> None:
        self.hub.stop()
        self.dmp.stop()

    def enter(self, scheme: Scheme = Scheme.PROVIDER, who: Professional | None = READER) -> httpx.Client:
        """Somebody who has signed in."""
        principal = Principal(
            READER.id, "Paul Durand", scheme, roles=frozenset({"clinician"}),
            permissions=permissions_of(["clinician"]), person=True, professional=who,
        )  # fmt: skip
        token = self.hub.access.open_session(principal, provider="test")
        return httpx.Client(
            base_url=self.hub.public_url(),
            headers={"Accept-Language": "en"},
            cookies={SESSION_COOKIE: token},
            follow_redirects=True,
            timeout=60,
        )

    def page_of(self, client: httpx.Client) -> str:
        """The patient's page."""
        form = client.get("/portal/search")
        found = client.post("/portal/search", data={"csrf": field(form.text, "csrf"), "identifier": INS.value})
        return "/portal/person/" + found.text.split('href="/portal/person/', 1)[1].split('"', 1)[0]

    def own(self) -> None:
        """What is there was sent by this region."""
        from sqlalchemy import insert

        with self.hub.database.transaction() as work:
            work.connection.execute(
                insert(PUBLICATION),
                {
                    "id": "p1", "kind": "report", "study_instance_uid": "1.2.3", "entry": "e", "logical_id": "e",
                    "unique_id": self.report.entry.unique_id, "patient": self.regional.cx, "wanted": True,
                    "state": "sent", "reason": "", "detail": "", "attempts": 0, "versions": 1,
                    "record_patient": INS.cx, "record_unique_id": self.report.entry.unique_id,
                    "record_source": self.report.entry.unique_id, "created_at": now(), "changed_at": now(),
                },
            )  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.stop()


def audited(site: Site, transaction: str) -> list[AuditOutcome]:
    site.hub.audit.flush()
    found = site.hub.audit.search(AuditSearch(limit=200)).records
    return [one.outcome for one in found if one.transaction == transaction]


def links(page: str) -> list[str]:
    handles = [part.partition('"')[0] for part in page.split('href="/portal/national/')[1:]]
    return list(dict.fromkeys(f"/portal/national/{handle}" for handle in handles))


def test_a_professional_declares_themselves_searches_and_reads(site: Site) -> None:
    with site.enter() as client:
        person = site.page_of(client)
        page = client.get(person).text
        assert f'data-load="{person}/national"' in page
        refused = client.get(f"{person}/national").text
        assert "You are not authorised" in refused
        assert not links(refused)
        csrf = {"csrf": field(refused, "csrf")}
        page = client.post(f"{person}/national/authorise", data=csrf).text
        assert "knows you as authorised" in page
        assert site.person.authorised == {READER.id}
        found = links(page)
        assert len(found) == 2, "the first search goes back two years"
        assert "Since" in page
        assert "MARTIN" in page
        fragment = client.get(f"{person}/national", headers={"X-Requested-With": "portal"}).text
        assert "<html" not in fragment
        assert links(fragment) == found
        assert len(links(client.get(f"{person}/national?whole=1").text)) == 3
        shown = [client.get(link).text for link in found]
        assert any("Nodule du lobe" in text for text in shown)
        assert any("The images are kept elsewhere" in text and "mesimagesmedicales" in text for text in shown)
        for link, text in zip(found, shown, strict=True):
            body = client.get(f"{link}/original")
            assert body.content in (site.report.content, site.kos.content)
            assert body.headers["content-disposition"].startswith("attachment")
            assert client.post(f"{link}/change", data={**csrf, "change": "mask"}).status_code == 404, "not its own"
            assert "Change what" not in text
        page = client.post(f"{person}/national/authorise", data={**csrf, "withdraw": "1"}).text
        assert "taken back" in page
        assert not links(page)
    assert site.dmp.state.asked[-1].mode == "INDIRECTE_RENFORCEE"
    assert set(audited(site, "PORTAL-NATIONAL")) == {AuditOutcome.SUCCESS}
    assert len(audited(site, "PORTAL-NATIONAL-AUTHORISE")) == 2


@pytest.mark.parametrize(("scheme", "who"), [(Scheme.SESSION, None), (Scheme.CARD, READER), (Scheme.PROVIDER, None)])
def test_others_are_told_why_not(site: Site, scheme: Scheme, who: Professional | None) -> None:
    with site.enter(scheme, who) as client:
        person = site.page_of(client)
        page = client.get(person).text
        assert "sign in with Pro Santé Connect" in page
        assert f'data-load="{person}/national"' not in page
        assert "sign in with Pro Santé Connect" in client.get(f"{person}/national").text
        csrf = {"csrf": field(page, "csrf")}
        assert client.post(f"{person}/national/authorise", data=csrf).status_code == 403
    assert not [one for one in site.dmp.state.asked if one.mode == "INDIRECTE_RENFORCEE"]
    assert AuditOutcome.SUCCESS not in audited(site, "PORTAL-NATIONAL")


def test_a_record_that_is_not_there_closed_blocked_or_down_is_said(site: Site) -> None:
    with site.enter() as client:
        where = f"{site.page_of(client)}/national"
        site.person.blocked.add(READER.id)
        assert "has blocked your access" in client.get(where).text
        site.person.open = False
        assert "record is closed" in client.get(where).text
        del site.dmp.state.persons[site.person.cx]
        assert "has no national record" in client.get(where).text
        site.dmp.state.faults.down = True
        page = client.get(where)
        assert page.status_code == 200
        assert "does not answer" in page.text


def test_a_person_without_a_qualified_number(site: Site) -> None:
    other = Identity(
        PatientIdentifier("PA-2", LOCAL.authority, "PI"), Traits("SEUL", "JEAN", birth_date="19800101", sex="M"),
        IdentityStatus.PROVISIONAL,
    )  # fmt: skip
    asked = len(site.dmp.state.asked)
    site.hub.patients.feed(FeedIdentity(other), Context())
    with site.enter() as client:
        form = client.get("/portal/search")
        found = client.post("/portal/search", data={"csrf": field(form.text, "csrf"), "identifier": "PA-2"})
        person = "/portal/person/" + found.text.split('href="/portal/person/', 1)[1].split('"', 1)[0]
        assert "identity is not qualified" in client.get(f"{person}/national").text
    assert len(site.dmp.state.asked) == asked


def test_what_the_region_sent_is_changed_there(site: Site) -> None:
    site.own()
    site.person.authorised.add(READER.id)
    with site.enter() as client:
        person = site.page_of(client)
        page = client.get(f"{person}/national").text
        assert "sent by this region" in page
        link = next(one for one in links(page) if "Nodule" in client.get(one).text)
        csrf = {"csrf": field(page, "csrf")}

        def there() -> set[str]:
            found = site.dmp.state.by_unique_id(site.report.entry.unique_id)
            assert found is not None
            return set(found.confidentiality)

        assert "Change what the national record shows" in client.get(link).text
        assert "has been changed" in client.post(f"{link}/change", data={**csrf, "change": "hide"}).text
        assert "INVISIBLE_PATIENT" in there()
        client.post(f"{link}/change", data={**csrf, "change": "show"})
        assert there() == {"N"}
        assert client.post(f"{link}/change", data={**csrf, "change": "burn"}).status_code == 404
        client.post(f"{link}/change", data={**csrf, "change": "delete"})
        assert len(links(client.get(f"{person}/national").text)) == 1
        assert client.get(link).status_code == 404
    assert audited(site, "PORTAL-NATIONAL-CHANGE").count(AuditOutcome.SUCCESS) == 3


def test_archived_documents_are_shown_on_request(site: Site) -> None:
    site.own()
    site.person.authorised.add(READER.id)
    with site.enter() as client:
        person = site.page_of(client)
        page = client.get(f"{person}/national").text
        link = next(one for one in links(page) if "Nodule" in client.get(one).text)
        csrf = {"csrf": field(page, "csrf")}
        page = client.post(f"{link}/change", data={**csrf, "change": "archive"}).text
        assert "has been changed" in page
        assert link not in links(page)
        assert "national?archived=1" in page
        shown = client.get(f"{person}/national?archived=1").text
        assert link in links(shown)
        assert "archived</span>" in shown
        assert "national?whole=1&amp;archived=1" in shown, "the other links keep it"
        assert link not in links(client.get(f"{person}/national?whole=1").text)
        client.post(f"{link}/change", data={**csrf, "change": "restore"})
        assert link in links(client.get(f"{person}/national").text)


def test_the_records_own_pages_open_in_the_browser(site: Site) -> None:
    site.person.authorised.add(READER.id)
    with site.enter() as client:
        person = site.page_of(client)
        assert f'href="{person}/national/web/accesses"' in client.get(f"{person}/national").text
        answer = client.get(f"{person}/national/web/accesses", follow_redirects=False)
        assert answer.headers["location"] == f"https://dmp.example/AccesDirect/HistoriqueAcces/{INS.value}"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert client.get(f"{person}/national/web/elsewhere", follow_redirects=False).status_code == 404
        identity = Identity(LOCAL, Traits("PAT-TROIS", "DOMINIQUE", birth_date="19790301"), IdentityStatus.PROVISIONAL)
        site.hub.patients.feed(FeedIdentity(identity), Context())
        assert client.get(f"{person}/national/web/record", follow_redirects=False).status_code == 409
    assert sorted(audited(site, "PORTAL-NATIONAL-WEB")) == [AuditOutcome.SUCCESS, AuditOutcome.MINOR_FAILURE]


def test_a_handle_of_another_session_opens_nothing(site: Site) -> None:
    site.person.authorised.add(READER.id)
    with site.enter() as client, site.enter() as other:
        link = links(client.get(f"{site.page_of(client)}/national").text)[0]
        assert other.get(link).status_code == 404
