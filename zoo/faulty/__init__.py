"""Trainings with a mistake in them."""
