"""A small frozen Llama of which one layer is modulated."""

from typing import Any, NamedTuple, cast, final

import torch
from torch import Tensor, nn

from poise.losses.plasticity import Factors, Modulation, modulated_mlp

HIDDEN, GATE, LAYERS, HEADS, VOCABULARY = 64, 128, 4, 4, 256
SPREAD = 0.12
"""Standard deviation of the frozen model's random weights."""
BOTTLENECK = 64
CONVERTED = LAYERS - 1
"""The modulated layer; the last, as in the reported runs."""


class Seen(NamedTuple):
    """What the frozen model says about a batch, all without a graph.

    Example:
        >>> Seen._fields[-1]
        'logits'
    """

    hidden: Tensor
    """Input h of the layer, [batch, tokens, hidden]."""
    x: Tensor
    """The MLP's input without attention: norm(h), same shape."""
    attention: Tensor
    """Output of the attention as the forward pass has it: causal, with RoPE; same shape."""
    mlp: Tensor
    """MLP(norm(h + attention)), same shape."""
    logits: Tensor
    """Of the original model, [batch, tokens, vocabulary]."""


@final
class Converted(nn.Module):
    """The frozen model and its modulation; only the latter has parameters that train.

    Args:
        generator: Source of all weights.
        offset: See `Modulation`.

    Example:
        >>> model = Converted(torch.Generator().manual_seed(0), offset=False)
        >>> seen = model.observe(torch.zeros(2, 8, dtype=torch.long))
        >>> mlp, _ = model(seen)
        >>> model.logits(seen, seen.attention + seen.mlp).sub(seen.logits).abs().max() < 1e-5
        tensor(True)
    """

    def __init__(self, generator: torch.Generator, *, offset: bool) -> None:
        super().__init__()
        from transformers import LlamaConfig, LlamaForCausalLM

        config = cast(Any, LlamaConfig)(
            hidden_size=HIDDEN,
            intermediate_size=GATE,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            num_key_value_heads=HEADS,
            vocab_size=VOCABULARY,
            attn_implementation="eager",
            use_cache=False,
        )
        base = cast(Any, LlamaForCausalLM(config)).eval().requires_grad_(False)
        for parameter in base.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0.0, SPREAD, generator=generator)
        self.modulation = Modulation(
            HIDDEN, GATE, bottleneck=BOTTLENECK, offset=offset, generator=generator
        )
        self._base = [base]  # in a list: no part of this module's parameters

    @property
    def _layer(self) -> Any:  # noqa: ANN401 -- transformers' layers are untyped
        return self._base[0].model.layers[CONVERTED]

    @torch.no_grad()
    def observe(self, ids: Tensor) -> Seen:
        """Runs the original model up to its end.

        Args:
            ids: Token ids, [batch, tokens].
        """
        base = self._base[0]
        caught: dict[str, Tensor] = {}

        def on_layer(_: object, given: tuple[Tensor, ...]) -> None:
            caught["hidden"] = given[0]

        def on_attention(_: object, __: object, out: tuple[Tensor, ...]) -> None:
            caught["attention"] = out[0]

        layer = self._layer
        hooks = (
            layer.register_forward_pre_hook(on_layer),
            layer.self_attn.register_forward_hook(on_attention),
        )
        logits = base(ids).logits
        for hook in hooks:
            hook.remove()
        hidden, attention = caught["hidden"], caught["attention"]
        return Seen(
            hidden,
            layer.post_attention_layernorm(hidden),
            attention,
            self._mlp_of(hidden + attention),
            logits,
        )

    @torch.no_grad()
    def as_reported(self, seen: Seen) -> Seen:
        """The same with attention as the reported trainer computes its target.

        RoPE is switched off by cos = 1 and sin = 0, and there is no mask, so that every token sees
        all later ones.
        """
        layer, tokens = self._layer, seen.hidden.shape[1]
        one = torch.ones(1, tokens, HIDDEN // HEADS)
        attention, _ = layer.self_attn(
            hidden_states=layer.input_layernorm(seen.hidden),
            position_embeddings=(one, torch.zeros_like(one)),
            attention_mask=None,
        )
        return seen._replace(attention=attention, mlp=self._mlp_of(seen.hidden + attention))

    def forward(self, seen: Seen) -> tuple[Tensor, Factors]:
        """The modulated MLP's output, [batch, tokens, hidden], and the factors behind it."""
        mlp = self._layer.mlp
        factors: Factors = self.modulation(seen.attention)
        out = modulated_mlp(seen.x, factors, gate=mlp.gate_proj, up=mlp.up_proj, down=mlp.down_proj)
        return out, factors

    def logits(self, seen: Seen, output: Tensor) -> Tensor:
        """Logits of the model whose converted layer adds `output` to its residual stream."""
        base = self._base[0]
        return base.lm_head(base.model.norm(seen.hidden + output))

    def _mlp_of(self, hidden: Tensor) -> Tensor:
        return self._layer.mlp(self._layer.post_attention_layernorm(hidden))
