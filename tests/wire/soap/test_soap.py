import base64
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from lxml import etree

from hub.context import Context
from hub.errors import AccessDenied, HubError, Malformed, NotAuthenticated, TooLarge, lookup
from hub.wire.http import HttpResponse
from hub.wire.soap.client import spool_to
from hub.wire.soap.errors import (
    FAULTS,
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
from hub.wire.soap.message import Limits, Outgoing, Receive, SoapMessage, SoapResponse, include
from hub.wire.soap.names import ADDRESSING_FAULT, SOAP, SOAP_1_1, SOAP_FAULT, WSA, WSSE, soap, wsa
from hub.wire.soap.reading import expect, parse_request, parse_response, select
from hub.wire.soap.writing import build_envelope, mtom_package, plain_type, refuse, render
from hub.wire.xml import parse_xml, serialise
from tests.every_error import EVERY_ERROR, example

ACTION = "urn:test:Ask"
SIMPLE = "application/soap+xml; charset=UTF-8"
BODY = '<t:Ask xmlns:t="urn:test"/>'


@pytest.fixture
def receive(tmp_path: Path) -> Receive:
    return spool_to(tmp_path)


def envelope(headers: str | None = None, body: str = BODY, namespace: str = SOAP) -> bytes:
    standard = f"<wsa:Action>{ACTION}</wsa:Action><wsa:MessageID>urn:uuid:1</wsa:MessageID>"
    return (
        f'<s:Envelope xmlns:s="{namespace}" xmlns:wsa="{WSA}" xmlns:w="{WSSE}">'
        f"<s:Header>{standard if headers is None else headers}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def package(*parts: tuple[str, bytes], boundary: str = "b") -> bytes:
    pieces = [f"--{boundary}\r\n{head}\r\n\r\n".encode() + body + b"\r\n" for head, body in parts]
    return b"".join(pieces) + f"--{boundary}--\r\n".encode()


ROOT = 'Content-Type: application/xop+xml; charset=UTF-8; type="application/soap+xml"\r\nContent-ID: <root>'
MTOM = 'multipart/related; type="application/xop+xml"; boundary=b; start="<root>"; start-info="application/soap+xml"'
DOCUMENT = (
    '<t:Document xmlns:t="urn:test"><x:Include xmlns:x="http://www.w3.org/2004/08/xop/include" href="{}"/></t:Document>'
)


def attachment(content_id: str) -> str:
    return f"Content-Type: text/xml\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <{content_id}>"


def test_a_plain_request(receive: Receive) -> None:
    security = '<w:Security s:mustUnderstand="1"/><wsa:To s:mustUnderstand="true">http://x/</wsa:To>'
    reply = f"<wsa:ReplyTo><wsa:Address>{WSA}/anonymous</wsa:Address></wsa:ReplyTo>"
    data = envelope(f"<wsa:Action>{ACTION}</wsa:Action><wsa:MessageID>urn:uuid:1</wsa:MessageID>{security}{reply}")
    message = parse_request(f'{SIMPLE}; action="{ACTION}"', [data[:50], data[50:]], receive)
    assert (message.action, message.event, message.control_id, message.mtom) == (ACTION, ACTION, "urn:uuid:1", False)
    assert message.raw == data
    assert message.security is not None
    assert message.to == "http://x/"
    assert expect(message, "{urn:test}Ask") is message.body
    with pytest.raises(Malformed):
        expect(message, "{urn:test}Other")
    assert select({ACTION: 1}, message) == 1
    with pytest.raises(ActionNotSupported):
        select({}, message)


@pytest.mark.parametrize("href", ["cid:doc%40urn%3Aihe", "cid:doc@urn:ihe"])
@pytest.mark.parametrize("first", [True, False])
def test_an_mtom_request_keeps_attachments_in_files(receive: Receive, href: str, first: bool) -> None:
    content = bytes(range(256)) * 1000
    parts = [(ROOT, envelope(body=DOCUMENT.format(href))), (attachment("doc@urn:ihe"), content)]
    message = parse_request(MTOM, [package(*(parts if first else parts[::-1]))], receive)
    found = message.content(message.body)
    assert message.mtom
    assert found.path.read_bytes() == content
    assert (found.size, found.sha1) == (len(content), hashlib.sha1(content).hexdigest())
    assert content not in message.raw
    message.discard()
    assert not found.path.exists()


def test_inline_base64_in_a_package_is_legal(receive: Receive) -> None:
    body = f'<t:Document xmlns:t="urn:test">{base64.encodebytes(b"hello" * 40).decode()}</t:Document>'
    message = parse_request(MTOM, [package((ROOT, envelope(body=body)))], receive)
    found = message.content(message.body)
    assert found.path.read_bytes() == b"hello" * 40
    message.discard()
    assert not found.path.exists()


@pytest.mark.parametrize(
    "body",
    [
        DOCUMENT.format("cid:other"),
        DOCUMENT.format("doc"),
        DOCUMENT.format("cid:doc").replace("2004/08/xop", "2003/xop"),
        DOCUMENT.format("cid:doc").replace("</t:Document>", "<t:x/></t:Document>"),
        DOCUMENT.format("cid:doc").replace("<x:Include", "text<x:Include"),
        '<t:Document xmlns:t="urn:test">not base64!</t:Document>',
    ],
)
def test_wrong_includes_are_refused(receive: Receive, body: str) -> None:
    message = parse_request(MTOM, [package((ROOT, envelope(body=body)), (attachment("doc"), b"x"))], receive)
    with pytest.raises(Malformed):
        message.content(message.body)


def test_blanks_around_an_action_are_none_of_it(receive: Receive) -> None:
    """It is an xs:anyURI; dicomtrolley sends one."""
    data = envelope(f"<wsa:Action>\n{ACTION} </wsa:Action>")
    assert parse_request(SIMPLE, [data], receive, Limits()).action == ACTION


@pytest.mark.parametrize(
    ("content_type", "data", "error"),
    [
        (SIMPLE, envelope(""), HeaderRequired),
        (SIMPLE, envelope("<wsa:Action> </wsa:Action>"), InvalidHeader),
        (SIMPLE, envelope(f"<wsa:Action>{ACTION}</wsa:Action>" * 2), InvalidHeader),
        (SIMPLE, envelope("<wsa:Action/>"), InvalidHeader),
        (SIMPLE, envelope(f"<wsa:Action>{ACTION}</wsa:Action><wsa:ReplyTo/>"), InvalidHeader),
        (
            SIMPLE,
            envelope(
                f"<wsa:Action>{ACTION}</wsa:Action><wsa:ReplyTo><wsa:Address>http://a/</wsa:Address></wsa:ReplyTo>"
            ),
            OnlyAnonymousAddress,
        ),
        (SIMPLE, envelope(f'<wsa:Action>{ACTION}</wsa:Action><n:x xmlns:n="u" s:mustUnderstand="1"/>'), NotUnderstood),
        (SIMPLE, envelope(f"<wsa:Action>{ACTION}</wsa:Action>{'<w:Security/>' * 2}"), SoapError),
        (f'{SIMPLE}; action="urn:other"', envelope(), ActionMismatch),
        (SIMPLE, envelope(namespace=SOAP_1_1), VersionMismatch),
        (SIMPLE, envelope(body=""), SoapError),
        (SIMPLE, envelope(body=BODY * 2), SoapError),
        (SIMPLE, b"<Envelope/>", SoapError),
        (SIMPLE, f'<s:Envelope xmlns:s="{SOAP}"/>'.encode(), SoapError),
        (SIMPLE, b'<!DOCTYPE a [<!ENTITY b "c">]>' + envelope(), Malformed),
        (SIMPLE, b"<a>" * 40_000_00, TooLarge),
        (SIMPLE, envelope() + b" " * 1_000_000 * 21, TooLarge),
        (MTOM, package((ROOT, envelope())) + b"x" * 31_000_000, TooLarge),
        (MTOM, package((attachment("d"), b"x")), Malformed),
        (MTOM, package((ROOT, envelope()), (attachment("d"), b"x"), (attachment("d"), b"x")), Malformed),
        (MTOM, package((ROOT, envelope()), ("Content-Type: a/b", b"x")), Malformed),
        (MTOM, package((ROOT + "\r\nContent-Transfer-Encoding: base64", envelope())), Malformed),
        (MTOM, package((ROOT.replace("xop+xml", "xml"), envelope())), Malformed),
        (MTOM, package((ROOT, envelope()), (attachment("d"), b"x"))[:-10], Malformed),
        (MTOM, package(*([(ROOT, envelope())] + [(attachment(f"d{n}"), b"x") for n in range(10)])), TooLarge),
        ("", envelope(), UnknownMediaType),
        ("text/xml", envelope(), UnknownMediaType),
        ('multipart/related; type="text/xml"; boundary=b', envelope(), UnknownMediaType),
        ("multipart/related; type=application/xop+xml", envelope(), Malformed),
    ],
)
def test_what_breaks_the_rules_is_refused_and_leaves_no_file(
    tmp_path: Path, receive: Receive, content_type: str, data: bytes, error: type[HubError]
) -> None:
    limits = Limits(envelope=20_000_000, body=30_000_000, parts=10)
    with pytest.raises(error):
        parse_request(content_type, iter([data]), receive, limits)
    assert list(tmp_path.iterdir()) == []


def test_headers_for_others_are_let_through(receive: Receive) -> None:
    other = f'<n:x xmlns:n="u" s:mustUnderstand="1" s:role="{SOAP}/role/none"/><n:y xmlns:n="u"/>'
    assert parse_request(SIMPLE, [envelope(f"<wsa:Action>{ACTION}</wsa:Action>{other}")], receive).action == ACTION


def _read(answer: HttpResponse, receive: Receive) -> SoapMessage:
    return parse_response(answer.media_type, answer.chunks(), receive)


def _ask(receive: Receive, *, mtom: bool) -> SoapMessage:
    return (
        parse_request(MTOM, [package((ROOT, envelope()))], receive)
        if mtom
        else parse_request(SIMPLE, [envelope()], receive)
    )


@pytest.mark.parametrize("mtom", [True, False])
def test_an_answer_travels_as_the_question_did(receive: Receive, mtom: bool) -> None:
    body = etree.Element("{urn:test}Answer")
    contents = [b"", b"a", b"\x00" * 100_001]
    parts = []
    for number, content in enumerate(contents):
        include(etree.SubElement(body, "{urn:test}Document"), f"{number}@x")
        parts.append(Outgoing(f"{number}@x", "text/plain", iter([content[:10], content[10:]])))
    answer = render(SoapResponse(body, "urn:test:Answer", parts), _ask(receive, mtom=mtom))
    assert isinstance(answer.body, Iterator)
    message = _read(answer, receive)
    assert message.mtom is mtom
    assert (message.action, message.relates_to) == ("urn:test:Answer", "urn:uuid:1")
    assert [message.content(document).path.read_bytes() for document in message.body] == contents


@pytest.mark.parametrize("mtom", [True, False])
def test_a_short_answer_has_a_length(receive: Receive, mtom: bool) -> None:
    answer = render(SoapResponse(etree.Element("a"), "urn:test:Answer"), _ask(receive, mtom=mtom))
    assert isinstance(answer.body, bytes)
    assert answer.media_type.startswith("multipart/related;" if mtom else "application/soap+xml;")
    assert _read(answer, receive).body.tag == "a"


def test_streaming_holds_one_chunk_at_a_time(receive: Receive) -> None:
    made = []

    def chunks() -> Iterable[bytes]:
        for number in range(10):
            made.append(number)
            yield bytes(1000)

    body = etree.Element("a")
    include(body, "c")
    answer = render(SoapResponse(body, "urn:x", (Outgoing("c", "a/b", chunks()),)), _ask(receive, mtom=True))
    assert made == []
    assert not isinstance(answer.body, bytes)
    for piece in answer.body:
        if len(piece) == 1000:
            break
    assert made == [0]


@pytest.mark.parametrize("kind", EVERY_ERROR, ids=lambda kind: kind.__name__)
def test_every_error_becomes_a_fault(receive: Receive, kind: type[HubError]) -> None:
    error = example(kind, location="{urn:x}there")
    answer = render(refuse(error, None, Context(correlation_id="c0ffee")), None)
    message = _read(answer, receive)
    assert answer.status >= 400
    assert message.body.tag == soap("Fault")
    assert message.body.findtext(f"{soap('Reason')}/{soap('Text')}") == "A safe text."
    assert message.body.findtext(f"{soap('Code')}/{soap('Value')}") == f"soap:{lookup(FAULTS, error).code}"
    detail = message.body.find(f"{soap('Detail')}/{{urn:maillage:fault}}Error")
    assert detail.get("code") == kind.code
    assert detail.get("correlationId") == "c0ffee"


def test_faults_say_what_is_wrong(receive: Receive) -> None:
    context = Context()
    answer = render(refuse(ActionNotSupported(location="urn:other"), None, context), None)
    message = _read(answer, receive)
    assert (answer.status, message.action) == (400, ADDRESSING_FAULT)
    assert message.body.findtext(f".//{wsa('ProblemAction')}/{wsa('Action')}") == "urn:other"
    assert message.body.findtext(f".//{soap('Subcode')}/{soap('Value')}") == "wsa:ActionNotSupported"
    answer = render(refuse(NotUnderstood(location="{urn:n}x"), None, context), None)
    assert isinstance(answer.body, bytes)
    block = parse_xml(answer.body).find(f".//{soap('NotUnderstood')}")
    assert (block.get("qname"), block.nsmap["problem"]) == ("problem:x", "urn:n")
    assert render(refuse(NotAuthenticated(), None, context), None).status == 401
    assert render(refuse(AccessDenied(), None, context), None).status == 403
    request = _ask(receive, mtom=True)
    assert _read(render(refuse(Malformed(), request, context), request), receive).action == SOAP_FAULT


def test_a_request_of_ours_is_read_by_us(receive: Receive) -> None:
    body = etree.Element("{urn:test}Ask")
    include(body, "a b@x")
    made = build_envelope(body, ACTION, to="http://x/", reply_to=f"{WSA}/anonymous")
    content_type, chunks = mtom_package(made, (Outgoing("a b@x", "a/b", [b"hi"]),), ACTION)
    message = parse_request(content_type, chunks, receive)
    assert message.content(message.body).path.read_bytes() == b"hi"
    again = parse_request(plain_type(ACTION), [serialise(build_envelope(etree.Element("a"), ACTION))], receive)
    assert again.action == ACTION
