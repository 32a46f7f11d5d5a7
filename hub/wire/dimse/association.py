"""One association, either side: messages in and out over a blocking socket (PS3.7: 6.3, PS3.8: 9).

Two limits hold everywhere: ``idle`` (seconds without a byte) and ``deadline`` (a ``time.monotonic()`` value for the
whole exchange). When one passes, the association is aborted and PeerSilent is raised.
"""

import contextlib
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from hub.errors import Malformed, TooLarge
from hub.wire.dimse import command as commands
from hub.wire.dimse import pdu
from hub.wire.dimse.command import Command
from hub.wire.dimse.errors import REJECTIONS, AssociationFailed, AssociationRejected, NoContext, PeerSilent
from hub.wire.dimse.pdu import Accepted, Proposal, Request

MAX_PDU = 128 * 1024
#: A peer that ignores the negotiated length is still read up to here.
_HARD_PDU = 16 * 1024 * 1024
_PDV = struct.Struct(">LBB")
_HEAD = 6  #: bytes before a PDU's body
_COMMAND, _LAST = 1, 2


@dataclass(frozen=True, slots=True)
class Message:
    """A command that arrived; when ``has_data``, read ``Association.data()`` next."""

    command: Command
    context: Accepted
    has_data: bool

    @property
    def kind(self) -> int:
        """The command field."""
        return commands.integer(self.command, "CommandField")

    @property
    def status(self) -> int:
        """The status of a response; 0x0110 (processing failure) when it has none."""
        return commands.integer(self.command, "Status", 0x0110)


