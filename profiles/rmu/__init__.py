"""Restricted Metadata Update (ITI TF-1, supplement RMU)."""
