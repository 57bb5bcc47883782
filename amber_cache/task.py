"""What an extraction finds before it does anything: corpus, encoders' names, what the cache holds.

Nothing here loads an encoder, and what a cache or an unfinished job knows of an audio file that has
not changed is not worked out again.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from amber_cache.completion import rows_to_encode
from amber_cache.config import ExtractConfig
from amber_cache.corpora import read_corpus
from amber_cache.errors import CacheError, UtteranceError
from amber_cache.former import Former, moved_over, open_former
from amber_cache.loading import is_unchanged
from amber_cache.plan import Plan, Shard
from amber_cache.progress import Progress
from amber_cache.records import Corpus
from amber_cache.safe_files import parse_json
from amber_cache.sources import KnownFile, Survey, is_settled, known_files, survey
from amber_cache.store import CacheContent, Entry, digest, ratings_table, votes_table
from amber_cache.wanted import EncoderNames, Wanted, asked_settings, encoder_names, wanted_entries

#: Attributes of a cache's root: the plan it was made by, and when its audio files were looked at.
PLAN_STAMP, SEEN_NS = "plan", "audio_seen_ns"


@dataclass(frozen=True, eq=False)
class Task:
    """One command's view of corpus and cache.

    Attributes:
        names: The encoders of each modality.
        wanted: The entries that the command is about.
        device: What the command asks for.
        shard: The part that it is to do; None for everything.
        former: The cache that is there; None where none is.
        carried: Its entries on the rows of the corpus as it stands now.
        seen_ns: When the corpus was looked at.
    """

    config: ExtractConfig
    corpus: Corpus
    names: EncoderNames
    wanted: tuple[Wanted, ...]
    device: str
    shard: Shard | None
    former: Former | None
    found: Survey
    carried: dict[tuple[str, str], Entry]
    seen_ns: int

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """All utterances' ids, in the table's order."""
        return tuple(self.found.table.id)

    @cached_property
    def inputs(self) -> dict[str, tuple[str, ...]]:
        """Modality -> a digest of each utterance's input, or of why there is none."""
        table = self.found.table
        columns = {
            "audio": (table.audio_path, table.audio_sha256, table.start_s, table.duration_s),
            "text": (table.text,),
        }
        digests = {}
        for modality, sources in self.found.sources.items():
            rows = zip(*columns[modality], strict=True)
            digests[modality] = tuple(
                _digest(str(source) if isinstance(source, UtteranceError) else repr(row))
                for row, source in zip(rows, sources, strict=True)
            )
        return digests

    @property
    def settings(self) -> dict[str, Any]:
        """What vectors depend on, as the command asks for it."""
        return asked_settings(self.config, self.names)

    @property
    def former_digest(self) -> str:
        """What the cache holds, in a word; "" without one."""
        return "" if self.former is None else digest_of(self.former)

    def needs_encoders(self) -> bool:
        """Whether a row is to be encoded, or an entry may not be what its encoder's name means."""
        for one in self.wanted:
            entry = self.carried.get(one.key)
            if entry is None or rows_to_encode(entry, self.found.sources[one.modality]):
                return True
            if not is_unchanged(one, entry.attrs):
                return True
        return False

    def content(self, plan: Plan | None) -> CacheContent:
        """Everything of the cache to be but its entries."""
        stamp = {} if plan is None else {PLAN_STAMP: plan.stamp}
        return CacheContent(
            corpus=self.corpus.name,
            protocol=self.corpus.protocol,
            utterances=self.found.table,
            votes=votes_table(self.corpus.utterances),
            ratings=ratings_table(self.corpus.utterances),
            embeddings=(),
            attrs={SEEN_NS: self.seen_ns, **stamp},
        )


def look(
    config: ExtractConfig,
    *,
    device: str,
    shard: Shard | None,
    plan: Plan | None,
    progress: Progress,
    stack: ExitStack,
) -> Task:
    """Read the corpus, open the cache, look at every input.

    Args:
        config: What the command is to do.
        device: Already known to be there.
        shard: As in the task.
        plan: An unfinished job's, whose hashes of audio files are as good as the cache's.
        progress: Told of every utterance.
        stack: Closes the cache when the command ends.

    Raises:
        AmberError: Corpus, options or cache can't be used.
    """
    corpus = read_corpus(config.corpus, config.root, votes_file=config.votes_file)
    names = encoder_names(config, corpus)
    wanted = wanted_entries(config, names)
    former = stack.enter_context(open_former(config.cache, corpus))
    seen_ns = time.time_ns()
    table = None if former is None else former.content.utterances
    found = survey(corpus, table, progress, known=_known(former, plan))
    return Task(
        config=config,
        corpus=corpus,
        names=names,
        wanted=wanted,
        device=device,
        shard=shard,
        former=former,
        found=found,
        carried={} if former is None else moved_over(former, found.table),
        seen_ns=seen_ns,
    )


def require_unchanged(task: Task) -> None:
    """Refuse to go on where another command has changed the cache since it was read.

    Raises:
        CacheError: As said.
    """
    path = task.config.cache
    same = not path.exists() if task.former is None else task.former.is_still_at(path)
    if not same:
        raise CacheError(
            f"--cache {path}: another command has changed it just now; give the same command again"
        )


def stamp_of(former: Former | None) -> dict[str, str]:
    """The plan that a cache was made by; empty where it does not say."""
    try:
        attrs = {} if former is None else former.content.attrs
        stamp = parse_json(str(attrs.get(PLAN_STAMP, "{}")).encode())
        return stamp if isinstance(stamp, dict) else {}
    except ValueError:
        return {}


def digest_of(former: Former) -> str:
    """A digest of what can be taken over from a cache: ids, and each entry's rows."""
    parts = [digest(former.content.utterances.id)]
    for entry in former.entries:
        parts += ["/".join(entry.key), digest(entry.status), digest(entry.crc32)]
    return _digest(" ".join(parts))


def _known(former: Former | None, plan: Plan | None) -> dict[str, KnownFile]:
    known = {}
    if former is not None:
        seen_ns = former.content.attrs.get(SEEN_NS, 0)
        if isinstance(seen_ns, int):
            known = known_files(former.content.utterances, seen_ns=seen_ns)
    if plan is not None:
        known |= {name: one for name, one in plan.files.items() if is_settled(one, plan.seen_ns)}
    return known


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
