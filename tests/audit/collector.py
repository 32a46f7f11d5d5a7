"""A real rsyslog that takes syslog over TLS with mutual authentication (RFC 5425) and writes what it gets to a file."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from hub.testing.ports import free_port

_CONFIGURATION = """
global(workDirectory="{root}" maxMessageSize="256k" defaultNetstreamDriver="gtls"
  defaultNetstreamDriverCAFile="{keys}/ca.crt" defaultNetstreamDriverCertFile="{keys}/collector.crt"
  defaultNetstreamDriverKeyFile="{keys}/collector.key")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="x509/certvalid")
template(name="raw" type="string" string="%rawmsg%\\n")
ruleset(name="trail") {{ action(type="omfile" file="{root}/trail.log" template="raw") }}
input(type="imtcp" address="127.0.0.1" port="{port}" ruleset="trail")
"""


class Rsyslog:
    """``keys``: a directory of `maillage pki` with the node ``collector``. The port stays the same over restarts."""

    def __init__(self, root: Path, keys: Path) -> None:
        if shutil.which("rsyslogd") is None or not list(Path("/usr/lib").glob("*/rsyslog/lmnsd_gtls.so")):
            pytest.skip("rsyslog with GnuTLS is not installed (packages rsyslog, rsyslog-gnutls)")
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self._configuration = root / "rsyslog.conf"
        self._configuration.write_text(_CONFIGURATION.format(root=root, keys=keys, port=self.port))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        with (self.root / "log").open("ab") as log:
            command = ["rsyslogd", "-n", "-f", str(self._configuration), "-i", str(self.root / "pid")]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "LANG": "C"})
        end = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < end, (self.root / "log").read_text()
                assert self._process.poll() is None, (self.root / "log").read_text()
                time.sleep(0.05)

    def stop(self) -> None:
        """An orderly end: what was read is written."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def lines(self) -> list[str]:
        """The messages so far, whole lines only."""
        file = self.root / "trail.log"
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        return text.split("\n")[:-1]
