"""Corpus readers, one file each, by the name that `--corpus` takes."""

from __future__ import annotations

from pathlib import Path

from amber_cache.corpora.base import Reader
from amber_cache.corpora.crema_d import read_crema_d
from amber_cache.corpora.demo import read_demo
from amber_cache.corpora.iemocap import read_iemocap
from amber_cache.corpora.manifest import read_manifest
from amber_cache.corpora.msp_podcast import read_msp_podcast
from amber_cache.errors import CorpusError
from amber_cache.records import Corpus

__all__ = [
    "READERS",
    "read_corpus",
]

READERS: dict[str, Reader] = {
    "demo": read_demo,
    "manifest": read_manifest,
    "iemocap": read_iemocap,
    "msp-podcast": read_msp_podcast,
    "crema-d": read_crema_d,
}


def read_corpus(name: str, root: Path | None = None, *, votes_file: Path | None = None) -> Corpus:
    """Read a corpus by its reader's name.

    Raises:
        CorpusError: There is no such reader, or it can't read what stands at `root`.
    """
    if name not in READERS:
        raise CorpusError(f"--corpus {name}: no such corpus; choose from {', '.join(READERS)}")
    corpus = READERS[name](root, votes_file=votes_file)
    if not corpus.utterances:
        raise CorpusError(f"{corpus.root}: the corpus {name} has no utterances")
    return corpus
