"""One table of names and what they mean, and the cases that need company."""

import pytest

from poise.read.naming import classify, split_name
from poise.run import Kind

SINGLE = [
    # label, split, base, grain, kind
    ("epoch", None, "epoch", None, "position"),
    ("global_step", None, "global_step", None, "position"),
    ("trainer/global_step", None, "trainer/global_step", None, "position"),
    ("time/total_timesteps", None, "time/total_timesteps", None, "position"),
    ("time/iterations", None, "time/iterations", None, "position"),
    ("train/n_updates", None, "train/n_updates", None, "position"),
    ("total timesteps", None, "total timesteps", None, "position"),
    ("num_updates", None, "num_updates", None, "position"),
    ("n_parameters", None, "n_parameters", None, "position"),
    ("Progress", None, "Progress", None, "position"),
    ("iteration", None, "iteration", None, "position"),
    ("", None, "", None, "position"),
    ("lr", None, "lr", None, "learning_rate"),
    ("lr/pg0", None, "lr/pg0", None, "learning_rate"),
    ("x/lr2", None, "x/lr2", None, "learning_rate"),
    ("current_lr_0", None, "current_lr_0", None, "learning_rate"),
    ("learning rate", None, "learning rate", None, "learning_rate"),
    ("train_lr", "train", "lr", None, "learning_rate"),
    ("lr-AdamW/pg1", None, "lr-AdamW/pg1", None, "learning_rate"),
    ("lr-AdamW/pg1-momentum", None, "lr-AdamW/pg1-momentum", None, "statistic"),
    ("base_lr", None, "base_lr", None, "statistic"),
    ("grad_norm", None, "grad_norm", None, "grad_norm"),
    ("gnorm", None, "gnorm", None, "grad_norm"),
    ("Grad_norm", None, "Grad_norm", None, "grad_norm"),
    ("grad norm", None, "grad norm", None, "grad_norm"),
    ("grad_2.0_norm_total", None, "grad_2.0_norm_total", None, "grad_norm"),
    ("loss_scale", None, "loss_scale", None, "loss_scale"),
    ("loss scale", None, "loss scale", None, "loss_scale"),
    ("amp_scaler", None, "amp_scaler", None, "loss_scale"),
    ("ntokens", None, "ntokens", None, "count"),
    ("bsz", None, "bsz", None, "count"),
    ("global batch size", None, "global batch size", None, "count"),
    ("reserve_length", None, "reserve_length", None, "count"),
    ("completion_length", None, "completion_length", None, "count"),
    ("ep_len_mean", None, "ep_len_mean", None, "statistic"),
    ("time", None, "time", None, "clock"),
    ("data_time", None, "data_time", None, "clock"),
    ("eta_seconds", None, "eta_seconds", None, "clock"),
    ("train_samples_per_second", "train", "samples_per_second", None, "clock"),
    ("reader_cost", None, "reader_cost", None, "clock"),
    ("max_mem", None, "max_mem", None, "clock"),
    ("wps", None, "wps", None, "clock"),
    ("it/s", None, "it/s", None, "clock"),
    ("train_wall", "train", "wall", None, "clock"),
    ("accuracy", None, "accuracy", None, "statistic"),
    ("decode.acc_seg", None, "decode.acc_seg", None, "statistic"),
    ("metrics/mAP50(B)", None, "metrics/mAP50(B)", None, "statistic"),
    ("prob_perplexity", None, "prob_perplexity", None, "statistic"),
    ("best_loss", None, "best_loss", None, "statistic"),
    ("loss_ratio", None, "loss_ratio", None, "statistic"),
    ("validity", None, "validity", None, "statistic"),
    ("testosterone", None, "testosterone", None, "statistic"),
    ("reward_std", None, "reward_std", None, "statistic"),
]  # fmt: skip


