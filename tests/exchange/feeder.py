"""Run by ``test_kill``: takes in messages and delivers what they cause, printing each acknowledgement, until killed.

    python -m tests.exchange.feeder DATABASE_URL MODE FIRST

MODE direct: effect and bytes in one commit, then the number is printed; MODE enhanced: the number is printed when the
bytes are safe, the effect follows."""

import itertools
import sys
from dataclasses import dataclass

from sqlalchemy import Column, Integer, MetaData, String, Table, func, insert, select

from hub.context import Context
from hub.exchange.model import Delivery
from hub.exchange.service import ExchangeService
from hub.exchange.worker import Worker
from hub.storage.engine import Database

#: What a message or a delivery brought about.
EFFECT = Table(
    "test_effect",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("kind", String, index=True),
    Column("number", Integer, index=True),
)


@dataclass(frozen=True)
class Message:
    raw: bytes
    control_id: str
    event: str = "ADT^A28"


class Hub:
    """The exchange with effects that can be counted."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self.exchange = ExchangeService(database=self.database, processors={"hl7v2": self.carry_out}, backoff=0.01)
        self.worker = Worker(self.exchange, {"publish": self.deliver}, threads=2, lease=0.5, poll=0.02)

    def create_all(self) -> None:
        self.database.create_all()
        EFFECT.metadata.create_all(self.database.engine)

    def carry_out(self, raw: bytes, context: Context) -> None:
        number = int(raw)
        with self.database.transaction() as work:
            work.connection.execute(insert(EFFECT), {"kind": "message", "number": number})
            self.exchange.enqueue(f"node:{number % 3}", "publish", {"number": number}, context)

    def deliver(self, delivery: Delivery, _context: Context) -> None:
        """At least once: the receiver knows what it has."""
        number = delivery.payload["number"]
        with self.database.transaction() as work:
            there = select(func.count()).where(EFFECT.c.kind == "delivery", EFFECT.c.number == number)
            if work.connection.execute(there).scalar_one() == 0:
                work.connection.execute(insert(EFFECT), {"kind": "delivery", "number": number})

    def take(self, number: int, mode: str) -> None:
        message = Message(b"%d" % number, str(number))
        context = Context(source="HIS")
        if mode == "enhanced":
            self.exchange.receive(message, "ITI-30", "hl7v2", context)
            return
        with self.exchange.in_order("HIS"), self.database.transaction():
            if self.exchange.keep(message, "ITI-30", "hl7v2", context):
                self.carry_out(message.raw, context)
                self.exchange.processed(context)

    def numbers(self, kind: str) -> list[int]:
        with self.database.reading() as work:
            rows = work.connection.execute(select(EFFECT.c.number).where(EFFECT.c.kind == kind).order_by(EFFECT.c.id))
            return [row[0] for row in rows]


def main() -> None:
    url, mode, first = sys.argv[1:]
    hub = Hub(url)
    hub.worker.start()
    for number in itertools.count(int(first)):
        hub.take(number, mode)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
