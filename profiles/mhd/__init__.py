"""Mobile access to Health Documents (MHD 4.2) on FHIR R4."""
