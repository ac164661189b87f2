"""Settings that all tests of recipes share."""

from collections.abc import Iterator

import pytest

from poise.watch.budget import Budget


@pytest.fixture(scope="package", autouse=True)
def measured_at_every_candidate() -> Iterator[None]:
    """What a watch measures must not depend on how busy the machine is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Budget, "due", lambda self, name: self.accounts[name].part > 0)
        yield
