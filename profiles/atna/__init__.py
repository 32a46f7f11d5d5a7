"""ATNA: the audit trail, given and taken (ITI TF-1: 9, RESTful ATNA)."""
