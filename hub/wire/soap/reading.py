"""Bytes -> SoapMessage. The envelope is held in memory (within its limit), attachments go to files as they arrive."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar
from urllib.parse import unquote

from hub.errors import Malformed, TooLarge
from hub.wire.multipart import ContentType, Part, parse_content_type, read, strip_brackets
from hub.wire.soap.errors import (
    ActionMismatch,
    ActionNotSupported,
    HeaderRequired,
    InvalidHeader,
    NotUnderstood,
    OnlyAnonymousAddress,
    SoapError,
    UnknownMediaType,
    VersionMismatch,
)
from hub.wire.soap.message import Attachment, Limits, Receive, SoapMessage
from hub.wire.soap.names import (
    MTOM_TYPE,
    NO_REPLY,
    OF_IHE,
    OUR_ROLES,
    SECURITY,
    SOAP_1_1,
    SOAP_TYPE,
    WSA,
    XOP_TYPE,
    soap,
    wsa,
)
from hub.wire.xml import Element, parse_xml

T = TypeVar("T")

_IDENTITY_ENCODINGS = ("", "binary", "8bit", "7bit")
_TRUE = ("1", "true")
_ADDRESSING = frozenset(
    wsa(name)
    for name in ("Action", "MessageID", "RelatesTo", "To", "From", "ReplyTo", "FaultTo", "ReferenceParameters")
)


def parse_request(
    content_type: str,
    body_chunks: Iterable[bytes],
    receive: Receive,
    limits: Limits | None = None,
    *,
    elsewhere: bool = False,
) -> SoapMessage:
    """A request, plain or MTOM (ITI TF-2: V.3). ``receive`` spools an attachment's chunks. ``elsewhere``: the caller
    decides whether the answer may go to another place than the connection.

    Raises SoapError, Malformed or TooLarge: each becomes a SOAP fault. Leaves no file behind when it raises; otherwise
    the caller calls ``discard()`` on the message in the end.
    """
    limits = limits or Limits()
    parsed = _content_type(content_type)
    message = _parse(content_type, parsed, body_chunks, receive, limits, request=True)
    try:
        announced = parsed.parameters.get("action", "")
        # zeep says action="None" where the WSDL has no soapAction: only what is a URI can contradict.
        if ":" in announced and announced != message.action:
            raise ActionMismatch(location=message.action)
        anonymous = message.reply_to.endswith("/anonymous") or message.reply_to in ("", NO_REPLY)
        if not anonymous and not elsewhere:
            raise OnlyAnonymousAddress()
    except SoapError:
        message.discard()
        raise
    return message


def parse_response(
    content_type: str, body_chunks: Iterable[bytes], receive: Receive, limits: Limits | None = None
) -> SoapMessage:
    """A peer's answer. A fault is returned like any other body."""
    return _parse(content_type, _content_type(content_type), body_chunks, receive, limits or Limits(), request=False)


def select(table: Mapping[str, T], message: SoapMessage) -> T:
    """The row of the message's action. Raises ActionNotSupported."""
    try:
        return table[message.action]
    except KeyError:
        raise ActionNotSupported(location=message.action) from None


def expect(message: SoapMessage, tag: str) -> Element:
    """The body, which must be the element with this Clark name. Raises Malformed."""
    if message.body.tag != tag:
        raise Malformed(f"The SOAP Body must hold {tag.rpartition('}')[2]}.", location="Body")
    return message.body


def _content_type(text: str) -> ContentType:
    try:
        return parse_content_type(text)
    except Malformed:
        raise UnknownMediaType() from None


def _parse(
    content_type: str,
    parsed: ContentType,
    chunks: Iterable[bytes],
    receive: Receive,
    limits: Limits,
    *,
    request: bool,
) -> SoapMessage:
    chunks = _counted(chunks, limits.body)
    if parsed.media_type == SOAP_TYPE:
        return _envelope(_joined(chunks, limits.envelope), {}, receive, limits, mtom=False, request=request)
    if parsed.media_type != MTOM_TYPE or parsed.parameters.get("type", XOP_TYPE).lower() != XOP_TYPE:
        raise UnknownMediaType()
    attachments: dict[str, Attachment] = {}
    try:
        raw = _package(read(chunks, content_type, max_parts=limits.parts), parsed, attachments, receive, limits)
        return _envelope(raw, attachments, receive, limits, mtom=True, request=request)
    except BaseException:
        for attachment in attachments.values():
            attachment.path.unlink(missing_ok=True)
        raise


def _counted(chunks: Iterable[bytes], limit: int) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"The message is larger than {limit} bytes.")
        yield chunk


