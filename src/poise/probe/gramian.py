"""Inner products of the gradients of K terms, safe in range and cheap enough for every step."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from poise.probe.typed import SAFE, largest, numbers

CHUNK = {"cpu": 1 << 17}
"""Elements of the K gradients that are copied side by side at a time: half a MiB in float32 on a
CPU, where they stay in its cache."""
CHUNK_ELSEWHERE = 1 << 22
FEW = 8
"""Up to so many terms, one product at a time is faster on a CPU than copying them side by side."""


def gramian_of(groups: Iterable[Sequence[Tensor | None]]) -> Tensor | None:
    """Inner products of K vectors that are given in pieces.

    Products within a piece are taken in float32 (float64 for float64 gradients) and added up in
    float64. Pieces whose squares would leave the range of float32 are scaled to unit size first, so
    gradients of 1e-30 do not vanish and those of 1e30 do not overflow. Complex gradients count as
    pairs of real numbers; sparse ones are made dense. On a GPU nothing waits for the device.

    Args:
        groups: The pieces; each holds the K gradients of one tensor in the same order, None where
            a term has no gradient there.

    Returns:
        The real parts of the K x K inner products in float64, on the device of the first piece;
        None if no piece holds a gradient.

    Example:
        >>> gramian_of([[torch.tensor([3.0, 4.0]), torch.tensor([1.0, 0.0])]])
        tensor([[25.,  3.],
                [ 3.,  1.]], dtype=torch.float64)
    """
    total: Tensor | None = None
    for group in groups:
        present = [index for index, one in enumerate(group) if one is not None]
        if not present:
            continue
        part = _products([_flat(one) for one in group if one is not None])
        if len(present) < len(group):
            part = _spread(part, present, len(group))
        total = part if total is None else total + part.to(total.device)
    return total


def _flat(gradient: Tensor) -> Tensor:
    """The gradient as a dense real vector in float32 or float64."""
    flat = gradient.detach()
    if flat.layout != torch.strided:
        flat = flat.to_dense()
    if flat.is_complex():
        flat = torch.view_as_real(flat.resolve_conj())
    if flat.dtype not in {torch.float32, torch.float64}:
        flat = flat.float()
    return flat.reshape(-1)


def _products(rows: list[Tensor]) -> Tensor:
    """K x K inner products of K vectors of one length, in float64."""
    with torch.no_grad(), torch.autocast(rows[0].device.type, enabled=False):
        if rows[0].device.type != "cpu":  # looking at a number would wait for the device
            return _rescaled(rows, [largest(one) for one in rows])
        products = _side_by_side(rows)
        squares = numbers(products.diagonal())
        if all(SAFE[0] ** 2 < one < SAFE[1] ** 2 for one in squares):
            return products
        return _rescaled(rows, [largest(one) for one in rows])


def _rescaled(rows: list[Tensor], sizes: list[Tensor]) -> Tensor:
    """The products by way of vectors of unit size."""
    size = torch.stack(sizes)
    # a vector of zeros stays as it is; a non-finite one spoils its own products and no others
    size = torch.where((size > 0) & size.isfinite(), size, torch.ones_like(size))
    unit = [one / by for one, by in zip(rows, size.unbind(), strict=True)]
    wide = size.double()
    return _side_by_side(unit) * wide[:, None] * wide


def _one_by_one(rows: list[Tensor]) -> Tensor:
    """The products on a CPU, where looking at a number costs nothing."""
    whole = [[0.0] * len(rows) for _ in rows]
    for k, one in enumerate(rows):
        for j, other in enumerate(rows[: k + 1]):
            whole[k][j] = whole[j][k] = float(torch.dot(one, other))
    return torch.tensor(whole, dtype=torch.float64)


def _side_by_side(rows: list[Tensor]) -> Tensor:
    if len(rows) <= FEW and rows[0].device.type == "cpu":
        return _one_by_one(rows)
    chunk = CHUNK.get(rows[0].device.type, CHUNK_ELSEWHERE)
    width = max(1, chunk // len(rows))
    length = len(rows[0])
    if length <= width:
        side = torch.stack(rows)
        return (side @ side.T).double()
    total = torch.zeros(len(rows), len(rows), dtype=torch.float64, device=rows[0].device)
    for start in range(0, length, width):
        side = torch.stack([one[start : start + width] for one in rows])
        total += side @ side.T
    return total


def _spread(part: Tensor, present: list[int], count: int) -> Tensor:
    """The products of the present terms at their places among all, zeros elsewhere."""
    where = torch.tensor(present, device=part.device)
    whole = part.new_zeros(count, count)
    whole[where[:, None], where] = part
    return whole
