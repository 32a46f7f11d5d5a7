"""Where HTTP meets the hub: credentials and bodies in, streams out. No wire is known here."""

import asyncio
import itertools
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from urllib.parse import parse_qsl

import anyio
import anyio.from_thread
import anyio.to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hub.access.model import Credentials
from hub.app.web import direct_body
from hub.app.web.direct import ARRIVED, BREAK_OFF, EXTENSION, Connection, DirectWriter, writable
from hub.context import Context
from hub.errors import DeadlineExceeded, HubError, InternalError, Malformed, NotTaken, TooLarge
from hub.portal.certificate import certificate_of
from hub.portal.visit import SESSION_COOKIE
from hub.portal.web import peer_of
from hub.wire import nul
from hub.wire.fhir.formats import wants_xml
from hub.wire.http import HttpRequest, HttpResponse
from hub.wire.pieces import Chunk, FilePiece, plain

log = logging.getLogger(__name__)

BATCH_SECONDS = 60.0  #: how long a body may take for each batch
AHEAD = 64 * 1024  #: bytes of a body that are awaited before a thread is taken for it
TAKEN_SECONDS = 120.0  #: how long a peer may take nothing of its answer: what it asked for is not held open for ever
BATCH = 512 * 1024  #: bytes handed over at once when streaming

SMALL = 16 * 1024  #: pieces that are not worth being sent on their own

#: Threads that carry out transactions, and threads that read streams: neither can starve the other.
WORK = anyio.CapacityLimiter(64)
STREAMS = anyio.CapacityLimiter(128)


def header(request: Request, name: str) -> str:
    """A header's only value. Raises Malformed when it is given twice: two readers could disagree."""
    values = request.headers.getlist(name)
    if len(values) > 1:
        raise Malformed(f"The header {name} is given more than once.")
    return values[0] if values else ""


def credentials_of(request: Request, trusted_proxy: str, *, sessions: bool) -> Credentials:
    """What the caller showed. ``sessions``: whether a portal session counts here."""
    scheme, _, token = header(request, "authorization").partition(" ")
    certificate, forwarded = certificate_of(request, trusted_proxy)
    return Credentials(
        bearer_in_url=_token_in(request.scope["query_string"]),
        bearer=token.strip() if scheme.lower() == "bearer" else "",
        saml=token.strip().encode() if scheme.lower() == "ihe-saml" else b"",
        certificate=certificate,
        forwarded=forwarded,
        session=request.cookies.get(SESSION_COOKIE, "") if sessions else "",
        peer=peer_of(request, trusted_proxy),
    )


def _token_in(query: bytes) -> bool:
    """Whether a token stands in the URL (RFC 6750 2.3)."""
    return b"access_token" in query and any(part.startswith(b"access_token=") for part in query.split(b"&"))