@pytest.mark.parametrize(("label", "split", "base", "grain", "kind"), SINGLE)
def test_a_name_alone(
    label: str, split: str | None, base: str, grain: str | None, kind: str
) -> None:
    """A name without a loss in it means the same in any company."""
    for company in ([label], [label, "loss", "loss_a", "loss_b"]):
        found = classify(company)[label]
        assert (found.split, found.base, found.grain, found.kind.value) == (
            split,
            base,
            grain,
            kind,
        )


COMPANIES = [
    # names, the total, the terms
    (["loss", "kl", "reward", "reward_std", "grad_norm"], ["loss"], ["kl"]),
    (["Loss", "Loss_u", "Loss_fu", "L2"], ["Loss"], ["Loss_u", "Loss_fu"]),
    (["G_GAN", "D", "G_L1", "z_L1", "kl"], [], ["G_GAN", "D", "G_L1", "z_L1", "kl"]),
    (["D_A", "G_A", "cycle_A", "idt_A"], [], ["D_A", "G_A", "cycle_A", "idt_A"]),
    (["G_GAN", "D_real+fake", "G_VGG"], [], ["G_GAN", "D_real+fake", "G_VGG"]),
    (["loss", "accuracy", "val_loss", "val_accuracy"], ["loss", "val_loss"], []),
    (["loss", "mae", "val_loss", "val_mae"], ["loss", "val_loss"], []),
    (["loss", "recon", "kl"], ["loss"], ["recon", "kl"]),
    (["lm loss", "loss scale", "grad norm"], ["lm loss"], []),
    (
        ["total_loss", "value_loss", "approx_kl", "policy_loss"],
        ["total_loss"],
        ["value_loss", "policy_loss"],
    ),
    (
        ["train/loss", "train/value_loss", "kl", "rollout/ep_rew_mean"],
        ["train/loss"],
        ["train/value_loss"],
    ),
    (
        ["loss_0", "loss_1", "loss_gen", "loss_disc"],
        [],
        ["loss_0", "loss_1", "loss_gen", "loss_disc"],
    ),
    (["loss", "loss_0", "loss_1", "prob_perplexity"], ["loss"], ["loss_0", "loss_1"]),
    (["total loss", "score loss", "ctc loss"], ["total loss"], ["score loss", "ctc loss"]),
    (["mean_loss", "a_loss", "b_loss"], ["mean_loss"], ["a_loss", "b_loss"]),
    (
        ["Total Loss", "Mel Loss", "Mel PostNet Loss"],
        ["Total Loss"],
        ["Mel Loss", "Mel PostNet Loss"],
    ),
    (["train_elbo_loss", "train_kl_loss"], ["train_elbo_loss"], ["train_kl_loss"]),
    (["loss", "loss_vic", "global_loss"], ["loss"], ["loss_vic", "global_loss"]),
    (
        ["train/box_loss", "train/dfl_loss", "val/box_loss"],
        [],
        ["train/box_loss", "train/dfl_loss", "val/box_loss"],
    ),
    (["lossG", "lossD", "CELoss"], [], ["lossG", "lossD", "CELoss"]),
    (["loss", "loss_ce", "loss_ce_unscaled"], ["loss"], ["loss_ce"]),
    (["loss", "avg_loss", "ce_loss"], ["loss"], ["ce_loss"]),
    (["loss", "total_loss", "aux_loss"], ["total_loss"], ["loss", "aux_loss"]),
    (["LossPi", "LossV", "KL", "DeltaLossPi", "AverageEpRet"], [], ["LossPi", "LossV"]),
    (["actor_loss", "ent_coef_loss", "ent_coef"], [], ["actor_loss", "ent_coef_loss"]),
]


@pytest.mark.parametrize(("names", "totals", "terms"), COMPANIES)
def test_losses_in_company(names: list[str], totals: list[str], terms: list[str]) -> None:
    """Which names are totals and which are terms depends on what else is logged."""
    found = classify(names)
    assert [one for one in names if found[one].kind is Kind.TOTAL] == totals
    assert [one for one in names if found[one].kind is Kind.TERM] == terms


