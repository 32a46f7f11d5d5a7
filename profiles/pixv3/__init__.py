"""Patient Identifier Cross-referencing HL7 V3 (ITI TF-1: 23)."""
