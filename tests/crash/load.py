"""Load on a sandbox from several systems at once, each of which knows what was acknowledged to it."""

import itertools
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx

from hub.testing import hl7
from tests.hostile.hospital import Hospital
from tests.interop.by_hand import Entry, Integrator, Mllp, Set, provision

GONE = (OSError, httpx.HTTPError)  #: what a sender sees when the hub dies
SILENT = (TimeoutError, httpx.TimeoutException)  #: what it must never see: a hub that lives, or has died, tells nothing


@dataclass
class Message:
    """One HL7 message: the bytes that are sent, as often as it takes."""

    control_id: str
    raw: bytes
    number: str = ""  #: the patient's number, of an ADT
    acknowledged: bool = False


@dataclass
class Provision:
    """One ITI-41 request."""

    uid: str
    content: bytes
    content_type: str
    body: bytes
    acknowledged: bool = False


@dataclass
class Feed:
    """A HIS and RIS on one MLLP connection: announces patients, orders, reports. ``accept``: AL, enhanced mode."""

    name: str
    oid: str
    accept: str = ""
    hospitals: list[Hospital] = field(default_factory=list)  #: whose studies are reported, one after the other
    sent: list[Message] = field(default_factory=list)
    unanswered: bool = False  #: the hub neither answered nor went

    def messages(self) -> Iterator[Message]:
        """Without end."""
        for count in itertools.count(len(self.sent)):
            number = f"{self.name}-{count}"
            hospital = Hospital(
                name=self.name, oid=self.oid, number=number, family=f"NOM{_letters(count)}{self.name[-1]}",
                accession=number, study_uid=f"1.2.250.1.999.{count}.{sum(self.name.encode())}",
            )  # fmt: skip
            sender = hl7.Sender(application=f"HIS_{self.name}", facility=self.name, accept=self.accept)
            yield Message(f"{number}.A", hl7.adt(sender, hospital.patient, control_id=f"{number}.A"), number)
            order = hl7.orm(sender, hospital.patient, hospital.examination, control_id=f"{number}.O")
            yield Message(f"{number}.O", order)
            if self.hospitals:
                reported = self.hospitals[0]
                # A round that is cut off here starts with this study again: another message, so another control id.
                control_id = f"{reported.number}.{count}"
                yield Message(f"{control_id}.A", reported.announcement(f"{control_id}.A"), reported.number)
                del self.hospitals[0]  # from here on the report is sent, again if need be
                yield Message(f"{control_id}.R", reported.report(f"{control_id}.R"))

    def run(self, connect: Callable[[], Mllp], stop: threading.Event) -> None:
        """Send until the hub is gone."""
        try:
            with connect() as connection:
                messages = self.messages()
                while not stop.is_set():  # asked before the next one is made: a message that was made is sent or told
                    message = next(messages)
                    self.sent.append(message)
                    check(message, connection.send(message.raw))
        except SILENT:
            self.unanswered = True
        except GONE:
            return

    def again(self, connection: Mllp) -> int:
        """Send again what was not acknowledged; how many."""
        lost = [message for message in self.sent if not message.acknowledged]
        for message in lost:
            check(message, connection.send(message.raw))
        return len(lost)


def check(message: Message, answer: str) -> None:
    """Every answer that arrives is an acknowledgement."""
    assert "MSA|AA|" in answer or "MSA|CA|" in answer, answer
    assert message.control_id in answer
    message.acknowledged = True


@dataclass
class Source:
    """A document source that submits one document after the other for one patient."""

    patient: str
    sent: list[Provision] = field(default_factory=list)
    unanswered: bool = False  #: the hub neither answered nor went

    def run(self, system: Integrator, stop: threading.Event) -> None:
        """Submit until the hub is gone."""
        chance = random.Random(self.patient)
        try:
            while not stop.is_set():
                content = chance.randbytes(chance.randrange(1, 20_000)).hex().encode()
                entry = Entry(patient=self.patient, content=content)
                one = Provision(entry.uid, content, *provision([entry], Set(patient=self.patient)))
                self.sent.append(one)
                self.submit(system, one)
        except SILENT:
            self.unanswered = True
        except GONE:
            return

    @staticmethod
    def submit(system: Integrator, one: Provision) -> None:
        """Submit; a success is an acknowledgement."""
        answer = system.post(system.box["xds_repository"], one.content_type, one.body)
        assert answer.status_code == 200, answer.text
        assert "ResponseStatusType:Success" in answer.text, answer.text
        one.acknowledged = True

    def again(self, system: Integrator) -> int:
        """Submit the same request again where no success was seen; how many."""
        lost = [one for one in self.sent if not one.acknowledged]
        for one in lost:
            self.submit(system, one)
        return len(lost)


def _letters(count: int) -> str:
    return "".join(chr(ord("A") + int(digit)) for digit in str(count))
