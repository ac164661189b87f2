"""Teacher, student, and what stands between them."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, cast, final

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from poise.losses.distill import Attended, FeatureProjector, Router, next_token_loss
from poise.recipes.distill.data import PIECE, STUDENT_TOKENS, TEACHER_TOKENS, Tokens, corpus

STUDENT_WIDTH: Final = 48
STUDENT_LAYERS: Final = 3
TEACHER_WIDTH: Final = 64
TEACHER_LAYERS: Final = 4
HEADS: Final = 4
MASSIVE: Final = (3000.0, -2000.0)
"""What is added to two channels at the first token, whatever it is: the massive activations that
large language models have there."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outputs:
    """What a language model gives for a batch.

    Attributes:
        logits: Shape (batch, tokens, vocabulary).
        hidden: Embeddings, then the output of each layer, shape (batch, tokens, width) each.
        attention: Of each layer, shape (batch, heads, tokens, tokens).
    """

    logits: Tensor
    hidden: tuple[Tensor, ...]
    attention: tuple[Tensor, ...]


class LanguageModel(nn.Module):
    """A small Llama, with or without massive activations at the first token.

    Args:
        tokens: Size of the vocabulary.
        width: Features.
        layers: How many.
        massive: What is added to the first channels of the first token.
    """

    sink: Tensor

    def __init__(
        self, tokens: int, width: int, layers: int, massive: tuple[float, ...] = ()
    ) -> None:
        super().__init__()
        settings: dict[str, Any] = {
            "vocab_size": tokens,
            "hidden_size": width,
            "intermediate_size": 2 * width,
            "num_hidden_layers": layers,
            "num_attention_heads": HEADS,
            "num_key_value_heads": HEADS,
            "max_position_embeddings": 2 * PIECE[1],
            "tie_word_embeddings": True,
            "attn_implementation": "eager",  # the one that returns its attention
        }
        self.lm: Any = LlamaForCausalLM(LlamaConfig(**settings))
        sink = torch.zeros(width)
        sink[: len(massive)] = torch.tensor(massive)
        self.register_buffer("sink", sink)

    @property
    def embedding(self) -> Tensor:
        """Shape (vocabulary, width); the head is tied to it."""
        return cast(Tensor, self.lm.get_input_embeddings().weight)

    def forward(self, ids: Tensor) -> Outputs:
        """Tokens of shape (batch, tokens); padding is on the right, so nothing looks at it."""
        embedded = self.lm.get_input_embeddings()(ids)
        first = torch.zeros(ids.shape[1], 1)
        first[0] = 1.0
        out: Any = self.lm(
            inputs_embeds=embedded + first * self.sink,
            output_hidden_states=True,
            output_attentions=True,
            use_cache=False,
        )
        return Outputs(logits=out.logits, hidden=out.hidden_states, attention=out.attentions)


class System(nn.Module):
    """All that is trained: the student, and what carries its states to the teacher's width.

    Args:
        reported: With the trained projection of the teacher's states to the student's vocabulary
            and the trained weights of the layers, as the incident had them.
    """

    def __init__(self, *, reported: bool) -> None:
        super().__init__()
        self.student = LanguageModel(STUDENT_TOKENS, STUDENT_WIDTH, STUDENT_LAYERS)
        pairs = STUDENT_LAYERS if reported else STUDENT_LAYERS + 1
        self.projectors = nn.ModuleList(
            FeatureProjector(STUDENT_WIDTH, TEACHER_WIDTH, dropout=0.1) for _ in range(pairs)
        )
        if reported:
            self.logit_projector = nn.Linear(TEACHER_WIDTH, STUDENT_WIDTH)
            self.layer_weights = nn.Parameter(torch.zeros(pairs))
        self.router = Router(STUDENT_WIDTH, TEACHER_WIDTH, experts=TEACHER_LAYERS)
        self.attended = Attended(STUDENT_WIDTH, TEACHER_WIDTH, heads=HEADS)
        self.pooled = nn.Linear(STUDENT_WIDTH, TEACHER_WIDTH)

    def forward(self, ids: Tensor) -> Outputs:
        """What the student gives."""
        return self.student(ids)


@lru_cache(maxsize=4)
def teacher(text: str, seed: int, updates: int) -> LanguageModel:
    """A teacher that has read a little of the text; trained once per process.

    Args:
        text: What the corpus is made of.
        seed: Decides weights and batches.
        updates: Optimizer steps.
    """
    source = corpus(text)
    with torch.random.fork_rng(devices=[]):  # pyright: ignore[reportUnknownMemberType] -- torch's own
        torch.default_generator.manual_seed(seed)  # torch.manual_seed seeds other devices too
        model = LanguageModel(TEACHER_TOKENS, TEACHER_WIDTH, TEACHER_LAYERS, MASSIVE)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    draw = torch.Generator().manual_seed(seed)
    for batch in source.draw(updates, 16, draw):
        loss = language_loss(model(batch.teacher.ids), batch.teacher)
        optimizer.zero_grad()
        loss.backward()  # pyright: ignore[reportUnknownMemberType] -- torch's own
        optimizer.step()  # pyright: ignore[reportUnknownMemberType] -- torch's own
    return model.requires_grad_(requires_grad=False).eval()


def language_loss(outputs: Outputs, tokens: Tokens) -> Tensor:
    """The plain loss of a language model, in nats per token."""
    return next_token_loss(outputs.logits, tokens.ids, tokens.mask).value
