"""Loss terms of the four recipes, as functions that any training can use.

One package for each system: `poise.losses.multitask`, `poise.losses.plasticity`,
`poise.losses.distill`, `poise.losses.peptide`. All are pure functions of tensors; their docstrings
give shapes, units, ranges and sources, and name the reported forms that went wrong.
"""
