"""RAD-55 WADO Retrieve (RAD TF-2: 4.55, PS3.18: 9): one object by URI, as it is or as a picture."""

from typing import Any

from hub.context import Context
from hub.imaging.model import PassedThrough, RetrieveObject
from hub.pipeline.transaction import AuditEvent, Dicomweb, Kind, Transaction
from hub.wire.dicomweb.server import encode_passed, encode_single
from hub.wire.dicomweb.uri import read_uri
from hub.wire.http import HttpRequest, HttpResponse

TRANSACTION = Transaction(
    id="RAD-55",
    title="WADO Retrieve",
    profile="XDS-I.b",
    initiator="Imaging Document Consumer",
    responder="Imaging Document Source",
    bindings=(Dicomweb("GET", "/wado", root=""), Dicomweb("GET", "/wado")),
    section="RAD TF-2: 4.55",
    kind=Kind.RETRIEVE,
    permission="imaging.retrieve",
    audit=AuditEvent("110104", "DICOM Instances Transferred", "R"),
)


def decode(message: HttpRequest, context: Context) -> RetrieveObject:
    """A query -> which object, in which form."""
    return read_uri(message)


def encode(outcome: Any, message: HttpRequest, context: Context) -> HttpResponse:
    """The object or the picture."""
    return encode_passed(outcome) if isinstance(outcome, PassedThrough) else encode_single(outcome)
