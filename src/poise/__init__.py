"""Reads, watches, measures, diagnoses and balances trainings with several loss terms."""

__version__ = "0.1.0"
