"""ITI-21 Patient Demographics Query (ITI TF-2: 3.21), with the cancellation of what is left of an answer (QCN^J01)."""

from hub.context import Context
from hub.errors import HubError
from hub.patients.errors import InvalidCursor, SearchTooBroad, UnknownDomain, UnknownQuery
from hub.patients.model import FindPersons, PersonPage
from hub.patients.portions_model import CancelDemographics, ContinueDemographics, DemographicsPage, QueryDemographics
from hub.patients.visits_model import FindVisits, VisitPage
from hub.pipeline.transaction import AuditEvent, Hl7, Kind, Transaction
from hub.wire.hl7v2 import query
from hub.wire.hl7v2.answers import acknowledge
from hub.wire.hl7v2.answers import refuse as refuse_message
from hub.wire.hl7v2.demographics import CRITERIA, DOMAINS, Question, question
from hub.wire.hl7v2.errors import UNKNOWN_KEY, TableValueUnknown
from hub.wire.hl7v2.message import Hl7Message
from hub.wire.hl7v2.pid import person_segment

CANCEL = "QCN^J01"
TRANSACTION = Transaction(
    id="ITI-21",
    title="Patient Demographics Query",
    profile="PDQ",
    initiator="Patient Demographics Consumer",
    responder="Patient Demographics Supplier",
    bindings=(Hl7(events=("QBP^Q22", CANCEL)),),
    section="ITI TF-2: 3.21",
    kind=Kind.QUERY,
    permission="patients.query",
    audit=AuditEvent("110112", "Query", "E"),
    options=("Continuation (DSC) and its cancellation (QCN^J01)", "Domains returned (QPD-8)", "Pediatric demographics"),
)
_KIND, _STRUCTURE = "RSP^K22", "RSP_K21"
_DEFAULT, _MOST = 50, 200
#: What can be asked beside a number that names no authority.
_SIMPLE = frozenset({"number", "namespace", "family", "given", "born", "sex", "postal_code"})

Command = FindPersons | FindVisits | QueryDemographics | ContinueDemographics | CancelDemographics
Outcome = PersonPage | VisitPage | DemographicsPage | None


def decode(message: Hl7Message, context: Context) -> Command:
    """QPD-3 the criteria, QPD-8 the domains, RCP-2 the page's length, DSC-1 where to go on; QID-1 what to cancel."""
    if message.event == CANCEL:
        return CancelDemographics(message.require("QID").require(1))
    qpd = message.require("QPD")
    found, domains = question(qpd), query.domains(message, DOMAINS)
    quantity, dsc = query.quantity(message, _DEFAULT, _MOST), message.first("DSC")
    if dsc is not None and dsc.value(1):
        start, _, asked = dsc.value(1).partition("-")
        return ContinueDemographics(asked, query.pointer(start), quantity)
    if "account" in found.criteria:
        return FindVisits(found.asked(), account=found.criteria["account"], domains=domains, limit=_MOST)
    if "number" in found.criteria and "oid" not in found.criteria:
        return _by_number(found, domains, quantity)
    return QueryDemographics(found.asked(), domains, qpd.require(2), quantity)


def _by_number(found: Question, domains: tuple[str, ...], limit: int) -> FindPersons:
    criteria = found.criteria
    if not criteria.keys() <= _SIMPLE:
        raise TableValueUnknown(
            "Name the assigning authority by its OID, or ask for less beside the number.", location=f"QPD-{CRITERIA}"
        )
    identifier = found.identifier
    return FindPersons(
        identifier=identifier,
        identifier_value="" if identifier else criteria["number"],
        name=criteria.get("family", ""),
        given=criteria.get("given", ""),
        birth_date=criteria.get("born", ""),
        sex=criteria.get("sex", ""),
        postal_code=criteria.get("postal_code", ""),
        domains=domains,
        limit=limit,
    )


def encode(outcome: Outcome, message: Hl7Message, context: Context) -> bytes:
    """One PID per person, numbers of the wanted domains only (none perhaps: 3.21.4.2.2.8); DSC when there is more."""
    if outcome is None:
        return acknowledge(message)
    wanted = query.domains(message, DOMAINS)
    persons = [person for person, _ in outcome.found] if isinstance(outcome, VisitPage) else list(outcome.persons)
    records = [
        person_segment(number, person, query.within(person.current, wanted))
        for number, person in enumerate(dict.fromkeys(persons), 1)
    ]
    if not isinstance(outcome, DemographicsPage):
        return query.respond(message, _KIND, _STRUCTURE, records, hits=query.Hits(len(records), len(records), 0))
    hits = query.Hits(outcome.total, len(records), outcome.remaining)
    cursor = f"{outcome.total - outcome.remaining + 1}-{_asked(message)}" if outcome.remaining else ""
    return query.respond(message, _KIND, _STRUCTURE, records, hits=hits, cursor=cursor)


def _asked(message: Hl7Message) -> str:
    """The query's tag, of the first question also where this is its continuation."""
    dsc = message.first("DSC")
    return dsc.value(1).partition("-")[2] if dsc is not None and dsc.value(1) else message.require("QPD").value(2)


def refuse(error: HubError, message: Hl7Message, context: Context) -> bytes:
    """AE with the parameter or the domain at fault (3.21.4.2.2.8)."""
    if message.event == CANCEL:
        return refuse_message(error, message, context)
    location, more, condition = "", list[str](), ""
    if isinstance(error, UnknownDomain):
        location, *more = query.unknown_domains(message, DOMAINS, error) or ["QPD-3"]
        condition = UNKNOWN_KEY
    elif isinstance(error, SearchTooBroad):
        location = "QPD-3"
    elif isinstance(error, InvalidCursor | UnknownQuery):
        location = "DSC-1"
    return query.refuse_query(message, _KIND, _STRUCTURE, error, location=location, more=more, condition=condition)
