"""Foreign logs become runs: one file a family of formats, and `read_run` finds the right one."""

from poise.read.sniff import read_run

__all__ = ["read_run"]
