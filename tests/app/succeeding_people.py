"""One success of every transaction about persons, consents, tokens and calls (see ``succeeding``)."""

import uuid
from collections.abc import Callable

import httpx

from hub.testing.cda import ImagingReport, build_report
from hub.testing.transmission import Transmission
from hub.values import new_uid, now
from tests.access.oauth_hub import TokenHub
from tests.app.succeeding import Case, get, hl7_sent, patient_of, post
from tests.hostile.leaking_region import OID, Region, Target
from tests.interop import test_discovery as discovery
from tests.interop.by_hand import Answer, envelope, read
from tests.profiles.fhir_patients import messages as fhir
from tests.wire.hl7v3 import messages as v3

OTHER = "1.2.250.1.999.72"  #: HOSPITAL_B


def _number(value: str, authority: str = OID) -> dict[str, str]:
    return {"system": f"urn:oid:{authority}", "value": value}


def _fresh() -> str:
    return f"N{uuid.uuid4().hex[:10]}"


def new_patient(authority: str = OID) -> dict[str, object]:
    return fhir.patient(_fresh(), authority, family=f"F{uuid.uuid4().hex}")


# HL7 v3


def _v3(region: Region, action: str, body: str, path: str = "/pix/manager") -> Answer:
    url, kind = f"{region.hub.public_url()}{path}", "application/soap+xml; charset=UTF-8"
    answer = read(region.vendor.post(url, kind, envelope(action, body, url)))
    assert v3.code(answer.body, "acknowledgement/typeCode") in ("AA", "CA"), answer.root
    return answer


def fed_v3(region: Region, _: Target) -> None:
    _v3(region, f"urn:hl7-org:v3:{v3.ADD}", v3.feed(v3.ADD, v3.person(_fresh(), OID)))


def asked_v3(region: Region, target: Target) -> None:
    _v3(region, "urn:hl7-org:v3:PRPA_IN201309UV02", v3.pix_query(target.number, OID))


def searched_v3(region: Region, target: Target) -> None:
    _v3(region, "urn:hl7-org:v3:PRPA_IN201305UV02", v3.pdq_query(v3.named(target.name)), "/pdq/supplier")


def discovered(region: Region, target: Target) -> None:
    name = f"<value><given>Zoe</given><family>{target.name}</family></value>"
    asked = (
        discovery.SEX
        + discovery.PLACE.replace("29019", "75112")
        + discovery.BORN.replace("19790328", "19520316")
        + discovery.parameter("livingSubjectName", name)
    )
    answer = discovery.discover(region.vendor, asked)
    assert discovery.code(answer, "queryResponseCode") == "OK"


def located(region: Region, target: Target) -> None:
    number, _, rest = target.regional.partition("^^^&")
    asked = f'<x:RequestedPatientId root="{rest.removesuffix("&ISO")}" extension="{number}"/>'
    body = f'<x:PatientLocationQueryRequest xmlns:x="{discovery.XCPD}">{asked}</x:PatientLocationQueryRequest>'
    answer = region.vendor.call("xcpd_responding", discovery.LOCATE, body)
    assert answer.root.find("{*}Body/{*}Fault") is None


# FHIR


def fed_fhir(region: Region, _: Target) -> None:
    resource = new_patient()
    number = resource["identifier"][0]["value"]  # type: ignore[index]
    post(region, f"/Patient?identifier=urn:oid:{OID}%7C{number}", resource, method="PUT")


def fed_message(region: Region, _: Target) -> None:
    post(region, "/$process-message", fhir.message(("POST", new_patient())))


def matched(region: Region, target: Target) -> None:
    asked = {**fhir.patient("?", family=target.name), "name": [{"family": target.name, "given": ["ZOE"]}]}
    asked |= {"birthDate": "1952-03-16", "gender": "female"}
    asked.pop("identifier")
    body = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": asked}]}
    post(region, "/Patient/$match", body)


def subscribed(region: Region, _: Target) -> None:
    post(region, "/Subscription", fhir.subscription("http://127.0.0.1:9/feed"))


def _pair(region: Region, *, linked: bool = False) -> dict[str, object]:
    one, other = new_patient(), new_patient(OTHER)
    for resource, authority in ((one, OID), (other, OTHER)):
        value = resource["identifier"][0]["value"]  # type: ignore[index]
        post(region, f"/Patient?identifier=urn:oid:{authority}%7C{value}", resource, method="PUT")
    both = [("identifier", "valueIdentifier", item["identifier"][0]) for item in (one, other)]  # type: ignore[index]
    body = fhir.parameters(*both, ("reason", "valueString", "Seen on the identity card."))
    if linked:
        post(region, "/Patient/$link", body)
    return body


def linked(region: Region, _: Target) -> None:
    post(region, "/Patient/$link", _pair(region))


