"""Four small trainings that reproduce the incidents poise was made for, and their cure.

Each is a faithful, CPU-sized counterpart of a real system, written with poise's public parts:
`reported` goes wrong as it was reported, `note-fix` does what the report proposed, `cured` does
what poise recommends. docs/incidents has a page on each.
"""

from poise.recipes.catalogue import NAMES as NAMES
from poise.recipes.catalogue import find as find
from poise.recipes.recipe import Job as Job
from poise.recipes.recipe import Metric as Metric
from poise.recipes.recipe import Recipe as Recipe
from poise.recipes.recipe import Variant as Variant
from poise.recipes.running import run as run
