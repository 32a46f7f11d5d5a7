"""The connector to the national record: every request on mutual TLS, with a VIHF signed by the seal."""

import contextlib
import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from connectors.dmp import certificates, lots, people
from connectors.dmp.config import DmpConfig
from connectors.dmp.errors import refusal, said
from hub.access.model import Professional
from hub.connector.contract import (
    Check,
    ConnectorError,
    Environment,
    SourceAnswerTooLarge,
    SourceLied,
    SourceMisconfigured,
    SourceUnavailable,
)
from hub.connector.record import (
    Asker,
    Fetched,
    Life,
    Lot,
    RecordCertificateRefused,
    RecordQuery,
    RecordRefused,
    RecordStatus,
)
from hub.connector.self_test import carry_out
from hub.documents.model import (
    APPROVED,
    Association,
    AssociationType,
    Author,
    DocumentEntry,
    DocumentRequest,
    Submission,
    SubmissionSet,
)
from hub.errors import HubError, Invalid, Malformed, Misconfigured, TooLarge, Unavailable
from hub.values import Code, PatientIdentifier, new_uuid
from hub.wire.ebxml.errors import read_problems
from hub.wire.ebxml.names import SUCCESS
from hub.wire.ebxml.queries import read_answer, write_query
from hub.wire.ebxml.retrieve import read_retrieved, write_retrieve
from hub.wire.ebxml.submissions import write_provided, write_submission
from hub.wire.hl7v3.names import action
from hub.wire.http_client import StreamingTransport
from hub.wire.saml.issuing import issue, security
from hub.wire.saml.vihf import Form, Mode, Software, vihf
from hub.wire.soap.client import SoapClient, SoapFault, spool_to
from hub.wire.soap.message import Limits, Outgoing, SoapMessage
from hub.wire.xml import Element

PROVIDE = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
QUERY = "urn:ihe:iti:2007:RegistryStoredQuery"
RETRIEVE = "urn:ihe:iti:2007:RetrieveDocumentSet"
UPDATE = "urn:ihe:iti:2010:UpdateDocumentSet"
FIND_DOCUMENTS = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
GET_DOCUMENTS = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"
BY_REFERENCE = "urn:uuid:12941a89-e02e-4be5-967c-ce4bfc8fe492"
#: Documents that are asked for at a time.
BATCH = 20
STATUSES: Mapping[Life, str] = {
    Life.APPROVED: APPROVED,
    Life.ARCHIVED: "urn:asip:ci-sis:2010:StatusType:Archived",
    Life.DELETED: "urn:asip:ci-sis:2010:StatusType:Deleted",
}
_ANSWER = 2.0  #: seconds that a server has to refuse our certificate, before anything is sent that hides why
_CHANGE = Code("07", "1.2.250.1.213.2.2", "Consultation")