def test_numbered_terms_stay_apart() -> None:
    """Decoder layers log one loss each; the number belongs to the name."""
    found = classify(["train_loss_ce", "train_loss_ce_0", "train_loss_ce_1"])
    assert [one.base for one in found.values()] == ["loss_ce", "loss_ce_0", "loss_ce_1"]


def test_step_and_epoch_twins_share_a_name() -> None:
    """`_step` and `_epoch` are granularities of one quantity, not two terms."""
    found = classify(["train_loss_step", "train_loss_epoch", "aux_loss_epoch", "step", "epoch"])
    assert [(one.base, one.grain) for one in found.values()] == [
        ("loss", "step"),
        ("loss", "epoch"),
        ("aux_loss", "epoch"),
        ("step", None),
        ("epoch", None),
    ]


@pytest.mark.parametrize(
    ("label", "split", "rest"),
    [
        ("valid_loss", "val", "loss"),
        ("Validation Loss", "val", "Loss"),
        ("loss/train", "train", "loss"),
        ("losses/test/ce", "test", "losses/ce"),
        ("metrics/val_acc", "val", "metrics/acc"),
        ("trainLoss", "train", "Loss"),
        ("value_loss", None, "value_loss"),
        ("evaluate", None, "evaluate"),
        ("train", None, "train"),
        ("eval/mean_reward", "eval", "mean_reward"),
    ],
)
def test_splits(label: str, split: str | None, rest: str) -> None:
    """A split is a word of its own, in front, behind or between slashes."""
    assert split_name(label) == (split, rest)


@pytest.mark.parametrize(
    ("label", "of"),
    [
        ("weight/mel", "loss_mel"),
        ("w_mel", "loss_mel"),
        ("lambda_kl", "loss_kl"),
        ("mel_weight", "loss_mel"),
        ("loss_weight/kl", "loss_kl"),
        ("weight_decay", None),
    ],
)
def test_weights_name_their_term(label: str, of: str | None) -> None:
    """A weight is one only if the term that it weighs is logged."""
    found = classify(["loss", "loss_mel", "loss_kl", label])[label]
    assert found.of == of
    assert (found.kind is Kind.WEIGHT) == (of is not None)


def test_a_declared_split_is_not_overruled() -> None:
    """Where the format says the split, a prefix of another split is part of the name."""
    found = classify(["test_mmd_loss", "train_loss"], split="train")
    assert [(one.split, one.base) for one in found.values()] == [
        (None, "test_mmd_loss"),
        ("train", "loss"),
    ]


def test_declared_terms_keep_their_names() -> None:
    """A term that the format declares is one whatever it is called, letter by letter."""
    found = classify(["time", "val_step", "total"], terms=["time", "val_step"], totals=["total"])
    assert [(one.base, one.kind) for one in found.values()] == [
        ("time", Kind.TERM),
        ("val_step", Kind.TERM),
        ("total", Kind.TOTAL),
    ]


def test_averages_of_an_evaluation_block() -> None:
    """`avg_loss` in an evaluation is the loss of the evaluation."""
    assert classify(["avg_loss_mel"], split="val")["avg_loss_mel"].base == "loss_mel"


def test_declared_kinds_are_final() -> None:
    """What the format declares goes before every name, also where it says another split."""
    kinds = {
        "test_loss": (Kind.STATISTIC, None),
        "steps": (Kind.TERM, None),
        "weight": (Kind.WEIGHT, "steps"),
        "sum": (Kind.TOTAL, None),
    }
    found = classify([*kinds, "loss"], kinds=kinds)
    assert {label: (found[label].kind, found[label].of) for label in kinds} == kinds
    assert found["test_loss"].base == "test_loss"
    assert found["loss"].kind is Kind.TERM


def test_symbols_are_losses_in_company() -> None:
    """Several names `L_...` are losses as papers write them; one alone may be anything."""
    found = classify(["step", "L_total", "L_rec", "val/L_rec", "acc"])
    assert [one.kind.value for one in found.values()] == [
        "position", "total", "term", "term", "statistic",
    ]  # fmt: skip
    assert classify(["loss", "L_max"])["L_max"].kind is Kind.STATISTIC
