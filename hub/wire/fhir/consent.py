"""Consent <-> a patient's word: matter, choice, to whom, from when until when (FHIR R4: 6.2)."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from hub.access.rights_model import Choice, Consent, FindConsents, GetConsent, KeptConsent, Matter, RecordConsent
from hub.errors import Invalid
from hub.values import Oid, PatientIdentifier
from hub.wire.fhir import search, times
from hub.wire.fhir.body import check_unmodified, resource_in
from hub.wire.fhir.codes import filled, text
from hub.wire.fhir.errors import ConsentNotSupported
from hub.wire.fhir.people import listed
from hub.wire.http import HttpRequest, HttpResponse

MATTERS = "urn:maillage:consent-matter"
_SCOPES, _PRIVACY = "http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"
_LOINC, _DIRECTIVE = "http://loinc.org", "59284-0"  #: Consent Document
_ACT, _PARTICIPATION = (f"http://terminology.hl7.org/CodeSystem/v3-{name}" for name in ("ActCode", "ParticipationType"))
_TYPES = {"permit": Choice.CONSENT, "deny": Choice.OPPOSITION}
_POLICIES = {Choice.CONSENT: "OPTIN", Choice.OPPOSITION: "OPTOUT"}
_WITHDRAWN = ("inactive", "rejected", "entered-in-error")
_STATUSES = frozenset({"draft", "proposed", "active", "rejected", "inactive", "entered-in-error"})  #: of FHIR R4
_SEARCH = search.Searchable("Consent", ("patient", "patient.identifier", "status", "category"))
PERSONS, STRUCTURES = "urn:oid:1.2.250.1.71.4.2.1", "urn:oid:1.2.250.1.71.4.2.2"
#: System of an actor's number -> what makes it the national id.
_ACTORS = {PERSONS: "", STRUCTURES: "", "https://rpps.esante.gouv.fr": "8", "https://finess.esante.gouv.fr": "1"}
_ACTOR_ID = re.compile(r"[0-9A-Za-z/]{1,40}")
_PROVISION = frozenset({"type", "period", "actor", "id"})
_DATE, _DAY = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?"), re.compile(r"\d{4}-\d{2}-\d{2}")
_ETAG = re.compile(r'W/"([1-9][0-9]{0,8})"')


# In


def consent_told(message: HttpRequest, now: datetime) -> RecordConsent:
    """The word to be recorded. Raises Malformed, Invalid, ConsentNotSupported."""
    search.accept_json(message)
    number, resource = message.path_parameters.get("id", ""), resource_in(message, "Consent")
    check_unmodified(resource, "Consent")
    if number and text(resource, "id") != number:
        raise Invalid("The Consent has the id of the request.", location="Consent.id")
    status = text(resource, "status")
    if status != "active" and not (number and status in _WITHDRAWN):
        raise Invalid("A Consent that is recorded is active; an update may end it.", location="Consent.status")
    if _PRIVACY not in _codes(resource.get("scope"), _SCOPES):
        raise ConsentNotSupported("The scope is patient-privacy.", location="Consent.scope")
    provision = resource.get("provision", {})
    choice = _choice(resource, provision) if isinstance(provision, dict) else None
    if choice is None or set(provision) - _PROVISION:
        raise ConsentNotSupported(location="Consent.provision")
    start, until = _period(provision)
    said = text(resource, "dateTime")
    given = _instant(said, "Consent.dateTime")
    late = start is not None and (given is None or start > given)  # it holds from the later of the two
    at, written = (start, text(provision["period"], "start")) if late else (given, said)
    consent = Consent(
        id=number,
        identity=_patient(resource, message.base),
        matter=_matter(resource),
        choice=choice if status == "active" else Choice.UNKNOWN,
        at=at or now,
        actor=_actor(provision),
        until=until,
    )
    return RecordConsent(consent, _version(message) if number else 0, day=_DAY.fullmatch(written) is not None)


def consents_asked(message: HttpRequest) -> FindConsents | GetConsent:
    """A read or a search. Raises Invalid, UnknownParameter."""
    if "id" in message.path_parameters:
        search.accept_json(message)
        return GetConsent(message.path_parameters["id"])
    found = search.parameters(message, _SEARCH)
    reference, number = search.single(found, "patient"), search.single(found, "patient.identifier")
    if bool(reference) == bool(number):
        raise Invalid("Consents are found by patient, or by patient.identifier.", location="patient")
    if number:
        patient = search.identifier(number, "patient.identifier")
    else:
        patient = PatientIdentifier(search.reference_id(reference, "Patient", "patient", message.base), "")
    _statuses(message)
    category = search.single(found, "category")
    matter = search.token(category).code if category else ""
    if matter and matter not in set(Matter):
        raise Invalid("The category is consultation, feeding or emergency.", location="category")
    return FindConsents(patient, history=True, matter=Matter(matter) if matter else None)


def _statuses(message: HttpRequest) -> frozenset[str]:
    wanted = message.parameter("status")
    found = frozenset(search.token(item).code for item in search.alternatives(wanted))
    if not found <= _STATUSES:
        raise Invalid("The status is active or inactive.", location="status")
    return found or _STATUSES


def _codes(concept: Any, system: str) -> list[str]:
    rows = listed(concept, "coding") if isinstance(concept, dict) else []
    return [text(row, "code") for row in rows if isinstance(row, dict) and text(row, "system") == system]


def _matter(resource: Mapping[str, Any]) -> Matter:
    found = {code for concept in listed(resource, "category") for code in _codes(concept, MATTERS)}
    if len(found) > 1 or not found <= set(Matter):
        raise ConsentNotSupported(
            "The category is one of consultation, feeding, emergency.", location="Consent.category"
        )
    return Matter(found.pop()) if found else Matter.CONSULTATION


def _choice(resource: Mapping[str, Any], provision: Mapping[str, Any]) -> Choice | None:
    """What the provision says; the policy alone where it has no type. One that permits where the policy is OPTOUT is
    an exception (FHIR R4: 6.2.2): two things in one, of which the opposition must not get lost."""
    policies = _codes(resource.get("policyRule"), _ACT)
    if "type" not in provision:
        return next((choice for choice, code in _POLICIES.items() if policies == [code]), None)
    found = _TYPES.get(text(provision, "type"))
    return None if found is Choice.CONSENT and _POLICIES[Choice.OPPOSITION] in policies else found


def _patient(resource: Mapping[str, Any], base: str) -> PatientIdentifier:
    patient = resource.get("patient")
    if not isinstance(patient, dict):
        raise Invalid("A Consent is about a patient.", location="Consent.patient")
    number = patient.get("identifier")
    if isinstance(number, dict) and text(number, "value") and text(number, "system"):
        return PatientIdentifier(text(number, "value"), str(Oid.from_urn(text(number, "system"))))
    reference = text(patient, "reference")
    if not reference:
        raise Invalid("The patient is a reference to Patient, or has an identifier.", location="Consent.patient")
    return PatientIdentifier(search.reference_id(reference, "Patient", "Consent.patient", base), "")


def _actor(provision: Mapping[str, Any]) -> str:
    rows = listed(provision, "actor")
    if not rows:
        return ""
    where = "Consent.provision.actor"
    reference = rows[0].get("reference") if isinstance(rows[0], dict) else None
    number = reference.get("identifier") if isinstance(reference, dict) else None
    if len(rows) > 1 or not isinstance(number, dict) or text(number, "system") not in _ACTORS:
        raise ConsentNotSupported("One actor at most, by their national identifier.", location=where)
    if not _ACTOR_ID.fullmatch(text(number, "value")):
        raise Invalid("The actor's identifier is not a national one.", location=where)
    return _ACTORS[text(number, "system")] + text(number, "value")


def _period(provision: Mapping[str, Any]) -> tuple[datetime | None, datetime | None]:
    period = provision.get("period", {})
    if not isinstance(period, dict):
        raise Invalid("A period has a start and an end.", location="Consent.provision.period")
    return (
        _instant(text(period, "start"), "Consent.provision.period.start"),
        _instant(text(period, "end"), "Consent.provision.period.end", last=True),
    )


def _instant(written: str, location: str, *, last: bool = False) -> datetime | None:
    """``last``: the last second of a day, month or year (FHIR R4: 2.24.0.11), not the first."""
    if not written:
        return None
    if _DATE.fullmatch(written):
        bound = times.last_dtm if last else times.first_dtm
        written = times.date_time(bound(written.replace("-", "")))
    try:
        found = datetime.fromisoformat(written)
        if found.tzinfo is None:
            raise Invalid("An instant has its zone.", location=location)
        return found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Invalid("A date, or an instant with its zone.", location=location) from error


def _version(message: HttpRequest) -> int:
    condition = message.headers.get("if-match", "")
    if not condition:
        return 0
    found = _ETAG.fullmatch(condition.strip())
    if found is None:
        raise Invalid('If-Match is the ETag of a version, W/"1".', location="If-Match")
    return int(found[1])


# Out


def consent_kept(outcome: KeptConsent | None, message: HttpRequest) -> HttpResponse:
    """What was recorded; nothing where the same bytes came before."""
    if outcome is None:
        return HttpResponse(200, b"", "")
    new = message.method == "POST"
    headers = {"ETag": f'W/"{outcome.version}"'}
    if new:
        headers["Location"] = f"{message.base}/Consent/{outcome.consent.id}"
    return search.answer(consent(outcome, outcome.recorded_at), 201 if new else 200, headers)


def consents_found(outcome: KeptConsent | Sequence[KeptConsent], message: HttpRequest, now: datetime) -> HttpResponse:
    """A Consent with its ETag, or a searchset of the newest versions."""
    if isinstance(outcome, KeptConsent):
        return search.read(message, consent(outcome, now), {"ETag": f'W/"{outcome.version}"'})
    newest: dict[str, KeptConsent] = {}
    for item in outcome:
        before = newest.get(item.consent.id)
        if before is None or item.version > before.version:
            newest[item.consent.id] = item
    wanted = _statuses(message)
    found = [resource for item in newest.values() if (resource := consent(item, now))["status"] in wanted]
    limit, start = search.DEFAULT_COUNT, 0
    if message.parameter("_count") or message.parameter("_offset"):
        paging = {name: tuple(filter(None, message.parameters(name))) for name in search.PAGING}
        limit, start = search.count(paging), search.offset(paging)
    return search.page(message, _SEARCH, found[start : start + limit], len(found))


def consent(kept: KeptConsent, now: datetime) -> dict[str, Any]:
    """The resource. Active is what counts now."""
    said = kept.consent
    over = kept.superseded_at is not None or said.choice is Choice.UNKNOWN
    over = over or (said.until is not None and said.until <= now)
    kept_at = kept.recorded_at.isoformat(timespec="milliseconds")
    policy = _POLICIES.get(said.choice, "OPTOUT")
    return filled(
        {
            "resourceType": "Consent",
            "id": said.id,
            "meta": {
                "versionId": str(kept.version),
                "lastUpdated": kept_at,
            },
            "status": "inactive" if over else "active",
            "scope": {"coding": [{"system": _SCOPES, "code": _PRIVACY}]},
            "category": [
                {"coding": [{"system": _LOINC, "code": _DIRECTIVE}]},
                {"coding": [{"system": MATTERS, "code": said.matter.value}]},
            ],
            "patient": filled(
                {
                    "reference": f"Patient/{kept.patient.value}" if kept.patient is not None else "",
                    "identifier": {"system": Oid(said.identity.authority).urn, "value": said.identity.value},
                }
            ),
            "dateTime": said.at.isoformat(timespec="seconds"),
            "policyRule": {"coding": [{"system": _ACT, "code": policy}]},
            "provision": filled(
                {
                    "type": "permit" if said.choice is Choice.CONSENT else "deny",
                    "period": {"end": said.until.isoformat(timespec="seconds")} if said.until else {},
                    "actor": [_actor_told(said.actor)] if said.actor else [],
                }
            ),
        }
    )


def _actor_told(actor: str) -> dict[str, Any]:
    person = len(actor) == 12 and actor[:1] == "8"  # idNat_PS: 8 and the RPPS number
    number = {"system": PERSONS if person else STRUCTURES, "value": actor}
    return {
        "role": {"coding": [{"system": _PARTICIPATION, "code": "IRCP"}]},
        "reference": {"type": "Practitioner" if person else "Organization", "identifier": number},
    }
