"""RAD-107 WADO-RS Retrieve (RAD TF-2: 4.107, PS3.18: 10.4): instances, metadata, frames, rendered images, bulk data."""

from collections.abc import Iterator, Mapping
from typing import Any

from hub.context import Context
from hub.errors import Invalid
from hub.imaging.failing import failing
from hub.imaging.model import (
    FailedInstance,
    GetMetadata,
    PassedThrough,
    RetrievedInstance,
    RetrieveFrames,
    RetrieveInstances,
)
from hub.pipeline.transaction import AuditEvent, Dicomweb, Kind, Transaction
from hub.wire.dicomweb.media import DICOM, choose, transfer_syntaxes
from hub.wire.dicomweb.server import (
    accepted,
    encode_instances,
    encode_metadata,
    encode_passed,
    encode_single,
    request_of,
)
from hub.wire.drimbox import MANIFEST_HEADER
from hub.wire.http import HttpRequest, HttpResponse

_STUDY = "/studies/{study}"
_SERIES = f"{_STUDY}/series/{{series}}"
_INSTANCE = f"{_SERIES}/instances/{{instance}}"
TRANSACTION = Transaction(
    id="RAD-107",
    title="WADO-RS Retrieve",
    profile="WIA",
    initiator="Imaging Document Consumer",
    responder="Imaging Document Source",
    bindings=tuple(
        Dicomweb("GET", path)
        for path in (
            f"{_STUDY}/metadata",
            f"{_SERIES}/metadata",
            f"{_INSTANCE}/metadata",
            f"{_INSTANCE}/frames/{{frames}}",
            f"{_INSTANCE}/frames/{{frames}}/rendered",
            f"{_INSTANCE}/frames/{{frames}}/thumbnail",
            f"{_INSTANCE}/rendered",
            f"{_INSTANCE}/thumbnail",
            f"{_SERIES}/rendered",
            f"{_SERIES}/thumbnail",
            f"{_STUDY}/rendered",
            f"{_STUDY}/thumbnail",
            f"{_INSTANCE}/bulkdata/{{bulk:path}}",
            f"{_INSTANCE}/bulk/{{bulk:path}}",
            _INSTANCE,
            _SERIES,
            _STUDY,
        )
    ),
    section="RAD TF-2: 4.107",
    kind=Kind.RETRIEVE,
    permission="imaging.retrieve",
    audit=AuditEvent("110104", "DICOM Instances Transferred", "R"),
)

Command = RetrieveInstances | GetMetadata | RetrieveFrames
Outcome = Iterator[RetrievedInstance | FailedInstance] | Iterator[Mapping[str, Any]] | PassedThrough


def decode(message: HttpRequest, context: Context) -> Command:
    """A path and its Accept header -> what is to be retrieved; by which manifest, where the caller names one."""
    request = request_of(message)
    context.manifest = message.headers.get(MANIFEST_HEADER, "").strip()
    if "," in context.manifest:
        raise Invalid("A request names one manifest: KOS-SOPInstanceUID is given once.", location="KOS-SOPInstanceUID")
    rest = _rest(message)
    accept = accepted(message)
    if rest == "metadata":
        return GetMetadata(request)
    if rest:
        query = tuple((name, text) for name, text in message.query if name != "accept")
        return RetrieveFrames(request, rest, query, accept)
    return RetrieveInstances((request,), transfer_syntaxes(accept))


def encode(outcome: Any, message: HttpRequest, context: Context) -> HttpResponse:
    """The answer, streamed."""
    rest = _rest(message)
    if rest == "metadata":
        return encode_metadata(outcome, message)
    if rest:
        return encode_passed(outcome)
    _, chosen = choose(accepted(message), (DICOM,))
    single = "instance" in message.path_parameters and chosen.media_type == DICOM
    stream = failing(outcome, context)
    return encode_single(stream) if single else encode_instances(stream)


def _rest(message: HttpRequest) -> str:
    """What follows the study, series or instance in the path."""
    named = message.path_parameters
    last = named.get("instance") or named.get("series") or named["study"]
    kind = "instances" if "instance" in named else "series" if "series" in named else "studies"
    return message.path.rpartition(f"/{kind}/{last}")[2].strip("/")
