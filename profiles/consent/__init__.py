"""Patients' words on sharing as FHIR R4 Consent resources."""
