"""``python -m hub.testing.dmp --port 0 --pki DIR``: start the simulator; prints JSON about it, runs until SIGTERM."""

import argparse
import json
import signal
import sys
import threading
from pathlib import Path

from hub.testing.dmp.pki import AUTHENTICATION, AUTHORITY, SEAL, STRUCTURE
from hub.testing.dmp.server import DmpSimulator
from hub.testing.dmp.state import Person


def main() -> int:
    """Run until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(description="A simulator of the national record (DMP).")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument(
        "--pki", type=Path, required=True, help="directory of throw-away certificates; made where empty"
    )
    parser.add_argument("--person", action="append", default=[], help="INS of somebody who has a record (15 digits)")
    parser.add_argument("--oid", default="1.2.250.1.213.1.4.10", help="OID of the INS's authority")
    given = parser.parse_args()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with DmpSimulator(given.pki, port=given.port) as simulator:
        for ins in given.person:
            simulator.state.add(Person(ins, given.oid))
        facts = {
            "url": simulator.url,
            "ca": str(given.pki / f"{AUTHORITY}.crt"),
            "authentication": {"cert": f"{given.pki / AUTHENTICATION}.crt", "key": f"{given.pki / AUTHENTICATION}.key"},
            "seal": {"cert": f"{given.pki / SEAL}.crt", "key": f"{given.pki / SEAL}.key"},
            "structure": STRUCTURE,
        }
        print(json.dumps(facts), flush=True)  # noqa: T201
        stopped.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
