"""Answers to another place than the connection (WS-Addressing's asynchronous exchange, ITI TF-2: V.3.2.1.1.1).

The request is carried out at once and answered with 202; the answer waits, whole, in a file until the outbox has
delivered it. Where answers may go the settings say: closed by default."""

import contextlib
import os
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import httpx

from hub.context import Context
from hub.errors import DeadlineExceeded, PeerRefused, Unavailable
from hub.exchange.model import Delivery
from hub.outbox import Enqueue
from hub.subscriptions.consumers import Consumers
from hub.subscriptions.errors import ConsumerNotPermitted
from hub.values import new_key
from hub.wire.http import HttpResponse
from hub.wire.http_client import cut_off_after
from hub.wire.soap.errors import HeaderRequired, OnlyAnonymousAddress
from hub.wire.soap.message import SoapMessage, SoapResponse
from hub.wire.soap.names import NO_REPLY, SOAP_TYPE, soap
from hub.wire.soap.writing import render

#: Kind of the delivery that carries an answer.
REPLY = "soap-reply"
SECONDS = 120.0  #: silence that is borne, and half of what one delivery may take altogether
KEPT_DAYS = 30  #: an answer that could not be delivered for so long goes
_CHUNK = 256 * 1024
_LATER = frozenset({408, 425, 429})
#: A caller who is turned away learns it on the connection: nothing leaves the hub for a stranger.
_TURNED_AWAY = frozenset({401, 403})


class Replies:
    """``permitted``: hosts (``host`` or ``host:port``) that answers may go to: by https, here by http too."""

    def __init__(
        self,
        directory: Path,
        permitted: Iterable[str],
        enqueue: Enqueue,
        tls: Callable[[], ssl.SSLContext],
        *,
        seconds: float = SECONDS,
    ) -> None:
        self.directory = directory
        self.permitted = Consumers(permitted)
        self.enqueue = enqueue
        self.seconds = seconds
        self._context = tls
        self._tls: ssl.SSLContext | None = None

    def check(self, message: SoapMessage, *, asynchronous: bool) -> None:
        """Raises OnlyAnonymousAddress unless the transaction may be answered elsewhere, and there; HeaderRequired when
        the answer could not be told from others."""
        addresses = [address for address in (message.reply_to, message.fault_to) if elsewhere(address)]
        if not addresses:
            return
        if not asynchronous:
            raise OnlyAnonymousAddress()
        for address in addresses:
            self._origin(address)
        if not message.message_id:
            raise HeaderRequired("Who wants the answer elsewhere must give wsa:MessageID.", location="MessageID")

    def answer(self, response: SoapResponse, message: SoapMessage, context: Context) -> HttpResponse:
        """The HTTP answer: the response itself, or 202 when it goes elsewhere."""
        failed = response.body is not None and response.body.tag == soap("Fault")
        address = (message.fault_to or message.reply_to) if failed else message.reply_to
        if not elsewhere(address) or response.status in _TURNED_AWAY or response.body is None:
            return render(response, message)
        whole = render(response, message, to=address)
        name = self._keep(whole.chunks())
        payload = {"address": address, "file": name, "content_type": whole.media_type}
        try:
            self.enqueue(f"reply:{self._origin(address)}", REPLY, payload, context)
        except BaseException:
            (self.directory / name).unlink(missing_ok=True)
            raise
        return HttpResponse(202, b"", SOAP_TYPE)

    def deliver(self, delivery: Delivery, context: Context) -> None:
        """Send an answer and let go of it. Raises Unavailable (tried again) or PeerRefused."""
        address, file = str(delivery.payload["address"]), self.directory / str(delivery.payload["file"])
        if not file.exists():  # it was sent, and the worker died before it could say so; or it was too old
            return
        try:
            origin = self._origin(address)
        except OnlyAnonymousAddress:
            raise PeerRefused("The settings no longer permit answers to this host.") from None
        status = self._post(address, file, str(delivery.payload["content_type"]))
        if status >= 500 or status in _LATER:
            raise Unavailable(f"The receiver of the answer answered HTTP {status}.")
        if not 200 <= status < 300:
            raise PeerRefused(f"The receiver of the answer answered HTTP {status}.")
        file.unlink(missing_ok=True)
        context.led_to("soap-reply", origin)

    def sweep(self) -> None:
        """Let go of answers that nobody took for ``KEPT_DAYS``."""
        if not self.directory.is_dir():
            return
        oldest = time.time() - KEPT_DAYS * 86400
        for file in self.directory.iterdir():
            with contextlib.suppress(FileNotFoundError):  # it was delivered just now
                if file.stat().st_mtime < oldest:
                    file.unlink()

    def _origin(self, address: str) -> str:
        try:
            return self.permitted.check(address)
        except ConsumerNotPermitted:
            raise OnlyAnonymousAddress(
                "Answers to this address are not permitted (setting gateways.reply_hosts).", location="ReplyTo"
            ) from None

    def _keep(self, chunks: Iterable[bytes]) -> str:
        """The name of a file that is on the disk before 202 is said."""
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / new_key()
        try:
            path.touch(mode=0o600, exist_ok=False)
            with path.open("wb") as file:
                for chunk in chunks:
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            directory = os.open(self.directory, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path.name

    def _post(self, address: str, file: Path, content_type: str) -> int:
        """The status of the peer's answer, which is not read. One that trickles it is cut off."""
        self._tls = self._tls or self._context()
        headers = {"Content-Type": content_type, "Content-Length": str(file.stat().st_size)}
        with httpx.Client(verify=self._tls, timeout=self.seconds, trust_env=False, follow_redirects=False) as client:
            try:
                with (
                    cut_off_after(2 * self.seconds, client.close),
                    client.stream("POST", address, content=_read(file), headers=headers) as answer,
                ):
                    return answer.status_code
            except httpx.TimeoutException:
                raise DeadlineExceeded("The receiver of the answer did not answer in time.") from None
            except (httpx.HTTPError, OSError) as error:
                raise Unavailable(f"The receiver of the answer can't be reached ({type(error).__name__}).") from None


def elsewhere(address: str) -> bool:
    """Whether an endpoint reference means another place than the connection."""
    return bool(address) and address != NO_REPLY and not address.endswith("/anonymous")


def _read(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk
