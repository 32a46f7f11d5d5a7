"""DICOMweb client: QIDO-RS, WADO-RS and STOW-RS over HTTP/1.1, streamed (PS3.18: 10).

Servers differ: quoted or unquoted ``type``, ``transfer-syntax=*`` unknown to old ones, JSON only under another name,
a single part where multipart is due. ``Dialect`` says which way a server wants it.
"""

import contextlib
import secrets
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson

from hub.errors import (
    AccessDenied,
    Category,
    DeadlineExceeded,
    HubError,
    Malformed,
    NotAuthenticated,
    NotFound,
    TooLarge,
    Unavailable,
    Unsupported,
)
from hub.wire import multipart, nul
from hub.wire.http_client import StreamingTransport

#: Bytes of a JSON answer; it is read whole.
MAX_JSON = 32 << 20
#: Each value takes more room than its text: so many bytes of text there are for each object or list, at least.
_BYTES_EACH = 16
_TYPES = {401: NotAuthenticated, 403: AccessDenied, 404: NotFound, 406: Unsupported, 415: Unsupported, 501: Unsupported}


class ServerUnreachable(Unavailable):
    """No connection, or it broke."""

    code = "dicomweb-unreachable"
    title = "The DICOMweb server can't be reached."


class ServerBusy(Unavailable):
    """The server answers that it can't now (429, 5xx)."""

    code = "dicomweb-busy"
    title = "The DICOMweb server can't answer now."


class ServerRefused(HubError):
    """The server refuses the request (4xx)."""

    code = "dicomweb-refused"
    title = "The DICOMweb server refused the request."


class AnswerTooLarge(TooLarge):
    """A JSON answer is larger than the limit, or holds too many values: a server that ignores limits, or means harm."""

    code = "dicomweb-answer-too-large"
    title = "The DICOMweb server's answer is too large."


