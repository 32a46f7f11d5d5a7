# ruff: noqa: ARG002, E501
"""A small region in memory: the portal's pages run against the real pipeline and these services."""

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hub.access.model import Credentials, Principal, Scheme
from hub.audit.model import AuditOutcome, AuditPage, AuditRecord, AuditSearch
from hub.connector.contract import Capability, Check, SourceUnavailable
from hub.connector.loader import SourceHealth
from hub.context import Context, Touched
from hub.documents.model import (
    DEPRECATED,
    Association,
    AssociationType,
    Folder,
    QueryResult,
    RetrievedDocument,
    RetrievedDocuments,
    RetrieveDocuments,
    StoredQuery,
    SubmissionSet,
)
from hub.errors import AccessDenied, HubError, Invalid, NotAuthenticated, NotFound
from hub.exchange.model import (
    Delivery,
    DeliveryState,
    DiscardDelivery,
    DiscardMessage,
    InboxMessage,
    MessageState,
    Page,
    ReplayDelivery,
    ReplayMessage,
    Summary,
)
from hub.imaging.manifest_model import CheckReport
from hub.imaging.model import (
    FindStudies,
    IndexedStudy,
    SourceState,
    SourceStatus,
    StudyAnswer,
)
from hub.patients import details_model as identity_details
from hub.patients.details_model import IdentityDetails
from hub.patients.model import FindPersons, GetPerson, Person, PersonPage
from hub.pipeline.catalogue import discover
from hub.pipeline.pipeline import Pipeline
from hub.pipeline.transaction import Transaction
from hub.portal import document_life
from hub.subscriptions.model import Endpoint, Filter, Subscription, Topic
from hub.usecase import Dispatcher, use_case
from hub.values import Code, PatientIdentifier, new_key, now
from tests.portal import stewarding
from tests.portal.fake_settings import Settings
from tests.portal.made_up import CDA, CT, MARTIN, MR, OLD, STRANGER, entry

PASSWORDS = {"claire": "lune", "omar": "soleil", "zoe": "mer", "sylvie": "vent", "marc": "sable"}
ROLES = {
    "claire": ("Dr Claire Fontaine", frozenset({"patients.query", "imaging.*", "documents.*"})),
    "sylvie": ("Sylvie Arnaud", frozenset({"portal.*", "patients.*"})),
    "marc": ("Marc Vidal", frozenset({"portal.*", "patients.*"})),
    "omar": ("Omar Diallo", frozenset({"exchange.read", "exchange.replay", "sources.*", "audit.read"})),
    "zoe": ("Zoé Marchand", frozenset({"*"})),
}


class TooBroad(Invalid):
    """As the patients room says it."""

    code = "search-too-broad"


@dataclass
class WaysIn:
    """Passwords only."""

    password: bool = True
    card: bool = False
    provider: None = None


class Access:
    """Three people: a clinician, an operator, and one who may do everything."""

    def __init__(self) -> None:
        self.sessions: dict[str, str] = {}

    def sign_in(self, login: str, password: str) -> str:
        if PASSWORDS.get(login) != password:
            raise NotAuthenticated
        token = new_key() + new_key()
        self.sessions[token] = login
        return token

    def open_session(self, principal: Principal, *, provider: str = "", provider_session: str = "") -> str:
        raise NotAuthenticated

    def sign_out(self, token: str) -> None:
        self.sessions.pop(token, None)

    def authenticate(self, credentials: Credentials) -> Principal:
        login = self.sessions.get(credentials.session)
        if login is None:
            raise NotAuthenticated
        name, permissions = ROLES[login]
        return Principal(login, name, Scheme.SESSION, "CH d'Aix", permissions=permissions, person=True)

    def transmitter(self, credentials: Credentials) -> Principal:
        return self.authenticate(credentials)

    def prove(self, credentials: Credentials) -> Credentials:
        self.authenticate(credentials)
        return credentials

    def permit(self, principal: Principal, permission: str, context: Context, command: Any = None) -> None:
        if not principal.authenticated:
            raise NotAuthenticated
        room = permission.split(".", maxsplit=1)[0]
        if not principal.permissions & {permission, f"{room}.*", "*"}:
            raise AccessDenied


