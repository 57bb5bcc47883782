"""What an entry's attributes tell beyond its settings: what it covers, and how it was checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from amber_cache.jobs.plan import corpus_digest
from amber_cache.store import DONE, Attribute, Entry, UtteranceTable

NUM_CHECKED, MAX_ERROR = "check_num", "check_max_relative_error"

#: Attributes that depend on which rows an entry has.
CORPUS, SECONDS, HOURS = "corpus_sha256", "audio_s", "audio_h"


@dataclass(frozen=True, slots=True)
class Check:
    """How many of an entry's vectors were computed again, and the greatest relative L2 error."""

    num: int = 0
    max_relative_error: float = 0.0

    def joined(self, attrs: Mapping[str, Any]) -> Check:
        """This check and the one that an entry's attributes tell of."""
        error = float(attrs.get(MAX_ERROR, 0.0))
        num = int(attrs.get(NUM_CHECKED, 0))
        return Check(self.num + num, max(self.max_relative_error, error))

    @property
    def attrs(self) -> dict[str, Any]:
        """As a cache keeps it."""
        return {NUM_CHECKED: self.num, MAX_ERROR: self.max_relative_error}


def described(
    entry: Entry,
    table: UtteranceTable,
    *,
    inputs: tuple[str, ...],
    check: Check,
    former: Entry | None = None,
) -> Entry:
    """An entry with the attributes that only the finished entry can have.

    Args:
        entry: As it is to be written.
        table: Its utterances.
        inputs: A digest of each utterance's input in the entry's modality.
        check: Of the rows that were encoded just now.
        former: What the cache holds of it already, whose checks count too.
    """
    corpus = corpus_digest(tuple(table.id), {entry.modality: inputs})
    more: dict[str, Any] = {CORPUS: corpus, **covered(entry, table)}
    more |= check.joined({} if former is None else former.attrs).attrs
    return replace(entry, attrs={**entry.attrs, **more})


def covered(entry: Entry, table: UtteranceTable) -> dict[str, float]:
    """Seconds and hours of audio behind an entry's vectors; nothing for another modality."""
    if entry.modality != "audio":
        return {}
    seconds = float(table.duration_s[entry.status == DONE].astype(np.float64).sum())
    return {SECONDS: seconds, HOURS: seconds / 3600}


def merged_attrs(
    entry: Entry, table: UtteranceTable, parts: Sequence[Mapping[str, Attribute]]
) -> dict[str, Attribute]:
    """The attributes of an entry that was put together: its own rows, and all parts' checks."""
    check = Check()
    for attrs in parts:
        check = check.joined(attrs)
    attrs = {**entry.attrs, **covered(entry, table)}
    return {**attrs, **check.attrs} if NUM_CHECKED in entry.attrs else attrs
