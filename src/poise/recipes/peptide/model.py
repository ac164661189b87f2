"""A recursive decoder over the peaks of a spectrum."""

import math
from typing import final

import torch
from torch import Tensor, nn

from poise.recipes.peptide.data import VOCABULARY, Batch

LONGEST_WAVE_DA = 2000.0
MASS_WIDTH = 32
CHARGE_WIDTH = 16
CHARGES = 8


@final
class MassEmbedding(nn.Module):
    """Sines and cosines of a mass at waves from 2000 Da down to 0.1 Da, with a learnt scale."""

    def __init__(self) -> None:
        super().__init__()
        waves = torch.logspace(0.0, math.log10(20_000.0), MASS_WIDTH // 2, dtype=torch.float64)
        self.register_buffer("waves", waves, persistent=False)
        self.scale = nn.Parameter(torch.ones(MASS_WIDTH))

    def forward(self, mz: Tensor) -> Tensor:
        """Features of masses of any shape (*shape), in Da: (*shape, 32)."""
        waves = self.get_buffer("waves")
        # 20,000 waves in 2,000 Da: in single precision their phase would be lost.
        phase = 2.0 * math.pi * mz.double()[..., None] * waves / LONGEST_WAVE_DA
        return torch.cat([phase.sin(), phase.cos()], -1).to(mz.dtype) * self.scale


@final
class Encoder(nn.Module):
    """Peaks and the precursor as a sequence of vectors.

    Args:
        dim: Width.
        layers: Transformer layers.
        heads: Attention heads of each.
        dropout: Of each.
    """

    def __init__(self, *, dim: int, layers: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.mass = MassEmbedding()
        self.height = nn.Sequential(nn.Linear(1, 32), nn.GELU(), nn.Linear(32, 32))
        self.peak = nn.Linear(MASS_WIDTH + 32, dim)
        self.charge = nn.Embedding(CHARGES + 1, CHARGE_WIDTH)
        self.precursor = nn.Linear(MASS_WIDTH + CHARGE_WIDTH, dim)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                dim, heads, 2 * dim, dropout, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Vectors (batch, 1 + peaks, dim), and where there is nothing, bool (batch, 1 + peaks)."""
        there = batch.intensity > 0
        height = self.height(batch.intensity.clamp(min=1e-4).log()[..., None])
        peaks = self.peak(torch.cat([self.mass(batch.mz), height], -1))
        mz = batch.precursor_da / batch.charge
        whole = torch.cat([self.mass(mz), self.charge(batch.charge.clamp(max=CHARGES))], -1)
        x = torch.cat([self.precursor(whole)[:, None], peaks], 1)
        nothing = torch.cat([torch.zeros_like(there[:, :1]), ~there], 1)
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=nothing)
        return self.norm(x), nothing


@final
class Decoder(nn.Module):
    """An answer that is improved again and again by the same layers.

    Args:
        dim: Width.
        layers: Transformer layers.
        heads: Attention heads of each.
        dropout: Of each.
        length: Longest sequence.
        steps: How often the answer is replaced (T).
        latent: How often the latent state is, for each answer (n).
    """

    def __init__(
        self,
        *,
        dim: int,
        layers: int,
        heads: int,
        dropout: float,
        length: int,
        steps: int,
        latent: int,
    ) -> None:
        super().__init__()
        self.steps, self.latent = steps, latent
        self.answer = nn.Linear(len(VOCABULARY), dim)
        self.start = nn.Parameter(torch.randn(length, dim) * 0.02)
        self.place = nn.Parameter(torch.randn(length, dim) * 0.02)
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(
                dim, heads, 2 * dim, dropout, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        self.norm_latent, self.norm_answer = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.head = nn.Linear(dim, len(VOCABULARY))

    def forward(self, memory: Tensor, nothing: Tensor, length: int) -> Tensor:
        """Logits after each step, (steps, batch, length, vocabulary)."""
        y = memory.new_zeros(len(memory), length, len(VOCABULARY))
        z = self.start[:length].expand(len(memory), -1, -1)
        place = self.place[:length]
        found: list[Tensor] = []
        for _ in range(self.steps):
            said = self.answer(y.softmax(-1)) + place
            for _ in range(self.latent):
                z = self.norm_latent(self._through(said + z, memory, nothing)) + z
            x = said + z
            y = self.head(self.norm_answer(self._through(x, x, None)))
            found.append(y)
        return torch.stack(found)

    def _through(self, x: Tensor, context: Tensor, nothing: Tensor | None) -> Tensor:
        for layer in self.layers:
            x = layer(x, context, memory_key_padding_mask=nothing)
        return x


@final
class Recursive(nn.Module):
    """Encoder and recursive decoder.

    Args:
        length: Longest sequence of tokens, <sos> and <eos> included.
        dim: Width.
        layers: Transformer layers of either.
        heads: Attention heads.
        dropout: Of every layer.
        steps: Answers of the decoder (T), each of them supervised.
        latent: Latent steps before each answer (n).
    """

    def __init__(
        self,
        *,
        length: int,
        dim: int = 48,
        layers: int = 1,
        heads: int = 4,
        dropout: float = 0.0,
        steps: int = 3,
        latent: int = 2,
    ) -> None:
        super().__init__()
        self.encoder = Encoder(dim=dim, layers=layers, heads=heads, dropout=dropout)
        self.decoder = Decoder(
            dim=dim,
            layers=layers,
            heads=heads,
            dropout=dropout,
            length=length,
            steps=steps,
            latent=latent,
        )

    def forward(self, batch: Batch) -> Tensor:
        """Logits after each step of the decoder, (steps, batch, length, vocabulary)."""
        memory, nothing = self.encoder(batch)
        return self.decoder(memory, nothing, batch.tokens.shape[1])
