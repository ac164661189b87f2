"""The frozen model and its modulated layer."""

import pytest
import torch

from poise.recipes.plasticity.model import Converted

pytest.importorskip("transformers")
IDS = torch.randint(0, 256, (2, 8), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def model() -> Converted:
    """One for all tests: none changes it."""
    return Converted(torch.Generator().manual_seed(0), offset=False)


def test_only_the_modulation_trains(model: Converted) -> None:
    """Nothing of the frozen model is a parameter of the converted one."""
    assert {name.split(".")[0] for name, _ in model.named_parameters()} == {"modulation"}


def test_what_is_observed_adds_up_to_the_models_own_answer(model: Converted) -> None:
    """The head of h + attention + MLP(norm(h + attention)) is what the model gives."""
    seen = model.observe(IDS)
    torch.testing.assert_close(model.logits(seen, seen.attention + seen.mlp), seen.logits)
    assert not any(one.requires_grad for one in seen)


def test_the_real_attention_is_causal_and_the_reported_one_is_not(model: Converted) -> None:
    """Another last token changes the first position's target only as reported."""
    other = IDS.clone()
    other[:, -1] = (other[:, -1] + 1) % 256
    real = model.observe(IDS).attention, model.observe(other).attention
    assert torch.equal(real[0][:, 0], real[1][:, 0])
    told = [model.as_reported(model.observe(ids)).attention for ids in (IDS, other)]
    assert (told[0][:, 0] - told[1][:, 0]).abs().max() > 0.01


def test_the_reported_target_has_no_positions(model: Converted) -> None:
    """Without RoPE and mask, turning the earlier tokens around leaves the last one's as it is."""
    layer = model.observe(IDS)
    order = [6, 5, 4, 3, 2, 1, 0, 7]
    turned = layer._replace(hidden=layer.hidden[:, order])
    one, other = model.as_reported(layer).attention, model.as_reported(turned).attention
    torch.testing.assert_close(one[:, 7], other[:, 7])


def test_the_layer_is_even_in_the_attention_unless_it_has_an_offset(model: Converted) -> None:
    """out(a) == out(-a) exactly, and not with the cure's offset."""
    seen = model.observe(IDS)
    turned = seen._replace(attention=-seen.attention)
    assert torch.equal(model(seen)[0], model(turned)[0])
    cured = Converted(torch.Generator().manual_seed(0), offset=True)
    assert not torch.equal(cured(seen)[0], cured(turned)[0])


def test_the_weights_follow_from_the_generator() -> None:
    """The same seed gives the same frozen model."""
    one, other = (
        Converted(torch.Generator().manual_seed(3), offset=False).observe(IDS).logits
        for _ in range(2)
    )
    assert torch.equal(one, other)
