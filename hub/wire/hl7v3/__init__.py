"""HL7 version 3 (NE2008) as IHE uses it: patient queries and their answers (ITI TF-2: Appendix O)."""
