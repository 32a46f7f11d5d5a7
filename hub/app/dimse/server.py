"""The hub's DICOM port: C-ECHO, C-FIND, C-GET, C-MOVE, C-STORE, N-CREATE (RAD-14, RAD-16, RAD-8, RAD-49)."""

import logging
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from queue import Queue

from hub.access.model import HUB, Credentials
from hub.app.dimse.arrivals import Arrivals
from hub.app.dimse.retrieve import Sender, send_by_get, send_by_move
from hub.app.dimse.store import ObjectStore
from hub.app.keys.certificates import Certificates
from hub.app.settings.model import Settings
from hub.connector.contract import Deliverer, ReceivedFile
from hub.context import Context
from hub.errors import AccessDenied, HubError, NotAuthenticated
from hub.imaging.archive import studies_of
from hub.imaging.kept import Arrival
from hub.imaging.model import StudyArrived
from hub.pipeline.catalogue import Catalogue
from hub.pipeline.pipeline import Pipeline
from hub.pipeline.transaction import AuditEvent, Dimse, Kind, Transaction
from hub.values import new_uid
from hub.wire.dimse import command as commands
from hub.wire.dimse import contexts
from hub.wire.dimse.association import Association, Message
from hub.wire.dimse.client import MAX_IDENTIFIER
from hub.wire.dimse.errors import PENDING, SUCCESS, status_of
from hub.wire.dimse.messages import DimseAnswer, DimseRequest, StoredStudy, encode
from hub.wire.dimse.server import Server
from hub.wire.x509.errors import CertificateRefused

log = logging.getLogger(__name__)

WIRE = "dimse"
_IDLE = 120.0
_CALLING_UNKNOWN, _CALLED_UNKNOWN = (1, 1, 3), (1, 1, 7)
_NO_SUCH_OPERATION, _NO_SUCH_CLASS = 0x0211, 0x0118
_MAX_NOTICE = 8 << 20  #: bytes: a notice names every instance of a study
_CHECK_CANCEL_EVERY = 16
_RECOVER_EVERY = 60.0
_ASK = frozenset({"imaging.query", "imaging.retrieve", "imaging.notify"})
_SEND = frozenset({"imaging.store", "imaging.notify"})

ASSOCIATION = Transaction(
    id="DIMSE-ASSOCIATION",
    title="Association",
    profile="DICOM",
    initiator="Association requestor",
    responder="Association acceptor",
    bindings=(),
    section="PS3.8: 7.1",
    kind=Kind.QUERY,
    permission="",
    audit=AuditEvent("110113", "Security Alert", "E", type_code="110126"),
)
"""What an association that is turned away is audited as: node authentication (PS3.16: CID 402)."""


