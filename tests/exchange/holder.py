"""Run by ``test_takeover``: claims a delivery with a long lease, says so, and never ends.

python -m tests.exchange.holder DATABASE_URL"""

import sys
import threading

from hub.context import Context
from hub.exchange.model import Delivery
from hub.exchange.service import ExchangeService
from hub.exchange.worker import Worker
from hub.storage.engine import Database


def hold(delivery: Delivery, _context: Context) -> None:
    sys.stdout.write(f"{delivery.id}\n")
    sys.stdout.flush()
    threading.Event().wait()


def main() -> None:
    worker = Worker(
        ExchangeService(database=Database(sys.argv[1])), {"publish": hold}, threads=1, lease=3600, poll=0.05
    )
    worker.start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
