"""A test authority and cards of every layout, made once."""

from pathlib import Path

import pytest

from hub.app.keys import cards as pki_cards
from hub.app.keys import pki
from hub.app.keys.cards import Card, Layout


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("authority")
    pki.init(directory)
    for layout in Layout:
        pki_cards.issue(directory, layout.value, Card(layout=layout))
    pki_cards.issue(directory, "expired", Card(days=-3))
    pki.issue(directory, "node")
    return directory
