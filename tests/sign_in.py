"""A hub whose people sign in with an OpenID provider, and a browser made of httpx."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from argon2 import PasswordHasher

from hub.app.settings.model import Security, Settings, Storage, User
from hub.app.settings.psc import ProSanteConnect
from hub.app.settings.roles import Role
from hub.app.wiring import Hub
from hub.audit.model import AuditRecord, AuditSearch
from tests.interop.oidc_provider import CLIENT, SECRET
from tests.loopback import PORTS

USER = User(login="claire", name="Claire", password_argon2=PasswordHasher(1, 8, 1).hash("lune"))


def signing_hub(directory: Path, database: str, issuer: str, **more: Any) -> Hub:
    """Not started."""
    secret = directory / "secret"
    secret.write_text(f"{SECRET}\n")
    given = {"issuer": issuer, "client_id": CLIENT, "client_secret_file": secret, "phone": True, **more}
    return Hub(
        Settings(
            pro_sante_connect=ProSanteConnect(**given),
            users=(USER,),
            **PORTS,
            security=Security(),
            storage=Storage(database=database, content=directory / "content"),
        )
    )


def start(hub: Hub) -> str:
    """Only what the portal needs. Where it is."""
    hub.start([Role.WEB])
    return hub.public_url()


def records(hub: Hub) -> tuple[AuditRecord, ...]:
    """The audit trail, newest first."""
    hub.audit.flush()
    return tuple(hub.audit.search(AuditSearch(limit=100)).records)


class Person(httpx.Client):
    """Somebody's browser: it follows redirections and refreshing pages."""

    def __init__(self, url: str, language: str = "fr") -> None:
        super().__init__(base_url=url, headers={"Accept-Language": language}, timeout=30)

    def go(self, url: str) -> httpx.Response:
        """As far as pages lead on by themselves."""
        answer = self.get(url)
        for _ in range(12):
            if answer.is_redirect:
                answer = self.get(answer.url.join(answer.headers["location"]))
            elif 'content="0;url=' in answer.text:
                target = answer.text.split("0;url=", 1)[1].split('"', 1)[0].replace("&amp;", "&")
                answer = self.get(answer.url.join(target))
            else:
                return answer
        raise AssertionError("it leads nowhere")

    def to_provider(self) -> httpx.Response:
        """The provider's own page for signing in."""
        return self.go("/portal/sign-in/provider")

    def at_provider(self, account: str, acr: str = "eidas1", *, target: str = "") -> str:
        """Sign in there; where it sends the browser back to. ``target``: what for, as a page's link has it."""
        page = self.go(f"/portal/sign-in/provider?target={target}") if target else self.to_provider()
        answer = self.post(str(page.url), data={"login": account, "acr": acr})
        back = urlsplit(str(self.base_url)).netloc
        while urlsplit(str(answer.url.join(answer.headers["location"]))).netloc != back:
            answer = self.get(str(answer.url.join(answer.headers["location"])))
        return str(answer.headers["location"])

    def submit(self, page: httpx.Response, path: str, **given: str) -> httpx.Response:
        """A form of the page."""
        form = page.text.split(f'action="{path}"', 1)[1]
        csrf = form.split('name="csrf" value="', 1)[1].split('"', 1)[0]
        answer = self.post(path, data={"csrf": csrf, **given})
        if answer.is_redirect:
            return self.go(answer.headers["location"])
        return (
            self.go(answer.text.split("0;url=", 1)[1].split('"', 1)[0]) if 'content="0;url=' in answer.text else answer
        )
