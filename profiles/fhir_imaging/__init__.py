"""Studies and patients over FHIR R4."""
