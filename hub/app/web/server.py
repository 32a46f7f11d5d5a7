"""uvicorn in a thread of its own: bound before it runs, so that port 0 works and the port is known."""

import asyncio
import functools
import gc
import socket
import ssl
import sys
import threading
from typing import Any

import uvicorn

from hub.app.keys.tls import PeerCertificateProtocol
from hub.errors import Misconfigured, Unavailable
from hub.wire.tls import secured

GRACE = 10  #: seconds that running requests have to end at a stop


class CannotListen(Misconfigured):
    """The address is in use, or not ours."""

    code = "cannot-listen"
    title = "The configured address can't be listened on."


class WebServer:
    """One HTTP(S) server. ``start`` returns when it accepts connections. ``shared``: see ``bind``."""

    def __init__(
        self, application: Any, host: str, port: int, tls: ssl.SSLContext | None = None, *, shared: bool = False
    ) -> None:
        self.host = host
        self.tls = tls
        self._socket = bind(host, port, shared=shared)
        self.port = int(self._socket.getsockname()[1])
        config = uvicorn.Config(
            application,
            loop="uvloop",
            http=PeerCertificateProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=GRACE,
            limit_concurrency=1000,
            backlog=1024,
        )
        config.load()
        config.http_protocol_class = functools.partial(_protocol, tls)  # type: ignore[assignment]  # it is only called
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name=f"web-{self.port}", daemon=True)
        self._ended = threading.Event()

    @property
    def url(self) -> str:
        """Root URL without a trailing slash."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls is not None else 'http'}://{host}:{self.port}"

    @property
    def running(self) -> bool:
        """Whether it accepts connections."""
        return bool(self._server.started) and self._thread.is_alive()

    def start(self) -> None:
        """Serve. Raises Unavailable when the server does not come up."""
        _settle()
        self._thread.start()
        while not self._server.started:
            if self._ended.wait(0.005):
                raise Unavailable("The web server did not start; the log says why.")

    def stop(self) -> None:
        """Let running requests end, then close."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(GRACE + 5)
        self._socket.close()

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._ended.set()


def _protocol(tls: ssl.SSLContext | None, **options: Any) -> asyncio.BaseProtocol:
    """What a connection is served with."""
    return secured(PeerCertificateProtocol(**options), tls)


@functools.cache
def _settle() -> None:
    """Once: what is loaded by now stays, so the garbage collector need not look through it again and again.

    A full collection walks some hundred megabytes of code and tables: every request would wait for it. Most of what a
    request makes needs no collection at all. A thread that wants the interpreter waits for the one that has it for a
    millisecond, not for five, each time it comes back from the database."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    sys.setswitchinterval(0.001)


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket with this address; ``shared``: other processes of the same user have one with it as well, and the system
    spreads connections among those that listen. Raises CannotListen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise CannotListen(f"Can't listen on {host}:{port}: {error.strerror}.") from error
    return listener
