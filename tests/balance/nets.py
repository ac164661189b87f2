"""Nets, terms and references that the tests of balancing share."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

torch.set_num_threads(1)

NAMES = ("a", "b", "c")


class Net(nn.Module):
    """A trunk whose output each term's head reads."""

    def __init__(self, names: Sequence[str] = NAMES, *, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.trunk = nn.Sequential(nn.Linear(4, 6), nn.Tanh())
        self.heads = nn.ModuleDict({name: nn.Linear(6, 2) for name in names})

    def terms(self, batch: Tensor, parts: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Losses of very different scale."""
        z = self.trunk(batch) if parts is None else None
        found = {}
        for k, (name, head) in enumerate(self.heads.items()):
            own = z if parts is None else parts[name]
            found[name] = (head(own) - k).square().mean() * 10.0 ** (2 * k - 2)
        return found

    def shared(self) -> list[Tensor]:
        """The parameters that all terms share."""
        return list(self.trunk.parameters())

    def taken(self) -> dict[str, Tensor]:
        """Copies of the gradients, which are then dropped."""
        found = {name: one.grad.clone() for name, one in self.named_parameters()}
        self.zero_grad()
        return found


def batch(seed: int = 0, rows: int = 5) -> Tensor:
    """A batch that the seed determines."""
    return torch.randn(rows, 4, generator=torch.Generator().manual_seed(seed))


def alone(terms: Mapping[str, Tensor], places: Sequence[Tensor]) -> dict[str, Tensor]:
    """Each term's gradient at the places as one float64 vector, by autograd alone."""
    found = {}
    for name, term in terms.items():
        pieces = torch.autograd.grad(term, places, retain_graph=True, allow_unused=True)
        found[name] = torch.cat(
            [
                (torch.zeros_like(at) if one is None else one).double().flatten()
                for at, one in zip(places, pieces, strict=True)
            ]
        )
    return found
