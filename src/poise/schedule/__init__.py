"""Schedules: what a weight is at a step.

Every step number anywhere in a schedule is an optimizer step of the whole training, from 0; nested
schedules do not start to count anew. Schedules are plain frozen values: they compare equal, print
as the call that makes them and go through JSON with `to_dict` and `from_dict`.
"""

from poise.schedule.form import from_dict as from_dict
from poise.schedule.form import to_dict as to_dict
from poise.schedule.gentle import Gentle as Gentle
from poise.schedule.ramps import Constant as Constant
from poise.schedule.ramps import Cosine as Cosine
from poise.schedule.ramps import Exponential as Exponential
from poise.schedule.ramps import Linear as Linear
from poise.schedule.sample import sample as sample
from poise.schedule.schedule import Schedule as Schedule
from poise.schedule.stages import Join as Join
from poise.schedule.stages import Phases as Phases
from poise.schedule.stages import Piecewise as Piecewise
from poise.schedule.warmup import Warmup as Warmup
