"""A SOAP message in and out, independent of how it travelled."""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from lxml import etree

from hub.errors import Malformed
from hub.wire.pieces import Chunk
from hub.wire.soap.names import INCLUDE, XOP
from hub.wire.xml import Element


class Received(Protocol):
    """A spooled file, as ``ContentStore.receive`` returns it."""

    @property
    def path(self) -> Path:
        """Where it lies."""
        ...

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    @property
    def sha1(self) -> str:
        """Hexadecimal."""
        ...


#: Spools chunks into a file, hashing as they pass.
Receive = Callable[[Iterable[bytes]], Received]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a message may cost. Sizes in bytes."""

    envelope: int = 64 * 1024 * 1024
    body: int = 2048 * 1024 * 1024
    parts: int = 10_000
    spool: Path | None = None  #: directory for answers that must be collected first; None: the system's


@dataclass(frozen=True, slots=True)
class Attachment:
    """A binary part that arrived: it lies in a file. ``mime_type`` is the part's own claim."""

    content_id: str
    mime_type: str
    path: Path
    size: int
    sha1: str


@dataclass(frozen=True, slots=True)
class SoapMessage:
    """A message that arrived. ``raw``: the envelope as received, without the attachments."""

    action: str
    body: Element  #: the one element in the Body
    message_id: str = ""
    reply_to: str = ""
    fault_to: str = ""
    to: str = ""
    relates_to: str = ""
    attachments: Mapping[str, Attachment] = field(default_factory=dict)
    mtom: bool = False
    raw: bytes = field(default=b"", repr=False)
    security: Element | None = None  #: wsse:Security
    blocks: Mapping[str, Element] = field(default_factory=dict, repr=False)  #: header blocks of IHE, by Clark name
    receive: Receive | None = field(default=None, repr=False)
    limits: Limits = Limits()
    base: str = ""  #: root URL of the hub, as others reach it, without a trailing slash
    path: str = ""  #: of the URL that it was posted to
    _spooled: list[Path] = field(default_factory=list, repr=False)

    @property
    def control_id(self) -> str:
        """What the sender calls the message."""
        return self.message_id

    @property
    def event(self) -> str:
        """What the message is about."""
        return self.action

    def content(self, element: Element) -> Attachment:
        """The binary content of an element: one xop:Include, or base64 text. Raises Malformed."""
        children = list(element)
        if not children:
            return self._inline(element.text or "")
        if len(children) > 1 or children[0].tag != INCLUDE or (element.text or "").strip():
            raise Malformed("Binary content must be one xop:Include or base64 text.", location=_local(element))
        href = children[0].get("href") or ""
        found = self.attachments.get(unquote(href.removeprefix("cid:")))
        if not href.startswith("cid:") or found is None:
            raise Malformed("An xop:Include points at no part of the message.", location=_local(element))
        return found

    def _inline(self, text: str) -> Attachment:
        if self.receive is None:
            raise Malformed("Inline binary content is not expected here.")
        try:
            data = base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError):
            raise Malformed("Inline binary content is not valid base64.") from None
        file = self.receive([data])
        self._spooled.append(file.path)
        return Attachment("", "application/octet-stream", file.path, file.size, file.sha1)

    def discard(self) -> None:
        """Remove every spooled file that nobody has moved away. Call it when the answer is on its way."""
        for path in (*(attachment.path for attachment in self.attachments.values()), *self._spooled):
            path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A binary part to send; ``chunks`` is read once, in the order of the parts."""

    content_id: str
    mime_type: str
    chunks: Iterable[Chunk] = field(repr=False)
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Filling:
    """What stands in an element of the body that was left empty, or ``behind`` one: XML text, whose prefixes are
    declared around it."""

    element: Element
    text: str = field(repr=False)
    behind: bool = False


@dataclass(frozen=True, slots=True)
class SoapResponse:
    """A message to send: the Body's element, and what its xop:Includes point at, in order.

    Without a body (None): a one-way message was accepted, HTTP 202."""

    body: Element | None
    action: str
    attachments: Iterable[Outgoing] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)  #: of HTTP
    not_understood: tuple[str, ...] = ()  #: header blocks in Clark notation
    blocks: tuple[Element, ...] = ()  #: further header blocks
    filling: Filling | None = None


def include(parent: Element, content_id: str) -> None:
    """Let the element's content be the part with this Content-ID (XOP: 2.1)."""
    etree.SubElement(parent, INCLUDE, {"href": f"cid:{content_id}"}, nsmap={"xop": XOP})


def include_text(content_id: str) -> str:
    """What ``include`` makes, in a filling's text; ``content_id`` has nothing to escape."""
    return f'<xop:Include xmlns:xop="{XOP}" href="cid:{content_id}"/>'


def _local(element: Element) -> str:
    return str(etree.QName(element).localname)
