"""What the DocumentReference of an imaging manifest says besides: as IHE RAD MADO's draft asks (6.X.4).

Profiles MadoFhirDocumentReference and MadoDicomKosDocumentReference: modality and body site in R5's elements, the
study and the accession number as typed identifiers, the master identifier among the identifiers, the Bundle's profile.
"""

from collections.abc import Mapping
from typing import Any

from hub.documents.model import DocumentEntry

KOS, FHIR = "1.2.840.10008.5.1.4.1.1.88.59", "urn:ihe:rad:MADO:fhir-manifest:2026"
_MADO = "https://profiles.ihe.net/RAD/MADO/StructureDefinition/"
_R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-DocumentReference"
_DCM, _SNOMED = "http://dicom.nema.org/resources/ontology/DCM", "http://snomed.info/sct"
#: Reference ids that DICOM has a name for (PS3.16: CID 7453 and others).
_NAMES: Mapping[str, tuple[str, str]] = {
    "urn:ihe:iti:xds:2016:studyInstanceUID": ("110180", "Study Instance UID"),
    "urn:ihe:iti:xds:2013:accession": ("121022", "Accession Number"),
}


def of_manifest(entry: DocumentEntry, resource: dict[str, Any]) -> dict[str, Any]:
    """The DocumentReference of a manifest with what the draft adds; of any other document as it is."""
    kind = entry.format_code.value if entry.format_code else ""
    if kind not in (KOS, FHIR):
        return resource
    events = [coding for event in resource.get("context", {}).get("event", ()) for coding in event["coding"]]
    added: list[dict[str, Any]] = [
        {"url": f"{_R5}.modality", "valueCodeableConcept": {"coding": [item]}}
        for item in events
        if item.get("system") == _DCM
    ]
    added += [
        {
            "url": f"{_R5}.bodySite",
            "extension": [{"url": "concept", "valueCodeableConcept": {"coding": [item]}}],
        }
        for item in events
        if item.get("system") == _SNOMED
    ]
    if added:
        resource["extension"] = [*resource.get("extension", ()), *added]
    master = resource["masterIdentifier"]
    untyped = {name: value for name, value in master.items() if name != "type"}
    resource["identifier"] = [untyped, *resource["identifier"]]
    for related in resource.get("context", {}).get("related", ()):
        codings = related.get("identifier", {}).get("type", {}).get("coding", [])
        names = [_NAMES[item["code"]] for item in codings if item.get("code") in _NAMES]
        codings += [{"system": _DCM, "code": code, "display": display} for code, display in names]
    if kind == FHIR:
        profile = {"url": "value[x]", "valueCanonical": f"{_MADO}MadoFhirBundle"}
        content = resource["content"][0]
        content["extension"] = [
            *content.get("extension", ()), {"url": f"{_R5}.content.profile", "extension": [profile]},
        ]  # fmt: skip
        resource["meta"]["profile"] = [*resource["meta"]["profile"], f"{_MADO}MadoFhirDocumentReference"]
    return resource
