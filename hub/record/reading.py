"""Reading in the national record, in the name of the professional who is signed in (TD0.2, TD0.3, TD3.1, TD3.2, TD3.3).

The record decides who sees what; the hub says truthfully who asks, and asks for nobody else."""

from collections.abc import Collection, Mapping
from datetime import timedelta

from hub.access.model import Principal, Purpose
from hub.connector.record import Asker, Authorisation, Life, RecordQuery, Standing
from hub.context import Context
from hub.documents.model import DocumentEntry
from hub.patients.model import Person
from hub.record.errors import ConsultationNotOpen, NationalDocumentNotFound, NationalNumberMissing
from hub.record.narrowing import Schemes
from hub.record.ports import Patients, Record
from hub.record.reading_model import (
    AuthoriseNational,
    Change,
    ChangeNational,
    NationalAnswer,
    NationalDocument,
    ReadNational,
    SearchNational,
)
from hub.record.store import RecordStore
from hub.storage.engine import Database
from hub.usecase import use_case
from hub.values import Code, PatientIdentifier, now

#: The two words that hide a document, as codes of TRE_A07.
MASKS = "1.2.250.1.213.1.1.4.13"
MASKED = Code("MASQUE_PS", MASKS, "Masqué aux professionnels de santé")
INVISIBLE = Code("INVISIBLE_PATIENT", MASKS, "Non visible par le patient")
#: Change -> what becomes of the document, or (code, whether it is there afterwards).
LIVES: Mapping[Change, Life] = {
    Change.ARCHIVE: Life.ARCHIVED,
    Change.RESTORE: Life.APPROVED,
    Change.DELETE: Life.DELETED,
}
CODES: Mapping[Change, tuple[Code, bool]] = {
    Change.MASK: (MASKED, True),
    Change.UNMASK: (MASKED, False),
    Change.HIDE: (INVISIBLE, True),
    Change.SHOW: (INVISIBLE, False),
}


class RecordReader:
    """The use cases of reading. ``schemes``: proofs of identity that open it (Scheme); ``first``: of the first search.

    ``deadline``: seconds for each request."""

    def __init__(
        self,
        *,
        database: Database,
        record: Record,
        patients: Patients,
        schemes: Collection[str] = ("provider",),
        first: timedelta = timedelta(days=730),
        deadline: float = 30.0,
        codes: Schemes | None = None,
    ) -> None:
        self.database = database
        self.record = record
        self.patients = patients
        self.schemes = frozenset(schemes)
        self.first = first
        self.deadline = deadline
        self.codes = codes or Schemes()

    def opens(self, principal: Principal) -> bool:
        """Whether somebody's identity lets them ask the record at all."""
        return principal.professional is not None and principal.scheme in self.schemes

    @use_case
    def search(self, command: SearchNational, context: Context) -> NationalAnswer:
        """The approved documents that the record shows to the caller (EX_3.1-1030), archived ones where they are
        asked for. Raises as the command says."""
        asker = self._asker(context)
        ins = self._number(command.person, context)
        if ins is None:
            return NationalAnswer()
        context.touch("query", "national-record")
        status = self.record().status(ins, asker, timeout=self.deadline)
        since = None if command.whole else now() - self.first
        if since is not None and command.narrow and "" < command.narrow.started < since.strftime("%Y%m%d"):
            since = None
        if status.standing is not Standing.OPEN or not _admitted(asker, status.authorisation):
            return NationalAnswer(status, since=since)
        created = since.strftime("%Y%m%d%H%M%S") if since is not None else ""
        query = RecordQuery(ins, created, references=command.references, archived=command.archived)
        found = self.record().find(query, asker, timeout=self.deadline)
        entries = sorted(found, key=lambda item: item.service_start_time or item.creation_time, reverse=True)
        wanted = [entry for entry in entries if command.narrow is None or self.codes.fits(entry, command.narrow)]
        return NationalAnswer(status, tuple(wanted), since, self._own(ins), len(entries) - len(wanted))

    @use_case
    def read(self, command: ReadNational, context: Context) -> NationalDocument:
        """One document with its bytes. Raises as the command says."""
        asker = self._asker(context)
        ins = self._known(command.person, context)
        entry = self._entry(ins, command.unique_id, asker)
        fetched = self.record().fetch(ins, command.unique_id, asker, timeout=self.deadline)
        context.touch("document", command.unique_id)
        own = command.unique_id in self._own(ins)
        return NationalDocument(entry, entry.mime_type or fetched.mime_type, fetched.content, own)

    @use_case
    def authorise(self, command: AuthoriseNational, context: Context) -> None:
        """TD0.3, in the normal mode only. Raises ConsultationNotOpen, NationalNumberMissing, ConnectorError."""
        asker = self._asker(context)
        ins = self._known(command.person, context)
        self.record().authorise(ins, asker, withdraw=command.withdraw, timeout=self.deadline)

    @use_case
    def change(self, command: ChangeNational, context: Context) -> None:
        """TD3.3, for what this region has sent. Raises as the command says."""
        asker = self._asker(context)
        ins = self._known(command.person, context)
        if command.unique_id not in self._own(ins):
            raise NationalDocumentNotFound()
        entry = self._entry(ins, command.unique_id, asker)
        if command.change in LIVES:
            self.record().change_life(entry, LIVES[command.change], asker, timeout=self.deadline)
        else:
            code, there = CODES[command.change]
            others = tuple(item for item in entry.confidentiality_codes if item.value != code.value)
            codes = (*others, code) if there else others
            self.record().change_confidentiality(entry, codes, asker, timeout=self.deadline)
        context.touch("document", command.unique_id)

    def _asker(self, context: Context) -> Asker:
        """Who asks, truthfully. Raises ConsultationNotOpen."""
        principal = context.principal
        if not self.opens(principal):
            raise ConsultationNotOpen()
        purpose = Purpose(context.purpose) if context.purpose in {str(one) for one in Purpose} else Purpose.NORMAL
        return Asker(principal.professional, purpose, principal.reason, reinforced=True)

    def _number(self, person: PatientIdentifier, context: Context) -> PatientIdentifier | None:
        """The INS of a qualified identity. None: there is none."""
        found: Person | None = self.patients.person(person)
        if found is None:
            return None
        context.touch("patient", found.regional.cx)
        return found.ins

    def _known(self, person: PatientIdentifier, context: Context) -> PatientIdentifier:
        ins = self._number(person, context)
        if ins is None:
            raise NationalNumberMissing()
        return ins

    def _entry(self, ins: PatientIdentifier, unique_id: str, asker: Asker) -> DocumentEntry:
        found = self.record().locate(ins, [unique_id], asker, timeout=self.deadline)
        if unique_id not in found:
            raise NationalDocumentNotFound()
        return found[unique_id]

    def _own(self, ins: PatientIdentifier) -> frozenset[str]:
        with self.database.reading() as work:
            return RecordStore(work).sent_of(ins.cx)


def _admitted(asker: Asker, authorisation: Authorisation) -> bool:
    """Whether it makes sense to go on: the record itself decides about who breaks the glass."""
    return authorisation is Authorisation.VALID or asker.purpose is not Purpose.NORMAL
