"""Totals that are not what their terms add up to."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.hints import monitored, role_hint
from poise.doctor.rule import Need
from poise.doctor.series import (
    first_and_last,
    moved,
    named,
    number,
    python_name,
    roughness,
    span,
    steps_between,
    weight_history,
    weights_at,
)
from poise.run import Composition, Floats, Ints, Series, Table

MEASURES = re.compile(
    r"entropy|perplexity|accuracy|error|critic|raw|unscaled|unweighted|vlb|elbo"
    r"|(?:^|[^a-z])(?:mae|mse|rmse|mape|msle|psnr|ssim|iou|ppl|bpd)(?:[^a-z]|$)",
    re.IGNORECASE,
)
"""Names of quantities that are often logged beside a total without belonging to it: measures,
bounds, and a term's unweighted twin. Another optimizer's losses are known by their hinted role."""


LEAST = 8
"""Records of one sign that are no accident: 1 chance in 128 for noise of either sign."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """What the weighted terms leave of a total.

    Attributes:
        rows: Records with the total and all of its terms, shape (n,).
        total: Total in these records, shape (n,).
        weighted: Weighted sum of the terms, shape (n,).
    """

    rows: Ints
    total: Floats
    weighted: Floats

    @property
    def left(self) -> Floats:
        """Total minus weighted sum, shape (n,)."""
        return self.total - self.weighted

    @property
    def shares(self) -> Floats:
        """The rest in units of the total's median size, shape (n,)."""
        unit = float(np.median(np.abs(self.total)))
        with np.errstate(over="ignore"):
            return self.left / unit if unit else np.zeros_like(self.total)


def rest_of(table: Table, composition: Composition) -> Rest | None:
    """The rest of a total; terms of unknown weight stay in it.

    Returns:
        None if the total or a weighted term is not in the table, or nothing is finite.
    """
    weights = {one.name: one.weight for one in composition.terms if one.weight is not None}
    names = [composition.total, *weights]
    if not all(name in table.series for name in names):
        return None
    rows, values = table.aligned(names)
    good = np.isfinite(values).all(axis=1)
    if not good.any():
        return None
    values = values[good]
    if any(weight_history(table, name) is not None for name in weights):
        factors = weights_at(table, weights, table.steps[rows[good]])
        weighted = np.einsum("ij,ij->i", values[:, 1:], factors)
    else:
        weighted = values[:, 1:] @ np.array(list(weights.values()), np.float64)
    sound = np.isfinite(weighted)
    if not sound.any():
        return None
    return Rest(rows=rows[good][sound], total=values[sound, 0], weighted=weighted[sound])


