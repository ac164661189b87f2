"""Examples from shapes."""

import pytest
import torch

from poise.card.made_example import from_annotations, from_shapes
from poise.errors import InspectError


def test_kinds() -> None:
    """Every kind has its dtype and range, and the numbers are always the same."""
    specs = ["a=4x3", "b=4:int3", "c=4x3:bool", "d=4x3:prob", "e=4:positive"]
    a, b, c, d, e = from_shapes(specs)
    assert (b.dtype, c.dtype) == (torch.int64, torch.bool)
    assert int(b.max()) < 3
    assert torch.allclose(d.sum(-1), torch.ones(4))
    assert bool((e > 0).all())
    assert torch.equal(from_shapes(specs)[0], a)


@pytest.mark.parametrize("spec", ["8x5", "a=", "a=8*5", "a=8x5:"])
def test_no_shape(spec: str) -> None:
    """Anything else is refused with an example of what is taken."""
    with pytest.raises(InspectError, match="give NAME=8x5"):
        from_shapes([spec])
    with pytest.raises(InspectError, match="no example can be made of 'odd'"):
        from_shapes(["a=8:odd"])


def test_jaxtyping_annotations() -> None:
    """Axes of the same name get the same size; integers are labels, Booleans masks."""
    jaxtyping = pytest.importorskip("jaxtyping")

    def loss(logits: object, target: object, mask: object) -> None:
        pass

    loss.__annotations__ = {
        "logits": jaxtyping.Float[torch.Tensor, "batch tokens vocab"],
        "target": jaxtyping.Int[torch.Tensor, "batch tokens"],
        "mask": jaxtyping.Bool[torch.Tensor, "batch tokens"],
    }
    made = from_annotations(loss)
    assert made is not None
    assert [tuple(one.shape) for one in made] == [(8, 6, 5), (8, 6), (8, 6)]
    assert [one.dtype for one in made] == [torch.float32, torch.int64, torch.bool]
    assert from_annotations(lambda a: a) is None
