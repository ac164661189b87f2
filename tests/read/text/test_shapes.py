"""Lines as people print them: what they say must come out whatever their shape."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from poise.read import read_run
from poise.run import Kind, Run

A = (3.5, 2.25, 1.75, 1.5, 1.125, 0.875)
B = (0.5, 0.75, 0.25, 0.625, 0.375, 0.125)
NUMBERS = tuple((i, a, b, a + b) for i, (a, b) in enumerate(zip(A, B, strict=True)))

Read = Callable[[str], Run]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read a text as if it were a log file."""

    def run(content: str) -> Run:
        path = tmp_path / "train.log"
        path.write_text(content, encoding="utf-8")
        return read_run(path)

    return run


def printed(line: str) -> str:
    """A log of six records: two numbers and their sum at a row, its successor, and two steps."""
    return "".join(
        line.format(i=i, n=i + 1, s=50 * i, k=1000 * (i + 1), a=a, b=b, c=c, d=a * b) + "\n"
        for i, a, b, c in NUMBERS
    )


def values(run: Run, name: str) -> list[float]:
    """All values of a training series."""
    return run.train.series[name].values.tolist()


def names(run: Run, kind: Kind) -> list[str]:
    """Names of the training series of one kind."""
    return sorted(one.name for one in run.train.of_kind(kind))


TWO: dict[str, tuple[str, Sequence[int]]] = {
    "blank and equals": (
        "Epoch 3 Batch {i}/9 loss_a {a} loss_b={b}",
        range(6),
    ),
    "rank in front": ("[rank3]: step: {i} loss_a: {a} loss_b: {b}", range(6)),
    "task number in front": ("0: step {i} loss_a: {a} loss_b: {b}", range(6)),
    "default prefix": ("INFO:tide-2.net:loss_a: {a}, loss_b: {b}", range(6)),
    "clu": (
        ("I0102 03:04:05.6 77 writer.py:48] [{s}] rate=0.5, loss_a={a}, loss_b={b}"),
        range(0, 300, 50),
    ),
    "thousands in the step": (
        "step {k:,}: loss_a {a}, loss_b {b}",
        range(1000, 7000, 1000),
    ),
    "numpy scalars": (
        ("{{'step': {i}, 'loss_a': np.float64({a}), 'loss_b': numpy.float32({b})}}"),
        range(6),
    ),
    "tensors": (
        (
            "step {i} loss_a: tensor({a}, device='cuda:0', grad_fn=<AddBackward0>) "
            "loss_b: tensor([{b}], dtype=torch.float64)"
        ),
        range(6),
    ),
    "arrows": ("[{i}/9] loss_a -> {a} | loss_b -> {b}", range(6)),
    "sentences": (
        "Epoch {i} done. The loss_a is {a}. The loss_b was {b}.",
        range(6),
    ),
    "a counter in another language": (
        "Etapa {n:03d}/006 | loss_a: {a} | loss_b: {b}",
        range(1, 7),
    ),
    "epochs in another language": (
        "Época {n}/6 - loss_a: {a} - loss_b: {b}",
        range(1, 7),
    ),
    "closing banners": (
        "loss_a: {a}, loss_b: {b}\n====> Epoch: {n}",
        range(1, 7),
    ),
    "a line of step and rate": (
        ("INFO:v:Train Epoch: {i} [5%]\nINFO:v:[{s}, 9.9e-05]\nINFO:v:loss_a={a}, loss_b={b}"),
        range(0, 300, 50),
    ),
}


@pytest.mark.parametrize("shape", TWO)
def test_two_losses_come_out_of_any_shape(shape: str, read: Read) -> None:
    """Names, steps and values of two losses are found, and nothing else becomes a loss."""
    line, steps = TWO[shape]
    run = read(printed(line))
    assert len(run.tables) == 1
    assert names(run, Kind.TERM) == ["loss_a", "loss_b"]
    assert values(run, "loss_a") == list(A)
    assert values(run, "loss_b") == list(B)
    assert run.train.steps.tolist() == list(steps)


SUMS: dict[str, str] = {
    "parts in parentheses": "step {i} | loss {c} (lm {a} aux {b}) | 120 ms",
    "bare names": "epoch:1 step:{i}, lm:{a}, aux:{b}, total:{c}, lr:1e-4",
    "words around": ("At iteration {i} the total loss was {c} (lm loss {a}, aux loss {b})"),
    "symbols": "Iter={i}; L_total={c}; L_lm={a}; L_aux={b}",
    "a bar": (
        "\rEpoch 0:  {i}%|█ | {i}/9 [00:01<00:05, 1.00it/s, v_num=3, lm={a}, aux={b}, loss={c}]"
    ),
}


