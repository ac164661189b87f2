"""Balancers in several threads of one process."""

import threading

from tests.balance.nets import Net, batch
from tests.balance.test_machinery import RULE, Found, Make, equal, step


@RULE
def test_threads_with_balancers_of_their_own(make: Make) -> None:
    """Two trainings at the same time are each as if alone."""
    nets, balances = [Net() for _ in range(4)], [make() for _ in range(4)]
    found: dict[int, list[Found]] = {}

    def train(at: int) -> None:
        found[at] = [
            step(nets[at], balances[at], "fork", batch(10 * (at % 2) + k)) for k in range(8)
        ]

    train(0)
    train(1)
    threads = [threading.Thread(target=train, args=(at,)) for at in (2, 3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    for at in (2, 3):
        for one, other in zip(found[at], found[at - 2], strict=True):
            equal(one, other)
