"""What one more rater would score against the others, and what a perfect model could score."""

from __future__ import annotations

from dataclasses import dataclass

from amber_heads.reading.evidence import Evidence
from amber_heads.statistics.noise import (
    NUM_DRAWS,
    NoiseFloor,
    OneRater,
    noise_floor,
    one_rater_reference,
)

#: A 95% interval of fewer draws than these is hardly more than the least and the largest.
FEWEST_DRAWS = 40

#: So many distributions are drawn in all, beyond `FEWEST_DRAWS`.
MOST_DRAWN = 2_000_000


@dataclass(frozen=True)
class Raters:
    """The two rows that stand beside every table."""

    reference: OneRater
    floor: NoiseFloor


def raters_of(evidence: Evidence) -> Raters:
    """Both from the votes of the tested utterances alone."""
    floor = noise_floor(evidence.votes, num_draws=num_draws(len(evidence.votes)))
    return Raters(one_rater_reference(evidence.votes), floor)


def num_draws(num_utterances: int) -> int:
    """How often true distributions are drawn: less often where a single draw is precise already.

    >>> num_draws(4_000), num_draws(40_000), num_draws(200_000)
    (100, 50, 40)
    """
    return max(FEWEST_DRAWS, min(NUM_DRAWS, MOST_DRAWN // num_utterances))