class CertificateRefused(HubError):
    """TLS failed: the certificate of the server, or ours, is not trusted."""

    code = "dicomweb-certificate"
    category = Category.CONFIGURATION
    title = "The TLS connection to the DICOMweb server failed: a certificate is not trusted."


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a server wants to be spoken to."""

    quote_type: bool = True  #: type="application/dicom" rather than type=application/dicom
    any_syntax: bool = True  #: knows transfer-syntax=*
    json_type: str = "application/dicom+json"


@dataclass(frozen=True, slots=True)
class Roots:
    """Service roots; archives may serve them on different ports."""

    qido: str
    wado: str
    stow: str = ""


@dataclass(frozen=True, slots=True)
class Streamed:
    """A streamed answer; its chunks close the connection when read, or when closed."""

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes] = field(repr=False)

    @property
    def media_type(self) -> str:
        """Content-Type as sent."""
        return self.headers.get("content-type", "application/octet-stream")


class DicomwebClient:
    """One server. Thread-safe; at most ``max_connections`` requests at a time."""

    def __init__(
        self,
        roots: Roots,
        *,
        auth: httpx.Auth | tuple[str, str] | None = None,
        bearer: str = "",
        tls: ssl.SSLContext | None = None,
        max_connections: int = 4,
        timeout: float = 30.0,
        dialect: Dialect | None = None,
        max_json: int = MAX_JSON,
    ) -> None:
        self.roots = roots
        self.dialect = dialect or Dialect()
        self.timeout = timeout
        self.max_json = max_json
        headers = {"User-Agent": "maillage", "Accept-Encoding": "identity"}
        if bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        self._http = httpx.Client(
            auth=auth,
            headers=headers,
            transport=StreamingTransport(tls=tls, max_connections=max_connections),
            trust_env=False,
            follow_redirects=False,
        )

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def query(self, path: str, parameters: Sequence[tuple[str, str]], *, timeout: float) -> list[dict[str, Any]]:
        """QIDO-RS: matches as DICOM JSON; none for 204. Raises HubError."""
        return self._json(self.roots.qido + path, parameters, timeout)

    def metadata(self, path: str, *, timeout: float) -> list[dict[str, Any]]:
        """WADO-RS metadata of ``path`` (without ``/metadata``). Raises HubError."""
        return self._json(f"{self.roots.wado}{path}/metadata", (), timeout)

    def instances(
        self,
        path: str,
        transfer_syntaxes: Sequence[str],
        *,
        timeout: float,
        headers: Mapping[str, str] | None = None,
        accept: str = "",
    ) -> Iterator[Iterator[bytes]]:
        """WADO-RS: the Part 10 files under ``path``, each as an iterator of pieces. Raises HubError.

        ``accept`` instead of what the transfer syntaxes make; ``headers``: further ones."""
        wanted = accept or self._accept(transfer_syntaxes)
        with self._open("GET", self.roots.wado + path, accept=wanted, timeout=timeout, headers=headers) as answer:
            chunks = self._chunks(answer)
            content_type = answer.headers.get("content-type", "")
            if content_type.lower().startswith("multipart/"):
                for part in multipart.read(chunks, content_type):
                    yield part.chunks
            else:  # some servers send one file as it is
                yield chunks

    def stream(
        self, path: str, query: Sequence[tuple[str, str]], accept: str, *, timeout: float, root: str = ""
    ) -> Streamed:
        """Any WADO-RS resource, as the server sends it. Raises HubError."""
        opened = self._open("GET", (root or self.roots.wado) + path, accept=accept, query=query, timeout=timeout)
        answer = opened.__enter__()

        def chunks() -> Iterator[bytes]:
            with contextlib.ExitStack() as stack:
                stack.push(opened.__exit__)
                yield from self._chunks(answer)

        return Streamed(answer.status_code, dict(answer.headers), chunks())

    def store(self, files: Iterator[Iterator[bytes]], *, timeout: float) -> Mapping[str, Any]:
        """STOW-RS of Part 10 files. Outcome: the server's answer as DICOM JSON. Raises HubError."""
        limit = secrets.token_hex(16)  # no object can hold what ends its part
        parts = (multipart.Part({"Content-Type": "application/dicom"}, item) for item in files)
        headers = {"Content-Type": f'multipart/related; type="application/dicom"; boundary={limit}'}
        with self._open(
            "POST",
            f"{self.roots.stow or self.roots.wado}/studies",
            accept=self.dialect.json_type,
            timeout=timeout,
            headers=headers,
            content=multipart.write(parts, limit),
        ) as answer:
            raw = self._whole(answer)
        found = _loads(raw) if raw else {}
        return found if isinstance(found, dict) else {}

    def _accept(self, syntaxes: Sequence[str]) -> str:
        quote = '"' if self.dialect.quote_type else ""
        base = f"multipart/related; type={quote}application/dicom{quote}"
        wanted = list(dict.fromkeys(syntaxes)) or ["*"]
        if "*" in wanted:
            return f"{base}; transfer-syntax=*" if self.dialect.any_syntax else base
        return ", ".join(f"{base}; transfer-syntax={item}" for item in wanted)

    def _json(self, url: str, query: Sequence[tuple[str, str]], timeout: float) -> list[dict[str, Any]]:
        with self._open("GET", url, accept=self.dialect.json_type, query=query, timeout=timeout) as answer:
            if answer.status_code == 204:
                return []
            raw = self._whole(answer)
        found = _loads(raw) if raw else []
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            raise Malformed("The DICOMweb server's answer is not an array of DICOM JSON objects.")
        return found

    def _whole(self, answer: httpx.Response) -> bytearray:
        """A JSON answer's bytes. Raises AnswerTooLarge before more than the limit is held."""
        announced = answer.headers.get("content-length", "")
        if announced.isdigit() and int(announced) > self.max_json:
            raise AnswerTooLarge()
        raw = bytearray()
        for piece in self._chunks(answer):
            raw += piece
            if len(raw) > self.max_json:
                raise AnswerTooLarge()
        if raw.count(b"{") + raw.count(b"[") > self.max_json // _BYTES_EACH:
            raise AnswerTooLarge()
        return raw

    @contextlib.contextmanager
    def _open(
        self,
        method: str,
        url: str,
        *,
        accept: str,
        timeout: float,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        content: Iterator[bytes] | None = None,
    ) -> Iterator[httpx.Response]:
        limit = min(timeout, self.timeout)
        with _translated():
            request = self._http.build_request(
                method,
                url,
                params=list(query) or None,
                headers={**(headers or {}), **({"Accept": accept} if accept else {})},
                content=content,
                timeout=httpx.Timeout(limit),
            )
            request.extensions["maillage_deadline"] = time.monotonic() + timeout
            answer = self._http.send(request, stream=True)
        try:
            if answer.status_code >= 300:
                raise _refused(answer.status_code)
            yield answer
        finally:
            answer.close()

    def _chunks(self, answer: httpx.Response) -> Iterator[bytes]:
        deadline = answer.request.extensions["maillage_deadline"]
        with _translated():
            for piece in answer.iter_raw():
                if time.monotonic() > deadline:
                    raise DeadlineExceeded("The DICOMweb server's answer took too long.")
                yield piece


def _loads(raw: bytearray) -> Any:
    try:
        return orjson.loads(nul.padding_removed(raw))
    except orjson.JSONDecodeError as error:
        raise Malformed("The DICOMweb server's answer is not JSON.") from error


def _refused(status: int) -> HubError:
    if status == 429 or (status >= 500 and status != 501):
        return ServerBusy(f"The DICOMweb server answers {status}.", status=str(status))
    kind = _TYPES.get(status, ServerRefused)
    return kind(f"The DICOMweb server answers {status}.", status=str(status))


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except httpx.TimeoutException as error:
        raise DeadlineExceeded("The DICOMweb server did not answer in time.") from error
    except httpx.ConnectError as error:
        if isinstance(error.__cause__, ssl.SSLError) or "CERTIFICATE" in str(error).upper():
            raise CertificateRefused() from error
        raise ServerUnreachable() from error
    except httpx.HTTPError as error:
        raise ServerUnreachable("The connection to the DICOMweb server broke.") from error
