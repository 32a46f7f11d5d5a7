"""A small hub of made-up transactions behind the real HTTP application, pipeline and server."""

# ruff: noqa: ARG002  (the contracts say what is passed)

import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lxml import etree

from hub.access.model import ANONYMOUS, Credentials, Principal, Scheme
from hub.app.running.health import Health
from hub.app.running.metrics import PrometheusMetrics
from hub.app.settings.model import Settings, Web
from hub.app.web.replies import Replies
from hub.app.web.soap_inbox import SoapInbox
from hub.context import Context
from hub.errors import AccessDenied, HubError, Malformed, NotAuthenticated, NotFound
from hub.pipeline.catalogue import Bound, Catalogue
from hub.pipeline.pipeline import Pipeline
from hub.pipeline.transaction import AuditEvent, Dicomweb, Durability, Fhir, Kind, Soap, Transaction
from hub.storage.content import ContentStore
from hub.storage.engine import Database
from hub.usecase import Command, Dispatcher, use_case
from hub.wire.http import HttpRequest, HttpResponse
from hub.wire.soap.message import SoapMessage, SoapResponse
from hub.wire.soap.writing import refuse as soap_refuse

TOKEN = "let-me-in"
LIMITED = "metadata-only"
NAMESPACE = "urn:test"


@dataclass(frozen=True)
class Echo(Command):
    """Give back."""

    text: str
    size: int = 0


@dataclass(frozen=True)
class Stream(Command):
    """Give many bytes."""

    chunks: int
    fail_at: int = -1


@dataclass
class Rooms:
    """What the transactions ask, and what they left behind."""

    closed: list[str] = field(default_factory=list)
    seen: list[Echo] = field(default_factory=list)

    @use_case
    def echo(self, command: Echo, context: Context) -> Echo:
        self.seen.append(command)
        if command.text == "absent":
            raise NotFound()
        if command.text == "defect":
            raise ZeroDivisionError("DUPONT")
        return command

    @use_case
    def stream(self, command: Stream, context: Context) -> Iterator[bytes]:
        return self._stream(command)

    def _stream(self, command: Stream) -> Iterator[bytes]:
        try:
            for number in range(command.chunks):
                if number == command.fail_at:
                    raise NotFound()
                yield bytes([number % 256]) * 10_000
        finally:
            self.closed.append("stream")


class TestAccess:
    """Two tokens and one certificate."""

    __test__ = False

    def __init__(self) -> None:
        self.shown: list[Credentials] = []

    def authenticate(self, credentials: Credentials) -> Principal:
        self.shown.append(credentials)
        if credentials.bearer == TOKEN or credentials.certificate or credentials.session == "s":
            return Principal("known", scheme=Scheme.TOKEN, permissions=frozenset({"*"}))
        if credentials.bearer == LIMITED:
            return Principal("limited", scheme=Scheme.TOKEN, permissions=frozenset({"other"}))
        if credentials.bearer:
            raise NotAuthenticated()
        return ANONYMOUS

    transmitter = authenticate

    def prove(self, credentials: Credentials) -> Credentials:
        self.authenticate(credentials)
        return credentials

    def permit(self, principal: Principal, permission: str, context: Context, command: Command | None = None) -> None:
        if not principal.authenticated:
            raise NotAuthenticated()
        if not {"*", permission} & principal.permissions:
            raise AccessDenied()


class TestAudit:
    """Remembers."""

    __test__ = False

    def __init__(self) -> None:
        self.records: list[tuple[str, str, str]] = []

    def record(self, transaction: Transaction, context: Context, error: HubError | None, milliseconds: int) -> None:
        self.records.append((transaction.id, error.code if error else "success", context.correlation_id))

    def begin(self, transaction: Transaction, context: Context, milliseconds: int) -> Callable[[HubError | None], None]:
        return lambda error: self.record(transaction, context, error, milliseconds)


class TestInbox:
    """Keeps nothing."""

    __test__ = False

    def keep(self, message: Any, transaction: str, wire: str, context: Context) -> bool:
        return True

    def receive(self, message: Any, transaction: str, wire: str, context: Context) -> bool:
        return True

    def processed(self, context: Context) -> None:
        """Nothing."""

    def refused(self, message: Any, transaction: str, wire: str, context: Context, error: HubError) -> None:
        """Nothing."""

    def in_order(self, source: str) -> Any:
        return nullcontext()


