"""Small nets with several terms, and independent references for their gradients."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

torch.set_num_threads(1)


class Net(nn.Module):
    """A trunk whose output several heads read; `split` makes the copies."""

    def __init__(self, terms: Sequence[str] = ("a", "b"), *, norm: bool = False) -> None:
        super().__init__()
        layers = [nn.Linear(6, 8), nn.BatchNorm1d(8) if norm else nn.Tanh(), nn.Linear(8, 5)]
        self.trunk = nn.Sequential(*layers)
        self.heads = nn.ModuleDict({name: nn.Linear(5, 3) for name in terms})

    def forward(self, batch: Tensor, split: object = None) -> dict[str, Tensor]:
        """The terms by name; the k-th one's outputs are multiplied with k + 1."""
        z = self.trunk(batch)
        parts = split(z) if callable(split) else dict.fromkeys(self.heads, z)
        return {
            name: (head(parts[name]) * (k + 1)).square().mean()
            for k, (name, head) in enumerate(self.heads.items())
        }


def net(seed: int = 0, terms: Sequence[str] = ("a", "b"), *, norm: bool = False) -> Net:
    """A net with weights that the seed determines."""
    torch.manual_seed(seed)
    return Net(terms, norm=norm)


def batch(seed: int = 0, rows: int = 7) -> Tensor:
    """A batch that the seed determines."""
    return torch.randn(rows, 6, generator=torch.Generator().manual_seed(seed))


def alone(terms: Mapping[str, Tensor], places: Sequence[Tensor]) -> dict[str, Tensor]:
    """Each term's gradient at the places as one float64 vector, by autograd alone."""
    found = {}
    for name, term in terms.items():
        pieces = torch.autograd.grad(term, places, retain_graph=True, allow_unused=True)
        flat = [
            (torch.zeros_like(at) if one is None else one).double().flatten()
            for at, one in zip(places, pieces, strict=True)
        ]
        found[name] = torch.cat(flat)
    return found


def products(vectors: Mapping[str, Tensor]) -> Tensor:
    """The Gramian of float64 vectors."""
    side = torch.stack(list(vectors.values()))
    return side @ side.T
