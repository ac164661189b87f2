"""The recipes by name; each is imported when it is asked for."""

from difflib import get_close_matches
from importlib import import_module

from poise.errors import RecipeError
from poise.recipes.recipe import Recipe

NAMES = ("multitask", "plasticity", "distill", "peptide")
"""All recipes, in the order of the incidents."""


def find(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        RecipeError: There is none.

    Example:
        >>> find("multitask").variants[0].name
        'reported'
    """
    if name not in NAMES:
        close = get_close_matches(name, NAMES, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "`poise recipe list` describes them"
        message = f"unknown recipe {name!r}; expected one of {', '.join(NAMES)}; {hint}"
        raise RecipeError(message)
    recipe: Recipe = import_module(f"poise.recipes.{name}").RECIPE
    return recipe
