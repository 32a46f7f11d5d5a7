"""The DIMSE connector."""

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from connectors.dimse.config import DimseConfig
from connectors.dimse.query import IMAGE_KEYS, SERIES_KEYS, STUDY_KEYS, halves, level, study_identifiers
from connectors.dimse.retrieval import Planned, Retrieval
from connectors.dimse.session import Peer
from hub.connector.contract import Check, ConnectorError, CutShort, Environment, SourceLied, StudyQuery
from hub.connector.matching import matches
from hub.connector.self_test import carry_out
from hub.errors import Invalid
from hub.imaging.model import Instance, InstanceRequest, RetrievedInstance, Series, Study
from hub.wire import dicom
from hub.wire.dicom import DatasetReader
from hub.wire.dicom_head import header
from hub.wire.dimse import client, part10
from hub.wire.dimse.association import Association
from hub.wire.dimse.contexts import PATIENT_FIND, STUDY_FIND, VERIFICATION, for_services, for_storage
from hub.wire.dimse.errors import NoContext

_NOBODY = "2.25.1"
_ROUND = 100  #: archives that end answers silently do so at 100, 200, 500, 1000
_ENDED_EARLY = (0xFE00, 0xA700)
_STORED_WITH_WARNING = range(0xB000, 0xC000)


