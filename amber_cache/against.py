"""Hold a cache to the corpus that it was made from: is every audio file still the same?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from amber_cache.audio import file_sha256
from amber_cache.errors import CacheError, CorpusError, UtteranceError
from amber_cache.progress import Progress, no_progress
from amber_cache.store import Report, UtteranceTable, open_cache, verify_cache


def verify_against(path: Path, root: Path, *, progress: Progress = no_progress) -> Report:
    """`verify_cache`, and every audio file below a corpus's root hashed again.

    Args:
        path: The cache.
        root: What the audio paths are relative to: the corpus's folder, or a manifest in it.
        progress: Told of every file.

    Raises:
        CacheError: There is no such cache.
        CorpusError: There is no such root.
    """
    report = verify_cache(path)
    folder = root.parent if root.is_file() else root
    if not folder.is_dir():
        raise CorpusError(f"--against {root}: is no folder, and no manifest in one")
    try:
        with open_cache(path) as cache:
            table = cache.utterances
    except CacheError:  # the report says what is wrong with it
        return report
    return replace(report, problems=(*report.problems, *_problems(table, folder, progress)))


def _problems(table: UtteranceTable, folder: Path, progress: Progress) -> list[str]:
    columns = zip(table.audio_path, table.audio_sha256, table.id, strict=True)
    files = {name: (sha256, identifier) for name, sha256, identifier in columns if sha256}
    problems = []
    for number, (name, (sha256, identifier)) in enumerate(sorted(files.items()), start=1):
        place = f"{name} (of {identifier!r})"
        try:
            if file_sha256(folder / name) != sha256:
                problems.append(f"{place}: is not the file that was encoded")
        except UtteranceError:
            missing = "can't be read" if (folder / name).exists() else "is missing"
            problems.append(f"{place}: {missing} below {folder}")
        progress("hashing the audio", number, len(files))
    return problems
