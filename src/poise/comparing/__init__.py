"""Two trainings side by side: what a change did, beyond what chance does."""
