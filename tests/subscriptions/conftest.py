"""The room on both databases."""

from pathlib import Path

import pytest

from hub.storage.engine import Database
from tests.subscriptions.room import Room


@pytest.fixture
def room(database: Database, tmp_path: Path) -> Room:
    return Room(database, tmp_path / "content")
