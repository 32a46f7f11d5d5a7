# ruff: noqa: ARG002 - what stands in for a transport takes what a transport takes
"""A DICOMweb server that answers without end: refused by name, before more than the limit is held."""

import itertools
import tracemalloc
from collections.abc import Iterator

import httpx
import pytest

from connectors.dicomweb import MANIFEST
from connectors.dicomweb.config import DicomwebConfig
from hub.connector.contract import Environment, SourceAnswerTooLarge, StudyQuery
from hub.imaging.model import InstanceRequest
from hub.wire.dicomweb.client import AnswerTooLarge, DicomwebClient, Roots

LIMIT = 1 << 20
#: 64 KB of DICOM JSON, over and over.
PIECE = b'{"00100020":{"vr":"LO","Value":["1"]}},' * 1700


class Endless(httpx.BaseTransport):
    """Answers every request with JSON that does not end."""

    def __init__(self, piece: bytes = PIECE, announced: int | None = None) -> None:
        self.piece, self.announced = piece, announced
        self.sent = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        headers = {"Content-Type": "application/dicom+json"}
        if self.announced is not None:
            headers["Content-Length"] = str(self.announced)
        return httpx.Response(200, headers=headers, stream=_Stream(self))


class _Stream(httpx.SyncByteStream):
    def __init__(self, server: Endless) -> None:
        self.server = server

    def __iter__(self) -> Iterator[bytes]:
        yield b"["
        for _ in itertools.repeat(None):
            self.server.sent += len(self.server.piece)
            yield self.server.piece


def client(server: httpx.BaseTransport) -> DicomwebClient:
    found = DicomwebClient(Roots("http://pacs", "http://pacs"), max_json=LIMIT)
    found._http = httpx.Client(transport=server)
    return found


def test_memory_is_bounded_by_the_limit() -> None:
    server = Endless()
    tracemalloc.start()
    try:
        with pytest.raises(AnswerTooLarge):
            client(server).query("/studies", [], timeout=30)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert server.sent < LIMIT + 2 * len(PIECE)
    assert peak < 3 * LIMIT


def test_an_announced_size_is_believed_at_once() -> None:
    server = Endless(announced=LIMIT + 1)
    with pytest.raises(AnswerTooLarge):
        client(server).metadata("/studies/1", timeout=30)
    assert server.sent == 0


def test_many_tiny_values_are_refused_though_they_are_short() -> None:
    class Tiny(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, stream=httpx.ByteStream(b"[" + b"{}," * (LIMIT // 4) + b"{}]"))

    with pytest.raises(AnswerTooLarge):
        client(Tiny()).query("/studies", [], timeout=30)


def test_the_connector_says_so_in_its_own_words() -> None:
    connector = MANIFEST.open("PACS_A", DicomwebConfig(url="http://pacs", max_json_mb=1), Environment())
    connector._client = client(Endless())  # type: ignore[attr-defined]
    with pytest.raises(SourceAnswerTooLarge) as told:
        connector.find_studies(StudyQuery(), timeout=30)  # type: ignore[attr-defined]
    assert told.value.code == "source-answer-too-large"
    with pytest.raises(SourceAnswerTooLarge):
        list(connector.metadata(InstanceRequest("1.2.3"), timeout=30))  # type: ignore[attr-defined]
