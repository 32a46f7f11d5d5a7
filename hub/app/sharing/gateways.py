"""Both gateways, wired: what other communities may ask of this one, and how this one asks them (XCA, XCA-I, XCPD)."""

from datetime import timedelta

from hub.access.rights_model import Rights
from hub.app.keys.tls import client_context
from hub.app.settings.model import Settings
from hub.app.sharing.communities import clients
from hub.app.web.http import MEGABYTE
from hub.app.web.replies import Replies
from hub.documents.service import DocumentService
from hub.exchange.service import ExchangeService
from hub.federation.communities import CommunityService
from hub.federation.discovery import DiscoveryService
from hub.federation.responding import RespondingGateway
from hub.imaging.service import ImagingService
from hub.patients.discovery import Matcher
from hub.patients.service import PatientService
from hub.storage.content import ContentStore
from hub.storage.engine import Database
from hub.wire.soap.message import Limits


class Gateways:
    """``communities`` asks others, ``responding`` answers them, ``discovery`` knows who is known where, ``replies``
    carries answers that are not wanted on the connection."""

    def __init__(
        self,
        settings: Settings,
        *,
        database: Database,
        content: ContentStore,
        patients: PatientService,
        documents: DocumentService,
        imaging: ImagingService,
        outbox: ExchangeService,
        rights: Rights,
    ) -> None:
        home, tls = settings.region.home_community_id, settings.tls
        web, options = settings.web, settings.gateways
        limits = Limits(
            envelope=web.max_message_mb * MEGABYTE, body=web.max_body_mb * MEGABYTE, spool=content.incoming()
        )
        self._clients = clients(settings, content.receive, limits)
        self.replies = Replies(
            settings.storage.content / "replies", options.reply_hosts, outbox.enqueue, lambda: client_context(tls)
        )
        self.discovery = DiscoveryService(
            database=database,
            patients=patients,
            matcher=Matcher(patients),
            home_community_id=home,
            time_to_live=timedelta(days=options.correlation_days),
        )
        if any(community.discovers for community, _ in self._clients):
            patients.listeners.append(self.discovery.changed)
        self.communities = CommunityService(
            communities=self._clients,
            documents=documents,
            images=imaging,
            studies=imaging.readers,
            patients=patients,
            home_community_id=home,
            discovery=self.discovery,
            rights=rights,
        )
        self.responding = RespondingGateway(
            documents=documents, images=imaging, patients=patients, home_community_id=home
        )

    def close(self) -> None:
        """Close the connections to other communities."""
        for _, client in self._clients:
            client.close()
