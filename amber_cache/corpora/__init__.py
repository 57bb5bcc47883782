"""Corpus readers, one file each, by the name that `--corpus` takes."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from amber_cache.corpora.audformat import read_audformat
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
    "audformat": read_audformat,
}


#: Readers that ask for less where nothing is to be encoded.
_WITHOUT_INPUT: dict[str, Reader] = {"manifest": partial(read_manifest, needs_input=False)}


def read_corpus(
    name: str,
    root: Path | None = None,
    *,
    votes_file: Path | None = None,
    needs_input: bool = True,
) -> Corpus:
    """Read a corpus by its reader's name.

    Args:
        name: A reader's name; "audformat:NAME" says which of a database's labels are the votes.
        root: Where it stands; None: at the reader's own default place.
        votes_file: The votes, where the reader takes them from a file of their own.
        needs_input: Whether it must have something that an encoder can read.

    Raises:
        CorpusError: There is no such reader, or it can't read what stands at `root`.
    """
    reader, _, labels = name.partition(":")
    if reader not in READERS or (labels and reader != "audformat"):
        raise CorpusError(f"--corpus {name}: no such corpus; choose from {', '.join(READERS)}")
    read = READERS[reader] if needs_input else _WITHOUT_INPUT.get(reader, READERS[reader])
    if labels:
        read = partial(read_audformat, labels=labels)
    corpus = read(root, votes_file=votes_file)
    if not corpus.utterances:
        raise CorpusError(f"{corpus.root}: the corpus {name} has no utterances")
    return corpus
