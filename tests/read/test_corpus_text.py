"""What the text reader finds in real logs; the numbers were taken from the logs with grep."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from poise.read import text
from poise.read.frame import Frame
from poise.read.source import open_source

Corpus = Callable[[str], Path]


class Expected(NamedTuple):
    """Sizes by split and grain; and first and last values of columns of the first frame."""

    sizes: dict[tuple[str | None, str | None], int]
    values: dict[str, tuple[float, float]]


ANY = (None, None)

LOGS = {
    "01": Expected(
        {ANY: 979},
        {
            "iter": (100, 87900),
            "G_GAN": (7.024, 1.249),
            "G_L1": (8.07, 2.287),
            "kl": (0.001, 0.063),
        },
    ),
    "03": Expected(
        {ANY: 246, ("eval", None): 171},
        {
            "step": (1000025, 1006150),
            "loss_mel": (19.08429, 14.65176),
            "loss_1": (26.92974, 21.81317),
            "grad_norm_1": (54.03583, 33.73464),
        },
    ),
    "09": Expected(
        {ANY: 325},
        {
            "iter": (19, 3999),
            "total_loss": (76.49, 12.9),
            "loss_ce": (1.169, 0.1453),
            "lr": (4.762e-7, 1e-7),
        },
    ),
    "14": Expected(
        {("train", None): 23, ("train", "epoch"): 10, ("val", "epoch"): 10},
        {"step": (200, 4600), "loss": (9.276, 3.922), "code_perplexity": (377.731, 27.92)},
    ),
    "15": Expected(
        {ANY: 3442},
        {
            "step": (100, 328500),
            "Total Loss": (29.7486, 0.5417),
            "Mel PostNet Loss": (11.8239, 0.245),
        },
    ),
    "18": Expected(
        {ANY: 398},
        {"iter": (0, 150), "loss": (5.525863, 5.646085), "global_loss": (11.028705, 11.265351)},
    ),
    "20": Expected(
        {ANY: 477},
        {
            "step": (0, 476),
            "act_loss": (0.2099609375, -0.03875732421875),
            "unsuper_loss": (0, 0),
            "average reward score": (-0.67919921875, 4.3828125),
        },
    ),
    "22": Expected(
        {("test", None): 390, ("test", "epoch"): 2},
        {"iter": (0, 1933), "loss/dist_cls_cos_mergedFeatures": (0.2058, 0.183)},
    ),
    "23": Expected(
        {("train", None): 401},
        {"iter": (0, 200000), "loss_vae": (3.5104, 0.5824), "loss_kl": (1.9333, 280.8057)},
    ),
    "27": Expected({ANY: 2}, {"epoch": (100, 148), "data l2 error": (0.0087, 0.007)}),
    "29": Expected(
        {ANY: 2545},
        {
            "train/loss_critic": (38.8, 6170),
            "train/loss_actor": (70.1, -2610),
            "AI_return": (-437, 7000),
        },
    ),
    "32": Expected(
        {ANY: 210},
        {"iter": (10, 2100), "loss": (7.184396, 0.394664), "loss_binary_maps": (0.910704, 0.0344)},
    ),
    "33": Expected(
        {ANY: 16},
        {"iter": (10, 30), "total_loss": (11.1, 12.9), "l1_loss": (0, 0), "size": (416, 576)},
    ),
    "36": Expected(
        {ANY: 960},
        {
            "iter": (10, 400),
            "epoch": (0, 23),
            "Loss": (23.873, 1.605),
            "dro_sat_loss_log": (0, 4.015),
        },
    ),
    "37": Expected(
        {ANY: 1}, {"step": (0, 0), "loss_3": (30.232248306274414,) * 2, "lr": (1e-4, 1e-4)}
    ),
    "38": Expected(
        {ANY: 10},
        {"iter": (1000, 10000), "Loss": (2.60169e-2, 1.31431e-5), "L2": (1.097, 2.381e-2)},
    ),
    "46": Expected(
        {ANY: 50, (None, "epoch"): 25},
        {"total loss": (0.015318578419586023, 0.004492707705746095)},
    ),
    "47": Expected({ANY: 345}, {"iter": (5, 1725), "f_adv_loss": (1.3287, 3.3635), "temp": (1, 1)}),
    "49": Expected(
        {ANY: 4618, ("test", "epoch"): 35},
        {"iter": (0, 46170), "Loss": (26.3755, 4.9311), "pal2 loc loss": (5.2239, 1.1041)},
    ),
    "60": Expected(
        {ANY: 60, ("val", None): 5},
        {
            "iter": (10, 600),
            "lm loss": (10.78335, 7.516389),
            "reserve_length": (256, 352),
            "number of nan iterations": (0, 0),
        },
    ),
}


def frames_of(path: Path) -> tuple[Frame, ...]:
    """The frames of one log."""
    return text.read(open_source(path)).frames


@pytest.mark.parametrize("prefix", LOGS)
def test_records_and_values(corpus: Corpus, prefix: str) -> None:
    """Record counts by split, and first and last values, are those of the log."""
    frames = frames_of(corpus(prefix))
    expected = LOGS[prefix]
    assert {(one.split, one.grain): one.size for one in frames} == expected.sizes
    main = frames[0].columns
    found = {name: (main[name].values[0], main[name].values[-1]) for name in expected.values}
    assert found == expected.values


def test_grasp_is_missing_from_five_blocks(corpus: Corpus) -> None:
    """46 prints one of its terms in 45 of 50 blocks."""
    assert len(frames_of(corpus("46"))[0].columns["grasp loss"].rows) == 45


def test_no_configuration_becomes_a_column(corpus: Corpus) -> None:
    """The dumps in front of 09, 32, 33 and 60 leave nothing behind."""
    for prefix in ("09", "32", "33"):
        (frame,) = frames_of(corpus(prefix))
        assert {len(column.rows) for column in frame.columns.values()} == {frame.size}
    for frame in frames_of(corpus("60")):
        assert {len(column.rows) for column in frame.columns.values()} == {frame.size}


def test_events_of_real_logs(corpus: Corpus) -> None:
    """The crash of 27, the overflows of 14 and 20, and the restarts of 01 and 09 are found."""

    def names(prefix: str) -> list[str]:
        return [event.name for event in frames_of(corpus(prefix))[0].events]

    assert names("14").count("overflow") == 19
    assert names("20").count("overflow") == 14
    assert names("01") == ["restart"]
    assert names("09") == ["restart", "restart"]
    (crash,) = frames_of(corpus("27"))[0].events
    assert crash.text.startswith("TypeError: unsupported operand")
    assert "lr_scheduler.py, line 423" in crash.text
