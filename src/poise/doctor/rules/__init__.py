"""The catalogue of rules, written out: adding a rule is adding a line."""

from difflib import get_close_matches

from poise.doctor.rule import Rule
from poise.doctor.rules.accumulation import AccumulationSummed
from poise.doctor.rules.bound import TermAtBound
from poise.doctor.rules.broadcast import PredictionBroadcast
from poise.doctor.rules.capped import ExponentialAtCap
from poise.doctor.rules.chance import AtChance
from poise.doctor.rules.choice import FewInUse, PosteriorCollapse
from poise.doctor.rules.clip_fraction import ClipFraction
from poise.doctor.rules.clipping import ClippingAlways, ScaleUndone
from poise.doctor.rules.collapse import StatisticCollapse, UncertaintyCollapse
from poise.doctor.rules.conflict import RisesWhileOthersFall
from poise.doctor.rules.counts_apart import CountsApart
from poise.doctor.rules.data import CountZero, DivergenceNegative, TermSparse
from poise.doctor.rules.dominance import ValueDominance
from poise.doctor.rules.entropy_sign import EntropyMinimised
from poise.doctor.rules.eval_apart import EvalApart
from poise.doctor.rules.eval_mismatch import EvalFactor, EvalObjective
from poise.doctor.rules.expected import (
    ExpectationBroken,
    ExpectationBrokenDownward,
    ExpectationBrokenUpward,
)
from poise.doctor.rules.explosion import GradientGrowth, LateDegradation, Spike
from poise.doctor.rules.frozen import EvalIdentical, LossIdentical, ShareConstant
from poise.doctor.rules.generalisation import EvalRises, EvalStandsStill
from poise.doctor.rules.gradient_conflict import GradientConflict
from poise.doctor.rules.gradient_jump import GradientJump
from poise.doctor.rules.gradient_share import GradientDominance, GradientStarvation
from poise.doctor.rules.gradients_kept import GradientsKept
from poise.doctor.rules.jump import TermJump, TermSwitches, TotalJump
from poise.doctor.rules.logged_rate import LearningRateNotAsLogged
from poise.doctor.rules.logits import ProbabilitiesAsLogits
from poise.doctor.rules.motion import AverageCannotMove, OptimizerNeverSteps, ParametersStill
from poise.doctor.rules.no_effect import (
    RewardZero,
    TermConstant,
    TermZero,
    TotalZero,
)
from poise.doctor.rules.nonfinite import (
    NonfiniteEval,
    NonfiniteStatistic,
    NonfiniteTerm,
    NonfiniteTotal,
)
from poise.doctor.rules.nonfinite_gradient import LossScaleFalling, NonfiniteGradient
from poise.doctor.rules.nonfinite_probe import TermGradientNonfinite
from poise.doctor.rules.normaliser import ValueNormaliser
from poise.doctor.rules.out_of_scale import OutOfScale
from poise.doctor.rules.precision import BeyondPrecision
from poise.doctor.rules.printing import RoundedTerms, SmoothedTotal
from poise.doctor.rules.reach import (
    ParametersUntrained,
    TermGradientZero,
    TermReachesNothing,
    WeightIgnored,
)
from poise.doctor.rules.record import Crash, LogGap, RepeatedSteps, Restart, Truncated
from poise.doctor.rules.saturation import AtClamp
from poise.doctor.rules.saturation_gradient import GradientVanishes
from poise.doctor.rules.scale_with_length import ScalesWithLength
from poise.doctor.rules.schedule import (
    LearningRateConstant,
    LearningRateFloorEarly,
    LearningRateReset,
    LearningRateSawtooth,
    SchedulerCrash,
)
from poise.doctor.rules.scheduler_rate import SchedulerPerMicroBatch, WeightNotAsDeclared
from poise.doctor.rules.share_declared import ShareNotHonoured, ShareTooSmall
from poise.doctor.rules.standstill import NothingFalls
from poise.doctor.rules.starvation import ValueStarvation
from poise.doctor.rules.stuck import LongPlateau, Plateau, StuckAtLogK
from poise.doctor.rules.unaccounted import UnaccountedTerms, UnaccountedTotal
from poise.doctor.rules.unaccounted_gradient import UnaccountedGradient
from poise.doctor.rules.unbounded import DrivenDown, FallsUndiminished, RunawayValues
from poise.doctor.rules.warm_up import WarmUpRepeated
from poise.doctor.rules.watching import MeasuringFailed, TotalUnused, TotalWithoutGraph
from poise.doctor.rules.weight_constant import WeightConstant
from poise.doctor.rules.weight_normaliser import NormaliserStarvesGradient
from poise.doctor.rules.weight_vanishes import WeightVanishes
from poise.doctor.rules.weight_zero import WeightZero
from poise.doctor.rules.zero_rate import LearningRateRounded, LearningRateZero
from poise.errors import RuleNameError

