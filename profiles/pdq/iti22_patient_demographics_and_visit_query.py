"""ITI-22 Patient Demographics and Visit Query (ITI TF-2: 3.22): who is where just now?"""

from hub.context import Context
from hub.errors import HubError
from hub.patients.errors import InvalidCursor, SearchTooBroad, UnknownDomain
from hub.patients.visits_model import FindVisits, VisitPage
from hub.pipeline.transaction import AuditEvent, Hl7, Kind, Transaction
from hub.wire.hl7v2 import query
from hub.wire.hl7v2.demographics import DOMAINS, question
from hub.wire.hl7v2.errors import UNKNOWN_KEY
from hub.wire.hl7v2.message import Hl7Message
from hub.wire.hl7v2.pid import person_segment
from hub.wire.hl7v2.visit import account, visit_segment

TRANSACTION = Transaction(
    id="ITI-22",
    title="Patient Demographics and Visit Query",
    profile="PDQ",
    initiator="Patient Demographics Consumer",
    responder="Patient Demographics Supplier",
    bindings=(Hl7(events=("QBP^ZV1",)),),
    section="ITI TF-2: 3.22",
    kind=Kind.QUERY,
    permission="patients.query",
    audit=AuditEvent("110112", "Query", "E"),
    options=("Patient Demographics and Visit Query", "Continuation (DSC)", "Domains returned (QPD-8)"),
)
_KIND, _STRUCTURE = "RSP^ZV2", "RSP_ZV2"
_DEFAULT, _MOST = 50, 200


def decode(message: Hl7Message, context: Context) -> FindVisits:
    """QPD-3 the criteria of person and visit; the rest as in ITI-21."""
    found, dsc = question(message.require("QPD"), visits=True), message.first("DSC")
    start = query.pointer(dsc.value(1)) if dsc is not None and dsc.value(1) else 1
    return FindVisits(
        found.asked(),
        fields=found.visit,
        account=found.criteria.get("account", ""),
        domains=query.domains(message, DOMAINS),
        limit=query.quantity(message, _DEFAULT, _MOST),
        start=start - 1,
    )


def encode(outcome: VisitPage, message: Hl7Message, context: Context) -> bytes:
    """PID and PV1 for each visit (3.22.4.2.2); DSC when there is more."""
    wanted = query.domains(message, DOMAINS)
    records: list[str] = []
    for number, (person, visit) in enumerate(outcome.found, 1):
        identifiers = query.within(person.current, wanted)  # none perhaps: 3.22.4.2.2.11
        records += [person_segment(number, person, identifiers, account(visit)), visit_segment(1, visit)]
    told = len(outcome.found)
    cursor = str(outcome.total - outcome.remaining + 1) if outcome.remaining else ""
    hits = query.Hits(outcome.total, told, outcome.remaining)
    return query.respond(message, _KIND, _STRUCTURE, records, hits=hits, cursor=cursor)


def refuse(error: HubError, message: Hl7Message, context: Context) -> bytes:
    """AE with the parameter or the domain at fault."""
    location, more, condition = "", list[str](), ""
    if isinstance(error, UnknownDomain):
        location, *more = query.unknown_domains(message, DOMAINS, error) or ["QPD-3"]
        condition = UNKNOWN_KEY
    elif isinstance(error, SearchTooBroad):
        location = "QPD-3"
    elif isinstance(error, InvalidCursor):
        location = "DSC-1"
    return query.refuse_query(message, _KIND, _STRUCTURE, error, location=location, more=more, condition=condition)
