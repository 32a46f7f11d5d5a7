"""Multi-Patient Queries (ITI TF-1: 20)."""
