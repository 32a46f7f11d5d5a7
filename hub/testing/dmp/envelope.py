"""SOAP 1.2 and MTOM as the simulator reads and writes them: with lxml alone."""

import base64
import uuid
from dataclasses import dataclass, field
from email.message import Message
from urllib.parse import unquote

from lxml import etree

SOAP = "http://www.w3.org/2003/05/soap-envelope"
WSA = "http://www.w3.org/2005/08/addressing"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
XOP = "http://www.w3.org/2004/08/xop/include"
SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
DS = "http://www.w3.org/2000/09/xmldsig#"
MOST = 64 * 1024 * 1024

Element = etree._Element


class Fault(Exception):
    """A SOAP fault: its subcode and a sentence."""

    def __init__(self, code: str, text: str, *, status: int = 500, sender: bool = True) -> None:
        super().__init__(f"{code}: {text}")
        self.code, self.text, self.status, self.sender = code, text, status, sender


@dataclass(slots=True)
class Incoming:
    """A request: its headers, its body's element, its parts by Content-ID."""

    action: str
    message_id: str
    body: Element
    assertion: bytes
    parts: dict[str, bytes] = field(default_factory=dict)
    mtom: bool = False

    def bytes_of(self, element: Element) -> bytes:
        """What an element holds: an xop:Include or base64."""
        link = element.find(f"{{{XOP}}}Include")
        if link is None:
            return base64.b64decode(element.text or "", validate=True)
        name = unquote((link.get("href") or "").removeprefix("cid:"))
        if name not in self.parts:
            raise Fault("Client", "An xop:Include points nowhere.")
        return self.parts[name]


def parse(data: bytes) -> Element:
    """XML without a document type or entities; its comments stay."""
    if len(data) > MOST or b"<!DOCTYPE" in data[:4096]:
        raise Fault("Client", "The XML is not acceptable.")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError:
        raise Fault("Client", "The XML is not well-formed.") from None


def read(content_type: str, data: bytes) -> Incoming:
    """A request. Raises Fault."""
    header = Message()
    header["Content-Type"] = content_type
    parts: dict[str, bytes] = {}
    mtom = header.get_content_type() == "multipart/related"
    root = data
    if mtom:
        if str(header.get_param("type")) != "application/xop+xml":
            raise Fault("Client", "The package is not XOP.")
        parts = _parts(data, str(header.get_param("boundary")))
        start = str(header.get_param("start") or "").strip("<>")
        if start not in parts:
            raise Fault("Client", "The package has no root.")
        root = parts.pop(start)
    elif header.get_content_type() != "application/soap+xml":
        raise Fault("Client", "This is not SOAP 1.2.", status=415)
    envelope = parse(root)
    if envelope.tag != f"{{{SOAP}}}Envelope":
        raise Fault("VersionMismatch", "This is not a SOAP 1.2 envelope.")
    found = envelope.find(f"{{{SOAP}}}Body")
    if found is None or len(found) != 1:
        raise Fault("Client", "The Body must have one element.")
    for name in ("Action", "MessageID", "To", "ReplyTo"):
        if envelope.find(f"{{{SOAP}}}Header/{{{WSA}}}{name}") is None:
            raise Fault("Client", f"The header wsa:{name} is missing.")
    must = envelope.find(f"{{{SOAP}}}Header/{{{WSA}}}Action")
    if must is None or must.get(f"{{{SOAP}}}mustUnderstand") not in ("1", "true"):
        raise Fault("Client", "wsa:Action must be mustUnderstand.")
    return Incoming(
        _header(envelope, "Action"), _header(envelope, "MessageID"), found[0], _assertion(envelope), parts, mtom
    )


def _header(envelope: Element, name: str) -> str:
    return (envelope.findtext(f"{{{SOAP}}}Header/{{{WSA}}}{name}") or "").strip()


def _assertion(envelope: Element) -> bytes:
    found = envelope.findall(f"{{{SOAP}}}Header/{{{WSSE}}}Security")
    if len(found) != 1:
        raise Fault("DMPMissingVIHF", "There must be one wsse:Security header.")
    assertions = found[0].findall(f"{{{SAML}}}Assertion")
    if len(assertions) != 1:
        raise Fault("DMPMissingVIHF", "The wsse:Security header must hold one SAML 2.0 assertion.")
    # As it stands in the envelope, with the namespaces that are in scope there.
    return etree.tostring(assertions[0], with_tail=False)


def _parts(data: bytes, boundary: str) -> dict[str, bytes]:
    mark = b"--" + boundary.encode()
    found: dict[str, bytes] = {}
    for piece in (b"\r\n" + data).split(b"\r\n" + mark)[1:]:
        if piece.startswith(b"--"):
            break
        head, _, body = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        headers = {
            line.partition(b":")[0].strip().lower(): line.partition(b":")[2].strip() for line in head.split(b"\r\n")
        }
        found[headers.get(b"content-id", b"").decode().strip("<>")] = body
    return found


def write(body: Element | bytes, action: str, relates_to: str, parts: dict[str, bytes]) -> tuple[str, bytes]:
    """Content-Type and bytes of an answer; MTOM where there are parts."""
    text = body if isinstance(body, bytes) else etree.tostring(body)
    envelope = (
        (
            f'<soap:Envelope xmlns:soap="{SOAP}" xmlns:wsa="{WSA}"><soap:Header>'
            f'<wsa:Action soap:mustUnderstand="1">{action}</wsa:Action>'
            f"<wsa:MessageID>urn:uuid:{uuid.uuid4()}</wsa:MessageID><wsa:RelatesTo>{relates_to}</wsa:RelatesTo>"
            "</soap:Header><soap:Body>"
        ).encode()
        + text
        + b"</soap:Body></soap:Envelope>"
    )
    if not parts:
        return f'application/soap+xml; charset=UTF-8; action="{action}"', envelope
    boundary = f"dmp-{uuid.uuid4().hex}"
    pieces = [('application/xop+xml; charset=UTF-8; type="application/soap+xml"', "root@dmp", envelope)]
    pieces += [("application/octet-stream", name, content) for name, content in parts.items()]
    out = b"".join(
        f"--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: binary\r\n".encode()
        + f"Content-ID: <{name}>\r\n\r\n".encode()
        + content
        + b"\r\n"
        for kind, name, content in pieces
    )
    kind = 'multipart/related; type="application/xop+xml"; start="<root@dmp>"; start-info="application/soap+xml"'
    return f'{kind}; boundary="{boundary}"', out + f"--{boundary}--\r\n".encode()


def write_fault(fault: Fault, relates_to: str) -> tuple[str, bytes]:
    """A SOAP fault."""
    code = "soap:Sender" if fault.sender else "soap:Receiver"
    body = (
        f'<soap:Fault xmlns:soap="{SOAP}" xmlns:dmp="urn:dmp:fault"><soap:Code><soap:Value>{code}</soap:Value>'
        f"<soap:Subcode><soap:Value>dmp:{fault.code}</soap:Value></soap:Subcode></soap:Code>"
        f'<soap:Reason><soap:Text xml:lang="fr">{fault.text}</soap:Text></soap:Reason></soap:Fault>'
    ).encode()
    return write(body, f"{WSA}/soap/fault", relates_to, {})
