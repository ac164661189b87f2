"""Motion of the parameters in one optimizer step."""

import math

import pytest
import torch
from torch import nn

from poise.errors import GraphError
from poise.probe import MotionProbe
from tests.probe.nets import batch, net


@pytest.mark.parametrize("seed", range(3))
def test_against_plain_differences(seed: int) -> None:
    """Relative motion by parameter, module, group and in total."""
    model = net(seed)
    model.heads["b"].requires_grad_(False)
    heads = [one for one in model.heads.parameters() if one.requires_grad]
    groups = [{"params": model.trunk.parameters()}, {"params": heads, "lr": 0.0}]
    optimizer = torch.optim.Adam(groups, lr=0.01)
    before = {n: one.detach().double().clone() for n, one in model.named_parameters()}
    probe = MotionProbe(model, optimizer)
    probe.before()
    sum(model(batch()).values()).backward()
    optimizer.step()
    found = probe.after()
    after = {n: one.detach().double() for n, one in model.named_parameters()}
    trunk = [n for n in before if n.startswith("trunk")]

    def relative(names: list[str]) -> float:
        apart = sum(float((after[n] - before[n]).square().sum()) for n in names)
        return math.sqrt(apart / sum(float(before[n].square().sum()) for n in names))

    assert found.parameters == (*trunk, "heads.a.weight", "heads.a.bias")
    assert found.still == ("heads.a.weight", "heads.a.bias")
    for name in trunk:
        assert found.of_parameters[name] == pytest.approx(relative([name]), rel=1e-4)
    whole = relative(["trunk.0.weight", "trunk.0.bias"])
    assert found.modules["trunk.0"] == pytest.approx(whole, rel=1e-4)
    assert found.modules["heads.a"] == 0.0
    assert found.of_groups == {"group/0": pytest.approx(relative(trunk), rel=1e-4), "group/1": 0.0}
    assert found.total == pytest.approx(relative(list(found.parameters)), rel=1e-4)
    record = found.to_record()
    assert set(record) == {"motion", "still", "motion_groups"}


def test_zero_start_tiny_motion_and_types() -> None:
    """A zero start moves by 1; the smallest motion is not stillness; half and complex work."""
    model = nn.ParameterDict(
        {
            "zero": nn.Parameter(torch.zeros(2)),
            "tiny": nn.Parameter(torch.full((2,), 1e-30)),
            "half_": nn.Parameter(torch.ones(2, dtype=torch.bfloat16)),
            "complex_": nn.Parameter(torch.ones(2, dtype=torch.complex64)),
            "none": nn.Parameter(torch.ones(0)),
            "never": nn.Parameter(torch.zeros(3)),
        }
    )
    probe = MotionProbe(model)
    probe.before()
    with torch.no_grad():
        model["zero"].add_(3.0)
        model["tiny"].mul_(2.0)
        model["half_"].mul_(2.0)
        model["complex_"].mul_(1j)
    found = probe.after()
    assert found.of_parameters == {
        "zero": 1.0,
        "tiny": pytest.approx(1.0),
        "half_": 1.0,
        "complex_": pytest.approx(2**0.5),
        "none": 0.0,
        "never": 0.0,
    }
    assert sorted(found.still) == ["never", "none"]
    assert found.modules.keys() == {"(model)"}
    assert found.of_groups == {}


def test_no_parameters_and_wrong_order() -> None:
    """Nothing to watch is no error; after() without before() is."""
    probe = MotionProbe(nn.Identity())
    probe.before()
    assert math.isnan(probe.after().total)
    with pytest.raises(GraphError, match=r"expected before\(\) and then after\(\)"):
        probe.after()
    probe.before()
    probe.cancel()
    with pytest.raises(GraphError, match="got after"):
        probe.after()


def test_a_parameter_that_turned_nan() -> None:
    """A NaN is seen as NaN and not as stillness."""
    p = nn.Parameter(torch.ones(2))
    probe = MotionProbe({"p": p}, torch.optim.SGD([torch.ones(1)], lr=0.1))
    probe.before()
    with torch.no_grad():
        p[0] = math.nan
    found = probe.after()
    assert math.isnan(found.total)
    assert found.still == ()
    assert found.of_groups.keys() == {"no group"}
