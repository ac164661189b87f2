"""The vocabulary does not contradict itself."""

from poise.read import words


def test_entries_are_lower_case_and_not_empty() -> None:
    """Names are compared in lower case, so an upper-case entry could never match."""
    for name, value in vars(words).items():
        if name.isupper() and not isinstance(value, dict):
            flat = [part for one in value for part in ([one] if isinstance(one, str) else one)]
            assert flat, name
            assert all(one and one == one.lower().strip() for one in flat), name


def test_no_word_is_two_things() -> None:
    """Words that decide alone do not overlap."""
    assert not words.POSITIONS & words.COUNTS
    assert not words.POSITIONS & set(words.LOSS_SCALES)
    assert not words.CLOCK_WORDS & words.COUNT_WORDS
    assert not words.PURE & words.NOT_TERM
    assert not words.WEAK & words.NOT_TERM
