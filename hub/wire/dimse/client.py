"""Services that an SCU asks for on an established association (PS3.7: 9)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pydicom.dataset import Dataset

from hub.errors import HubError
from hub.wire.dimse import command as commands
from hub.wire.dimse.association import Association, Message
from hub.wire.dimse.command import Command
from hub.wire.dimse.errors import PENDING, PENDING_OPTIONAL, AssociationFailed
from hub.wire.dimse.messages import decode, encode

MAX_IDENTIFIER = 1 << 20


class OperationFailed(HubError):
    """The peer answered with a failure status (PS3.7: C)."""

    code = "dimse-status"
    title = "The DICOM peer reports a failure."

    def __init__(self, status: int, service: str) -> None:
        super().__init__(f"The peer answers {service} with status {status:04X}.", status=f"{status:04X}")
        self.status = status


@dataclass(slots=True)
class Tally:
    """What the peer says about its sub-operations, and what really came."""

    received: int = 0
    status: int = -1  #: the final status, -1 while there is none
    remaining: int | None = None
    completed: int | None = None
    failed: int | None = None
    warned: int | None = None
    responses: int = 0
    uids: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Incoming:
    """An instance that arrives by C-GET; its data set is read from the association as it is consumed."""

    sop_class: str
    sop_instance: str
    transfer_syntax: str
    data: Iterator[memoryview]


def echo(association: Association, sop_class: str = "1.2.840.10008.1.1") -> int:
    """C-ECHO: the status."""
    message = _ask(association, commands.C_ECHO, sop_class)
    return message.status


def find(association: Association, sop_class: str, identifier: Dataset) -> Iterator[Dataset]:
    """C-FIND: the matches. Leaving early aborts the association, because peers ignore C-CANCEL.

    Raises OperationFailed."""
    context = association.context_for(sop_class)
    finished = False
    try:
        message = _ask(association, commands.C_FIND, sop_class, encode(identifier, context.transfer_syntax))
        while message.status in (PENDING, PENDING_OPTIONAL):
            if message.has_data:
                yield decode(association.read_data(MAX_IDENTIFIER), message.context.transfer_syntax)
            message = _next(association, commands.C_FIND)
        finished = True
        if message.status != 0:
            raise OperationFailed(message.status, "C-FIND")
    finally:
        if not finished:
            association.abort()


def get(association: Association, sop_class: str, identifier: Dataset, tally: Tally) -> Iterator[Incoming]:
    """C-GET: instances as they arrive; each is acknowledged when the next is asked for.

    ``tally`` holds the peer's own counts afterwards. Raises OperationFailed for a failure without any instance."""
    context = association.context_for(sop_class)
    finished = False
    try:
        _send(association, commands.C_GET, sop_class, encode(identifier, context.transfer_syntax))
        while True:
            message = association.receive()
            if message is None:
                raise AssociationFailed("The peer released the association within a retrieval.")
            if message.kind == commands.C_STORE:
                yield _incoming(association, message)
                tally.received += 1
                tally.uids.add(commands.text(message.command, "AffectedSOPInstanceUID"))
                for _ in association.data():
                    pass
                association.send(message.context, commands.response(message.command, 0))
            elif message.kind == commands.C_GET | commands.RESPONSE:
                count(tally, message.command)
                if message.status not in (PENDING, PENDING_OPTIONAL):
                    break
        finished = True
        if tally.status not in (0, 0xB000) and not tally.received:
            raise OperationFailed(tally.status, "C-GET")
    finally:
        if not finished:
            association.abort()


def move(
    association: Association, sop_class: str, identifier: Dataset, destination: str, tally: Tally
) -> Iterator[Tally]:
    """C-MOVE: the running count after every response. Raises OperationFailed."""
    context = association.context_for(sop_class)
    finished = False
    try:
        raw = encode(identifier, context.transfer_syntax)
        _send(association, commands.C_MOVE, sop_class, raw, MoveDestination=destination)
        while True:
            message = _next(association, commands.C_MOVE)
            count(tally, message.command)
            if message.status not in (PENDING, PENDING_OPTIONAL):
                break
            yield tally
        finished = True
        if tally.status not in (0, 0xB000):
            raise OperationFailed(tally.status, "C-MOVE")
        yield tally
    finally:
        if not finished:
            association.abort()


def store(
    association: Association,
    sop_class: str,
    sop_instance: str,
    transfer_syntax: str,
    data: Iterable[bytes | memoryview],
    *,
    originator: tuple[str, int] | None = None,
) -> int:
    """C-STORE: the status. Raises NoContext when the peer does not accept the class in this syntax."""
    context = association.context_for(sop_class, transfer_syntax)
    request: Command = {
        "CommandField": commands.C_STORE,
        "MessageID": association.next_message_id(),
        "AffectedSOPClassUID": sop_class,
        "AffectedSOPInstanceUID": sop_instance,
        "Priority": 0,
    }
    if originator:
        request["MoveOriginatorApplicationEntityTitle"], request["MoveOriginatorMessageID"] = originator
    association.send(context, request, data)
    return _next(association, commands.C_STORE).status


def count(tally: Tally, command: Command) -> None:
    """Take over the sub-operation counts of a C-GET or C-MOVE response."""
    tally.responses += 1
    status = commands.integer(command, "Status", 0x0110)
    tally.status = status if status not in (PENDING, PENDING_OPTIONAL) else -1
    for name, keyword in (
        ("remaining", "NumberOfRemainingSuboperations"),
        ("completed", "NumberOfCompletedSuboperations"),
        ("failed", "NumberOfFailedSuboperations"),
        ("warned", "NumberOfWarningSuboperations"),
    ):
        if keyword in command:
            setattr(tally, name, commands.integer(command, keyword))


def _incoming(association: Association, message: Message) -> Incoming:
    return Incoming(
        commands.text(message.command, "AffectedSOPClassUID"),
        commands.text(message.command, "AffectedSOPInstanceUID"),
        message.context.transfer_syntax,
        association.data(),
    )


def _send(
    association: Association, kind: int, sop_class: str, data: bytes | None = None, **more: commands.Value
) -> None:
    request: Command = {
        "CommandField": kind,
        "MessageID": association.next_message_id(),
        "AffectedSOPClassUID": sop_class,
        **more,
    }
    if kind != commands.C_ECHO:
        request["Priority"] = 0
    association.send(association.context_for(sop_class), request, None if data is None else (data,))


def _ask(association: Association, kind: int, sop_class: str, data: bytes | None = None) -> Message:
    _send(association, kind, sop_class, data)
    return _next(association, kind)


def _next(association: Association, kind: int) -> Message:
    while True:
        message = association.receive()
        if message is None:
            raise AssociationFailed("The peer released the association before it answered.")
        if message.kind == kind | commands.RESPONSE:
            return message
