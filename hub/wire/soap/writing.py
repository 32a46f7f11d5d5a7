"""SoapResponse -> HTTP: an MTOM package for who sent one, plain SOAP for who sent that (ITI TF-2: V.3.6)."""

import base64
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from lxml import etree

from hub.context import Context
from hub.errors import HubError, lookup
from hub.values import new_key, new_uuid
from hub.wire.http import HttpResponse
from hub.wire.multipart import ContentType, Sent, size_of, write
from hub.wire.pieces import Chunk, plain
from hub.wire.soap.errors import FAULTS, ActionNotSupported, NotUnderstood
from hub.wire.soap.message import Filling, Outgoing, SoapMessage, SoapResponse, include_text
from hub.wire.soap.names import (
    ADDRESSING_FAULT,
    DETAIL,
    INCLUDE,
    MTOM_TYPE,
    SOAP,
    SOAP_FAULT,
    SOAP_TYPE,
    WSA,
    WSSE,
    XML_LANG,
    XOP_TYPE,
    soap,
    wsa,
)
from hub.wire.xml import Element, serialise

_ROOT_PART = "root@maillage"
_INCLUDED = re.compile(include_text(r"([^\"]+)"))


def render(response: SoapResponse, request: SoapMessage | None, *, to: str = "") -> HttpResponse:
    """The HTTP answer to a request (None: it could not be read). Attachments are streamed, never held in memory.

    ``to``: where it is sent, when that is not the connection."""
    if response.body is None:
        return HttpResponse(202, b"", SOAP_TYPE, response.headers)
    envelope = build_envelope(
        response.body,
        response.action,
        relates_to=request.message_id if request else "",
        to=to,
        not_understood=response.not_understood,
        blocks=response.blocks,
    )
    if request is not None and request.mtom:
        media_type, parts, boundary = _package(_filled(envelope, response.filling), response.attachments)
        headers = dict(response.headers)
        if isinstance(response.attachments, list | tuple):
            parts = list(parts)
            size = size_of(parts, boundary)
            headers |= {"Content-Length": str(size)} if size is not None else {}
        return HttpResponse(response.status, _whole(write(parts, boundary), response), media_type, headers)
    body = _inlined(envelope, response)
    return HttpResponse(response.status, _whole(body, response), plain_type(response.action), response.headers)


def refuse(error: HubError, message: SoapMessage | None, context: Context) -> SoapResponse:  # noqa: ARG001
    """A SOAP fault: what went wrong, safe to show, with the error's code and the correlation id in its Detail."""
    row = lookup(FAULTS, error)
    # Prefixes that stand in values are declared here: zeep looks for them at the Fault only.
    fault = etree.Element(soap("Fault"), nsmap={"soap": SOAP, "wsa": WSA, "wsse": WSSE})
    code = etree.SubElement(fault, soap("Code"))
    etree.SubElement(code, soap("Value")).text = f"soap:{row.code}"
    if row.subcode:
        name = etree.QName(row.subcode)
        value = etree.SubElement(etree.SubElement(code, soap("Subcode")), soap("Value"))
        value.text = f"{'wsa' if name.namespace == WSA else 'wsse'}:{name.localname}"
    reason = etree.SubElement(etree.SubElement(fault, soap("Reason")), soap("Text"), {XML_LANG: "en"})
    reason.text = error.message
    detail = etree.SubElement(fault, soap("Detail"))
    if isinstance(error, ActionNotSupported) and error.location:
        problem = etree.SubElement(detail, wsa("ProblemAction"))
        etree.SubElement(problem, wsa("Action")).text = error.location
    facts = {"code": error.code, "location": error.location, "correlationId": context.correlation_id}
    etree.SubElement(detail, f"{{{DETAIL}}}Error", {k: v for k, v in facts.items() if v}, nsmap={"hub": DETAIL})
    addressing = row.subcode.startswith(f"{{{WSA}}}")
    return SoapResponse(
        fault,
        ADDRESSING_FAULT if addressing else SOAP_FAULT,
        status=row.status,
        headers={"WWW-Authenticate": "Bearer"} if row.status == 401 else {},
        not_understood=(error.location,) if isinstance(error, NotUnderstood) and error.location else (),
    )


