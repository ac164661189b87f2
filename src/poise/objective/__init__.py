"""One objective for training and evaluation: named terms, their weights and their sum."""

from poise.objective.average import average as average
from poise.objective.breakdown import Breakdown as Breakdown
from poise.objective.breakdown import Entry as Entry
from poise.objective.breakdown import Standing as Standing
from poise.objective.objective import Objective as Objective
from poise.objective.role import Role as Role
from poise.objective.term import Term as Term
