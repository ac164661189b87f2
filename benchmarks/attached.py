"""Tools that others publish to watch a training, attached as their own READMEs say.

torchmortem 0.1 and torch-audit 0.3 hang on a model and its optimizer; trainproof 0.22 reads the
log. `pip install torchmortem torch-audit trainproof`. None of them is told of single terms: each
takes one model, one optimizer and one loss.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

Alarms = list[tuple[str, bool]]
"""What was said, and whether as an error: warnings and worse, no hints."""


@dataclass(frozen=True, slots=True)
class Attached:
    """A tool at work on one training.

    Attributes:
        stepped: To be called with the loss after every step of the optimizer.
        ended: To be called once with the training's log, or None: what the tool says.
    """

    stepped: Callable[[Tensor], None]
    ended: Callable[[Path | None], Alarms]


Attach = Callable[[nn.Module, Optimizer], Attached]


def torchmortem(model: nn.Module, optimizer: Optimizer) -> Attached:
    """`Autopsy` with its defaults; `autopsy.step(loss=loss.item())` after each step."""
    autopsy = import_module("torchmortem").Autopsy(model, optimizer=optimizer)
    logging.getLogger("torchmortem").setLevel(logging.CRITICAL)
    autopsy.attach()

    def ended(_: Path | None) -> Alarms:
        autopsy.detach()
        found = autopsy.get_report().findings
        return [
            (one.detector, one.severity.name == "CRITICAL")
            for one in found
            if one.severity.name != "INFO"
        ]

    return Attached(lambda loss: autopsy.step(loss=loss.item()), ended)


def torch_audit(model: nn.Module, optimizer: Optimizer, *, every: int = 1) -> Attached:
    """`autopatch` at every step; hints on hardware (TA2xx) do not count as alarms."""
    auditor = import_module("torch_audit").autopatch(
        model,
        optimizer=optimizer,
        every_n_steps=every,
        fail_level="ERROR",
        run_static=True,
        run_init=True,
    )

    def ended(_: Path | None) -> Alarms:
        found: list[Any] = auditor.finish().findings
        auditor.unpatch()
        return [
            (one.rule_id, one.severity.value != "WARN")
            for one in found
            if one.severity.value != "INFO" and not one.rule_id.startswith("TA2")
        ]

    return Attached(lambda _: None, ended)


def trainproof(_: nn.Module, __: Optimizer) -> Attached:
    """`trainproof epoch LOG`, on the log of the training once it has ended."""
    check = import_module("trainproof.epoch").check_epoch

    def ended(log: Path | None) -> Alarms:
        found = [] if log is None else check(log)["findings"]
        return [(one["id"], one["level"] == "FAIL") for one in found if one["level"] in LOUD]

    return Attached(lambda _: None, ended)


LOUD = ("WARN", "FAIL")
TOOLS: dict[str, Attach] = {
    "torchmortem": torchmortem,
    "torch-audit": torch_audit,
    "trainproof": trainproof,
}
