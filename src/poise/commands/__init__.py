"""Commands of the command line that stand for themselves; `poise.cli` has the others."""
