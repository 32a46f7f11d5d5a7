"""An archive in this process that fulfils the connector contract on real files, and rooms that stand beside it."""

# ruff: noqa: ARG002  (the contracts say what is passed)

import io
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from hub.access.rights_model import Everything
from hub.connector.contract import Check, SourceLied, SourceUnavailable, StudyQuery
from hub.connector.matching import matches
from hub.context import Context
from hub.documents.model import AssociationType, DocumentEntry, ProvideDocuments, Registered
from hub.federation.service import FederationService
from hub.imaging.model import InstanceRequest, PassedThrough, RetrievedInstance, SourceInfo, Study
from hub.imaging.service import ImagingService
from hub.patients.model import IdentityStatus, Person, Traits
from hub.storage.content import ContentStore
from hub.storage.engine import Database
from hub.values import PatientIdentifier, new_uuid, now
from hub.wire.dicom import DatasetReader, study_of_instances

A = SourceInfo(
    "PACS_A", "Hôpital A", "1.2.250.1.999.2.1", "1.2.250.1.999.3.1", 2.0, ae_title="PACS_A", namespace="HOPA"
)
B = SourceInfo(
    "PACS_B", "Hôpital B", "1.2.250.1.999.2.2", "1.2.250.1.999.3.2", 2.0, ae_title="PACS_B", namespace="HOPB"
)
AFFINITY = "1.2.250.1.999.1.1"
STUDY = "1.2.826.0.1.3680043.8.498.1000"
#: Files that make one study of several modalities and transfer syntaxes.
FILES = ("CT_small.dcm", "MR_small.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm", "SC_rgb_small_odd.dcm")


@dataclass
class Archive:
    """A small archive that can also be slow, down, or lie."""

    name: str
    datasets: list[Dataset] = field(default_factory=list)
    down: bool = False
    lies: bool = False  #: what it tells of a study is no answer
    hang: threading.Event | None = None
    calls: list[str] = field(default_factory=list)
    answer: Callable[[list[Study]], list[Study]] = lambda studies: studies

    def check(self) -> Sequence[Check]:
        return (Check("there", passed=not self.down, detail=""),)

    def close(self) -> None:
        """Nothing to let go of."""

    def _studies(self) -> list[Study]:
        uids = dict.fromkeys(ds.StudyInstanceUID for ds in self.datasets)
        made = (study_of_instances(map(DatasetReader, self._of(uid)), self.name) for uid in uids)
        return [study for study in made if study is not None]

    def _of(self, study: str, series: str = "", instance: str = "") -> list[Dataset]:
        return [
            ds
            for ds in self.datasets
            if ds.StudyInstanceUID == study
            and series in ("", ds.SeriesInstanceUID)
            and instance in ("", ds.SOPInstanceUID)
        ]

    def _called(self, what: str) -> None:
        self.calls.append(what)
        if self.hang is not None:
            self.hang.wait(30)
        if self.down:
            raise SourceUnavailable()

    def find_studies(self, query: StudyQuery, *, timeout: float) -> Sequence[Study]:
        self._called("find")
        found = [study for study in self._studies() if matches(study, query)]
        return self.answer([replace(study, series=()) for study in found])

    def describe_study(self, study_instance_uid: str, *, timeout: float) -> Study | None:
        self._called("describe")
        if self.lies:
            raise SourceLied()
        return study_of_instances(map(DatasetReader, self._of(study_instance_uid)), self.name)

    def retrieve(
        self, request: InstanceRequest, transfer_syntaxes: Sequence[str], *, timeout: float
    ) -> Iterator[RetrievedInstance]:
        self._called("retrieve")
        for ds in self._of(request.study_instance_uid, request.series_instance_uid, request.sop_instance_uid):
            content = part10(ds)
            yield RetrievedInstance(
                ds.StudyInstanceUID,
                ds.SeriesInstanceUID,
                ds.SOPInstanceUID,
                ds.SOPClassUID,
                ds.file_meta.TransferSyntaxUID,
                iter([content[:1000], content[1000:]]),
            )


class WebArchive(Archive):
    """An archive that also gives metadata and passes frames through."""

    def metadata(self, request: InstanceRequest, *, timeout: float) -> Iterator[Mapping[str, Any]]:
        self._called("metadata")
        for ds in self._of(request.study_instance_uid, request.series_instance_uid, request.sop_instance_uid):
            yield ds.to_json_dict(
                bulk_data_threshold=1024, bulk_data_element_handler=lambda _: "http://pacs/studies/1/x"
            )

    def pass_through(
        self, request: InstanceRequest, path: str, query: Sequence[tuple[str, str]], accept: str, *, timeout: float
    ) -> PassedThrough:
        self._called("pass_through")
        return PassedThrough("application/octet-stream", iter([path.encode()]))


def part10(ds: Dataset) -> bytes:
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def read(content: bytes) -> Dataset:
    return dcmread(io.BytesIO(content))


