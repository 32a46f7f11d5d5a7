"""Patient Identifier Cross-referencing (ITI TF-1: 5)."""
