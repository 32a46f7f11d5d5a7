"""Patient Demographics Query (ITI TF-1: 8)."""
