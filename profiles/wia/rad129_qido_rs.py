"""RAD-129 QIDO-RS Query (RAD TF-2: 4.129, PS3.18: 10.6): studies, series and instances of the whole region."""

from hub.context import Context
from hub.imaging.model import FindStudies, StudyAnswer
from hub.pipeline.transaction import AuditEvent, Dicomweb, Kind, Transaction
from hub.wire.dicomweb.server import encode_matches, find_studies
from hub.wire.http import HttpRequest, HttpResponse

TRANSACTION = Transaction(
    id="RAD-129",
    title="QIDO-RS Query",
    profile="WIA",
    initiator="Imaging Document Consumer",
    responder="Imaging Document Responder",
    bindings=(
        Dicomweb("GET", "/studies"),
        Dicomweb("GET", "/studies/{study}/series"),
        Dicomweb("GET", "/studies/{study}/instances"),
        Dicomweb("GET", "/studies/{study}/series/{series}/instances"),
        Dicomweb("GET", "/series"),
        Dicomweb("GET", "/instances"),
    ),
    section="RAD TF-2: 4.129",
    kind=Kind.QUERY,
    permission="imaging.query",
    audit=AuditEvent("110112", "Query", "E"),
    options=(
        "application/dicom+json, multipart application/dicom+xml",
        "limit, offset",
        "a status per source in X-Maillage-Sources",
        "/series, /instances: with one StudyInstanceUID",
        "includefield: a Warning names what no match has",
        "fuzzymatching: names are matched literally, with a Warning",
    ),
)


def decode(message: HttpRequest, context: Context) -> FindStudies:
    """Query parameters -> FindStudies."""
    return find_studies(message, _level(message))


def encode(outcome: StudyAnswer, message: HttpRequest, context: Context) -> HttpResponse:
    """Matches as DICOM JSON."""
    return encode_matches(outcome, message, _level(message))


def _level(message: HttpRequest) -> str:
    last = message.path.rstrip("/").rpartition("/")[2]
    return {"series": "SERIES", "instances": "IMAGE"}.get(last, "STUDY")
