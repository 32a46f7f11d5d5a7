"""The DICOMweb connector."""

import contextlib
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from connectors.dicomweb.config import DicomwebConfig
from hub.connector.contract import (
    Check,
    ConnectorError,
    CutShort,
    Environment,
    SourceAnswerTooLarge,
    SourceLied,
    SourceMisconfigured,
    SourceUnavailable,
    StudyQuery,
)
from hub.connector.matching import matches
from hub.connector.self_test import carry_out
from hub.errors import (
    AccessDenied,
    DeadlineExceeded,
    HubError,
    Invalid,
    Malformed,
    NotAuthenticated,
    NotFound,
    TooLarge,
    Unavailable,
)
from hub.imaging.model import Instance, InstanceRequest, PassedThrough, RetrievedInstance, Series, Study
from hub.wire import dicom, multipart
from hub.wire.dicom import JsonReader
from hub.wire.dicom_head import peek
from hub.wire.dicomweb.client import CertificateRefused, Dialect, DicomwebClient, Roots, ServerBusy, Streamed
from hub.wire.dicomweb.media import OCTETS, boundary, multipart_type

STUDY_FIELDS = (
    "StudyDescription", "ModalitiesInStudy", "AccessionNumber", "PatientBirthDate", "PatientSex", "StudyID",
    "ReferringPhysicianName", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances", "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence", "TimezoneOffsetFromUTC", "InstitutionName", "ProcedureCodeSequence",
)  # fmt: skip
SERIES_FIELDS = (
    "SeriesDescription", "BodyPartExamined", "Laterality", "SeriesDate", "SeriesTime", "PerformingPhysicianName",
    "Manufacturer", "NumberOfSeriesRelatedInstances",
)  # fmt: skip
INSTANCE_FIELDS = ("NumberOfFrames", "Rows", "Columns", "DocumentTitle", "ConceptNameCodeSequence")
_NOBODY = "2.25.1"
_FAILED_SOP_SEQUENCE, _FAILURE_REASON = "00081198", "00081197"
_PIECE = 1 << 20
_LEAST_PAGE = 25  #: no server is known whose own largest page is smaller
_MISCONFIGURED = (NotAuthenticated, AccessDenied, CertificateRefused)
Parameters = list[tuple[str, str]]


