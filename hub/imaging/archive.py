"""The hub's own archive: objects that were sent to its DICOM port, as a source like any other (RAD-8, RAD-16).

The study index is its catalogue; the objects lie beside it as files. What arrives joins the study that is there, and
is published when nothing more has come for a while.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from hub.connector.contract import Capability, Check, ConnectorConfig, Level, Manifest, StudyQuery
from hub.connector.matching import matches
from hub.context import Context
from hub.errors import HubError
from hub.imaging.copies import joined
from hub.imaging.errors import SeveralPatients
from hub.imaging.kept import KeptObjects
from hub.imaging.model import (
    FindStudies,
    IndexedStudy,
    InstanceRequest,
    RetrievedInstance,
    Study,
    StudyArrived,
    StudyState,
)
from hub.imaging.ports import Patients
from hub.imaging.store import ImagingStore
from hub.storage.engine import Database
from hub.values import PatientIdentifier
from hub.wire import dicom
from hub.wire.dicom import DatasetReader
from hub.wire.dicom_head import header_of
from hub.wire.dimse import part10

log = logging.getLogger(__name__)

KIND = "hub"
SEVERAL_PATIENTS = "The objects of the study are about different patients."


class HubArchive:
    """Fulfils the connectors' contract. ``authority_of``: OID of the authority whose patient numbers a sender uses, by
    its AE title and the source that it speaks for; "" where nothing tells."""

    def __init__(
        self,
        name: str,
        *,
        database: Database,
        objects: KeptObjects,
        patients: Patients,
        authority_of: Callable[[str, str], str],
    ) -> None:
        self.name = name
        self.database = database
        self.objects = objects
        self.patients = patients
        self.authority_of = authority_of

    def manifest(self) -> Manifest:
        """What the loader needs to keep it among the sources."""
        return Manifest(
            kind=KIND,
            title="The hub's own archive",
            config=ConnectorConfig,
            open=lambda *_: self,
            capabilities={
                Capability.FIND_STUDIES: Level.FULL,
                Capability.DESCRIBE_STUDY: Level.FULL,
                Capability.RETRIEVE_INSTANCES: Level.FULL,
                Capability.METADATA: Level.NONE,
                Capability.PASS_THROUGH: Level.NONE,
            },
        )

    # what arrives

    def take(self, command: StudyArrived, context: Context) -> Study | None:
        """Index what was stored, within the open unit of work. Returns the study as it is now, None when it can't be
        shared: its objects are about several patients."""
        uid = command.study_instance_uid
        context.touch("study", uid)
        authority = self.authority_of(command.calling, command.speaks_for)
        arrived = [
            replace(study, source=self.name, issuer=study.issuer or authority)
            for study in command.studies
            if study.study_instance_uid == uid
        ]
        classes = Counter(
            item.sop_class_uid for study in arrived for series in study.series for item in series.instances
        )
        for sop_class, count in classes.items():
            context.touch("sop class", f"{uid}|{sop_class}|{count}")
        for number in {study.accession_number for study in arrived if study.accession_number}:
            context.touch("accession", f"{uid}|{number}")
        with self.database.transaction() as work:
            numbers = [PatientIdentifier(*_patient(study)) for study in arrived if all(_patient(study))]
            self.patients.settle(*numbers)  # before anything is locked
            store = ImagingStore(work)
            store.forget_orders(uid)
            found = [self._join(store, study, context) for study in arrived]
        return found[-1] if found and all(found) else None

    def _join(self, store: ImagingStore, study: Study, context: Context) -> Study | None:
        numbers = PatientIdentifier(study.patient_id, study.issuer) if study.patient_id and study.issuer else None
        person = self.patients.resolve(numbers) if numbers else None
        if store.place(study, "", person):
            return study
        store.row(self.name, study.study_instance_uid)  # locked: one sender after the other
        known = self._indexed(store, study.study_instance_uid)
        if known is None:
            return None
        if _patient(known.study) != _patient(study):
            log.warning("objects of one study are about several patients", extra={"source": self.name})
            context.led_to("study-held", study.study_instance_uid)
            held = {"state": StudyState.HELD.value, "held_because": SEVERAL_PATIENTS}
            store.change(self.name, study.study_instance_uid, **held)
            return None
        whole = joined(known.study, study)
        store.index(whole, "", person)
        return whole if known.held_because != SEVERAL_PATIENTS else None

    def count(self, study_instance_uid: str) -> int:
        """How many objects of a study the index knows."""
        with self.database.reading() as work:
            known = self._indexed(ImagingStore(work), study_instance_uid)
        return sum(1 for _ in known.study.instances) if known else 0

    # the contract

    def find_studies(self, query: StudyQuery, *, timeout: float) -> Sequence[Study]:  # noqa: ARG002 (nothing is asked)
        """Matching studies, from the index."""
        wanted = FindStudies(
            study_instance_uids=(query.study_instance_uid,) if query.study_instance_uid else (),
            accession_number=query.accession_number,
            modalities=query.modalities,
            started_from=query.started_from,
            started_to=query.started_to,
            patient_birth_date=query.patient_birth_date,
            keys=query.keys,
            sources=(self.name,),
            limit=query.limit or 1000,
        )
        with self.database.reading() as work:
            store = ImagingStore(work)
            uids, _ = store.find(wanted, ())
            found = [item.study for item in store.studies(uids) if item.study.source == self.name]
        return [study for study in found if matches(study, query)]

    def describe_study(self, study_instance_uid: str, *, timeout: float) -> Study | None:  # noqa: ARG002
        """The study with its instances. Raises SeveralPatients."""
        with self.database.reading() as work:
            known = self._indexed(ImagingStore(work), study_instance_uid)
        if known is None:
            return None
        if known.held_because == SEVERAL_PATIENTS:
            raise SeveralPatients()
        return known.study

    def retrieve(
        self,
        request: InstanceRequest,
        transfer_syntaxes: Sequence[str],  # noqa: ARG002 (as they are stored)
        *,
        timeout: float,  # noqa: ARG002
    ) -> Iterator[RetrievedInstance]:
        """The objects as they were encoded."""
        study = request.study_instance_uid
        with self.database.reading() as work:
            known = self._indexed(ImagingStore(work), study)
        for series, instance in known.study.instances if known else ():
            wanted = request.series_instance_uid in ("", series.series_instance_uid)
            if not wanted or request.sop_instance_uid not in ("", instance.sop_instance_uid):
                continue
            path = self.objects.path(study, instance.sop_instance_uid)
            if not path.exists():
                log.error("an object that the index knows has no file", extra={"source": self.name})
                continue
            with path.open("rb") as file:
                meta = part10.read_meta(file)
            yield RetrievedInstance(
                study, series.series_instance_uid, instance.sop_instance_uid, meta["sop_class"],
                meta["transfer_syntax"], part10.chunks_of(path), self.name, path.stat().st_size,
            )  # fmt: skip

    def check(self) -> Sequence[Check]:
        """Whether the index answers."""
        started = time.monotonic()
        try:
            self.find_studies(StudyQuery(limit=1), timeout=1)
        except HubError as error:
            return [Check("index", passed=False, detail=error.message)]
        return [Check("index", passed=True, detail="", milliseconds=int((time.monotonic() - started) * 1000))]

    def close(self) -> None:
        """Nothing is open."""

    def _indexed(self, store: ImagingStore, study_instance_uid: str) -> IndexedStudy | None:
        for item in store.studies([study_instance_uid], deep=True):
            if item.study.source == self.name and item.state is not StudyState.ORDERED:
                return item
        return None


def studies_of(files: Iterable[Path]) -> tuple[Study, ...]:
    """The objects in files as studies, one for each patient that they name.

    One that can't be read stays where it is and is told in the log: it was acknowledged, and an operator may look."""
    groups: dict[tuple[str, str, str], list[DatasetReader]] = {}
    for path in files:
        try:
            reader = DatasetReader(header_of(path))
            found = dicom.study_of_instances([reader], "")
        except (HubError, OSError) as error:
            told = error.code if isinstance(error, HubError) else type(error).__name__
            log.error("a stored object can't be indexed: %s", told)
            continue
        if found is not None:
            groups.setdefault((found.study_instance_uid, *_patient(found)), []).append(reader)
    studies = (dicom.study_of_instances(readers, "") for readers in groups.values())
    return tuple(study for study in studies if study is not None)


def _patient(study: Study) -> tuple[str, str]:
    return study.patient_id, study.issuer
