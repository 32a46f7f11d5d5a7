"""Publication: the source is asked, the study indexed, manifest and reports registered; or held back with its reason.

Every step may run twice. What a submission registers and what the index says of it share one commit.
"""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, tzinfo
from typing import Any

from hub.connector.contract import StudyQuery
from hub.context import Context
from hub.documents.model import Content, DocumentEntry, ProvideDocuments
from hub.errors import HubError
from hub.exchange.model import Delivery
from hub.imaging import codec
from hub.imaging.errors import SeveralStudies, StudyNotThereYet
from hub.imaging.locate import Archives
from hub.imaging.manifest import ManifestOrder, ManifestSpec, build_manifest
from hub.imaging.metadata import Publishing, Vocabulary, manifest_entry, report_entry, submission
from hub.imaging.model import SourceInfo, Study, StudyState
from hub.imaging.ports import Contents, Documents, Patients
from hub.imaging.store import ImagingStore
from hub.storage.engine import Database
from hub.values import PatientIdentifier, now

log = logging.getLogger(__name__)

UNKNOWN_PATIENT = "The patient's number is not known to the hub yet."
UNKNOWN_REPORT_PATIENT = "The patient of the report is not known to the hub yet."
NO_PATIENT = "The images bear no patient number."
OTHER_PATIENT = "The report and the images are about different patients."
OTHER_ACCESSION = "The report's accession number is not that of the images."
MANIFEST_ENTRY = "manifest"
FINAL = frozenset({"F", "C"})


@dataclass(frozen=True, kw_only=True, slots=True)
class PublicationSettings:
    """How the hub signs its own submissions."""

    source_id: str
    zone: tzinfo
    retrieve_url: Callable[[], str]  #: the hub's DICOMweb root; known only once the hub listens
    ae_title: str = "MAILLAGE"
    vocabulary: Vocabulary = field(default_factory=Vocabulary)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be published, as far as the feed told it."""

    study_instance_uid: str = ""
    accession_number: str = ""
    order_number: str = ""
    authority: str = ""  #: OID of the patient numbers of the feed
    source: str = ""  #: name of the archive
    tries: int = 0  #: how often its images were looked for in vain
    instances: int = 0  #: objects that the hub's own archive held when this was queued; 0: not asked for by it

    @classmethod
    def of(cls, delivery: Delivery) -> "Wanted":
        """From a delivery's payload."""
        return cls(**{item.name: delivery.payload[item.name] for item in fields(cls) if item.name in delivery.payload})


