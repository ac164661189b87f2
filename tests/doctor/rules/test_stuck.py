"""Guessing, plateaus from the start, and convergence."""

import numpy as np

from poise.doctor.finding import Severity
from poise.doctor.rules.stuck import LongPlateau, Plateau, StuckAtLogK
from tests.doctor.build import make_run
from tests.doctor.healthy import N, decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)


def around(level: float, noise: float = 0.01) -> np.ndarray:
    """A flat series."""
    return level * np.exp(noise * RNG.standard_normal(N))


def test_a_term_at_log_k_for_many_classes() -> None:
    """Flat at ln 4096."""
    (one,) = found_by(StuckAtLogK(), make_run({"proto_loss": around(np.log(4096))}))
    assert one.severity is Severity.WARNING
    assert "ln 4096" in one.summary


def test_a_term_at_a_logged_number_of_classes() -> None:
    """37 is no usual number; the log says it."""
    terms = {"ce": around(np.log(37))}
    assert not found_by(StuckAtLogK(), make_run(terms))
    (one,) = found_by(StuckAtLogK(), make_run(terms, statistics={"num_classes": np.full(N, 37.0)}))
    assert "'num_classes' is logged as 37" in one.evidence[0].text


def test_passing_through_or_lying_beside_log_k_is_silent() -> None:
    """A term on its way from ln 65536 down, and flat ones 3% beside ln 2 and ln 10."""
    for values in (
        decay(RNG, np.log(65536), 9),
        around(1.03 * np.log(2)),
        around(0.97 * np.log(10)),
    ):
        assert not found_by(StuckAtLogK(), make_run({"ce": values}))


def test_a_discriminator_in_balance_is_a_note() -> None:
    """Ln 2 is where a discriminator should be."""
    (one,) = found_by(StuckAtLogK(), make_run({"d_loss": around(np.log(2))}))
    assert one.severity is Severity.NOTE


def test_a_term_that_never_moves_while_another_falls() -> None:
    """Flat from the start beside a term that loses 90%."""
    (one,) = found_by(
        Plateau(), make_run({"grip_loss": around(0.7), "pose_loss": decay(RNG, 5, 0.5)})
    )
    assert (one.severity, one.terms) == (Severity.WARNING, ("grip_loss",))


def test_noise_does_not_hide_a_plateau() -> None:
    """With 10% scatter the lowest running median lies 4% below the level by chance."""
    terms = {"noise_loss": around(0.15, 0.1), "clip_loss": decay(RNG, 5, 0.2)}
    assert [one.terms for one in found_by(Plateau(), make_run(terms))] == [("noise_loss",)]


def test_a_plateau_of_the_first_start_is_seen_beside_later_ones() -> None:
    """Stuck for 100 records, restarted, and learned: the first start is reported."""
    parts = (np.arange(N) >= 100).astype(int)
    dice = np.concatenate((around(4.8)[:100], decay(RNG, 4.8, 0.8)[: N - 100]))
    mask = np.concatenate((decay(RNG, 2, 0.5)[:100], decay(RNG, 2, 0.2)[: N - 100]))
    fast = np.concatenate((decay(RNG, 2, 0.5, n=100), decay(RNG, 2, 0.2, n=N - 100)))
    terms = {"dice_loss": dice, "mask_loss": mask, "ce_loss": fast}
    (one,) = found_by(Plateau(), make_run(terms, segments=parts))
    assert one.terms == ("dice_loss",)
    assert one.steps == (0, 99)


def test_no_plateau_without_learning_or_after_learning() -> None:
    """All flat (a warm start), flat after a fall, rising, or falling by a tenth: all silent."""
    falling = decay(RNG, 5, 0.5)
    for terms in (
        {"a_loss": around(2), "b_loss": around(0.7)},
        {"a_loss": decay(RNG, 5, 1, tau=0.02), "b_loss": falling},
        {"a_loss": around(1) * np.linspace(1, 1.3, N), "b_loss": falling},
        {"a_loss": around(1) * np.linspace(1, 0.9, N), "b_loss": falling},
        {"kl_loss": around(1), "b_loss": falling},
    ):
        assert not found_by(Plateau(), make_run(terms))


