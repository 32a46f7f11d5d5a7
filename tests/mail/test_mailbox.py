"""IMAP servers that refuse and die at each step: no report is lost by that (RFC 9051: 6.4.4, 6.4.5, 7.1)."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hub.app.keys import pki
from hub.app.outside.mail_clients import Mailbox
from hub.app.settings.mail import MailBox
from hub.mail.errors import MailUnavailable

DIES = b""
GOOD = {
    "CAPABILITY": b"* CAPABILITY IMAP4rev1\r\nTAG OK yes",
    "LOGIN": b"TAG OK yes",
    "SELECT": b"* 2 EXISTS\r\nTAG OK yes",
    "SEARCH": b"* SEARCH 7 8\r\nTAG OK yes",
    "FETCH 7": b"* 1 FETCH (UID 7 BODY[]<0> {5}\r\nseven)\r\nTAG OK yes",
    "FETCH 8": b"* 2 FETCH (UID 8 BODY[]<0> {5}\r\neight)\r\nTAG OK yes",
    "STORE 7": b"TAG OK yes",
    "STORE 8": b"TAG OK yes",
    "LOGOUT": b"* BYE\r\nTAG OK yes",
}


def converse(client: socket.socket, replies: dict[str, bytes], stored: list[str]) -> None:
    """Answer each command with its reply; none: the connection is cut."""
    with client, client.makefile("rb") as lines:
        client.sendall(b"* OK here\r\n")
        for line in lines:
            tag, *words = line.decode().split()
            words = words[1:] if words[0] == "UID" else words
            step = " ".join(words[:2]) if words[0] in ("FETCH", "STORE") else words[0]
            if words[0] == "STORE":
                stored.append(f"{words[1]} {words[3]}")
            if not replies[step]:
                return
            client.sendall(replies[step].replace(b"TAG", tag.encode()) + b"\r\n")


@contextmanager
def mailbox(directory: Path, stored: list[str], **wrong: bytes) -> Iterator[Mailbox]:
    pki.init(directory)
    pki.issue(directory, "imap", ("127.0.0.1",))
    (directory / "password").write_text("secret")
    shown = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    shown.load_cert_chain(directory / "imap.crt", directory / "imap.key")
    replies = GOOD | {name.replace("_", " "): reply for name, reply in wrong.items()}
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            converse(shown.wrap_socket(listening.accept()[0], server_side=True), replies, stored)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        box = MailBox(
            host="127.0.0.1", port=listening.getsockname()[1], login="hub", password_file=directory / "password"
        )
        yield Mailbox(box, lambda: ssl.create_default_context(cafile=str(directory / "ca.crt")), 30)
        thread.join(30)


def test_what_is_known_is_seen_and_the_rest_is_left_for_people(tmp_path: Path) -> None:
    stored: list[str] = []
    with mailbox(tmp_path, stored) as box:
        assert box.look(lambda raw: raw == b"seven") == 1
    assert stored == [r"7 (\Seen)", r"8 (\Flagged)"]


def test_a_mail_that_is_not_given_now_is_looked_at_again(tmp_path: Path) -> None:
    stored: list[str] = []
    with mailbox(tmp_path, stored, FETCH_7=b"TAG NO [UNAVAILABLE] later") as box:
        assert box.look(lambda raw: raw == b"eight") == 1
    assert stored == [r"8 (\Seen)"]


@pytest.mark.parametrize(
    ("step", "reply"),
    [
        ("LOGIN", b"TAG NO [AUTHENTICATIONFAILED] who"),
        ("LOGIN", DIES),
        ("SELECT", b"TAG NO [NONEXISTENT] what"),
        ("SEARCH", b"TAG NO [UNAVAILABLE] later"),
        ("SEARCH", b"TAG BAD what"),
        ("FETCH_7", DIES),
        ("FETCH_7", b"* BYE shutting down\r\nTAG NO bye"),
    ],
)
def test_a_box_that_can_not_be_looked_into_is_told_and_nothing_is_marked(
    tmp_path: Path, step: str, reply: bytes
) -> None:
    stored: list[str] = []
    with mailbox(tmp_path, stored, **{step: reply}) as box, pytest.raises(MailUnavailable):
        box.look(lambda _: True)
    assert stored == []
