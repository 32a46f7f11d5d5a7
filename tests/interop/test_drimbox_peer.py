"""The peer DRIMbox of the test kit: its consumer asks its source, over mutual TLS."""

import urllib.error
from pathlib import Path

import pytest

from hub.app.keys import pki
from hub.testing.drimbox import Answer, Consumer, Held, Source

pytestmark = pytest.mark.interop


def test_consumer_and_source(tmp_path: Path) -> None:
    pki.init(tmp_path)
    for node in ("source", "consumer"):
        pki.issue(tmp_path, node)
    ca = tmp_path / "ca.crt"
    held = Held("1.2", {("1.2.3", "1.2.3.1"): b"one\r\n", ("1.2.3", "1.2.3.2"): b"two", ("1.2.4", "1.2.4.1"): b"three"})
    with Source(ca, tmp_path / "source.crt", tmp_path / "source.key", {"good"}, {"9.1": held}) as source:
        consumer = Consumer(ca, tmp_path / "consumer.crt", tmp_path / "consumer.key")
        series = f"{source.url}/studies/1.2/series/1.2.3"
        assert consumer.get(series, token="good", manifest="9.1") == Answer(200, (b"one\r\n", b"two"))
        one = consumer.get(f"{series}/instances/1.2.3.2", token="good", manifest="9.1")
        assert one == Answer(200, (b"two",))
        assert source.asked[-1] == ("/rs/studies/1.2/series/1.2.3/instances/1.2.3.2", "9.1", "good")
        assert consumer.get(series, token="bad", manifest="9.1").status == 401
        assert consumer.get(series, token="good").status == 400
        assert consumer.get(f"{source.url}/studies/1.2", token="good", manifest="9.1").status == 400
        assert consumer.get(series, token="good", manifest="9.2").status == 404
        assert consumer.get(f"{series}/instances/1", token="good", manifest="9.1").status == 404
        held.gone = True
        assert consumer.get(series, token="good", manifest="9.1").status == 410
        with pytest.raises((urllib.error.URLError, OSError)):
            Consumer(ca).get(series, token="good", manifest="9.1")
