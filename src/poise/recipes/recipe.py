"""What a recipe is: a small training with variants, of which one goes wrong as it was reported."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from poise.errors import RecipeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to train a recipe.

    Attributes:
        name: As `--variant` takes it.
        summary: What it does differently, in one line.
    """

    name: str
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What decides whether a variant is better, measured alike in all of them.

    Attributes:
        name: The statistic as the last evaluation of a run records it.
        higher_is_better: Its good direction.
        unit: For people; empty where it has none.
    """

    name: str
    higher_is_better: bool = False
    unit: str = ""

    def better(self, first: float, second: float) -> bool:
        """Whether the first value is strictly better than the second.

        Example:
            >>> Metric(name="error", unit="bars").better(1.0, 2.0)
            True
        """
        return first > second if self.higher_is_better else first < second


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One training that is asked for.

    Attributes:
        variant: Name of one of the recipe's variants.
        out: Run directory for the record; holds no run yet.
        seed: Decides weights, data and order.
        quick: Ends within 20 seconds; its numbers are not those of a full run.
        data: Real data instead of the synthetic ones; None for these.
        progress: Is called with the share done, 0 to 1.
    """

    variant: str
    out: Path
    seed: int
    quick: bool
    data: Path | None
    progress: Callable[[float], None]


def trained_by(module: str) -> Callable[[Job], None]:
    """The function `train` of a module that is imported when it is called: it may be heavy.

    Example:
        >>> trained_by("poise.recipes.multitask.training").__name__
        'train'
    """

    def train(job: Job) -> None:
        import_module(module).train(job)

    return train


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A reference training: one of the systems of the incidents, small enough for a CPU.

    Attributes:
        name: As the command line takes it.
        summary: What the system is, in one line.
        variants: What it can do; `reported` is first.
        metric: What decides.
        data: The option that gives real data (`ohlc` for `--ohlc`); None if it takes none.
        needs: Import names of packages beyond PyTorch; the extra `recipes` brings them.
        train: Trains a job under `poise.Watch(job.out, ...)`. The last evaluation it records is the
            final one and has the metric.
    """

    name: str
    summary: str
    variants: tuple[Variant, ...]
    metric: Metric
    data: str | None
    needs: tuple[str, ...]
    train: Callable[[Job], None]

    def variant(self, name: str) -> Variant:
        """The variant of that name.

        Raises:
            RecipeError: There is none.
        """
        found = next((one for one in self.variants if one.name == name), None)
        if found is None:
            known = ", ".join(one.name for one in self.variants)
            message = f"recipe {self.name!r} has no variant {name!r}; expected one of {known}"
            raise RecipeError(message)
        return found
