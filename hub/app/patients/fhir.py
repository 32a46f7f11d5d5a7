"""Persons over FHIR: wires the services behind PDQm, PIXm and PMIR, sends the feed messages, replays kept ones."""

import ssl
import time
from collections.abc import Callable
from datetime import timedelta

import orjson

from hub.access.service import AccessService
from hub.app.settings.sharing import Subscriptions
from hub.app.sharing.subscriptions import SECONDS, send
from hub.audit.service import AuditService
from hub.context import Context
from hub.errors import HubError
from hub.exchange.model import Delivery
from hub.exchange.service import ExchangeService
from hub.patients.feeding import FeedService
from hub.patients.lookup import PatientLookup
from hub.patients.matches import MatchService, Scorer
from hub.patients.service import PatientService
from hub.pipeline.catalogue import Catalogue
from hub.pipeline.pipeline import Pipeline
from hub.pipeline.transaction import AuditEvent, Direction, Kind, Transaction
from hub.storage.engine import Database
from hub.subscriptions.consumers import Consumers
from hub.subscriptions.patient_feed import PatientFeedService
from hub.subscriptions.patient_model import Told
from hub.values import PatientIdentifier
from hub.wire.fhir import patient_message
from hub.wire.fhir.r4 import MEDIA_TYPE
from hub.wire.http import HttpRequest

WIRE = "fhir"

#: How the sending of a feed message is audited (PMIR: 2:3.93.5.1).
SENT = Transaction(
    id="ITI-93",
    title="Mobile Patient Identity Feed",
    profile="PMIR",
    initiator="Patient Identity Registry",
    responder="Patient Identity Consumer",
    bindings=(),
    section="PMIR: 2:3.93",
    kind=Kind.RETRIEVE,
    permission="",
    audit=AuditEvent("110106", "Export", "R"),
    direction=Direction.INITIATOR,
)


class FhirPatients:
    """The services, the listener of the patients room, and the handler of the deliveries."""

    def __init__(
        self,
        settings: Subscriptions,
        *,
        database: Database,
        patients: PatientService,
        access: AccessService,
        outbox: ExchangeService,
        audit: AuditService,
        tls: Callable[[], ssl.SSLContext],
        public_url: Callable[[], str],
        scorer: Scorer | None = None,
    ) -> None:
        self.feed = PatientFeedService(
            database=database,
            patients=patients,
            access=access,
            outbox=outbox,
            consumers=Consumers(settings.consumers),
            longest=timedelta(days=settings.longest_days),
        )
        self.services = (
            PatientLookup(patients=patients),
            MatchService(patients=patients, scorer=scorer),
            FeedService(patients=patients),
            self.feed,
        )
        self.audit = audit
        self.public_url = public_url
        self._context = tls
        self._tls: ssl.SSLContext | None = None
        patients.listeners.append(self.feed.changed)

    def deliver(self, delivery: Delivery, context: Context) -> None:
        """Send what a delivery names, if it may still be told. Raises Unavailable (tried again) or PeerRefused."""
        payload = delivery.payload
        regional = PatientIdentifier(*payload["regional"])
        told = self.feed.outgoing(payload["subscription"], regional, created=payload["created"])
        if told is None:
            return
        context.transaction = SENT.id
        context.touch("subscription", told.subscription.id)
        started, failure = time.monotonic(), None
        try:
            self._send(told, context)
        except HubError as error:
            failure = error
            raise
        finally:
            self.audit.record(SENT, context, failure, int((time.monotonic() - started) * 1000))
            self.feed.sent(told.subscription.id, failure)
        context.led_to("subscription", told.subscription.id)

    def _send(self, told: Told, context: Context) -> None:
        base, endpoint = f"{self.public_url()}/fhir", told.subscription.endpoint
        message = patient_message.feed_message(self._entries(told, base, context), source=base, destination=endpoint)
        self._tls = self._tls or self._context()
        send(endpoint, orjson.dumps(message), MEDIA_TYPE, self._tls, SECONDS)

    def _entries(self, told: Told, base: str, context: Context) -> list[dict[str, object]]:
        """The person as they are now; the regional identifiers that they once had follow as merged."""
        person = self.feed.person(told.regional)
        if person is None or not person.identities:
            context.touch("patient", told.regional.cx)
            return [patient_message.withdrawn(told.regional, base)]
        context.touch("patient", person.regional.cx)
        first = patient_message.changed(person, base, created=told.created and person.regional == told.regional)
        return [first, *(patient_message.merged(alias, person, base) for alias in person.aliases)]


class Replay:
    """Carries out a kept FHIR message again (``ExchangeService.processors``)."""

    def __init__(self, pipeline: Pipeline, catalogue: Catalogue) -> None:
        self.pipeline = pipeline
        self.catalogue = catalogue

    def process(self, raw: bytes, context: Context) -> object:
        """Raises HubError."""
        message = HttpRequest.of_raw(raw, {"content-type": MEDIA_TYPE})
        return self.pipeline.replay(self.catalogue[context.transaction], message, context)
