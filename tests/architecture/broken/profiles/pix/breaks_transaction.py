"""Deliberately wrong: a transaction imports another."""

from profiles.pdq import iti21_patient_demographics_query as other
