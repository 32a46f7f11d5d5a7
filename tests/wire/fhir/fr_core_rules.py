"""The rules of FR Core's patient profiles and of PDQm's, as checks: no package registry has the profiles."""

import re
from collections.abc import Iterator
from typing import Any

CORE = "https://hl7.fr/ig/fhir/core"
PATIENT, INS = (f"{CORE}/StructureDefinition/fr-core-patient{suffix}" for suffix in ("", "-ins"))
PDQM = "https://profiles.ihe.net/ITI/PDQm/StructureDefinition/IHE.PDQm.Patient"
INS_SYSTEMS = {
    "urn:oid:1.2.250.1.213.1.4.8": ("official", "INS-NIR"),
    "urn:oid:1.2.250.1.213.1.4.9": ("temp", "INS-NIA"),
    "urn:oid:1.2.250.1.213.1.4.10": ("official", "INS-NIR-TEST"),
    "urn:oid:1.2.250.1.213.1.4.11": ("official", "INS-NIR-DEMO"),
}
STATUSES = ("PROV", "VALI", "RECUP", "QUAL")


def broken(patient: dict[str, Any]) -> list[str]:
    """The rules that a Patient breaks, of the profiles that it claims."""
    claimed = patient.get("meta", {}).get("profile", [])
    rules = [*_pdqm(patient)] if PDQM in claimed else ["claims no PDQm profile"]
    if PATIENT not in claimed and INS not in claimed:
        rules.append("claims no FR Core profile")
    rules += _core(patient)
    return rules + (list(_qualified(patient)) if INS in claimed else [])


def extensions(found: dict[str, Any], url: str) -> list[dict[str, Any]]:
    return [row for row in found.get("extension", []) if row["url"] == url]


def status_of(patient: dict[str, Any]) -> str:
    (one,) = extensions(patient, f"{CORE}/StructureDefinition/fr-core-identity-reliability")
    (part,) = extensions(one, "identityStatus")
    assert part["valueCoding"]["system"] == f"{CORE}/CodeSystem/fr-core-cs-identity-status"
    return str(part["valueCoding"]["code"])


def _pdqm(patient: dict[str, Any]) -> Iterator[str]:
    if not patient.get("identifier") or not all(
        row.get("system") and row.get("value") for row in patient["identifier"]
    ):
        yield "PDQm: identifier 1..* with system and value"
    if "modifierExtension" in patient or "implicitRules" in patient:
        yield "PDQm: no modifiers"
    if not all({"family", "given", "text"} & row.keys() for row in patient.get("name", [])):
        yield "iti-pdqm-patname"
    if "link" in patient and "active" not in patient:
        yield "iti-pdqm-linkstatus"


def _core(patient: dict[str, Any]) -> Iterator[str]:
    status = status_of(patient)
    if status not in STATUSES:
        yield "identityStatus: required binding"
    for row in patient["identifier"]:
        code = row["type"]["coding"][0]["code"]
        if row["system"] in INS_SYSTEMS:
            if status != "QUAL":
                yield "an INS for an identity that is not qualified"
            if (row["use"], code) != INS_SYSTEMS[row["system"]]:
                yield f"slice {code}"
        elif (code, row["use"]) not in {("PI", "usual"), ("PI", "old"), ("RRI", "secondary"), ("RRI", "old")}:
            yield f"identifier in no slice: {code}"
    official = [row for row in patient.get("name", []) if row["use"] == "official"]
    if any(not row.get("family") for row in official):
        yield "official name: family 1.."
    for place in extensions(patient, "http://hl7.org/fhir/StructureDefinition/patient-birthPlace"):
        (code,) = extensions(place["valueAddress"], f"{CORE}/StructureDefinition/fr-core-address-insee-code")
        if not re.fullmatch(r"[0-9AB]{5}", code["valueCoding"]["code"]):
            yield "inseeCode"


def _qualified(patient: dict[str, Any]) -> Iterator[str]:
    official = [row for row in patient.get("name", []) if row["use"] == "official"]
    listed = f"{CORE}/StructureDefinition/fr-core-patient-birth-list-given-name"
    if len(official) != 1 or len(official[0].get("given", [])) != 1 or len(extensions(official[0], listed)) != 1:
        yield "fr-core-patient-ins: one official name, one given, the list"
    if not extensions(patient, "http://hl7.org/fhir/StructureDefinition/patient-birthPlace"):
        yield "fr-core-patient-ins: birthPlace 1..1"
    if patient.get("gender") not in ("male", "female", "unknown") or not patient.get("birthDate"):
        yield "fr-core-patient-ins: gender, birthDate"
    numbers = [row for row in patient["identifier"] if row["system"] in INS_SYSTEMS]
    if not numbers:
        yield "fr-core-1: an INS"
    if sum(row["use"] == "official" for row in patient["identifier"]) > 1:
        yield "fr-core-2: one official identifier"
