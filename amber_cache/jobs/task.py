"""What an extraction finds before it does anything: corpus, encoders' names, what the cache holds.

Nothing here loads an encoder, and what a cache or an unfinished job knows of an audio file that has
not changed is not worked out again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from amber_cache.asr_models import AsrModel, find_asr_model
from amber_cache.config import ExtractConfig
from amber_cache.corpora import read_corpus
from amber_cache.entry_names import ASR
from amber_cache.errors import CacheError, UtteranceError
from amber_cache.jobs.completion import rows_to_encode
from amber_cache.jobs.former import (
    Former,
    moved_over,
    open_former,
    transcripts_moved_over,
)
from amber_cache.jobs.loading import is_unchanged
from amber_cache.jobs.plan import Plan, Shard
from amber_cache.jobs.same_settings import refuse_other_transcriber
from amber_cache.jobs.stamps import PLAN_STAMP, SEEN_NS, digest_of, short_digest
from amber_cache.jobs.wanted import (
    EncoderNames,
    Wanted,
    asked_settings,
    encoder_names,
    wanted_entries,
)
from amber_cache.progress import Progress
from amber_cache.records import Corpus
from amber_cache.sources import KnownFile, Survey, is_settled, known_files, survey
from amber_cache.store import (
    CacheContent,
    Entry,
    Transcripts,
    ratings_table,
    votes_table,
)
from amber_cache.transcripts import blank, rows_to_hear, unheard_sources


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
        transcripts: Its transcripts likewise, by name; those of `asr` in any case.
        asr: What transcribes; None where nothing is to be transcribed.
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
    transcripts: dict[str, Transcripts] = field(default_factory=dict)
    asr: AsrModel | None = None

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """All utterances' ids, in the table's order."""
        return tuple(self.found.table.id)

    @cached_property
    def inputs(self) -> dict[str, tuple[str, ...]]:
        """What is encoded -> a digest of each utterance's input, or of why there is none.

        A transcript follows from the audio and the weights of what transcribes.
        """
        table = self.found.table
        columns = {
            "audio": (table.audio_path, table.audio_sha256, table.start_s, table.duration_s),
            "text": (table.text,),
        }
        digests = {}
        for name in self.corpus.modalities:
            rows = zip(*columns[name], strict=True)
            digests[name] = tuple(
                short_digest(str(source) if isinstance(source, UtteranceError) else repr(row))
                for row, source in zip(rows, self.found.sources[name], strict=True)
            )
        if self.asr is not None:
            heard = self.asr.weights_sha256 + self.asr.settings_sha256
            digests[self.heard_input] = tuple(short_digest(one + heard) for one in digests["audio"])
        return digests

    @property
    def heard_input(self) -> str:
        """What encoders of the transcripts are given, by name."""
        assert self.asr is not None
        return f"text{ASR}{self.asr.name}"

    @cached_property
    def rows_to_hear(self) -> list[int]:
        """The rows that are to be transcribed."""
        if self.asr is None:
            return []
        return rows_to_hear(self.transcripts[self.asr.name], self.found.sources["audio"])

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
        if self.rows_to_hear:
            return True
        for one in self.wanted:
            entry = self.carried.get(one.key)
            if entry is None or rows_to_encode(entry, self.found.sources[one.input]):
                return True
            if not is_unchanged(one, entry.attrs):
                return True
        return False

    def content(
        self, plan: Plan | None, transcripts: Iterable[Transcripts] | None = None
    ) -> CacheContent:
        """Everything of the cache to be but its entries.

        Args:
            transcripts: None for those that are there already.
        """
        every = self.transcripts.values() if transcripts is None else transcripts
        stamp = {} if plan is None else {PLAN_STAMP: plan.stamp}
        return CacheContent(
            corpus=self.corpus.name,
            protocol=self.corpus.protocol,
            utterances=self.found.table,
            votes=votes_table(self.corpus.utterances),
            ratings=ratings_table(self.corpus.utterances),
            transcripts=tuple(sorted(every, key=lambda one: one.name)),
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
    former = stack.enter_context(open_former(config.cache, corpus))
    seen_ns = time.time_ns()
    table = None if former is None else former.content.utterances
    asr = _asr_model(config, former)
    has_text = any(one.text.strip() for one in corpus.utterances)
    wanted = wanted_entries(config, names, asr=asr, has_text=has_text)
    found = survey(corpus, table, progress, known=_known(former, plan))
    transcripts = {} if former is None else transcripts_moved_over(former.content, found.table)
    if asr is not None:
        mine = transcripts.setdefault(asr.name, blank(asr.name, len(found.table)))
        refuse_other_transcriber(config.cache, mine, asr.attrs)
        found = _with_unheard(found, mine)
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
        transcripts=transcripts,
        asr=asr,
    )


def _with_unheard(found: Survey, transcripts: Transcripts) -> Survey:
    """With what encoders of transcripts are given, as far as they are there."""
    sources = unheard_sources(transcripts, found.sources["audio"])
    name = f"text{ASR}{transcripts.name}"
    return replace(found, sources={**found.sources, name: sources})


def _asr_model(config: ExtractConfig, former: Former | None) -> AsrModel | None:
    if config.transcribe is None:
        return None
    known = {} if former is None else {one.name: one.attrs for one in former.content.transcripts}
    return find_asr_model(config.transcribe, known=known)


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


def _known(former: Former | None, plan: Plan | None) -> dict[str, KnownFile]:
    known = {}
    if former is not None:
        seen_ns = former.content.attrs.get(SEEN_NS, 0)
        if isinstance(seen_ns, int):
            known = known_files(former.content.utterances, seen_ns=seen_ns)
    if plan is not None:
        known |= {name: one for name, one in plan.files.items() if is_settled(one, plan.seen_ns)}
    return known
