"""A PACS on pynetdicom: C-ECHO, C-STORE, C-FIND, C-GET and C-MOVE over a directory, and ways to misbehave."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE, _config, evt
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from hub.imaging.model import IndexedStudy, StudyState
from hub.testing.ports import free_port
from hub.testing.simulators.archive import Archive, Held
from hub.testing.sites import DimseAddress
from hub.values import AETitle
from hub.wire.dimse.query import matches, wanted_instances

_config.UNRESTRICTED_STORAGE_SERVICE = True  # pynetdicom's only way to accept every storage class
EXPLICIT = "1.2.840.10008.1.2.1"


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """What a simulated PACS does wrong."""

    find_delay: float = 0.0  #: seconds before each C-FIND answer
    hang_in_find: bool = False  #: never answers a C-FIND
    pending_forever: bool = False  #: answers a C-FIND without end
    declared_instances: int | None = None  #: says so many instances whatever it has
    send_at_most: int | None = None  #: sends so many objects of a retrieval, and says Success
    unable: str = ""  #: SeriesInstanceUID of which it can send nothing
    no_objects: bool = False  #: says Success to a retrieval without sending anything
    ignore_keys: bool = False  #: answers every C-FIND with all that it has
    omit: tuple[str, ...] = ()  #: return keys that it leaves out
    find_status: int = 0x0000  #: final status of C-FIND
    refuse_association: bool = False  #: knows nobody's AE title
    cut_at: int | None = None  #: ends C-FIND answers silently after so many


class PacsSimulator:
    """Listens on loopback until stopped."""

    kind = "pacs-simulator"
    simulated = True
    dicomweb_url = ""

    def __init__(
        self,
        directory: Path,
        *,
        ae_title: str = "SIMPACS",
        destinations: Mapping[str, DimseAddress] | None = None,
        wrong: Misbehaviour | None = None,
    ) -> None:
        self.archive = Archive(directory / "objects")
        self.wrong = wrong or Misbehaviour()
        self.destinations = {item.ae_title: item for item in (destinations or {}).values()}
        self.finds = 0
        self.associations = 0
        self._stopped = False
        entity = AE(ae_title=ae_title)
        entity.maximum_pdu_size = 128 * 1024
        if self.wrong.refuse_association:
            entity.require_calling_aet = ["NOBODY"]
        entity.supported_contexts = [
            build_context(model)
            for model in (
                Verification,
                StudyRootQueryRetrieveInformationModelFind,
                StudyRootQueryRetrieveInformationModelGet,
                StudyRootQueryRetrieveInformationModelMove,
            )
        ]
        handlers = [
            (evt.EVT_ACCEPTED, self._accepted),
            (evt.EVT_C_STORE, self._stored),
            (evt.EVT_C_FIND, self._found),
            (evt.EVT_C_GET, self._got),
            (evt.EVT_C_MOVE, self._moved),
        ]
        address = ("127.0.0.1", free_port())
        self._server = entity.start_server(address, block=False, evt_handlers=handlers)
        self.dimse: DimseAddress | None = DimseAddress(AETitle(ae_title), *address)

    def store(self, files: Iterable[Path]) -> int:
        """Put files in."""
        return self.archive.add(files)

    def stop(self) -> None:
        """Stop listening."""
        if not self._stopped:
            self._stopped = True
            self._server.shutdown()

    def _accepted(self, _event: Any) -> None:
        self.associations += 1

    def _stored(self, event: Any) -> int:
        return 0x0000 if self.archive.put(event.encoded_dataset()) else 0xA900

    def _found(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        self.finds += 1
        while self.wrong.hang_in_find and not self._stopped:
            time.sleep(0.05)
        for count, match in enumerate(self._matches(event.identifier)):
            if self.wrong.find_delay:
                time.sleep(self.wrong.find_delay)
            if event.is_cancelled:
                yield 0xFE00, None
                return
            if self.wrong.cut_at is not None and count >= self.wrong.cut_at:
                break
            yield 0xFF00, match
            while self.wrong.pending_forever and not self._stopped:
                time.sleep(0.01)
                yield 0xFF00, match
        if self.wrong.find_status:
            yield self.wrong.find_status, None

    def _matches(self, identifier: Dataset) -> Iterator[Dataset]:
        studies = [IndexedStudy(study, None, StudyState.INDEXED) for study in self.archive.studies()]
        if self.wrong.ignore_keys:
            identifier = _without_values(identifier)
        studies = [item for item in studies if _fits(item, identifier)]
        for match in matches(identifier, studies, "SIMPACS"):
            for keyword in self.wrong.omit:
                if keyword in match:
                    delattr(match, keyword)
            for keyword in ("NumberOfStudyRelatedInstances", "NumberOfSeriesRelatedInstances"):
                if self.wrong.declared_instances is not None and keyword in match:
                    setattr(match, keyword, self.wrong.declared_instances)
            yield match

    def _wanted(self, identifier: Dataset) -> list[Held]:
        found = [
            held
            for request in wanted_instances(identifier)
            for held in self.archive.find(
                request.study_instance_uid, request.series_instance_uid, request.sop_instance_uid
            )
        ]
        if self.wrong.no_objects:
            return []
        return found[: self.wrong.send_at_most]

    def _got(self, event: Any) -> Iterator[Any]:
        yield from self._sent(event)

    def _moved(self, event: Any) -> Iterator[Any]:
        destination = self.destinations.get(event.move_destination)
        if destination is None:
            yield None, None
            return
        wanted = self._wanted(event.identifier)
        pairs = dict.fromkeys((held.head.sop_class_uid, held.head.transfer_syntax) for held in wanted)
        contexts = [build_context(*pair) for pair in pairs] or [build_context("1.2.840.10008.5.1.4.1.1.2", EXPLICIT)]
        yield destination.host, destination.port, {"contexts": contexts, "ae_title": destination.ae_title}
        yield from self._sent(event)

    def _sent(self, event: Any) -> Iterator[Any]:
        wanted = self._wanted(event.identifier)
        yield len(wanted)
        if self.wrong.unable and event.identifier.get("SeriesInstanceUID") == self.wrong.unable:
            yield 0xA702, Dataset()
            return
        for held in wanted:
            yield 0xFF00, dcmread(held.path)


def _without_values(identifier: Dataset) -> Dataset:
    found = Dataset()
    for element in identifier:
        setattr(found, element.keyword, element.value if element.keyword == "QueryRetrieveLevel" else None)
    return found


def _fits(item: IndexedStudy, identifier: Dataset) -> bool:
    """The keys that ``matches`` leaves to the question."""
    study = item.study
    day = str(identifier.get("StudyDate", "") or "")
    start, dash, end = day.partition("-")
    name = str(identifier.get("PatientName", "") or "").rstrip("*").casefold()
    modalities = identifier.get("ModalitiesInStudy") or []
    wanted = {str(modalities)} if isinstance(modalities, str) else set(map(str, modalities))
    return (
        str(identifier.get("PatientID", "") or study.patient_id) == study.patient_id
        and str(identifier.get("StudyInstanceUID", "") or study.study_instance_uid) == study.study_instance_uid
        and str(identifier.get("AccessionNumber", "") or study.accession_number) == study.accession_number
        and str(identifier.get("PatientBirthDate", "") or study.patient_birth_date) == study.patient_birth_date
        and study.patient_name.casefold().startswith(name)
        and (not wanted or bool(wanted & set(study.modalities)))
        and (not day or (start <= study.started[:8] <= (end or "99999999") if dash else study.started[:8] == start))
    )
