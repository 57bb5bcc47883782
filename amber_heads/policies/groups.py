"""What must stay together in a fold: sessions, speakers or dialogues, and what is of none.

"" and "Unknown" (in any case) are no speaker: many people hide behind them. Such an utterance goes
by its dialogue: with the speaker who is heard most in that dialogue, who is the likeliest to be
heard in it, or as a group of its own where all of the dialogue's speakers are unknown. A dialogue's
known speakers are not bound to each other by it: a host who is heard in a hundred dialogues would
bind all their guests into one group, and there would be no folds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from amber_cache.errors import ConfigError
from amber_heads.policies.codes import is_unknown

#: The kinds of folds that keep groups whole, and the columns that name the groups.
GROUPED = ("session", "speaker", "dialogue")


@dataclass(frozen=True)
class Groups:
    """Which group each utterance is of.

    Attributes:
        names: (N,) the group's name.
        num_by_dialogue: How many utterances were grouped by their dialogue for want of a name.
    """

    names: np.ndarray
    num_by_dialogue: int = 0


def group_by(kind: str, columns: Mapping[str, np.ndarray]) -> Groups:
    """Group utterances by session, speaker or dialogue.

    Args:
        kind: One of `GROUPED`.
        columns: (N,) strings by name: that of the kind, and "dialogue".

    Raises:
        ConfigError: All names are unknown, or an utterance has neither a name nor a dialogue.
    """
    names, dialogues = columns[kind], columns["dialogue"]
    unknown = is_unknown(names)
    if not unknown.any():
        return Groups(names)
    no_dialogue = is_unknown(dialogues)
    lost = unknown if unknown.all() else unknown & no_dialogue
    if lost.any():
        without = " and no dialogue" if not (unknown.all() or no_dialogue.all()) else ""
        without = "" if kind == "dialogue" else without
        raise ConfigError(
            f"--folds {kind}: {lost.sum()} of {len(names)} utterances have no {kind}{without}; "
            f"use {_way_out(kind, columns)}"
        )
    homes = _homes(names[~unknown], dialogues[~unknown])
    found = names.copy()
    found[unknown] = [homes.get(one, f"dialogue {one}") for one in dialogues[unknown]]
    return Groups(found, int(unknown.sum()))


def _homes(names: np.ndarray, dialogues: np.ndarray) -> dict[str, str]:
    """By dialogue, the name that most of its utterances have; the first of equals."""
    counts = Counter(zip(dialogues, names, strict=True))
    homes: dict[str, str] = {}
    for (dialogue, name), _ in sorted(counts.items(), key=lambda one: (-one[1], one[0])):
        homes.setdefault(dialogue, name)
    return homes


def _way_out(kind: str, columns: Mapping[str, np.ndarray]) -> str:
    ways = [
        f"--folds {other}"
        for other in GROUPED
        if other != kind and other in columns and not is_unknown(columns[other]).any()
    ]
    return " or ".join([*ways[:1], "--folds random"])