class Audit:
    """Keeps what was recorded."""

    def __init__(self) -> None:
        self.records: list[AuditRecord] = []

    def record(self, transaction: Transaction, context: Context, error: HubError | None, milliseconds: int) -> None:
        self.records.insert(
            0,
            AuditRecord(
                id=new_key(),
                at=now(),
                transaction=transaction.id,
                event_code=transaction.audit.code,
                event_display=transaction.audit.display,
                action=transaction.audit.action,
                outcome=AuditOutcome.SERIOUS_FAILURE if error else AuditOutcome.SUCCESS,
                principal_id=context.principal.id,
                principal_name=context.principal.name,
                scheme=context.principal.scheme,
                purpose=context.purpose,
                peer=context.peer,
                source=context.source,
                correlation_id=context.correlation_id,
                error_code=error.code if error else "",
                milliseconds=milliseconds,
                objects=tuple(context.touched),
            ),
        )

    def begin(self, transaction: Transaction, context: Context, milliseconds: int) -> Callable[[HubError | None], None]:
        return lambda error: self.record(transaction, context, error, milliseconds)

    def search(self, search: AuditSearch) -> AuditPage:
        wanted = {(search.kind, reference) for reference in search.references}
        found = [
            one for one in self.records if not wanted or wanted & {(item.kind, item.reference) for item in one.objects}
        ]
        start = int(search.cursor or 0)
        end = start + search.limit
        return AuditPage(tuple(found[start:end]), str(end) if end < len(found) else "")


class Details:
    """What a hospital says of the first person's number, all of it; a code that no table has is shown as it is."""

    def of_person(self, regional: PatientIdentifier) -> tuple[IdentityDetails, ...]:
        said = ("INSI", "20240105", "<b>X", "20301231", "N", "31/02/1979", "39", "Y", "8", "84")
        number = MARTIN.identities[0].identifier
        return (IdentityDetails(number, identity_details.Details(*said)),) if regional == MARTIN.regional else ()


class Patients:
    """Two persons that everybody knows, and those whom stewards look at."""

    def __init__(self, index: stewarding.Index) -> None:
        self.index = index
        self.person, self.links = index.person, index.links

    def everybody(self) -> list[Person]:
        homes = dict.fromkeys(self.index.homes.values())
        found = [self.index.person(home) for home in homes]
        return [one for one in found if one is not None]

    @use_case
    def find(self, command: FindPersons, context: Context) -> PersonPage:
        context.touch("query", "persons")
        if not command.identifier_value and not command.birth_date and len(command.name) < 2:
            raise TooBroad
        found = []
        for person in self.everybody():
            if command.identifier_value:
                if command.identifier_value in {identifier.value for identifier in person.identifiers}:
                    found.append(person)
            elif person.traits.birth_name.startswith((command.name, command.name.upper())):
                found.append(person)
        start, end = int(command.cursor or 0), int(command.cursor or 0) + command.limit
        return PersonPage(tuple(found[start:end]), str(end) if end < len(found) else "")

    @use_case
    def get(self, command: GetPerson, context: Context) -> Person:
        for person in self.everybody():
            if command.identifier in person.identifiers:
                context.touch("patient", person.regional.cx)
                return person
        raise NotFound


class Imaging:
    """PACS_A and the index answer, PACS_B knows one study more and may hold others, PACS_C is down."""

    indexed: tuple[IndexedStudy, ...] = (CT, MR)
    page = 500

    @use_case
    def find(self, command: FindStudies, context: Context) -> StudyAnswer:
        context.touch("query", "studies")
        mine = command.person in (None, MARTIN.regional)
        wanted = command.study_instance_uids
        index = [one for one in self.indexed if mine and (not wanted or one.study.study_instance_uid in wanted)]
        if not command.live or not command.sources:
            end = command.offset + self.page
            status = SourceStatus("", SourceState.INDEX, len(index), 2)
            return StudyAnswer(tuple(index[command.offset : end]), (status,), len(index), more=len(index) > end)
        (source,) = command.sources
        if source == "PACS_C":
            time.sleep(0.2)
            status = SourceStatus(source, SourceState.LATE, 0, 200, "The deadline passed before the answer came.")
            return StudyAnswer((), (status,))
        found = [one for one in (CT, MR, OLD) if mine and one.study.source == source]
        found = [one for one in found if not wanted or one.study.study_instance_uid in wanted]
        state, reason = (SourceState.CUT, "It may hold more.") if source == "PACS_B" else (SourceState.ANSWERED, "")
        return StudyAnswer(tuple(found), (SourceStatus(source, state, len(found), 64, reason),))


