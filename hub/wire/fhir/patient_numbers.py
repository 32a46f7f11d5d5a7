"""``Patient/$ihe-pix``: a number in, all numbers of the person out (PIXm: 2:3.83)."""

from hub.context import Context
from hub.errors import HubError, Invalid
from hub.patients.errors import UnknownDomain, UnknownIdentifier
from hub.patients.lookup_model import FindNumbers, Numbers
from hub.values import PatientIdentifier
from hub.wire.fhir import parameters
from hub.wire.fhir.errors import answer_outcome, outcome, refusal
from hub.wire.fhir.patient import plain
from hub.wire.fhir.patient_search import domain_of
from hub.wire.http import HttpRequest, HttpResponse

SOURCE, TARGET = "sourceIdentifier", "targetSystem"
_PATIENT = "Patient/"


class SourceDomainUnknown(UnknownDomain):
    """sourceIdentifier is of no authority that this hub can know (PIXm: 2:3.83.4.2.2.3)."""

    code = "source-domain-unknown"
    title = "sourceIdentifier Assigning Authority not found"


def number_asked(message: HttpRequest) -> FindNumbers:
    """``[system]|[number]``, or ``[this server's base]|Patient/[id]``. Raises Invalid, SourceDomainUnknown."""
    found = parameters.parameters_in(message, (SOURCE, TARGET))
    text = parameters.one_text(found, SOURCE, required=True)
    system, bar, number = text.partition("|")
    if not bar or not number or not system or len(number) > 250 or "\0" in number:
        raise Invalid("sourceIdentifier has the form [system]|[number].", location=SOURCE)
    domains = tuple(
        domain_of(item, TARGET) for item in parameters.texts(found, TARGET) if item.rstrip("/") != message.base
    )
    if system.rstrip("/") == message.base:
        return FindNumbers(PatientIdentifier(number.removeprefix(_PATIENT), ""), domains, regional=True)
    try:
        authority = domain_of(system, SOURCE)
    except Invalid as error:
        raise SourceDomainUnknown() from error
    asked = PatientIdentifier(number, authority.authority, "", authority.namespace)
    return FindNumbers(asked, domains)


def numbers_told(outcome: Numbers, message: HttpRequest) -> HttpResponse:
    """Parameters: the Patient resource, and the numbers (2:3.83.4.2.2.1)."""
    wanted = parameters.texts(parameters.parameters_in(message, (SOURCE, TARGET)), TARGET)
    here = not wanted or any(item.rstrip("/") == message.base for item in wanted)
    only_here = bool(wanted) and all(item.rstrip("/") == message.base for item in wanted)
    reference = {"reference": f"{_PATIENT}{outcome.regional.value}"}
    rows = [("targetId", "valueReference", reference)] if here else []
    every = () if only_here else outcome.identifiers
    return parameters.written([*rows, *(("targetIdentifier", "valueIdentifier", plain(item)) for item in every)])


def refuse_number(error: HubError, message: HttpRequest, context: Context) -> HttpResponse:
    """404, 400 and 403 in the words of 2:3.83.4.2.2.2 to 4."""
    if isinstance(error, UnknownIdentifier):
        status, issue, words = 404, "not-found", "sourceIdentifier Patient Identifier not found"
    elif isinstance(error, UnknownDomain) and "domain" in error.context:
        status, issue, words = 403, "code-invalid", "targetSystem not found"
    elif isinstance(error, UnknownDomain):
        status, issue, words = 400, "code-invalid", "sourceIdentifier Assigning Authority not found"
    else:
        return refusal(error, message, context)
    where = TARGET if status == 403 else SOURCE
    return answer_outcome(status, outcome("error", issue, words, code=error.code, expression=where), context)
