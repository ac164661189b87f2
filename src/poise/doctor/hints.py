"""What the name of a logged quantity suggests. A hint only ever lowers a severity."""

import re
from itertools import pairwise

import numpy as np

from poise.doctor.case import Case
from poise.doctor.series import weight_history

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

_ADVERSARY = frozenset(
    (
        *("g", "d", "gan", "wgan", "adv", "adversarial", "disc", "discriminator", "gen", "dis"),
        *("generator", "real", "fake", "feat", "fm", "feature", "domain"),
    )
)
_RECONSTRUCTION = frozenset(
    ("l1", "l2", "rec", "recon", "mel", "cyc", "cycle", "idt", "vgg", "perceptual", "lpips", "mse")
)
_REGULARISER = frozenset(
    (
        *("kl", "kld", "reg", "regularizer", "regulariser", "regularization", "penalty", "prior"),
        *("commit", "commitment", "vq", "wd", "decay", "zloss", "balance", "balancing", "load"),
        *("router", "ortho", "tv", "sparsity", "smoothness", "decorr", "mmd", "pen", "moe"),
        *("expert", "experts", "gating"),
    )
)
_PENALTY_ALONE = frozenset(("l2", "aux", "auxiliary"))
"""Words that mean a penalty or a balancing term if the name says nothing else (`l2_loss`)."""
_REINFORCEMENT = frozenset(
    (
        *("actor", "critic", "policy", "value", "vf", "pf", "pg", "qf", "q", "qf1", "qf2", "td"),
        *("alpha", "act", "cri", "vloss", "ppo", "grpo", "sac", "advantage", "surrogate"),
    )
)
_GENERIC = frozenset(
    ("loss", "losses", "task", "head", "term", "train", "objective", "output", "group")
)
_BONUS = frozenset(("entropy", "loss entropy", "entropy loss", "policy entropy", "entropy bonus"))


def words(name: str) -> tuple[str, ...]:
    """The words of a name, in lower case, split at punctuation, digits and capitals.

    Example:
        >>> words("train/lossGAN_real.2")
        ('train', 'loss', 'gan', 'real', '2')
    """
    return tuple(one.lower() for one in _WORDS.findall(name))


def family(name: str) -> str:
    """The name without numbers: the copies of one term at several layers or ports share it.

    A number inside a word (`l1`) stays, one at the end of a longer word (`port2`) or of a part
    before a dot or slash (`s1.loss_cls`) goes. Names that
    say nothing else (`loss_0`, `task1_loss`) are different terms and keep their numbers.

    Example:
        >>> family("loss_dice_3"), family("s2.loss_cls"), family("port2_loss"), family("l1_loss")
        ('loss_dice', 's.loss_cls', 'port_loss', 'l1_loss')
    """
    bare = re.sub(r"(?<=[A-Za-z])\d+(?=[./])", "", name)
    bare = re.sub(r"(?<=[A-Za-z]{2})\d+(?=[^A-Za-z0-9]|$)", "", bare)
    bare = re.sub(r"(^|[^A-Za-z0-9])\d+(?=[^A-Za-z0-9]|$)", "", bare)
    said = {one for one in words(bare) if not one.isdigit()}
    return name if said <= _GENERIC else bare.strip("_./- ")


def role_hint(name: str) -> str | None:
    """The role that a name suggests: `adversary`, `regulariser`, `reinforcement`, or None.

    Example:
        >>> role_hint("loss_disc"), role_hint("kl"), role_hint("actor_loss"), role_hint("loss_ce")
        ('adversary', 'regulariser', 'reinforcement', None)
    """
    found = words(name)
    pairs = {a + b for a, b in pairwise(found)}
    spoken = set(found) | pairs
    plain = " ".join(one for one in found if not one.isdigit())
    if plain in _BONUS or spoken & _REGULARISER or _penalty_alone(name):
        return "regulariser"
    if spoken & _REINFORCEMENT:
        return "reinforcement"
    if spoken & _ADVERSARY and not spoken & _RECONSTRUCTION:
        return "adversary"
    return None


def _penalty_alone(name: str) -> bool:
    said = set(re.findall(r"[a-z]+2?", name.lower())) - _GENERIC
    return bool(said) and said <= _PENALTY_ALONE


def role_of(case: Case, name: str) -> str:
    """The role of a term: declared, else the one its name suggests, else `task`."""
    return "monitor" if monitored(case, name) else case.role(name) or role_hint(name) or "task"


def monitored(case: Case, name: str) -> bool:
    """True for a term that is declared to be watched only: by its role, or by a weight of 0.

    A weight counts as declared where the run declares its weights, and if it is never another.
    """
    if case.role(name) == "monitor":
        return True
    history = weight_history(case.train, name)
    if history is not None and np.any(history.values):
        return False
    told = () if case.composition is None else case.composition.terms
    return any(one.name == name and one.source == "declared" and one.weight == 0 for one in told)
