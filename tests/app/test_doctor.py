"""Why a handshake fails, in words: against real servers with one fault each."""

import shutil
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from typer.testing import CliRunner

from hub.app.commands.main import app
from hub.app.keys import cards as pki_cards
from hub.app.keys import pki
from hub.app.keys.cards import Card, Layout
from hub.app.keys.doctor import PlaceUnreadable, examine, place_of
from hub.app.keys.tls import server_context
from hub.app.settings.nodes import Tls
from hub.app.web.server import WebServer
from hub.testing.ports import free_port
from hub.values import now
from tests.app.test_server import tells_tls


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pki")
    pki.init(directory)
    for node in ("hub", "his"):
        pki.issue(directory, node)
    pki_cards.issue(directory, "expired", Card(days=-3))
    pki_cards.issue(directory, "seal", Card(layout=Layout.SEAL))
    pki.init(directory / "foreign")
    pki.issue(directory / "foreign", "his")
    pki.issue(directory / "foreign", "hub")
    return directory


def tls(directory: Path, name: str, ca: Path | None = None) -> Tls:
    path = directory / name
    return Tls(certificate=path.with_suffix(".crt"), key=path.with_suffix(".key"), ca=ca or directory / "ca.crt")


@contextmanager
def server(own: Tls, required: str = "required") -> Iterator[int]:
    one = WebServer(tells_tls, "127.0.0.1", 0, server_context(own.model_copy(update={"client_certificates": required})))
    one.start()
    try:
        yield one.port
    finally:
        one.stop()


def wrong(port: int, own: Tls, name: str = "", host: str = "127.0.0.1") -> str:
    return " | ".join(finding.text for finding in examine(host, port, own, name=name) if not finding.good)


def test_nothing_is_wrong(made: Path) -> None:
    with server(tls(made, "hub")) as port:
        findings = [*examine("127.0.0.1", port, tls(made, "his"))]
    assert all(finding.good for finding in findings), findings
    assert "TLSv1.3" in findings[-1].text


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("expired", "Our certificate expired"),
        ("seal", "not for client authentication"),
        ("foreign/his", "our certificate"),
        ("", "wants a client certificate"),
    ],
)
def test_our_side(made: Path, name: str, said: str) -> None:
    own = tls(made, name) if name else Tls(ca=made / "ca.crt")
    with server(tls(made, "hub")) as port:
        assert said in wrong(port, own)


def test_files_that_can_not_be_used(made: Path, tmp_path: Path) -> None:
    """What is wrong here is told, and nothing is asked of a terminal or of the peer."""
    key = serialization.load_pem_private_key((made / "his.key").read_bytes(), None)
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
        )
    )
    good = tls(made, "his")
    for change, said in (
        ({"key": locked}, "its key wants a password"),
        ({"key": None}, "one of them is not given"),
        ({"certificate": None}, "one of them is not given"),
        ({"key": made / "hub.key"}, "the key is not its key"),
        ({"key": tmp_path / "no.key"}, "a file is missing or unreadable"),
        ({"certificate": locked}, "a file is missing or unreadable"),
        ({"ca": tmp_path / "no.crt"}, "no certificate of an authority to be read in"),
        ({"ca": locked}, "no certificate of an authority to be read in"),
    ):
        [finding] = examine("127.0.0.1", 1, good.model_copy(update=change))
        assert (finding.good, said in finding.text) == (False, True), finding


def test_the_peer_s_side(made: Path) -> None:
    with server(tls(made, "foreign/hub", made / "ca.crt")) as port:
        assert "was issued by" in wrong(port, tls(made, "his"))
    with server(tls(made, "expired"), "none") as port:
        assert "The peer's certificate expired" in wrong(port, tls(made, "his"))
    with server(tls(made, "hub")) as port:
        assert "is not for hub.example; its names are: localhost" in wrong(port, tls(made, "his"), "hub.example")


def test_the_clock(made: Path) -> None:
    before = now() - timedelta(days=400)
    with server(tls(made, "hub")) as port:
        said = [finding.text for finding in examine("127.0.0.1", port, tls(made, "his"), clock=lambda: before)]
    assert any("clock" in text for text in said)


def test_revoked(made: Path, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(made, tmp_path / "pki"))
    own = tls(directory, "his").model_copy(update={"crls": (pki.revoke(directory, "hub"),)})
    with server(tls(directory, "hub")) as port:
        assert "The peer's certificate is revoked (ca.crl)" in wrong(port, own)
    mine = tls(directory, "his").model_copy(update={"crls": (pki.revoke(directory, "his"),)})
    with server(tls(made, "hub")) as port:
        assert "Our certificate is revoked (ca.crl)" in wrong(port, mine)


def test_a_list_that_is_over_or_no_list(made: Path, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(made, tmp_path / "pki"))
    own = tls(directory, "his").model_copy(update={"crls": (pki.revoke(directory, "hub"),)})
    with server(tls(made, "hub")) as port:
        later = now() + timedelta(days=100)
        said = [finding.text for finding in examine("127.0.0.1", port, own, clock=lambda: later)]
        assert any("The revocation list ca.crl ended on" in text for text in said)
        own.crls[0].write_text("nonsense")
        assert "The revocation list ca.crl can't be used" in wrong(port, own)


@contextmanager
def listener(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as one:
        one.settimeout(30)

        def run() -> None:
            while True:
                try:
                    link, _ = one.accept()
                except OSError:
                    return
                with link:
                    serve(link)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield int(one.getsockname()[1])


def test_no_tls_and_nobody(made: Path) -> None:
    def clear(link: socket.socket) -> None:
        link.settimeout(10)
        try:
            link.recv(100)
            link.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        except OSError:
            return

    with listener(clear) as port:
        assert "does not speak TLS" in wrong(port, tls(made, "his"))
    assert "can't be reached" in wrong(free_port(), tls(made, "his"))


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_an_old_version(made: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made / "hub.crt", made / "hub.key")
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1

    def old(link: socket.socket) -> None:
        link.settimeout(10)
        try:
            context.wrap_socket(link, server_side=True).close()
        except OSError:
            return

    with listener(old) as port:
        assert "version of TLS" in wrong(port, tls(made, "his"))


@pytest.mark.parametrize("text", ["", "host", "host:", "host:0", "host:99999", ":1"])
def test_places_that_can_not_be_read(text: str) -> None:
    with pytest.raises(PlaceUnreadable):
        place_of(text)


def test_the_command(made: Path, tmp_path: Path) -> None:
    settings = tmp_path / "maillage.toml"
    settings.write_text(f'[tls]\nca = "{made}/ca.crt"\ncertificate = "{made}/his.crt"\nkey = "{made}/his.key"\n')
    with server(tls(made, "hub")) as port:
        command = ["doctor", "tls", f"127.0.0.1:{port}", "-s", str(settings)]
        good = CliRunner().invoke(app, command)
        assert (good.exit_code, "The handshake succeeds" in good.output) == (0, True), good.output
        bad = CliRunner().invoke(app, [*command, "--certificate", str(made / "expired.crt"), "--key",
                                       str(made / "expired.key")])  # fmt: skip
        assert (bad.exit_code, "expired" in bad.output) == (1, True)
