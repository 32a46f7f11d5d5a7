"""Studies over FHIR R4."""