class DimseEndpoint:
    """Listens once made, answers once started; also where the hub's own connectors have C-MOVEs delivered to.

    Callers are known by their AE title: ``dimse.callers``, ``archive.senders``, and the hub's own DIMSE sources (which
    deliver what a C-MOVE asked for, from where they are, and may do nothing else). With node authentication off,
    everybody on this machine is."""

    def __init__(
        self,
        pipeline: Pipeline,
        catalogue: Catalogue,
        settings: Settings,
        spool: Path,
        certificates: Certificates | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.settings = settings
        self.ae_title = settings.dimse.ae_title
        self.store = ObjectStore(spool)
        self._bound = {binding.service: bound for binding, bound in catalogue.bindings(Dimse)}
        self._open = not settings.security.node_authentication
        self._titles = title_permissions(settings)
        self._sources = _titles_of_sources(settings)
        self._destinations = {title: _address(place) for title, place in settings.dimse.destinations.items()}
        self._server = Server(
            settings.dimse.host,
            settings.dimse.port,
            self._serve,
            max_associations=settings.dimse.max_associations,
            idle=_IDLE,
            tls=(certificates or Certificates(settings)).server_context(WIRE),
        )
        self._stopping = threading.Event()
        self._recovering = threading.Thread(target=self._recover, name="dimse-arrivals", daemon=True)

    @property
    def port(self) -> int:
        """The real port."""
        return self._server.port

    def start(self) -> None:
        """Begin to answer."""
        self._recovering.start()
        self._server.start()

    def stop(self) -> None:
        """Let running associations finish for a few seconds, then end them."""
        self._stopping.set()
        self._server.stop()
        if self._recovering.is_alive():
            self._recovering.join(timeout=5.0)
        self.store.incoming.close()

    def expect(
        self, study_instance_uid: str, deliverer: Deliverer, *, timeout: float
    ) -> "AbstractContextManager[Queue[ReceivedFile]]":
        """See ``MoveDestination.expect``."""
        return self.store.expect(study_instance_uid, deliverer, timeout=timeout)

    # --- one association

    def _serve(self, association: Association) -> None:
        request = association.read_request()
        if not self._open and request.called != self.ae_title:
            self._turned_away(association, ASSOCIATION, NotAuthenticated("The called AE title is not the hub's."))
            association.reject(*_CALLED_UNKNOWN)
            return
        error = None if self._open else self._stranger(association, request.calling)
        if error is not None:
            log.info(
                "association from an unknown caller refused: %s",
                error.code,
                extra={"peer": association.peer, "source": request.calling},
            )
            self._turned_away(association, ASSOCIATION, error)
            association.reject(*_CALLING_UNKNOWN)
            return
        association.accept(request, *contexts.accept(request))
        arrivals = Arrivals(self.store.kept, association)
        try:
            while (message := association.receive()) is not None:
                if message.kind == commands.C_STORE:
                    self._store(association, message, arrivals)
                else:
                    self._answer(association, message)
        finally:
            for arrival in arrivals:
                self._announce(arrival, self._credentials(association))

    def _stranger(self, association: Association, calling: str) -> HubError | None:
        """Why nothing that this caller sends can be answered; None when it is known by its certificate or title."""
        known = calling in self._titles.keys() | self._sources
        if not association.certificate:
            return None if known else NotAuthenticated("The calling AE title is not known.")
        try:
            self.pipeline.access.authenticate(Credentials(peer=_host(association), certificate=association.certificate))
        except NotAuthenticated as error:
            return error if isinstance(error, CertificateRefused) or not known else None
        return None

    def _turned_away(self, association: Association, transaction: Transaction, error: HubError) -> None:
        """Refused before anything was decoded: audited all the same."""
        context = Context(peer=_host(association), transaction=transaction.id)
        self.pipeline.audit.record(transaction, context, error, 0)

    def _answer(self, association: Association, message: Message) -> None:
        if message.kind == commands.C_ECHO:
            association.send(message.context, commands.response(message.command, 0))
        elif message.kind in (commands.C_FIND, commands.C_GET, commands.C_MOVE):
            name = commands.NAMES[message.kind]
            raw = association.read_data(MAX_IDENTIFIER) if message.has_data else b""
            context = Context(peer=_host(association))
            try:
                self._query_or_retrieve(association, message, name, raw, context)
            except HubError as error:
                if not association.open:
                    raise
                self._finish(association, message, DimseAnswer(status_of(error), error.message))
        elif message.kind == commands.N_CREATE:
            self._notice(association, message)
        elif message.kind != commands.C_CANCEL and not message.kind & commands.RESPONSE:
            association.send(message.context, commands.response(message.command, _NO_SUCH_OPERATION))

    def _notice(self, association: Association, message: Message) -> None:
        raw = association.read_data(_MAX_NOTICE) if message.has_data else b""
        made = commands.text(message.command, "AffectedSOPInstanceUID") or new_uid()  # PS3.7: 10.1.5.1.4
        bound, sop_class = self._bound.get("N-CREATE"), message.context.abstract_syntax
        answer = DimseAnswer(_NO_SUCH_CLASS)
        if bound is not None and sop_class == contexts.AVAILABILITY:
            request = DimseRequest(
                service="N-CREATE",
                sop_class=sop_class,
                calling=association.calling,
                called=association.called,
                message_id=commands.integer(message.command, "MessageID"),
                transfer_syntax=message.context.transfer_syntax,
                raw=raw,
            )
            context = Context(peer=_host(association))
            answer = self.pipeline.run(bound, WIRE, request, self._credentials(association), context)
        self._finish(association, message, answer, AffectedSOPInstanceUID=made)

    def _query_or_retrieve(
        self, association: Association, message: Message, name: str, raw: bytes, context: Context
    ) -> None:
        destination = commands.text(message.command, "MoveDestination")
        address = self._destinations.get(destination)
        request = DimseRequest(
            service=name,
            sop_class=message.context.abstract_syntax,
            calling=association.calling,
            called=association.called,
            message_id=commands.integer(message.command, "MessageID"),
            destination=destination if address else "",
            transfer_syntax=message.context.transfer_syntax,
            raw=raw,
            acceptable=_acceptable(association) if name == "C-GET" else ("*",),
        )
        answer: DimseAnswer = self.pipeline.run(
            self._bound[name], WIRE, request, self._credentials(association), context
        )
        if answer.instances is None:
            self._send_matches(association, message, answer)
            return
        sender = Sender(association, message, answer.instances, self.pipeline.dispatch, context)
        if address is None:
            send_by_get(sender)
        else:
            send_by_move(sender, destination, address, self.ae_title)

    def _send_matches(self, association: Association, message: Message, answer: DimseAnswer) -> None:
        for index, match in enumerate(answer.matches):
            if index % _CHECK_CANCEL_EVERY == 0 and association.cancelled():
                answer = DimseAnswer(0xFE00)
                break
            raw = encode(match, message.context.transfer_syntax)
            association.send(message.context, commands.response(message.command, PENDING), (raw,))
        self._finish(association, message, answer)

    def _finish(self, association: Association, message: Message, answer: DimseAnswer, **more: commands.Value) -> None:
        if answer.comment:
            more["ErrorComment"] = answer.comment[:64]
        association.send(message.context, commands.response(message.command, answer.status, **more))

    # --- C-STORE

    def _admit(self, association: Association, arrivals: Arrivals) -> None:
        """Whether the sender may store, asked once for each association; what came is audited at its end."""
        bound = self._bound.get("C-STORE")
        if arrivals.may_keep is not None or bound is None:
            return
        try:
            principal = self.pipeline.access.authenticate(self._credentials(association))
            context = Context(peer=_host(association), transaction=bound.id)
            self.pipeline.access.permit(principal, bound.transaction.permission, context)
            arrivals.may_keep, arrivals.speaks_for = True, principal.source
        except HubError as error:
            arrivals.may_keep, arrivals.refused = False, error

    def _store(self, association: Association, message: Message, arrivals: Arrivals) -> None:
        self._admit(association, arrivals)
        try:
            stored = self.store.receive(association, message, may_keep=bool(arrivals.may_keep))
            if not stored.expected:
                arrivals.add(stored.file)
        except HubError as error:
            if not association.open:
                raise
            if isinstance(error, AccessDenied) and not arrivals.told:  # once: a source that delivers shows nothing
                arrivals.told = True
                self._turned_away(association, self._bound["C-STORE"].transaction, arrivals.refused or error)
            self._finish(association, message, DimseAnswer(status_of(error), error.message))
            return
        association.send(message.context, commands.response(message.command, 0))
        self.store.incoming.prepare()  # while the sender reads its next object

    def _announce(self, arrival: Arrival, credentials: Credentials) -> None:
        """What one association brought of a study; not known to the index, it is tried again later."""
        known = False
        try:
            studies = studies_of(arrival.files)
            stored = StoredStudy(arrival.study_instance_uid, arrival.calling, studies, arrival.speaks_for)
            request = DimseRequest("C-STORE", "", arrival.calling, self.ae_title, stored=stored)
            context = Context(peer=arrival.peer)
            answer: DimseAnswer = self.pipeline.run(self._bound["C-STORE"], WIRE, request, credentials, context)
            known = answer.status == SUCCESS
        finally:
            self.store.kept.release(arrival, known=known)

    def _recover(self) -> None:
        """Objects that were acknowledged and are not in the index, as the process or the database had gone."""
        while not self._stopping.is_set():
            try:
                for arrival in self.store.kept.left_behind():
                    self._make_good(arrival)
            except Exception:
                log.exception("received objects could not be indexed; the next round tries again")
            self._stopping.wait(_RECOVER_EVERY)

    def _make_good(self, arrival: Arrival) -> None:
        known = False
        try:
            command = StudyArrived(
                arrival.study_instance_uid, arrival.calling, studies_of(arrival.files), arrival.speaks_for
            )
            self.pipeline.perform(self._bound["C-STORE"].transaction, command, HUB, Context(peer=arrival.peer))
            known = True
        finally:
            self.store.kept.release(arrival, known=known)

    def _credentials(self, association: Association) -> Credentials:
        """A certificate, or an AE title that may call; a source that only delivers shows nothing."""
        known = association.calling in self._titles and not self._open
        return Credentials(
            peer=_host(association),
            certificate=association.certificate,
            ae_title=association.calling if known else "",
        )


def _host(association: Association) -> str:
    return association.peer.rpartition(":")[0]


def _acceptable(association: Association) -> tuple[str, ...]:
    found = dict.fromkeys(item.transfer_syntax for item in association.contexts.values() if item.scp)
    return tuple(found) or ("*",)


def title_permissions(settings: Settings) -> Mapping[str, frozenset[str]]:
    """AE titles that may call, and what each may do."""
    found = dict.fromkeys(settings.dimse.callers, _ASK)
    return found | {title: found.get(title, frozenset()) | _SEND for title in settings.archive.senders}


def _titles_of_sources(settings: Settings) -> frozenset[str]:
    titles = (source.config.get("ae_title", "") for source in settings.sources if source.kind == "dimse")
    return frozenset(title for title in titles if isinstance(title, str) and title)


def _address(place: str) -> tuple[str, int]:
    host, _, port = place.rpartition(":")
    return host.strip("[]"), int(port)
