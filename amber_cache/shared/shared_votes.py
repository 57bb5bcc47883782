"""Votes and ratings for others: raters hashed, or left out with the counts unchanged; pure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool

from amber_cache.shared.pseudonyms import pseudonyms, replaced
from amber_cache.storage.schema import text_array
from amber_cache.storage.tables import RatingTable, VoteTable

AGGREGATED = "aggregated"


def shared_votes(table: VoteTable, *, votes: str, salt: bytes) -> VoteTable:
    """Votes whose raters are pseudonyms or, aggregated, unknown.

    Aggregated votes stand in an order that does not tell which are of one rater. A secondary choice
    of a label that its rater gave already is left out then: with the rater known it counts for
    nothing, and without it would count.
    """
    if votes != AGGREGATED:
        names = pseudonyms(table.rater, kind="rater", salt=salt, unknown=("",))
        return replace(table, rater=replaced(table.rater, names))
    kept = np.flatnonzero(~_repeated(table))
    order = kept[
        np.lexsort(
            (
                ~table.primary[kept],
                table.label[kept],
                _ranks(table.kind[kept]),
                table.utterance[kept],
            )
        )
    ]
    return replace(
        table,
        utterance=table.utterance[order],
        rater=text_array([""] * len(order)),
        kind=table.kind[order],
        label=table.label[order],
        primary=table.primary[order],
    )


def shared_ratings(table: RatingTable, *, votes: str, salt: bytes) -> RatingTable:
    """Ratings likewise; every one of them stays."""
    if votes != AGGREGATED:
        names = pseudonyms(table.rater, kind="rater", salt=salt, unknown=("",))
        return replace(table, rater=replaced(table.rater, names))
    keys = (table.value, _ranks(table.kind), _ranks(table.dimension), table.utterance)
    order = np.lexsort(keys)
    return RatingTable(
        utterance=table.utterance[order],
        rater=text_array([""] * len(order)),
        kind=table.kind[order],
        dimension=table.dimension[order],
        value=table.value[order],
    )


def _repeated(table: VoteTable) -> Bool[np.ndarray, " vote"]:
    """Secondary choices of a label that the same rater gave to the same utterance before."""
    repeated = np.zeros(len(table), dtype=bool)
    seen: set[tuple[object, ...]] = set()
    for is_primary in (True, False):
        for row in np.flatnonzero(np.asarray(table.primary, bool) == is_primary).tolist():
            who = (table.utterance[row], table.kind[row], table.rater[row], table.label[row])
            repeated[row] = not is_primary and table.rater[row] != "" and who in seen
            seen.add(who)
    return repeated


def _ranks(texts: np.ndarray) -> np.ndarray:
    return np.unique(texts.astype(str), return_inverse=True)[1]
