"""The simulated record on HTTPS with mutual TLS."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from lxml import etree

from hub.testing.dmp import people
from hub.testing.dmp.envelope import MOST, Fault, Incoming, read, write, write_fault
from hub.testing.dmp.metadata import Broken
from hub.testing.dmp.pki import AUTHORITY, SERVER, make_pki
from hub.testing.dmp.registry import SUCCESS, Registry, failed_query, response
from hub.testing.dmp.state import Asked, Person, State
from hub.testing.dmp.submission import XDSB, Submissions
from hub.testing.dmp.trust import Trust
from hub.testing.dmp.vihf import Caller, read_vihf

ROOT = "/si-dmp-server/v2/services"
PROVIDE, QUERY, RETRIEVE, UPDATE, EXISTS, AUTHORISE = (
    "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b",
    "urn:ihe:iti:2007:RegistryStoredQuery",
    "urn:ihe:iti:2007:RetrieveDocumentSet",
    "urn:ihe:iti:2010:UpdateDocumentSet",
    "urn:hl7-org:v3:PRPA_IN201307UV02",
    "urn:si-dmp-habilitations:setAuthorization",
)
#: What the service offers in TLS 1.2 (PDT-INF-579).
SUITES = (
    "ECDHE-RSA-AES256-SHA384", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-CHACHA20-POLY1305",
)  # fmt: skip
#: Service -> its actions.
SERVICES = {
    "registry": (QUERY, UPDATE),
    "repository": (PROVIDE, RETRIEVE),
    "patients": (EXISTS,),
    "habilitations": (AUTHORISE,),
}


class DmpSimulator:
    """Listens on loopback from ``start`` until ``stop``. ``state``: to look at and to change."""

    def __init__(self, pki: Path, *, port: int = 0, vihf_version: str = "", sha1: bool = False) -> None:
        self.state = State()
        self.pki = make_pki(pki)
        self.vihf_version = vihf_version
        authority = x509.load_pem_x509_certificate((pki / f"{AUTHORITY}.crt").read_bytes())
        self.trust = Trust(authority, sha1=sha1)
        self.submissions = Submissions(self.state, self.trust)
        self.registry = Registry(self.state)
        self.stopping = threading.Event()
        self._server = _Server(("127.0.0.1", port), self._context(), self)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Root of the services."""
        return f"https://127.0.0.1:{self._server.server_address[1]}{ROOT}"

    def start(self) -> "DmpSimulator":
        """Begin."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening."""
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def __enter__(self) -> "DmpSimulator":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(":".join(SUITES))
        context.load_cert_chain(self.pki / f"{SERVER}.crt", self.pki / f"{SERVER}.key")
        context.load_verify_locations(self.pki / f"{AUTHORITY}.crt")
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    # one request

    def answer(self, service: str, content_type: str, data: bytes, certificate: bytes) -> tuple[int, str, bytes]:
        """HTTP status, Content-Type and bytes."""
        asked = Asked(service, "", "")
        relates_to = ""
        try:
            message = read(content_type, data)
            asked.action, relates_to = message.action, message.message_id
            with self.state.lock:
                status, kind, answer = self._serve(service, message, x509.load_der_x509_certificate(certificate), asked)
        except Fault as fault:
            asked.status = fault.code
            kind, answer = write_fault(fault, relates_to)
            status = fault.status
        with self.state.lock:
            self.state.asked.append(asked)
        return status, kind, answer

    def _serve(self, service: str, message: Incoming, tls: x509.Certificate, asked: Asked) -> tuple[int, str, bytes]:
        if message.action not in SERVICES.get(service, ()):
            raise Fault("ActionNotSupported", "The service does not know this action.")
        if self.state.faults.refuse_certificate:
            raise Fault("DMPInvalidCertificate", "The certificate is refused.")
        if self.state.faults.fault:
            raise Fault(self.state.faults.fault, "Refused on purpose.")
        caller = read_vihf(message.assertion, self.trust, tls, version=self.vihf_version)
        asked.mode, asked.patient = caller.mode, caller.patient
        person = self.state.persons.get(caller.patient)
        if message.action == EXISTS:
            body: Any = people.exists(message, caller, person)
            asked.status = "Success"
            return 200, *write(body, "urn:hl7-org:v3:PRPA_IN201308UV02", message.message_id, {})
        if person is None:
            raise Fault("DMPNotFound", "There is no record of this person.")
        parts: dict[str, bytes] = {}
        try:
            body = self._transact(message, caller, person, tls, parts)
            asked.status = "Success"
        except Broken as broken:
            asked.status = broken.code
            body = _refused(message.action, broken)
        kind, answer = write(body, f"{message.action}Response", message.message_id, parts)
        return 200, kind, answer

    def _transact(
        self, message: Incoming, caller: Caller, person: Person, tls: x509.Certificate, parts: dict[str, bytes]
    ) -> Any:
        if message.action == PROVIDE:
            self.submissions.provide(message, caller, person, tls)
            return response(SUCCESS)
        if message.action == RETRIEVE:
            body, found = self.registry.retrieve(message, caller, person)
            parts |= found
            return body
        if message.action == AUTHORISE:
            return people.authorise(message, caller, person)
        return (self.registry.query if message.action == QUERY else self.registry.update)(message, caller, person)


def _refused(action: str, broken: Broken) -> Any:
    failure = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure"
    if action == QUERY:
        return failed_query(broken.code, broken.text)
    body = response(failure, broken.code, broken.text)
    if action != RETRIEVE:
        return body
    outer = etree.Element(f"{{{XDSB}}}RetrieveDocumentSetResponse")
    outer.append(body)
    return outer


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext, simulator: DmpSimulator) -> None:
        self.context = context
        self.simulator = simulator
        super().__init__(address, _Handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """The handshake, in the connection's own thread."""
        request.settimeout(60)
        try:
            secure = self.context.wrap_socket(request, server_side=True)
        except (ssl.SSLError, OSError):
            return
        try:
            super().finish_request(secure, client_address)
        except OSError:
            return  # the peer went away
        finally:
            with contextlib.suppress(OSError):
                secure.shutdown(socket.SHUT_RDWR)
            secure.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing: URLs of tests."""

    def do_POST(self) -> None:
        """One SOAP request."""
        data = b"".join(self._pieces())
        faults = self.server.simulator.state.faults
        if faults.slow:
            self.server.simulator.stopping.wait(faults.slow)
        if faults.down:
            return self._send(503, "text/plain", b"down")
        if faults.garbage:
            return self._send(200, "application/soap+xml", b"<not xml")
        if faults.hang:
            self.close_connection = True
            return None
        certificate = self.connection.getpeercert(binary_form=True) or b""
        root, _, service = self.path.rpartition("/")
        if root != ROOT or service not in SERVICES:
            return self._send(404, "text/plain", b"unknown service")
        kind = self.headers.get("Content-Type", "")
        status, kind, answer = self.server.simulator.answer(service, kind, data, certificate)
        if faults.lose_answer:
            faults.lose_answer -= 1
            self.close_connection = True
            return None
        return self._send(status, kind, answer)

    def do_GET(self) -> None:
        """Nothing is given by GET."""
        self._send(405, "text/plain", b"POST only")

    def _send(self, status: int, kind: str, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _pieces(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            yield self.rfile.read(min(int(self.headers.get("Content-Length") or 0), MOST))
            return
        while size := int(self.rfile.readline(80).split(b";")[0] or b"0", 16):
            yield self.rfile.read(size)
            self.rfile.readline(2)
        self.rfile.readline(2)
