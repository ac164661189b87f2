"""Numbers that wait on a device; the CPU plays the device here."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from poise.errors import PoiseWarning
from poise.watch import Watch
from poise.watch.sink import Entry, Key, Numbers, Sink, fetch
from tests.watch.loops import lines, made, train

TOTAL: Key = ("total", "")


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Every tensor counts as one on a device; the number of tensors in each transfer is told."""
    transfers: list[int] = []
    plain = torch.cat

    def cat(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
        transfers.append(len(tensors))
        return plain(tensors)

    monkeypatch.setattr("poise.watch.sink.on_host", lambda _: False)
    monkeypatch.setattr("poise.watch.sink.torch.cat", cat)
    return transfers


def test_values_are_fetched_together(tmp_path: Path, device: list[int]) -> None:
    """130 steps are three transfers, and what is recorded is the same as from the host."""
    net, optimizer = made()
    with Watch(tmp_path / "device", optimizer=optimizer, budget=0) as watch:
        watch._sink._clock = lambda: 0.0
        train(watch, net, optimizer, 130)
    assert device == [50, 50, 30]
    assert watch.failures == 0
    totals = [one["total"] for one in lines(tmp_path / "device")]
    assert len(totals) == 130
    net, optimizer = made()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("poise.watch.sink.on_host", lambda _: True)
        with Watch(tmp_path / "host", optimizer=optimizer, budget=0) as watch:
            train(watch, net, optimizer, 130)
    assert [one["total"] for one in lines(tmp_path / "host")] == totals


@pytest.mark.usefixtures("device")
def test_values_are_copied_where_they_are() -> None:
    """A loss that is changed in place afterwards keeps its recorded value."""
    value = torch.tensor(2.0)
    entry = Entry(step=0, micro=0)
    entry.put([(TOTAL, value), (("terms", "a"), torch.tensor(3, dtype=torch.int64))])
    value /= 4
    fetch([entry])
    assert entry.numbers == {TOTAL: 2.0, ("terms", "a"): 3.0}


@pytest.mark.usefixtures("device")
def test_half_precision_keeps_its_digits() -> None:
    """Values of several types in one entry come back as they were."""
    entry = Entry(step=0, micro=0)
    values = {
        "bf16": torch.tensor(1.0078125, dtype=torch.bfloat16),
        "f32": torch.tensor(0.1),
        "f64": torch.tensor(0.1, dtype=torch.float64),
        "i64": torch.tensor(2**40 + 1),
        "nan": torch.tensor(float("nan")),
    }
    entry.put([(("log", name), one) for name, one in values.items()])
    fetch([entry])
    assert str({key[1]: one for key, one in entry.numbers.items()}) == str(
        {name: one.item() if name != "i64" else float(2**40 + 1) for name, one in values.items()}
    )


@pytest.mark.usefixtures("device")
def test_a_logged_vector_of_one_element_loses_nothing(tmp_path: Path) -> None:
    """Its only element is recorded, and so are the steps that wait beside it."""
    with Watch(tmp_path, every=50) as watch:
        for index in range(100):
            watch.total({"a": torch.tensor(float(index))})
            if index == 10:
                watch.log(acc=torch.tensor([0.5]), other=torch.tensor([[True]]))
    found = lines(tmp_path)
    assert watch.failures == 0
    assert [one["total"] for one in found] == list(range(100))
    assert found[10]["log"] == {"acc": 0.5, "other": 1.0}


@pytest.mark.usefixtures("device")
def test_what_cannot_be_fetched_loses_nothing_else() -> None:
    """One bad tensor costs its own numbers, and the failure is told after all are handed on."""
    seen: list[Numbers] = []
    sink = Sink(lambda some: seen.extend(one.numbers for one in some), batch=9, clock=lambda: 0.0)
    for at in range(3):
        entry = Entry(step=at, micro=at, numbers={("lr", "0"): 0.5})
        entry.put([(TOTAL, torch.tensor(float(at)))])
        if at == 1:
            entry.waiting.append(([("log", "bad")], torch.ones(1, 2)))
        sink.take(entry)
    with pytest.raises(ValueError, match=r"zip\(\) argument 2 is longer"):
        sink.flush()
    assert [one[TOTAL] for one in seen] == [0.0, 1.0, 2.0]
    assert all(one["lr", "0"] == 0.5 for one in seen)
    sink.flush()
    assert len(seen) == 3


def test_a_line_that_cannot_be_written_costs_no_other(tmp_path: Path) -> None:
    """Of several micro-batches that are written together only the bad one is missing."""
    watch = Watch(tmp_path)
    watch._sink._ripe = lambda _: False  # type: ignore[method-assign]
    for index in range(5):
        watch.total({"a": torch.tensor(float(index))})
        if index == 2:
            assert watch._entry is not None
            watch._entry.numbers["log", "bad"] = 1j  # type: ignore[assignment]
    with pytest.warns(PoiseWarning, match="expected a number, got complex"):
        watch.close()
    assert [one["total"] for one in lines(tmp_path)] == [0, 1, 3, 4]
    assert watch.failures == 1


@pytest.mark.usefixtures("device")
def test_whole_numbers_keep_their_digits_beside_fractions(device: list[int]) -> None:
    """An integer is not rounded to the precision of a loss that stands before it."""
    entry = Entry(step=0, micro=0)
    entry.put([(("counts", "a"), torch.tensor(2**53 - 1)), (("counts", "b"), torch.tensor(7))])
    assert [values.dtype for _, values in entry.waiting] == [torch.float64]
    entry.put([(TOTAL, torch.tensor(0.5, dtype=torch.float16))])
    fetch([entry])
    assert list(entry.numbers.values()) == [2.0**53 - 1, 7.0, 0.5]
    assert all(type(one) is float for one in entry.numbers.values())
    assert device == [1, 1]


@pytest.mark.usefixtures("device")
def test_waiting_ends_after_a_second() -> None:
    """Slow steps are in the record soon; fast ones wait for company."""
    now = [0.0]
    seen: list[int] = []
    sink = Sink(lambda some: seen.append(len(some)), batch=50, clock=lambda: now[0])
    for at in (0.0, 0.4, 0.8, 1.1, 1.2):
        now[0] = at
        entry = Entry(step=0, micro=0)
        entry.put([(TOTAL, torch.tensor(1.0))])
        sink.take(entry)
    assert seen == [4]
    sink.flush()
    sink.flush()
    assert seen == [4, 1]
