"""Audit records/s into the trail: alone, with a collector (a real rsyslog over TLS) that is down, and with it up."""

import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.figures import Figure
from hub.app.audit.forwarding import AuditForwarder
from hub.app.keys import pki
from hub.app.settings.atna import Atna, Collector
from hub.audit.model import Own
from hub.audit.service import AuditService
from hub.context import Context
from hub.pipeline.catalogue import discover
from hub.storage import migrate
from hub.storage.engine import Database

THREADS = 4
_WAIT = 300.0


def run(*, quick: bool) -> Iterator[Figure]:
    count = 2_000 if quick else 40_000
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        keys = root / "pki"
        pki.init(keys)
        for node in ("hub", "collector"):
            pki.issue(keys, node)
        alone, _, _ = _recorded(root / "alone", count, None)
        down, kept, _ = _recorded(root / "down", count, _settings(keys, _free_port()))
        yield _figure("collector down", down, alone, f"{count} recorded, {kept} wait in the trail", met=kept == count)
        if shutil.which("rsyslogd") is None:
            yield Figure("audit", "collector up", 0.0, "records/s", note="not measured: rsyslogd is not installed")
            return
        port = _free_port()
        with _rsyslog(root / "rsyslog", keys, port) as file:
            up, _, arrived = _recorded(root / "up", count, _settings(keys, port), file)
        lost = f"{count} recorded, {arrived[0]} different ones in rsyslog's file"
        yield _figure("collector up", up, alone, lost, met=arrived[0] == count)
        yield Figure(
            "audit", "delivered to rsyslog over TLS, each batch confirmed", arrived[1], "records/s", "recorded", up,
            "none lost", arrived[0] == count, lost,
        )  # fmt: skip


def _figure(name: str, value: float, alone: float, note: str, *, met: bool) -> Figure:
    return Figure(
        "audit", f"{THREADS} threads record, {name}", value, "records/s", "the same without forwarding", alone,
        "none lost", met, note,
    )  # fmt: skip


def _settings(keys: Path, port: int) -> Atna:
    collector = Collector(
        name="arr", address=f"127.0.0.1:{port}", ca=keys / "ca.crt", certificate=keys / "hub.crt", key=keys / "hub.key",
        batch=1000,
    )  # fmt: skip
    return Atna(destinations=(collector,))


def _recorded(
    root: Path, count: int, settings: Atna | None, file: Path | None = None
) -> tuple[float, int, tuple[int, float]]:
    """Records/s till all are in the database; how many the chain proves to be there; how many different ones arrived in
    the file, and how many a second."""
    root.mkdir()
    database = Database(f"sqlite:///{root / 'hub.sqlite'}")
    migrate.upgrade(database)
    forwarder = (
        AuditForwarder(settings, database, lambda: Own("bench"), ssl.create_default_context) if settings else None
    )
    transaction = discover()["ITI-18"].transaction
    with AuditService(database=database, spool=root / "spool") as service:
        if forwarder is not None:
            forwarder.start()

        def work(first: int) -> None:
            for number in range(first, count, THREADS):
                context = Context(peer="192.0.2.7", called="/xds/registry", query=b"<q/>" * 200, query_form="ebxml")
                context.touch("patient", "1^^^&1.2.250.1.999.1.1&ISO")
                context.touch("document", f"1.2.3.{number}")
                service.record(transaction, context, None, 1)

        threads = [threading.Thread(target=work, args=(first,)) for first in range(THREADS)]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        service.flush(_WAIT)
        rate = count / (time.perf_counter() - started)
        arrived = _arrived(file, count, started) if file is not None else (0, 0.0)
        if forwarder is not None:
            forwarder.stop()
        state = service.verify()
    database.dispose()
    return rate, state.records if state.intact else 0, arrived


def _arrived(file: Path, count: int, started: float) -> tuple[int, float]:
    found: set[bytes] = set()
    end = time.monotonic() + _WAIT
    while time.monotonic() < end:
        if file.exists():
            lines = file.read_bytes().split(b"\n")
            found = {line.split(b'"1.2.3.', 1)[1].split(b'"', 1)[0] for line in lines if b'"1.2.3.' in line}
        if len(found) == count:
            break
        time.sleep(0.2)
    return len(found), len(found) / (time.perf_counter() - started)


@contextmanager
def _rsyslog(root: Path, keys: Path, port: int) -> Iterator[Path]:
    root.mkdir()
    file = root / "trail.log"
    (root / "rsyslog.conf").write_text(
        f'global(workDirectory="{root}" maxMessageSize="256k" defaultNetstreamDriver="gtls"\n'
        f'  defaultNetstreamDriverCAFile="{keys}/ca.crt" defaultNetstreamDriverCertFile="{keys}/collector.crt"\n'
        f'  defaultNetstreamDriverKeyFile="{keys}/collector.key")\n'
        'module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="x509/certvalid")\n'
        'template(name="raw" type="string" string="%rawmsg%\\n")\n'
        f'ruleset(name="trail") {{ action(type="omfile" file="{file}" template="raw") }}\n'
        f'input(type="imtcp" address="127.0.0.1" port="{port}" ruleset="trail")\n'
    )
    command = ["rsyslogd", "-n", "-f", str(root / "rsyslog.conf"), "-i", str(root / "pid")]
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "LANG": "C"})
    try:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            time.sleep(0.05)
        yield file
    finally:
        process.terminate()
        process.wait(30)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
