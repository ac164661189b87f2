"""Small networks of the kinds that are trained with several losses."""

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def mlp(*sizes: int, act: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Linear layers with an activation between them."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), act()]
    return nn.Sequential(*layers[:-1])


class Heads(nn.Module):
    """A trunk and one linear head by name."""

    def __init__(self, heads: Mapping[str, int], wide: int = 12, hidden: int = 48) -> None:
        super().__init__()
        self.trunk = nn.Sequential(mlp(wide, hidden, hidden), nn.ReLU())
        self.heads = nn.ModuleDict({name: nn.Linear(hidden, out) for name, out in heads.items()})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Output by head."""
        z = self.trunk(x)
        return {name: head(z) for name, head in self.heads.items()}


class Vae(nn.Module):
    """Encoder to mean and log-variance, decoder to pixels."""

    def __init__(self, wide: int = 64, latent: int = 6) -> None:
        super().__init__()
        self.encoder = mlp(wide, 64, 2 * latent)
        self.decoder = mlp(latent, 64, wide)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruction logits, mean and log-variance."""
        mean, logvar = self.encoder(x).chunk(2, dim=1)
        z = mean + (0.5 * logvar).exp() * torch.randn_like(mean)
        return self.decoder(z), mean, logvar


def kl_of(mean: Tensor, logvar: Tensor) -> Tensor:
    """KL to the standard normal, by sample and dimension."""
    return 0.5 * (mean**2 + logvar.exp() - 1 - logvar)


class Gan(nn.Module):
    """Generator of points in the plane and its critic."""

    def __init__(self, hidden: int = 32) -> None:
        super().__init__()
        self.maker = mlp(4, hidden, hidden, 2)
        self.critic = mlp(2, hidden, hidden, 1, act=nn.LeakyReLU)


def ring(size: int = 64) -> Tensor:
    """Points (b, 2) on a noisy circle."""
    angle = 6.2832 * torch.rand(size)
    return torch.stack([angle.cos(), angle.sin()], dim=1) + 0.05 * torch.randn(size, 2)


class Detector(nn.Module):
    """A convolutional backbone and a head that predicts object, box and class by cell."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3),
            nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(),
        )  # fmt: skip
        self.object = nn.Conv2d(24, 1, 1)
        self.box = nn.Conv2d(24, 4, 3, padding=1)
        self.kind = nn.Conv2d(24, 2, 3, padding=1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of objects (b, 4, 4), boxes (b, 4, 4, 4) and classes (b, 2, 4, 4)."""
        z = self.backbone(images)
        return self.object(z)[:, 0], self.box(z), self.kind(z)


def at_object(maps: Tensor, target: Tensor) -> Tensor:
    """Values (b, c) of maps (b, c, h, w) at each image's object."""
    return (maps * target[:, None]).sum(dim=(-2, -1))


class Language(nn.Module):
    """A small recurrent language model with its hidden states."""

    def __init__(self, vocabulary: int = 16, wide: int = 32) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, wide)
        self.rnn = nn.GRU(wide, wide, batch_first=True)
        self.head = nn.Linear(wide, vocabulary)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (b, t, v) and hidden states (b, t, wide)."""
        hidden, _ = self.rnn(self.embed(ids))
        return self.head(hidden), hidden


class Attention(nn.Module):
    """One block of causal self-attention over tokens."""

    def __init__(self, vocabulary: int = 16, wide: int = 32, length: int = 64) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(vocabulary, wide), nn.Embedding(length, wide)
        self.block = nn.TransformerEncoderLayer(wide, 4, 64, dropout=0.0, batch_first=True)
        self.head = nn.Linear(wide, vocabulary)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (b, t, v) and states (b, t, wide)."""
        length = ids.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        x = self.embed(ids) + self.place(torch.arange(length))
        z = self.block(x, src_mask=mask, is_causal=True)
        return self.head(z), z


