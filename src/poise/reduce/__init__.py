"""Reductions whose count travels with them, over masks, micro-batches and ranks.

A mean without its count cannot be combined with another one. Here every reduction is a `Reduced`:
the sum, the count it is divided by, and what was counted.
"""

from poise.reduce.accumulate import GlobalMean as GlobalMean
from poise.reduce.masked import masked_mean as masked_mean
from poise.reduce.masked import masked_sum as masked_sum
from poise.reduce.masked import per_feature as per_feature
from poise.reduce.masked import per_sample as per_sample
from poise.reduce.masked import per_sequence as per_sequence
from poise.reduce.masked import per_token as per_token
from poise.reduce.ranks import across_ranks as across_ranks
from poise.reduce.ranks import global_count as global_count
from poise.reduce.reduced import Reduced as Reduced
from poise.reduce.reduced import Reduction as Reduction
from poise.reduce.reduced import combine as combine