def unlinked(region: Region, _: Target) -> None:
    post(region, "/Patient/$unlink", _pair(region, linked=True))


def explained(region: Region, _: Target) -> None:
    body = _pair(region)
    body["parameter"] = body["parameter"][:2]  # type: ignore[index]
    post(region, "/Patient/$explain", body)


def consented(region: Region, target: Target) -> None:
    scope = {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}
    post(
        region,
        "/Consent",
        {
            "resourceType": "Consent",
            "status": "active",
            "scope": {"coding": [scope]},
            "category": [{"coding": [{"system": "urn:maillage:consent-matter", "code": "consultation"}]}],
            "patient": {"identifier": _number(target.number)},
            "dateTime": "2026-03-01",
            "policyRule": {"text": "CSP L1110-4"},
            "provision": {"type": "permit"},
        },
    )


def told(region: Region, _: Target) -> None:
    post(
        region,
        "/AuditEvent",
        {
            "resourceType": "AuditEvent",
            "type": {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "110103"},
            "recorded": now().isoformat(timespec="seconds"),
            "agent": [{"who": {"display": "A viewer"}, "requestor": True}],
            "source": {"observer": {"display": "A viewer"}},
        },
    )


# documents by HL7, and calls


def transmitted(region: Region, target: Target) -> None:
    unique_id, patient = new_uid(), patient_of(region, target)
    written = ImagingReport(
        patient_ids=(patient.identifier,), traits=patient.traits, study_instance_uid=target.study,
        accession_number=target.accession, placer_number=f"PL-{target.number}", document_id=unique_id,
    )  # fmt: skip
    hl7_sent(region, Transmission(patient=patient, documents=[(unique_id, build_report(written))]).message())


def called(region: Region, target: Target) -> None:
    fields = {
        "Patient.identifier.value": "279035121518989",
        "Patient.identifier.system": "urn:oid:1.2.250.1.213.1.4.10",
        "Patient.name.family": target.name,
        "Patient.name.given": "ZOE",
        "Patient.gender": "female",
        "Patient.birthDate": "1952-03-16",
        "Address.district": "75112",
        "InformationEtOppositionConsultation": "true",
        "PatientID": target.number,
        "PatientIDIssuer": OID,
    }
    answer = httpx.post(f"{region.hub.public_url()}/portal/call", data=fields, timeout=60)
    assert answer.status_code == 303, answer.text


#: transaction -> (what is done, how many records of it)
PEOPLE: dict[str, tuple[Case, int]] = {
    "ITI-44": (fed_v3, 1),
    "ITI-45": (asked_v3, 1),
    "ITI-47": (searched_v3, 1),
    "ITI-55": (discovered, 1),
    "ITI-56": (located, 1),
    "ITI-104": (fed_fhir, 1),
    "ITI-93": (fed_message, 1),
    "ITI-94": (subscribed, 1),
    "ITI-119": (matched, 1),
    "ITI-78": (get("/fhir/Patient?family={t.name}"), 1),
    "ITI-83": (get("/fhir/Patient/$ihe-pix?sourceIdentifier=urn:oid:{oid}%7C{t.number}"), 1),
    "ITI-81": (get("/fhir/AuditEvent?date=ge2026-01-01&_count=1"), 1),
    "ITI-20": (told, 1),
    "FHIR-Patient-link": (linked, 1),
    "FHIR-Patient-unlink": (unlinked, 1),
    "FHIR-Patient-explain": (explained, 1),
    "FHIR-Consent-record": (consented, 1),
    "FHIR-Consent-query": (get("/fhir/Consent?patient.identifier=urn:oid:{oid}%7C{t.number}"), 1),
    "CISIS-CDA": (transmitted, 1),
    "DRIM-CALL": (called, 1),
}


# tokens


def _answered(answer: httpx.Response) -> httpx.Response:
    assert answer.status_code == 200, answer.text
    return answer


def _fetched(path: str) -> Callable[[TokenHub], object]:
    def fetch(site: TokenHub) -> None:
        with site.caller() as http:
            _answered(http.get(path))

    return fetch


def introspected(site: TokenHub) -> None:
    form = {"token": site.token(), "client_id": "pacs"}
    assert _answered(site.ask(form, node="pacs", path="/oauth2/introspect")).json()["active"]


def revoked(site: TokenHub) -> None:
    _answered(site.ask({"token": site.token(), **site.proof()}, path="/oauth2/revoke"))


TOKENS: dict[str, Callable[[TokenHub], object]] = {
    "ITI-71": lambda site: site.token(),
    "ITI-102": introspected,
    "ITI-103": _fetched("/.well-known/oauth-authorization-server"),
    "OAuth-keys": _fetched("/oauth2/jwks"),
    "OAuth-revocation": revoked,
}
