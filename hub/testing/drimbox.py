"""A peer DRIMbox for tests and the demo, over mutual TLS: a source that gives images by manifest, a consumer that asks.

Written from DRIM-M's description of WADO-RS between boxes, with nothing of the hub's own: it is to disagree with it."""

import contextlib
import email.parser
import email.policy
import json
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HEADER = "KOS-SOPInstanceUID"
#: What the reference box prefers.
ACCEPT = ", ".join(
    f'multipart/related; type="application/dicom"; transfer-syntax={syntax};q={quality}'
    for syntax, quality in (
        ("1.2.840.10008.1.2.4.70", 0.9),
        ("1.2.840.10008.1.2.4.80", 0.8),
        ("1.2.840.10008.1.2.4.91", 0.6),
        ("1.2.840.10008.1.2.4.50", 0.5),
        ("1.2.840.10008.1.2.1", 0.4),
    )
)
_SECONDS = 60


@dataclass(frozen=True)
class Answer:
    """``parts``: the objects, each a DICOM file; ``code``: the error's, where one is told."""

    status: int
    parts: tuple[bytes, ...] = ()
    code: str = ""


class Consumer:
    """Asks with an operator's certificate and a professional's token."""

    def __init__(self, ca: Path, certificate: Path | None = None, key: Path | None = None) -> None:
        self._context = ssl.create_default_context(cafile=str(ca))
        if certificate is not None:
            self._context.load_cert_chain(certificate, key)

    def get(self, url: str, *, token: str = "", manifest: str = "", accept: str = ACCEPT) -> Answer:
        """Ask a source; an empty token or manifest is not sent."""
        headers = {"Accept": accept}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        headers |= {HEADER: manifest} if manifest else {}
        request = urllib.request.Request(url, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS, context=self._context) as found:
                return Answer(found.status, tuple(_parts(found.headers["Content-Type"], found.read())))
        except urllib.error.HTTPError as refused:
            return Answer(refused.code, code=_code(refused.read()))


def _parts(kind: str, body: bytes) -> Iterable[bytes]:
    """Bytes of a multipart/related answer; those of a single part."""
    if not kind.lower().startswith("multipart/"):
        yield body
        return
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(
        f"Content-Type: {kind}\r\n\r\n".encode("latin-1")
    )
    boundary = b"--" + str(message.get_boundary()).encode("latin-1")
    for piece in body.split(boundary)[1:-1]:
        yield piece.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")


def _code(body: bytes) -> str:
    try:
        return str(json.loads(body).get("code", ""))
    except (ValueError, AttributeError):
        return ""


@dataclass
class Held:
    """A manifest of the source: (series, SOP instance) -> file. ``gone``: withdrawn."""

    study: str
    files: Mapping[tuple[str, str], bytes]
    gone: bool = False


@dataclass
class Source:
    """A box that gives images over mutual TLS. ``asked``: (path, manifest, token) of every request."""

    ca: Path
    certificate: Path
    key: Path
    tokens: set[str] = field(default_factory=set)
    manifests: dict[str, Held] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    def __enter__(self) -> Self:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                token = self.headers.get("Authorization", "").removeprefix("Bearer ")
                manifest = self.headers.get(HEADER, "")
                outer.asked.append((self.path, manifest, token))
                status, files = outer.answer(self.path, manifest, token)
                body = b"".join(
                    b"--part\r\nContent-Type: application/dicom\r\n\r\n" + content + b"\r\n" for content in files
                )
                body = body + b"--part--\r\n" if files else b""
                self.send_response(status)
                self.send_header("Content-Type", 'multipart/related; type="application/dicom"; boundary=part')
                self.send_header("Content-Length", str(len(body)))
                with contextlib.suppress(OSError):  # who asked has hung up
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Silent."""

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        context.load_verify_locations(self.ca)
        context.verify_mode = ssl.CERT_REQUIRED
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_SECONDS)

    @property
    def url(self) -> str:
        """Where its WADO-RS is."""
        return f"https://localhost:{self._server.server_port}/rs"

    def answer(self, path: str, manifest: str, token: str) -> tuple[int, list[bytes]]:
        """(status, files) of a request."""
        if token not in self.tokens:
            return 401, []
        parts = path.removeprefix("/rs/").split("/")
        levels = dict(zip(parts[::2], parts[1::2], strict=False))
        if not manifest or "series" not in levels:
            return 400, []
        held = self.manifests.get(manifest)
        if held is None or held.study != levels.get("studies"):
            return 404, []
        if held.gone:
            return 410, []
        found = [
            content
            for (series, instance), content in held.files.items()
            if series == levels["series"] and levels.get("instances", instance) == instance
        ]
        return (200, found) if found else (404, [])