class Documents:
    """A CDA report, a manifest that no person reads, a letter in plain text, a PDF, something unknown."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.entries = (
            entry("2.25.100", "text/xml", "Compte rendu de scanner thoracique", "20240312143000"),
            entry("2.25.101", "application/dicom", "Manifest", "20240312143100"),
            entry("2.25.102", "text/plain", "Lettre de sortie", "20210606080000"),
            entry("2.25.103", "application/pdf", "Compte rendu opératoire", "20200101080000"),
            entry("2.25.104", "application/x-unknown", "Fichier joint", "20180101080000"),
        )
        first = entry("2.25.99", "text/xml", "Compte rendu provisoire", "20240312120000")
        self.former = (
            replace(first, status=DEPRECATED),
            replace(self.entries[0], id="urn:uuid:2.25.100-1", title="Compte rendu", status=DEPRECATED),
            replace(entry("2.25.98", "text/xml", "Compte rendu de quelqu'un d'autre", "2024"), patient_id=STRANGER),
        )
        self.entries = (replace(self.entries[0], version=2), *self.entries[1:])
        self.life = (
            Association("urn:uuid:a1", AssociationType.REPLACE, self.entries[0].id, first.id),
            Association("urn:uuid:a2", AssociationType.APPEND, self.entries[2].id, self.entries[0].id),
            Association("urn:uuid:a3", AssociationType.TRANSFORM, self.entries[0].id, "urn:uuid:2.25.98"),
            Association("urn:uuid:a4", "urn:example:other", self.entries[0].id, self.entries[3].id, status=DEPRECATED),
            SubmissionSet("urn:uuid:s1", "1.9", "1.9.9", MARTIN.regional, "20240312143000", title="Envoi du soir"),
            SubmissionSet("urn:uuid:s2", "1.8", "1.9.9", MARTIN.regional, "20240313080000", Code("1", "2", "Rappel")),
            Association("urn:uuid:m1", AssociationType.HAS_MEMBER, "urn:uuid:s1", self.entries[0].id, "Original"),
            Association("urn:uuid:m2", AssociationType.HAS_MEMBER, "urn:uuid:s2", self.entries[0].id, "Reference"),
            Folder("urn:uuid:f1", "1.7", MARTIN.regional, (Code("T", "1", "Thorax"),), "20240313", "Suivi du thorax"),
        )
        self.contents = {
            "2.25.100": CDA.encode(),
            "2.25.101": b"DICM",
            "2.25.102": "Chère consœur,\n<b>tout</b> va bien.".encode(),
            "2.25.103": b"%PDF-1.4\n%%EOF\n",
            "2.25.104": b"?",
        }

    @use_case
    def query(self, command: StoredQuery, context: Context) -> QueryResult:
        values = {value for groups in command.parameters.values() for group in groups for value in group}
        if command.query_id != document_life.GET_DOCUMENTS and self.entries[0].id in values:
            kinds = {
                document_life.GET_ASSOCIATIONS: Association,
                document_life.GET_SUBMISSION_SETS: Association | SubmissionSet,
                document_life.GET_FOLDERS: Folder,
            }
            return QueryResult(tuple(item for item in self.life if isinstance(item, kinds[command.query_id])))
        if "$MetadataLevel" in command.parameters:
            every = (*self.entries, *self.former)
            return QueryResult(tuple(one for one in every if {one.unique_id, one.id} & values))
        if MARTIN.regional.cx in values:
            return QueryResult(self.entries)
        return QueryResult(tuple(entry for entry in self.entries if entry.unique_id in values))

    @use_case
    def retrieve(self, command: RetrieveDocuments, context: Context) -> RetrievedDocuments:
        found = []
        for request in command.requests:
            entry = next(one for one in self.entries if one.unique_id == request.document_unique_id)
            content = self.contents[entry.unique_id]
            path = self.directory / hashlib.sha256(content).hexdigest()
            path.write_bytes(content)
            context.touch("document", entry.unique_id)
            found.append(RetrievedDocument(request, entry.mime_type, path, len(content)))
        return RetrievedDocuments(tuple(found))


class Exchange:
    """A day in the life of an inbox."""

    def __init__(self) -> None:
        at = datetime(2024, 3, 12, 14, 0, tzinfo=UTC)
        self.inbox = {
            message.id: message
            for message in (
                InboxMessage(
                    "m4", "RAD-28", "hl7v2", "RIS_A", "MSG0004", "ORU^R01", MessageState.PROCESSED,
                    at + timedelta(minutes=91), at + timedelta(minutes=91), 1,
                    effects=(Touched("document", "2.25.100"), Touched("delivery", "d2")), size=18211, correlation_id="c4",
                ),
                InboxMessage(
                    "m3", "ITI-30", "hl7v2", "HIS_B", "MSG0003", "ADT^A28", MessageState.REFUSED,
                    at + timedelta(minutes=14), None, 1, "PID-3 names no assigning authority.", "unknown-authority",
                    "c3", size=612, raw=b"MSH|^~\\&|HIS|B|||20240312||ADT^A28|MSG0003|P|2.5\rPID|||778812||MARTIN^JEANNE\x01\r",
                ),
                InboxMessage(
                    "m2", "RAD-2", "hl7v2", "RIS_A", "MSG0002", "ORM^O01", MessageState.PROCESSED,
                    at + timedelta(minutes=9), at + timedelta(minutes=9), 1,
                    effects=(Touched("order", "ACC-2024-118"),), size=901, correlation_id="c2",
                ),
                InboxMessage(
                    "m1", "ITI-30", "hl7v2", "HIS_A", "MSG0001", "ADT^A04", MessageState.PROCESSED, at, at, 1,
                    effects=(Touched("patient", "REG-000417"),), size=844, correlation_id="c1",
                ),
            )
        }  # fmt: skip
        self.outbox = {
            delivery.id: delivery
            for delivery in (
                Delivery(
                    "d2", "source:PACS_A", "publish-study", {"study": "1.2.3"}, DeliveryState.DONE, attempts=1,
                    created_at=at, done_at=at, message_id="m4", effects=(Touched("manifest", "2.25.4711"),),
                ),
                Delivery(
                    "d1", "source:PACS_C", "publish-study", {"study": "1.2.4"}, DeliveryState.DEAD, attempts=8,
                    created_at=at, reason="The source does not answer.", error_code="source-unavailable",
                ),
            )
        }  # fmt: skip

    def messages(self, page: Page) -> Sequence[InboxMessage]:
        return [
            message
            for message in self.inbox.values()
            if page.state in ("", message.state) and page.source in ("", message.source)
        ][: page.limit]

    def message(self, message_id: str) -> InboxMessage:
        if message_id not in self.inbox:
            raise NotFound
        return self.inbox[message_id]

    def deliveries(self, page: Page) -> Sequence[Delivery]:
        return [delivery for delivery in self.outbox.values() if page.state in ("", delivery.state)][: page.limit]

    def delivery(self, delivery_id: str) -> Delivery:
        if delivery_id not in self.outbox:
            raise NotFound
        return self.outbox[delivery_id]

    def summary(self) -> Summary:
        return Summary(
            {MessageState.PROCESSED: 3, MessageState.REFUSED: 1}, {DeliveryState.DONE: 1, DeliveryState.DEAD: 1}
        )

    @use_case
    def replay_message(self, command: ReplayMessage, context: Context) -> InboxMessage:
        message = replace(self.message(command.message_id), state=MessageState.PROCESSED, reason="", attempts=2)
        self.inbox[message.id] = message
        return message

    @use_case
    def discard_message(self, command: DiscardMessage, context: Context) -> InboxMessage:
        message = replace(self.message(command.message_id), state=MessageState.DISCARDED)
        self.inbox[message.id] = message
        return message

    @use_case
    def replay_delivery(self, command: ReplayDelivery, context: Context) -> Delivery:
        delivery = replace(self.delivery(command.delivery_id), state=DeliveryState.WAITING, attempts=0)
        self.outbox[delivery.id] = delivery
        return delivery

    @use_case
    def discard_delivery(self, command: DiscardDelivery, context: Context) -> Delivery:
        delivery = replace(self.delivery(command.delivery_id), state=DeliveryState.DISCARDED)
        self.outbox[delivery.id] = delivery
        return delivery


class Sources:
    def __init__(self) -> None:
        at = datetime(2024, 3, 12, 16, 1, 5, tzinfo=UTC)
        self.states = {
            "PACS_A": SourceHealth("PACS_A", "dicomweb", "CH d'Aix", at),
            "PACS_B": SourceHealth("PACS_B", "dimse", "Clinique Saint-Roch", at),
            "PACS_C": SourceHealth("PACS_C", "dimse", "CH de Digne", None, "The source does not answer.", "", at, 3),
        }

    def can(self, name: str, capability: Capability) -> bool:
        return name == "PACS_A" or capability in (Capability.FIND_STUDIES, Capability.RETRIEVE_INSTANCES)

    def check(self, name: str) -> Sequence[Check]:
        if name == "PACS_C":
            raise SourceUnavailable
        return (
            Check("connect", True, "TCP and TLS to 127.0.0.1:8042", 3),
            Check("find", name != "PACS_B", "Asked for one study; the answer took its time.", 18),
        )

    def health(self) -> Sequence[SourceHealth]:
        return tuple(self.states.values())


class Metrics:
    def transaction(self, transaction_id: str, outcome: str, seconds: float) -> None: ...


class Subscriptions:
    """One by push, one that waits to be pulled."""

    def active(self, limit: int = 200) -> list[Subscription]:
        one = Subscription(
            id="s1",
            owner="ris-digne",
            topic=Topic.FULL_DOCUMENT_ENTRY,
            filter=Filter("urn:uuid:aa2332d0-f8fe-11e0-be50-0800200c9a66", {}),
            consumer=Endpoint("https://ris.digne.example/secret-path"),
            expires_at=datetime(2030, 1, 1, tzinfo=UTC),
            patient="SECRET-NUMBER^^^&1.2.3&ISO",
            notified_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        return [one, replace(one, id="s2", owner="mssante", patient="", pull_point="p1", notified_at=None)][:limit]


class Life:
    """A check last night."""

    def last(self) -> CheckReport | None:
        night = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
        return CheckReport("nightly-2026-03-02", night, night, checked=1204, differing=3, unreachable=2, repaired=3)


class Hub:
    """The whole region."""

    def __init__(self, directory: Path, viewer: Path | None = None) -> None:
        self.settings = Settings(viewer=viewer)
        self.access = Access()
        self.ways_in = WaysIn()
        self.audit = Audit()
        self.exchange = Exchange()
        self.sources = Sources()
        self.subscriptions = Subscriptions()
        self.life = Life()
        self.index = stewarding.region()
        self.patients, self.orphans = Patients(self.index), stewarding.Orphans()
        self.details = Details()
        self.stewardship = stewarding.Stewardship(self.index)
        self.imaging = Imaging()
        services = [self.patients, self.stewardship, self.orphans, self.imaging, Documents(directory), self.exchange]
        unused: Any = None
        self.catalogue = discover()
        database: Any = SimpleNamespace(holding=nullcontext)
        self.pipeline = Pipeline(database, Dispatcher(services), self.access, self.audit, unused, {}, Metrics())
        self.problem = ""

    def vocabulary_problem(self) -> str:
        return self.problem
