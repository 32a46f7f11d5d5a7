"""A hub in this process with its web server and worker, on both databases; programs with tokens; a consumer."""

import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from hub.app.settings.model import Authority, Settings, Storage, Web
from hub.app.settings.nodes import Client
from hub.app.settings.roles import Role
from hub.app.settings.sharing import Subscriptions
from hub.app.wiring import Hub
from tests.waiting import until

A, B = "1.2.250.1.999.10.1", "1.2.250.1.999.10.2"
SECONDS = 120.0
CLIENTS = {
    "his_a": (("patients.feed", "patients.query"), "HIS_A"),
    "his_b": (("patients.feed",), "HIS_B"),
    "ris": (("patients.query", "subscriptions.subscribe"), ""),
    "region": (("patients.*", "subscriptions.subscribe", "population.subscribe"), ""),
    "poor": (("documents.query",), ""),
}


class Consumer:
    """Takes feed messages by HTTP. ``status``: what it answers."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.status = 200
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                if outer.status == 200:
                    outer.taken.append(json.loads(body))
                self.send_response(outer.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/feed"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def wait(self, count: int) -> list[dict[str, Any]]:
        until(lambda: len(self.taken) >= count)
        return self.taken

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(SECONDS)


@dataclass
class Site:
    """A running hub, who calls it, and who is told."""

    hub: Hub
    consumer: Consumer
    clients: dict[str, httpx.Client] = field(default_factory=dict)

    @property
    def base(self) -> str:
        return f"{self.hub.public_url()}/fhir"

    def __getitem__(self, name: str) -> httpx.Client:
        if name not in self.clients:
            headers = {"Authorization": f"Bearer {name}", "Accept": "application/fhir+json"}
            self.clients[name] = httpx.Client(base_url=self.base, timeout=SECONDS, headers=headers)
        return self.clients[name]

    def close(self) -> None:
        for client in self.clients.values():
            client.close()
        self.hub.stop()


def settings(url: str, directory: Path) -> Settings:
    return Settings(
        authorities=(
            Authority(namespace="HOSP_A", oid=A, application="HIS_A", facility="HOSP_A"),
            Authority(namespace="HOSP_B", oid=B, application="HIS_B", facility="HOSP_B"),
        ),
        clients=tuple(
            Client(
                name=name,
                token_sha256=sha256(name.encode()).hexdigest(),
                permissions=permissions,
                source=f"{source}|HOSP_{source[-1]}" if source else "",
            )
            for name, (permissions, source) in CLIENTS.items()
        ),
        web=Web(port=0),
        storage=Storage(database=url, content=directory),
        subscriptions=Subscriptions(consumers=("127.0.0.1",), longest_days=30),
    )


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    hub = Hub(settings(request.getfixturevalue(f"{request.param}_url"), tmp_path / "content"))
    hub.exchange.backoff, hub.exchange.longest_backoff = 0.05, 0.2
    hub.worker.poll = 0.1
    with Consumer() as consumer:
        hub.start({Role.WEB, Role.WORKER})
        found = Site(hub, consumer)
        try:
            yield found
        finally:
            found.close()
