"""Publication: the source is asked, the study indexed, manifest and reports registered; or held back with its reason.

Every step may run twice: what is published already is not published again. A manifest lives as long as its study does:
what the source holds now replaces what was published before, and what is gone is withdrawn. What a submission
registers and what the index says of it share one commit.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from typing import Any

from hub.access.rights_model import Rights
from hub.context import Context
from hub.documents.model import AssociationType, DocumentEntry, ProvideDocuments
from hub.imaging import codec
from hub.imaging.draft import MANIFEST_ENTRY, Draft, derived_uid, latest_reports, note_reports, same_set
from hub.imaging.errors import StudyNotThereYet
from hub.imaging.finding import StudyFinder, Wanted
from hub.imaging.key_objects import KeyObjects
from hub.imaging.locate import Archives
from hub.imaging.manifest import build_manifest
from hub.imaging.manifest_model import Flavour, KeyObject, ManifestOrder, ManifestSpec
from hub.imaging.metadata import (
    Publishing,
    Vocabulary,
    fhir_manifest_entry,
    manifest_entry,
    report_entry,
    submission,
)
from hub.imaging.model import SourceInfo, Study, StudyState
from hub.imaging.ports import Contents, Documents, Patients, Withdrawals
from hub.imaging.store import ImagingStore
from hub.storage.engine import Database
from hub.values import PatientIdentifier, now
from hub.wire.fhir.imaging_manifest import fhir_manifest

UNKNOWN_PATIENT = "The patient's number is not known to the hub yet."
UNKNOWN_REPORT_PATIENT = "The patient of the report is not known to the hub yet."
NO_PATIENT = "The images bear no patient number."
OTHER_PATIENT = "The report and the images are about different patients."
OPPOSED = "The patient opposes that documents are shared."
OTHER_ACCESSION = "The report's accession number is not that of the images."


@dataclass(frozen=True, kw_only=True, slots=True)
class PublicationSettings:
    """How the hub signs its own submissions."""

    source_id: str
    zone: tzinfo
    retrieve_url: Callable[[], str]  #: the hub's DICOMweb root; known only once the hub listens
    fixed_url: str = ""  #: that root where it is configured: a change makes new manifests; "" : it may be any
    ae_title: str = "MAILLAGE"
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    flavour: Flavour = Flavour.XDS_I


def named(person: PatientIdentifier, number: PatientIdentifier) -> str:
    """Whom a manifest names: when this changes, another manifest is due."""
    return f"{person.cx}|{number.cx}"


@dataclass(frozen=True, slots=True)
class Found:
    """A study as it is to be published."""

    study: Study
    info: SourceInfo
    local: PatientIdentifier  #: the patient's number at the source
    key_objects: Mapping[str, KeyObject] = field(default_factory=dict)


class Publisher:
    """Carries out ``publish-study`` deliveries. ``later`` queues another look at a study."""

    def __init__(
        self,
        *,
        database: Database,
        archives: Archives,
        patients: Patients,
        documents: Documents,
        withdrawals: Withdrawals,
        content: Contents,
        settings: PublicationSettings,
        later: Callable[[Wanted, Context], object],
        rights: Rights,
    ) -> None:
        self.rights = rights
        self.database = database
        self.archives = archives
        self.patients = patients
        self.documents = documents
        self.withdrawals = withdrawals
        self.content = content
        self.settings = settings
        self.later = later
        self.finder = StudyFinder(database, archives)
        self.key_objects = KeyObjects(database, archives)

    def publish(self, wanted: Wanted, context: Context) -> tuple[str, str]:
        """(source, StudyInstanceUID) of what was published, held or withdrawn. Raises StudyNotThereYet,
        SeveralStudies, ConnectorError. Opens its units of work itself: none is open while the source is asked."""
        found = self.look(self.finder.describe(wanted))
        study = found.study
        draft = Draft(self.content, context)
        try:
            with self.database.transaction() as work:
                self._carry_out(ImagingStore(work), found, draft)
        finally:
            draft.clean()
        context.touch("study", study.study_instance_uid)
        return study.source, study.study_instance_uid

    def index_others(self, study_instance_uid: str) -> bool:
        """Index the copies of a study that archives hold and the index does not know: each may hold more of it. False
        where one could not be asked."""
        with self.database.reading() as work:
            known = ImagingStore(work).sources_of(study_instance_uid)
        names = [info.name for info in self.archives.infos.values() if not info.own and info.name not in known]
        everybody = True
        for reply in self.archives.ask(
            names, lambda name, timeout: self.archives.describe(name, study_instance_uid, timeout)
        ):
            if reply.error is not None:
                everybody = False
            elif reply.value is not None and any(series.instances for series in reply.value.series):
                found = self.look(reply.value)
                with self.database.transaction() as work:
                    person = self.whose(found.local) if found.study.patient_id else None
                    ImagingStore(work).index(found.study, found.info.authority_oid, person)
        return everybody

    def look(self, study: Study) -> "Found":
        """What of a study is to be published: without what was rejected. Raises ConnectorError."""
        info = self.archives.info(study.source)
        shown, key_objects = self.key_objects.apply(study)
        local = PatientIdentifier(shown.patient_id, shown.issuer or info.authority_oid, namespace=info.namespace)
        return Found(shown, info, local, key_objects)

    def digest(self, store: ImagingStore, found: "Found") -> str:
        """Of everything that a manifest of the study says; "" when there is nobody to publish it for."""
        person = self.patients.resolve(found.local) if found.study.patient_id else None
        if person is None:
            return ""
        return self._digest(self._spec(self._publishing(store, found, person), found, 0), person)

    def spec_of(self, study: Study) -> ManifestSpec | None:
        """What a manifest of a study is made of, as the index knows it; None when nobody knows whose it is."""
        info = self.archives.info(study.source)
        local = PatientIdentifier(study.patient_id, study.issuer or info.authority_oid, namespace=info.namespace)
        person = self.patients.resolve(local) if study.patient_id else None
        if person is None:
            return None
        found = Found(study, info, local)
        with self.database.reading() as work:
            return self._spec(self._publishing(ImagingStore(work), found, person), found, 0)

    # registering

    def _carry_out(self, store: ImagingStore, found: "Found", draft: Draft) -> None:
        study, context = found.study, draft.context
        person = self.whose(found.local) if study.patient_id else None
        store.index(study, found.info.authority_oid, person)
        row = store.row(study.source, study.study_instance_uid)
        if row is None:
            raise StudyNotThereYet()
        draft.reports = self._reports(store, study, found.local)
        if not any(series.instances for series in study.series):
            store.change(study.source, study.study_instance_uid, state=StudyState.WITHDRAWN.value)
            self._withdraw(store, row, context)
            context.led_to("study-withdrawn", study.study_instance_uid)
            return
        reason, waits_for = self._contradiction(study, person, draft.reports)
        held = {"state": StudyState.HELD.value, "held_because": reason, "report_patient": waits_for}
        if reason:
            context.led_to("study-held", study.study_instance_uid)
            if row.state != StudyState.HELD.value:
                # The identity may be arriving in this very moment, unseen by either side: look once more.
                again = Wanted(study.study_instance_uid, authority=found.local.authority, source=study.source)
                self.later(again, context)
            draft.reports = []  # a report that contradicts the images holds them back, or itself where they are shared
        if person is None:
            self._withdraw(store, row, context)
        if person is None or (reason and not row.manifest_entry):
            store.change(study.source, study.study_instance_uid, **held)
            return
        context.touch("patient", person.cx)
        values = self._register(store, row, self._publishing(store, found, person), found, draft)
        store.change(study.source, study.study_instance_uid, **(values | held if reason else values))
        if not reason:
            context.led_to("study-published", study.study_instance_uid)

    def whose(self, number: PatientIdentifier) -> PatientIdentifier | None:
        """The person whom a number means, to the end of the open unit of work. Before anything is locked."""
        self.patients.settle(number)
        self.documents.hold_persons()  # after the number: so do feeds
        return self.patients.resolve(number)

    def _withdraw(self, store: ImagingStore, row: Any, context: Context) -> None:
        """The registry no longer shows the manifest; when the study comes back, another one is made."""
        if row.manifest_entry:
            self.withdrawals.withdraw([row.manifest_entry], context)
            store.change(row.source, row.study_instance_uid, manifest_entry="", manifest_digest="", manifest_id="")

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
        if person is None or not self.rights.feeding(person):
            return UNKNOWN_PATIENT if person is None else OPPOSED, ""
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

    def _publishing(self, store: ImagingStore, found: "Found", person: PatientIdentifier) -> Publishing:
        study, settings = found.study, self.settings
        orders = store.orders(
            study_instance_uid=study.study_instance_uid,
            accession_number=study.accession_number,
            authority=found.local.authority,
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
        if settings.flavour is Flavour.MADO and not (study.accession_number or order.accession_number):
            # MADO knows no study without one: the creator makes it, always the same (6.X.2.6.1, absent case).
            made = derived_uid(study.source, study.study_instance_uid, "accession")[5:19]
            order = replace(order, accession_number=f"M{made}", accession_issuer=settings.source_id)
        return Publishing(
            study=study,
            source=found.info,
            person=person,
            local=found.local,
            created=now().astimezone(settings.zone).replace(microsecond=0),
            zone=settings.zone,
            vocabulary=settings.vocabulary,
            order=order,
        )

    def _register(
        self, store: ImagingStore, row: Any, publishing: Publishing, found: "Found", draft: Draft
    ) -> dict[str, Any]:
        """What changes in the study's row."""
        spec = self._spec(publishing, found, row.manifest_version + 1)
        digest = self._digest(spec, publishing.person)
        changed = digest != row.manifest_digest
        if changed:
            entry = manifest_entry(publishing, MANIFEST_ENTRY, spec.sop_instance_uid)
            before = self._replaced(row, publishing.person, draft.context)
            if before is not None:  # what was masked stays masked
                entry = replace(entry, confidentiality_codes=before.confidentiality_codes)
            draft.add(entry, build_manifest(spec), before.id if before is not None else "")
        for report in latest_reports(store, draft.reports):
            self._add_report(publishing, report, draft)
        values: dict[str, Any] = {"state": StudyState.PUBLISHED.value, "held_because": "", "report_patient": ""}
        if draft.entries:
            ids = self._provide(publishing, draft)
            if changed:
                values |= {
                    "manifest_id": spec.sop_instance_uid,
                    "manifest_entry": ids[spec.sop_instance_uid],
                    "manifest_digest": digest,
                    "manifest_version": row.manifest_version + 1,
                    "manifest_patient": named(publishing.person, spec.patient),
                }
                if spec.flavour is Flavour.MADO:
                    self._add_transform(publishing, spec, ids[spec.sop_instance_uid], draft.context)
            note_reports(store, draft, ids)
        return values | {"order_number": publishing.order.placer_number}

    def _replaced(self, row: Any, person: PatientIdentifier, context: Context) -> DocumentEntry | None:
        """The entry that the next manifest takes the place of; None where none stands, or one of another person: that
        one is withdrawn, since a document is replaced by one of the same patient only (ITI TF-3: 4.2.2.2.3)."""
        for entry in self.withdrawals.approved([row.manifest_entry] if row.manifest_entry else ()):
            if self.patients.resolve(entry.patient_id) == person:
                return entry
            self.withdrawals.withdraw([entry.id], context)
        return None

    def _provide(self, publishing: Publishing, draft: Draft, *, of: str = "") -> dict[str, str]:
        """entryUUIDs of what was registered, by uniqueId. ``of``: the entry that the draft is a transform of."""
        entries = tuple(draft.entries)
        related = {entries[0].id: of} if of else draft.replaced
        kind = AssociationType.TRANSFORM if of else AssociationType.REPLACE
        made = submission(publishing, entries, related, source_id=self.settings.source_id, kind=kind)
        registered = self.documents.provide(ProvideDocuments(made, tuple(draft.contents)), draft.context)
        for entry in entries:
            draft.context.led_to("document", entry.unique_id)
        return {entry.unique_id: entry.id for entry in registered.submission.entries}

    def _add_transform(self, publishing: Publishing, spec: ManifestSpec, entry_id: str, context: Context) -> None:
        """The FHIR manifest, as a transform of the KOS manifest that was registered just now, in the same commit.

        A submission of its own: a transform's target is registered already (ITI TF-3: 4.2.2.2.4)."""
        unique_id = derived_uid(spec.sop_instance_uid, "fhir")
        entry = fhir_manifest_entry(publishing, MANIFEST_ENTRY, unique_id, spec.sop_instance_uid)
        draft = Draft(self.content, context)
        try:
            draft.add(entry, fhir_manifest(spec), "")
            self._provide(publishing, draft, of=entry_id)
        finally:
            draft.clean()

    def _spec(self, publishing: Publishing, found: "Found", version: int) -> ManifestSpec:
        study, source = publishing.study, publishing.source
        person = self.patients.person(publishing.person)
        ins = person.ins if person is not None else None
        return ManifestSpec(
            study=study,
            source=source,
            sop_instance_uid=derived_uid(study.source, study.study_instance_uid, str(version)),
            series_instance_uid=derived_uid(study.source, study.study_instance_uid, "series"),
            created=publishing.created,
            patient=ins or publishing.local,
            other_patient_ids=(publishing.local,) if ins is not None and ins != publishing.local else (),
            order=publishing.order,
            retrieve_url=self.settings.retrieve_url(),
            retrieve_ae_title=self.settings.ae_title,
            flavour=self.settings.flavour,
            key_objects=found.key_objects,
        )

    def _digest(self, spec: ManifestSpec, person: PatientIdentifier) -> str:
        """What makes a new manifest when it changes; an address that is not configured, but only believed, does not."""
        key_objects = sorted((uid, item.title, item.description) for uid, item in spec.key_objects.items())
        about = [person.cx, spec.patient.cx, spec.order, spec.source.name, spec.flavour.value, key_objects]
        about += [self.settings.fixed_url] if self.settings.fixed_url else []
        return codec.digest(spec.study, *map(str, about))

    def _add_report(self, publishing: Publishing, report: Any, draft: Draft) -> None:
        content = self.content.path(report.content).read_bytes()
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
            masks=filter(None, report.masks.split("|")),
        )
        before = [item.entry for item in draft.reports if item.state == "published" and same_set(item, report)]
        standing = [item.id for item in self.withdrawals.approved(before[-1:])]
        draft.add(entry, content, standing[0] if standing else "")