class Router(nn.Module):
    """A mixture of small experts behind a soft top-1 router."""

    def __init__(self, wide: int = 12, experts: int = 4, out: int = 4) -> None:
        super().__init__()
        self.gate = nn.Linear(wide, experts)
        self.experts = nn.ModuleList(mlp(wide, 16, 16) for _ in range(experts))
        self.head = nn.Linear(16, out)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, gate probabilities (b, e), and the part of the batch by expert (e,)."""
        gate = self.gate(x).softmax(dim=1)
        best = gate.argmax(dim=1)
        outs = torch.stack([expert(x) for expert in self.experts], dim=1)
        rows = torch.arange(len(x))
        picked = outs[rows, best] * gate[rows, best, None]
        load = F.one_hot(best, gate.shape[1]).float().mean(dim=0)
        return self.head(picked), gate, load


class Speech(nn.Module):
    """An encoder of frames with a CTC head and an attending decoder of symbols."""

    def __init__(self, wide: int = 8, kinds: int = 6, hidden: int = 32, length: int = 16) -> None:
        super().__init__()
        self.encoder = nn.GRU(wide, hidden, batch_first=True)
        self.ctc = nn.Linear(hidden, kinds)
        self.query = nn.Embedding(length, hidden)
        self.attend = nn.Linear(hidden, kinds)

    def forward(self, frames: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """CTC logits (b, frames, kinds) and symbol logits (b, length, kinds)."""
        hidden, _ = self.encoder(frames)
        query = self.query(torch.arange(length))
        weight = (query @ hidden.transpose(1, 2) / 4).softmax(dim=-1)
        return self.ctc(hidden), self.attend(weight @ hidden)


class Policy(nn.Module):
    """Actor and critic over a shared trunk."""

    def __init__(self, wide: int = 8, actions: int = 4) -> None:
        super().__init__()
        self.trunk = nn.Sequential(mlp(wide, 32, 32), nn.Tanh())
        self.actor, self.critic = nn.Linear(32, actions), nn.Linear(32, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities (b, a) and values (b,)."""
        z = self.trunk(x)
        return self.actor(z).log_softmax(dim=1), self.critic(z)[:, 0]


class Vq(nn.Module):
    """An autoencoder with a codebook in the middle."""

    def __init__(
        self, wide: int = 64, codes: int = 16, latent: int = 4, spread: float = 1.0
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = mlp(wide, 64, latent), mlp(latent, 64, wide)
        self.codes = nn.Parameter(spread * torch.randn(codes, latent))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Reconstruction, encoding, nearest code, and the index of it."""
        z = self.encoder(x)
        index = torch.cdist(z, self.codes).argmin(dim=1)
        code = self.codes[index]
        return self.decoder(z + (code - z).detach()), z, code, index


def perplexity(index: Tensor, codes: int = 16) -> Tensor:
    """How many codes a batch uses, evenly counted."""
    part = F.one_hot(index, codes).float().mean(dim=0)
    return (-(part * (part + 1e-9).log()).sum()).exp()


class Average(nn.Module):
    """An exponential average of a network's weights."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__()
        self.net = torch.optim.swa_utils.AveragedModel(
            model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(decay)
        )

    def update(self, model: nn.Module) -> None:
        """One step of the average."""
        self.net.update_parameters(model)  # type: ignore[arg-type]  # torch says Module


class Reverse(torch.autograd.Function):
    """The identity, with the gradient's sign turned."""

    @staticmethod
    def forward(_: object, z: Tensor) -> Tensor:
        """The same."""
        return z.view_as(z)

    @staticmethod
    def backward(_: object, *grads: Tensor) -> Tensor:
        """Minus the gradient."""
        return -grads[0]


class Adapted(nn.Module):
    """A linear layer that is fixed, with an update of low rank that trains."""

    def __init__(self, base: nn.Linear, rank: int = 4, start: float = 0.3) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.down = nn.Parameter(start * torch.randn(rank, base.in_features))
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output and that of its update."""
        return self.base(x) + x @ self.down.T @ self.up.T