def test_convergence_is_a_note() -> None:
    """Most of the run after the fall."""
    (one,) = found_by(LongPlateau(), make_run({"ce": decay(RNG, 5, 0.5, tau=0.02)}))
    assert one.severity is Severity.NOTE
    assert 20 < one.steps[0] < 100
    assert not found_by(LongPlateau(), make_run({"ce": decay(RNG, 5, 0.5, tau=0.5)}))


def test_contrastive_terms_know_the_size_of_their_batch() -> None:
    """ln(2B - 1) for B = 64; the same level under another name is no such guess."""
    level = np.log(127) * np.ones(N) * np.exp(5e-4 * np.random.default_rng(0).standard_normal(N))
    (one,) = found_by(StuckAtLogK(), make_run({"info_nce_loss": level}))
    assert "ln 127" in one.summary
    assert not found_by(StuckAtLogK(), make_run({"box_loss": level}))


def test_a_large_flat_term_beside_a_small_falling_one_is_a_note() -> None:
    """Fine-tuning: what falls began at a fiftieth; from a twentieth on it is a warning."""
    rng = np.random.default_rng(0)
    flat = decay(rng, 2.1, 2.1, noise=0.01)
    for start, severity in ((0.04, Severity.NOTE), (0.4, Severity.WARNING)):
        terms = {"loss_ce": flat, "loss_head": decay(rng, start, start / 10)}
        (one,) = found_by(Plateau(), make_run(terms))
        assert one.severity is severity


def test_noise_that_hides_the_change_makes_a_plateau_a_note() -> None:
    """With a scatter of 40% over 120 records nobody can see 3%; with 1% everybody can."""
    rng = np.random.default_rng(1)
    falling = decay(rng, 4, 1, n=120)
    for noise, severity in ((0.4, Severity.NOTE), (0.01, Severity.WARNING)):
        flat = 1.7 * np.exp(noise * rng.standard_normal(120))
        (one,) = found_by(Plateau(), make_run({"loss_a": flat, "loss_b": falling}))
        assert one.severity is severity


def layers(count: int, *, end: float) -> dict[str, np.ndarray]:
    """Copies of a term that fall evenly to `end` of their start; two other terms fall by 90%."""
    line = 5 * np.linspace(1, end, N)
    copies = {f"dice_loss_{k}": line * RNG.lognormal(0, 0.01, N) for k in range(count)}
    others = {"mask_loss": decay(RNG, 40, 4), "class_loss": decay(RNG, 9, 0.9)}
    return copies | others


def test_many_copies_that_hardly_fall_are_flat() -> None:
    """5% beside 90% is less, in the logarithm, than 3% beside 30%: ten layers do not do that."""
    (one,) = found_by(Plateau(), make_run(layers(10, end=0.95)))
    assert len(one.terms) == 10


def test_one_term_or_a_larger_fall_is_no_plateau() -> None:
    """The near misses: a single term at 5%, and ten copies at 8%."""
    assert not found_by(Plateau(), make_run(layers(1, end=0.95)))
    assert not found_by(Plateau(), make_run(layers(10, end=0.92)))


def test_declared_monitors_may_stand_still() -> None:
    """By role or by a declared weight of 0; a fitted weight of 0 is a note as before."""
    rng = np.random.default_rng(5)
    flat = 3 + 0.01 * rng.standard_normal(400)
    values = {"ce": np.geomspace(7, 2, 400), "box": flat}
    off = {"weights": {"box": 0.0}}
    assert found_by(Plateau(), make_run(values, **off))
    assert not found_by(Plateau(), make_run(values, source="declared", **off))
    assert not found_by(Plateau(), make_run(values, declared={"roles": {"box": "monitor"}}))
    ramp = {"weight_history": {"box": np.linspace(0, 1, 400)}}
    assert found_by(Plateau(), make_run(values, source="declared", total=None, **ramp))