def adaptive(table: Table, composition: Composition, rest: Rest) -> str | None:
    """The one term whose changing weight would explain the rest; None if there is none.

    A weight that follows a schedule is positive and changes slowly: from one record to the next by
    less than a twentieth of its level, or of its whole range.
    """
    unknown = [one.name for one in composition.terms if one.weight is None]
    live = [one for one in unknown if one in table.series and table.series[one].values.any()]
    if len(live) != 1:
        return None
    term = table.series[live[0]]
    rows, here, there = np.intersect1d(
        rest.rows, term.rows, assume_unique=True, return_indices=True
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = rest.left[here] / term.values[there]
    weight = weight[np.isfinite(weight)]
    if len(weight) < 20 or (weight <= 0).mean() > 0.05:
        return None
    level = max(float(np.median(weight)), float(np.ptp(weight)))
    return live[0] if roughness(weight) < 0.05 * level and len(rows) else None


def smoothed(rest: Rest) -> bool:
    """True if the total is smoother than its terms: a running mean, or a median of a window.

    The change from one record to the next is compared: independent noise under a window of k
    records shrinks by k, so half is reached by any window of two or more.
    """
    return roughness(rest.total) < 0.5 * roughness(rest.weighted)


def structural(rest: Rest) -> bool:
    """True if medians over windows cannot have left this rest.

    The median of a sum and the sum of medians differ where the terms are skewed. With windows of 20
    log-normal values of sigma up to 1 and up to 10 terms, the difference stays below 0.35 of the
    total and below 4 times the change of the sum from record to record, and it changes itself at
    least 0.45 times as much as the sum does. A summand that is missing breaks one of the three.
    """
    share = abs(float(np.median(rest.shares)))
    typical = float(np.median(np.abs(rest.total)))
    change = roughness(rest.weighted)
    calm = roughness(rest.left) < 0.4 * change
    return calm or share > 0.4 or share * typical > 6 * change


def offset(rest: Rest, tolerance: float) -> bool:
    """True if the rest is one constant, up to what printing does to it: it has no gradient.

    Between its 5% and its 95% quantile the rest must not span more than twice the tolerance, nor
    more than a hundredth of itself where the values are printed in full.
    """
    low, middle, high = (float(one) for one in np.quantile(rest.shares, [0.05, 0.5, 0.95]))
    return high - low <= max(4 * tolerance, 0.01 * abs(middle))


def _table_of(case: Case, composition: Composition) -> Table | None:
    tables = (one for one in case.run.tables if one.split == case.train.split)
    return next((one for one in tables if composition.total in one.series), None)


@final
class UnaccountedTotal:
    """The total is not the weighted sum of the logged terms.

    Something that is not logged is optimized, or something that is logged is not: in both cases the
    curves do not show what the training minimizes.

    Statistic: total minus weighted sum, record by record, in units of the total's median. Weights
    are the declared ones or those fitted from the values. Thresholds: a median above 10 times what
    printing explains and above 5% of the total, with the same sign in 95% of the records. Between
    0.1% and 5%, a note. A total that is smoother than its terms (a running mean) is left to
    `smoothed-total`.

    Logs that print the median of a window for each quantity leave a rest of one sign as well. So,
    except for means over epochs, a rest is a note unless it is larger (40% of the total, or 6 times
    the change of the sum from record to record) or calmer (0.4 times that change) than the medians
    of 20 skewed values can leave it.

    A note, too, if the terms explain less than a tenth of the total: then the log prints a total
    and something beside it and never meant to break it down; if one term of unknown weight explains
    the rest by a weight that changes slowly; and if the rest is one constant, which has no
    gradient.

    Healthy look-alikes: rounding, medians, averages over windows; a constant offset, such as the
    log-variance part of learned weights; weight decay that is added to the total.
    """

    name: ClassVar[str] = "unaccounted-total"
    fault: ClassVar[Fault] = Fault.UNACCOUNTED
    needs: ClassVar[frozenset[Need]] = frozenset({Need.COMPOSITION})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding for every total with a structural rest."""
        for composition in case.run.compositions:
            table = _table_of(case, composition)
            settled = composition.exact or (
                composition is case.composition and case.normaliser is not None
            )
            if settled or table is None:
                continue
            rest = rest_of(table, composition)
            if rest is None or len(rest.rows) < LEAST or smoothed(rest):
                continue
            yield from self._judge(table, composition, rest)

    def _judge(self, table: Table, composition: Composition, rest: Rest) -> Iterable[Finding]:
        shares = rest.shares
        middle = float(np.median(shares))
        sided = float((np.sign(shares) == np.sign(middle)).mean())
        floor = max(1e-3, 10 * composition.tolerance)
        if sided < 0.95 or not floor < abs(middle) < np.inf:
            return
        changing = composition.residual <= composition.tolerance
        varies = adaptive(table, composition, rest)
        changing = changing or offset(rest, composition.tolerance)
        breakdown = any(one.weight for one in composition.terms) and abs(middle) < 0.9
        proved = table.grain == "epoch" or structural(rest)
        large = abs(middle) > 0.05 and breakdown and proved and not changing and varies is None
        yield self._finding(table, composition, rest, large=large)

    def _finding(
        self, table: Table, composition: Composition, rest: Rest, *, large: bool
    ) -> Finding:
        shares = rest.shares
        middle = float(np.median(shares))
        first, last = first_and_last(rest.left)
        trend = f"goes from {number(first)} to {number(last)}" if moved(rest.left) else "is steady"
        steps = steps_between(table.steps[rest.rows])
        counted = [one.name for one in composition.terms if one.weight]
        others = [
            one.name
            for one in composition.terms
            if not one.weight and one.name in table.series and table.series[one.name].values.any()
        ]
        beside = f" ({named(others)} logged beside)" if others else ""
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.WARNING if large else Severity.NOTE,
            terms=(composition.total, *others),
            steps=steps,
            summary=(
                f"{number(100 * abs(middle))}% of '{composition.total}' is not explained by "
                f"{named(counted) or 'any logged term'}{beside}; this rest {trend}."
            ),
            evidence=(
                Evidence(
                    text=f"median of total minus weighted sum: {100 * middle:.1f}% of the total "
                    f"(a warning from {100 * max(0.05, 10 * composition.tolerance):.2g}% on)",
                    series=composition.total,
                    steps=steps,
                    value=middle,
                    threshold=max(0.05, 10 * composition.tolerance),
                ),
                Evidence(
                    text=f"weights: {composition.why}",
                    series=composition.total,
                    steps=steps,
                    value=composition.residual,
                    threshold=composition.tolerance,
                ),
            ),
            cause=(
                "A summand is not logged, or a term's weight changes over time or could not be "
                "told from the values. Expected where the log prints medians or averages, and for "
                "an offset such as the one of learned weights."
            ),
            action=f"Log every summand of '{composition.total}'.",
            verify=f"print({python_name(composition.total)} - sum(weights[k] * terms[k] "
            "for k in terms))",
        )


@final
class UnaccountedTerms:
    """Terms are logged, but the total does not contain them.

    They look like part of the objective and are not: their weight is 0, they were left out of the
    sum, or they belong to something else.

    Statistic: weights of the total, where these reproduce it within what printing explains. A term
    counts as left out at weight 0 while its value moves by more than its noise. Threshold: a
    warning if the total is one single term and nothing else, while another term moves; a note if
    the total holds several terms, if all of the others bear names of measures or of another
    optimizer's losses, or if they add up to the total by themselves (a second breakdown of it).

    Healthy look-alikes: a term that the run declares to be a monitor, by its role or by a weight
    of 0 (silent); an entropy or a distance that is only watched, the losses of a discriminator or
    critic, a term logged raw beside its weighted twin.
    """

    name: ClassVar[str] = "unaccounted-terms"
    fault: ClassVar[Fault] = Fault.UNACCOUNTED
    needs: ClassVar[frozenset[Need]] = frozenset({Need.COMPOSITION})

    def check(self, case: Case) -> Iterable[Finding]:
        """At most one finding, about the main total."""
        composition = case.composition
        if composition is None or not composition.exact or composition.records < 10:
            return
        inside = [one.name for one in composition.terms if one.weight]
        outside = [
            case.train.series[one.name]
            for one in composition.terms
            if one.weight == 0 and one.name in case.train.series and not _ever(case, one.name)
            and not monitored(case, one.name)
        ]  # fmt: skip
        outside = [one for one in outside if moved(one.values)]
        if inside and outside:
            yield self._finding(case, composition, inside, outside)

    def _finding(
        self, case: Case, composition: Composition, inside: list[str], outside: list[Series]
    ) -> Finding:
        names = [one.name for one in outside]
        excuse = _excuse(case, composition, inside, outside)
        belongs = "is" if len(names) == 1 else "are"
        steps = span(case.train, outside[0])
        whole = f"it is exactly {named(inside)}" if len(inside) == 1 else f"it is {named(inside)}"
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.NOTE if excuse else Severity.WARNING,
            terms=tuple(names),
            steps=steps,
            summary=f"{named(names)} {belongs} not in '{composition.total}': {whole}.",
            evidence=(
                Evidence(
                    text=f"'{composition.total}' without them: {composition.why}",
                    series=composition.total,
                    steps=steps,
                    value=composition.residual,
                    threshold=composition.tolerance,
                ),
                *(_movement(case, one) for one in outside[:4]),
            ),
            cause=(
                "Their weight is 0 or they were never added"
                + (
                    f"; expected here if {excuse}."
                    if excuse
                    else ", although they are trained or "
                    "move along. Expected only if they are watched or minimized elsewhere."
                )
            ),
            action=f"Add them to '{composition.total}', or mark them as monitors.",
            verify=f"print(torch.autograd.grad({python_name(composition.total)}, "
            f"{python_name(names[0])}, allow_unused=True))  # None: it is not in the total",
        )


def _ever(case: Case, term: str) -> bool:
    """True if the log has weights of this term and not all of them are 0."""
    history = weight_history(case.train, term)
    return history is not None and bool(history.values.any())


def _movement(case: Case, one: Series) -> Evidence:
    good = one.values[np.isfinite(one.values)]
    first, last = float(np.median(good[:5])), first_and_last(good)[1]
    return Evidence(
        text=f"'{one.name}' moves from {number(first)} to {number(last)} with weight 0",
        series=one.name,
        steps=span(case.train, one),
        value=last,
    )


def _excuse(case: Case, composition: Composition, inside: list[str], outside: list[Series]) -> str:
    """The healthy explanation that fits best, or the empty string."""
    if all(case.role(one.name) == "adversary" for one in outside):
        return "they belong to an adversary, as declared"
    if all(_bystander(one.name) for one in outside):
        return "they are measures or belong to another optimizer"
    if _second_breakdown(case, composition, outside):
        return "they are a second breakdown of the same total"
    if len(inside) > 1:
        return "they are measures or belong to another optimizer"
    return ""


def _bystander(name: str) -> bool:
    return bool(MEASURES.search(name)) or role_hint(name) in {"adversary", "reinforcement"}


def _second_breakdown(case: Case, composition: Composition, outside: list[Series]) -> bool:
    """True if the terms outside reproduce the total, or a term, by themselves."""
    rows, values = case.train.aligned([composition.total, *(one.name for one in outside)])
    values = values[np.isfinite(values).all(axis=1)]
    stride = max(1, len(rows) // 2000)
    target, parts = values[::stride, 0], values[::stride, 1:]
    if len(target) < 3 * parts.shape[1]:
        return False
    weights, *_ = np.linalg.lstsq(parts, target, rcond=None)
    left = float(np.median(np.abs(target - parts @ weights)))
    return left <= max(1e-4, composition.tolerance) * float(np.median(np.abs(target)))