@pytest.mark.parametrize("shape", SUMS)
def test_summands_are_terms_whatever_they_are_called(shape: str, read: Read) -> None:
    """What adds up to the total to the last digit is in it, also where no name says loss."""
    run = read(printed(SUMS[shape]))
    assert run.composition is not None
    assert run.composition.exact
    assert sorted(one.name for one in run.composition.terms) == names(run, Kind.TERM)
    assert [one.weight for one in run.composition.terms] == [1.0, 1.0]
    (total,) = names(run, Kind.TOTAL)
    assert values(run, total) == [c for *_, c in NUMBERS]


def test_a_generator_loss_is_the_total_of_what_it_sums(read: Read) -> None:
    """Without any total, a loss that adds up bare quantities beside it is one."""
    run = read(printed("[{i}/9] [D loss: {d}] [G loss: {c}, adv: {a}, cycle: {b}]"))
    assert names(run, Kind.TERM) == ["D loss", "adv", "cycle"]
    assert names(run, Kind.TOTAL) == ["G loss"]


def test_an_evaluation_at_the_end_is_kept(read: Read) -> None:
    """One average over the test set is a table of its own although it stands there once."""
    run = read(
        printed("Train Epoch: 1 [{i}/60 ({i}%)]\tLoss: {a}")
        + "\nTest set: Average loss: 0.5, Accuracy: 98/100 (98%)\n"
    )
    assert [(one.split, len(one)) for one in run.tables] == [("train", 6), ("test", 1)]


def test_decimal_commas_are_read_and_said(read: Read) -> None:
    """`0,125` is no 0 and no 125; the reader says what it took it for."""
    run = read(printed("Epoch: {i}; loss_a: {a}; loss_b: {b}").replace(".", ","))
    assert values(run, "loss_a") == list(A)
    assert any("decimal comma" in one for one in run.remarks)


def test_values_in_front_of_the_first_position_are_said(read: Read) -> None:
    """A loss that stands in front of all positions is left out, not lost in silence."""
    run = read("loss: 9.0\n" + printed("step {i}\nloss: {a}"))
    assert values(run, "loss") == list(A)
    assert any("in front of the first position" in one for one in run.remarks)


def test_opening_banners_stay_opening(read: Read) -> None:
    """A loss in front of the first banner moves no banner if losses follow the last one."""
    run = read("loss: 9.0\n" + printed("=== Epoch {i} ===\nloss: {a}"))
    assert run.train.steps.tolist() == list(range(6))
    assert values(run, "loss") == list(A)


def test_unnamed_losses_behind_a_logger_that_begins_with_a_digit(read: Read) -> None:
    """`24k INFO [...]`: five losses, the step and the learning rate."""
    run = read(printed("2031-01-02 03:04:05,678 24k INFO [{a}, {b}, {c}, 1.5, 0.5, {s}, 0.01]"))
    assert names(run, Kind.LEARNING_RATE) == ["lr"]
    assert run.train.steps.tolist() == list(range(0, 300, 50))
    assert values(run, "loss_0") == list(A)


def test_a_rate_that_is_said_to_change_is_the_new_one(read: Read) -> None:
    """`lr 0.1 -> 0.05` names the rate after the arrow."""
    run = read(printed("epoch {i}: loss_a {a}, loss_b {b}, lr 0.5 -> {a}"))
    assert values(run, "lr") == list(A)


def test_a_line_of_many_pairs(read: Read) -> None:
    """A thousand quantities in one line are all read."""
    line = ", ".join(f"m{i}: 0.5" for i in range(1000))
    run = read(f"step 1: loss: 1.0, {line}\nstep 2: loss: 2.0, {line}\n")
    assert len(run.train.series) == 1002


def test_one_evaluation_with_other_names(read: Read) -> None:
    """A validation loss is kept although it comes once and the training names none like it."""
    run = read(printed("step {i} | loss_G {a} | kl {b}") + "Validation loss: 3.25 | sdr: -5.5 dB\n")
    (val,) = run.evals
    assert val.split == "val"
    assert val.series["loss"].values.tolist() == [3.25]


def test_parts_that_bars_divide(read: Read) -> None:
    """`D: 0.5 (real 0.25 | fake 0.25)` names three numbers."""
    run = read(printed("(Epoch 1) (Iter {i}) D: {a} (real {b} | fake {c}) G: {d}"))
    assert set(run.train.series) == {"D", "real", "fake", "G", "epoch", "iter"}


def test_a_running_mean_beside_its_loss_is_no_term(read: Read) -> None:
    """`avr_loss` next to `loss` is the same quantity, smoothed."""
    run = read(printed("step {i}: avr_loss={a}, loss={c}"))
    assert names(run, Kind.TOTAL) == ["loss"]
    assert names(run, Kind.TERM) == []


def test_rows_of_names_and_numbers_have_no_header(read: Read) -> None:
    """A first line that holds numbers with decimals is a record, not the names of a table."""
    run = read(printed("{i}\tloss_a\t{a}\tloss_b\t{b}"))
    assert values(run, "loss_a") == list(A)
