"""The viewer's files: installed only as pinned, patched whole or not at all, served to people with the right."""

import io
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hub.errors import Misconfigured
from hub.portal import install_viewer, viewer
from tests.portal.conftest import Server, sign_in
from tests.portal.fake import Hub
from tests.portal.test_pages import open_person

INDEX = (
    '<!doctype html><html><head><script>console.time("x"),window.PUBLIC_URL="/"</script>'
    '<link rel="icon" href="/assets/favicon.ico"><script src="/app-config.js"></script>'
    '<script type="module" src="/init-service-worker.js"></script><script defer src="/app.bundle.js"></script></head>'
    '<body><div id="root"></div></body></html>'
)
FILES = {
    "index.html": INDEX,
    "app.bundle.js": '__webpack_require__.p = "/";',
    "app.bundle.css": "@font-face{src:url(/font.woff2)}",
    "app-config.js": "window.config = {}",
    "init-service-worker.js": "x",
    "sw.js": "x",
    "app.bundle.js.map": "{}",
    "ort/ort.wasm": "x",
    "code.wasm": "x",
    "../../escape.js": "x",
}


def _archive(path: Path, files: dict[str, str]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    archive = _archive(tmp_path / "ohif.tgz", FILES)
    monkeypatch.setattr(install_viewer, "check", lambda _archive: None)
    assert install_viewer.install(tmp_path / "ohif", archive=archive)
    return tmp_path / "ohif"


def test_the_build_is_trimmed_and_moved_under_its_path(installed: Path, tmp_path: Path) -> None:
    kept = {path.name for path in installed.rglob("*") if path.is_file()}
    assert kept == {"index.html", "app.bundle.js", "app.bundle.css", "code.wasm", ".maillage"}
    html = (installed / "index.html").read_text()
    assert 'src="/ohif/app-config.js"' in html
    assert 'href="/ohif/assets/favicon.ico"' in html
    assert "service-worker" not in html
    assert not re.search(r"<script(?![^>]* src=)", html), "inline scripts are gone"
    assert (installed / "app.bundle.js").read_text() == '__webpack_require__.p = "/ohif/";'
    assert "url(/ohif/font.woff2)" in (installed / "app.bundle.css").read_text()
    assert not (tmp_path / "escape.js").exists()
    assert not install_viewer.install(installed, archive=tmp_path / "ohif.tgz"), "again changes nothing"


def test_another_archive_is_refused(tmp_path: Path) -> None:
    archive = _archive(tmp_path / "other.tgz", FILES)
    with pytest.raises(Misconfigured, match="hash"):
        install_viewer.install(tmp_path / "ohif", archive=archive)
    assert not (tmp_path / "ohif").exists()
    assert install_viewer.main(["--to", str(tmp_path / "ohif"), "--archive", str(archive)]) == 1


def test_a_build_that_can_not_be_patched_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install_viewer, "check", lambda _archive: None)
    archive = _archive(tmp_path / "odd.tgz", {"index.html": INDEX, "app.bundle.js": "nothing"})
    with pytest.raises(Misconfigured, match="public path"):
        install_viewer.install(tmp_path / "ohif", archive=archive)
    assert [path.name for path in tmp_path.iterdir()] == ["odd.tgz"]


@pytest.fixture
def client(tmp_path: Path, installed: Path) -> Iterator[httpx.Client]:
    server = Server(Hub(tmp_path, installed))
    with httpx.Client(base_url=server.url, headers={"Accept-Language": "fr"}) as client:
        yield client
    server.stop()


def test_the_viewer_is_for_people_who_may_read_images(client: httpx.Client) -> None:
    assert client.get("/ohif/viewer?StudyInstanceUIDs=1.2.3").headers["location"] == "/portal/sign-in"
    sign_in(client, "omar")
    assert client.get("/ohif/viewer?StudyInstanceUIDs=1.2.3").status_code == 303
    client.cookies.clear()
    sign_in(client, "claire")
    page = client.get("/ohif/viewer?StudyInstanceUIDs=1.2.3")
    assert page.status_code == 200
    assert '<div id="root">' in page.text
    assert page.headers["cross-origin-opener-policy"] == "same-origin"
    assert page.headers["cross-origin-embedder-policy"] == "require-corp"
    assert page.headers["cache-control"] == "no-store"
    assert "unsafe-inline" not in re.findall(r"script-src [^;]*", page.headers["content-security-policy"])[0]


def test_files_have_their_types(client: httpx.Client) -> None:
    assert client.get("/ohif/code.wasm").headers["content-type"] == "application/wasm"
    assert client.get("/ohif/app.bundle.js").headers["content-type"].startswith("text/javascript")
    assert client.get("/ohif/none.js").status_code == 404
    assert client.get("/ohif").headers["location"] == "/portal"


def test_the_only_data_source_is_this_hub(client: httpx.Client) -> None:
    config = client.get("/ohif/app-config.js").text
    text = config.split("window.config = ", 1)[1].split(";\n", 1)[0]
    (source,) = json.loads(text)["dataSources"]
    assert source["configuration"]["wadoRoot"] == "/dicom-web"
    assert "http" not in text
    assert viewer.CONFIG["showStudyList"] is False


def test_a_study_opens_alone(client: httpx.Client) -> None:
    sign_in(client, "claire")
    person = open_person(client).text
    path = re.findall(r'href="(/portal/study/[^"]+/images)"', person)[0]
    answer = client.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/ohif/viewer?StudyInstanceUIDs=1.2.826.0.1.3680043.8.1"
