"""ITI-119 Patient Demographics Match (PDQm: 2:3.119): ``Patient/$match``."""

from collections.abc import Sequence

from hub.context import Context
from hub.patients.lookup_model import Matched, MatchPerson
from hub.pipeline.transaction import AuditEvent, Fhir, Kind, Transaction
from hub.wire.fhir.patient_match import match_asked, matches_told
from hub.wire.http import HttpRequest, HttpResponse

TRANSACTION = Transaction(
    id="ITI-119",
    title="Patient Demographics Match",
    profile="PDQm",
    initiator="Patient Demographics Consumer",
    responder="Patient Demographics Supplier",
    bindings=(Fhir("POST", "/Patient/$match", "Patient", "$match"),),
    section="PDQm: 2:3.119",
    kind=Kind.QUERY,
    permission="patients.query",
    audit=AuditEvent("110112", "Query", "E"),
    options=("Match Operation", "onlyCertainMatches, count", "search.score and match-grade"),
)


def decode(message: HttpRequest, context: Context) -> MatchPerson:
    """The described patient."""
    return match_asked(message)


def encode(outcome: Sequence[Matched], message: HttpRequest, context: Context) -> HttpResponse:
    """Candidates, the likeliest first."""
    return matches_told(outcome, message)
