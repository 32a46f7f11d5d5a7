"""A process that sends the trail of a database to a collector until it is killed: see test_forwarding."""

import sys
import time
from datetime import timedelta
from pathlib import Path

from hub.app.audit.forwarding import AuditForwarder
from hub.app.keys.tls import client_context
from hub.app.settings.atna import Atna, Collector
from hub.app.settings.nodes import Tls
from hub.audit.model import Own
from hub.storage.engine import Database


def main(url: str, address: str, keys: str) -> None:
    directory = Path(keys)
    tls = Tls(certificate=directory / "hub.crt", key=directory / "hub.key", ca=directory / "ca.crt")
    settings = Atna(destinations=(Collector(name="arr", address=address, batch=100),))
    forwarder = AuditForwarder(settings, Database(url), lambda: Own("hub-1"), lambda: client_context(tls))
    forwarder.forwarding.turn = timedelta(seconds=5)  # who comes after one that was killed waits for its end
    forwarder.start()
    while True:
        time.sleep(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
