"""Trainings with several terms that `benchmarks/outcome.py` compares balancers on."""

import importlib.util
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

EXAMPLE = Path(__file__).parents[1] / "examples" / "multitask.py"


class Case(Protocol):
    """One training from one seed.

    Attributes:
        parameters: Everything that trains.
    """

    parameters: list[nn.Parameter]

    def draw(self) -> None:
        """Takes the next batch."""

    def trunk(self) -> Tensor:
        """What the terms share."""

    def terms(self, parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The terms, each from its own copy."""

    def final(self) -> dict[str, float]:
        """What to report after the last step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A training that is repeated.

    Attributes:
        title: What it is.
        short: The same, in the head of a column.
        names: Its terms.
        shares: The shares that a user might declare.
        steps: Optimizer steps.
        epoch: Steps of what DWA counts as an epoch.
        start: Makes the training with a seed, 0 to 4.
        optimizer: Steps its parameters.
        relative: Are the reported numbers all positive, so that ratios mean something?
    """

    title: str
    short: str
    names: tuple[str, ...]
    shares: Mapping[str, float]
    steps: int
    epoch: int
    start: Callable[[int], Case]
    optimizer: Callable[[Iterable[Tensor]], torch.optim.Optimizer]
    relative: bool = True


class TwoObjectives:
    """The toy of CAGrad and Nash-MTL, from one of its five published starts.

    Both objectives get 21 added, since methods that look at values need positive ones; the first is
    multiplied by 0.1 in training, as published. Reported are the objectives themselves and the
    distance to the Pareto set, x1 in [-7, 7] at x2 = -8.3552.
    """

    STARTS = ((-8.5, 7.5), (0.0, 0.0), (9.0, 9.0), (-7.5, -0.5), (9.0, -1.0))

    def __init__(self, seed: int) -> None:
        self.x = nn.Parameter(torch.tensor(self.STARTS[seed]))
        self.parameters = [self.x]

    def draw(self) -> None:
        """There are no batches."""

    def trunk(self) -> Tensor:
        """The point itself."""
        return self.x

    def terms(self, parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Both objectives, as trained."""
        return {
            "first": 0.1 * (_objective(parts["first"], 1.0) + 21),
            "second": _objective(parts["second"], -1.0) + 21,
        }

    def final(self) -> dict[str, float]:
        """Both objectives, and how far it is to the Pareto set."""
        with torch.no_grad():
            one, two = (_objective(self.x, side).item() for side in (1.0, -1.0))
        x1, x2 = self.x.tolist()
        away = math.hypot(max(abs(x1) - 7.0, 0.0), x2 + 8.3552)
        return {"first": one, "second": two, "distance": away}


def _objective(x: Tensor, side: float) -> Tensor:
    """The first objective for side 1, the second for -1."""
    x1, x2 = x[0], x[1]
    high, low = torch.tanh(0.5 * x2).clamp(min=0), torch.tanh(-0.5 * x2).clamp(min=0)
    slope = 0.5 * (-x1 - 7) - torch.tanh(-x2)
    if side < 0:
        slope = 0.5 * (-x1 + 3) + torch.tanh(-x2) + 2
    log = slope.abs().clamp(min=5e-6).log() + 6
    bowl = ((-x1 + side * 7) ** 2 + 0.1 * (-x2 - 8) ** 2) / 10 - 20
    return log * high + bowl * low


class Scales:
    """The toy of GradNorm: two regressions on one trunk whose targets differ by a factor of 100.

    Targets sigma_k tanh((B + E_k) x / c) with sigma 1 and 100, 250 inputs, 100 outputs, B of
    standard deviation sqrt(10) and E_k of 3.5; c makes what is inside of tanh have unit variance,
    so that it can be learned in few steps. A trunk of 4 layers of 100 ReLU and a linear head each.
    Reported are the losses on 1,000 fresh rows over sigma_k squared.
    """

    SIGMAS: Mapping[str, float] = {"small": 1.0, "large": 100.0}
    REACH = math.sqrt(250.0 * (10.0 + 3.5**2))

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        base = math.sqrt(10.0) * torch.randn(100, 250)
        self.maps = {name: base + 3.5 * torch.randn(100, 250) for name in self.SIGMAS}
        wide = [nn.Linear(250, 100), nn.ReLU()]
        self.body = nn.Sequential(
            *wide, *(part for _ in range(3) for part in (nn.Linear(100, 100), nn.ReLU()))
        )
        self.heads = nn.ModuleDict({name: nn.Linear(100, 100) for name in self.SIGMAS})
        self.parameters = [*self.body.parameters(), *self.heads.parameters()]
        self.test = torch.randn(1000, 250)

    def draw(self) -> None:
        """Fresh rows."""
        self.inputs = torch.randn(100, 250)

    def trunk(self) -> Tensor:
        """The output of the last shared layer."""
        return self.body(self.inputs)

    def terms(self, parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Squared errors, as they are."""
        return {
            name: F.mse_loss(self.heads[name](parts[name]), self.target(name, self.inputs))
            for name in self.SIGMAS
        }

    def target(self, name: str, inputs: Tensor) -> Tensor:
        """What a task wants."""
        return self.SIGMAS[name] * torch.tanh(inputs @ self.maps[name].T / self.REACH)

    def final(self) -> dict[str, float]:
        """Losses on the test rows, in units of the task's variance."""
        with torch.no_grad():
            z = self.body(self.test)
            errors = {
                name: F.mse_loss(self.heads[name](z), self.target(name, self.test)).item()
                for name in self.SIGMAS
            }
        return {name: one / self.SIGMAS[name] ** 2 for name, one in errors.items()}


class Digits:
    """scikit-learn's 8 x 8 digits with four heads on one trunk, each loss in its own units.

    From the upper five rows of an image: its class (nats), its ink (sum of all 64 pixels of 0 to
    16, squared error), its centre of mass (two coordinates in pixels, squared error), and its lower
    three rows (squared error in pixel values). 1,257 images train, 540 test.
    """

    HEADS: Mapping[str, int] = {"class": 10, "ink": 1, "centre": 2, "lower": 24}

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        images, kinds = (torch.as_tensor(one) for one in load_digits(return_X_y=True))
        order = torch.randperm(len(images))
        images, self.kinds = images[order].float(), kinds[order]
        grid = images.reshape(-1, 8, 8)
        mass = grid.sum((1, 2))
        places = torch.arange(8.0)
        centre = torch.stack(
            [(grid.sum(2) * places).sum(1) / mass, (grid.sum(1) * places).sum(1) / mass], dim=1
        )
        self.inputs = images[:, :40] / 16
        self.wanted = {"ink": mass[:, None], "centre": centre, "lower": images[:, 40:]}
        self.body = nn.Sequential(nn.Linear(40, 64), nn.ReLU(), nn.Linear(64, 48), nn.ReLU())
        self.heads = nn.ModuleDict({name: nn.Linear(48, size) for name, size in self.HEADS.items()})
        self.parameters = [*self.body.parameters(), *self.heads.parameters()]

    def draw(self) -> None:
        """128 images to train on."""
        self.rows = torch.randint(1257, (128,))

    def trunk(self) -> Tensor:
        """The output of the last shared layer."""
        return self.body(self.inputs[self.rows])

    def terms(self, parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The four losses of these rows."""
        outputs = {name: self.heads[name](parts[name]) for name in self.HEADS}
        losses = {
            name: F.mse_loss(outputs[name], wanted[self.rows])
            for name, wanted in self.wanted.items()
        }
        return {"class": F.cross_entropy(outputs["class"], self.kinds[self.rows]), **losses}

    def final(self) -> dict[str, float]:
        """Losses on the test images."""
        self.rows = torch.arange(1257, len(self.inputs))
        with torch.no_grad():
            z = self.trunk()
            return {
                name: one.item() for name, one in self.terms(dict.fromkeys(self.HEADS, z)).items()
            }


def _example() -> object:
    spec = importlib.util.spec_from_file_location("multitask", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["multitask"] = module
    spec.loader.exec_module(module)
    return module


class Incident:
    """The training of examples/multitask.py, balanced at the output of its LSTM.

    Reported are the means of each term over the last ten updates.

    Args:
        seed: Of the data and the model.
        unit: Steps that one unit of the countdown head's output stands for.
    """

    def __init__(self, seed: int, unit: float) -> None:
        torch.manual_seed(seed)
        self.example = _example()
        self.data = self.example.make_windows(168, seed)
        self.model = self.example.Model(unit)
        self.parameters = list(self.model.parameters())
        self.last: list[dict[str, float]] = []

    def draw(self) -> None:
        """32 windows."""
        self.batch = self.data.pick(torch.randperm(168)[:32])

    def trunk(self) -> Tensor:
        """The states of the LSTM."""
        return self.model.lstm(F.dropout(self.batch.inputs, 0.3))[0]

    def terms(self, parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The four losses."""
        model = self.model
        kind, pointers = (model.window(parts[name].mean(dim=1)) for name in ("type", "ptr"))
        flags, counts = (F.dropout(parts[name], 0.6) for name in ("binary", "countdown"))
        outputs = {
            "type": model.type_head(kind),
            "ptr": model.ptr_head(pointers).sigmoid(),
            "binary": model.binary_head(flags).squeeze(-1),
            "countdown": model.unit * model.countdown_head(counts).squeeze(-1),
        }
        terms = self.example.losses(outputs, self.batch)
        if torch.is_grad_enabled():
            self.last = [*self.last[-9:], {name: one.item() for name, one in terms.items()}]
        return terms

    def final(self) -> dict[str, float]:
        """Means over the last ten updates."""
        return {name: sum(one[name] for one in self.last) / 10 for name in self.last[0]}


WISH = {"type": 0.10, "ptr": 0.70, "binary": 0.10, "countdown": 0.10}


def incident(unit: float, title: str, short: str) -> Problem:
    """The incident with a countdown head of this unit."""
    return Problem(
        title=title,
        short=short,
        names=tuple(WISH),
        shares=WISH,
        steps=120,
        epoch=6,
        start=lambda seed: Incident(seed, unit),
        optimizer=lambda those: torch.optim.AdamW(those, lr=1e-3),
    )


PROBLEMS = {
    "objectives": Problem(
        title="Two objectives (CAGrad, Nash-MTL)",
        short="two objectives: starts that arrive",
        names=("first", "second"),
        shares={"first": 0.8, "second": 0.2},
        steps=1400,
        epoch=40,
        start=TwoObjectives,
        optimizer=lambda those: torch.optim.Adam(those, lr=2.5e-2),
        relative=False,
    ),
    "scales": Problem(
        title="Two scales (GradNorm)",
        short="two scales",
        names=("small", "large"),
        shares={"small": 0.8, "large": 0.2},
        steps=400,
        epoch=20,
        start=Scales,
        optimizer=lambda those: torch.optim.Adam(those, lr=3e-3),
    ),
    "digits": Problem(
        title="Digits with four heads (scikit-learn)",
        short="digits",
        names=tuple(Digits.HEADS),
        shares={"class": 0.7, "ink": 0.1, "centre": 0.1, "lower": 0.1},
        steps=400,
        epoch=10,
        start=Digits,
        optimizer=lambda those: torch.optim.Adam(those, lr=2e-3),
    ),
    "incident": incident(1.0, "The multi-task incident", "incident"),
    "unit": incident(
        20.0, "The multi-task incident, countdown predicted in units of 20", "incident, unit scale"
    ),
}
