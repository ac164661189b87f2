"""What the notes expect by progress, in the units of this training."""

from typing import Final

from poise.record.expect import Expect

EXPECT: Final = (
    Expect("total", below=15.0, after=0.2),
    Expect("layerwise_weighted", below=1.0),
    Expect("layerwise_top2_share", below=0.5),
    Expect("kd_weighted", below=10.0),
    Expect("gap_to_train", below=2.0, split="eval"),
    Expect("student_perplexity", below=1000.0, after=0.5, split="eval"),
)
"""Note 003, "What to watch for" and its table; note 002, "Success criteria". The perplexity is that
of the language model term alone. `layerwise_top2_share` is ours: where two of 64 channels make up
half of an error, it is about them and not about the states."""
