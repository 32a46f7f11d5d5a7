"""XML, XOP and multipart that mean harm: a fault or an XDS error, bounded memory, nothing stored, nothing told."""

import socket
import threading
from collections.abc import Iterator

import httpx
import pytest

from tests.hostile.conftest import SECRET, clean, memory
from tests.interop.by_hand import (
    ACTION,
    XDSB,
    XOP,
    Entry,
    Integrator,
    Set,
    envelope,
    oid,
    package,
    query,
    read,
    submission,
)

SOAP_TYPE = "application/soap+xml; charset=UTF-8"
ASK = ACTION + "RegistryStoredQuery"
PROVIDE = ACTION + "ProvideAndRegisterDocumentSet-b"
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
GOOD = envelope(ASK, query("urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4", {"XDSDocumentEntryUniqueId": "('1.2')"}))
DOCUMENTS: dict[str, bytes] = {
    "DTD": b"<!DOCTYPE a>" + GOOD,
    "a billion laughs": f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]><a>&l9;</a>'.encode(),
    "a file": b'<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd">]><a>&f;</a>',
    "parameter entity": b'<!DOCTYPE a [<!ENTITY % f SYSTEM "http://127.0.0.1:1/x"> %f;]><a/>',
    "entity that nobody declared": GOOD.replace(b"1.2", b"&x;"),
    "XInclude": b'<a xmlns:x="http://www.w3.org/2001/XInclude"><x:include href="file:///etc/passwd" parse="text"/></a>',
    "no XML": SECRET.encode() * 100,
    "half": GOOD[: len(GOOD) // 2],
    "nothing": b"",
    "zeros": b"\0" * 100_000,
    "UTF-16 that is not": b"\xff\xfe" + GOOD,
    "latin-1 said to be UTF-8": GOOD.replace(b"1.2", "é".encode("latin-1")),
    "one million attributes": b"<a " + b" ".join(b'a%d=""' % n for n in range(1_000_000)) + b"/>",
    "deep": b"<a>" * 1_000_000,
    "wide": b"<a>" + b"<b/>" * 5_000_000 + b"</a>",
    "a name of 20 MB": b"<" + b"a" * 20_000_000 + b"/>",
    "an attribute of 20 MB": b'<a b="' + b"c" * 20_000_000 + b'"/>',
    "SOAP 1.1": GOOD.replace(b"http://www.w3.org/2003/05/soap-envelope", b"http://schemas.xmlsoap.org/soap/envelope/"),
    "two bodies": GOOD.replace(b"</s:Envelope>", b"<s:Body/></s:Envelope>"),
    "no action": GOOD.replace(b"a:Action", b"a:Inaction"),
    "another action": GOOD.replace(ASK.encode(), b"urn:x:Other"),
    "mustUnderstand": GOOD.replace(b"<a:MessageID>", b'<z:z xmlns:z="urn:z" s:mustUnderstand="true"/><a:MessageID>'),
    "comment bomb": b"<!--" + b"-" * 1_000_000 + b"--><a/>",
    "processing instruction": b'<?xml-stylesheet href="http://127.0.0.1:1/"?><a/>',
}


@pytest.mark.parametrize("kind", sorted(DOCUMENTS))
def test_xml_that_is_no_message(opened: Integrator, kind: str) -> None:
    for where in ("xds_registry", "xds_repository"):
        response = opened.post(opened.box[where], SOAP_TYPE, DOCUMENTS[kind])
        assert response.status_code in (400, 413, 500), response.text[:500]
        assert read(response).outcome.startswith("Fault ")
        clean(response.text)
        assert "root:" not in response.text


def endless(head: bytes, piece: bytes, count: int) -> Iterator[bytes]:
    yield head
    for _ in range(count):
        yield piece


