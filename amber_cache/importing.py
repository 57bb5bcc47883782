"""Features of one's own into a cache: read, joined to the corpus by id, and kept as entries.

The cache is the one that `amber extract` would write of the same corpus: utterances, votes and
ratings are the corpus's, and other entries stay. The audio need not be there; what is there is
looked at as `amber extract` does, so that both commands write the same table of utterances.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from amber_cache.config import ImportConfig, Origin
from amber_cache.corpora import read_corpus
from amber_cache.errors import CacheError, ConfigError
from amber_cache.jobs.former import (
    former_content,
    is_same,
    taken_over,
    transcripts_moved_over,
)
from amber_cache.jobs.report import CacheReport, Failure
from amber_cache.jobs.same_settings import refuse_other_settings
from amber_cache.own_features.features import (
    Features,
    joined,
    read_features,
    refuse_strangers,
    some_ids,
)
from amber_cache.progress import Progress, no_progress
from amber_cache.records import Corpus
from amber_cache.sources import survey
from amber_cache.store import (
    DONE,
    FAILED,
    PENDING,
    CacheContent,
    Embedding,
    UtteranceTable,
    ratings_table,
    votes_table,
    write_cache,
)

#: The head that stage two adds: no modality may be called so.
_TAKEN = "fusion"


@dataclass(frozen=True, kw_only=True)
class ImportReport(CacheReport):
    """What an import did; its failures are utterances without a usable vector.

    Attributes:
        imported: New rows by entry, {"face/openface": 300}.
        unmatched: By modality, the ids of vectors that no utterance has.
    """

    imported: Mapping[str, int]
    unmatched: Mapping[str, tuple[str, ...]]

    @property
    def strangers(self) -> tuple[str, ...]:
        """A line for each modality with vectors that no utterance has."""
        return tuple(
            f"{modality}: {len(ids)} of its ids are no utterance's and are left out: "
            f"{some_ids(ids)}"
            for modality, ids in self.unmatched.items()
            if ids
        )

    @property
    def last_line(self) -> str:
        """What was done and what failed, in a line."""
        number = sum(map(len, self.unmatched.values()))
        further = [f"{number} vectors without an utterance"] if number else []
        return self.summed_up(self.imported, *further)


def import_features(
    config: ImportConfig,
    origins: Mapping[str, Any] | None = None,
    *,
    progress: Progress = no_progress,
) -> ImportReport:
    """Join files of features to a corpus, and write or complete its cache.

    Args:
        origins: By field, where its value came from: amber.toml may name encoders of modalities
            that are not imported, a flag may not.

    Raises:
        AmberError: The corpus, a file or the cache can't be used; nothing is written then.
    """
    names = _entry_names(config, origins or {})
    features = {name: read_features(Path(path)) for name, path in config.features}
    corpus = read_corpus(
        config.corpus, config.root, votes_file=config.votes_file, needs_input=False
    )
    for one in features.values():
        refuse_strangers(one, [utterance.id for utterance in corpus.utterances])
    former = former_content(config.cache, corpus)
    found = survey(corpus, None if former is None else former.utterances, progress)
    entries = {} if former is None else taken_over(former, found.table)
    heard = {} if former is None else transcripts_moved_over(former, found.table)
    imported: dict[str, int] = {}
    used: list[Embedding] = []
    for modality, one in features.items():
        entry = joined(one, found.table, modality=modality, encoder=names[modality])
        old = entries.get((modality, entry.name))
        if old is not None:
            _refuse_other_content(config.cache, old, entry, found.table, one.path)
        entries[modality, entry.name] = entry
        imported[f"{modality}/{entry.name}"] = _num_new(old, entry)
        used.append(entry)
    content = CacheContent(
        corpus=corpus.name,
        protocol=corpus.protocol,
        utterances=found.table,
        votes=votes_table(corpus.utterances),
        ratings=ratings_table(corpus.utterances),
        transcripts=tuple(heard.values()),
        embeddings=tuple(entries.values()),
    )
    written = former is None or not is_same(former, content)
    if written:
        write_cache(config.cache, content)
    notes = [*corpus.warnings, *found.notes, *_pending_notes(entries.values())]
    return _report(config, corpus, used, features, imported, notes, written)


def _entry_names(config: ImportConfig, origins: Mapping[str, Any]) -> dict[str, str]:
    """By modality, what made its features.

    Raises:
        ConfigError: Nothing is to be imported, or a name is not one that a cache can hold.
    """
    if not config.features:
        raise ConfigError(
            "--features MODALITY=PATH: names no features yet; for example --features face=face.npz"
        )
    for modality, _ in config.features:
        _check_modality(modality)
    given = dict(config.encoder)
    if len(given) < len(config.encoder):
        raise ConfigError("--encoder names two of one modality; features have one name")
    strangers = [name for name in given if name not in dict(config.features)]
    if strangers and origins.get("encoder", Origin.FLAG) != Origin.FILE:
        raise ConfigError(
            f"--encoder {strangers[0]}=...: has no effect without --features {strangers[0]}=PATH"
        )
    names = {modality: given.get(modality, Path(path).stem) for modality, path in config.features}
    for modality, name in names.items():
        if not name.isprintable() or name.strip(".@") != name or not name:
            raise ConfigError(
                f"--encoder {modality}={name}: {name!a} can't name an entry of a cache; it must be "
                "printable, without . or @ at its ends"
            )
    return names


def _check_modality(name: str) -> None:
    if name == _TAKEN:
        raise ConfigError(
            f"--features {name}=...: {name} is the head that joins all modalities; give your "
            "modality another name"
        )
    if not re.fullmatch(r"\w[\w-]*", name):
        raise ConfigError(
            f"--features {name}=...: a modality's name is of letters, digits, _ and -, "
            "for example face"
        )


def _refuse_other_content(
    path: Path, old: Embedding, new: Embedding, table: UtteranceTable, file: Path
) -> None:
    """Refuse to put features in the place of others; new utterances may come to the old ones.

    Raises:
        CacheError: As said, naming the first utterance whose vector would change.
    """
    entry = f"--cache {path}: its {old.modality}/{old.name}"
    way = f"name this one otherwise with --encoder {old.modality}=NAME"
    if "features_sha256" not in old.attrs:
        raise CacheError(f"{entry} was made by an encoder and not imported; {way}")
    refuse_other_settings(path, old, new.attrs)
    if old.vectors.shape[1] != new.vectors.shape[1]:
        raise CacheError(
            f"{entry} has {old.vectors.shape[1]} features, {file} has {new.vectors.shape[1]}; {way}"
        )
    changed = (old.status == DONE) & (old.vectors != new.vectors).any(axis=1)
    if changed.any():
        raise CacheError(
            f"{entry} has other vectors than {file} for {int(changed.sum())} utterances, first "
            f"{table.id[int(np.argmax(changed))]!r}; {way}"
        )


def _num_new(old: Embedding | None, new: Embedding) -> int:
    before = np.zeros(len(new), dtype=bool) if old is None else old.status == DONE
    return int(np.count_nonzero((new.status == DONE) & ~before))


def _pending_notes(entries: Iterable[Embedding]) -> list[str]:
    """What this import left to do in the other entries."""
    return [
        f"{entry.modality}/{entry.name}: {count} utterances are new or changed and still to be done"
        for entry in entries
        if (count := int(np.count_nonzero(entry.status == PENDING)))
    ]


def _report(
    config: ImportConfig,
    corpus: Corpus,
    entries: Sequence[Embedding],
    features: Mapping[str, Features],
    imported: Mapping[str, int],
    notes: Sequence[str],
    written: bool,
) -> ImportReport:
    known = {one.id for one in corpus.utterances}
    failures = tuple(
        Failure(corpus.utterances[row].id, entry.modality, str(entry.error[row]))
        for entry in entries
        for row in np.flatnonzero(entry.status == FAILED)
    )
    return ImportReport(
        cache=config.cache,
        corpus=corpus.name,
        num_utterances=len(corpus.utterances),
        imported=dict(imported),
        failures=failures,
        unmatched={
            modality: tuple(name for name in one.row_of if name not in known)
            for modality, one in features.items()
        },
        num_without_votes=sum(not one.votes for one in corpus.utterances),
        notes=tuple(notes),
        written=written,
    )