class DimseConnector:
    """One PACS. ``find`` and ``get`` raise ConnectorError only."""

    def __init__(self, name: str, config: DimseConfig, environment: Environment) -> None:
        self.name = name
        self.config = config
        self._peer = Peer(name, config, config.calling_ae_title or environment.ae_title)
        self._find_class = STUDY_FIND if config.root == "study" else PATIENT_FIND
        self._retrieval = Retrieval(self._peer, environment)

    def close(self) -> None:
        """No new associations from now on; running ones are cut."""
        self._peer.close()

    # --- search

    def find_studies(self, query: StudyQuery, *, timeout: float) -> Sequence[Study]:
        """Matching studies, filtered again here; CutShort when there are more than the limit, or more of one day than
        the PACS tells. Raises ConnectorError."""
        deadline = time.monotonic() + timeout
        if self.config.root == "patient" and not query.patient_ids:
            raise ConnectorError("A patient root search needs a patient id.", source=self.name)
        with self._finder(deadline) as finder:
            told = self._search(finder, query)
        found = {study.study_instance_uid: study for study in told if matches(study, query)}
        cut = isinstance(told, CutShort) or 0 < query.limit < len(found)
        fit = list(found.values())[: query.limit or None]
        return CutShort(fit) if cut else fit

    def _search(self, finder: "_Finder", query: StudyQuery) -> list[Study]:
        found: list[Study] = []
        cut = False
        for identifier in study_identifiers(query, self.config):
            answers, ended = finder.told(identifier)
            if ended or self._cut(len(answers)):
                parts = halves(query)
                if parts is not None:
                    told = [self._search(finder, part) for part in parts]
                    every = [study for part in told for study in part]
                    return CutShort(every) if any(isinstance(part, CutShort) for part in told) else every
                cut = True
            found += self._studies(answers)
        return CutShort(found) if cut else found

    def _cut(self, count: int) -> bool:
        """Whether the PACS may have ended its answer there: at the number that is known of it, else at a round one."""
        most = self.config.max_results
        return count >= most if most else count > 0 and count % _ROUND == 0

    def _studies(self, answers: Iterable[Dataset]) -> Iterator[Study]:
        for answer in answers:
            reader = self._reader(answer)
            if dicom.first(reader, "StudyInstanceUID"):
                with self._peer.translated(), _lies(self.name):
                    yield dicom.study_from(reader, self.name)

    def describe_study(self, study_instance_uid: str, *, timeout: float) -> Study | None:
        """The study down to its instances, on one association. Raises ConnectorError."""
        deadline = time.monotonic() + timeout
        with self._finder(deadline) as finder, _lies(self.name):
            answers = list(finder(level("STUDY", STUDY_KEYS, self.config, StudyInstanceUID=study_instance_uid)))
            wanted = [item for item in answers if self._uid(item, "StudyInstanceUID") == study_instance_uid]
            if not wanted:
                return None
            series = tuple(self._series(finder, study_instance_uid))
            study = dicom.study_from(self._reader(wanted[0]), self.name, dicom.in_order(series))
            declared = dicom.number(self._reader(wanted[0]), "NumberOfStudyRelatedInstances")
            self._same(declared, sum(len(item.instances) for item in series))
        if all(instance.sop_class_uid for _, instance in study.instances):
            return study
        return self._from_objects(study, deadline)

    def _from_objects(self, study: Study, deadline: float) -> Study:
        """For a PACS that does not tell SOP classes (dcmqrscp): everything from the objects' own headers."""
        request = InstanceRequest(study.study_instance_uid)
        planned = [Planned(series.series_instance_uid, item.sop_instance_uid, "") for series, item in study.instances]
        found = self._retrieval.run(request, planned, ("*",), deadline)
        with _lies(self.name):
            described = dicom.study_of_instances((self._header_reader(item) for item in found), self.name)
        return described or study

    def _header_reader(self, item: RetrievedInstance) -> DatasetReader:
        with self._peer.translated():
            return self._reader(header(item.chunks))

    def _series(self, finder: "_Finder", study_instance_uid: str) -> Iterator[Series]:
        identifier = level("SERIES", SERIES_KEYS, self.config, StudyInstanceUID=study_instance_uid)
        for answer in finder(identifier):
            uid = self._uid(answer, "SeriesInstanceUID")
            if not uid:
                continue
            instances = tuple(self._instances(finder, study_instance_uid, uid))
            self._same(dicom.number(self._reader(answer), "NumberOfSeriesRelatedInstances"), len(instances))
            yield dicom.series_from(self._reader(answer), dicom.instances_in_order(instances))

    def _instances(self, finder: "_Finder", study: str, series: str, instance: str = "") -> Iterator[Instance]:
        identifier = level(
            "IMAGE", IMAGE_KEYS, self.config,
            StudyInstanceUID=study, SeriesInstanceUID=series, SOPInstanceUID=instance,
        )  # fmt: skip
        for answer in finder(identifier):
            found = self._uid(answer, "SOPInstanceUID")
            if found and instance in ("", found):
                yield dicom.instance_from(self._reader(answer))

    # --- retrieval

    def retrieve(
        self, request: InstanceRequest, transfer_syntaxes: Sequence[str], *, timeout: float
    ) -> Iterator[RetrievedInstance]:
        """Instances as they come from the PACS; afterwards SourceLied when fewer came than it had promised."""
        deadline = time.monotonic() + timeout
        planned = self._plan(request, deadline)
        if planned:
            yield from self._retrieval.run(request, planned, transfer_syntaxes, deadline)

    def _plan(self, request: InstanceRequest, deadline: float) -> list[Planned]:
        with self._finder(deadline) as finder, _lies(self.name):
            study = request.study_instance_uid
            if request.series_instance_uid:
                series = [request.series_instance_uid]
            else:
                identifier = level("SERIES", SERIES_KEYS, self.config, StudyInstanceUID=study)
                series = [self._uid(answer, "SeriesInstanceUID") for answer in finder(identifier)]
            return [
                Planned(uid, item.sop_instance_uid, item.sop_class_uid)
                for uid in filter(None, series)
                for item in self._instances(finder, study, uid, request.sop_instance_uid)
            ]

    # --- storing

    def store(self, file: Path, *, timeout: float) -> None:
        """C-STORE in the transfer syntax of the file (PS3.4: B). Raises ConnectorError."""
        deadline = time.monotonic() + timeout
        with self._peer.translated(), file.open("rb") as opened:
            meta = part10.read_meta(opened)
            proposals = for_storage([meta["sop_class"]], [meta["transfer_syntax"]])
            with self._peer.association(proposals, deadline) as association:
                status = client.store(
                    association,
                    meta["sop_class"],
                    meta["sop_instance"],
                    meta["transfer_syntax"],
                    part10.pieces(opened),
                )
        if status and status not in _STORED_WITH_WARNING:
            with self._peer.translated():
                raise client.OperationFailed(status, "C-STORE")

    # --- self-test

    def check(self) -> Sequence[Check]:
        """Association and C-ECHO, a search that finds nothing, and what retrieval needs."""
        deadline = time.monotonic() + self.config.timeout
        return carry_out(
            (
                ("association and C-ECHO", lambda: self._check_echo(deadline)),
                ("C-FIND", lambda: self._check_find(deadline)),
                (f"C-{self.config.retrieve.upper()}", lambda: self._retrieval.check(deadline)),
            )
        )

    def _check_echo(self, deadline: float) -> str:
        with self._peer.association(for_services([VERIFICATION, self._find_class]), deadline) as association:
            try:
                status = client.echo(association)
            except NoContext:
                return "the association is accepted; the PACS offers no C-ECHO"
            if status:
                raise ConnectorError(f"The PACS answers C-ECHO with status {status:04X}.", source=self.name)
        return f"{self.config.ae_title} accepts {self._peer.calling}"

    def _check_find(self, deadline: float) -> str:
        with self._finder(deadline) as finder:
            count = len(list(finder(level("STUDY", STUDY_KEYS, self.config, StudyInstanceUID=_NOBODY))))
        return "answered" if not count else f"answered with {count} studies that were not asked for"

    # --- below

    def _finder(self, deadline: float) -> "_Finder":
        return _Finder(self._peer, self._find_class, self.config.finds_per_association, deadline)

    def _reader(self, answer: Dataset) -> DatasetReader:
        return DatasetReader(answer, self.config.charset)

    def _uid(self, answer: Dataset, keyword: str) -> str:
        return dicom.first(self._reader(answer), keyword)

    def _same(self, declared: int | None, found: int) -> None:
        if declared is not None and found < declared:
            raise SourceLied(f"The source says {declared} instances and lists {found}.", source=self.name)