def transaction(name: str, *bindings: Any, kind: Kind = Kind.QUERY) -> Transaction:
    return Transaction(
        id=name,
        title=name,
        profile="TEST",
        initiator="Asker",
        responder="Hub",
        bindings=bindings,
        section="TEST: 1",
        kind=kind,
        permission="test",
        audit=AuditEvent("110112", "Query", "E"),
        durability=Durability.NONE,
    )


def _soap_decode(message: SoapMessage, context: Context) -> Echo:
    size = sum(attachment.path.stat().st_size for attachment in message.attachments.values())
    return Echo(message.body.findtext(f"{{{NAMESPACE}}}Text") or "", size)


def _soap_encode(outcome: Echo, message: SoapMessage, context: Context) -> SoapResponse:
    answer = etree.Element(f"{{{NAMESPACE}}}Answer")
    answer.text = outcome.text
    return SoapResponse(answer, "urn:answer")


def _fhir_decode(message: HttpRequest, context: Context) -> Command:
    if message.path_parameters.get("id") == "stream":
        return Stream(int(message.parameter("chunks")), int(message.parameter("fail", "-1")))
    return Echo(message.path_parameters.get("id") or message.parameter("text"), len(message.body))


def _http_encode(outcome: Any, message: HttpRequest, context: Context) -> HttpResponse:
    if isinstance(outcome, Echo):
        return HttpResponse(body=f"{outcome.text} {outcome.size}".encode(), media_type="text/plain")
    return HttpResponse(body=outcome, media_type="application/octet-stream", lasting=True)


def _http_refuse(error: HubError, message: Any, context: Context) -> HttpResponse:
    status = {NotAuthenticated: 401, AccessDenied: 403, NotFound: 404, Malformed: 400}
    code = next((number for kind, number in status.items() if isinstance(error, kind)), 500)
    return HttpResponse(code, f"refused {error.code}".encode(), "text/plain")


CATALOGUE = Catalogue(
    (
        Bound(
            transaction(
                "T-1",
                Soap("/soap", "urn:ask", "urn:answer", f"{{{NAMESPACE}}}Ask"),
                Soap("/soap", "urn:attach", "urn:answer", f"{{{NAMESPACE}}}Ask", mtom=True),
            ),
            _soap_decode,
            _soap_encode,
            None,
            "t1",
        ),
        Bound(transaction("T-2", Fhir("GET", "/Thing/{id}", "Thing", "read")), _fhir_decode, _http_encode, None, "t2"),
        Bound(
            transaction(
                "T-3",
                Fhir("GET", "/Thing", "Thing", "search-type"),
                Fhir("POST", "/Thing/_search", "Thing", "search-type"),
            ),
            _fhir_decode,
            _http_encode,
            None,
            "t3",
        ),
        Bound(
            transaction("T-4", Dicomweb("POST", "/studies"), kind=Kind.CHANGE), _fhir_decode, _http_encode, None, "t4"
        ),
        Bound(transaction("T-5", Dicomweb("GET", "/things/{id}")), _fhir_decode, _http_encode, None, "t5"),
    )
)


class EdgeHub:
    """Fulfils ``hub.app.web.http.WebHub``."""

    def __init__(self, directory: Path, web: Web | None = None) -> None:
        self.settings = Settings(web=web or Web(port=0, max_message_mb=1, max_body_mb=8))
        self.catalogue = CATALOGUE
        self.access = TestAccess()
        self.audit = TestAudit()
        self.rooms = Rooms()
        self.content = ContentStore(directory / "content")
        self.metrics = PrometheusMetrics("0")
        self.replies = Replies(directory / "replies", (), lambda *_: "", ssl.create_default_context)
        self.pipeline = Pipeline(
            Database(f"sqlite:///{directory / 'x.sqlite'}"),
            Dispatcher([self.rooms]),
            self.access,
            self.audit,
            TestInbox(),
            {"soap": soap_refuse, "fhir": _http_refuse, "dicomweb": _http_refuse},
            self.metrics,
        )
        self.soap_inbox = SoapInbox(self.pipeline, self.catalogue, (), self.content.receive)
        self.healthy = True

    def public_url(self) -> str:
        return "https://hub.example"

    def health(self) -> Health:
        return Health({"database": "" if self.healthy else "the database does not answer"})

    def capability(self) -> Mapping[str, Any]:
        return {"resourceType": "CapabilityStatement"}
