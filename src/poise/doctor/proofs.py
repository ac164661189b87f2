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
    """The gradient that a term alone sends.

    Example:
        >>> print(gradient("aux", "None or 0"))
        print(torch.autograd.grad(aux, list(model.parameters()), allow_unused=True))  # None or 0
    """
    line = f"torch.autograd.grad({python_name(name)}, list(model.parameters()), allow_unused=True)"
    return f"print({line})  # {expect}"


def alone(name: str, expect: str) -> str:
    """A term trained alone on one batch.

    Example:
        >>> print(alone("aux", "falls: it was starved"))
        for _ in range(300): optimizer.zero_grad(); aux(batch).backward(); optimizer.step()  \
# falls: it was starved
    """
    body = f"optimizer.zero_grad(); {python_name(name)}(batch).backward(); optimizer.step()"
    return f"for _ in range(300): {body}  # {expect}"
