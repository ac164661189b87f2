"""What several processes saw together; test_distributed.py runs them."""

import torch

from poise.balance.ranks import averaged, prepare, together
from poise.balance.sight import Sight


def test_one_process_needs_no_message() -> None:
    """Without a process group everything is handed back as it is."""
    prepare()
    sight = Sight.of(None, ("a", "b"))
    assert together(sight) is sight
    given = [torch.ones(2), None]
    assert averaged(given, [torch.ones(2), torch.ones(1)]) is given
