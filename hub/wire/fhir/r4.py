"""FHIR R4 (4.0.1) and where the R4B (4.3.0) models of ``fhir.resources`` differ from it.

The hub speaks R4. It builds plain JSON and has it validated with the R4B models, which is right for the resources
below: R4B changed the resources for clinical studies, evidence, medicinal products and subscriptions, and none of
these. What R4B would let through and R4 would not is named here, and checked by ``check``.
"""

from collections.abc import Mapping
from typing import Any

from hub.errors import Invalid

VERSION = "4.0.1"
MEDIA_TYPE = "application/fhir+json"
XML_TYPE = "application/fhir+xml"
#: What XML is called, in headers and in _format.
XML_NAMES = frozenset({"xml", "text/xml", "application/xml", XML_TYPE})

#: Resources whose definition is the same in R4 and R4B.
SAME = frozenset(
    {
        "AuditEvent",
        "Binary",
        "Bundle",
        "CapabilityStatement",
        "Consent",
        "DocumentReference",
        "Endpoint",
        "ImagingStudy",
        "List",
        "OperationOutcome",
        "Organization",
        "Parameters",
        "Patient",
        "Practitioner",
        "PractitionerRole",
    }
)
#: ``fhirVersion`` of a CapabilityStatement: R4B's own value is not an R4 code.
NOT_R4 = {"CapabilityStatement.fhirVersion": ("4.3.0", "4.3.0-snapshot1", "4.3.0-cibuild")}
#: ImagingStudy.status in R4; ``preliminary`` was removed.
STUDY_STATUS = ("registered", "available", "cancelled", "entered-in-error", "unknown")


def check(resource: Mapping[str, Any]) -> None:
    """Refuse what R4B allows and R4 does not. Raises Invalid."""
    kind = str(resource.get("resourceType", ""))
    if kind not in SAME:
        raise Invalid(f"{kind} is not known to be the same in R4 and R4B.", section="FHIR R4")
    for path, values in NOT_R4.items():
        name, _, attribute = path.partition(".")
        if kind == name and resource.get(attribute) in values:
            raise Invalid(f"{path} has a value that R4 does not know.", section="FHIR R4")
    if kind == "ImagingStudy" and resource.get("status") not in STUDY_STATUS:
        raise Invalid("ImagingStudy.status has a value that R4 does not know.", section="FHIR R4: 11.2")
    for entry in resource.get("entry", ()):
        if "resource" in entry:
            check(entry["resource"])
