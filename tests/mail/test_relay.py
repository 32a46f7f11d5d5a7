"""SMTP servers that refuse, stall and die at each step: what is made of it (RFC 5321: 4.2.1, RFC 3463)."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hub.app.outside.mail_clients import Relay
from hub.app.settings.mail import MailServer
from hub.errors import HubError
from hub.mail.errors import MailMisconfigured, MailTooLarge, MailUnavailable, MessageRefused, RecipientRefused

GOOD = {
    "banner": b"220 here",
    "EHLO": b"250-here\r\n250-SIZE 9000\r\n250 DSN",
    "MAIL": b"250 yes",
    "RCPT": b"250 yes",
    "DATA": b"354 go on",
    ".": b"250 yes",
    "QUIT": b"221 bye",
    "RSET": b"250 yes",
}
DIES = b""


def converse(client: socket.socket, replies: dict[str, bytes]) -> None:
    """Answer each command with its reply; none: the connection is cut."""
    step, within = "banner", False
    with client, client.makefile("rb") as lines:
        while replies[step]:
            client.sendall(replies[step] + b"\r\n")
            within = step == "DATA" and replies[step].startswith(b"354")
            line = lines.readline()
            while within and line not in (b".\r\n", b""):
                line = lines.readline()
            if not line:
                return
            step = line.split()[0].decode().upper()


@contextmanager
def relay(**wrong: bytes) -> Iterator[Relay]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        replies = GOOD | {name.replace("dot", "."): reply for name, reply in wrong.items()}

        def serve() -> None:
            converse(listening.accept()[0], replies)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        server = MailServer(host="127.0.0.1", port=listening.getsockname()[1], security="none")
        yield Relay(server, ssl.create_default_context, 30)
        thread.join(30)


def send(by: Relay) -> None:
    by.send(b"Subject: x\r\n\r\nx\r\n", "hub@a.example", "doctor@b.example", envelope="e", tell_delivery=True)


@pytest.mark.parametrize(
    ("step", "reply", "error"),
    [
        ("banner", b"421 4.3.2 busy", MailUnavailable),
        ("banner", b"554 no service", MailMisconfigured),
        ("banner", b"\x00\xff", MailUnavailable),
        ("EHLO", DIES, MailUnavailable),
        ("MAIL", b"451 4.3.0 later", MailUnavailable),
        ("MAIL", b"550 5.7.1 not from there", MailMisconfigured),
        ("MAIL", b"552 5.3.4 too big", MailTooLarge),
        ("RCPT", b"450 4.2.0 greylisted", MailUnavailable),
        ("RCPT", b"421 4.3.2 bye", MailUnavailable),
        ("RCPT", b"550-5.1.1 nobody\r\n550 5.1.1 of that name", RecipientRefused),
        ("RCPT", b"552 5.2.2 the box is full", RecipientRefused),
        ("RCPT", DIES, MailUnavailable),
        ("DATA", b"451 later", MailUnavailable),
        ("DATA", b"554 no transaction", MessageRefused),
        ("dot", DIES, MailUnavailable),
        ("dot", b"451 4.7.1 later", MailUnavailable),
        ("dot", b"550 5.7.1 not this", MessageRefused),
        ("dot", b"552 too big", MailTooLarge),
        ("dot", b"552 5.2.2 the box is full", RecipientRefused),
    ],
)
def test_what_a_server_says_is_what_is_known(step: str, reply: bytes, error: type[HubError]) -> None:
    with relay(**{step: reply}) as by, pytest.raises(HubError) as found:
        send(by)
    assert type(found.value) is error


@pytest.mark.parametrize(("step", "reply"), [("RCPT", b"251 forwarded"), ("QUIT", DIES), ("dot", b"250-a\r\n250 b")])
def test_what_is_taken_is_sent(step: str, reply: bytes) -> None:
    with relay(**{step: reply}) as by:
        send(by)
