"""Every page that needs no person, on a hub as it runs: a page whose question no room answers is found."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher

from hub.app.settings.model import Security, Settings, Storage, User
from hub.app.settings.roles import Role
from hub.app.wiring import Hub
from tests.loopback import PORTS

ROLES = ("clinician", "operator", "steward", "officer")
PAGES = (
    "search",
    "steward",
    "steward/orphans",
    "operator",
    "operator/messages",
    "operator/deliveries",
    "operator/sources",
    "operator/audit",
    "operator/collectors",
    "trail",
    "rights/broken",
)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    directory: Path = tmp_path_factory.mktemp("hub")
    password = PasswordHasher(time_cost=1, memory_cost=8192).hash("lune")
    hub = Hub(
        Settings(
            users=(User(login="claire", name="Claire", password_argon2=password, roles=ROLES),),
            **PORTS,
            security=Security(node_authentication=False),
            storage=Storage(database=f"sqlite:///{directory / 'hub.sqlite'}", content=directory / "content"),
        )
    )
    hub.start({Role.WEB})
    try:
        with httpx.Client(base_url=hub.public_url(), follow_redirects=True, timeout=120) as client:
            form = client.get("/portal/sign-in").text.split('name="csrf" value="', 1)[1].split('"', 1)[0]
            client.post("/portal/sign-in", data={"csrf": form, "login": "claire", "password": "lune"})
            yield client
    finally:
        hub.stop()


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_page_is_shown(client: httpx.Client, page: str, language: str) -> None:
    answer = client.get(f"/portal/{page}", headers={"Accept-Language": language})
    assert answer.status_code == 200, answer.text
    assert f'<html lang="{language}"' in answer.text
