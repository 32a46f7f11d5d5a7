"""RetrieveImagingDocumentSetRequest and its answer (RAD TF-2: 4.69; RAD TF-3: 4.75)."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from lxml import etree

from hub.documents.errors import DocumentUniqueIdError
from hub.documents.model import DocumentRequest
from hub.errors import HubError, Invalid
from hub.imaging.model import InstanceRequest, InstanceStream, RetrievedInstance, RetrieveInstances
from hub.values import Uid
from hub.wire.ebxml.errors import ImagingRequestError, RegistryProblem, problem_of
from hub.wire.ebxml.names import IHERAD, WARNING, XDSB, iherad, xdsb
from hub.wire.ebxml.retrieve import SentDocument, retrieve_response, write_document_request
from hub.wire.pieces import Chunk, file_pieces
from hub.wire.soap.message import SoapMessage, SoapResponse
from hub.wire.xml import Element

DICOM = "application/dicom"


def read_imaging_retrieve(request: Element) -> RetrieveInstances:
    """A RetrieveImagingDocumentSetRequest. Raises ImagingRequestError (XDSIRequestError)."""
    wanted = tuple(item for item, _ in _requests(request))
    syntaxes = request.findall(f"{iherad('TransferSyntaxUIDList')}/{iherad('TransferSyntaxUID')}")
    accepted = tuple(_uid(item.text, "TransferSyntaxUID") for item in syntaxes)
    if not accepted:
        raise ImagingRequestError(
            "The request names no transfer syntax (RAD TF-2: 4.69).", location="TransferSyntaxUID"
        )
    return RetrieveInstances(wanted, accepted)


def write_imaging_retrieve(
    requests: Iterable[InstanceRequest], transfer_syntaxes: Iterable[str], *, home: str = ""
) -> Element:
    """A RetrieveImagingDocumentSetRequest, grouped by study and series."""
    body = etree.Element(iherad("RetrieveImagingDocumentSetRequest"), nsmap={"iherad": IHERAD, "xdsb": XDSB})
    studies: dict[str, Element] = {}
    series: dict[tuple[str, str], Element] = {}
    for item in requests:
        study, pair = item.study_instance_uid, (item.study_instance_uid, item.series_instance_uid)
        if study not in studies:
            studies[study] = etree.SubElement(body, iherad("StudyRequest"), {"studyInstanceUID": study})
        if pair not in series:
            series[pair] = etree.SubElement(studies[study], iherad("SeriesRequest"), {"seriesInstanceUID": pair[1]})
        place = DocumentRequest(item.repository_unique_id, item.sop_instance_uid, home or item.home)
        write_document_request(series[pair], place)
    listed = etree.SubElement(body, iherad("TransferSyntaxUIDList"))
    for syntax in transfer_syntaxes:
        etree.SubElement(listed, iherad("TransferSyntaxUID")).text = syntax
    return body


def imaging_retrieved(message: SoapMessage, stream: InstanceStream, action: str) -> SoapResponse:
    """The answer: every wanted instance that came, and an error for every one that did not. A warning goes with its
    instance.

    The envelope says what follows it and travels first, so the instances are collected before: in one file of the spool
    directory that has no name and goes away with the answer, and from which they are sent.
    """
    wanted = {item.sop_instance_uid: place for item, place in _requests(message.body)}
    collected = _Collection(message.limits.spool)
    problems: dict[str, RegistryProblem] = {}
    warnings: dict[str, RegistryProblem] = {}
    documents: dict[str, SentDocument] = {}
    for item in stream:
        if isinstance(item, RetrievedInstance):
            uid = item.sop_instance_uid
            if uid not in wanted or uid in documents:
                continue
            try:
                chunks, size = collected.add(item.chunks)
            except HubError as error:
                problems[uid] = problem_of(error, repository=True, location=uid)
            else:
                documents[uid] = SentDocument(wanted[uid], DICOM, chunks, size)
                problems.pop(uid, None)
        else:
            uid = item.request.sop_instance_uid
            missing = [uid] if uid else [name for name in wanted if name not in documents]
            for name in missing:
                problem = problem_of(item.error, repository=True, location=name)
                (warnings if problem.severity == WARNING else problems).setdefault(name, problem)
    for uid in wanted:
        if uid not in documents and uid not in problems:
            problems[uid] = problem_of(DocumentUniqueIdError(), repository=True, location=uid)
    said = [problem for uid, problem in problems.items() if uid not in documents]
    return retrieve_response(list(documents.values()), [*said, *warnings.values()], action)


class _Collection:
    """Instances one behind the other in one temporary file, each readable again."""

    def __init__(self, directory: Path | None) -> None:
        where = str(directory) if directory else None
        self._file = tempfile.TemporaryFile(buffering=0, dir=where)  # noqa: SIM115 - lives on
        self._end = 0

    def add(self, chunks: Iterable[bytes]) -> tuple[Iterator[Chunk], int]:
        """Take one instance in; what a failed one left is overwritten by the next."""
        handle, start = self._file.fileno(), self._end
        end = start
        for chunk in chunks:
            view = memoryview(chunk)
            while view:
                written = os.pwrite(handle, view, end)
                view, end = view[written:], end + written
        self._end = end
        return self._read(start, end - start), end - start

    def _read(self, start: int, size: int) -> Iterator[Chunk]:
        """A generator, so that the file lives as long as somebody may still read from it."""
        yield from file_pieces(self._file.fileno(), start, size)


def _requests(request: Element) -> Iterator[tuple[InstanceRequest, DocumentRequest]]:
    for study in _children(request, "StudyRequest"):
        study_uid = _uid(study.get("studyInstanceUID"), "studyInstanceUID")
        for series in _children(study, "SeriesRequest"):
            series_uid = _uid(series.get("seriesInstanceUID"), "seriesInstanceUID")
            for document in _children(series, "DocumentRequest"):
                place = DocumentRequest(
                    _value(document, "RepositoryUniqueId"),
                    _uid(_value(document, "DocumentUniqueId"), "DocumentUniqueId"),
                    _value(document, "HomeCommunityId", required=False),
                )
                yield (
                    InstanceRequest(
                        study_uid,
                        series_uid,
                        place.document_unique_id,
                        repository_unique_id=place.repository_unique_id,
                        home=place.home,
                    ),
                    place,
                )


def _children(parent: Element, name: str) -> list[Element]:
    """The schema puts DocumentRequest into the RAD namespace, the text and every peer into that of XDS.b: both do."""
    found = [*parent.iterchildren(iherad(name), xdsb(name))]
    if not found:
        raise ImagingRequestError(f"The request has no {name} (RAD TF-2: 4.69).", location=name)
    return found


def _value(document: Element, name: str, *, required: bool = True) -> str:
    found = [(item.text or "").strip() for item in document.iterchildren(iherad(name), xdsb(name))]
    if len(found) > 1 or (required and not "".join(found)):
        raise ImagingRequestError(f"A DocumentRequest needs one {name} (RAD TF-2: 4.69).", location=name)
    return found[0] if found else ""


def _uid(text: str | None, name: str) -> str:
    try:
        return Uid((text or "").strip())
    except Invalid:
        raise ImagingRequestError(f"{name} must be a DICOM UID (RAD TF-2: 4.69).", location=name) from None
