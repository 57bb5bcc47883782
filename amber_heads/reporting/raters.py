"""What one more rater would score against the others, and what a perfect model could score."""

from __future__ import annotations

from dataclasses import dataclass

from amber_heads.evidence import Evidence
from amber_heads.noise import NoiseFloor, OneRater, noise_floor, one_rater_reference


@dataclass(frozen=True)
class Raters:
    """The two rows that stand beside every table."""

    reference: OneRater
    floor: NoiseFloor


def raters_of(evidence: Evidence) -> Raters:
    """Both from the votes of the tested utterances alone."""
    return Raters(one_rater_reference(evidence.votes), noise_floor(evidence.votes))
