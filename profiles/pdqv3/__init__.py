"""Patient Demographics Query HL7 V3 (ITI TF-1: 24)."""
