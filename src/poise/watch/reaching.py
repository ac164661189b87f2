"""What the terms reach, where a training has several totals such as those of a GAN."""

from collections.abc import Hashable

from poise.probe.graph import Reach


class Reaching:
    """Joins the reaches of all totals: what no term of one total reaches, one of another may.

    Totals are told apart by the names of their terms; of each the latest reach counts. What some
    term reached at some time, as branches are that only some batches use, is not unreached.

    Example:
        >>> d = Reach(reached={"d": ("D",)}, shared=(), owned={}, unreached=("G",), frozen=(),
        ...     detached=(), sizes={"D": 1, "G": 1})
        >>> g = Reach(reached={"g": ("D", "G")}, shared=(), owned={}, unreached=(), frozen=(),
        ...     detached=(), sizes={"D": 1, "G": 1})
        >>> reaching = Reaching()
        >>> reaching.take("d", d)["unreached"]
        ['G']
        >>> reaching.take("g", g)["unreached"], reaching.take("g", g)
        ([], {})
    """

    def __init__(self) -> None:
        self._latest: dict[Hashable, Reach] = {}
        self._told: dict[str, object] = {}
        self._ever: set[str] = set()

    def __contains__(self, kind: Hashable) -> bool:
        """Is the reach of such a total known?"""
        return kind in self._latest

    def take(self, kind: Hashable, reach: Reach) -> dict[str, object]:
        """Takes the reach of one total.

        Args:
            kind: Tells totals apart.
            reach: Its reach.

        Returns:
            The keys of a `probe` record, if they are others than the last time.
        """
        self._latest[kind] = reach
        self._ever.update(*reach.reached.values())
        found = self._joined()
        if found == self._told:
            return {}
        self._told = found
        return dict(found)

    def _joined(self) -> dict[str, object]:
        several = list(self._latest.values())
        names = list(dict.fromkeys(name for one in several for name in one.sizes))
        reached: dict[str, set[str]] = {}
        for one in several:
            for term, found in one.reached.items():
                reached.setdefault(term, set()).update(found)
        frozen = set(several[0].frozen).intersection(*(one.frozen for one in several[1:]))
        sizes = {name: size for one in several for name, size in one.sizes.items()}
        unreached = [name for name in names if name not in self._ever | frozen]
        own: dict[str, int] = {}
        for name, size in sizes.items():
            own[_owner(name)] = own.get(_owner(name), 0) + size
        few = len(reached)  # as many numbers as there are terms: what weights are made of
        return {
            "reach": {t: [name for name in names if name in one] for t, one in reached.items()},
            "unreached": unreached,
            "unreached_numbers": [n for n in unreached if 0 < own[_owner(n)] <= few],
            "frozen": [name for name in names if name in frozen],
            "opaque": list(dict.fromkeys(name for one in several for name in one.opaque)),
        }


def _owner(name: str) -> str:
    return name.rpartition(".")[0]
