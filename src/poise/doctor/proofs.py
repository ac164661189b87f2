"""Lines that prove or refute a finding: what `Finding.verify` is made of."""

from poise.doctor.series import python_name

RATES = "print([group['lr'] for group in optimizer.param_groups])"
"""The learning rates that the optimizer itself holds."""

MOTION = (
    "before = [p.detach().clone() for p in model.parameters()]; optimizer.step(); "
    "print(max((p - q).abs().max() for p, q in zip(model.parameters(), before)))"
)
"""Whether a step of the optimizer moves anything: 0.0 if not."""


def rerun(change: str, expect: str) -> str:
    """A short second training with one change, compared with the first.

    Example:
        >>> rerun("a tenth of the learning rate", "'ce' must stay down")
        "poise compare BEFORE AFTER  # AFTER has a tenth of the learning rate: 'ce' must stay down"
    """
    return f"poise compare BEFORE AFTER  # AFTER has {change}: {expect}"


def gradient(name: str, expect: str) -> str:
    """The gradient that a term alone sends: its norm at every parameter that it reaches.

    Example:
        >>> *steps, show = gradient("aux", "must not be all 0").split("; ")
        >>> steps, show.partition("  ")[2]
        (['optimizer.zero_grad()', 'aux.backward()'], '# must not be all 0')
    """
    norms = "{n: p.grad.norm() for n, p in model.named_parameters() if p.grad is not None}"
    line = f"optimizer.zero_grad(); {python_name(name)}.backward(); print({norms})"
    return f"{line}  # {expect}"


def alone(name: str, expect: str) -> str:
    """A term trained alone on one batch.

    Example:
        >>> print(alone("aux", "falls: it was starved"))
        for _ in range(300): optimizer.zero_grad(); aux(batch).backward(); optimizer.step()  \
# falls: it was starved
    """
    body = f"optimizer.zero_grad(); {python_name(name)}(batch).backward(); optimizer.step()"
    return f"for _ in range(300): {body}  # {expect}"
