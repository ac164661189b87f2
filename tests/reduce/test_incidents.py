"""Real reduction and accumulation faults in small: the wrong way shows them, ours does not."""

import math
from collections.abc import Callable, Iterable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from poise.reduce import (
    GlobalMean,
    Reduced,
    Reduction,
    combine,
    masked_mean,
    per_feature,
    per_sample,
    per_sequence,
    per_token,
)

VOCABULARY = 17


class ToyLM(nn.Module):
    """Predicts the next token from the last one, in double precision."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, 8, dtype=torch.float64)
        self.head = nn.Linear(8, VOCABULARY, dtype=torch.float64)

    def losses(self, tokens: Tensor) -> Tensor:
        """Cross-entropy of every next token, shape (batch, tokens - 1)."""
        logits = self.head(self.embed(tokens[:, :-1]))
        return F.cross_entropy(logits.transpose(1, 2), tokens[:, 1:], reduction="none")


def batch(rows: int, length: int, valid: int) -> tuple[Tensor, Tensor]:
    """Random tokens and a mask with `valid` true positions."""
    tokens = torch.randint(VOCABULARY, (rows, length + 1))
    mask = torch.zeros(rows * length, dtype=torch.bool)
    mask[torch.randperm(rows * length)[:valid]] = True
    return tokens, mask.reshape(rows, length)


def gradient(model: nn.Module, losses: Iterable[Tensor]) -> Tensor:
    """All gradients in a row after back-propagating each loss."""
    model.zero_grad()
    for loss in losses:
        loss.backward()
    return torch.cat([one.grad.flatten() for one in model.parameters() if one.grad is not None])


def off(found: Tensor, expected: Tensor) -> float:
    """Relative difference of two gradients."""
    return float((found - expected).norm() / expected.norm())


def test_01_mean_of_token_means() -> None:
    """Accumulated means of unequal micro-batches are another objective; ours is the same one."""
    model = ToyLM()
    parts = [batch(4, 25, 4), batch(16, 25, 400)]
    total = sum(int(mask.sum()) for _, mask in parts)
    exact = gradient(model, [sum(model.losses(x)[m].sum() for x, m in parts) / total])

    wrong = gradient(model, [model.losses(x)[m].mean() / len(parts) for x, m in parts])
    assert off(wrong, exact) > 0.5

    known = GlobalMean(total=total)
    ours = gradient(model, (known(per_token(model.losses(x), m)) for x, m in parts))
    assert off(ours, exact) < 1e-14
    assert int(known.finish().count) == total

    later = GlobalMean(guess=100)
    gradient(model, (later(per_token(model.losses(x), m)) for x, m in parts))
    later.finish(model.parameters())
    corrected = torch.cat([one.grad.flatten() for one in model.parameters()])
    assert off(corrected, exact) < 1e-14


@pytest.mark.parametrize("accumulation", [8, 32])
def test_03_sum_over_micro_batches(accumulation: int) -> None:
    """A loss added up over micro-batches grows with accumulation; the global mean does not."""
    model = ToyLM()
    tokens, mask = batch(32, 10, 320)
    whole = gradient(model, [model.losses(tokens)[mask].mean()])
    rows = tokens.chunk(accumulation)
    wrong = gradient(model, (model.losses(x).mean() for x in rows))
    assert float(wrong.norm() / whole.norm()) == pytest.approx(accumulation)

    mean = GlobalMean(total=320)
    ours = gradient(model, (mean(per_token(model.losses(x))) for x in rows))
    assert off(ours, whole) < 1e-13


def test_04_second_term_with_another_denominator() -> None:
    """One term over the accumulated batch and one over the micro-batch: the ratio drifts."""
    tokens, _ = batch(16, 10, 160)

    def ratio(accumulation: int, *, ours: bool) -> float:
        model = ToyLM()
        norms: list[Tensor] = []
        for power in (1, 2):
            mean = GlobalMean(total=160)
            parts = [model.losses(x) ** power for x in tokens.chunk(accumulation)]
            right = ours or power == 1
            losses = [mean(per_token(x)) if right else x.mean() for x in parts]
            norms.append(gradient(model, losses).norm())
        return float(norms[1] / norms[0])

    for seed, accumulation in enumerate((1, 4, 16)):
        torch.manual_seed(seed)
        wrong = ratio(accumulation, ours=False)
        torch.manual_seed(seed)
        right = ratio(accumulation, ours=True)
        assert wrong / right == pytest.approx(accumulation)


def divergence(*shape: int) -> Tensor:
    """Elements of KL(p || q) for random logits."""
    student = torch.randn(*shape, dtype=torch.float64)
    teacher = torch.randn(*shape, dtype=torch.float64).softmax(-1)
    return F.kl_div(student.log_softmax(-1), teacher, reduction="none")


@pytest.mark.parametrize("classes", [10, 17, 1000])
def test_05_divergence_averaged_over_classes(classes: int) -> None:
    """The mean over classes is smaller than the divergence by their number; ours sums them."""
    elements = divergence(4, 6, classes)
    exact = elements.sum(-1).mean()
    assert float(exact / elements.mean(-1).mean()) == pytest.approx(classes)
    torch.testing.assert_close(per_token(elements).value, exact)


def test_06_divergence_over_all_elements_is_declared() -> None:
    """Dividing by batch times classes can be meant: the count says so, and the factor is 1/C."""
    elements = divergence(8, 1000)
    legacy, sample = masked_mean(elements), per_sample(elements)
    torch.testing.assert_close(legacy.value, elements.mean())
    torch.testing.assert_close(sample.value, elements.sum() / 8)
    assert (int(legacy.count), legacy.reduction) == (8000, Reduction.ELEMENT)
    assert (int(sample.count), sample.reduction) == (8, Reduction.SAMPLE)
    assert float(sample.value / legacy.value) == pytest.approx(1000)


def slope(value: Callable[[Tensor], Tensor]) -> float:
    """Slope of log value over log length for (batch, length, classes) divergences."""
    lengths = (16, 128, 512)
    logs = [math.log(float(value(divergence(4, length, 20)))) for length in lengths]
    return (logs[-1] - logs[0]) / math.log(lengths[-1] / lengths[0])


def test_08_batchmean_grows_with_length() -> None:
    """The sum over (batch, tokens, classes) divided by the batch is proportional to the length."""
    assert slope(lambda x: x.sum() / x.shape[0]) == pytest.approx(1.0, abs=0.05)
    assert slope(lambda x: per_token(x).value) == pytest.approx(0.0, abs=0.05)


def test_09_one_term_summed_the_other_averaged() -> None:
    """Beside a sum over T targets, a mean has a share of the gradient that falls as 1/T."""

    def share(targets: int, *, ours: bool) -> float:
        shared = torch.zeros(8, dtype=torch.float64, requires_grad=True)
        contrastive = (shared[0] - torch.randn(targets, dtype=torch.float64) ** 2 - 1.0) ** 2
        diversity = (shared[1] - 1.0) ** 2 * torch.ones(targets, dtype=torch.float64)
        first = per_token(contrastive[None]).value if ours else contrastive.sum()
        second = per_token(diversity[None]).value
        norms = [torch.autograd.grad(one, shared)[0].norm() for one in (first, second)]
        return float(norms[1] / sum(norms))

    assert share(10, ours=False) / share(1000, ours=False) > 50
    assert share(10, ours=True) / share(1000, ours=True) == pytest.approx(1.0, abs=0.3)


def test_10_likelihood_averaged_and_divergence_summed() -> None:
    """A linear VAE on 64 features: averaging the reconstruction kills the code, sums do not."""
    features, codes = 64, 2
    basis = torch.randn(codes, features, dtype=torch.float64)
    data = torch.randn(256, codes, dtype=torch.float64) @ basis
    data = data + torch.randn_like(data)

    def divergence_at_the_end(*, ours: bool) -> float:
        encode = nn.Linear(features, codes, bias=False, dtype=torch.float64)
        decode = nn.Linear(codes, features, bias=False, dtype=torch.float64)
        spread = torch.zeros(codes, dtype=torch.float64, requires_grad=True)
        parameters = [*encode.parameters(), *decode.parameters(), spread]
        optimizer = torch.optim.Adam(parameters, lr=0.02)
        for _ in range(250):
            mean, variance = encode(data), spread.exp()
            # The expectation over the code, without sampling.
            noise = (decode.weight**2) @ variance
            squares = 0.5 * ((data - decode(mean)) ** 2 + noise)
            kl = 0.5 * (mean**2 + variance - spread - 1.0)
            reconstruction = per_sample(squares).value if ours else squares.mean()
            loss = reconstruction + per_sample(kl).value
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return per_sample(kl).value.item()

    torch.manual_seed(1)
    assert divergence_at_the_end(ours=False) < 0.5
    torch.manual_seed(1)
    assert divergence_at_the_end(ours=True) > 2.0


def test_13_sequence_means_reward_length() -> None:
    """Punishing all answers alike must not change the policy; per-sequence means make it longer.

    The policy stops with probability 1/2 after each token, at most twice asked. The four rows are
    its answers in their exact proportions, so the expected score is 0.
    """
    stop = torch.zeros((), dtype=torch.float64, requires_grad=True)
    end, go = F.logsigmoid(stop), F.logsigmoid(-stop)
    nothing = torch.zeros((), dtype=torch.float64)
    rows = [(end, nothing), (end, nothing), (go, end), (go, go)]
    punished = torch.stack([torch.stack(row) for row in rows])  # loss = -advantage * log p
    mask = torch.tensor([[True, False], [True, False], [True, True], [True, True]])

    (drift,) = torch.autograd.grad(per_sequence(punished, mask).value, stop, retain_graph=True)
    assert float(drift) == pytest.approx(0.125)  # descent lowers the wish to stop
    (none,) = torch.autograd.grad(per_token(punished, mask).value, stop)
    assert float(none) == pytest.approx(0.0, abs=1e-15)


def test_15_balancing_loss_counts_padding() -> None:
    """The load-balancing loss of experts changes with padding unless its means are masked."""
    experts = 4
    logits = torch.randn(64, experts, dtype=torch.float64)

    def balancing(pads: int, *, ours: bool) -> float:
        padded = torch.cat([logits, torch.tensor([[3.0, 0.0, 0.0, 0.0]] * pads).reshape(-1, 4)])
        mask = torch.arange(64 + pads) < 64
        probabilities = padded.softmax(-1)
        chosen = F.one_hot(padded.argmax(-1), experts).double()
        means = [per_feature(x, mask if ours else None).value for x in (chosen, probabilities)]
        return float(experts * (means[0] * means[1]).sum())

    plain = balancing(0, ours=True)
    assert balancing(0, ours=False) == pytest.approx(plain)
    assert balancing(192, ours=False) > 1.5 * plain
    assert balancing(64, ours=True) == balancing(192, ours=True) == pytest.approx(plain, rel=1e-14)


def test_16_loss_depends_on_micro_batch_size() -> None:
    """The reported loss of the same rows differs with the micro-batch size; ours does not."""
    model = ToyLM()
    tokens, mask = batch(16, 20, 320)
    lengths = torch.randint(1, 20, (16, 1))
    mask = torch.arange(20) < lengths

    def reported(size: int) -> tuple[float, float]:
        parts = list(zip(tokens.split(size), mask.split(size), strict=True))
        wrong = torch.stack([model.losses(x)[m].mean() for x, m in parts]).mean()
        ours = combine(per_token(model.losses(x), m) for x, m in parts).value
        return wrong.item(), ours.item()

    wrong, ours = zip(*(reported(size) for size in (1, 2, 4, 16)), strict=True)
    assert max(wrong) - min(wrong) > 0.005
    assert max(ours) - min(ours) < 1e-14
    assert wrong[-1] == pytest.approx(ours[-1])


def test_reduced_by_hand() -> None:
    """A sum and count of one's own make the same mean, for any reduction."""
    part = Reduced(sum=torch.tensor(6.0), count=4, reduction=Reduction.SEQUENCE)
    assert part.value.item() == 1.5
