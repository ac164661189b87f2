"""Peptides as probabilities, shared by the tests of the losses."""

import torch
from torch import Tensor
from torch.nn import functional as F

VOCABULARY = ("<pad>", "<sos>", "<eos>", "<unk>", *"ARNDCEQGHILKMFPSTWYV")


def tokens_of(peptide: str, length: int | None = None) -> Tensor:
    """<sos>, the residues and <eos>, padded to a length; shape (1, length)."""
    found = [1, *(VOCABULARY.index(one) for one in peptide), 2]
    return torch.tensor([found + [0] * ((length or len(found)) - len(found))])


def certain(tokens: Tensor) -> Tensor:
    """Probability 1 at each token, float64."""
    return F.one_hot(tokens, len(VOCABULARY)).double()


def leaking(probabilities: Tensor, amount: float, to: int | None = None) -> Tensor:
    """The same with some probability moved to one token, or evenly to all of them."""
    other = torch.full_like(probabilities, 1 / probabilities.shape[-1])
    if to is not None:
        other = F.one_hot(torch.tensor(to), probabilities.shape[-1]).double()
    return (1 - amount) * probabilities + amount * other
