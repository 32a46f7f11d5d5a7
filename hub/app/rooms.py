"""Every room of the hub, built from the settings. What runs on them (the path, servers, workers) is in ``wiring``."""

from collections.abc import Callable
from pathlib import Path

from hub.access.model import Client, User
from hub.access.rights import RightsService
from hub.access.service import AccessService
from hub.app import rights
from hub.app.dimse.server import title_permissions
from hub.app.doors import every as doors
from hub.app.doors import tokens as door_tokens
from hub.app.doors.trust_list import TrustList
from hub.app.keys.certificates import Certificates
from hub.app.keys.tls import client_context
from hub.app.patients import matching
from hub.app.patients.fhir import FhirPatients
from hub.app.provider import ways_in
from hub.app.running.nightly import NightlyCheck
from hub.app.running.scratch import Scratch
from hub.app.settings import regional
from hub.app.settings.model import Settings
from hub.app.settings.sources import Connectors, source_configs
from hub.app.sharing import notices, study_list, vocabulary
from hub.app.sharing.gateways import Gateways
from hub.app.sharing.subscriptions import Notifier
from hub.app.sharing.subscriptions import build as build_broker
from hub.audit.service import AuditService
from hub.connector.contract import Environment
from hub.connector.loader import Sources, manifests
from hub.documents.administration import RemovalService, UpdateService
from hub.documents.amending import AmendingService
from hub.documents.moving import DocumentsFollow
from hub.documents.multipatient import MultiPatientService
from hub.documents.offers import OffersFollow
from hub.documents.service import DocumentService
from hub.documents.sharing import SharingService
from hub.documents.sharing_model import Custodian
from hub.documents.withdrawal import WithdrawalService
from hub.exchange.service import ExchangeService
from hub.federation.service import FederationService
from hub.federation.shared import SharedElsewhere
from hub.imaging.archive import KIND, HubArchive
from hub.imaging.kept import KeptObjects
from hub.imaging.life import ManifestLife
from hub.imaging.manifest_model import Flavour
from hub.imaging.masking import Masking
from hub.imaging.metadata import vocabulary_of
from hub.imaging.model import SourceInfo
from hub.imaging.orphans import OrphanService
from hub.imaging.service import ImagingService
from hub.patients.authorities import AuthorityDirectory
from hub.patients.details import DetailsService
from hub.patients.known import KnownPersons
from hub.patients.portions import PortionService
from hub.patients.service import PatientService
from hub.patients.stewardship import Stewardship
from hub.patients.visits import VisitService
from hub.storage.content import ContentStore
from hub.storage.engine import Database
from hub.subscriptions.pull_points import PullPointService
from hub.values import Code