class Body:
    """A request's body, read by the thread that works on the request; nothing is read before somebody iterates.

    Raises TooLarge, DeadlineExceeded when it pauses, Malformed when the caller goes."""

    def __init__(self, request: Request, limit: int) -> None:
        self.limit = limit
        self._request = request
        self.complete = request.method in ("GET", "HEAD")
        self._pieces = request.stream()
        self._ahead: bytes | None = None
        self._ended = False  # nothing comes after what is read by now
        self._failure: HubError | None = None
        announced = request.headers.get("content-length", "")
        self._announced = int(announced) if announced.isdigit() else 0
        self._source: direct_body.Source | None = request.scope.get("extensions", {}).get(direct_body.EXTENSION)
        self._link: socket.socket | None = None
        self._here: Callable[[], bool] = request.scope.get("extensions", {}).get(ARRIVED, _unknown)

    @property
    def arrived(self) -> bool:
        """Whether a small body is here already, all of it: it came with the head."""
        return 0 < self._announced <= AHEAD and self._here()

    def mentions(self, texts: Iterable[str]) -> bool:
        """Whether one of the texts stands in what was awaited. To guess by: nothing is decoded."""
        ahead = self._ahead or b""
        return any(text.encode() in ahead for text in texts)

    async def prefetch(self) -> None:
        """Await the beginning: callers that send slowly hold their connection, not a thread. Never raises."""
        if self.complete or self._announced > self.limit:
            return
        if self.arrived:
            message = await self._request.receive()
            if message["type"] == "http.request" and not message.get("more_body", False):
                self._ahead, self._ended = message.get("body", b""), True
            else:
                self._failure = Malformed("The caller went before the request was complete.")
            return
        try:
            self._ahead = await self._batch(AHEAD)
        except HubError as error:
            self._failure = error

    def __iter__(self) -> Iterator[bytes]:
        """The pieces, as they come. Must run in a thread that anyio started."""
        if self._announced > self.limit:
            raise TooLarge()
        size = 0
        for piece in self._all():
            size += len(piece)
            if size > self.limit:
                raise TooLarge()
            self.complete = size == self._announced  # its reader knows the end, and need not come back for it
            yield piece
        self.complete = True

    def _all(self) -> Iterator[bytes]:
        ahead = self._taken()
        if ahead:
            yield ahead
        if self._source is not None and not self._ended and self._announced - len(ahead) >= direct_body.LARGE:
            held, self._link, left = anyio.from_thread.run(self._source.take)
            if held:
                yield held
            if self._link is not None:
                rest = direct_body.DirectBody(self._source, self._link, left, BATCH_SECONDS)
                while piece := rest.read():
                    yield piece
                return
        while batch := b"" if self._ended else anyio.from_thread.run(self._next):
            yield batch

    def close(self) -> None:
        """Nobody reads any more. Without this the connection would stay open behind an answer that ends it."""
        if self._link is not None:
            self._link.close()

    def read(self) -> bytes:
        """All of it, in memory."""
        return b"".join(self)

    def _taken(self) -> bytes:
        """What was awaited before this thread began: it needs not go back to the event loop for that."""
        if self._failure is not None:
            raise self._failure
        ahead, self._ahead = self._ahead, None
        return ahead or b""

    async def _next(self) -> bytes:
        return await self._batch(BATCH)

    async def _batch(self, wanted: int) -> bytes:
        """At least so much, or what is left: one change of thread for many small pieces."""
        pieces: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(BATCH_SECONDS):
                while size < wanted:
                    piece = await anext(self._pieces)
                    pieces.append(piece)
                    size += len(piece)
        except StopAsyncIteration:
            self._ended = True
        except TimeoutError as error:
            raise DeadlineExceeded("The request's body stopped arriving.") from error
        except ClientDisconnect as error:
            raise Malformed("The caller went before the request was complete.") from error
        return b"".join(pieces)


def in_xml(request: Request) -> bool:
    """Whether a FHIR answer is wanted as XML."""
    return wants_xml(request.headers.get("accept", ""), request.query_params.get("_format", ""))


def http_request(request: Request, base: str, body: bytes = b"") -> HttpRequest:
    """The request as the transactions of FHIR and DICOMweb see it."""
    if nul.NUL in request.url.path:
        raise Malformed("The address has a character that is not allowed.", location="path")
    return HttpRequest(
        method=request.method,
        path=request.url.path,
        base=base,
        path_parameters={name: str(value) for name, value in request.path_params.items()},
        query=_pairs(request.url.query),
        headers={name: ", ".join(request.headers.getlist(name)) for name in request.headers},
        body=body,
    )


def with_form(message: HttpRequest) -> HttpRequest:
    """A search by POST: its form's fields join the query (FHIR R4: 3.1.1.1)."""
    if not message.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise Malformed("A search by POST sends a form: application/x-www-form-urlencoded.", location="Content-Type")
    if not message.body.isascii():
        raise Malformed("A form's characters are percent-encoded.", location="body")
    fields = _pairs(message.body.decode("ascii"))
    return replace(message, query=(*message.query, *fields), path=message.path.removesuffix("/_search"))


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    try:
        found = tuple(parse_qsl(text, keep_blank_values=True, max_num_fields=200, errors="strict"))
    except ValueError as error:
        raise Malformed("The query is not readable.", location="query") from error
    if nul.in_texts(item for pair in found for item in pair):
        raise Malformed("The query has a character that is not allowed.", location="query")
    return found


def http_answer(answer: HttpResponse, context: Context | None = None) -> Response:
    """The transaction's answer as the server sends it; the context is told how a streamed one ended."""
    if isinstance(answer.body, bytes):
        return Response(answer.body, answer.status, dict(answer.headers), answer.media_type or None)
    return StreamedAnswer(answer.body, answer.status, answer.media_type, answer.headers, context)


def _told(pieces: Iterable[Chunk], context: Context) -> Iterator[Chunk]:
    """The same pieces. Of their end the context is told before the last byte is sent, where no length was announced."""
    try:
        yield from pieces
    except Exception as error:
        context.end(error if isinstance(error, HubError) else InternalError())
        raise
    context.end()


