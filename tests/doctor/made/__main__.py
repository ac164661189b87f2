"""Recall for every seeded fault and false alarms for every healthy look-alike.

python -m tests.doctor.made [SEEDS] [NAME ...]
"""

import sys
import tempfile
from collections import Counter
from pathlib import Path

from poise.doctor import Severity
from tests.doctor.made.faults import FAULTS
from tests.doctor.made.judge import alarms, named
from tests.doctor.made.log import examine
from tests.doctor.made.lookalikes import HEALTHY


def main(seeds: int, only: set[str]) -> None:
    """Prints one line for every training that is not diagnosed as it should be, and the sums."""
    folder = Path(tempfile.mkdtemp())
    hits = runs = false = healthy = 0
    for name, seeded in FAULTS.items():
        if only and name not in only:
            continue
        done = [examine(seeded.made, seed, folder) for seed in range(seeds)]
        good = sum(named(seeded, one) for one in done)
        hits, runs = hits + good, runs + seeds
        besides = Counter(
            f"{one.severity[0]}:{one.rule}"
            for each in done
            for one in each.findings
            if one.severity is not Severity.NOTE or only
        )
        print(f"{good:3}/{seeds} {name:22}", *(f"{k}*{v}" for k, v in besides.most_common(7)))
    for name, made in HEALTHY.items():
        if only and name not in only:
            continue
        found = [
            (seed, one) for seed in range(seeds) for one in alarms(examine(made, seed, folder))
        ]
        wrong = len({seed for seed, _ in found})
        false, healthy = false + wrong, healthy + seeds
        if found:
            print(f"  ALARM {wrong}/{seeds} {name}")
            for seed, one in found[:3]:
                print(f"      seed {seed} {one.severity} {one.rule}: {one.summary}")
    print(f"recall {hits}/{runs}; healthy runs with an alarm {false}/{healthy}")


if __name__ == "__main__":
    main(int((sys.argv[1:] or ["5"])[0]), set(sys.argv[2:]))
