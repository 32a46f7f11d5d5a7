from pathlib import Path

import pytest

from hub.documents.service import DocumentService
from hub.storage.engine import Database
from tests.documents.builders import service_on


@pytest.fixture
def service(database: Database, tmp_path: Path) -> DocumentService:
    return service_on(database, tmp_path / "content")
