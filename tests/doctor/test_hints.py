"""What names suggest."""

import pytest

from poise.doctor.hints import family, role_hint, words


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("loss_disc_real_0", "adversary"),
        ("G_GAN", "adversary"),
        ("G_L1", None),
        ("d_adv_loss", "adversary"),
        ("decode.loss_ce", None),
        ("aux.loss_ce", None),
        ("loss_kl", "regulariser"),
        ("z_loss", "regulariser"),
        ("load_balancing_loss", "regulariser"),
        ("entropy_loss", "regulariser"),
        ("cross_entropy_loss", None),
        ("loss_region_entropy", None),
        ("train/actor_loss", "reinforcement"),
        ("qf1_loss", "reinforcement"),
        ("dice", None),
        ("grad_loss", None),
    ],
)
def test_roles(name: str, role: str | None) -> None:
    """Names that people give their losses."""
    assert role_hint(name) == role


@pytest.mark.parametrize(
    ("names", "same"),
    [
        (("loss_ce", "loss_ce_0", "loss_ce_11"), True),
        (("port1_loss", "port2_loss"), True),
        (("decoder.0.loss", "decoder.1.loss"), True),
        (("l1_loss", "l2_loss"), False),
        (("loss_ce", "loss_bce"), False),
        (("loss_0", "loss_1"), False),
        (("task1_loss", "task2_loss"), False),
    ],
)
def test_families(names: tuple[str, ...], same: bool) -> None:
    """Copies of a term differ by a number, other terms by more."""
    assert (len({family(name) for name in names}) == 1) == same


def test_a_name_of_digits_or_punctuation_is_its_own_family() -> None:
    """Nothing is left to be a family: the name itself."""
    assert family("0") == "0"
    assert family("__") == "__"
    assert words("") == ()
