"""Sub-operations of C-GET and C-MOVE: objects are sent on as they come from their archives (PS3.4: C.4.2, C.4.3)."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hub.context import Context
from hub.errors import HubError, InternalError, Malformed, NotTaken, PeerRefused
from hub.imaging.errors import SomeNotRetrieved
from hub.imaging.model import FailedInstance, InstanceRequest, RetrievedInstance, RetrieveInstances
from hub.usecase import Command
from hub.wire.dicom import to_dataset
from hub.wire.dimse import client, part10
from hub.wire.dimse import command as commands
from hub.wire.dimse.association import Association, Message
from hub.wire.dimse.contexts import COMMON, KNOWN, UNCOMPRESSED, for_storage
from hub.wire.dimse.errors import (
    ALL_FAILED,
    CANCEL,
    PENDING,
    SUCCESS,
    WARNING,
    AssociationFailed,
    NoContext,
    PeerSilent,
)
from hub.wire.dimse.messages import encode
from hub.wire.dimse.pdu import MAX_CONTEXTS, Proposal

log = logging.getLogger(__name__)

_WARNINGS = (0xB000, 0xB006, 0xB007)
_MAX_COUNT = 0xFFFF
_IDLE = 30.0

Store = Callable[[RetrievedInstance], int]


@dataclass(slots=True)
class Sender:
    """One retrieval on its way to whoever asked."""

    association: Association
    message: Message
    instances: Iterator[RetrievedInstance | FailedInstance]
    dispatch: Callable[[Command, Context], Any]
    context: Context
    completed: int = 0
    warned: int = 0
    failed: list[str] = field(default_factory=list)
    cancelled: bool = False
    error: HubError | None = None  #: why the first of the failed ones failed

    def run(self, store: Store) -> None:
        """Send everything, then the final response; in between the audit trail is told what became of it."""
        try:
            self._send(store)
        except Exception as error:
            self.context.end(error if isinstance(error, HubError) else InternalError())
            raise
        self.context.end(self._told())
        self._respond(self._final())

    def _send(self, store: Store) -> None:
        try:
            for item in self.instances:
                self._one(item, store)
                if self.cancelled or self.association.cancelled():
                    self.cancelled = True
                    break
                self._respond(PENDING)
        finally:
            close = getattr(self.instances, "close", None)
            if close is not None:
                close()

    def _one(self, item: RetrievedInstance | FailedInstance, store: Store) -> None:
        if isinstance(item, FailedInstance):
            self._fails(item.request.sop_instance_uid, item.error)
            return
        try:
            status = self._store(item, store)
        except (AssociationFailed, PeerSilent) as error:
            if not self.association.open:
                raise
            self._fails(item.sop_instance_uid, error)
        except HubError as error:
            self._fails(item.sop_instance_uid, error)
        else:
            if status == SUCCESS:
                self.completed += 1
            elif status in _WARNINGS:
                self.warned += 1
            else:
                refused = PeerRefused(f"The receiver refused an object with the status 0x{status & _MAX_COUNT:04X}.")
                self._fails(item.sop_instance_uid, refused)

    def _fails(self, sop_instance_uid: str, error: HubError) -> None:
        log.warning("a C-STORE sub-operation failed: %s", error.code)
        self.failed.append(sop_instance_uid)
        self.error = self.error or error

    def _store(self, item: RetrievedInstance, store: Store) -> int:
        try:
            return store(item)
        except NoContext:
            request = InstanceRequest(item.study_instance_uid, item.series_instance_uid, item.sop_instance_uid)
            wanted = tuple(one for one in UNCOMPRESSED if one != item.transfer_syntax)
            found = self.dispatch(RetrieveInstances((request,), wanted), self.context)
            with contextlib.closing(found) as stream:
                for again in stream:
                    if isinstance(again, RetrievedInstance):
                        return store(again)
            raise

    def _respond(self, status: int) -> None:
        counts: dict[str, commands.Value] = {
            "NumberOfCompletedSuboperations": min(self.completed, _MAX_COUNT),
            "NumberOfFailedSuboperations": min(len(self.failed), _MAX_COUNT),
            "NumberOfWarningSuboperations": min(self.warned, _MAX_COUNT),
        }
        answer = commands.response(self.message.command, status, **counts)
        data = None
        if status not in (PENDING, SUCCESS) and self.failed:
            identifier = to_dataset({"FailedSOPInstanceUIDList": [uid for uid in self.failed if uid]})
            data = (encode(identifier, self.message.context.transfer_syntax),)
        self.association.send(self.message.context, answer, data)

    def _told(self) -> HubError | None:
        """What the audit trail is told."""
        if self.cancelled:
            return NotTaken()
        came = self.completed + self.warned
        return SomeNotRetrieved.told_of(len(self.failed), came) if self.failed and came else self.error

    def _final(self) -> int:
        if self.cancelled:
            return CANCEL
        if self.failed and not self.completed and not self.warned:
            return ALL_FAILED
        return WARNING if self.failed or self.warned else SUCCESS


def send_by_get(sender: Sender) -> None:
    """On the association that asked."""
    association = sender.association

    def store(item: RetrievedInstance) -> int:
        context = association.context_for(item.sop_class_uid, item.transfer_syntax, scp=True)
        request = _request(association, item)
        association.send(context, request, data_set(item.chunks))
        while (answer := association.receive()) is not None:
            if answer.kind == commands.C_STORE | commands.RESPONSE:
                return answer.status
            sender.cancelled = sender.cancelled or answer.kind == commands.C_CANCEL
        raise AssociationFailed("The peer released the association within its C-GET.")

    sender.run(store)


def send_by_move(sender: Sender, destination: str, address: tuple[str, int], ae_title: str) -> None:
    """On an association to the destination, one at a time: small receivers take no second one."""
    originator = (sender.association.calling, commands.integer(sender.message.command, "MessageID"))
    line = _Line(destination, address, ae_title)

    def store(item: RetrievedInstance) -> int:
        return client.store(
            line.to(item), item.sop_class_uid, item.sop_instance_uid, item.transfer_syntax,
            data_set(item.chunks), originator=originator,
        )  # fmt: skip

    try:
        sender.run(store)
    finally:
        line.close()


class _Line:
    """The association to a destination, renegotiated when an object needs a class or a syntax that was not proposed."""

    def __init__(self, destination: str, address: tuple[str, int], ae_title: str) -> None:
        self._destination = destination
        self._address = address
        self._ae_title = ae_title
        self._association: Association | None = None
        self._classes: dict[str, None] = {}
        self._syntaxes = dict.fromkeys(KNOWN)

    def to(self, item: RetrievedInstance) -> Association:
        """An association that takes the object. Raises NoContext, or that the destination can't be reached."""
        current = self._association
        known = item.sop_class_uid in self._classes and item.transfer_syntax in self._syntaxes
        if current is None or not current.open or not known:
            self.close()
            self._classes[item.sop_class_uid] = None
            self._syntaxes[item.transfer_syntax] = None
            current = self._association = Association.request(
                self._address,
                called=self._destination,
                calling=self._ae_title,
                proposals=self._proposals(),
                idle=_IDLE,
            )
        current.context_for(item.sop_class_uid, item.transfer_syntax)
        return current

    def close(self) -> None:
        """Release it."""
        if self._association is not None:
            self._association.release()
            self._association = None

    def _proposals(self) -> list[Proposal]:
        """The classes seen so far in every syntax, the common ones uncompressed."""
        seen = list(self._classes)
        others = [item for item in COMMON if item not in self._classes]
        wanted = for_storage(seen, tuple(self._syntaxes), room=MAX_CONTEXTS - len(others))
        return (wanted + for_storage(others, UNCOMPRESSED, room=len(others)))[:MAX_CONTEXTS]


def data_set(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """A Part 10 file without its preamble and file meta information. Raises Malformed."""
    seen = bytearray()
    for chunk in chunks:
        seen += chunk
        end = part10.end_of_meta(seen)
        if end is not None:
            yield bytes(seen[end:])
            break
    else:
        raise Malformed("This is not a DICOM file.")
    yield from chunks


def _request(association: Association, item: RetrievedInstance) -> commands.Command:
    return {
        "CommandField": commands.C_STORE,
        "MessageID": association.next_message_id(),
        "AffectedSOPClassUID": item.sop_class_uid,
        "AffectedSOPInstanceUID": item.sop_instance_uid,
        "Priority": 0,
    }