@pytest.mark.parametrize("length", [True, False])
def test_a_hundred_megabytes_of_nesting(opened: Integrator, length: bool) -> None:
    before = memory(opened.process)
    piece = b"<a>" * 350_000
    headers = {"Content-Length": str(100 * len(piece))} if length else {}
    try:
        response = opened.post(opened.box["xds_registry"], SOAP_TYPE, endless(b"", piece, 100), **headers)
    except (httpx.WriteError, httpx.RemoteProtocolError, httpx.ReadError):
        pass  # the answer was sent, and the connection closed, long before everything was sent
    else:
        assert response.status_code in (400, 413)
        clean(response.text)
    assert memory(opened.process) - before < 200 * 1024 * 1024


# XOP and multipart


def provide(patient: str, document: str, parts: dict[str, bytes], *, mark: str = "MIMEBoundary") -> tuple[str, bytes]:
    entry = Entry(patient=patient)
    body = (
        f'<xdsb:ProvideAndRegisterDocumentSetRequest xmlns:xdsb="{XDSB}">{submission([entry], Set(patient=patient))}'
        f"{document}</xdsb:ProvideAndRegisterDocumentSetRequest>"
    )
    return package(envelope(PROVIDE, body), parts, PROVIDE, mark=mark)


def include(href: str, entry: str = "Document01") -> str:
    return f'<xdsb:Document id="{entry}"><x:Include xmlns:x="{XOP}" href="{href}"/></xdsb:Document>'


@pytest.fixture(scope="module")
def patient(opened_box: object) -> str:
    with Integrator(opened_box) as system:  # type: ignore[arg-type]
        return system.announce(f"X{oid()[-10:]}", str(system.box["affinity_domain"]))


TRICKS: dict[str, tuple[str, dict[str, bytes]]] = {
    "missing part": (include("cid:nothing@x"), {"doc0@x": b"a"}),
    "no parts": (include("cid:doc0@x"), {}),
    "http": (include("http://127.0.0.1:1/"), {"doc0@x": b"a"}),
    "file": (include("file:///etc/passwd"), {"doc0@x": b"a"}),
    "the root itself": (include("cid:root@x"), {"doc0@x": b"a"}),
    "empty href": (include(""), {"doc0@x": b"a"}),
    "path": (include("cid:../../../etc/passwd"), {"doc0@x": b"a"}),
    "two documents of one part": (include("cid:doc0@x") + include("cid:doc0@x", "Document02"), {"doc0@x": b"a"}),
    "one document twice": (include("cid:doc0@x") + include("cid:doc1@x"), {"doc0@x": b"a", "doc1@x": b"b"}),
    "two includes in one document": (
        include("cid:doc0@x").replace("</xdsb", f'<x:Include xmlns:x="{XOP}" href="cid:doc1@x"/></xdsb'),
        {"doc0@x": b"a", "doc1@x": b"b"},
    ),
    "include of another namespace": (include("cid:doc0@x").replace(XOP, "urn:x"), {"doc0@x": b"a"}),
    "base64 that is none": ('<xdsb:Document id="Document01">%%%</xdsb:Document>', {}),
    "text beside": (include("cid:doc0@x").replace("<x:", "AAAA<x:"), {"doc0@x": b"a"}),
}


@pytest.mark.parametrize("trick", sorted(TRICKS))
def test_xop_tricks(opened: Integrator, patient: str, trick: str) -> None:
    response = opened.post(opened.box["xds_repository"], *provide(patient, *TRICKS[trick]))
    answer = read(response)
    assert answer.outcome in ("Failure", "Fault Sender"), response.text
    clean(response.text)
    assert opened.find(patient).uids == []


