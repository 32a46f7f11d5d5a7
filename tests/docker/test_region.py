"""The compose file's hub and nginx with their own settings: a real nginx before a real hub, without containers."""

import shutil
import socket
import ssl
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from hub.app.keys import pki
from hub.app.settings.model import Settings
from hub.app.settings.roles import Role
from hub.app.wiring import Hub
from hub.testing.ports import free_port
from hub.wire.hl7v2.client import MllpClient
from tests.waiting import until

CONFIG = Path(__file__).parents[2] / "docker/config"
ADMISSION = (
    "MSH|^~\\&|HIS_A|HOSPITAL_A|MAILLAGE|REGION|20261123203000||ADT^A28^ADT_A05|{control}|P|2.5.1|||||FRA|"
    "UNICODE UTF-8\rEVN||20261123203000\r"
    "PID|||P100^^^PACS_A&1.2.250.1.999.2.1&ISO^PI||DUPONT^MARIE^^^^^L||19800101|F\rPV1||N\r"
)


class Region(NamedTuple):
    """The running hub, the front that browsers and systems see, and everybody's certificates."""

    hub: Hub
    front: str
    pki: Path

    def shows(self, name: str) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.pki / "ca.crt")
        context.load_cert_chain(self.pki / f"{name}.crt", self.pki / f"{name}.key")
        return context


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("not installed: nginx")
    place = tmp_path_factory.mktemp("region")
    keys, port = place / "pki", free_port()
    pki.init(keys)
    for name in ("hub", "nginx", "his-a", "his-b"):
        pki.issue(keys, name)
    said = tomllib.loads((CONFIG / "maillage.toml").read_text().replace("/pki/", f"{keys}/"))
    said["storage"] = {"database": f"sqlite:///{place / 'hub.sqlite'}", "content": str(place / "content")}
    for table in ("web", "mllp", "dimse"):
        said[table] |= {"host": "127.0.0.1", "port": 0}
    said["web"]["trusted_proxy"] = "127.0.0.1"
    del said["pro_sante_connect"]  # tests/app/test_situations.py has a provider
    hub = Hub(Settings.model_validate(said))
    hub.start(frozenset({Role.WEB, Role.MLLP, Role.DIMSE}))
    assert hub.web is not None
    (place / "nginx.conf").write_text(nginx_settings(place, keys, port, hub.web.port))
    front = subprocess.Popen([program, "-p", str(place), "-c", str(place / "nginx.conf"), "-g", "daemon off;"])
    try:
        assert until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
        yield Region(hub, f"https://localhost:{port}", keys)
    finally:
        front.terminate()
        front.wait(30)
        hub.stop()


def nginx_settings(place: Path, keys: Path, port: int, hub: int) -> str:
    """The compose file's, with places and ports of this machine."""
    text = (CONFIG / "nginx.conf").read_text()
    folders = " ".join(
        f"{kind}_temp_path {place}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    for old, new in {
        "/pki/": f"{keys}/",
        "/run/nginx.pid": f"{place}/pid",
        "access_log off;": f"access_log off; {folders}",
        "://web:8080": f"://127.0.0.1:{hub}",
        "://identity:": "://127.0.0.1:",
        # Debian 12's nginx knows the older spelling of the same switch.
        "listen 8443 ssl;\n        http2 on;": f"listen 127.0.0.1:{port} ssl http2;",
    }.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def test_the_front_leads_to_the_hub(region: Region) -> None:
    with httpx.Client(verify=region.shows("his-a"), timeout=60) as caller:
        assert caller.get(f"{region.front}/health/ready").json()["status"] == "ready"
        assert caller.get(f"{region.front}/fhir/Patient", params={"family": "NOBODY"}).json()["total"] == 0
    with httpx.Client(verify=ssl.create_default_context(cafile=region.pki / "ca.crt"), timeout=60) as nobody:
        assert nobody.get(f"{region.front}/fhir/Patient", params={"family": "NOBODY"}).status_code == 401
        assert nobody.get(f"{region.front}/portal", follow_redirects=True).status_code == 200


@pytest.mark.parametrize(("name", "answer"), [("his-a", b"MSA|AA"), ("his-b", b"MSA|AR")])
def test_a_hospital_feeds_its_own_patients(region: Region, name: str, answer: bytes) -> None:
    assert region.hub.mllp is not None
    with MllpClient("127.0.0.1", region.hub.mllp.port, tls=region.shows(name), timeout=60) as caller:
        assert answer in caller.send(ADMISSION.format(control=name).encode())
