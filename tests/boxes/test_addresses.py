"""Where images are asked for: hosts of the signed list, whatever a manifest says."""

from types import SimpleNamespace
from typing import Any

import pytest

from hub.app.outside.boxes import Boxes
from hub.app.settings.drimbox import Drimbox
from hub.drimbox.remote_errors import RemoteNotTrusted
from hub.values import now
from hub.wire.drimbox.white_list import Domain, WhiteList

STUDY, SERIES = "1.2.3", "1.2.3.4"
LIST = WhiteList(now(), (Domain("1", "db1.test"), Domain("2", "db2.test:8443")), now())


@pytest.fixture
def boxes() -> Boxes:
    trusted: Any = SimpleNamespace(source_of=LIST.source_of)
    return Boxes(Drimbox(), trusted, lambda _: "token")


@pytest.mark.parametrize(
    ("url", "root"),
    [
        (f"https://db1.test/rs/studies/{STUDY}/series/{SERIES}", "https://db1.test/rs"),
        (f"https://DB1.test:443/a/b/studies/{STUDY}/series/{SERIES}/", "https://db1.test/a/b"),
        ("https://db2.test:8443/dicom-web", "https://db2.test:8443/dicom-web"),
        (f"https://db2.test:8443/studies/{STUDY}", "https://db2.test:8443"),
    ],
)
def test_a_source_of_the_list_is_asked(boxes: Boxes, url: str, root: str) -> None:
    assert boxes.client(url, STUDY, SERIES).roots.wado == root
    boxes.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://db1.test/rs",
        "https://db1.test.evil.example/rs",
        "https://db1.test@evil.example/rs",
        "https://evil.example/rs#db1.test",
        "https://db1.test:8443/rs",
        "https://127.0.0.1/rs",
        "https://[::1]/rs",
        "https://db1.test/rs/../admin",
        "https://db1.test/rs/%2e%2e/admin",
        "https://db1.test/rs?x=1",
        "https://db1.test/rs//x",
        "https://db1.test/rs;a",
        "https://db1.test\\@evil.example/rs",
        "file:///etc/passwd",
        "https://db1.test\r\nHost: evil/rs",
    ],
)
def test_nothing_else_is(boxes: Boxes, url: str) -> None:
    with pytest.raises(RemoteNotTrusted):
        boxes.client(url, STUDY, SERIES)
