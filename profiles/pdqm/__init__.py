"""Patient Demographics Query for Mobile (PDQm 3.2) on FHIR R4."""
