"""The imaging room's use cases: orders and reports come in, studies are published, instances are read."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from hub.access.rights_model import Matter, Rights
from hub.context import Context
from hub.exchange.model import Delivery
from hub.imaging import codec
from hub.imaging.archive import SEVERAL_PATIENTS, HubArchive
from hub.imaging.cache import InstanceCache
from hub.imaging.errors import ImagesMissing, OtherReport, ReportIncomplete, StudyNotThereYet, UnknownStudy
from hub.imaging.fanout import FanOut
from hub.imaging.finding import Wanted
from hub.imaging.key_objects import is_key_object
from hub.imaging.locate import Archives
from hub.imaging.manifest_model import Flavour
from hub.imaging.metadata import Vocabulary, vocabulary_of
from hub.imaging.model import (
    FeedOrder,
    FeedReport,
    IndexedStudy,
    Order,
    PublishStudy,
    Report,
    SourceInfo,
    Study,
    StudyArrived,
    StudyState,
)
from hub.imaging.ports import Contents, Documents, ListensToPatients, Patients, Sources, Withdrawals
from hub.imaging.publication import OPPOSED, PublicationSettings, Publisher, named
from hub.imaging.reading import Reading
from hub.imaging.reports import FINAL, WITHDRAWN, report_values, wanted_report, withdraw_report
from hub.imaging.store import ImagingStore
from hub.imaging.store_life import LifeStore
from hub.imaging.store_reports import ReportStore
from hub.outbox import Outbox
from hub.patients.model import Person
from hub.storage.engine import Database, UnitOfWork
from hub.usecase import use_case
from hub.values import Oid, PatientIdentifier, Uid, now

log = logging.getLogger(__name__)

#: Kind of the deliveries that ``ImagingService.publish`` carries out.
PUBLISH = "publish-study"
#: Seconds until images are looked for again: 30, 60, 120 ... an hour, for about a day.
_FIRST_DELAY, _LONGEST_DELAY, _MOST_TRIES = 30.0, 3600.0, 30
_CANCELLED = frozenset({"CA", "OC", "DC", "CR"})


class ImagingService(Reading):
    """Study index, orders, reports, publication and retrieval.

    ``publish_on``: what has a study published: ``report`` (a final one), ``order`` (one that names its study).
    ``retrieve_url``: the hub's DICOMweb root as others reach it, or how to know it once the hub listens; ``fixed_url``:
    the same where it is configured.
    ``archive``: where objects lie that were sent to the hub; ``stable_after``: seconds without a new one after which
    their study is published, None: never by itself. ``archive_follows``: seconds that another archive has to follow a
    correction, or to get what the hub was sent as well.
    """

    def __init__(
        self,
        *,
        database: Database,
        sources: Sources,
        infos: Iterable[SourceInfo],
        patients: Patients,
        documents: Documents,
        withdrawals: Withdrawals,
        exchange: Outbox,
        content: Contents,
        cache: Path,
        source_id: str,
        retrieve_url: Any = "",
        fixed_url: str = "",
        ae_title: str = "MAILLAGE",
        vocabulary: Vocabulary | None = None,
        flavour: Flavour = Flavour.XDS_I,
        timezone: str = "Europe/Paris",
        publish_on: tuple[str, ...] = ("report",),
        cache_bytes: int = 2 * 1024**3,
        fanout: FanOut | None = None,
        archive: HubArchive | None = None,
        stable_after: float | None = None,
        archive_follows: float = 300.0,
        home_community_id: str = "",
        rights: Rights,
    ) -> None:
        self.rights = rights
        #: Told of the reports of a message, final ones and those that it takes back, with the uniqueIds of their
        #: documents, inside the unit of work.
        self.report_listeners: list[Callable[[Sequence[tuple[Report, str]], Context], None]] = []
        self.database = database
        self.archive = archive
        self.stable_after = stable_after
        self.archive_follows = archive_follows
        self.exchange = exchange
        self.patients = patients
        self.content = content
        self.withdrawals = withdrawals
        self.publish_on = publish_on
        self.archives = Archives(sources, infos, fanout)
        settings = PublicationSettings(
            source_id=source_id,
            zone=ZoneInfo(timezone),
            retrieve_url=retrieve_url if callable(retrieve_url) else lambda: str(retrieve_url),
            fixed_url=fixed_url,
            ae_title=ae_title,
            vocabulary=vocabulary or vocabulary_of(flavour),
            flavour=flavour,
        )
        self.publisher = Publisher(
            database=database,
            archives=self.archives,
            patients=patients,
            documents=documents,
            withdrawals=withdrawals,
            content=content,
            settings=settings,
            later=self._later,
            rights=self.rights,
        )
        kept = InstanceCache(cache, max_bytes=cache_bytes)
        home = Oid.from_urn(home_community_id).urn if home_community_id else ""
        super().__init__(database, self.archives, kept, self.rights, home=home)

    # orders and reports

    @use_case
    def study_arrived(self, command: StudyArrived, context: Context) -> None:
        """Objects were stored at the hub's own DICOM port: indexed, and published when no more come for a while."""
        if self.archive is None:
            context.touch("study", command.study_instance_uid)
            return
        with self.database.transaction():
            study = self.archive.take(command, context)
            self._take_notes(command, context)
            if study is None:
                return
            known = sum(1 for _ in study.instances)
            wanted = Wanted(
                study.study_instance_uid,
                study.accession_number,
                authority=study.issuer,
                source=self.archive.name,
                instances=known,
            )
            came = sum(1 for item in command.studies for _ in item.instances)
            if came >= known and len(self.archives.infos) > 1:  # the first of it: others may hold the rest
                self._enqueue(replace(wanted, copies=True), context)
            if self.stable_after is not None:
                self._enqueue(wanted, context, delay=self.stable_after)

    @use_case
    def feed_order(self, command: FeedOrder, context: Context) -> IndexedStudy | None:
        """Keep the order; a study that it names stands in the index as ordered until its images are known."""
        order = command.order
        context.touch("patient", order.patient.cx)
        with self.database.transaction() as work:
            store = ImagingStore(work)
            store.keep_order(order)
            context.led_to("order", order.placer_number or order.filler_number)
            if not order.study_instance_uid:
                return None
            uid = Uid(order.study_instance_uid)
            context.touch("study", uid)
            own = self.archives.of_authority(order.patient.authority)
            if order.control in _CANCELLED:
                for info in own:
                    store.forget_order(info.name, uid)
            self.look_again([uid], context)
            if order.control in _CANCELLED:
                return None
            if len(own) == 1 and not store.studies([uid]):
                self._index_order(store, order, own[0])
            if "order" in self.publish_on:
                self._enqueue(_wanted_order(order), context)
            return next(iter(store.studies([uid])), None)

    @use_case
    def feed_report(self, command: FeedReport, context: Context) -> str:
        """Keep the report; a final or corrected one has its study published. Returns the delivery's id, "" if none.

        Raises ReportIncomplete when nothing tells the study, UnknownReport when what it takes back is not here,
        OtherReport when its id has been used."""
        reports = (command.report, *command.also)
        context.touch("patient", command.report.patient.cx)
        if any(not (item.study_instance_uid or item.accession_number or item.placer_number) for item in reports):
            raise ReportIncomplete()
        received = [self.content.receive([report.content]) for report in reports]
        # Durable before the row that names it is; bytes whose row is rolled back are swept away by their age.
        addresses = [self.content.put(file.path, file.sha1) for file in received]
        with self.database.transaction() as work:
            rows = [report_values(item, address) for item, address in zip(reports, addresses, strict=True)]
            final = [self._keep(work, item, row, context) for item, row in zip(reports, rows, strict=True)]
            told = [(item, str(row["document_id"])) for item, row in zip(reports, rows, strict=True)]
            for listener in self.report_listeners:
                listener([item for item in told if item[0].status in FINAL | WITHDRAWN], context)
            if "report" not in self.publish_on or not any(final):
                return ""
            return [self._enqueue(wanted_report(item), context) for item in reports][-1]  # one study: one delivery

    def _keep(self, work: UnitOfWork, report: Report, row: Mapping[str, Any], context: Context) -> bool:
        """Whether the report is to be published."""
        if report.status in WITHDRAWN:
            self.withdrawals.withdraw(withdraw_report(ReportStore(work), report), context)
        elif report.status in FINAL and ReportStore(work).is_another(row["document_id"], row["content"]):
            if report.sending is None or not report.sending.says("MODIF_CONF_CODE"):
                raise OtherReport()  # the registry would refuse it, and the study's publication with it
            row = {**row, "state": "replaced"}  # only who may see the registered one changes
        report_id = ImagingStore(work).keep_report(row)
        context.led_to("report", report_id)
        if report.status not in FINAL or row["state"] == "replaced":
            return False
        ReportStore(work).await_publication(report_id)
        return True

    # publication

    @use_case
    def publish_study(self, command: PublishStudy, context: Context) -> IndexedStudy:
        """Publish one study now. Raises StudyNotThereYet, UnknownImagingSource, ConnectorError."""
        uid = Uid(command.study_instance_uid)
        info = self.archives.info(command.source) if command.source else None
        wanted = Wanted(uid, source=info.name if info else "", authority=info.authority_oid if info else "")
        source, uid_found = self.publisher.publish(wanted, context)
        return self.indexed(uid_found, source)

    def publish(self, delivery: Delivery, context: Context) -> None:
        """Handler of ``publish-study`` deliveries. Raises ImagesMissing when the images don't come for a day.

        Images that are awaited hold nothing up: the look at them is put off, other studies of the source go on."""
        wanted = Wanted.of(delivery)
        if wanted.copies:
            whole = self.publisher.index_others(wanted.study_instance_uid)
            if not whole and self.stable_after is None:  # else its publication asks again
                self._ask_again(wanted, context)
            return
        if wanted.instances and self.archive and self.archive.count(wanted.study_instance_uid) != wanted.instances:
            context.led_to("study-still-arriving", wanted.study_instance_uid)  # what came later has its own delivery
            return
        try:
            self.publisher.publish(wanted, context)
            if wanted.instances and not self.publisher.index_others(wanted.study_instance_uid):
                self._ask_again(wanted, context)
        except StudyNotThereYet as error:
            if wanted.tries >= _MOST_TRIES:
                raise ImagesMissing() from error
            self._later(replace(wanted, tries=wanted.tries + 1), context)
            context.led_to("study-awaited", wanted.study_instance_uid or wanted.accession_number)

    def handlers(self) -> Mapping[str, Any]:
        """What a worker needs: delivery kind -> handler."""
        return {PUBLISH: self.publish}

    def listen(self, patients: ListensToPatients) -> None:
        """Have held studies tried again when an identity arrives or persons are joined."""
        patients.listeners.append(self.person_changed)
        patients.expecting.append(self.expect)
        patients.regrouped.append(self.regrouped)

    def expect(self, numbers: Iterable[PatientIdentifier]) -> None:
        """The open unit of work will bring so many persons: whose studies there are is looked up at once."""
        with self.database.transaction() as work:
            ImagingStore(work).look(numbers)

    def regrouped(self, _persons: Sequence[PatientIdentifier], _context: Context) -> None:
        """Till now studies of these persons may have come that no look of the open unit of work saw."""
        with self.database.transaction() as work:
            ImagingStore(work).look(())

    def person_changed(
        self, _regional: PatientIdentifier, numbers: Iterable[PatientIdentifier], context: Context
    ) -> None:
        """A person came to be, was linked or merged: the index follows, held studies are tried again.

        Called within the unit of work that changed the person; ``numbers``: what studies may know the person by."""
        with self.database.transaction() as work:
            store = ImagingStore(work)
            for row in store.of_identifiers(numbers):
                theirs = self.patients.resolve(PatientIdentifier(row.patient_id, row.patient_authority))
                if theirs is not None and (row.person, row.person_authority) != (theirs.value, theirs.authority):
                    store.change(
                        row.source, row.study_instance_uid, person=theirs.value, person_authority=theirs.authority
                    )
                    if row.manifest_entry:
                        self._enqueue(_wanted_row(row), context)
                elif theirs is not None and row.manifest_entry:
                    self._look_if_named_otherwise(row, theirs, context)
                if row.state == StudyState.HELD.value and row.held_because != SEVERAL_PATIENTS:
                    self._enqueue(_wanted_row(row), context)

    # reading

    def indexed(self, study_instance_uid: str, source: str = "") -> IndexedStudy:
        """A study in the index with series and instances. Raises UnknownStudy."""
        with self.database.reading() as work:
            for item in ImagingStore(work).studies([study_instance_uid], deep=True):
                if source in ("", item.study.source):
                    return item
        raise UnknownStudy()

    def knows_content(self, address: str) -> bool:
        """Whether a report has these bytes: the content store's sweep asks."""
        with self.database.reading() as work:
            return ImagingStore(work).knows_content(address)

    def close(self) -> None:
        """Stop fetching; the cache stays."""
        self.retriever.close()

    # the life of manifests

    def said(self, identity: PatientIdentifier, matter: Matter, context: Context) -> None:
        """A patient spoke of their record, in the open unit of work: what an opposition held is looked at again."""
        if matter is not Matter.FEEDING:
            return
        person = self.patients.person(identity)
        numbers = (person.regional, *person.identifiers) if person is not None else (identity,)
        with self.database.transaction() as work:
            for row in ImagingStore(work).of_identifiers(numbers):
                if row.state == StudyState.HELD.value and row.held_because == OPPOSED:
                    self._enqueue(_wanted_row(row), context)

    def look_again(self, studies: Sequence[str], context: Context, *, delay: float = 0, but: str = "") -> int:
        """Have the sources of studies asked again, where they are or were published: something may have changed.

        Within the open unit of work; ``delay`` in seconds, for a source that is still being told; ``but``: not this
        source. Returns how many looks are due."""
        with self.database.transaction() as work:
            rows = [row for row in LifeStore(work).once_published(studies) if row.source != but]
            for row in rows:
                self._enqueue(_wanted_row(row), context, delay=delay)
        return len(rows)

    def queue(self, wanted: Wanted, context: Context) -> str:
        """Have a study published as soon as a worker is free; within the open unit of work. The delivery's id."""
        return self._enqueue(wanted, context)

    def _take_notes(self, command: StudyArrived, context: Context) -> None:
        """Rejection notes among what was sent take instances away; other archives may be getting the rest as well."""
        if self.archive is None:
            return
        notes = [
            self.archive.objects.path(study.study_instance_uid, instance.sop_instance_uid)
            for study in command.studies
            for _, instance in study.instances
            if is_key_object(instance)
        ]
        rejected = self.publisher.key_objects.received(notes, self._speaks_for(command))
        self.look_again(rejected, context)
        others = [command.study_instance_uid] if command.study_instance_uid not in rejected else []
        self.look_again(others, context, delay=self.archive_follows, but=self.archive.name)

    def _speaks_for(self, command: StudyArrived) -> tuple[str, ...]:
        """The sources from which a sender may take instances: the one that its certificate speaks for, else those of
        the authority whose patient numbers it uses; and the hub's own archive, where what it sends lies."""
        assert self.archive is not None
        authority = self.archive.authority_of(command.calling, command.speaks_for)
        named = (command.speaks_for,) if command.speaks_for else ()
        own = named or tuple(info.name for info in self.archives.of_authority(authority))
        return tuple(dict.fromkeys((*own, self.archive.name)))

    def _look_if_named_otherwise(self, row: Any, theirs: PatientIdentifier, context: Context) -> None:
        """A manifest names somebody by a number that is no longer the one, or the archive by a name that was
        corrected: the archive gets the same feed, and a while to follow it."""
        person = self.patients.person(theirs)
        if person is None:
            return
        local = PatientIdentifier(row.patient_id, row.patient_authority)
        if row.manifest_patient != named(theirs, person.ins or local):
            self._enqueue(_wanted_row(row), context)
        elif _corrected(row, person):
            self._enqueue(_wanted_row(row), context, delay=self.archive_follows)

    # inside

    def _index_order(self, store: ImagingStore, order: Order, info: SourceInfo) -> None:
        study = Study(
            Uid(order.study_instance_uid),
            info.name,
            patient_id=order.patient.value,
            issuer=order.patient.authority,
            accession_number=order.accession_number,
            accession_issuer=order.accession_issuer,
            description=order.procedure[2],
            modalities=(order.modality,) if order.modality else (),
        )
        person = self.patients.resolve(order.patient)
        if person is None:  # may be announced in this very moment
            self.patients.settle(order.patient)
            person = self.patients.resolve(order.patient)
        store.index(study, info.authority_oid, person)
        store.change(
            info.name, order.study_instance_uid, state=StudyState.ORDERED.value, order_number=order.placer_number
        )

    def _ask_again(self, wanted: Wanted, context: Context) -> None:
        if wanted.tries < _MOST_TRIES:
            self._later(replace(wanted, tries=wanted.tries + 1), context)

    def _later(self, wanted: Wanted, context: Context) -> str:
        delay = min(_FIRST_DELAY * 2 ** max(0, wanted.tries - 1), _LONGEST_DELAY)
        return self._enqueue(wanted, context, delay=delay)

    def _enqueue(self, wanted: Wanted, context: Context, *, delay: float = 0) -> str:
        own = self.archives.of_authority(wanted.authority)
        source = wanted.source or (own[0].name if len(own) == 1 else "")
        key = wanted.study_instance_uid or f"{wanted.authority}|{wanted.accession_number or wanted.order_number}"
        key += "|copies" if wanted.copies else ""
        destination = f"source:{source}" if source else "sources"
        due_at = now() + timedelta(seconds=delay)
        return self.exchange.enqueue(destination, PUBLISH, asdict(wanted), context, key=key, due_at=due_at)


def _wanted_row(row: Any) -> Wanted:
    return Wanted(row.study_instance_uid, authority=row.patient_authority, source=row.source)


def _corrected(row: Any, person: Person) -> bool:
    """Whether the images bear another name or birth date than the identity."""
    traits = person.traits
    names = {codec.fold(name) for name in (traits.birth_name, traits.used_name) if name}
    family = row.patient_name.split("^")[0]
    other_day = traits.birth_date and row.patient_birth_date and traits.birth_date != row.patient_birth_date
    return bool(other_day or (names and family and family not in names))


def _wanted_order(order: Order) -> Wanted:
    return Wanted(
        order.study_instance_uid, order.accession_number, order.placer_number, authority=order.patient.authority
    )