class Association:
    """An established association. Use as a context manager: leaving it releases, leaving by an error aborts."""

    def __init__(self, link: socket.socket, *, idle: float, deadline: float | None = None) -> None:
        self._socket = link
        self._timeout = link.gettimeout()
        self._buffer = bytearray(MAX_PDU + 64)
        self._ahead = b""  # of the next PDU's head: it mostly comes along with the body before it
        self._pdvs: Iterator[tuple[int, int, memoryview]] = iter(())
        self._data_open = False
        self._message_id = 0
        self.idle = idle
        self.deadline = deadline
        self.calling = ""
        self.called = ""
        self.peer = ""
        self.certificate = b""  #: DER of the peer's verified certificate
        self.implementation = ""
        self.contexts: dict[int, Accepted] = {}
        self.peer_max = MAX_PDU
        self.open = True

    # --- establishing

    @classmethod
    def request(
        cls,
        address: tuple[str, int],
        *,
        called: str,
        calling: str,
        proposals: Sequence[Proposal],
        idle: float,
        deadline: float | None = None,
        tls: ssl.SSLContext | None = None,
        dial: Callable[..., socket.socket] = socket.create_connection,
    ) -> Self:
        """Connect and negotiate. Raises AssociationFailed, AssociationRejected, PeerSilent, NoContext."""
        if len(proposals) > pdu.MAX_CONTEXTS:
            raise NoContext("More than 128 presentation contexts would be needed.")
        self = cls(_connect(dial, address, idle, deadline, tls), idle=idle, deadline=deadline)
        self.called, self.calling, self.peer = called, calling, f"{address[0]}:{address[1]}"
        self._send(pdu.encode_request(called, calling, proposals, MAX_PDU))
        kind, body = self._negotiation()
        if kind == pdu.ASSOCIATE_RJ:
            self._close()
            raise _rejected(bytes(body))
        if kind != pdu.ASSOCIATE_AC:
            self.abort()
            raise AssociationFailed("The peer answered an association request with something else.")
        answer = pdu.decode_answer(bytes(body))
        roles = {sop_class: scp for sop_class, _, scp in answer.roles}
        for number, result, syntax in answer.results:
            if result == 0 and number % 2 and (number - 1) // 2 < len(proposals):
                proposal = proposals[(number - 1) // 2]
                role = proposal.scp and roles.get(proposal.abstract_syntax, False)
                self.contexts[number] = Accepted(number, proposal.abstract_syntax, syntax, role)
        self._set_peer_max(answer.max_length)
        if not self.contexts:
            self.abort()
            raise NoContext("The peer accepted none of the presentation contexts.")
        return self

    def read_request(self) -> Request:
        """The acceptor's first step. Raises Malformed, AssociationFailed, PeerSilent."""
        kind, body = self._negotiation()
        if kind != pdu.ASSOCIATE_RQ:
            self.abort()
            raise Malformed("The first PDU is not an association request.")
        request = pdu.decode_request(bytes(body))
        self.calling, self.called, self.implementation = request.calling, request.called, request.implementation
        self._set_peer_max(request.max_length)
        return request

    def accept(self, request: Request, accepted: Sequence[Accepted], refused: Sequence[tuple[int, int]]) -> None:
        """The acceptor's second step."""
        self.contexts = {item.id: item for item in accepted}
        self._send(pdu.encode_answer(request, accepted, refused, MAX_PDU))

    def reject(self, result: int, source: int, reason: int) -> None:
        """The acceptor's other second step (PS3.8: Table 9-21)."""
        with contextlib.suppress(AssociationFailed):
            self._send(pdu.reject(result, source, reason))
        self._close()

    def context_for(self, abstract_syntax: str, transfer_syntax: str = "", *, scp: bool = False) -> Accepted:
        """An accepted context. ``scp``: one in which the requestor is the SCP (C-GET). Raises NoContext."""
        for item in self.contexts.values():
            fits = item.abstract_syntax == abstract_syntax and (not scp or item.scp)
            if fits and transfer_syntax in ("", item.transfer_syntax):
                return item
        raise NoContext()

    def next_message_id(self) -> int:
        """A fresh message id."""
        self._message_id = self._message_id % 65535 + 1
        return self._message_id

    # --- messages

    def receive(self) -> Message | None:
        """The next message; None when the peer released the association. Unread data of the last one is skipped."""
        if self._data_open:
            for _ in self.data():
                pass
        raw = bytearray()
        while True:
            item = self._next_pdv()
            if item is None:
                return None
            number, flags, fragment = item
            if not flags & _COMMAND:
                self.abort()
                raise Malformed("A data set came without its command.")
            raw += fragment
            if len(raw) > commands.MAX_COMMAND:
                self.abort()
                raise TooLarge("The DIMSE command set is too large.")
            if flags & _LAST:
                break
        command = commands.decode(bytes(raw))
        context = self.contexts.get(number)
        if context is None:
            self.abort()
            raise Malformed("A message came in a presentation context that was not accepted.")
        has_data = commands.integer(command, "CommandDataSetType", commands.NO_DATA) != commands.NO_DATA
        self._data_open = has_data
        return Message(command, context, has_data)

    def data(self) -> Iterator[memoryview]:
        """The data set of the message just received, in pieces; each is valid until the next one is asked for."""
        while self._data_open:
            item = self._next_pdv()
            if item is None:
                raise AssociationFailed("The peer released the association within a data set.")
            _, flags, fragment = item
            if flags & _COMMAND:
                self.abort()
                raise Malformed("A command came within a data set.")
            if flags & _LAST:
                self._data_open = False
            yield fragment

    def read_data(self, limit: int) -> bytes:
        """The whole data set of the message just received. Raises TooLarge above ``limit`` bytes."""
        raw = bytearray()
        for piece in self.data():
            raw += piece
            if len(raw) > limit:
                self.abort()
                raise TooLarge("The data set is larger than the limit.")
        return bytes(raw)

    def send(self, context: Accepted, command: Command, data: Iterable[bytes | memoryview] | None = None) -> None:
        """Send a message; ``data`` is sent in pieces as they come."""
        command["CommandDataSetType"] = commands.NO_DATA if data is None else commands.WITH_DATA
        head = self._fragment(context.id, _COMMAND | _LAST, commands.encode(command))
        if data is None:
            self._send(head)
            return
        room = self.peer_max - 6
        waiting = bytearray()
        pending = head
        try:
            for piece in data:
                waiting += piece
                while len(waiting) > room:
                    self._send(pending + self._fragment(context.id, 0, memoryview(waiting)[:room]))
                    pending = b""
                    del waiting[:room]
        except BaseException:
            if not pending:  # half a message is out: the peer can't be told anything else any more
                self.abort()
            raise
        self._send(pending + self._fragment(context.id, _LAST, waiting))

    def cancelled(self) -> bool:
        """Whether a C-CANCEL (or the end of the association) is waiting; never blocks."""
        if not self.open:
            return True
        waiting = self._ahead or getattr(self._socket, "pending", int)()
        if not waiting and not select.select([self._socket], [], [], 0)[0]:
            return False
        message = self.receive()
        return message is None or message.kind == commands.C_CANCEL

    # --- ending

    def release(self) -> None:
        """Orderly end; a peer that does not answer it is left after five seconds."""
        if not self.open:
            return
        self.idle, self.deadline = min(self.idle, 5.0), None
        with contextlib.suppress(AssociationFailed, PeerSilent, Malformed):
            self._send(pdu.frame(pdu.RELEASE_RQ))
            while self._next_pdv() is not None:
                pass
        self._close()

    def abort(self) -> None:
        """End at once."""
        if self.open:
            with contextlib.suppress(OSError):
                self._socket.settimeout(1.0)
                self._socket.sendall(pdu.abort())
            self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self.release()
        else:
            self.abort()

    # --- below

    def _close(self) -> None:
        self.open = False
        self._socket.close()

    def _set_peer_max(self, length: int) -> None:
        self.peer_max = min(length, 1 << 20) if length >= 64 else MAX_PDU

    def _fragment(self, number: int, flags: int, value: bytes | bytearray | memoryview) -> bytes:
        return b"".join((pdu.frame(pdu.DATA)[:2], struct.pack(">L", len(value) + 6),
                         _PDV.pack(len(value) + 2, number, flags), value))  # fmt: skip

    def _limit(self) -> float:
        if self.deadline is None:
            return self.idle
        left = self.deadline - time.monotonic()
        if left <= 0:
            self.abort()
            raise PeerSilent("The deadline passed before the DICOM peer had answered.")
        return min(self.idle, left)

    def _send(self, raw: bytes) -> None:
        self._need_open()
        try:
            self._wait_at_most(self._limit())
            self._socket.sendall(raw)
        except TimeoutError as error:
            self.abort()
            raise PeerSilent("The DICOM peer takes nothing any more.") from error
        except OSError as error:
            self._close()
            raise AssociationFailed("The connection to the DICOM peer broke.") from error

    def _need_open(self) -> None:
        if not self.open:
            raise AssociationFailed("The association has ended.")

    def _wait_at_most(self, limit: float) -> None:
        if limit != self._timeout:
            self._socket.settimeout(limit)
            self._timeout = limit

    def _read(self, target: memoryview, done: int, wanted: int) -> int:
        """Read on behind the ``done`` bytes until ``wanted`` are there, or more: how many are."""
        try:
            while done < wanted:
                self._wait_at_most(self._limit())
                count = self._socket.recv_into(target[done:])
                if not count:
                    self._close()
                    raise AssociationFailed("The DICOM peer closed the connection.")
                done += count
        except TimeoutError as error:
            self.abort()
            raise PeerSilent() from error
        except OSError as error:
            self._close()
            raise AssociationFailed("The connection to the DICOM peer broke.") from error
        return done

    def _pdu(self, largest: int) -> tuple[int, memoryview]:
        self._need_open()
        view = memoryview(self._buffer)
        come = len(self._ahead)
        view[:come] = self._ahead
        self._read(view[:_HEAD], come, _HEAD)
        kind, length = view[0], int.from_bytes(view[2:_HEAD])
        if not pdu.ASSOCIATE_RQ <= kind <= pdu.ABORT or length > largest:
            self.abort()
            raise Malformed("This is not a DICOM protocol data unit, or it is too large.")
        if length + _HEAD > len(self._buffer):
            self._buffer = bytearray(length + _HEAD)
            view = memoryview(self._buffer)
        come = self._read(view[: length + _HEAD], 0, length)
        self._ahead = bytes(view[length:come])
        return kind, view[:length]

    def _negotiation(self) -> tuple[int, memoryview]:
        kind, body = self._pdu(pdu.MAX_NEGOTIATION)
        if kind == pdu.ABORT:
            self._close()
            raise AssociationFailed("The peer aborted the association.")
        return kind, body

    def _next_pdv(self) -> tuple[int, int, memoryview] | None:
        while True:
            item = next(self._pdvs, None)
            if item is not None:
                return item
            kind, body = self._pdu(_HARD_PDU)
            if kind == pdu.DATA:
                self._pdvs = self._split(body)
            elif kind == pdu.RELEASE_RQ:
                self._send(pdu.frame(pdu.RELEASE_RP))
                self._close()
                return None
            elif kind == pdu.RELEASE_RP:
                self._close()
                return None
            elif kind == pdu.ABORT:
                self._close()
                raise AssociationFailed("The peer aborted the association.")
            else:
                self.abort()
                raise Malformed("An unexpected protocol data unit came.")

    def _split(self, body: memoryview) -> Iterator[tuple[int, int, memoryview]]:
        position = 0
        while position < len(body):
            if position + 6 > len(body):
                self.abort()
                raise Malformed("A presentation data value is cut short.")
            length, number, flags = _PDV.unpack_from(body, position)
            end = position + 4 + length
            if length < 2 or end > len(body):
                self.abort()
                raise Malformed("A presentation data value has a wrong length.")
            yield number, flags, body[position + 6 : end]
            position = end


def _connect(
    dial: Callable[..., socket.socket],
    address: tuple[str, int],
    idle: float,
    deadline: float | None,
    tls: ssl.SSLContext | None,
) -> socket.socket:
    left = idle if deadline is None else min(idle, deadline - time.monotonic())
    if left <= 0:
        raise PeerSilent("The deadline passed before the DICOM peer was asked.")
    try:
        link = dial(address, timeout=left)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return tls.wrap_socket(link, server_hostname=address[0]) if tls is not None else link
    except TimeoutError as error:
        raise PeerSilent("The DICOM peer does not take the connection.") from error
    except OSError as error:
        raise AssociationFailed("The DICOM peer can't be reached.") from error


def _rejected(body: bytes) -> AssociationRejected | AssociationFailed:
    result, source, reason = body[1:4] if len(body) >= 4 else (1, 1, 1)
    meaning = REJECTIONS.get((source, reason), "unknown reason")
    if result == 2 or source == 3:
        return AssociationFailed(f"The peer rejected the association for now: {meaning}.")
    return AssociationRejected(f"The peer rejected the association: {meaning}.")
