import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from hub.portal.app import build
from tests.portal.fake import PASSWORDS, Hub


class Server:
    """The portal over the small region, on a real socket."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        app = FastAPI(openapi_url=None)
        app.include_router(build(hub))
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", proxy_headers=False))
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(Hub(tmp_path))
    yield server
    server.stop()


def field(html: str, name: str) -> str:
    """A hidden field's value."""
    return html.split(f'name="{name}" value="', 1)[1].split('"', 1)[0]


def sign_in(client: httpx.Client, login: str) -> httpx.Response:
    form = client.get("/portal/sign-in")
    data = {"csrf": field(form.text, "csrf"), "login": login, "password": PASSWORDS[login]}
    return client.post("/portal/sign-in", data=data, follow_redirects=True)


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers={"Accept-Language": "fr"}) as client:
        yield client


@pytest.fixture
def signed_in(client: httpx.Client) -> Callable[[str], httpx.Client]:
    def enter(login: str) -> httpx.Client:
        answer = sign_in(client, login)
        assert answer.status_code == 200, answer.text
        return client

    return enter
