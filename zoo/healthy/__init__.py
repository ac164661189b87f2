"""Trainings that look as if there were a mistake in them."""
