"""Terms of a model that reads a window of steps: its class, two pointers, a flag and a countdown.

Each says in its docstring what its mean is taken over and how its gradient depends on the error:
values of such terms cannot be compared, as one is a cross-entropy in nats, one a Huber loss of
fractions, and one a Huber loss of steps.
"""

from poise.losses.multitask.classes import class_loss
from poise.losses.multitask.countdown import countdown_loss, countdown_target
from poise.losses.multitask.imbalance import positive_rate, positive_weight
from poise.losses.multitask.pointer import pointer_loss, pointer_target
from poise.losses.multitask.score import f1_of_everything, span_f1
from poise.losses.multitask.span import soft_span_loss, span_loss, span_target

__all__ = [
    "class_loss",
    "countdown_loss",
    "countdown_target",
    "f1_of_everything",
    "pointer_loss",
    "pointer_target",
    "positive_rate",
    "positive_weight",
    "soft_span_loss",
    "span_f1",
    "span_loss",
    "span_target",
]