class _Finder:
    """C-FINDs on as few associations as the PACS allows."""

    def __init__(self, peer: Peer, sop_class: str, per_association: int, deadline: float) -> None:
        self._peer = peer
        self._sop_class = sop_class
        self._per_association = per_association
        self._deadline = deadline
        self._stack = contextlib.ExitStack()
        self._association: Association | None = None
        self._used = 0

    def __enter__(self) -> "_Finder":
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def __call__(self, identifier: Dataset) -> list[Dataset]:
        """All answers. Raises ConnectorError."""
        with self._peer.translated():
            return list(client.find(self._opened(), self._sop_class, identifier))

    def told(self, identifier: Dataset) -> tuple[list[Dataset], bool]:
        """The answers, and whether the PACS ended them before the end: by a status that says so (Orthanc: FE00, nobody
        having cancelled; others and the hub: A700). Raises ConnectorError."""
        answers: list[Dataset] = []
        with self._peer.translated():
            try:
                answers.extend(client.find(self._opened(), self._sop_class, identifier))
            except client.OperationFailed as error:
                if not answers or error.status not in _ENDED_EARLY:
                    raise
                return answers, True
        return answers, False

    def _opened(self) -> Association:
        if self._association is not None and self._per_association and self._used >= self._per_association:
            self._stack.close()
            self._association = None
        if self._association is None:
            context = self._peer.association(for_services([self._sop_class]), self._deadline)
            self._association, self._used = self._stack.enter_context(context), 0
        self._used += 1
        return self._association


@contextlib.contextmanager
def _lies(name: str) -> Iterator[None]:
    """A value that breaks a rule of DICOM is the source's mistake."""
    try:
        yield
    except Invalid as error:
        raise SourceLied("The source's answer holds an invalid identifier.", source=name) from error
