"""How totals are made of terms, recovered from the logged values.

`sheet` samples a table, `resolution` tells what printing hides of its numbers, `problem` and
`solve` set up and solve one total on given terms, `fit` finds the simplest weights that reproduce
it and `approximate` says what is left where none do; `hierarchy` finds sub-totals, and `compose`
decides which columns are totals and terms and puts it all together.
"""
