"""Runs one variant of a recipe into a run directory."""

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch

from poise.errors import MissingExtraError, RecipeError
from poise.recipes.recipe import Job, Recipe
from poise.record.schema import FILE

LARGEST_SEED = 2**31 - 1
"""PyTorch looks at no more than 32 bits of a seed: larger ones repeat smaller ones."""


def run(
    recipe: Recipe,
    variant: str,
    out: str | os.PathLike[str],
    *,
    seed: int = 0,
    quick: bool = False,
    data: str | os.PathLike[str] | None = None,
    progress: Callable[[float], None] | None = None,
) -> Path:
    """Trains one variant; everything about the outcome is in the record it leaves.

    The same arguments give the same numbers on the same machine. The caller's random numbers are
    as before afterwards.

    Args:
        recipe: As `find` gives it.
        variant: Name of one of its variants.
        out: Run directory; must not hold a run.
        seed: Decides weights, data and order; 0 to `LARGEST_SEED`.
        quick: A shorter training, for tests.
        data: A file of real data; only for recipes that take it.
        progress: Is called with the share done, 0 to 1.

    Returns:
        The run directory, for `poise.read_run`, `poise.diagnose` and `poise.compare`.

    Raises:
        RecipeError: An unknown variant, a seed out of range, a directory with a run in it, data
            that the recipe does not take or that are not there.
        MissingExtraError: The recipe needs a package that is not installed.

    Example:
        >>> import tempfile
        >>> from poise.recipes import find
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = run(find("multitask"), "cured", folder.name + "/run", quick=True)
        >>> (path / "run.jsonl").exists()
        True
        >>> folder.cleanup()
    """
    out = Path(out)
    recipe.variant(variant)
    _packages(recipe)
    _seed(recipe, seed)
    vacant(out)
    given = None if data is None else _data(recipe, Path(data))
    job = Job(
        variant=variant,
        out=out,
        seed=seed,
        quick=quick,
        data=given,
        progress=progress or _silent,
    )
    before = torch.get_rng_state()
    torch.set_rng_state(torch.Generator().manual_seed(seed).get_state())
    try:
        recipe.train(job)
    finally:
        torch.set_rng_state(before)
    return out


def vacant(out: Path) -> None:
    """Makes sure that a directory holds no run.

    Raises:
        RecipeError: It holds one.

    Example:
        >>> vacant(Path("no/such/folder"))
    """
    if (out / FILE).exists():
        message = f"{out} holds a run already; give another directory or remove this one"
        raise RecipeError(message)


def _silent(share: float) -> None:
    """Nobody watches the progress."""
    del share


def _packages(recipe: Recipe) -> None:
    missing = [one for one in recipe.needs if find_spec(one) is None]
    if missing:
        message = (
            f"recipe {recipe.name!r} needs {', '.join(missing)}, not installed: "
            "pip install 'poise[recipes]'"
        )
        raise MissingExtraError(message)


def _seed(recipe: Recipe, seed: int) -> None:
    if type(seed) is not int or not 0 <= seed <= LARGEST_SEED:
        raise RecipeError(
            f"recipe {recipe.name!r} expected a whole number from 0 to {LARGEST_SEED} as seed, got "
            f"{seed!r}; give such a number"
        )


def _data(recipe: Recipe, path: Path) -> Path:
    if recipe.data is None:
        message = f"recipe {recipe.name!r} makes its own data, got {path}; leave it out"
        raise RecipeError(message)
    if not path.is_file():
        message = f"recipe {recipe.name!r} expected a file for --{recipe.data}, got {path}"
        raise RecipeError(message)
    return path