class StreamedAnswer(Response):
    """A body read by a thread; the source is closed in any case.

    Where the connection allows it that thread writes the body as well, else it reads one batch ahead of what the peer
    has taken."""

    def __init__(
        self,
        chunks: Iterator[Chunk],
        status: int,
        media_type: str,
        headers: Mapping[str, str] | None = None,
        context: Context | None = None,
    ) -> None:
        super().__init__(None, status, dict(headers or {}), media_type or None)
        self.context = context or Context()
        self.source = chunks
        self.chunks = _told(chunks, self.context)
        self._pieces = self.chunks
        if not any(name.lower() == "content-length" for name in headers or {}):
            self.raw_headers = [row for row in self.raw_headers if row[0] != b"content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send. A stream that fails midway ends the connection, so that nobody takes half for the whole."""
        gone = asyncio.ensure_future(_disconnected(receive))
        begun = False
        direct: Connection | None = scope.get("extensions", {}).get(EXTENSION) if scope["method"] != "HEAD" else None
        if direct is None:
            self._pieces = plain(self.chunks)
        ahead: asyncio.Task[list[Chunk]] | None = None
        try:
            ahead = asyncio.ensure_future(self._batch())
            batch = await ahead  # a failure before the first byte can still be answered properly
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            begun = True
            if direct is not None:
                await self._write(direct, batch, gone)
                batch = []
            while batch and not gone.done():
                ahead = asyncio.ensure_future(self._batch())
                for piece in batch:
                    await _taken(send({"type": "http.response.body", "body": piece, "more_body": True}))
                batch = await ahead
            if not gone.done():
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except HubError as error:  # the source's; anything else is a defect, for the server to tell
            break_off = scope.get("extensions", {}).get(BREAK_OFF)
            if not begun or break_off is None or isinstance(error, InternalError):
                raise
            log.warning("an answer broke off: %s", error.code, extra={"code": error.code})
            break_off()
            await gone
        finally:
            gone.cancel()
            if ahead is not None and not ahead.done():
                with anyio.CancelScope(shield=True):
                    await asyncio.wait([ahead])
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._close, limiter=STREAMS)

    def _close(self) -> None:
        for chunks in (self.chunks, self.source):  # a generator that was never begun closes nothing
            close = getattr(chunks, "close", None)
            if close is not None:
                close()
        self.context.end(NotTaken())

    async def _write(self, connection: Connection, first: Iterable[Chunk], gone: "asyncio.Future[None]") -> None:
        """All of it, past the event loop; returns when it is written, or when nobody listens any more."""
        try:
            async with asyncio.timeout(TAKEN_SECONDS):
                link = await connection.socket_of_its_own()
        except TimeoutError:
            connection.abandon()
            link = None
        if link is None:
            await gone
            return
        with link:
            writer = DirectWriter(link, itertools.chain(first, self._pieces), chunked=connection.chunked)
            gone.add_done_callback(lambda _: writer.stop())
            work: asyncio.Future[bool] | None = None
            try:
                while True:
                    work = asyncio.ensure_future(anyio.to_thread.run_sync(writer.run, limiter=STREAMS))
                    if await work:
                        break
                    if not await writable(link, gone, TAKEN_SECONDS):
                        log.warning("a peer takes nothing of its answer: its connection is closed")
                        break
            finally:
                writer.stop()
                if work is not None and not work.done():
                    with anyio.CancelScope(shield=True):
                        await asyncio.wait([work])
        if writer.complete:
            connection.wrote(writer.size)
        else:
            connection.abandon()
            await gone

    async def _batch(self) -> list[Chunk]:
        return await anyio.to_thread.run_sync(_gather, self._pieces, limiter=STREAMS)


def _gather(chunks: Iterator[Chunk]) -> list[Chunk]:
    """About a batch, empty at the end; small pieces are joined, large ones go on as they are.

    A stretch of a file is the last one: it must be sent before the next piece is asked for."""
    batch: list[Chunk] = []
    small: list[bytes] = []
    size = 0
    for piece in chunks:
        size += len(piece)
        if isinstance(piece, bytes) and len(piece) < SMALL:
            small.append(piece)
        else:
            batch += [b"".join(small), piece] if small else [piece]
            small.clear()
        if size >= BATCH or isinstance(piece, FilePiece):
            break
    return [*batch, b"".join(small)] if small else batch


def _unknown() -> bool:
    return False


async def _taken(sending: Awaitable[None]) -> None:
    """Wait until the peer has taken enough. Raises DeadlineExceeded."""
    try:
        async with asyncio.timeout(TAKEN_SECONDS):
            await sending
    except TimeoutError:
        raise DeadlineExceeded("The peer takes nothing of its answer.") from None


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
