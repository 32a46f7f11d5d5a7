"""The HTTP edge over real sockets: dispatch, refusal before reading, limits, streams, headers."""

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from lxml import etree
from starlette.requests import Request

from hub.app.settings.model import Web
from hub.app.web.edge import http_request
from hub.app.web.http import build
from hub.app.web.server import WebServer
from tests.app.edge_hub import LIMITED, NAMESPACE, TOKEN, EdgeHub
from tests.waiting import until

SOAP = "http://www.w3.org/2003/05/soap-envelope"
WSA = "http://www.w3.org/2005/08/addressing"


def envelope(action: str, text: str = "hello", body: str = "Ask") -> bytes:
    return (
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="{WSA}"><s:Header><a:Action>{action}</a:Action>'
        f"<a:MessageID>urn:uuid:1</a:MessageID></s:Header>"
        f'<s:Body><t:{body} xmlns:t="{NAMESPACE}"><t:Text>{text}</t:Text></t:{body}></s:Body></s:Envelope>'
    ).encode()


PLAIN = {"Content-Type": "application/soap+xml; charset=utf-8"}


@pytest.fixture
def hub(tmp_path: Path) -> EdgeHub:
    return EdgeHub(tmp_path)


@pytest.fixture
def server(hub: EdgeHub) -> Iterator[WebServer]:
    server = WebServer(build(hub), "127.0.0.1", 0)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def client(server: WebServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=20) as client:
        yield client


def fault(answer: httpx.Response) -> tuple[str, str]:
    root = etree.fromstring(answer.content)
    subcode = root.findtext(f".//{{{SOAP}}}Subcode/{{{SOAP}}}Value") or ""
    error = root.find(".//{urn:maillage:fault}Error")
    return subcode.rpartition(":")[2], error.get("code", "") if error is not None else ""


def test_soap_is_dispatched_on_the_action(client: httpx.Client) -> None:
    answer = client.post("/soap", content=envelope("urn:ask"), headers=PLAIN)
    assert answer.status_code == 200
    root = etree.fromstring(answer.content)
    assert root.findtext(f".//{{{NAMESPACE}}}Answer") == "hello"
    assert root.findtext(f".//{{{WSA}}}RelatesTo") == "urn:uuid:1"


def test_an_unknown_action_is_a_fault(client: httpx.Client) -> None:
    answer = client.post("/soap", content=envelope("urn:other"), headers=PLAIN)
    assert fault(answer) == ("ActionNotSupported", "action-not-supported")


def test_what_must_be_mtom_may_not_be_plain(client: httpx.Client) -> None:
    assert fault(client.post("/soap", content=envelope("urn:attach"), headers=PLAIN))[1] == "mtom-required"


def test_hostile_xml_is_a_fault(client: httpx.Client) -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "b">]>' + envelope("urn:ask", "&a;")
    answer = client.post("/soap", content=bomb, headers=PLAIN)
    assert answer.status_code == 400
    assert fault(answer)[1]


def test_mtom_attachments_arrive_and_are_removed(client: httpx.Client, hub: EdgeHub) -> None:
    attachment = b"\x00\x01" * 1_500_000
    body = (
        b'--b\r\nContent-Type: application/xop+xml; charset=UTF-8; type="application/soap+xml"\r\n'
        + b"Content-ID: <r>\r\n\r\n"
        + envelope("urn:attach")
        + b"\r\n--b\r\nContent-Type: application/dicom\r\nContent-ID: <d>\r\n\r\n"
        + attachment
        + b"\r\n--b--\r\n"
    )
    content_type = (
        'multipart/related; boundary=b; type="application/xop+xml"; start="<r>"; start-info="application/soap+xml"'
    )
    answer = client.post("/soap", content=body, headers={"Content-Type": content_type})
    assert answer.status_code == 200, answer.text
    assert hub.rooms.seen[-1].size == len(attachment)
    assert list(hub.content.incoming().iterdir()) == []


