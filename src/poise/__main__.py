"""Lets `python -m poise` do what `poise` does."""

from poise.cli import main

main()
