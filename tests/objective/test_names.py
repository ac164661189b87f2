"""Messages name the nearest word."""

from poise.objective.names import listed, meant, unknown


def test_nearest() -> None:
    """A near word is asked for; a far one is not."""
    assert meant("regularizer", ["task", "regulariser"]) == " Did you mean 'regulariser'?"
    assert meant("xyz", ["task", "regulariser"]) == ""
    assert str(unknown("kll", ["ce", "kl"])).endswith("has 'ce', 'kl'. Did you mean 'kl'?")


def test_no_names() -> None:
    """An empty list is said in words."""
    assert listed([]) == "no terms"
