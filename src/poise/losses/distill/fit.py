"""What must hold of the tensors that are given to a loss: nothing is broadcast here."""

from torch import Tensor

from poise.errors import LossError


def same_shape(who: str, student: Tensor, teacher: Tensor, form: str) -> None:
    """Refuses two tensors of different shapes, or of another number of axes than `form` names.

    Args:
        who: Function that asks.
        student: What is trained.
        teacher: What it is compared with.
        form: The axes in words, such as "batch, tokens, vocabulary".

    Raises:
        LossError: They do not fit.
    """
    dims = form.count(",") + 1
    if student.shape != teacher.shape or student.ndim != dims:
        raise LossError(
            f"{who}: expected student and teacher of one shape ({form}), got "
            f"{list(student.shape)} and {list(teacher.shape)}; bring the teacher to the student's "
            "tokens with an Alignment, and to its width with a projector"
        )


def at_least(who: str, name: str, value: float, least: float, *, strict: bool = False) -> None:
    """Refuses a number that is too small (with `strict`, the bound itself too).

    Raises:
        LossError: It is.
    """
    good = value > least if strict else value >= least
    if not good:
        bound = f"above {least:g}" if strict else f"of at least {least:g}"
        raise LossError(f"{who}: expected {name} {bound}, got {value!r}")
