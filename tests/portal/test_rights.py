"""Consent, broken glass and care in the portal, over a real hub."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from hub.access.model import Principal, Scheme
from hub.access.rights_model import Choice, Kind, Matter, Thing
from hub.access.service import hash_password
from hub.app.settings.model import User
from hub.app.wiring import Hub
from hub.audit.model import AuditSearch
from hub.context import Context
from hub.patients.model import FeedIdentity
from hub.values import PatientIdentifier
from tests.patients.conftest import identity
from tests.portal.conftest import field
from tests.profiles import running

PASSWORD = "officer-password"
NUMBER = PatientIdentifier("R-1", running.OIDS["A"])
ROLES = ("officer", "clinician", "steward")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    secret = hash_password(PASSWORD)
    users = tuple(User(login=role, name=role.title(), password_argon2=secret, roles=(role,)) for role in ROLES)
    hub = Hub(running.settings(f"sqlite:///{tmp_path / 'hub.sqlite'}", tmp_path / "content", users=users))
    hub.start()
    try:
        hub.patients.feed(FeedIdentity(identity("R-1", NUMBER.authority)), Context(source="HIS_A"))
        yield hub
    finally:
        hub.stop()


@contextmanager
def entered(hub: Hub, login: str, language: str = "en") -> Iterator[httpx.Client]:
    with httpx.Client(base_url=hub.public_url(), headers={"Accept-Language": language}, timeout=120) as client:
        form = client.get("/portal/sign-in")
        data = {"csrf": field(form.text, "csrf"), "login": login, "password": PASSWORD}
        assert client.post("/portal/sign-in", data=data).status_code == 303
        yield client


def opened(client: httpx.Client) -> str:
    """The address of the person's page."""
    csrf = field(client.get("/portal/search").text, "csrf")
    data = {"csrf": csrf, "identifier": "R-1", "name": "", "given": "", "birth_date": ""}
    page = client.post("/portal/search", data=data, follow_redirects=True)
    found = re.search(r'href="(/portal/person/[^"/]+)"', page.text)
    assert found is not None, page.text
    return found[1]


def send(client: httpx.Client, address: str, **fields: str) -> httpx.Response:
    csrf = field(client.get(address.rpartition("/")[0]).text, "csrf")
    return client.post(address, data={"csrf": csrf, **fields}, follow_redirects=True)


def visible(hub: Hub, *, person: bool = False) -> bool:
    system = Principal("HIS", scheme=Scheme.CERTIFICATE)
    user = Principal("clinician", scheme=Scheme.SESSION, roles=frozenset({"clinician"}), person=True)
    context = Context(principal=user if person else system)
    return hub.rights.visible([Thing(Kind.DOCUMENT, NUMBER)], context)[0]


def test_an_opposition_is_recorded_and_the_glass_broken(hub: Hub) -> None:
    with entered(hub, "clinician") as client:
        person = opened(client)
        before = client.get(person).text
        assert "Emergency access" in before
        page = send(client, f"{person}/rights/consent", matter="consultation", choice="opposition", at="2026-03-01")
        assert "It is recorded" in page.text
        assert "Opposes" in page.text
        assert not visible(hub)
        assert not visible(hub, person=True)
        assert "Emergency access" in client.get(person).text  # as before: it tells nothing
        csrf = field(client.get(person).text, "csrf")
        page = client.post(f"{person}/rights/glass", data={"csrf": csrf, "reason": "why"}, follow_redirects=True)
        assert "Say in a few words" in page.text
        assert not visible(hub, person=True)
        reason = "Found unconscious <b>in the street</b>"
        page = client.post(f"{person}/rights/glass", data={"csrf": csrf, "reason": reason}, follow_redirects=True)
        assert "open for a limited time" in page.text
        assert visible(hub, person=True)
        assert not visible(hub)
    records = hub.audit.search(AuditSearch(transaction="PORTAL-GLASS")).records
    [done] = [record for record in records if not record.error_code]
    assert (done.reason, done.purpose, len(records)) == (reason, "bris_de_glace", 2)
    with entered(hub, "officer", "fr") as client:
        page = client.get("/portal/rights/broken")
        assert "Found unconscious &lt;b&gt;in the street&lt;/b&gt;" in page.text
        assert "Clinician" in page.text
        key = re.search(r'action="(/portal/rights/broken/[0-9]+)"', page.text)
        assert key is not None
        page = client.post(key[1], data={"csrf": field(page.text, "csrf")}, follow_redirects=True)
        assert "Officer" in page.text
        assert "C&#39;est noté" in page.text
        assert key[1] not in page.text
        meanwhile = re.search(r'href="(/portal/trail\?q=[^"]+)"', page.text)
        assert meanwhile is not None
        seen = client.get(meanwhile[1]).text
        assert "A utilisé le bris de glace" in seen
        assert "Officer" not in re.findall(r'<th scope="row"><bdi>([^<]+)', seen), "only what that professional saw"


def test_care_and_what_is_not_valid(hub: Hub) -> None:
    with entered(hub, "clinician") as client:
        rights = f"{opened(client)}/rights"
        for fields, told in (
            ({"matter": "consultation", "choice": "opposition", "at": "2999-01-01"}, "in the future"),
            ({"matter": "anything", "choice": "opposition"}, "nothing was recorded"),
            ({"matter": "consultation", "choice": "opposition", "at": "soon"}, "nothing was recorded"),
            ({"matter": "feeding", "choice": "opposition", "at": "2026-03-02", "until": "2026-03-01"}, "not valid"),
        ):
            assert told in send(client, f"{rights}/consent", **fields).text, fields
        assert visible(hub)
        for fields in ({"kind": "own_doctor"}, {"kind": "own_doctor", "ends": "1"}, {"kind": "declared"}):
            assert "declaration is recorded" in send(client, f"{rights}/care", **fields).text
        assert "not valid" in send(client, f"{rights}/care", kind="mother").text
        actor = "899700000001"
        page = send(client, f"{rights}/consent", matter="consultation", choice="consent", actor=actor)
        assert actor in page.text
        assert hub.rights.said(NUMBER, Matter.CONSULTATION) is Choice.UNKNOWN


def test_who_may(hub: Hub) -> None:
    with entered(hub, "clinician") as client:
        person = opened(client)
        assert client.get("/portal/rights/broken").status_code == 403
        assert client.post(f"{person}/rights/glass", data={"reason": "no token of the form"}).status_code == 403
    with entered(hub, "steward") as client:
        person = opened(client)
        assert "Emergency access" not in client.get(person).text
        csrf = field(client.get("/portal/search").text, "csrf")
        for path, fields in {
            "glass": {"reason": "Found unconscious in the street"},
            "consent": {"matter": "consultation", "choice": "opposition"},
            "care": {"kind": "declared"},
        }.items():
            assert client.post(f"{person}/rights/{path}", data={"csrf": csrf, **fields}).status_code == 403
        assert client.get(f"{person}/rights").status_code == 403
    assert visible(hub)
