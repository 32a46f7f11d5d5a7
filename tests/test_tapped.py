"""The tap that checks what hubs send: it is in place, and it bites."""

from pathlib import Path

import pytest
from lxml import etree

from hub.wire.ebxml.names import QUERY, RS, SUCCESS
from hub.wire.soap import writing
from hub.wire.soap.message import SoapResponse
from tests import tapped
from tests.conftest import INVALID


def test_what_is_not_valid_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tapped.fetch()
    for module, name in tapped.WRITERS:
        monkeypatch.setattr(module, name, vars(module)[name])  # what is patched here is undone here
    tapped.install(tmp_path)
    good = etree.Element(f"{{{RS}}}RegistryResponse", status=SUCCESS)
    writing.render(SoapResponse(good, "urn:a"), None)
    assert not list(tmp_path.iterdir())
    before = set(INVALID.glob("*"))
    writing.render(SoapResponse(etree.Element(f"{{{QUERY}}}AdhocQueryResponse"), "urn:a"), None)
    (told,) = tmp_path.iterdir()
    assert "AdhocQueryResponse" in told.read_text()
    for path in set(INVALID.glob("*")) - before:  # the tap that is always there bit as well
        path.unlink()


def test_every_process_is_tapped() -> None:
    tapped.fetch()
    assert hasattr(writing._filled, "__wrapped__")
