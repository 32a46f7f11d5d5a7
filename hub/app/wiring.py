"""Builds the hub from its settings: the only place where every room, wire and server meets."""

import logging
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from queue import Queue
from typing import Any

from hub import __version__
from hub.app import mllp
from hub.app.audit.alerts import NodeAlerts
from hub.app.audit.forwarding import LagMetrics
from hub.app.audit.trail import AuditTrail
from hub.app.dimse.server import DimseEndpoint
from hub.app.keys.expiry import Ends, Watch
from hub.app.keys.tls import client_context
from hub.app.mllp import MllpEndpoint
from hub.app.outside import drimbox, mail, officer, record
from hub.app.outside.acknowledging import BusinessAcknowledgements
from hub.app.outside.published_manifests import PublishedManifests
from hub.app.patients import fhir as fhir_patients
from hub.app.patients.about_one import AboutOne
from hub.app.rooms import Rooms
from hub.app.running import health
from hub.app.running.housekeeping import Housekeeping
from hub.app.running.metrics import PrometheusMetrics
from hub.app.settings.model import DimsePort, Mllp, Settings
from hub.app.settings.roles import Role
from hub.app.web.http import build
from hub.app.web.operations import build_operations
from hub.app.web.purposes import guarded
from hub.app.web.replies import REPLY
from hub.app.web.server import CannotListen, WebServer
from hub.app.web.soap_inbox import SoapInbox
from hub.connector.contract import Deliverer, Environment, ReceivedFile
from hub.documents.ondemand import OFFER
from hub.errors import Misconfigured
from hub.exchange.worker import Worker
from hub.imaging.availability import AvailabilityService
from hub.imaging.single_object import SingleObjectService
from hub.imaging.study_persons import StudyPersonsService
from hub.imaging.whole_person import WholePersonService
from hub.patients.notices import NOTICE
from hub.pipeline.catalogue import Bound, discover
from hub.pipeline.pipeline import Pipeline
from hub.pipeline.together import Together
from hub.pipeline.transaction import Fhir, Soap
from hub.portal.app import build as build_portal
from hub.storage import migrate
from hub.subscriptions.patient_feed import PATIENT_FEED
from hub.subscriptions.service import NOTIFY
from hub.values import now
from hub.wire.atna.questions import question
from hub.wire.dicomweb.errors import refusal as dicomweb_refuse
from hub.wire.dimse.errors import refusal as dimse_refuse
from hub.wire.drimbox.call import refusal as call_refuse
from hub.wire.fhir.capability import capability_statement
from hub.wire.fhir.errors import refusal as fhir_refuse
from hub.wire.hl7v2.answers import refuse as hl7v2_refuse
from hub.wire.oauth.errors import refusal as oauth_refuse
from hub.wire.soap.writing import refuse as soap_refuse

log = logging.getLogger(__name__)


#: Seconds that a stop gives those who wait for a source.
_CUT_AFTER = 4.0


class TablesBehind(Misconfigured):
    """The database's tables are of an earlier version."""

    code = "tables-behind"
    title = "The database's tables are not those of this version: run `maillage db upgrade`."


class NoDicomPort(Misconfigured):
    """A source can only C-MOVE, and this process has no DICOM port to receive on."""

    code = "no-dicom-port"
    title = "The source delivers by C-MOVE only: the process that fetches from it needs the role dimse as well."