class DicomwebConnector:
    """One PACS."""

    def __init__(self, name: str, config: DicomwebConfig, environment: Environment) -> None:  # noqa: ARG002
        self.name = name
        self.config = config
        self._closed = False
        self._client = DicomwebClient(
            Roots(
                (config.qido_url or config.url).rstrip("/"),
                (config.wado_url or config.url).rstrip("/"),
                config.stow_url.rstrip("/"),
            ),
            auth=(config.user, config.password.get_secret_value()) if config.user else None,
            bearer=config.bearer.get_secret_value(),
            tls=_tls(config),
            max_connections=config.max_connections,
            timeout=config.timeout,
            dialect=Dialect(config.quote_type_parameter, config.transfer_syntax_star, config.json_type),
            max_json=config.max_json_mb << 20,
        )

    def close(self) -> None:
        """Close all connections."""
        self._closed = True
        self._client.close()

    # --- search

    def find_studies(self, query: StudyQuery, *, timeout: float) -> Sequence[Study]:
        """Matching studies, filtered again here; CutShort when the limit was reached before. Raises ConnectorError."""
        deadline = time.monotonic() + timeout
        found: dict[str, Study] = {}
        cut = False
        with self._translated():
            for parameters in self._searches(query):
                told = list(self._pages("/studies", parameters, STUDY_FIELDS, deadline, query.limit))
                cut = cut or 0 < query.limit <= len(told)
                for study in (dicom.study_from(JsonReader(item), self.name) for item in told):
                    found.setdefault(study.study_instance_uid, study)
        fit = [study for study in found.values() if matches(study, query)]
        return CutShort(fit[: query.limit or None]) if cut else fit[: query.limit or None]

    def _searches(self, query: StudyQuery) -> Iterator[Parameters]:
        several = self.config.modalities_in_study
        modalities = query.modalities if several == "loop" else (",".join(query.modalities),)
        for patient in query.patient_ids or ("",):
            for modality in modalities if query.modalities and several != "filter" else ("",):
                start, end = query.started_from, query.started_to
                wanted = {
                    "PatientID": patient,
                    "StudyInstanceUID": query.study_instance_uid,
                    "AccessionNumber": query.accession_number,
                    "ModalitiesInStudy": modality,
                    "StudyDate": start if start == end else f"{start}-{end}",
                    "PatientName": query.patient_name,
                    "PatientBirthDate": query.patient_birth_date,
                }
                wanted |= dict(query.keys)
                yield [(keyword, value) for keyword, value in wanted.items() if value]

    def describe_study(self, study_instance_uid: str, *, timeout: float) -> Study | None:
        """The study down to its instances. Raises ConnectorError."""
        deadline = time.monotonic() + timeout
        with self._translated():
            if self.config.describe == "metadata":
                return self._from_metadata(study_instance_uid, deadline)
            parameters = [("StudyInstanceUID", study_instance_uid)]
            answers = self._pages("/studies", parameters, STUDY_FIELDS, deadline)
            readers = (JsonReader(item) for item in answers)
            wanted = [item for item in readers if dicom.first(item, "StudyInstanceUID") == study_instance_uid]
            if not wanted:
                return None
            series = tuple(self._series(study_instance_uid, deadline))
            self._same(wanted[0], "NumberOfStudyRelatedInstances", sum(len(item.instances) for item in series))
            return dicom.study_from(wanted[0], self.name, dicom.in_order(series))

    def _from_metadata(self, study_instance_uid: str, deadline: float) -> Study | None:
        try:
            found = self._client.metadata(f"/studies/{study_instance_uid}", timeout=self._left(deadline))
        except NotFound:
            return None
        return dicom.study_of_instances((JsonReader(item) for item in found), self.name)

    def _series(self, study: str, deadline: float) -> Iterator[Series]:
        for item in self._pages(f"/studies/{study}/series", [], SERIES_FIELDS, deadline):
            reader = JsonReader(item)
            path = f"/studies/{study}/series/{dicom.first(reader, 'SeriesInstanceUID')}/instances"
            found = self._pages(path, [], INSTANCE_FIELDS, deadline)
            instances: dict[str, Instance] = {}
            for entry in found:
                instance = dicom.instance_from(JsonReader(entry))
                instances[instance.sop_instance_uid] = instance
            self._same(reader, "NumberOfSeriesRelatedInstances", len(instances))
            yield dicom.series_from(reader, dicom.instances_in_order(instances.values()))

    def _pages(
        self, path: str, parameters: Parameters, fields: Sequence[str], deadline: float, limit: int = 0
    ) -> Iterator[dict[str, Any]]:
        """All matches, page by page, until a page brings nothing new, or very few: one that is shorter than asked for
        may also be the largest that the server gives."""
        included = [("includefield", dicom.hex_tag(item)) for item in fields] if self.config.include_fields else []
        seen: set[str] = set()
        while True:
            size = min(self.config.page, limit - len(seen)) if limit else self.config.page
            paging = [("limit", str(size)), ("offset", str(len(seen)))]
            page = self._client.query(path, parameters + included + paging, timeout=self._left(deadline))
            new = [item for item in page if (key := _key(item)) not in seen and not seen.add(key)]  # type: ignore[func-returns-value]
            yield from new
            if not new or len(page) < min(size, _LEAST_PAGE) or (limit and len(seen) >= limit):
                return

    # --- retrieval

    def retrieve(
        self, request: InstanceRequest, transfer_syntaxes: Sequence[str], *, timeout: float
    ) -> Iterator[RetrievedInstance]:
        """Part 10 files as they arrive; nothing of what the source does not hold. Raises ConnectorError."""
        with self._translated(), contextlib.suppress(NotFound):
            for chunks in self._client.instances(_path(request), transfer_syntaxes, timeout=timeout):
                head, whole = peek(chunks)
                if head.study_instance_uid != request.study_instance_uid:
                    raise SourceLied("The source sent an object of another study.", source=self.name)
                yield RetrievedInstance(
                    head.study_instance_uid,
                    head.series_instance_uid,
                    head.sop_instance_uid,
                    head.sop_class_uid,
                    head.transfer_syntax,
                    self._watched(whole),
                    self.name,
                )

    def metadata(self, request: InstanceRequest, *, timeout: float) -> Iterator[Mapping[str, Any]]:
        """The server's own metadata, nothing of what it does not hold. Raises ConnectorError."""
        with self._translated(), contextlib.suppress(NotFound):
            yield from self._client.metadata(_path(request), timeout=timeout)

    def pass_through(
        self, request: InstanceRequest, path: str, query: Sequence[tuple[str, str]], accept: str, *, timeout: float
    ) -> PassedThrough:
        """The server's own answer, streamed; where it lies there stays untold. Raises ConnectorError."""
        wanted = "*/*" if "*/*" in accept else accept  # type="*/*" within multipart is not known to all
        with self._translated():
            try:
                answer = self._client.stream(f"{_path(request)}/{path}", query, wanted, timeout=timeout)
            except ServerBusy as error:
                if error.context.get("status") != "500":
                    raise
                # It may well do other things: some fail so where what is wanted can't be made of what they hold.
                raise ConnectorError(error.message, source=self.name) from error
        if answer.media_type.lower().startswith("multipart/"):
            return self._packed_again(answer)
        length = answer.headers.get("content-length")
        return PassedThrough(
            answer.media_type, self._watched(answer.chunks), {"Content-Length": length} if length else {}
        )

    def _packed_again(self, answer: Streamed) -> PassedThrough:
        def parts() -> Iterator[multipart.Part]:
            for part in multipart.read(answer.chunks, answer.media_type):
                yield multipart.Part({"Content-Type": part.headers.get("content-type", media_type)}, part.chunks)

        with self._translated():
            told = multipart.parse_content_type(answer.media_type).parameters.get("type") or OCTETS
        media_type = told.partition(";")[0].strip()
        limit = boundary()
        return PassedThrough(multipart_type(limit, media_type), self._watched(multipart.write(parts(), limit)))

    # --- storing

    def store(self, file: Path, *, timeout: float) -> None:
        """STOW-RS (PS3.18: 10.5). Raises ConnectorError."""
        with self._translated():
            said = self._client.store(iter([_pieces(file)]), timeout=timeout)
        refused = said.get(_FAILED_SOP_SEQUENCE, {}).get("Value") or ()
        if refused:
            reason = refused[0].get(_FAILURE_REASON, {}).get("Value") or ("",)
            told = f" ({reason[0]:04X})" if isinstance(reason[0], int) else ""
            raise ConnectorError(f"The archive does not take the object{told}.", source=self.name)

    # --- self-test

    def check(self) -> Sequence[Check]:
        """A search that finds nothing, then one that finds a study at most."""
        deadline = time.monotonic() + self.config.timeout
        return carry_out(
            (
                ("QIDO-RS", lambda: self._check_query(deadline)),
                ("WADO-RS", lambda: self._check_retrieve(deadline)),
            )
        )

    def _check_query(self, deadline: float) -> str:
        with self._translated():
            found = self._client.query("/studies", [("StudyInstanceUID", _NOBODY)], timeout=self._left(deadline))
        return "answered" if not found else f"answered with {len(found)} studies that were not asked for"

    def _check_retrieve(self, deadline: float) -> str:
        with self._translated(), contextlib.suppress(NotFound):
            for _ in self._client.instances(f"/studies/{_NOBODY}", ("*",), timeout=self._left(deadline)):
                break
            return "answered without an error for a study that does not exist"
        return "answered"

    # --- below

    def _left(self, deadline: float) -> float:
        left = deadline - time.monotonic()
        if left <= 0:
            raise DeadlineExceeded("The deadline passed before the source had answered.")
        return left

    def _same(self, reader: JsonReader, keyword: str, found: int) -> None:
        declared = dicom.number(reader, keyword)
        if declared is not None and found < declared:
            raise SourceLied(f"The source says {declared} instances and lists {found}.", source=self.name)

    def _watched(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        with self._translated():
            yield from chunks

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        if self._closed:
            raise SourceUnavailable("The source is closed.", source=self.name)
        try:
            yield
        except ConnectorError:
            raise
        except HubError as error:
            raise _kind(error)(error.message, source=self.name) from error


def _kind(error: HubError) -> type[ConnectorError]:
    if isinstance(error, Unavailable):
        return SourceUnavailable
    if isinstance(error, _MISCONFIGURED):
        return SourceMisconfigured
    if isinstance(error, TooLarge):
        return SourceAnswerTooLarge
    return SourceLied if isinstance(error, Malformed | Invalid) else ConnectorError


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE):
            yield piece


def _path(request: InstanceRequest) -> str:
    path = f"/studies/{request.study_instance_uid}"
    if request.series_instance_uid:
        path += f"/series/{request.series_instance_uid}"
        if request.sop_instance_uid:
            path += f"/instances/{request.sop_instance_uid}"
    return path


def _key(item: Mapping[str, Any]) -> str:
    reader = JsonReader(item)
    return dicom.first(reader, "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")


def _tls(config: DicomwebConfig) -> ssl.SSLContext | None:
    if config.tls_ca is None and config.tls_certificate is None:
        return None
    context = ssl.create_default_context(cafile=str(config.tls_ca) if config.tls_ca else None)
    if config.tls_certificate is not None:
        context.load_cert_chain(config.tls_certificate, config.tls_key)
    return context