@pytest.mark.parametrize("token", ["", "wrong", LIMITED])
def test_who_may_not_call_is_refused_before_anything_is_read(server: WebServer, hub: EdgeHub, token: str) -> None:
    """The body is announced and never sent: the answer comes all the same, and the refusal is audited."""
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as peer:
        peer.sendall(
            f"POST /soap HTTP/1.1\r\nHost: x\r\n{authorization}Content-Type: application/soap+xml\r\n"
            "Content-Length: 100000\r\n\r\n".encode()
        )
        answer = b""
        while piece := peer.recv(65536):  # until the server closes: it wants nothing of the rest
            answer += piece
    expected = "access-denied" if token == LIMITED else "not-authenticated"
    assert answer.startswith(b"HTTP/1.1 403" if token == LIMITED else b"HTTP/1.1 401")
    assert expected.encode() in answer
    assert [(name, outcome) for name, outcome, _ in hub.audit.records] == [("T-1", expected)]
    assert hub.rooms.seen == []


def test_a_resource_refuses_without_reading_either(server: WebServer, hub: EdgeHub) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as peer:
        peer.sendall(b"POST /dicom-web/studies HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        answer = peer.recv(65536)
    assert answer.startswith(b"HTTP/1.1 401")
    assert hub.audit.records[0][:2] == ("T-4", "not-authenticated")


def test_a_session_counts_for_reading_only(server: WebServer) -> None:
    with httpx.Client(base_url=server.url, cookies={"maillage_session": "s"}) as browser:
        assert browser.get("/dicom-web/things/a").status_code == 200
        assert browser.post("/dicom-web/studies?text=a", content=b"x").status_code == 401
        assert browser.post("/soap", content=envelope("urn:ask"), headers=PLAIN).status_code == 401


def test_a_body_beyond_the_limit_is_refused(client: httpx.Client, server: WebServer) -> None:
    large = envelope("urn:ask", "x" * 2_000_000)
    assert fault(client.post("/soap", content=large, headers=PLAIN))[1] == "too-large"
    # without Content-Length
    answer = client.post("/soap", content=(large[i : i + 65536] for i in range(0, len(large), 65536)), headers=PLAIN)
    assert fault(answer)[1] == "too-large"
    assert client.post("/dicom-web/studies?text=a", content=b"x" * 2_000_000).status_code in (400, 500)


def test_resources_are_routed_with_their_parameters(client: httpx.Client) -> None:
    assert client.get("/fhir/Thing/42").text == "42 0"
    assert client.get("/fhir/Thing?text=a&text=b").text == "a 0"
    assert client.post("/fhir/Thing/_search", data={"text": "c"}).text == "c 6"
    assert client.post("/dicom-web/studies?text=d", content=b"12345").text == "d 5"
    assert client.get("/fhir/metadata").json() == {"resourceType": "CapabilityStatement"}


def test_a_header_given_twice_is_both() -> None:
    """RFC 9110 5.3: no one of them is taken alone."""
    rows = [(b"kos-sopinstanceuid", b"1.2"), (b"kos-sopinstanceuid", b"1.3"), (b"accept", b"a/b")]
    scope = {"type": "http", "method": "GET", "path": "/x", "query_string": b"", "headers": rows}
    assert http_request(Request(scope), "").headers == {"kos-sopinstanceuid": "1.2, 1.3", "accept": "a/b"}


def test_errors_of_a_resource_are_the_wires_own(client: httpx.Client) -> None:
    assert client.get("/fhir/Thing/absent").text == "refused not-found"
    defect = client.get("/fhir/Thing/defect")
    assert (defect.status_code, defect.text) == (500, "refused internal")
    assert client.get("/fhir/Thing?text=%FF").text == "refused malformed"


def test_a_stream_arrives_whole(client: httpx.Client, hub: EdgeHub) -> None:
    answer = client.get("/dicom-web/things/stream?chunks=500")
    assert answer.status_code == 200
    assert len(answer.content) == 5_000_000
    assert answer.content[-1] == 499 % 256
    assert hub.rooms.closed == ["stream"]
    assert [outcome for _, outcome, _ in hub.audit.records] == ["success"]  # before the last byte was sent


def test_a_stream_that_breaks_is_not_taken_for_whole(
    client: httpx.Client, hub: EdgeHub, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/dicom-web/things/stream?chunks=500&fail=400")
    until(lambda: hub.rooms.closed == ["stream"])
    told = [(item.name, item.levelname, item.getMessage()) for item in caplog.records if item.levelname != "INFO"]
    assert told == [("hub.app.web.edge", "WARNING", "an answer broke off: not-found")]
    assert [outcome for _, outcome, _ in hub.audit.records] == ["not-found"]


def test_a_peer_that_goes_ends_the_stream(server: WebServer, hub: EdgeHub) -> None:
    address, headers = f"{server.url}/dicom-web/things/stream?chunks=100000000", {"Authorization": f"Bearer {TOKEN}"}
    with httpx.stream("GET", address, headers=headers) as answer:
        next(answer.iter_bytes())
    server.stop()  # waits for running requests: it would not end if the stream went on
    assert hub.rooms.closed == ["stream"]
    assert [outcome for _, outcome, _ in hub.audit.records] == ["not-taken"]


def test_the_correlation_id_goes_in_and_out(client: httpx.Client, hub: EdgeHub) -> None:
    answer = client.get("/fhir/Thing/1", headers={"X-Correlation-Id": "from-outside.1"})
    assert answer.headers["x-correlation-id"] == "from-outside.1"
    assert hub.audit.records[-1] == ("T-2", "success", "from-outside.1")
    odd = client.get("/fhir/Thing/1", headers={"X-Correlation-Id": "a b <script>"})
    assert odd.headers["x-correlation-id"] not in ("a b <script>", "from-outside.1")


def test_the_log_holds_the_route_and_not_what_was_asked(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="hub.app.web.guard"):
        client.get("/fhir/Thing/DUPONT?name=JEAN")
        client.get("/DUPONT")
    told = " ".join(record.getMessage() for record in caplog.records)
    assert "GET /fhir/Thing/{id}: 200" in told
    assert "DUPONT" not in told
    assert "JEAN" not in told


def test_answers_are_closed_by_default(client: httpx.Client) -> None:
    headers = client.get("/fhir/Thing/1", headers={"Origin": "https://elsewhere"}).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "access-control-allow-origin" not in headers


def test_unknown_places_and_methods(client: httpx.Client) -> None:
    answer = client.get("/nowhere")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    assert b"definitions" in client.get("/soap").content, "what GET is for where messages are posted"
    assert client.get("/fhir/Nothing").text == "refused not-found"
    assert client.delete("/fhir/Thing/1").text == "refused method-not-allowed"
    for method, path, allowed in (
        ("DELETE", "/fhir/Thing/1", "GET, HEAD"),
        ("OPTIONS", "/fhir/Thing/_search", "POST"),
        ("TRACE", "/health/live", "GET, HEAD"),
        ("PUT", "/soap", "GET, HEAD, POST"),
    ):
        answer = client.request(method, path)
        assert answer.headers["allow"] == allowed, path
    assert (answer.status_code, answer.json()["code"]) == (405, "method-not-allowed")


def test_health_and_metrics(client: httpx.Client, hub: EdgeHub) -> None:
    assert client.get("/health/live").json() == {"status": "alive"}
    assert client.get("/health/ready").json() == {"status": "ready", "checks": {"database": "ok"}}
    hub.healthy = False
    assert client.get("/health/ready").status_code == 503
    client.get("/fhir/Thing/1")
    assert 'maillage_transactions_total{outcome="success",transaction="T-2"} 1.0' in client.get("/metrics").text


def test_a_certificate_by_header_counts_from_the_trusted_proxy_only(tmp_path: Path) -> None:
    header = {"X-SSL-Client-Cert": "MAA=", "X-Forwarded-For": "10.9.9.9"}
    for proxy, status in (("", 401), ("192.0.2.1", 401), ("127.0.0.1", 200)):
        hub = EdgeHub(tmp_path / (proxy or "none"), Web(port=0, trusted_proxy=proxy))
        server = WebServer(build(hub), "127.0.0.1", 0)
        server.start()
        try:
            assert httpx.get(f"{server.url}/fhir/Thing/1", headers=header).status_code == status
            assert hub.access.shown[-1].peer == ("10.9.9.9" if proxy == "127.0.0.1" else "127.0.0.1")
            twice = [("X-SSL-Client-Cert", "MAA="), ("X-SSL-Client-Cert", "MAA=")]
            assert httpx.get(f"{server.url}/fhir/Thing/1", headers=twice).status_code in (400, 401)
        finally:
            server.stop()
