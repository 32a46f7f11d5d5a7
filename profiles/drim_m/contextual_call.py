"""The contextual call of DRIM-M (appel contextuel): a hospital's system opens a patient for one of its users.

The calling system proves who it is as any system does (its certificate, or a token): it posts the form itself and
leads its user's browser to where the answer says."""

from hub.context import Context
from hub.drimbox.model import ReceiveCall
from hub.pipeline.transaction import AuditEvent, Form, Kind, Transaction
from hub.wire.drimbox.call import accepted, read_call
from hub.wire.http import HttpResponse
from hub.wire.oauth.form import FormRequest

PATH = "/portal/call"
TRANSACTION = Transaction(
    id="DRIM-CALL",
    title="Contextual call",
    profile="DRIM-M",
    initiator="Hospital information system",
    responder="DRIMbox consumer",
    bindings=(Form("POST", PATH, wire="drimbox"),),
    section="DRIM-M: appel contextuel",
    kind=Kind.CHANGE,
    permission="drimbox.call",
    audit=AuditEvent("110110", "Patient Record", "R"),
)


def decode(message: FormRequest, context: Context) -> ReceiveCall:
    """The form's fields. Raises CallUnfit."""
    return ReceiveCall(read_call(message.parameters))


def encode(outcome: str, message: FormRequest, context: Context) -> HttpResponse:
    """Where the user's browser is to go: an address that says nothing."""
    return accepted(message.base, f"{PATH}/{outcome}")
