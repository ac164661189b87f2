"""What probes measured on both sides."""

import numpy as np

from poise.comparing.comparison import Pair
from poise.comparing.probed import backing, gradient_shares, late, motion, responses
from tests.comparing.build import run, table
from tests.report.probed import probed_run


def test_late_is_the_median_of_the_second_half() -> None:
    """Values that are not finite do not count."""
    assert late(np.array([9.0, np.nan, 9.0, 1.0, 2.0])) == 1.5
    assert late(np.array([np.nan])) is None


def test_a_run_without_probes_has_none() -> None:
    """Nothing measured is an empty answer, not zeros."""
    one = run(table({"a": np.ones(5)}))
    assert gradient_shares([one], [one]) == ({}, "")
    assert motion([one], [one]) == {}
    assert responses([one], [one]) == {}


def test_medians_of_both_sides() -> None:
    """Shares are found at the shared parameters, motion by module, responses over the value."""
    one = probed_run()
    found, where = gradient_shares([one], [one, one])
    assert where == "shared"
    assert set(found) == {"cls", "reg", "aux"}
    assert all(each.before == each.after for each in found.values())
    assert motion([one], [one])["trunk.0"].before == motion([one], [one])["trunk.0"].after
    told = responses([one], [one])["cls"].before
    level = late(one.train.series["cls"].values)
    assert told is not None
    assert level is not None
    assert abs(told * level + 0.01) < 1e-12


def test_what_one_side_lacks_is_unknown() -> None:
    """A run without probes on one side leaves None there."""
    one, none = probed_run(), run(table({"cls": np.ones(5)}))
    assert motion([one], [none])["trunk.0"].after is None
    assert gradient_shares([one], [none])[0]["cls"].after is None


def test_motion_and_response_back_a_rescaled_term_or_do_not() -> None:
    """Equal motion and an equal relative response are a unit; anything else is told."""
    same, apart = Pair(before=1e-3, after=1.1e-3), Pair(before=-0.01, after=-0.05)
    assert backing("ce", {}, {}) == ""
    assert backing("ce", {"trunk": same}, {}) == "parameters move x1.1 as far per step"
    said = backing("ce", {"trunk": same}, {"ce": apart})
    assert said == "but a step changes it by x5 the share: more than a unit has changed"
