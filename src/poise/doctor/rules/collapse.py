"""A statistic that must vary dies while the total falls."""

import re
from collections.abc import Iterable, Mapping
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.hints import role_of, words
from poise.doctor.proofs import rerun
from poise.doctor.rule import Need
from poise.doctor.series import multiple, number
from poise.doctor.stats import thin, trend
from poise.doctor.trace import Stretch, Trace
from poise.run import Kind

DEAD = 0.1
"""Part of its highest level below which a statistic counts as dead."""
FALLS = 0.05
"""Fall of the total from which a training counts as learning meanwhile."""
PRECISION = 20.0
"""Growth of a learned precision from which its uncertainty has collapsed."""

_MUST_VARY = re.compile(
    r"(code|prob|vq|codebook|quanti[sz]er?|cluster|assign\w*|prototype|embed\w*)s?[\W_]*"
    r"(perplexity|ppl|usage|util\w*|entropy)"
    r"|(active|used|unique|alive)[\W_]*(code|unit|neuron|latent|expert|prototype)s?"
    r"|codebook[\W_]*(size|used)|(attn|attention|router|gate|routing)[\W_]*entropy"
    r"|effective[\W_]*rank|(^|(?<!mean)(?<!median)[\W_])e?rank(me)?($|[\W_])"
    r"|(feature|feat|embed\w*|emb|latent|rep\w*|hidden|activation|act|teacher|student|output|z)s?"
    r"[\W_]*(std|var|variance)|(^|[\W_])gamma([\W_]|$)|modulation",
    re.IGNORECASE,
)
_CHOICE = frozenset(
    ("code", "codes", "codebook", "expert", "experts", "moe", "router", "routing", "mixture")
)
_MODULATION = frozenset(("film", "modulation", "adaln", "adain", "affine", "style"))
_SPREADS: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(
        ("std", "stddev", "stdev", "var", "variance", "spread", "diversity"), frozenset()
    ),
    **dict.fromkeys(("entropy", "perplexity", "usage", "utilisation", "utilization"), _CHOICE),
    "scale": _MODULATION,
}
"""Words for a spread, and the words of which one must stand beside it; none: of anything."""
_MAY_FALL = frozenset(
    (
        *("noise", "temperature", "temp", "schedule", "anneal", "dropout", "exploration", "jitter"),
        *("aug", "lr", "rate", "min", "max", "log", "logvar", "time", "seconds", "count", "num"),
        *("grad", "grads", "gradient", "gradients", "update", "delta", "step", "residual", "norm"),
        *("loss", "losses", "error", "errors", "err", "mse", "mae", "rmse", "accuracy", "acc"),
        *("reward", "rewards", "return", "returns", "advantage", "advantages", "adv", "td"),
        *("action", "actions", "policy", "pi", "actor", "value", "values", "critic", "explained"),
        *("pred", "preds", "prediction", "predictions", "predictive", "aleatoric", "epistemic"),
        *("uncertainty", "posterior", "obs", "likelihood", "nll", "ensemble"),
    )
)
"""Words for what is scheduled, or gets small as the training learns: its spread may die."""
_BY_NATURE = re.compile(r"(policy|action|pi|^|[\W_])entropy|sigma|temperature", re.IGNORECASE)
_LOG_VARIANCE = re.compile(r"log[\W_]*(var|sigma|std)|s_hat", re.IGNORECASE)
_NOISE = re.compile(r"(noise|diffusion|edm|min|max)", re.IGNORECASE)