def _joined(chunks: Iterable[bytes], limit: int) -> bytes:
    pieces, size = [], 0
    for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"The SOAP envelope is larger than {limit} bytes.")
        pieces.append(chunk)
    return b"".join(pieces)


def _package(
    parts: Iterable[Part],
    content_type: ContentType,
    attachments: dict[str, Attachment],
    receive: Receive,
    limits: Limits,
) -> bytes:
    """The root part's bytes; every other part is received into ``attachments`` by its Content-ID."""
    start = strip_brackets(content_type.parameters.get("start", ""))
    root: bytes | None = None
    for part in parts:
        if part.headers.get("content-transfer-encoding", "").lower() not in _IDENTITY_ENCODINGS:
            raise Malformed("A part of an MTOM package must be sent as it is (binary).")
        content_id = part.content_id
        if root is None and (content_id == start if start else True):
            if part.content_type.media_type != XOP_TYPE:
                raise Malformed("The root part of an MTOM package must be application/xop+xml.")
            root = _joined(part.chunks, limits.envelope)
            continue
        key = unquote(content_id)
        if not key or key in attachments:
            raise Malformed("Every part of an MTOM package needs a Content-ID of its own.")
        file = receive(part.chunks)
        media_type = part.content_type.media_type
        attachments[key] = Attachment(content_id, media_type, file.path, file.size, file.sha1)
    if root is None:
        raise Malformed("The MTOM package has no root part (or not the one that its start parameter names).")
    return root


def _envelope(
    raw: bytes, attachments: dict[str, Attachment], receive: Receive, limits: Limits, *, mtom: bool, request: bool
) -> SoapMessage:
    root = parse_xml(raw, max_bytes=limits.envelope)
    if root.tag == f"{{{SOAP_1_1}}}Envelope":
        raise VersionMismatch()
    if root.tag != soap("Envelope"):
        raise SoapError("This is not a SOAP envelope.")
    children = list(root)
    tags = [child.tag for child in children]
    if tags not in ([soap("Header"), soap("Body")], [soap("Body")]):
        raise SoapError("A SOAP envelope has one Header and one Body.")
    header = children[0] if len(children) == 2 else None
    if len(children[-1]) != 1:
        raise SoapError("The SOAP Body must hold exactly one element.")
    blocks = list(header) if header is not None else []
    if request:
        _check_understood(blocks)
    return SoapMessage(
        action=_text(blocks, "Action", required=request),
        body=children[-1][0],
        message_id=_text(blocks, "MessageID"),
        reply_to=_address(blocks, "ReplyTo"),
        fault_to=_address(blocks, "FaultTo"),
        to=_text(blocks, "To"),
        relates_to=_text(blocks, "RelatesTo"),
        attachments=attachments,
        mtom=mtom,
        raw=raw,
        security=_security(blocks),
        blocks={str(block.tag): block for block in blocks if block.tag in OF_IHE},
        receive=receive,
        limits=limits,
    )


def _check_understood(blocks: list[Element]) -> None:
    for block in blocks:
        mandatory = block.get(soap("mustUnderstand")) in _TRUE and block.get(soap("role"), "") in OUR_ROLES
        if mandatory and block.tag not in _ADDRESSING and block.tag != SECURITY and block.tag not in OF_IHE:
            raise NotUnderstood(location=str(block.tag))


def _text(blocks: list[Element], name: str, *, required: bool = False) -> str:
    found = [block for block in blocks if block.tag == wsa(name)]
    if not found:
        if required:
            raise HeaderRequired(f"The header wsa:{name} is missing.", location=name)
        return ""
    value = str(found[0].text or "").strip(" \t\r\n")  # an xs:anyURI: its schema collapses blanks
    if len(found) > 1 or (required and not value):
        raise InvalidHeader(f"The header wsa:{name} must stand once, with a value.", location=name)
    return value


def _address(blocks: list[Element], name: str) -> str:
    found = [block for block in blocks if block.tag == wsa(name)]
    if not found:
        return ""
    addresses = found[0].findall(f"{{{WSA}}}Address")
    if len(found) > 1 or len(addresses) != 1 or not (addresses[0].text or "").strip():
        raise InvalidHeader(f"The header wsa:{name} must stand once and hold one wsa:Address.", location=name)
    return str(addresses[0].text).strip()


def _security(blocks: list[Element]) -> Element | None:
    found = [block for block in blocks if block.tag == SECURITY and block.get(soap("role"), "") in OUR_ROLES]
    if len(found) > 1:
        raise SoapError("There must be at most one wsse:Security header.")
    return found[0] if found else None