class DmpConnector:
    """One organisation at the DMP. Thread-safe."""

    def __init__(self, name: str, config: DmpConfig, environment: Environment) -> None:  # noqa: ARG002
        self.name = name
        self.config = config
        self._closed = False
        self._tls = _context(config)
        self._seal = lots.Seal(_bytes(config.seal_key), _bytes(config.seal_certificate))
        if _bytes(config.seal_certificate) == _bytes(config.tls_certificate):
            raise SourceMisconfigured("The seal's certificate must be another one than the connection's.")
        self._transport = StreamingTransport(tls=self._tls, max_connections=config.max_connections)
        self._software = Software(
            config.software_name, config.software_version, config.software_id, config.homologation
        )
        self._form = Form(
            version=config.vihf_version,
            mode_attribute=config.vihf_mode_attribute,
            resource=config.resource,
            minutes=config.vihf_minutes,
        )

    def close(self) -> None:
        """Close the connections."""
        self._closed = True
        self._transport.close()

    def check(self) -> Sequence[Check]:
        """The keys, the address, whether the certificate is taken, whether the VIHF is."""
        return carry_out(
            [
                ("certificates", lambda: certificates.look(self.config)),
                ("keys", self._check_keys),
                ("connection", self._check_connection),
                ("certificate", self._check_certificate),
            ]
        )

    # TD0.2, TD0.3

    def status(self, patient: PatientIdentifier, asker: Asker, *, timeout: float) -> RecordStatus:
        """TD0.2. Raises ConnectorError."""
        body = people.write_question(patient, self.config)
        with self._asking("patients", action(people.QUESTION), body, patient, asker, timeout=timeout) as answer:
            return people.read_status(answer.body)

    def authorise(self, patient: PatientIdentifier, asker: Asker, *, withdraw: bool = False, timeout: float) -> None:
        """TD0.3: for a professional, never for the organisation itself. Raises ConnectorError."""
        if asker.professional is None:
            raise RecordRefused("Only a professional declares themselves authorised on a record.")
        body = people.write_authorisation(patient, withdraw=withdraw)
        called = self.config.authorisation_action
        with self._asking("habilitations", called, body, patient, asker, timeout=timeout) as answer:
            people.check_authorised(answer.body)

    # TD2.1

    def submit(self, lot: Lot, asker: Asker, *, timeout: float) -> None:
        """TD2.1a and b. Raises RecordMetadataUnfit before anything is sent, else what the record says."""
        with _translated():
            made = lots.prepare(lot, self.config, self._seal)
            body = lots.name_as_nh(write_provided(made.submission, made.content_ids))
        with self._asking("repository", PROVIDE, body, lot.patient, asker, parts=made.parts, timeout=timeout) as answer:
            _succeeded(answer.body)

    # TD3.1, TD3.2

    def locate(
        self, patient: PatientIdentifier, unique_ids: Sequence[str], asker: Asker, *, timeout: float
    ) -> Mapping[str, DocumentEntry]:
        """TD3.1b. Raises ConnectorError."""
        found: dict[str, DocumentEntry] = {}
        for start in range(0, len(unique_ids), BATCH):
            wanted = {"$XDSDocumentEntryUniqueId": list(unique_ids[start : start + BATCH])}
            for entry in self._query(GET_DOCUMENTS, wanted, patient, asker, timeout):
                found[entry.unique_id] = entry
        return found

    def find(self, query: RecordQuery, asker: Asker, *, timeout: float) -> Sequence[DocumentEntry]:
        """TD3.1a: approved documents, archived ones where asked. Raises ConnectorError."""
        lives = (Life.APPROVED, Life.ARCHIVED) if query.archived else (Life.APPROVED,)
        wanted: dict[str, str | list[str]] = {
            "$XDSDocumentEntryPatientId": f"{query.patient.cx}^NH",
            "$XDSDocumentEntryStatus": [STATUSES[life] for life in lives],
        }
        for name, values in (
            ("TypeCode", query.types),
            ("FormatCode", query.formats),
            ("EventCodeList", query.events),
            ("ReferenceIdList", query.references),
        ):
            if values:
                wanted[f"$XDSDocumentEntry{name}"] = list(values)
        kind = BY_REFERENCE if query.references else FIND_DOCUMENTS
        numbers = {"CreationTimeFrom": query.created_from, "CreationTimeTo": query.created_to}
        wanted |= {f"$XDSDocumentEntry{name}": value for name, value in numbers.items() if value}
        found = self._query(kind, wanted, query.patient, asker, timeout)
        # A record tells of other persons' documents never; what bears another number all the same is shown, since the
        # record may know a person by several (EX_3.1-1055).
        return tuple(found)

    def fetch(self, patient: PatientIdentifier, unique_id: str, asker: Asker, *, timeout: float) -> Fetched:
        """TD3.2. Raises ConnectorError."""
        body = write_retrieve([DocumentRequest(self.config.repository_unique_id, unique_id)])
        with self._asking("repository", RETRIEVE, body, patient, asker, mtom=True, timeout=timeout) as message:
            answer = read_retrieved(message)
            if answer.problems or answer.status != SUCCESS:
                raise said(answer.problems)
            if len(answer.documents) != 1 or answer.documents[0].request.document_unique_id != unique_id:
                raise SourceLied("The record gave another document than the one that was asked for.")
            document = answer.documents[0]
            if document.content.size > self.config.max_document_mb << 20:
                raise SourceAnswerTooLarge()
            return Fetched(unique_id, document.mime_type, document.content.path.read_bytes())

    def _query(
        self,
        query_id: str,
        parameters: Mapping[str, str | list[str]],
        patient: PatientIdentifier,
        asker: Asker,
        timeout: float,
    ) -> list[DocumentEntry]:
        body = write_query(query_id, parameters)
        with self._asking("registry", QUERY, body, patient, asker, timeout=timeout) as message:
            answer = read_answer(lots.without_nh(message.body))
            if answer.problems or answer.status != SUCCESS:
                raise said(answer.problems)
            return [item for item in answer.objects if isinstance(item, DocumentEntry)]

    # TD3.3

    def change_life(self, entry: DocumentEntry, life: Life, asker: Asker, *, timeout: float) -> None:
        """TD3.3c and d. Raises ConnectorError."""
        owner = self._change_set(entry)
        change = Association(
            new_uuid(),
            AssociationType.UPDATE_STATUS,
            owner.id,
            entry.id,
            original_status=entry.status,
            new_status=STATUSES[life],
        )
        self._update(Submission(owner, associations=(change,)), entry.patient_id, asker, timeout)

    def change_confidentiality(
        self, entry: DocumentEntry, codes: tuple[Code, ...], asker: Asker, *, timeout: float
    ) -> None:
        """TD3.3a and b: a new version of the entry. Raises ConnectorError."""
        owner = self._change_set(entry)
        fresh = replace(entry, id=new_uuid(), confidentiality_codes=codes)
        member = Association(
            new_uuid(), AssociationType.HAS_MEMBER, owner.id, fresh.id, "Original", previous_version=entry.version
        )
        self._update(Submission(owner, (fresh,), associations=(member,)), entry.patient_id, asker, timeout)

    def _change_set(self, entry: DocumentEntry) -> SubmissionSet:
        config = self.config
        institution = f"{config.structure_name}^^^^^&1.2.250.1.71.4.2.2&ISO^IDNST^^^{config.structure}"
        return lots.change_set(entry, Author(institutions=(institution,)), config.sender, _CHANGE)

    def _update(self, submission: Submission, patient: PatientIdentifier, asker: Asker, timeout: float) -> None:
        body = lots.name_as_nh(write_submission(submission))
        with self._asking("registry", UPDATE, body, patient, asker, timeout=timeout) as answer:
            _succeeded(answer.body)

    # asking

    @contextlib.contextmanager
    def _asking(
        self,
        service: str,
        called: str,
        body: Element,
        patient: PatientIdentifier,
        asker: Asker,
        *,
        timeout: float,
        parts: Sequence[Outgoing] = (),
        mtom: bool = False,
    ) -> Iterator[SoapMessage]:
        if self._closed:
            raise SourceUnavailable("The connector is closed.")
        if patient.authority not in self.config.ins_authorities:
            raise RecordRefused("The person's national number is not of an authority that the record takes.")
        limit = self.config.max_document_mb << 20
        with _translated(self._probe), tempfile.TemporaryDirectory(prefix="dmp-") as spool:
            header = security(self._assertion(patient, asker))
            # A client of its own for its own time; the connections are the transport's, which stays open.
            http = httpx.Client(
                transport=self._transport,
                timeout=min(timeout, self.config.timeout),
                headers={"User-Agent": "maillage", "Accept-Encoding": "identity"},
                trust_env=False,
                follow_redirects=False,
            )
            client = SoapClient(http, spool_to(Path(spool)), Limits(envelope=limit, body=2 * limit))
            yield client.call(
                f"{self.config.url.rstrip('/')}/{service}", called, body, tuple(parts), mtom=mtom, security=header
            )

    def _assertion(self, patient: PatientIdentifier, asker: Asker) -> bytes:
        config, seal = self.config, self._seal
        made = vihf(
            self._professional(asker),
            patient,
            asker.purpose,
            Mode.REINFORCED if asker.reinforced else Mode.INDIRECT,
            self._software,
            certificate=seal.certificate,
            reason=asker.reason,
            profession_name=config.profession_name if asker.professional is None else "",
            form=self._form,
        )
        return issue(made, seal.key, seal.certificate, config.algorithm)

    def _professional(self, asker: Asker) -> Professional:
        """Who asks, for this organisation: its seal is good for its own structure only."""
        config, who = self.config, asker.professional
        if who is None:
            who = Professional(
                id=config.responsible,
                family=config.responsible_family,
                given=config.responsible_given,
                profession=config.profession,
                profession_system=config.profession_system,
                specialities=config.specialities,
            )
        return replace(
            who, structure=config.structure, structure_name=config.structure_name, sector=who.sector or config.sector
        )

    # self-test

    def _check_keys(self) -> str:
        self._assertion(PatientIdentifier("000000000000097", self.config.ins_authorities[0]), Asker())
        return "the seal signs"

    def _check_connection(self) -> str:
        host, port = self._address()
        try:
            with socket.create_connection((host, port), self.config.timeout):
                return f"{host}:{port} answers"
        except OSError:
            raise SourceUnavailable("The record can't be reached.") from None

    def _check_certificate(self) -> str:
        if self._refuses():
            raise RecordCertificateRefused()
        return "the connection's certificate is taken"

    def _probe(self) -> None:
        """A connection broke: was it the certificate? Raises RecordCertificateRefused."""
        if not self._closed and self._refuses():
            raise RecordCertificateRefused()

    def _refuses(self) -> bool:
        """Whether TLS fails for a certificate, theirs or ours: with TLS 1.3 the server says so after the handshake."""
        host, port = self._address()
        try:
            with (
                socket.create_connection((host, port), min(self.config.timeout, 10.0)) as line,
                self._tls.wrap_socket(line, server_hostname=host) as secure,
            ):
                secure.settimeout(_ANSWER)
                with contextlib.suppress(TimeoutError):  # silence: nothing is wrong so far
                    secure.recv(1)
                    return False
                secure.settimeout(min(self.config.timeout, 10.0))
                secure.sendall(f"HEAD / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                secure.recv(1)
        except ssl.SSLError as error:
            return isinstance(error, ssl.SSLCertVerificationError) or "ALERT" in (error.reason or "")
        except OSError:
            return False
        return False

    def _address(self) -> tuple[str, int]:
        parts = urlsplit(self.config.url)
        return parts.hostname or "", parts.port or 443


@contextlib.contextmanager
def _translated(probe: Callable[[], None] | None = None) -> Iterator[None]:
    try:
        yield
    except ConnectorError:
        raise
    except SoapFault as fault:
        raise refusal(fault.subcode or fault.fault_code) from None
    except Unavailable as error:
        if probe is not None:
            probe()
        raise SourceUnavailable(error.message) from None
    except TooLarge:
        raise SourceAnswerTooLarge() from None
    except Misconfigured as error:
        raise SourceMisconfigured(error.message) from None
    except (Malformed, Invalid) as error:
        raise SourceLied(error.message) from None
    except HubError as error:
        raise SourceLied(error.message) from None


def _succeeded(body: Element) -> None:
    """A RegistryResponse that says Success. Raises what it says else."""
    problems = read_problems(body)
    if body.get("status") != SUCCESS or problems:
        raise said(problems)


def _context(config: DmpConfig) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(config.tls_ca) if config.tls_ca else None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(config.tls_certificate, config.tls_key)
    except (OSError, ssl.SSLError):
        raise SourceMisconfigured("The files of the connection's certificate can't be read.") from None
    return context


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise SourceMisconfigured("The files of the seal can't be read.") from None
