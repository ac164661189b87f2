"""Weights that follow from gradients or values, in one ordinary backward pass."""

from poise.balance.balancer import Balancer as Balancer
from poise.balance.catalogue import Entry as Entry
from poise.balance.catalogue import methods as methods
from poise.balance.fixed import Fixed as Fixed
from poise.balance.gradnorm import GradNorm as GradNorm
from poise.balance.method import Method as Method
from poise.balance.rule import GradientRule as GradientRule
from poise.balance.rule import Seen as Seen
from poise.balance.rule import ValueRule as ValueRule
from poise.balance.running_mean import RunningMean as RunningMean
from poise.balance.scalarizer import Scalarizer as Scalarizer
from poise.balance.share import GradientShare as GradientShare
from poise.balance.uncertainty import Uncertainty as Uncertainty