def build_envelope(
    body: Element,
    action: str,
    *,
    relates_to: str = "",
    to: str = "",
    reply_to: str = "",
    security: Element | None = None,
    not_understood: tuple[str, ...] = (),
    blocks: Iterable[Element] = (),
) -> Element:
    """An envelope with its WS-Addressing headers around the body's element, which moves into it."""
    envelope = etree.Element(soap("Envelope"), nsmap={"soap": SOAP, "wsa": WSA})
    header = etree.SubElement(envelope, soap("Header"))
    etree.SubElement(header, wsa("Action"), {soap("mustUnderstand"): "1"}).text = action
    etree.SubElement(header, wsa("MessageID")).text = new_uuid()
    if relates_to:
        etree.SubElement(header, wsa("RelatesTo")).text = relates_to
    if to:
        etree.SubElement(header, wsa("To"), {soap("mustUnderstand"): "1"}).text = to
    if reply_to:
        etree.SubElement(etree.SubElement(header, wsa("ReplyTo")), wsa("Address")).text = reply_to
    if security is not None:
        header.append(security)
    for block in blocks:
        header.append(block)
    for name in not_understood:
        _not_understood(header, name)
    etree.SubElement(envelope, soap("Body")).append(body)
    return envelope


def plain_type(action: str) -> str:
    """The Content-Type of a plain SOAP message."""
    return str(ContentType(SOAP_TYPE, {"charset": "UTF-8", "action": action}))


def mtom_package(envelope: Element, attachments: Iterable[Outgoing], action: str = "") -> tuple[str, Iterator[bytes]]:
    """Content-Type and body of an MTOM package (XOP 1.0: 5); ``action`` for a request's Content-Type."""
    media_type, parts, boundary = _package(serialise(envelope), attachments, action)
    return media_type, plain(write(parts, boundary))


def _package(envelope: bytes, attachments: Iterable[Outgoing], action: str = "") -> tuple[str, Iterable[Sent], str]:
    boundary = f"maillage-{new_key()}"
    parameters = {"type": XOP_TYPE, "boundary": boundary, "start": f"<{_ROOT_PART}>", "start-info": SOAP_TYPE}
    if action:
        parameters["action"] = action
    root = {
        "Content-Type": str(ContentType(XOP_TYPE, {"charset": "UTF-8", "type": SOAP_TYPE})),
        "Content-Transfer-Encoding": "binary",
        "Content-ID": f"<{_ROOT_PART}>",
    }
    return str(ContentType(MTOM_TYPE, parameters)), _parts(root, envelope, attachments), boundary


def _parts(root: dict[str, str], envelope: bytes, attachments: Iterable[Outgoing]) -> Iterator[Sent]:
    yield Sent(root, iter((envelope,)), len(envelope))
    for attachment in attachments:
        headers = {
            "Content-Type": attachment.mime_type or "application/octet-stream",
            "Content-Transfer-Encoding": "binary",
            "Content-ID": f"<{attachment.content_id}>",
        }
        yield Sent(headers, iter(attachment.chunks), attachment.size)


def _whole(body: Iterator[Chunk], response: SoapResponse) -> bytes | Iterator[Chunk]:
    """An answer without attachments is sent in one piece, with its length."""
    return b"".join(plain(body)) if response.attachments == () else body


def _filled(envelope: Element, filling: Filling | None) -> bytes:
    if filling is None:
        return serialise(envelope)
    place = _placeholder(new_key())
    if filling.behind:
        filling.element.tail = place
    else:
        filling.element.text = place
    head, _, tail = serialise(envelope).partition(place.encode())
    return b"".join((head, filling.text.encode(), tail))


def _inlined(envelope: Element, response: SoapResponse) -> Iterator[bytes]:
    """Plain SOAP: each xop:Include gives way to its part's base64, streamed."""
    for place in list(envelope.iter(INCLUDE)):
        parent = place.getparent()
        parent.remove(place)
        parent.text = _placeholder((place.get("href") or "").removeprefix("cid:"))
    filling = response.filling
    if filling is not None and response.attachments:
        filling = replace(filling, text=_INCLUDED.sub(lambda found: _placeholder(found[1]), filling.text))
    rest = _filled(envelope, filling)
    for attachment in response.attachments:
        head, _, rest = rest.partition(_placeholder(attachment.content_id).encode())
        yield head
        yield from _base64(plain(attachment.chunks))
    yield rest


def _placeholder(content_id: str) -> str:
    return f"cid:{content_id}:"


def _base64(chunks: Iterable[bytes]) -> Iterator[bytes]:
    left = b""
    for chunk in chunks:
        data = left + chunk
        whole = len(data) - len(data) % 3
        left = data[whole:]
        if whole:
            yield base64.b64encode(data[:whole])
    if left:
        yield base64.b64encode(left)


def _not_understood(header: Element, name: str) -> None:
    qualified = etree.QName(name)
    nsmap = {"problem": qualified.namespace} if qualified.namespace else None
    block = etree.SubElement(header, soap("NotUnderstood"), nsmap=nsmap)
    block.set("qname", f"problem:{qualified.localname}" if nsmap else qualified.localname)
