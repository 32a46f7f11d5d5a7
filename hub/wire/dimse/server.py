"""An SCP: accepts associations, one thread each, up to a limit."""

import logging
import select
import socket
import ssl
import threading
from collections.abc import Callable

from hub.errors import HubError
from hub.wire.dimse.association import Association

log = logging.getLogger(__name__)


class Server:
    """Listens from construction on; ``serve`` gets each new connection before its negotiation, in its own thread."""

    def __init__(
        self,
        host: str,
        port: int,
        serve: Callable[[Association], None],
        *,
        max_associations: int,
        idle: float = 60.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._serve = serve
        self._idle = idle
        self._tls = tls
        self._slots = threading.BoundedSemaphore(max_associations)
        self._active: set[Association] = set()
        self._lock = threading.Lock()
        self._stopping = False
        self._listener = socket.create_server((host, port), backlog=64)
        self._listener.settimeout(0.5)
        self._thread = threading.Thread(target=self._accept, name="dimse-accept", daemon=True)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._listener.getsockname()[1])

    def start(self) -> None:
        """Begin to accept."""
        self._thread.start()

    def stop(self, grace: float = 5.0) -> None:
        """Stop accepting, wait for running associations, then close those that remain."""
        self._stopping = True
        self._listener.close()
        if self._thread.is_alive():
            self._thread.join(timeout=2.0)
        deadline = threading.Event()
        for _ in range(int(grace * 20)):
            with self._lock:
                if not self._active:
                    return
            deadline.wait(0.05)
        with self._lock:
            left = list(self._active)
        for association in left:
            association.abort()

    def _accept(self) -> None:
        while not self._stopping:
            try:
                link, address = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            threading.Thread(
                target=self._run, args=(link, f"{address[0]}:{address[1]}"), name="dimse-association", daemon=True
            ).start()

    def _speaks(self, link: socket.socket) -> bool:
        """Whether the peer sends anything in time: one that is merely connected takes nobody's place."""
        if isinstance(link, ssl.SSLSocket) and link.pending():
            return True
        waiting = select.poll()
        waiting.register(link, select.POLLIN)
        return bool(waiting.poll(self._idle * 1000))

    def _run(self, link: socket.socket, peer: str) -> None:
        try:
            link.settimeout(self._idle)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not link.recv(1, socket.MSG_PEEK):  # who looks whether the port is open: no failure of anybody
                link.close()
                return
            if self._tls is not None:
                link = self._tls.wrap_socket(link, server_side=True)
        except OSError as error:
            log.info("DICOM connection from %s failed: %s", peer, type(error).__name__)
            link.close()
            return
        association = Association(link, idle=self._idle)
        association.peer = peer
        if isinstance(link, ssl.SSLSocket):
            association.certificate = link.getpeercert(binary_form=True) or b""
        if not self._speaks(link):
            link.close()
            return
        free = self._slots.acquire(blocking=False)
        with self._lock:
            self._active.add(association)
        try:
            if free:
                self._serve(association)
            else:
                association.read_request()
                association.reject(2, 3, 2)
        except HubError as error:
            log.info("DICOM association from %s ended: %s", peer, error.code)
        except Exception:
            log.exception("DICOM association from %s failed", peer)
        finally:
            association.abort()
            with self._lock:
                self._active.discard(association)
            if free:
                self._slots.release()
