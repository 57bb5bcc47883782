"""What every corpus reader promises, and the checks that all of them share.

A reader turns a folder or a file into a `Corpus`: it reads descriptions, never audio. It raises
`CorpusError` when the whole can't be trusted, and puts into `warnings` what it read past.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from amber_cache.errors import CorpusError
from amber_cache.records import Corpus, Utterance, Vote

#: How many lines of a kind are told in full.
NUM_TOLD = 5


@runtime_checkable
class Reader(Protocol):
    """Reads one kind of corpus."""

    def __call__(self, root: Path | None, *, votes_file: Path | None = None) -> Corpus:
        """Read what stands at `root`; None asks for the corpus's own default place.

        Raises:
            CorpusError: It is no such corpus, or can't be trusted.
        """


def check_ids(ids: Sequence[str], *, place: Path, lines: Sequence[int], unit: str = "line") -> None:
    """Refuse ids that are empty, break a line or stand twice, naming their lines.

    Raises:
        CorpusError: As said.
    """
    first_line: dict[str, int] = {}
    for identifier, line in zip(ids, lines, strict=True):
        if not identifier:
            raise CorpusError(f"{place}, {unit} {line}: the id is empty; every utterance needs one")
        if len(identifier.splitlines()) > 1:
            raise CorpusError(
                f"{place}, {unit} {line}: the id {identifier!r} has a line break in it"
            )
        if identifier in first_line:
            raise CorpusError(
                f"{place}, {unit} {line}: the id {identifier!r} stands in {unit} "
                f"{first_line[identifier]} already; ids must be unique"
            )
        first_line[identifier] = line


def attach_votes(
    utterances: Iterable[Utterance], votes: Mapping[str, Sequence[Vote]]
) -> tuple[Utterance, ...]:
    """Give each utterance its votes, and sort by id."""
    with_votes = (replace(one, votes=tuple(votes.get(one.id, ()))) for one in utterances)
    return tuple(sorted(with_votes, key=lambda one: one.id))


def entries_by_name(folder: Path) -> dict[str, Path]:
    """What a folder holds, by name in lower case, without hidden files and macOS's `._*`.

    Raises:
        CorpusError: It can't be read.
    """
    try:
        names = sorted(os.listdir(folder)) if folder.is_dir() else []
    except OSError as error:
        raise CorpusError(f"{folder}: can't be read: {error.strerror}") from None
    return {name.lower(): folder / name for name in names if not name.startswith(".")}


def told(noted: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Warnings of what was read past: the first few lines of each kind, and how many there are."""
    for kind, lines in noted.items():
        yield from lines[:NUM_TOLD]
        if len(lines) > NUM_TOLD:
            yield f"{kind}: {len(lines) - NUM_TOLD} more, {len(lines)} in all"
