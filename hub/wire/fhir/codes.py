"""Codes and identifiers: how XDS writes them and how FHIR does (ITI TF-3: Table 4.2.3.1.7-2, ITI TF-2: Appendix Z)."""

import re
from collections.abc import Mapping
from typing import Any

from hub.errors import Invalid
from hub.values import Code, Oid, PatientIdentifier
from hub.wire.fhir.search import Token

URI = "urn:ietf:rfc:3986"
MHD = "https://profiles.ihe.net/ITI/MHD"
IDENTIFIER_TYPES = f"{MHD}/CodeSystem/IHE.MHD.MHDIdentifierType"
_NOS = "https://mos.esante.gouv.fr/NOS"
_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")

#: Coding scheme -> CodeSystem, where FHIR has a name of its own; every other OID becomes urn:oid:.
SYSTEMS: Mapping[str, str] = {
    "1.3.6.1.4.1.19376.1.2.7.1": "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode",
    "1.3.6.1.4.1.19376.1.2.3": "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode",
    "1.2.840.10008.2.6.1": "urn:oid:1.2.840.10008.2.6.1",
    "1.2.840.10008.2.16.4": "http://dicom.nema.org/resources/ontology/DCM",
    "2.16.840.1.113883.5.25": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
    "2.16.840.1.113883.5.4": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
    "2.16.840.1.113883.6.1": "http://loinc.org",
    "2.16.840.1.113883.6.96": "http://snomed.info/sct",
    "1.2.250.1.213.1.1.4.9": f"{_NOS}/TRE_A01-CadreExercice/FHIR/TRE-A01-CadreExercice",
    "1.2.250.1.213.1.1.4.1": f"{_NOS}/TRE_A03-ClasseDocument/FHIR/TRE-A03-ClasseDocument",
    "1.2.250.1.71.4.2.4": f"{_NOS}/TRE_R02-SecteurActivite/FHIR/TRE-R02-SecteurActivite",
}
_SCHEMES = {system: scheme for scheme, system in SYSTEMS.items()}
#: French terminologies whose CodeSystem is read, whatever follows their number, and not written (ANS, NOS).
_FRENCH: Mapping[str, str] = {
    "TRE_A00": "1.2.250.1.213.1.1.4.6",
    "TRE_A01": "1.2.250.1.213.1.1.4.9",
    "TRE_A03": "1.2.250.1.213.1.1.4.1",
    "TRE_A05": "1.2.250.1.213.1.1.4.12",
    "TRE_A06": "1.2.250.1.213.1.1.4.2.282",
    "TRE_A07": "1.2.250.1.213.1.1.4.13",
    "TRE_A09": "1.2.840.10008.2.6.1",
    "TRE_A10": "URN",
    "TRE_A11": "1.3.6.1.4.1.19376.1.2.3",
    "TRE_A12": "ASTM",
    "TRE_R02": "1.2.250.1.71.4.2.4",
    "TRE_R209": "1.2.250.1.213.2.2",
}


def system_of(scheme: str) -> str:
    """The CodeSystem of a coding scheme."""
    return SYSTEMS.get(scheme) or (f"urn:oid:{scheme}" if _OID.fullmatch(scheme) else scheme.replace(" ", "%20"))


def scheme_of(system: str) -> str:
    """The coding scheme of a CodeSystem."""
    known = _SCHEMES.get(system)
    if known is None and system.startswith(f"{_NOS}/"):
        known = _FRENCH.get(system.removeprefix(f"{_NOS}/").partition("-")[0])
    return known or (system if ":" in system else system.replace("%20", " ")).removeprefix("urn:oid:")


def coding(code: Code) -> dict[str, Any]:
    """Coding."""
    return filled({"system": system_of(code.scheme), "code": code.value, "display": code.display})


def concept(code: Code) -> dict[str, Any]:
    """CodeableConcept."""
    return {"coding": [coding(code)]}


def code_of(found: Any) -> Code | None:
    """The code of a Coding or of a CodeableConcept's first Coding; None when there is none."""
    if isinstance(found, dict) and "coding" in found:
        codings = found["coding"]
        found = codings[0] if isinstance(codings, list) and codings else None
    if not isinstance(found, dict) or not text(found, "code"):
        return None
    return Code(text(found, "code"), scheme_of(text(found, "system")), text(found, "display"))


def unique_id(value: str, *, kind: str = "uniqueId") -> dict[str, Any]:
    """Identifier of an XDS uniqueId: an OID, ``oid^extension``, a URI; or of an entryUUID."""
    typed = {"type": {"coding": [{"system": IDENTIFIER_TYPES, "code": kind}]}}
    root, caret, extension = value.partition("^")
    if caret and extension and _OID.fullmatch(root):
        return {**typed, "system": f"urn:oid:{root}", "value": extension}
    named = f"urn:oid:{value}" if _OID.fullmatch(value) else value
    return {**typed, "system": URI, "value": named} if ":" in named else {**typed, "value": named}


def unique_id_of(system: str | None, value: str) -> str:
    """The XDS uniqueId that an Identifier means. Raises Invalid for a urn:oid: that is none."""
    bare = value.removeprefix("urn:oid:")
    if bare != value and not _OID.fullmatch(bare):
        raise Invalid("After urn:oid: comes an OID.", location="identifier")
    if system and system.startswith("urn:oid:"):
        return f"{system.removeprefix('urn:oid:')}^{value}"
    return bare if _OID.fullmatch(bare) else value


def patient_identifier(identifier: PatientIdentifier) -> dict[str, Any]:
    """Identifier of a patient's number."""
    system = f"urn:oid:{identifier.authority}" if identifier.authority else ""
    return filled({"system": system, "value": identifier.value})


def patient_identifier_of(found: Any) -> PatientIdentifier | None:
    """The patient's number of an Identifier; None when it has no system or no value. Raises Invalid."""
    if not isinstance(found, dict) or not text(found, "value") or not text(found, "system"):
        return None
    return PatientIdentifier(text(found, "value"), Oid.from_urn(text(found, "system")))


def searched_code(found: Token, name: str) -> str:
    """``code^^scheme`` of a token, ``code`` when it names no system. Raises Invalid."""
    if not found.code:
        raise Invalid("A code is expected: [system]|[code].", location=name)
    return f"{found.code}^^{scheme_of(found.system)}" if found.system else found.code


def text(found: Mapping[str, Any], name: str) -> str:
    """A text element, "" when absent. Raises Invalid."""
    value = found.get(name, "")
    if not isinstance(value, str):
        raise Invalid("A text is expected.", location=name)
    return value


def filled(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is empty: FHIR allows no empty value."""
    return {name: value for name, value in values.items() if value not in ("", None, [], {})}
