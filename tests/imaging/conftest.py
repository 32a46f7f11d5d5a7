"""The imaging room with two archives, both databases."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hub.access.rights_model import Everything
from hub.context import Context
from hub.exchange.model import Delivery
from hub.imaging.service import ImagingService
from hub.storage.content import ContentStore
from hub.storage.engine import Database
from tests.imaging.archive import A, Archive, B, FakeDocuments, FakeExchange, FakePatients, FakeSources, WebArchive


@dataclass
class Room:
    service: ImagingService
    a: WebArchive
    b: Archive
    patients: FakePatients
    documents: FakeDocuments
    exchange: FakeExchange
    content: ContentStore
    database: Database

    def work(self) -> list[Context]:
        """Carry out what is queued; one context per delivery."""
        contexts = []
        while self.exchange.queued:
            destination, kind, payload, key = self.exchange.queued.pop(0)
            context = Context()
            self.service.handlers()[kind](Delivery("1", destination, kind, payload, key=key), context)
            contexts.append(context)
        return contexts


@pytest.fixture
def room(database: Database, tmp_path: Path) -> Iterator[Room]:
    a, b = WebArchive("PACS_A"), Archive("PACS_B")
    patients, documents, exchange = FakePatients(), FakeDocuments(), FakeExchange()
    content = ContentStore(tmp_path / "content")
    service = ImagingService(
        database=database,
        sources=FakeSources(a, b),
        infos=(A, B),
        patients=patients,
        documents=documents,
        withdrawals=documents,
        exchange=exchange,
        content=content,
        cache=tmp_path / "cache",
        source_id="1.2.250.1.999.1.4",
        retrieve_url="http://127.0.0.1:8080/dicom-web",
        rights=Everything(),
    )
    service.listen(patients)
    yield Room(service, a, b, patients, documents, exchange, content, database)
    service.close()
