"""Patient Identifier Cross-referencing for mobile (PIXm 3.0) on FHIR R4."""
