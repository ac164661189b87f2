"""Loss terms of four kinds of training, one package each, as pure functions of tensors.

Each docstring tells shapes, units, what the mean is taken over and where the form comes from, and
each function is inspected by `poise.inspect` in its tests.
"""
