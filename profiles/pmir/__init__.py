"""Patient Master Identity Registry (PMIR 1.6) on FHIR R4."""
