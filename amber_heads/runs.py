"""A run is a row: what one training is told, and the name that follows from it alone."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property

from amber_heads.settings import RunSettings


@dataclass(frozen=True)
class Run:
    """One row of the table: settings, a fold and a seed.

    Attributes:
        fold: Index into the folds.
    """

    settings: RunSettings
    fold: int
    seed: int

    @cached_property
    def name(self) -> str:
        """A short name that depends on the run alone: ten hexadecimal digits."""
        described = {**asdict(self.settings), "fold": self.fold, "seed": self.seed}
        if not described["smoothing"]:  # which runs had no word for before there was any
            del described["smoothing"]
        text = json.dumps(described, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]