@final
class StatisticCollapse:
    """A statistic that must vary (codebook perplexity, feature spread, rank) dies.

    The losses can go on falling: the model finds a shortcut that needs one code, one direction or
    one constant output, and a falling total hides it.

    Statistic: last tenth of a logged statistic over its highest level (of two neighbouring
    records), for names that say codebook or prototype perplexity or usage, active codes or units,
    attention or routing entropy, rank, and spread of features. Thresholds: 0.1, for the whole last
    third of the records, or for the last tenth of one that sinks without coming back; while the
    total (or a term) falls by 5%. 0.1 is the level at which seeded collapses were told from
    training that specialises. Plain entropies and sigmas are a note: a policy becomes decided, a
    fitted likelihood sure.

    Other names are read by their words (split at punctuation and capitals): a standard deviation,
    variance, spread or diversity of anything (`film_std`, `gateVariance`), an entropy, perplexity
    or usage of experts or codes, a scale of a modulation. These must also fall without coming back:
    no sixth of the records lies above the one before by more than 0.1 of the highest level. In a
    watched run, whose author chose to log them, they are a warning, else a note (a bare `std`
    nothing). Not judged: trainings with a policy, and names with a word for what is scheduled or
    gets small by learning (noise, gradients, updates, residuals, errors, rewards, predictions).

    Healthy look-alikes: a policy's entropy, a schedule of the noise or the temperature,
    quantisation that is meant, the mean rank of a retrieval, the perplexity of a language model
    (not such a statistic: it is the loss itself).
    """

    name: ClassVar[str] = "statistic-collapse"
    fault: ClassVar[Fault] = Fault.COLLAPSE
    needs: ClassVar[frozenset[Need]] = frozenset({Need.STATISTIC})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding about all strong candidates, one for each weak one."""
        stretch = case.stretches[0]
        if len(stretch) < 10 or not _learns(stretch):
            return
        dead = [one for one in stretch.of_kind(Kind.STATISTIC) if _dead(one)]
        watch = bool(case.run.declared.get("watch"))
        spread = [] if _policy(case) else [one for one in dead if _spread(one, bare=watch)]
        sure = [one for one in dead if _MUST_VARY.search(one.name)]
        strong = [one for one in dead if one in sure or (watch and one in spread)]
        if strong:
            yield _collapsed(stretch, strong, Severity.WARNING)
        for one in dead:
            if one not in strong and (one in spread or _BY_NATURE.search(one.name)):
                yield _collapsed(stretch, [one], Severity.NOTE)


def _spread(one: Trace, *, bare: bool) -> bool:
    """Does a name say a spread that must vary, if `bare` by one word alone, and does it sink?"""
    said = set(words(one.name))
    owners = [_SPREADS[word] for word in said if word in _SPREADS]
    spoken = not said & _MAY_FALL and any(not own or own & said for own in owners)
    return spoken and (bare or len(said) > 1) and sinks(one)


def sinks(one: Trace) -> bool:
    """True if no sixth of the records comes back up."""
    levels = np.array([np.median(part) for part in np.array_split(one.mid, 6)])
    return bool((np.diff(levels) <= DEAD * highest(one)).all())


def _policy(case: Case) -> bool:
    """True for a training with a policy, whose spread of actions may die."""
    return any(role_of(case, term.name) == "reinforcement" for term in case.terms)


def _learns(stretch: Stretch) -> bool:
    falls = [one.fall for one in stretch.of_kind(Kind.TOTAL, Kind.TERM)]
    return any(fall > FALLS for fall in falls if np.isfinite(fall))


def _dead(one: Trace) -> bool:
    if len(one) < 10 or not one.positive:
        return False
    top = highest(one)
    early = float(one.mid[: max(3, len(one) // 3)].max())
    tail = one.smoothed[-(len(one) // (10 if sinks(one) else 3)) :]
    return bool(tail.max() < DEAD * top) and early >= 0.5 * top and top > 0


def highest(one: Trace) -> float:
    """Highest level that two neighbouring records reach: one record alone may be an accident."""
    return float(np.minimum(one.mid[1:], one.mid[:-1]).max())


def _collapsed(stretch: Stretch, dead: list[Trace], severity: Severity) -> Finding:
    worst = min(dead, key=lambda one: one.end / highest(one))
    top = highest(worst)
    below = np.flatnonzero(worst.mid < DEAD * top)
    step = int(worst.first[below[0]])
    total = next(iter(stretch.of_kind(Kind.TOTAL)), None) or stretch.terms[0]
    facts = [
        Evidence(
            text=f"'{one.name}' falls from {number(float(one.high.max()))} to {number(one.end)} "
            f"(lowest {number(float(one.low.min()))})",
            series=one.name,
            steps=(int(one.first[int(one.high.argmax())]), one.steps[1]),
            value=one.end / float(one.high.max()),
            threshold=DEAD,
        )
        for one in dead
    ]
    facts.append(
        Evidence(
            text=f"'{total.name}' goes from {number(total.start)} to {number(total.end)} meanwhile",
            series=total.name,
            steps=total.steps,
            value=total.end,
        )
    )
    return Finding(
        rule=StatisticCollapse.name,
        fault=Fault.COLLAPSE,
        severity=severity,
        terms=tuple(one.name for one in dead),
        steps=(step, worst.steps[1]),
        summary=f"'{worst.name}' collapses from {number(top)} to {number(worst.end)} "
        f"({worst.end / top:.1%}) by step {step} while '{total.name}' goes from "
        f"{number(total.start)} to {number(total.end)}",
        evidence=tuple(facts),
        cause="A shortcut: few codes, directions or constant outputs are enough for the terms as "
        "they are weighted. Expected if it is the entropy of a policy that becomes decided, or a "
        "schedule.",
        action="Raise the weight of the term that keeps it alive (diversity, variance, "
        "entropy), or "
        "add one.",
        verify=rerun(
            "the heavier term", f"'{worst.name}' must stay above {number(DEAD * top)} to the end"
        ),
    )


@final
class UncertaintyCollapse:
    """A learned log-variance falls on and on: its term is weighted up without end.

    With exp(-s) L + s, a term that can be fitted exactly drives s to minus infinity; the total goes
    negative and this one term takes over the shared parameters.

    Statistic: precision exp(-s) of a logged log-variance. Thresholds: 20 times its start, and still
    growing: at 96% of the records above 1.5 times that at 60%, there above 1.5 times that at 30%.
    As measured on seeded trainings; healthy log-variances go negative but slow down.

    Healthy look-alikes: log-variances of a latent or of predictions per sample that settle.
    """

    name: ClassVar[str] = "uncertainty-collapse"
    fault: ClassVar[Fault] = Fault.COLLAPSE
    needs: ClassVar[frozenset[Need]] = frozenset({Need.STATISTIC, Need.HISTORY})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding for every log-variance that runs away."""
        for one in case.stretches[0].of_kind(Kind.STATISTIC, Kind.WEIGHT):
            if len(one) < 20 or not _LOG_VARIANCE.search(one.name) or _NOISE.search(one.name):
                continue
            early, middle, late = (one.smoothed[int(p * (len(one) - 1))] for p in (0.3, 0.6, 0.96))
            grows = min(early - middle, middle - late) > np.log(1.5)
            gone = one.opening - late > np.log(PRECISION)
            if grows and gone and trend(thin(one.mid)) < -3:
                yield _uncertain(one, float(late))


def _uncertain(one: Trace, late: float) -> Finding:
    factor = float(np.exp(one.opening - late))
    return Finding(
        rule=UncertaintyCollapse.name,
        fault=Fault.COLLAPSE,
        severity=Severity.WARNING,
        terms=(one.name,),
        steps=one.steps,
        summary=f"'{one.name}' falls from {number(one.opening)} to {number(late)} and does not "
        f"slow down: the precision has grown {multiple(factor)}-fold",
        evidence=(
            Evidence(
                text=f"exp(-s) is {multiple(factor)} times its start and still grows",
                series=one.name,
                steps=one.steps,
                value=factor,
                threshold=PRECISION,
            ),
        ),
        cause="The term can be fitted (almost) exactly, so its learned weight has no bound. "
        "Expected if it settles soon.",
        action=f"Clamp '{one.name}' from below, at the logarithm of the noise in the target.",
        verify=rerun("the clamp", f"'{one.name}' must level off and no other term get worse"),
    )