class Rooms:
    """The rooms, by name; ``database`` and ``content`` hold what they keep."""

    def __init__(self, settings: Settings, environment: Environment, public_url: Callable[[], str]) -> None:
        self.settings = settings.model_copy(update={"viewer": regional.viewer_directory(settings)})
        self._url = public_url
        storage = settings.storage
        self.database = open_database(settings)
        self.content = ContentStore(storage.content)
        self.scratch = Scratch(storage.content / "series")
        self.directory = AuthorityDirectory(
            database=self.database,
            configured=tuple(regional.authorities(settings)),
            accept_new=settings.security.accept_new_authorities,
        )
        self.kept = KeptObjects(storage.content / "dimse")
        self._build_people()
        self._build_documents()
        self._build_imaging(environment)
        self._build_gateways()

    def _build_people(self) -> None:
        settings, region = self.settings, self.settings.region
        clients = [Client(**client.model_dump(exclude={"certificate_subject", "ca"})) for client in settings.clients]
        self.access = AccessService(
            database=self.database,
            clients=clients,
            users=[User(**user.model_dump()) for user in settings.users],
            ae_titles=title_permissions(settings),
            node_authentication=settings.security.node_authentication,
            session_minutes=settings.security.session_minutes,
        )
        self.certificates = Certificates(settings)
        self.trust_list = TrustList(settings.drimbox) if settings.drimbox.enabled else None
        self.sweeps: list[Callable[[], None]] = []  #: what is let go of now and then
        doors.open_all(self)
        self.oauth = door_tokens.build(settings, self.database, self.access, clients, self._url)
        self.sweeps.append(self.oauth.issuer.tokens.forget)
        self.ways_in = ways_in.build(settings, self.database, self.access, self._url)
        self.rights: RightsService = rights.build(settings, self.database)
        self.audit = AuditService(database=self.database, spool=settings.storage.content / "audit")
        self.exchange = ExchangeService(database=self.database)
        self.patients = PatientService(
            database=self.database,
            directory=self.directory,
            affinity_domain=region.affinity_domain,
            other_affinity_domains=region.other_affinity_domains,
            external_index=region.external_index,
        )
        self.patients.weigh = matching.weigh(settings.patients.matching)
        self.rights.people = KnownPersons(self.patients)
        self.portions = PortionService(self.database, self.patients)
        self.details = DetailsService(database=self.database, patients=self.patients)
        self.visits = VisitService(
            database=self.database, patients=self.patients, portions=self.portions, details=self.details
        )
        self.consents, self.care = rights.connect(self)
        self.stewardship = Stewardship(patients=self.patients, four_eyes=settings.patients.four_eyes)
        self.notices = notices.build(
            settings,
            database=self.database,
            patients=self.patients,
            outbox=self.exchange,
            audit=self.audit,
            receive=self.content.receive,
        )

    def _build_documents(self) -> None:
        settings, region = self.settings, self.settings.region
        self.vocabulary = vocabulary.VocabularyFile(settings.vocabulary) if settings.vocabulary else None
        self.documents = DocumentService(
            database=self.database,
            content=self.content,
            patients=self.patients,
            repository_unique_id=region.repository_unique_id,
            affinity_domains=(region.affinity_domain, *region.other_affinity_domains),
            home_community_id=region.home_community_id,
            vocabulary=self.vocabulary,
            rights=self.rights,
        )
        self._build_subscriptions()
        self.on_demand = study_list.build(settings, self.documents, self.content, self.patients.person, self.exchange)
        follow = DocumentsFollow(database=self.database, patients=self.patients)
        follow.settled.append(OffersFollow(self.on_demand).settled)
        self.patients.regrouped.append(follow.regrouped)
        self.population = MultiPatientService(
            database=self.database,
            patients=self.patients,
            home_community_id=region.home_community_id,
            rights=self.rights,
        )
        self.updates = UpdateService(documents=self.documents)
        self.removals = RemovalService(documents=self.documents, content=self.content, in_use=self._in_use)
        generated = {name: text.split("^") for name, text in settings.mhd.generated.items()}
        self.sharing = SharingService(
            documents=self.documents,
            content=self.content,
            patients=self.patients,
            affinity_domains=(region.affinity_domain, *region.other_affinity_domains),
            source_id=region.source_id,
            custodian=Custodian(region.name, region.home_community_id) if settings.mhd.french else None,
            generated={name: Code(value, scheme, shown) for name, (value, shown, scheme) in generated.items()},
            language=region.language,
        )
        self.amending = AmendingService(
            updates=self.updates, source_id=region.source_id, custodian=self.sharing.custodian
        )

    def _build_imaging(self, environment: Environment) -> None:
        settings, region = self.settings, self.settings.region
        archive = HubArchive(
            settings.archive.name,
            database=self.database,
            objects=self.kept,
            patients=self.patients,
            authority_of=regional.authority_of_sender(settings, self.directory),
        )
        installed = {**manifests(), KIND: archive.manifest()}
        self.sources = Sources(source_configs(settings), environment, installed)
        connectors, infos = Connectors(self.sources), self.infos()
        withdrawals = WithdrawalService(database=self.database)
        withdrawals.listeners.append(self.documents.withdrawn)
        flavour = Flavour(settings.imaging.manifest)
        self.imaging = ImagingService(
            database=self.database,
            sources=connectors,
            infos=infos,
            patients=self.patients,
            documents=self.documents,
            withdrawals=withdrawals,
            exchange=self.exchange,
            content=self.content,
            cache=self.scratch.path / "cache",
            source_id=region.source_id,
            retrieve_url=lambda: f"{self._url()}/dicom-web",
            fixed_url=f"{settings.web.public_url.rstrip('/')}/dicom-web" if settings.web.public_url else "",
            ae_title=settings.dimse.ae_title,
            publish_on=settings.imaging.publish_on,
            flavour=flavour,
            vocabulary=vocabulary_of(flavour, region.language),
            archive=archive,
            stable_after=settings.archive.stable_after if settings.archive.publish else None,
            archive_follows=settings.imaging.archive_follows,
            home_community_id=region.home_community_id,
            rights=self.rights,
        )
        self.imaging.listen(self.patients)
        masking = Masking(
            database=self.database,
            updates=self.updates,
            withdrawals=withdrawals,
            vocabulary=self.imaging.publisher.settings.vocabulary,
            source_id=region.source_id,
        )
        self.imaging.report_listeners.append(masking.asked)
        self.consents.listeners.append(self.imaging.said)
        self.orphans = OrphanService(self.database)
        self.life = ManifestLife(
            database=self.database, imaging=self.imaging, documents=self.documents, withdrawals=withdrawals
        )
        self.nightly = NightlyCheck(self.life, at=settings.imaging.check_at, repair=settings.imaging.check_repair)
        self.federation = FederationService(
            database=self.database,
            sources=connectors,
            infos=infos,
            patients=self.patients,
            affinity_domain=region.affinity_domain,
            max_studies=settings.imaging.max_studies,
            rights=self.rights,
        )

    def _build_subscriptions(self) -> None:
        self.subscriptions = build_broker(
            self.settings.subscriptions,
            database=self.database,
            patients=self.patients,
            access=self.access,
            outbox=self.exchange,
            public_url=self._url,
            rights=self.rights,
        )
        self.pull_points = PullPointService(database=self.database, told=self.subscriptions.told)
        self.documents.observers.append(self.subscriptions.happened)
        tls = self.settings.tls
        self.notifier = Notifier(self.subscriptions, self.audit, lambda: client_context(tls), self._url)
        settings = self.settings
        self.fhir_patients = FhirPatients(
            settings.subscriptions,
            database=self.database,
            patients=self.patients,
            access=self.access,
            outbox=self.exchange,
            audit=self.audit,
            tls=lambda: client_context(tls),
            public_url=self._url,
            scorer=matching.scorer_of(settings.patients.matching) if settings.patients.matching.enabled else None,
        )

    def _build_gateways(self) -> None:
        self.gateways = Gateways(
            self.settings,
            database=self.database,
            content=self.content,
            patients=self.patients,
            documents=self.documents,
            imaging=self.imaging,
            outbox=self.exchange,
            rights=self.rights,
        )
        self.communities, self.responding = self.gateways.communities, self.gateways.responding
        self.discovery, self.replies = self.gateways.discovery, self.gateways.replies
        if self.settings.communities:
            self.sharing.elsewhere = SharedElsewhere(self.communities, unnamed=self.settings.mhd.communities)

    def _in_use(self, address: str) -> bool:
        """Whether a document or a study's metadata has these bytes."""
        return self.documents.refers_to(address) or self.imaging.knows_content(address)

    def infos(self) -> tuple[SourceInfo, ...]:
        """What the imaging rooms know of every source."""
        return regional.source_infos(self.settings, self.directory)


def open_database(settings: Settings) -> Database:
    """The configured database; the directory of an SQLite file is made."""
    database = Database(settings.storage.database, pool_size=settings.storage.pool_size)
    if database.sqlite and database.url.database:
        Path(database.url.database).parent.mkdir(parents=True, exist_ok=True)
    return database