class Publisher:
    """Carries out ``publish-study`` deliveries. ``later`` queues another look at a study."""

    def __init__(
        self,
        *,
        database: Database,
        archives: Archives,
        patients: Patients,
        documents: Documents,
        content: Contents,
        settings: PublicationSettings,
        later: Callable[[Wanted, Context], object],
    ) -> None:
        self.database = database
        self.archives = archives
        self.patients = patients
        self.documents = documents
        self.content = content
        self.settings = settings
        self.later = later

    def publish(self, wanted: Wanted, context: Context) -> tuple[str, str]:
        """(source, StudyInstanceUID) of what was published or held. Raises StudyNotThereYet, SeveralStudies,
        ConnectorError. Opens its units of work itself: none is open while the source is asked."""
        study = self._describe(wanted)
        info = self.archives.info(study.source)
        draft = _Draft(self.content)
        try:
            with self.database.transaction() as work:
                self._carry_out(ImagingStore(work), study, info, draft, context)
        finally:
            draft.clean()
        context.touch("study", study.study_instance_uid)
        return study.source, study.study_instance_uid

    # asking

    def _describe(self, wanted: Wanted) -> Study:
        wanted = self._completed(wanted)
        names = self._candidates(wanted)
        uid = wanted.study_instance_uid or self._by_accession(wanted, names)
        failure: HubError | None = None
        withdrawn: Study | None = None
        sent: Study | None = None  # to the hub's own archive, by whom it was made or by whom it is kept
        for reply in self.archives.ask(names, lambda name, timeout: self.archives.describe(name, uid, timeout)):
            if reply.error is not None:
                failure = reply.error
            elif reply.value is not None and any(series.instances for series in reply.value.series):
                described: Study = reply.value
                if not self.archives.info(reply.source).own:
                    return described
                sent = described
            else:
                withdrawn = withdrawn or self._known(reply.source, uid)
        if sent is not None:
            return sent
        if failure is not None:
            raise failure
        if withdrawn is not None:
            return withdrawn
        raise StudyNotThereYet()

    def _completed(self, wanted: Wanted) -> Wanted:
        """With what orders and the index know of it."""
        if wanted.study_instance_uid and wanted.source:
            return wanted
        with self.database.reading() as work:
            store = ImagingStore(work)
            if not wanted.study_instance_uid:
                orders = store.orders(
                    accession_number=wanted.accession_number, number=wanted.order_number, authority=wanted.authority
                )
                uids = {row.study_instance_uid for row in orders if row.study_instance_uid}
                if len(uids) == 1:
                    wanted = replace(wanted, study_instance_uid=uids.pop())
                accessions = {row.accession_number for row in orders if row.accession_number}
                if not wanted.accession_number and len(accessions) == 1:
                    wanted = replace(wanted, accession_number=accessions.pop())
            if not wanted.source and wanted.study_instance_uid:
                known = store.sources_of(wanted.study_instance_uid)
                if len(known) == 1 and known[0] in self.archives.infos:
                    wanted = replace(wanted, source=known[0])
        return wanted

    def _candidates(self, wanted: Wanted) -> list[str]:
        if wanted.source:
            return [wanted.source]
        own = self.archives.of_authority(wanted.authority)
        return [info.name for info in self.archives.infos.values() if not own or info in own or info.own]

    def _by_accession(self, wanted: Wanted, names: list[str]) -> str:
        if not wanted.accession_number:
            raise StudyNotThereYet()
        query = StudyQuery(accession_number=wanted.accession_number, limit=10)
        failure: HubError | None = None
        found: set[str] = set()
        for reply in self.archives.ask(names, lambda name, timeout: self.archives.find(name, query, timeout)):
            if reply.error is not None:
                failure = reply.error
                continue
            same = [study for study in reply.value if study.accession_number.strip() == wanted.accession_number]
            found |= {study.study_instance_uid for study in same}
        if len(found) > 1:
            raise SeveralStudies()
        if not found:
            raise failure or StudyNotThereYet()
        return found.pop()

    def _known(self, source: str, uid: str) -> Study | None:
        """The indexed study, emptied: its source holds nothing of it any more."""
        with self.database.reading() as work:
            for item in ImagingStore(work).studies([uid]):
                if item.study.source == source and item.state is not StudyState.ORDERED:
                    return replace(item.study, series=(), series_count=0, instance_count=0)
        return None

    # registering

    def _carry_out(
        self, store: ImagingStore, study: Study, info: SourceInfo, draft: "_Draft", context: Context
    ) -> None:
        local = PatientIdentifier(study.patient_id, study.issuer or info.authority_oid, namespace=info.namespace)
        person = self.patients.resolve(local) if study.patient_id else None
        store.index(study, info.authority_oid, person)
        row = store.row(study.source, study.study_instance_uid)
        if row is None:
            raise StudyNotThereYet()
        draft.reports = self._reports(store, study, local)
        if not any(series.instances for series in study.series):
            store.change(study.source, study.study_instance_uid, state=StudyState.WITHDRAWN.value)
            context.led_to("study-withdrawn", study.study_instance_uid)
            return
        reason, waits_for = self._contradiction(study, person, draft.reports)
        if reason or person is None:
            held = {"state": StudyState.HELD.value, "held_because": reason, "report_patient": waits_for}
            store.change(study.source, study.study_instance_uid, **held)
            context.led_to("study-held", study.study_instance_uid)
            if row.state != StudyState.HELD.value:
                # The identity may be arriving in this very moment, unseen by either side: look once more.
                self.later(Wanted(study.study_instance_uid, authority=local.authority, source=study.source), context)
            return
        context.touch("patient", person.cx)
        publishing = self._publishing(store, study, info, person, local)
        self._register(store, row, publishing, draft, context)

    def _reports(self, store: ImagingStore, study: Study, local: PatientIdentifier) -> list[Any]:
        rows = store.reports(
            study_instance_uid=study.study_instance_uid,
            accession_number=study.accession_number,
            authority=local.authority,
        )
        for row in rows:
            if not row.study_instance_uid:
                store.change_report(row.id, study_instance_uid=study.study_instance_uid)
        return rows

    def _contradiction(self, study: Study, person: PatientIdentifier | None, reports: list[Any]) -> tuple[str, str]:
        """(why the study can't be shared, the report's patient that must be known first); ("", "") when it can."""
        if not study.patient_id:
            return NO_PATIENT, ""
        if person is None:
            return UNKNOWN_PATIENT, ""
        for row in reports:
            if row.state != "waiting":
                continue
            patient = PatientIdentifier(row.patient_id, row.patient_authority)
            theirs = self.patients.resolve(patient)
            if theirs is None:
                return UNKNOWN_REPORT_PATIENT, patient.cx
            if theirs != person:
                return OTHER_PATIENT, patient.cx
            if row.accession_number and study.accession_number and row.accession_number != study.accession_number:
                return OTHER_ACCESSION, ""
        return "", ""

    def _publishing(
        self, store: ImagingStore, study: Study, info: SourceInfo, person: PatientIdentifier, local: PatientIdentifier
    ) -> Publishing:
        orders = store.orders(
            study_instance_uid=study.study_instance_uid,
            accession_number=study.accession_number,
            authority=local.authority,
        )
        order = ManifestOrder()
        if orders:
            row = orders[0]
            order = ManifestOrder(
                placer_number=row.number,
                filler_number=row.filler_number,
                accession_number=row.accession_number,
                accession_issuer=row.accession_issuer,
                procedure=(row.procedure_code, row.procedure_scheme, row.procedure_meaning),
            )
        settings = self.settings
        return Publishing(
            study=study,
            source=info,
            person=person,
            local=local,
            created=now().astimezone(settings.zone).replace(microsecond=0),
            zone=settings.zone,
            vocabulary=settings.vocabulary,
            order=order,
        )

    def _register(
        self, store: ImagingStore, row: Any, publishing: Publishing, draft: "_Draft", context: Context
    ) -> None:
        study = publishing.study
        spec = self._spec(publishing, row.manifest_version + 1, publishing.created)
        digest = codec.digest(study, publishing.person.cx, spec.patient.cx, str(spec.order), publishing.source.name)
        changed = digest != row.manifest_digest
        if changed:
            entry = manifest_entry(publishing, MANIFEST_ENTRY, spec.sop_instance_uid)
            draft.add(entry, build_manifest(spec), row.manifest_entry)
        for report in _latest(store, draft.reports):
            self._add_report(publishing, report, draft)
        values: dict[str, Any] = {"state": StudyState.PUBLISHED.value, "held_because": "", "report_patient": ""}
        if draft.entries:
            ids = self._provide(publishing, draft, context)
            if changed:
                values |= {
                    "manifest_id": spec.sop_instance_uid,
                    "manifest_entry": ids[spec.sop_instance_uid],
                    "manifest_digest": digest,
                    "manifest_version": row.manifest_version + 1,
                }
            _note_reports(store, draft, ids)
        values["order_number"] = publishing.order.placer_number
        store.change(study.source, study.study_instance_uid, **values)
        context.led_to("study-published", study.study_instance_uid)

    def _provide(self, publishing: Publishing, draft: "_Draft", context: Context) -> dict[str, str]:
        """entryUUIDs of what was registered, by uniqueId."""
        entries = tuple(draft.entries)
        made = submission(publishing, entries, draft.replaced, source_id=self.settings.source_id)
        registered = self.documents.provide(ProvideDocuments(made, tuple(draft.contents)), context)
        for entry in entries:
            context.led_to("document", entry.unique_id)
        return {entry.unique_id: entry.id for entry in registered.submission.entries}

    def _spec(self, publishing: Publishing, version: int, created: datetime) -> ManifestSpec:
        study, source = publishing.study, publishing.source
        person = self.patients.person(publishing.person)
        ins = person.ins if person is not None else None
        return ManifestSpec(
            study=study,
            source=source,
            sop_instance_uid=_derived(study.source, study.study_instance_uid, str(version)),
            series_instance_uid=_derived(study.source, study.study_instance_uid, "series"),
            created=created,
            patient=ins or publishing.local,
            other_patient_ids=(publishing.local,) if ins is not None and ins != publishing.local else (),
            order=publishing.order,
            retrieve_url=self.settings.retrieve_url(),
            retrieve_ae_title=self.settings.ae_title,
        )

    def _add_report(self, publishing: Publishing, report: Any, draft: "_Draft") -> None:
        content = self.content.path(report.sha256).read_bytes()
        entry = report_entry(
            publishing,
            report.id,
            report.document_id,
            mime_type=report.mime_type,
            structured=b"nonXMLBody" not in content,
            title=report.title,
            author=report.author,
            author_institution=report.institution,
            created=report.created,
        )
        before = [item for item in draft.reports if item.state == "published" and _same_set(item, report)]
        draft.add(entry, content, before[-1].entry if before else "")