class Hub(Rooms):
    """One process of the hub: every room, and the servers of its roles.

    Rooms are attributes: ``patients documents imaging federation access audit exchange``; so are the gateways
    ``communities`` and ``responding``, ``pipeline``, ``dispatch``, ``catalogue``, ``sources``, ``content``,
    ``database``, ``metrics``. Nothing runs before ``start``."""

    def __init__(self, settings: Settings) -> None:
        self.metrics = PrometheusMetrics(__version__)
        self.catalogue = guarded(discover(), settings.mllp.processing_ids)
        self._built = now()
        self._receiver = _Receiver(settings.dimse.ae_title)
        environment = Environment(ae_title=settings.dimse.ae_title, receive=self._receiver)
        super().__init__(settings, environment, self.public_url)
        self._build_outside()
        self._build_path()
        self._build_feeds()
        self._build_worker()
        self._build_watch()
        self.dimse: DimseEndpoint | None = None
        self.roles: frozenset[Role] = frozenset()
        self.web: WebServer | None = None
        self._own: WebServer | None = None  # health and metrics of one of several web processes
        self.probes: dict[str, health.Probe] = {}  #: asked for readiness beside the roles' own
        self._mllp_runs = False

    def _build_outside(self) -> None:
        """What leaves the region, or this house: the trail to its collectors, the national record, mail."""
        settings = self.settings
        self.acknowledgements = BusinessAcknowledgements(
            settings.feeds,
            self.exchange,
            self.audit,
            lambda: client_context(settings.tls) if settings.tls.certificate else None,
        )
        self.trail = AuditTrail(
            settings,
            self.database,
            self.audit,
            self.catalogue,
            self.patients.person,
            self.public_url,
            lambda: client_context(settings.tls),
        )
        self.record = record.build(self, self.acknowledgements)
        self.imaging.by_manifest.published = PublishedManifests(
            self.database, self.documents, national=self.record is not None and self.record.service is not None
        )
        self.mail = mail.build(self, self.public_url, self.acknowledgements)
        self.officer = officer.build(self, self.public_url)
        self.drimbox = drimbox.build(self)

    def _build_path(self) -> None:
        """The one path of every transaction, and all use cases at its end."""
        self.dispatch = AboutOne(
            [
                *(self.patients, self.details, self.portions, self.visits, self.stewardship),
                *(self.documents, self.sharing, self.amending),
                *(self.imaging, self.orphans, self.life, self.exchange, self.consents, self.care),
                *(self.federation, self.communities, self.responding, self.discovery),
                *(self.updates, self.removals, SingleObjectService(self.imaging, self.scratch.path / "rendering")),
                StudyPersonsService(
                    lambda command, context: self.dispatch(command, context),  # noqa: PLW0108 (not there yet)
                    lambda context: self.access.permit(context.principal, "patients.query", context),
                ),
                WholePersonService(self.federation, self.imaging, page=self.settings.imaging.max_studies),
                *(self.subscriptions, self.pull_points, self.population, AvailabilityService(self.imaging)),
                *self.fhir_patients.services,
                *(self.record.services if self.record else ()),
                *(self.mail.services if self.mail else ()),
                *self.drimbox.services,
                self.oauth,
                self.trail.service,
            ],
            self.rights,
        )
        self.pipeline = Pipeline(
            self.database,
            self.dispatch,
            self.access,
            self.audit,
            self.exchange,
            {
                "soap": soap_refuse,
                "hl7v2": hl7v2_refuse,
                "fhir": fhir_refuse,
                "dicomweb": dicomweb_refuse,
                "dimse": dimse_refuse,
                "oauth": oauth_refuse,
                "drimbox": call_refuse,
            },
            self.metrics,
        )
        self.pipeline.question = question

    def _build_feeds(self) -> None:
        """Who carries out what the inbox keeps."""
        together = Together(self.pipeline, self.exchange, self.audit)
        self.mllp = MllpEndpoint(
            self.pipeline,
            self.catalogue,
            self.settings,
            self.exchange.enqueue,
            together,
            certificates=self.certificates,
        )
        self.soap_inbox = SoapInbox(self.pipeline, self.catalogue, self.settings.feeds, self.content.receive)
        self.exchange.processors |= {
            mllp.WIRE: self.mllp.process,
            SoapInbox.WIRE: self.soap_inbox.process,
            fhir_patients.WIRE: fhir_patients.Replay(self.pipeline, self.catalogue).process,
        }

    def _build_worker(self) -> None:
        """Who carries what lies in the outbox, and what is done now and then."""
        handlers = {
            **self.imaging.handlers(),
            mllp.ANSWER: self.mllp.deliver,
            NOTIFY: self.notifier.deliver,
            OFFER: self.on_demand.deliver,
            REPLY: self.replies.deliver,
            NOTICE: self.notices.deliver,
            PATIENT_FEED: self.fhir_patients.deliver,
            **self.acknowledgements.handlers(),
            **(self.record.handlers() if self.record else {}),
            **(self.mail.handlers() if self.mail else {}),
            **(self.officer.handlers() if self.officer else {}),
            **self.drimbox.handlers(),
        }
        self.worker = Worker(self.exchange, handlers)
        self.housekeeping = Housekeeping(
            self.content, self._in_use, also=(self.replies.sweep, Watch(self.settings).tell, *self.sweeps)
        )

    def _build_watch(self) -> None:
        self.certificates.handshakes.listener = NodeAlerts(self.audit).refused
        for collector in (self.certificates.handshakes, Ends(self.certificates), LagMetrics(self.trail.forwarder)):
            self.metrics.registry.register(collector)
        self.metrics.observe(self._counts, lambda: {source.name: source.kind for source in self.settings.sources})

    # Running

    def prepare(self) -> None:
        """Bring the tables of an embedded or empty database up to date. Raises TablesBehind for any other."""
        if not migrate.pending(self.database):
            return
        if not self.database.sqlite and migrate.current(self.database):
            raise TablesBehind()
        migrate.upgrade(self.database)

    def start(self, roles: Collection[Role] = frozenset(Role)) -> None:
        """Prepare the database and start what the roles need. What was started is stopped again when a part fails."""
        self.prepare()
        self.roles = frozenset(roles)
        try:
            self.audit.start()
            if Role.WORKER in self.roles:
                self.worker.start()
                self.housekeeping.start()
                self.replies.sweep()
                self.nightly.start()
                self.trail.forwarder.start()
                if self.mail:
                    self.mail.start()
            with listening("mllp", self.settings.mllp):
                self._start_mllp()
            with listening("dimse", self.settings.dimse):
                self._start_dimse()
            self._start_web()
        except BaseException:
            self.stop()
            raise

    def _start_mllp(self) -> None:
        if Role.MLLP in self.roles:
            self.mllp.start()
            self._mllp_runs = True

    def _start_dimse(self) -> None:
        if Role.DIMSE not in self.roles:
            return
        self.dimse = DimseEndpoint(
            self.pipeline, self.catalogue, self.settings, self.settings.storage.content / "dimse", self.certificates
        )
        self._receiver.endpoint = self.dimse
        self.dimse.start()

    def _start_web(self) -> None:
        web, port = self.settings.web, self.settings.health
        if Role.WEB in self.roles:
            application = build(self)
            context, shared = self.certificates.server_context("web"), web.processes > 1
            self.web = WebServer(application, web.host, web.port, context, shared=shared)
            application.include_router(build_portal(self))
            if shared and port.port:
                self._own = WebServer(build_operations(self), port.host, port.port)
                self._own.start()
        elif port.port:
            self.web = WebServer(build_operations(self), port.host, port.port)
        if self.web is not None:
            self.web.start()

    def stop(self) -> None:
        """Stop taking in, let what runs end, close everything; who still waits for a source is cut off."""
        cut = threading.Timer(_CUT_AFTER, self._cut)
        cut.daemon = True
        cut.start()
        works = self.worker.alive  # its threads may have ended before its turn comes below
        self.worker.cease()
        for server in (self.web, self._own):
            if server is not None:
                server.stop()
        if self._mllp_runs:
            self.mllp.stop()
        if self.dimse is not None:
            self.dimse.stop()
        if works:
            self.trail.forwarder.stop()
            if self.mail:
                self.mail.stop()
            self.nightly.stop()
            self.housekeeping.stop()
            self.worker.stop(_CUT_AFTER + 5.0)
        cut.cancel()
        self.imaging.close()
        self._cut()
        self.audit.stop()
        self.database.dispose()
        self.scratch.close()

    def _cut(self) -> None:
        """Whoever waits for a source or a community waits no longer."""
        self.sources.close()
        self.gateways.close()
        self.drimbox.close()
        if self.record:
            self.record.close()

    # Facts

    def public_url(self) -> str:
        """Root URL under which others reach the hub, without a trailing slash."""
        web = self.settings.web
        if web.public_url:
            return web.public_url.rstrip("/")
        if self.web is not None and Role.WEB in self.roles:
            return self.web.url
        secure = self.settings.tls.certificate is not None
        return f"{'https' if secure else 'http'}://{web.host}:{web.port}"

    def mllp_address(self) -> str:
        """``host:port`` of the HL7 v2 port."""
        return f"{self.settings.mllp.host}:{self.mllp.port}"

    def dimse_address(self) -> str:
        """``AET@host:port`` of the DICOM port."""
        port = self.dimse.port if self.dimse is not None else self.settings.dimse.port
        return f"{self.settings.dimse.ae_title}@{self.settings.dimse.host}:{port}"

    def _in_use(self, address: str) -> bool:
        """Whether anything has these bytes: a document, a study's metadata, an export that waits."""
        return super()._in_use(address) or self.drimbox.knows_content(address)

    def addresses(self) -> Iterator[str]:
        """What is served where, in sentences."""
        if Role.WEB in self.roles:
            yield f"web on {self.public_url()}"
        if Role.MLLP in self.roles:
            yield f"mllp on {self.mllp_address()}"
        if Role.DIMSE in self.roles:
            yield f"dimse on {self.dimse_address()}"

    def soap_endpoints(self) -> Iterator[tuple[Soap, Bound]]:
        """Every SOAP binding with its transaction."""
        yield from self.catalogue.bindings(Soap)

    def vocabulary_problem(self) -> str:
        """Why the vocabulary file as it is now is not used; "" when it is, or when there is none."""
        if self.vocabulary is None:
            return ""
        self.vocabulary()
        return self.vocabulary.problem

    def health(self) -> health.Health:
        """Readiness of this process's roles."""
        probes = {
            "database": health.database_probe(self.database),
            "migrations": health.migrations_probe(self.database),
            "disk": health.disk_probe(self.settings.storage.content),
            "audit": self.audit.trouble,
            **self.probes,
        }
        if Role.WORKER in self.roles:
            probes["worker"] = health.running_probe(lambda: self.worker.alive, "the worker")
        if Role.MLLP in self.roles:
            probes["mllp"] = health.listening_probe(self.settings.mllp.host, self.mllp.port)
        if self.dimse is not None:
            probes["dimse"] = health.listening_probe(self.settings.dimse.host, self.dimse.port)
        return health.look(probes)

    def capability(self) -> Mapping[str, Any]:
        """The FHIR CapabilityStatement."""
        interactions = [binding for binding, _ in self.catalogue.bindings(Fhir)]
        url, title = f"{self.public_url()}/fhir", self.settings.region.name
        return capability_statement(interactions, url=url, version=__version__, date=self._built, title=title)

    def _counts(self) -> Mapping[str, Mapping[Any, int]]:
        summary = self.exchange.summary()
        tasks = {**dict[Any, int](self.stewardship.waiting()), "orphan": self.orphans.count()}
        return {"messages": summary.messages, "deliveries": summary.deliveries, "tasks": tasks}


class _Receiver:
    """What connectors are lent before the DICOM port exists: they are opened at first use, long after."""

    def __init__(self, ae_title: str) -> None:
        self.ae_title = ae_title
        self.endpoint: DimseEndpoint | None = None

    def expect(
        self, study_instance_uid: str, deliverer: Deliverer, *, timeout: float
    ) -> AbstractContextManager[Queue[ReceivedFile]]:
        """See ``MoveDestination.expect``. Raises NoDicomPort."""
        if self.endpoint is None:
            raise NoDicomPort()
        return self.endpoint.expect(study_instance_uid, deliverer, timeout=timeout)


@contextmanager
def listening(name: str, place: Mllp | DimsePort) -> Iterator[None]:
    """An address that can't be listened on is a mistake of the settings. Raises CannotListen."""
    try:
        yield
    except OSError as error:
        raise CannotListen(f"{name}: can't listen on {place.host}:{place.port}: {error.strerror}.") from error
