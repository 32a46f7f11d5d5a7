"""What stewards of identities decide, as FHIR operations."""
