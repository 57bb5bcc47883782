"""A part of a job that one worker does: a folder in the job's, with journals of its own.

part-RUN-0/part.json    the numbers of its batches, by entry
part-RUN-0/go           there for as long as the command that made it wants the work
part-RUN-0/lock         held by the worker
part-RUN-0/0.f32, ...   the entries' journals
part-RUN-0/heard.log    or, where it transcribes, what it has heard

No worker writes where another does, so that a file system over a network is enough. What a worker
has recorded is taken into the job's own journals, whoever finds it: parts may be cut anew, and into
another number, each time the command is given.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from amber_cache.jobs.heard import Heard
from amber_cache.jobs.journal import Journal
from amber_cache.jobs.plan import EntryPlan, Plan
from amber_cache.storage.write import sync_folder

#: What tells a worker to go on.
GO = "go"


def part_folders(job: Path) -> list[Path]:
    """The parts that stand in a job's folder."""
    return sorted(one for one in job.glob("part-*") if one.is_dir())


def make_part(folder: Path, batches: Mapping[int, Sequence[int]]) -> None:
    """Make a part's folder.

    Args:
        folder: It must not be there.
        batches: The numbers of its batches, by the number of an entry in the plan.

    Raises:
        OSError: There is no room.
    """
    folder.mkdir()
    with (folder / "part.json").open("w", encoding="utf-8") as file:
        json.dump({str(number): list(some) for number, some in batches.items()}, file)
        file.flush()
        os.fsync(file.fileno())
    (folder / GO).touch()
    for one in (folder, folder.parent):
        sync_folder(one)


def part_journal(folder: Path, number: int, entry: EntryPlan, batches: Sequence[int]) -> Journal:
    """The journal of a plan's entry in a part, not yet open."""
    mine = {one: entry.batches[one] for one in batches}
    return Journal(folder / str(number), mine, width=entry.width)


def take_in(folder: Path, plan: Plan, journals: Sequence[Journal]) -> None:
    """Record in a job's journals what a part's hold; one that was never begun holds nothing.

    Raises:
        OSError: The disk is full or gone.
    """
    for number, batches in _batches(folder).items():
        if not (folder / f"{number}.log").exists():
            continue
        journal = part_journal(folder, number, plan.entries[number], batches)
        try:
            journal.open()
            journals[number].take_in(journal)
        finally:
            journal.close()


def take_in_heard(folder: Path, heard: Heard) -> None:
    """Record in a job's log what a part has heard, if it was to.

    Raises:
        OSError: The disk is full or gone.
    """
    other = Heard(folder, heard.rows)
    if not other.path.exists():
        return
    try:
        other.open()
        heard.take_in(other)
    finally:
        other.close()


def _batches(folder: Path) -> dict[int, list[int]]:
    try:
        content = json.loads((folder / "part.json").read_text(encoding="utf-8"))
        return {int(number): [int(one) for one in some] for number, some in content.items()}
    except (OSError, ValueError):  # the command was killed while it was made
        return {}
