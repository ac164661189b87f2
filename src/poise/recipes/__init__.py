"""Small faithful trainings that reproduce incidents, and their cure."""
