"""A SOAP client: gateways, the demo, interoperability tests."""

import hashlib
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from hub.errors import DeadlineExceeded, HubError, Unavailable
from hub.wire.soap.message import Limits, Outgoing, Receive, Received, SoapMessage
from hub.wire.soap.names import ANONYMOUS, soap
from hub.wire.soap.reading import parse_response
from hub.wire.soap.writing import build_envelope, mtom_package, plain_type
from hub.wire.xml import Element, serialise

_CHUNK = 256 * 1024


class SoapFault(HubError):
    """The peer answered with a fault. ``fault_code``, ``subcode``: local names. ``reason``: its text, not for logs."""

    code = "soap-fault"
    title = "The peer refused the request with a SOAP fault."

    fault_code = ""
    subcode = ""
    reason = ""
    status = 0

    @classmethod
    def of(cls, fault: Element, status: int) -> Self:
        """From the Fault element and the HTTP status."""
        code = _local(fault.findtext(f"{soap('Code')}/{soap('Value')}"))
        subcode = _local(fault.findtext(f"{soap('Code')}/{soap('Subcode')}/{soap('Value')}"))
        names = "/".join(filter(None, (code, subcode)))
        error = cls(f"The peer refused the request with a SOAP fault ({names}, HTTP {status}).")
        error.fault_code, error.subcode, error.status = code, subcode, status
        error.reason = str(fault.findtext(f"{soap('Reason')}/{soap('Text')}") or "")
        return error


@dataclass(frozen=True, slots=True)
class Spooled:
    """A received file of a client that has no content store."""

    path: Path
    size: int
    sha1: str


def spool_to(directory: Path) -> Receive:
    """A ``receive`` that writes temporary files into a directory."""

    def receive(chunks: Iterable[bytes]) -> Received:
        sha1, size = hashlib.sha1(usedforsecurity=False), 0
        with tempfile.NamedTemporaryFile(dir=directory, delete=False) as file:
            try:
                for chunk in chunks:
                    sha1.update(chunk)
                    size += len(chunk)
                    file.write(chunk)
            except BaseException:
                Path(file.name).unlink()
                raise
        return Spooled(Path(file.name), size, sha1.hexdigest())

    return receive


class SoapClient:
    """Calls SOAP 1.2 endpoints. ``http`` carries TLS, tokens and time-outs; ``receive`` spools attachments."""

    def __init__(self, http: httpx.Client, receive: Receive, limits: Limits | None = None) -> None:
        self.http = http
        self.receive = receive
        self.limits = limits or Limits()

    def call(
        self,
        url: str,
        action: str,
        body: Element,
        attachments: Iterable[Outgoing] = (),
        *,
        mtom: bool = False,
        security: Element | None = None,
        headers: Mapping[str, str] | None = None,
        blocks: Iterable[Element] = (),
    ) -> SoapMessage:
        """Send and wait. MTOM where asked for or where there are attachments. The caller discards the answer.

        Raises SoapFault, Unavailable, DeadlineExceeded, or Malformed when the answer can't be read.
        """
        envelope = build_envelope(body, action, to=url, reply_to=ANONYMOUS, security=security, blocks=blocks)
        content: bytes | Iterable[bytes]
        if mtom or attachments != ():
            content_type, content = mtom_package(envelope, attachments, action)
        else:
            content_type, content = plain_type(action), serialise(envelope)
        sent = {**(headers or {}), "Content-Type": content_type}
        try:
            with self.http.stream("POST", url, content=content, headers=sent) as answer:
                return self._read(answer)
        except httpx.TimeoutException:
            raise DeadlineExceeded("The SOAP peer did not answer in time.") from None
        except httpx.HTTPError as error:
            raise Unavailable(f"The SOAP peer can't be reached ({type(error).__name__}).") from None

    def _read(self, answer: httpx.Response) -> SoapMessage:
        content_type = answer.headers.get("content-type", "")
        if answer.status_code >= 400 and "soap" not in content_type and "multipart" not in content_type:
            raise Unavailable(f"The SOAP peer answered HTTP {answer.status_code} without a SOAP message.")
        message = parse_response(content_type, answer.iter_bytes(_CHUNK), self.receive, self.limits)
        if message.body.tag == soap("Fault"):
            message.discard()
            raise SoapFault.of(message.body, answer.status_code)
        return message

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _local(name: str | None) -> str:
    return (name or "").strip().rpartition(":")[2]
