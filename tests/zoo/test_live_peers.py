"""The zoo with tools of others attached: they are told of every step, and counted rightly."""

from pathlib import Path

import benchmarks.zoo_live_peers as live
import pytest
import torch
from benchmarks.attached import TOOLS, Alarms, Attached
from torch import Tensor, nn
from torch.optim import Optimizer


class Counter:
    """A tool that speaks once for each step it was told of, as an error for losses that are NaN."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def attach(self, _: nn.Module, __: Optimizer) -> Attached:
        """Hangs on to nothing."""
        return Attached(lambda loss: self.losses.append(loss.item()), self.ended)

    def ended(self, log: Path | None) -> Alarms:
        """A warning a step, and one for the lines of the log."""
        assert log is not None
        lines = len(log.read_text().splitlines())
        return [*(("step", one != one) for one in self.losses), (f"log of {lines} lines", False)]


def test_a_tool_is_told_of_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """As often as the log has lines, although the program prints every second step only."""
    tool = Counter()
    monkeypatch.setitem(TOOLS, "counter", tool.attach)
    heard = live.listen("large_value_fair_gradient", "counter")
    assert heard.error is None
    told = [what for what, _ in heard.alarms if what == "step"]
    assert heard.alarms[-1][0] == f"log of {len(told)} lines"
    assert len(told) == len(tool.losses) > 50
    assert tool.losses[-1] < tool.losses[0]


def test_evaluations_are_no_steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A total inside an evaluation is not passed on, nor is a step passed on twice."""
    tool, model = Counter(), nn.Linear(1, 1)
    desk = live.PeerDesk(tmp_path, tool.attach)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with desk.open(model, optimizer) as session:
        for number in (1.0, 2.0):
            loss: Tensor = number + 0 * model(torch.ones(1, 1)).sum()
            session.total({"a": loss}).backward()
            optimizer.step()
            with session.evaluation():
                session.total({"a": torch.tensor(9.0)})
        session.total({"a": torch.tensor(3.0)})  # no step follows: told when all has ended
    desk.heard()
    assert tool.losses == [1.0, 2.0, 3.0]


def test_a_tool_that_stops_a_training_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its error is kept, with its first line, and no alarm."""

    def broken(_: nn.Module, __: Optimizer) -> Attached:
        raise ValueError("no such layer\nsecond line")

    monkeypatch.setitem(TOOLS, "broken", broken)
    heard = live.listen("large_value_fair_gradient", "broken")
    assert heard == live.Heard(
        "large_value_fair_gradient", "broken", (), "ValueError: no such layer"
    )


def test_the_table_counts_trainings_not_alarms(capsys: pytest.CaptureFixture[str]) -> None:
    """Two alarms on one faulty training are one; a healthy one with an error is in both columns."""
    heard = [
        live.Heard("features_summed", "x", (("a", False), ("a", True)), None),
        live.Heard("boundary_times_a_thousand", "x", (), "E: stopped"),
        live.Heard("large_value_fair_gradient", "x", (("b", True),), None),
        live.Heard("small_units_learned", "x", (("b", False),), None),
        live.Heard("likelihood_below_zero", "x", (), None),
    ]
    live.report(heard, {"x": "1.0"})
    shown = capsys.readouterr().out
    cells = [one.strip() for one in shown.splitlines()[-2].strip("│ ").split("│")]
    assert cells == ["x 1.0", "1/2", "2/3", "1/3", "1/5"]
    assert "x of faulty trainings: a 1" in shown
    assert "x of healthy trainings: b 2" in shown
    assert "x stopped boundary_times_a_thousand: E: stopped" in shown


def test_without_any_tool_it_is_skipped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reason says what to install."""
    monkeypatch.setattr(live, "TOOLS", {"no-such-tool": Counter().attach})
    monkeypatch.setattr("sys.argv", ["zoo_live_peers"])
    assert live.main() == live.SKIPPED
    assert "none of no-such-tool is installed: pip install no-such-tool" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("tool", "said"),
    [
        ("torchmortem", "gradient_flow"),
        ("torch-audit", "TA100"),
        ("trainproof", "TP-NAN"),
    ],
)
def test_a_real_tool_is_heard(tool: str, said: str, tmp_path: Path) -> None:
    """Each speaks of a loss that becomes NaN, and of none of its steps where all is well."""
    pytest.importorskip(tool.replace("-", "_"), reason=f"pip install {tool}")
    heard = {}
    for name, scale in (("well", 1.0), ("broken", float("nan"))):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        optimizer = torch.optim.SGD(model.parameters(), 0.01)
        (tmp_path / name).mkdir()
        desk = live.PeerDesk(tmp_path / name, TOOLS[tool])
        with desk.open(model, optimizer) as session:
            for step in range(60):
                loss = (model(torch.randn(16, 4)) - 1).square().mean()
                total = session.total({"a": loss * (scale if step == 40 else 1.0)})
                optimizer.zero_grad()
                total.backward()
                optimizer.step()
        heard[name] = {what for what, _ in desk.heard()}
    assert said in heard["broken"] - heard["well"]
