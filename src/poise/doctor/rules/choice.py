"""Codes and experts that are no longer chosen, and latents that say nothing."""

from collections.abc import Iterator
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.hints import monitored, words
from poise.doctor.proofs import rerun
from poise.doctor.rule import Need
from poise.doctor.rules.collapse import highest, sinks
from poise.doctor.series import number
from poise.doctor.trace import Trace
from poise.run import Floats, Kind

ONE = 1.05
"""Perplexity at which there is as good as one code in use."""
LEFT = 2 / 3
"""Part of the experts in use at first, below which the others are lost."""
EMPTY = 0.01
"""Part of its highest level at which a divergence from the prior is gone."""
SILENT = 0.1
"""Nats below which it says nothing either; it bounds what the latent tells of a sample."""

_CODES = frozenset(("code", "codes", "codebook", "vq", "quantizer", "quantiser", "commit"))
_EXPERTS = frozenset(("expert", "experts", "moe", "load"))
_DIVERGENCE = frozenset(("kl", "kld", "kldiv"))
_RECONSTRUCTION = frozenset(("rec", "recon", "recons", "reconstruction"))


@final
class FewInUse:
    """A codebook uses a single code, or a mixture of experts has stopped using some of them.

    The other codes and experts get no gradient any more, so they do not come back by themselves.

    Statistic: the effective number of choices: a perplexity, or exp(entropy). Thresholds: of codes,
    at most 1.05 for the last third of the records, whatever it was before; of experts, below two
    thirds of its highest early level for the last third, without coming back. The name must say
    what is chosen from (`codebook_perplexity`, `expert_entropy`); a bare `perplexity` is that of
    the codes where a term does. Codes may be used less and less evenly in a healthy training;
    experts are balanced from the first step on, so what is lost of them is lost.

    Healthy look-alikes: the perplexity of a language model, the entropy of a router for each token
    (it becomes decided; not judged), experts that specialise (above two thirds).
    """

    name: ClassVar[str] = "few-in-use"
    fault: ClassVar[Fault] = Fault.COLLAPSE
    needs: ClassVar[frozenset[Need]] = frozenset({Need.STATISTIC, Need.HISTORY})

    def check(self, case: Case) -> Iterator[Finding]:
        """One finding for every such statistic."""
        coded = any(_CODES & {*words(one.name)} for one in case.terms)
        for one in case.stretches[0].of_kind(Kind.STATISTIC):
            said = {*words(one.name)}
            if len(one) < 10 or not one.positive:
                continue
            if "perplexity" in said and (said & _CODES or (coded and len(said) == 1)):
                if float(_tail(one).max()) <= ONE:
                    yield _few(one, "code", 1.0, ONE)
            elif said & _EXPERTS and said & {"entropy", "perplexity"}:
                yield from _experts(one, entropy="entropy" in said)


def _tail(one: Trace) -> Floats:
    return one.smoothed[-max(1, len(one) // 3) :]


def _experts(one: Trace, *, entropy: bool) -> Iterator[Finding]:
    early = one.smoothed[: max(1, len(one) // 3)]
    with np.errstate(over="ignore"):
        first, last = (
            float(np.exp(level)) if entropy else level
            for level in (float(early.max()), float(_tail(one).max()))
        )
    if np.isfinite(first) and last < LEFT * first and sinks(one):
        yield _few(one, "expert", last, LEFT * first, first)


def _few(one: Trace, what: str, last: float, threshold: float, first: float = 0.0) -> Finding:
    before = f", of {number(first)} at first" if first else ""
    return Finding(
        rule=FewInUse.name,
        fault=FewInUse.fault,
        severity=Severity.WARNING,
        terms=(one.name,),
        steps=one.steps,
        summary=f"'{one.name}' says that {number(last)} {what}{'s' if last > ONE else ''} in "
        f"effect {'are' if last > ONE else 'is'} in use{before}",
        evidence=(
            Evidence(
                text=f"'{one.name}' goes from {number(one.opening)} to {number(one.end)}; for the "
                f"last third of the records it is at most {number(float(_tail(one).max()))}",
                series=one.name,
                steps=one.steps,
                value=last,
                threshold=threshold,
            ),
        ),
        cause=f"The {what}s that are not chosen get no gradient: they start out of reach, or the "
        "term that spreads the choice is too weak, or has the wrong sign. Expected if the data "
        "needs no more.",
        action=f"Check sign and weight of the term that balances the {what}s; start {what}s from "
        "data, and reset those that are unused.",
        verify=rerun("that change", f"'{one.name}' must end higher"),
    )


@final
class PosteriorCollapse:
    """The divergence from the prior has gone to nothing: the latent says nothing of the input.

    The decoder reconstructs a mean, or gets its information past the latent, and the cheapest
    posterior is the prior.

    Statistic: a divergence (`kl`, `kld`) beside a reconstruction (`recon`, `rec`), by name.
    Thresholds: below 1% of its highest level and below 0.1 nats for the last third of the records.
    The divergence bounds the information that the latent has about a sample.

    Healthy look-alikes: divergences that start from weight 0 and settle, free bits (both stay far
    above), distillation and policies (no reconstruction beside them: not judged).
    """

    name: ClassVar[str] = "posterior-collapse"
    fault: ClassVar[Fault] = Fault.COLLAPSE
    needs: ClassVar[frozenset[Need]] = frozenset({Need.TERMS, Need.HISTORY})

    def check(self, case: Case) -> Iterator[Finding]:
        """One finding for every divergence that is gone."""
        stretch = case.stretches[0]
        beside = [one.name for one in stretch.terms if _RECONSTRUCTION & {*words(one.name)}]
        for one in stretch.terms if beside else ():
            divergence = _DIVERGENCE & {*words(one.name)} and not monitored(case, one.name)
            if divergence and len(one) >= 10 and np.isfinite(one.smoothed).all():
                top, last = highest(one), float(_tail(one).max())
                if last < EMPTY * top and last < SILENT:
                    yield _collapsed(one, top, last, beside[0])


def _collapsed(one: Trace, top: float, last: float, beside: str) -> Finding:
    return Finding(
        rule=PosteriorCollapse.name,
        fault=PosteriorCollapse.fault,
        severity=Severity.WARNING,
        terms=(one.name,),
        steps=one.steps,
        summary=f"'{one.name}' falls from {number(top)} to {number(one.end)}: the posterior is the "
        f"prior, and '{beside}' is made without the latent",
        evidence=(
            Evidence(
                text=f"'{one.name}' is at most {number(last)} nats for the last third of the "
                f"records, {last / top:.1%} of its highest level",
                series=one.name,
                steps=one.steps,
                value=last / top,
                threshold=EMPTY,
            ),
        ),
        cause=f"'{one.name}' outweighs '{beside}' (a sum beside a mean, a weight from its first "
        "step on), or the decoder has another way to the input. Expected if the latent is a spare.",
        action=f"Reduce both in the same way (sum '{beside}' over its elements), start the weight "
        f"of '{one.name}' at 0, or leave it free bits.",
        verify=rerun("that change", f"'{one.name}' must stay above {SILENT} nats"),
    )
