"""Teacher and student."""

import pytest
import torch

from poise.recipes.distill.model import (
    MASSIVE,
    STUDENT_LAYERS,
    STUDENT_TOKENS,
    STUDENT_WIDTH,
    LanguageModel,
    System,
    teacher,
)

IDS = torch.randint(1, STUDENT_TOKENS, (2, 8), generator=torch.Generator().manual_seed(0))


def test_outputs() -> None:
    """Logits, hidden states from the embeddings on, attention that looks back only."""
    torch.manual_seed(0)
    found = LanguageModel(STUDENT_TOKENS, 16, 2)(IDS)
    assert found.logits.shape == (2, 8, STUDENT_TOKENS)
    assert [one.shape for one in found.hidden] == [(2, 8, 16)] * 3
    assert [one.shape for one in found.attention] == [(2, 4, 8, 8)] * 2
    assert not found.attention[0].triu(1).any()


def test_massive_activations_are_at_the_first_token_alone() -> None:
    """Two channels, in the embeddings and through the layers; the rest is of unit scale."""
    torch.manual_seed(0)
    model = LanguageModel(STUDENT_TOKENS, 16, 2, MASSIVE)
    for hidden in model(IDS).hidden[:-1]:
        assert torch.allclose(hidden[:, 0, :2], torch.tensor(MASSIVE), atol=5)
        assert hidden[:, 0, 2:].abs().max() < 10
        assert hidden[:, 1:].abs().max() < 10


def test_padding_on_the_right_changes_nothing_before_it() -> None:
    """So no mask is needed."""
    torch.manual_seed(0)
    model = LanguageModel(STUDENT_TOKENS, 16, 2).eval()
    padded = torch.cat([IDS, torch.zeros(2, 3, dtype=torch.long)], dim=1)
    torch.testing.assert_close(model(padded).logits[:, :8], model(IDS).logits)


def test_parts_of_the_system() -> None:
    """The reported one projects the teacher and leaves the last layer out."""
    reported, cured = System(reported=True), System(reported=False)
    assert len(reported.projectors) == STUDENT_LAYERS
    assert len(cured.projectors) == STUDENT_LAYERS + 1
    assert hasattr(reported, "logit_projector")
    assert not hasattr(cured, "logit_projector")
    assert cured(IDS).hidden[0].shape[-1] == STUDENT_WIDTH


def test_a_teacher_leaves_all_random_numbers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of this process, and those of other devices: `torch.manual_seed` would seed them."""
    seeded: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    text = "".join(f"{at} times {at} is {at * at}, as a square.\n" for at in range(1500))
    before = torch.get_rng_state()
    first = teacher.__wrapped__(text, 3, 0)
    assert torch.equal(torch.get_rng_state(), before)
    assert seeded == []
    again = teacher.__wrapped__(text, 3, 0)
    assert torch.equal(first.embedding, again.embedding)
    assert not torch.equal(first.embedding, teacher.__wrapped__(text, 4, 0).embedding)
