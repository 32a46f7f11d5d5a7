# ruff: noqa: N802, ARG002  (aiosmtpd names its hooks so, and hands them everything)
"""A real pair of mail servers on loopback: aiosmtpd (STARTTLS with a client certificate) -> LMTP -> dovecot (IMAPS)."""

import grp
import os
import pwd
import shutil
import smtplib
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from hub.app.keys import pki
from tests.waiting import until

PASSWORD = "secret-of-the-box"
HUB = "maillage@chu-a.mssante.fr"
NOBODY = "nobody@cabinet.mssante.fr"  #: the server refuses it

_CONFIGURATION = """
base_dir = {run}
state_dir = {run}
log_path = {run}/log
protocols = imap lmtp
listen = 127.0.0.1
ssl = required
ssl_cert = <{certificate}
ssl_key = <{key}
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {login}
first_valid_uid = {uid}
last_valid_uid = {uid}
first_valid_gid = {gid}
mail_uid = {uid}
mail_gid = {gid}
mail_location = maildir:{run}/mail/%u
disable_plaintext_auth = yes
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={run}/mail/%u allow_all_users=yes
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
"""


@dataclass
class Post:
    """Where the servers are, and what the SMTP server was told."""

    smtp: int
    imaps: int
    pki: Path
    envelopes: list[Envelope] = field(default_factory=list)
    certificates: list[Any] = field(default_factory=list)

    def context(self, node: str) -> ssl.SSLContext:
        """TLS of one of the parties."""
        context = ssl.create_default_context(cafile=str(self.pki / "ca.crt"))
        context.load_cert_chain(self.pki / f"{node}.crt", self.pki / f"{node}.key")
        return context

    def deliver(self, mail: bytes, recipient: str) -> None:
        """Somebody's own client hands a mail over."""
        with smtplib.SMTP("127.0.0.1", self.smtp, timeout=60) as client:
            client.starttls(context=self.context("doctor"))
            client.sendmail("doctor@cabinet.mssante.fr", [recipient], mail)


class _WithReports(SMTP):
    """aiosmtpd knows no DSN (RFC 3461): its options are taken off before, and kept."""

    async def smtp_MAIL(self, arg: str | None) -> None:
        await super().smtp_MAIL(self._kept(arg, ("RET=", "ENVID=")))

    async def smtp_RCPT(self, arg: str | None) -> None:
        await super().smtp_RCPT(self._kept(arg, ("NOTIFY=", "ORCPT=")))

    def _kept(self, arg: str | None, names: tuple[str, ...]) -> str | None:
        words = (arg or "").split(" ")
        self.event_handler.options += [word for word in words if word.startswith(names)]
        return " ".join(word for word in words if not word.startswith(names))


class _Handler:
    def __init__(self, post: Post, lmtp: int) -> None:
        self.post, self.lmtp = post, lmtp
        self.options: list[str] = []

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        if session.ssl is not None and server.transport is not None:
            self.post.certificates.append(server.transport.get_extra_info("peercert"))
        return [responses[0], "250-DSN", *responses[1:]]

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address == NOBODY:
            return "550 5.1.1 There is no such box"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        envelope.rcpt_options, self.options = self.options, []
        self.post.envelopes.append(envelope)
        content = envelope.content
        assert isinstance(content, bytes)
        with smtplib.LMTP("127.0.0.1", self.lmtp) as box:
            box.sendmail(envelope.mail_from or "", envelope.rcpt_tos, content)
        return "250 2.0.0 Taken"


class _Controller(Controller):
    def factory(self) -> SMTP:
        return _WithReports(self.handler, **self.SMTP_kwargs)


def _ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    numbers = [int(item.getsockname()[1]) for item in held]
    for item in held:
        item.close()
    return numbers


def answers(port: int, *, lmtp: bool = False) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            return not lmtp or connection.recv(3) == b"220"
    except OSError:
        return False


@contextmanager
def smtp_server(post: Post, lmtp: int) -> Iterator[None]:
    """The SMTP server on ``post.smtp``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(post.pki / "server.crt", post.pki / "server.key")
    context.load_verify_locations(post.pki / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    handler = _Handler(post, lmtp)
    controller = _Controller(
        handler, hostname="127.0.0.1", port=post.smtp, tls_context=context, require_starttls=True,
        ready_timeout=60.0,
    )  # fmt: skip
    controller.start()
    try:
        yield
    finally:
        controller.stop()


@contextmanager
def dovecot(directory: Path) -> Iterator[tuple[Post, int]]:
    """The boxes, and the LMTP port; nobody takes mails yet."""
    if shutil.which("dovecot", path=os.environ["PATH"] + ":/usr/sbin") is None:
        pytest.skip("dovecot is missing (apt-get install dovecot-imapd dovecot-lmtpd)")
    keys = directory / "pki"
    pki.init(keys)
    for node in ("server", "hub", "doctor"):
        pki.issue(keys, node, ("127.0.0.1", "localhost"))
    smtp, imaps, lmtp = _ports(3)
    run = Path(tempfile.mkdtemp(prefix="post"))  # short: the paths of sockets are limited
    (run / "mail").mkdir()
    # Root's dovecot insists on users of its own; anybody else's runs as they are.
    me = pwd.getpwuid(os.getuid()) if os.getuid() else pwd.getpwnam("dovecot")
    login = "dovenull" if os.getuid() == 0 else me.pw_name
    os.chown(run / "mail", me.pw_uid, me.pw_gid)
    text = _CONFIGURATION.format(
        run=run, certificate=keys / "server.crt", key=keys / "server.key", user=me.pw_name, login=login,
        group=grp.getgrgid(me.pw_gid).gr_name, uid=me.pw_uid, gid=me.pw_gid, password=PASSWORD, imaps=imaps, lmtp=lmtp,
    )  # fmt: skip
    configuration = directory / "post.conf"  # not in base_dir: dovecot puts a link of its own there
    configuration.write_text(text)
    process = subprocess.Popen(
        ["/usr/sbin/dovecot", "-F", "-c", str(configuration)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        started = until(lambda: process.poll() is not None or (answers(imaps) and answers(lmtp, lmtp=True)))
        if not started or process.poll() is not None:
            told = process.stderr.read().decode() if process.poll() is not None and process.stderr else ""
            raise RuntimeError(f"dovecot does not start: {told}")
        yield Post(smtp, imaps, keys), lmtp
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(run, ignore_errors=True)  # helpers end a little later