def packages(patient: str) -> dict[str, tuple[str, bytes]]:
    kind, body = provide(patient, include("cid:doc0@x"), {"doc0@x": b"content"})
    part = b"\r\n--MIMEBoundary\r\nContent-ID: <p%d@x>\r\n\r\nx"
    end = b"\r\n--MIMEBoundary--"
    return {
        "no boundary": (kind.replace('boundary="MIMEBoundary"; ', ""), body),
        "another boundary": (kind.replace("MIMEBoundary", "Other"), body),
        "a boundary of 1000": (kind.replace("MIMEBoundary", "b" * 1000), body),
        "start is missing": (kind.replace("root@x", "nobody@x"), body),
        "never ends": (kind, body.removesuffix(b"--\r\n")),
        "ends in the content": (kind, body[: body.index(b"content") + 3]),
        "ends in the envelope": (kind, body[:500]),
        "empty": (kind, b""),
        "only a boundary": (kind, b"--MIMEBoundary--\r\n"),
        "garbage": (kind, b"\x00\xff" * 100_000),
        "same Content-ID twice": (kind, body.replace(end, (part % 0).replace(b"<p0@x>", b"<doc0@x>") + end)),
        "root twice": (kind, body.replace(b"<doc0@x>", b"<root@x>")),
        "20,000 parts": (kind, body.replace(end, b"".join(part % n for n in range(20_000)) + end)),
        "a header of 10 MB": (kind, body.replace(b"Content-ID: <doc0@x>", b"X: " + b"a" * 10_000_000)),
        "a million headers": (kind, body.replace(b"Content-ID: <doc0@x>", b"X: a\r\n" * 1_000_000)),
        "root is not XOP": (kind, body.replace(b"application/xop+xml", b"text/html")),
        "another multipart": (kind.replace("multipart/related", "multipart/form-data"), body),
    }  # fmt: skip


@pytest.mark.parametrize("kind", sorted(packages("")))
def test_multipart_garbage(opened: Integrator, patient: str, kind: str) -> None:
    response = opened.post(opened.box["xds_repository"], *packages(patient)[kind])
    answer = read(response)
    assert answer.outcome in ("Failure", "Fault Sender"), response.text[:1000]
    clean(response.text)
    assert opened.find(patient).uids == []


# HTTP itself


def talk(system: Integrator, request: bytes, *, seconds: float = 20) -> bytes:
    """What raw bytes get; b"" when the connection is closed."""
    host, _, port = system.box["portal"].split("/")[2].rpartition(":")
    with socket.create_connection((host, int(port)), timeout=seconds) as connection:
        try:
            connection.sendall(request)
            return connection.recv(65536)
        except ConnectionError:
            return b""


@pytest.mark.parametrize(
    "request_head",
    [
        b"GET /fhir/metadata HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n",
        b"GET /fhir/metadata HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * 200_000 + b"\r\n",
        b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01" + b"\x00" * 500,
        b"GET /fhir/metadata HTTP/9.9\r\n\r\n",
        b"POST /xds/registry HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /xds/registry HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /xds/registry HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZZZ\r\n",
    ],
)
def test_heads_that_are_none(opened: Integrator, request_head: bytes) -> None:
    answer = talk(opened, request_head)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer[:200]
    clean(answer.decode("latin-1"))


def test_slow_bodies_hold_nobody_up(opened: Integrator) -> None:
    """A hundred callers who announce a body and send it a byte at a time."""
    host, _, port = opened.box["portal"].split("/")[2].rpartition(":")
    head = (
        b"POST /xds/registry HTTP/1.1\r\nHost: x\r\nContent-Type: application/soap+xml\r\nContent-Length: 9999\r\n\r\n"
    )
    slow = [socket.create_connection((host, int(port)), timeout=10) for _ in range(100)]
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(0.2):
            for connection in slow:
                connection.send(b"<")

    try:
        for connection in slow:
            connection.sendall(head)
        dripping = threading.Thread(target=drip, daemon=True)
        dripping.start()
        for _ in range(3):
            assert opened.http.get(f"{opened.box['fhir']}/ImagingStudy", timeout=15).status_code == 200
            assert opened.ask("urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4", {}).outcome == "Failure"
    finally:
        stop.set()
        dripping.join()
        for connection in slow:
            connection.close()
