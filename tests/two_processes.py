"""Runs a script in two processes that meet in a file."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def both(code: str, meet: Path) -> list[dict[str, Any]]:
    """What each of two processes prints as JSON; both are gone afterwards, whatever happens.

    Args:
        code: Python; its arguments are the rank and the path of the file to meet in.
        meet: A path where nothing is yet.
    """
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(rank), str(meet)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        said = [one.communicate(timeout=60) for one in started]
    finally:
        for one in started:  # the other one, where one failed
            one.kill()
            one.communicate()
    assert all(one.returncode == 0 for one in started), said[0][1] + said[1][1]
    return [json.loads(out) for out, _ in said]