RULES: tuple[Rule, ...] = (
    NonfiniteTerm(),
    NonfiniteTotal(),
    NonfiniteEval(),
    NonfiniteGradient(),
    TermGradientNonfinite(),
    NonfiniteStatistic(),
    LossScaleFalling(),
    TermReachesNothing(),
    TermGradientZero(),
    TotalWithoutGraph(),
    WeightIgnored(),
    OptimizerNeverSteps(),
    LearningRateZero(),
    ParametersStill(),
    ParametersUntrained(),
    AverageCannotMove(),
    EvalIdentical(),
    LossIdentical(),
    ShareConstant(),
    CountZero(),
    TermSparse(),
    DivergenceNegative(),
    PredictionBroadcast(),
    BeyondPrecision(),
    LateDegradation(),
    Spike(),
    OutOfScale(),
    GradientGrowth(),
    ExpectationBrokenUpward(),
    TotalUnused(),
    UnaccountedTotal(),
    UnaccountedTerms(),
    UnaccountedGradient(),
    EvalObjective(),
    EvalFactor(),
    EvalApart(),
    SchedulerPerMicroBatch(),
    WeightNotAsDeclared(),
    LearningRateConstant(),
    LearningRateFloorEarly(),
    LearningRateReset(),
    LearningRateSawtooth(),
    WarmUpRepeated(),
    LearningRateNotAsLogged(),
    LearningRateRounded(),
    SchedulerCrash(),
    GradientsKept(),
    AccumulationSummed(),
    CountsApart(),
    ScalesWithLength(),
    TotalJump(),
    TermJump(),
    TermSwitches(),
    GradientJump(),
    ScaleUndone(),
    TermZero(),
    TotalZero(),
    TermConstant(),
    WeightConstant(),
    WeightZero(),
    RewardZero(),
    DrivenDown(),
    FallsUndiminished(),
    RunawayValues(),
    StatisticCollapse(),
    UncertaintyCollapse(),
    FewInUse(),
    PosteriorCollapse(),
    EntropyMinimised(),
    ExpectationBrokenDownward(),
    NormaliserStarvesGradient(),
    GradientDominance(),
    GradientStarvation(),
    WeightVanishes(),
    ShareTooSmall(),
    ShareNotHonoured(),
    ClippingAlways(),
    ValueDominance(),
    ValueNormaliser(),
    ValueStarvation(),
    GradientConflict(),
    GradientVanishes(),
    RisesWhileOthersFall(),
    StuckAtLogK(),
    AtChance(),
    Plateau(),
    LongPlateau(),
    NothingFalls(),
    ExpectationBroken(),
    AtClamp(),
    TermAtBound(),
    ProbabilitiesAsLogits(),
    ClipFraction(),
    ExponentialAtCap(),
    EvalRises(),
    EvalStandsStill(),
    Crash(),
    Restart(),
    RepeatedSteps(),
    LogGap(),
    MeasuringFailed(),
    Truncated(),
    RoundedTerms(),
    SmoothedTotal(),
)
"""Every rule, by fault class in the order of `poise.doctor.diagnose.CAUSE_FIRST`."""


def find_rules(name: str) -> tuple[Rule, ...]:
    """The rule of that name, or all rules of that fault class.

    Raises:
        RuleNameError: Neither a rule nor a fault class is called so.

    Example:
        >>> [rule.name for rule in find_rules("conflict")]
        ['gradient-conflict', 'rises-while-others-fall']
    """
    found = tuple(rule for rule in RULES if name in (rule.name, rule.fault))
    if not found:
        names = [rule.name for rule in RULES]
        close = get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "`poise rules` lists all of them"
        message = f"unknown rule {name!r}; expected a rule or a fault class; {hint}"
        raise RuleNameError(message)
    return found
