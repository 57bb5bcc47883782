"""An overview as tables for the terminal; a table without rows is left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from amber_heads.counting import counted
from amber_heads.leakage_words import leakage_name
from amber_heads.overviews.contents import Part
from amber_heads.overviews.overview import Overview
from amber_heads.overviews.vote_tables import (
    agreement_table,
    classes_table,
    entropy_table,
    histogram,
    keeps_table,
    pairs_table,
    policy_words,
    ratings_table,
    share,
)
from amber_heads.tables import Table, heading_mark

#: How many values of a column and numbers of votes are shown; JSON has them all.
MOST_PARTS, MOST_NUMBERS = 12, 15

_NONE = "-"
_UNKNOWN = (_NONE, _NONE, "0", _NONE, _NONE)


def overview_tables(overview: Overview) -> list[Table]:
    """Every table that has rows, in the order of reading."""
    made = [one(overview) for one in _TABLES]
    mark = heading_mark(overview.corpus)
    return [replace(table, title=mark + table.title) for table in made if table.rows]


def contents_table(overview: Overview) -> Table:
    """Utterances and hours, of all and by the values of each column."""
    whole = overview.whole
    notes = []
    if whole.without_duration:
        unknown = counted(whole.without_duration, "utterance")
        notes.append(f"Hours: without {unknown} of unknown length.")
    if not overview.classes:  # elsewhere they stand below the classes
        notes += overview.notes
    columns = dict.fromkeys(one.column for one in overview.parts)
    shown: list[Part] = [whole]
    for column in columns:
        parts = [one for one in overview.parts if one.column == column]
        shown += parts[:MOST_PARTS]
        if len(parts) > MOST_PARTS:
            notes.append(f"{column}: {len(parts) - MOST_PARTS} more values.")
    what = "cache" if overview.is_cache else "corpus"
    return Table(
        title=f"Contents of the {what} {overview.place} ({overview.corpus or 'without a name'})",
        columns=("", "", "utterances", "share", "hours"),
        rows=tuple(
            (
                one.column,
                one.value if one.column == whole.column or one.value else "unknown",
                str(one.utterances),
                share(one.utterances, whole.utterances),
                _NONE if one.hours is None else f"{one.hours:.2f}",
            )
            for one in shown
        ),
        notes=tuple(notes),
        num_keys=2,
        emphasis=frozenset({0}),
    )


def groups_table(overview: Overview) -> Table:
    """Speakers, sessions and dialogues; none of a column that is unknown everywhere."""
    return Table(
        title="Groups",
        columns=("", "different", "utterances each: least", "median", "most", "in none"),
        rows=tuple(
            (
                one.column,
                str(one.different),
                str(one.least),
                f"{one.median:g}",
                str(one.most),
                str(one.without),
            )
            for one in overview.groups
            if one.different
        ),
    )


def entries_table(overview: Overview) -> Table:
    """A cache's embeddings, row by row done, failed or pending."""
    return Table(
        title="Embeddings",
        columns=("modality", "entry", "features", "done", "failed", "pending"),
        rows=tuple(
            (one.modality, one.name, *map(str, (one.dimension, one.done, one.failed, one.pending)))
            for one in overview.entries
        ),
        num_keys=2,
    )


def recognition_table(overview: Overview) -> Table:
    """What speech-recognition models heard, and how far that is from the reference."""
    reasons = dict.fromkeys(one.why_not for one in overview.recognition if one.why_not)
    return Table(
        title="Speech recognition",
        columns=(
            "model", "heard", "nothing heard", "failed", "pending", "words", "replaced", "left out",
            "put in", "word error rate",
        ),
        rows=tuple(
            (
                one.model,
                *map(str, (one.heard, one.silent, one.failed, one.pending, one.words)),
                *map(str, (one.substitutions, one.deletions, one.insertions)),
                _NONE if one.wer is None else f"{one.wer:.1%}",
            )
            for one in overview.recognition
        ),
        notes=(
            "Words of the reference; compared without case and punctuation, all words together.",
            *(f"No rate: {one}." for one in reasons),
        ),
    )  # fmt: skip


def missing_table(overview: Overview) -> Table:
    """What utterances lack, with the first of them."""
    total = overview.whole.utterances
    return Table(
        title="Missing",
        columns=("", "first of them", "utterances", "share"),
        rows=tuple(
            (
                one.what,
                next(iter(one.first), ""),
                str(one.utterances),
                share(one.utterances, total),
            )
            for one in overview.missing
        ),
        num_keys=2,
    )


def kinds_table(overview: Overview) -> Table:
    """The votes by kind of rater."""
    words = policy_words(overview, ("raters", "choices"))
    return Table(
        title=f"Votes ({overview.counted} counted: {words})",
        columns=("kind", "votes", "secondary", "raters", "unnamed", "further labels", "utterances"),
        rows=tuple(
            (
                one.kind,
                *map(str, (one.votes, one.secondary, one.raters, one.unnamed, one.several)),
                str(one.utterances),
            )
            for one in overview.kinds
        ),
        notes=(
            "Unnamed: votes without a rater's name. Further labels: beyond a rater's first on an "
            "utterance.",
        ),
    )


def numbers_table(overview: Overview) -> Table:
    """How many utterances have how many counted votes, in ranges where there are many numbers."""
    found = overview.votes_per_utterance
    if not overview.counted:
        found = {}
    width = -(-(max(found, default=0) - min(found, default=0) + 1) // MOST_NUMBERS)
    ranges: dict[tuple[int, int], int] = {}
    for number, times in found.items():
        low = min(found) + (number - min(found)) // width * width
        key = (low, min(low + width - 1, max(found)))
        ranges[key] = ranges.get(key, 0) + times
    names = [str(low) if low == high else f"{low} to {high}" for low, high in ranges]
    return histogram("Counted votes of an utterance", "votes", names, list(ranges.values()))


def leakage_table(overview: Overview) -> Table:
    """How many test utterances share what with training; no rows where there are no folds."""
    found = overview.leakage
    if found is None or found.why_not:
        return Table("", (), ())
    number = "" if found.folds == "official" else f", {found.num_folds} folds"
    tested = counted(found.test_utterances, "test utterance")
    return Table(
        title=f"Leakage, {tested} (--folds {found.folds}{number})",
        columns=("shared with training", "utterances", "share", "of", "values", "validation"),
        rows=tuple(
            (leakage_name(kind), *(_leaks(one) if one["known"] else _UNKNOWN))
            for kind, one in found.kinds.items()
        ),
        notes=(
            "Of: those of which it is known. Values: the different ones that are shared. "
            "Validation: utterances that share one with validation.",
            *found.warnings,
        ),
    )


def _leaks(one: Mapping[str, Any]) -> tuple[str, ...]:
    touched, known = one["test_utterances"], one["known"]
    numbers = (one["values"], one["validation"]["test_utterances"])
    return (str(touched), share(touched, known), str(known), *map(str, numbers))


_TABLES: tuple[Callable[[Overview], Table], ...] = (
    contents_table,
    groups_table,
    entries_table,
    recognition_table,
    missing_table,
    kinds_table,
    numbers_table,
    classes_table,
    keeps_table,
    entropy_table,
    agreement_table,
    ratings_table,
    pairs_table,
    leakage_table,
)