def study_files(
    study: str = STUDY, patient: str = "A-1", accession: str = "ACC-1", names: Sequence[str] = FILES, **values: Any
) -> list[Dataset]:
    """pydicom's own files, re-labelled as one study; each its own series."""
    found = []
    for number, name in enumerate(names, 1):
        ds = dcmread(str(get_testdata_file(name)))
        ds.StudyInstanceUID, ds.SeriesInstanceUID = study, f"{study}.{number}"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{study}.{number}.1"
        ds.SeriesNumber, ds.InstanceNumber = number, 1
        ds.PatientID, ds.PatientName, ds.PatientBirthDate, ds.PatientSex = patient, "DURAND^ÉLODIE", "19790327", "F"
        ds.SpecificCharacterSet = "ISO_IR 192"
        ds.AccessionNumber, ds.StudyDate, ds.StudyTime = accession, "20260301", "101500"
        ds.StudyDescription, ds.StudyID = "Scanner thoracique", "S1"
        ds.TimezoneOffsetFromUTC = "+0100"
        for keyword, value in values.items():
            setattr(ds, keyword, value)
        found.append(ds)
    return found


class FakeSources:
    """Open sources by name."""

    def __init__(self, *archives: Archive) -> None:
        self.archives = {archive.name: archive for archive in archives}
        self.failures: list[tuple[str, str]] = []

    def get(self, name: str) -> Archive:
        return self.archives[name]

    def contacted(self, name: str) -> None:
        """It answered."""

    def failed(self, name: str, reason: str, code: str = "") -> None:
        self.failures.append((name, code))


class FakePatients:
    """Persons by any of their identifiers."""

    def __init__(self) -> None:
        self.people: dict[PatientIdentifier, Person] = {}
        self.listeners: list[Callable[[PatientIdentifier, Iterable[PatientIdentifier], Context], None]] = []
        self.expecting: list[Callable[[Iterable[PatientIdentifier]], None]] = []
        self.regrouped: list[Callable[[Sequence[PatientIdentifier], Context], None]] = []

    def add(self, number: str, *identifiers: PatientIdentifier, ins: PatientIdentifier | None = None) -> Person:
        regional = PatientIdentifier(number, AFFINITY)
        person = Person(regional, Traits(), IdentityStatus.VALIDATED, ins=ins, aliases=identifiers)
        for identifier in person.identifiers:
            self.people[identifier] = person
        return person

    def resolve(self, identifier: PatientIdentifier) -> PatientIdentifier | None:
        person = self.people.get(identifier)
        return person.regional if person else None

    def settle(self, *numbers: PatientIdentifier) -> None:
        """Nobody else is here."""

    def equivalents(self, identifier: PatientIdentifier) -> tuple[PatientIdentifier, ...]:
        return (identifier,)

    def person(self, identifier: PatientIdentifier) -> Person | None:
        return self.people.get(identifier)

    def meant_by(self, number: str) -> PatientIdentifier | None:
        found = {person.regional for identifier, person in self.people.items() if identifier.value == number}
        return found.pop() if len(found) == 1 else None


class FakeDocuments:
    """A registry that gives ids and remembers."""

    def __init__(self) -> None:
        self.commands: list[ProvideDocuments] = []
        self.contents: dict[str, bytes] = {}
        self.standing: dict[str, DocumentEntry] = {}

    def withdraw(self, entry_ids: Iterable[str], context: Context) -> tuple[str, ...]:
        return tuple(self.standing.pop(item).unique_id for item in entry_ids if item in self.standing)

    def approved(self, entry_ids: Iterable[str]) -> tuple[DocumentEntry, ...]:
        return tuple(self.standing[item] for item in entry_ids if item in self.standing)

    @property
    def entries(self) -> list[DocumentEntry]:
        return [entry for command in self.commands for entry in command.submission.entries]

    def hold_persons(self) -> None:
        """Nobody else is here."""

    def provide(self, command: ProvideDocuments, context: Context) -> Registered:
        self.commands.append(command)
        by_id = {entry.id: entry.unique_id for entry in command.submission.entries}
        for content in command.contents:
            self.contents[by_id[content.entry_id]] = Path(content.path).read_bytes()
        entries = tuple(replace(entry, id=new_uuid()) for entry in command.submission.entries)
        self.standing |= {entry.id: entry for entry in entries}
        for association in command.submission.associations:
            if association.type == AssociationType.REPLACE:
                del self.standing[association.target]
        return Registered(replace(command.submission, entries=entries))


@dataclass
class FakeExchange:
    """Remembers what is queued."""

    queued: list[tuple[str, str, Mapping[str, Any], str]] = field(default_factory=list)
    later: list[tuple[str, str, Mapping[str, Any], str]] = field(default_factory=list)

    def enqueue(
        self,
        destination: str,
        kind: str,
        payload: Mapping[str, Any],
        context: Context,
        *,
        key: str = "",
        due_at: Any = None,
    ) -> str:
        (self.later if due_at and due_at > now() else self.queued).append((destination, kind, payload, key))
        return f"delivery-{len(self.queued)}"


def rooms(
    database: Database,
    directory: Path,
    archives: Sequence[Archive],
    infos: Sequence[SourceInfo],
    patients: FakePatients,
) -> tuple[ImagingService, FederationService]:
    """The two rooms on these archives, where everybody may do everything."""
    sources, documents = FakeSources(*archives), FakeDocuments()
    imaging = ImagingService(
        database=database,
        sources=sources,
        infos=infos,
        patients=patients,
        documents=documents,
        withdrawals=documents,
        exchange=FakeExchange(),
        content=ContentStore(directory / "content"),
        cache=directory / "cache",
        source_id="1.2.3",
        rights=Everything(),
    )
    federation = FederationService(
        database=database,
        sources=sources,
        infos=infos,
        patients=patients,
        affinity_domain=AFFINITY,
        rights=Everything(),
    )
    return imaging, federation
