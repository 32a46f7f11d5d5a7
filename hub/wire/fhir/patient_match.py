"""``Patient/$match``: a Patient in, candidates with score and grade out (PDQm: 2:3.119; FHIR R4: 8.1)."""

from collections.abc import Mapping, Sequence
from typing import Any

from hub.errors import Invalid
from hub.patients.lookup_model import Matched, MatchPerson
from hub.patients.model import INS_AUTHORITIES, Identity, IdentityStatus
from hub.values import PatientIdentifier
from hub.wire.fhir import fr_core, parameters, patient_reading, search
from hub.wire.fhir.body import check_unmodified, resource_in
from hub.wire.fhir.patient import patient
from hub.wire.http import HttpRequest, HttpResponse

DEFAULT_COUNT, MAX_COUNT = 20, 100
_PARAMETERS = ("resource", "onlyCertainMatches", "count")


def match_asked(message: HttpRequest) -> MatchPerson:
    """A Parameters resource, or the Patient itself. Raises Malformed, Invalid."""
    search.accept_json(message)
    body = resource_in(message, "Parameters", "Patient")
    if body["resourceType"] == "Patient":
        return _asked(body, only_certain=False, limit=DEFAULT_COUNT)
    found = parameters.parameters_in(message, _PARAMETERS)
    by_name = {item.name: item for item in found}
    if len(by_name) != len(found):
        raise Invalid("A parameter stands once.", location="Parameters.parameter")
    given = by_name.get("resource")
    if given is None or not isinstance(given.value, dict) or given.value.get("resourceType") != "Patient":
        raise Invalid("The parameter resource is a Patient.", location="resource")
    only_certain = by_name["onlyCertainMatches"].value if "onlyCertainMatches" in by_name else False
    limit = by_name["count"].value if "count" in by_name else DEFAULT_COUNT
    if not isinstance(only_certain, bool):
        raise Invalid("A boolean is expected.", location="onlyCertainMatches")
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
        raise Invalid("A whole number is expected.", location="count")
    return _asked(given.value, only_certain=only_certain, limit=min(limit, MAX_COUNT))


def matches_told(found: Sequence[Matched], message: HttpRequest) -> HttpResponse:
    """A searchset, the likeliest first."""
    entries = [
        {
            "fullUrl": f"{message.base}/Patient/{item.person.regional.value}",
            "resource": patient(item.person),
            "search": {
                "extension": [{"url": fr_core.MATCH_GRADE, "valueCode": item.grade.value}],
                "mode": "match",
                "score": round(item.probability, 6),
            },
        }
        for item in found
    ]
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
    return search.answer({**bundle, "entry": entries} if entries else bundle)


def _asked(resource: Mapping[str, Any], *, only_certain: bool, limit: int) -> MatchPerson:
    """Whom it describes. Who says nothing of the status answers for what they say, as in XCPD."""
    check_unmodified(resource, "Patient")
    numbers = patient_reading.identifiers(resource)
    said, attributes = patient_reading.reliability(resource)
    ins = next((item for item in numbers if item.authority in INS_AUTHORITIES), None)
    described = Identity(
        PatientIdentifier("", ""),
        patient_reading.traits(resource),
        said or IdentityStatus.VALIDATED,
        attributes,
        ins,
    )
    return MatchPerson(described, numbers, only_certain=only_certain, limit=limit)