class _Draft:
    """A submission in the making; files that nobody took are removed by ``clean``."""

    def __init__(self, content: Contents) -> None:
        self._content = content
        self.reports: list[Any] = []
        self.entries: list[DocumentEntry] = []
        self.contents: list[Content] = []
        self.replaced: dict[str, str] = {}

    def add(self, entry: DocumentEntry, content: bytes, replaces: str) -> None:
        """A document, and the entryUUID of the one that it replaces ("" : none)."""
        received = self._content.receive([content])
        self.entries.append(entry)
        self.contents.append(Content(entry.id, received.path, received.size, received.sha1, received.sha256))
        if replaces and replaces not in self.replaced.values():
            self.replaced[entry.id] = replaces

    def clean(self) -> None:
        for content in self.contents:
            content.path.unlink(missing_ok=True)


def _note_reports(store: ImagingStore, draft: _Draft, ids: dict[str, str]) -> None:
    gone = set(draft.replaced.values())
    for report in draft.reports:
        if report.entry and report.entry in gone:
            store.change_report(report.id, state="replaced")
    for entry in draft.entries:
        if entry.id != MANIFEST_ENTRY:
            store.change_report(entry.id, state="published", entry=ids[entry.unique_id])


def _latest(store: ImagingStore, reports: list[Any]) -> list[Any]:
    """The waiting reports; of several versions that wait, the last."""
    waiting = [report for report in reports if report.state == "waiting"]
    kept = []
    for number, report in enumerate(waiting):
        if any(_same_set(report, later) for later in waiting[number + 1 :]):
            store.change_report(report.id, state="replaced")
        else:
            kept.append(report)
    return kept


def _same_set(one: Any, other: Any) -> bool:
    """Whether two reports are versions of one: the same CDA setId, or corrected without one."""
    if one.set_id or other.set_id:
        return bool(one.set_id == other.set_id)
    return bool(other.status == "C")


def _derived(*parts: str) -> str:
    """A UID that is always the same for the same parts (PS3.5: B.2)."""
    value = hashlib.sha256("\n".join(parts).encode()).digest()[:16]
    return f"2.25.{int.from_bytes(value, 'big')}"
