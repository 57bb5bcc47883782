"""Releases as copies of them really are, through the command line: odd, in part, or none at all.

What is right is in the cache vote by vote, what isn't is listed with file and line; a release of
which a part is missing is refused in one line, by every command that reads it.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from amber_cache.records import Vote
from amber_cache.store import open_cache
from tests.commands import amber
from tests.fake_crema_d import make_crema_d
from tests.fake_iemocap import make_iemocap
from tests.fake_msp_podcast import make_msp_podcast
from tests.made_corpora import BUILTIN, assert_refused, files_under

Votes = dict[str, Counter[Vote]]


def _iemocap(folder: Path, *, odd: bool = True) -> Votes:
    made = make_iemocap(folder, dialogues=2, utterances=5, odd=odd)
    return {one.id: Counter(one.votes) for one in made.utterances}


def _msp_podcast(folder: Path, *, odd: bool = True) -> Votes:
    made = make_msp_podcast(folder, odd=odd)
    return {
        name: Counter(Vote(rater, label, primary=first) for rater, label, first in one.votes)
        for name, one in made.items()
    }


def _crema_d(folder: Path, *, odd: bool = True) -> Votes:
    made = make_crema_d(folder, odd=odd)
    return {one.id: Counter(one.votes) for one in made.utterances}


MAKERS: dict[str, Callable[..., Votes]] = {
    "iemocap": _iemocap,
    "msp-podcast": _msp_podcast,
    "crema-d": _crema_d,
}

#: Of each, some of what must be listed.
LISTED = {
    "iemocap": (
        "Ses01F_impro01.txt, line 11: C-E5: 'Bored': not counted",
        "Ses01F_impro01.txt, line 13: 'A-E' is cut off",
        "Ses01F_impro01_M000.wav: missing",
        "Ses01F_impro01_F999.wav: no file of dialog/EmoEvaluation has it",
        "failed: Ses01F_impro01_M000 (audio): ",
    ),
    "msp-podcast": (
        "labels_detailed.csv, line 9: 'MSP-PODCAST_0001_0000.wav,WORKER00000044; Surp' is no whole",
        "'Bewildered' is no known label and is not counted",
        "labels_consensus.csv, line 6: MSP-PODCAST_0001_0004 has no audio file",
        "Audios/MSP-PODCAST_9999_0001.wav stands in no label file",
        "failed: MSP-PODCAST_0001_0004 (audio): ",
    ),
    "crema-d": (
        "tabulatedVotes.csv, line 201: 8 cells, but 12 columns",
        "tabulatedVotes.csv, line 205: 'some' is no number of votes",
        "AudioWAV/1091_ITH_SAD_XX.wav: missing",
        "AudioWAV/1001_TSI_ANG_XX.wav: has no votes",
        "failed: 1091_ITH_SAD_XX (audio): ",
    ),
}


def cached_votes(path: Path) -> Votes:
    with open_cache(path) as cache:
        votes, ids = cache.votes, cache.utterances.id
        found: Votes = {str(one): Counter() for one in ids}
        for row in np.arange(len(votes)):
            label = votes.labels[votes.label[row]]
            vote = Vote(votes.rater[row], label, votes.kind[row], bool(votes.primary[row]))
            found[ids[votes.utterance[row]]][vote] += 1
        return found


@pytest.mark.parametrize("corpus", MAKERS)
def test_an_odd_copy_is_cached_vote_by_vote_and_every_flaw_is_listed(
    tmp_path: Path, corpus: str
) -> None:
    made = MAKERS[corpus](tmp_path / "release")
    command = ("extract", "--corpus", corpus, "--root", "release", "--cache", "cache.h5")
    finished = amber(*command, *BUILTIN, cwd=tmp_path)
    assert finished.status == 1, finished.err  # one audio file is missing
    assert cached_votes(tmp_path / "cache.h5") == made
    for text in LISTED[corpus]:
        assert text in finished.err, text
    assert "._" not in finished.err
    looked = amber("corpus", "release", "--no-durations", cwd=tmp_path)
    assert looked.status == 0, looked.err
    for text in LISTED[corpus][:-1]:
        assert text in looked.err, text


def _gone(*names: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        for name in names:
            for path in folder.glob(name):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    return spoil


PARTS = [
    ("iemocap", _gone("Session4"), "looked for Session1 to Session5, found Session1, Session2, S"),
    (
        "iemocap",
        _gone("Session2/dialog/transcriptions"),
        "looked for dialog/transcriptions/<dialogue>.txt in every session, found none in Session2",
    ),
    ("iemocap", _gone("Session*"), "looked for the folders Session1 to Session5 in it and one lev"),
    ("msp-podcast", _gone("Labels"), "looked for labels_detailed.csv, labels.txt, .* found Audios"),
    (
        "msp-podcast",
        _gone("Audios", "Transcripts"),
        r"looked for Audios/\*.wav and Transcripts/\*.txt, found Labels, Partitions.txt",
    ),
    (
        "crema-d",
        _gone("processedResults"),
        "looked for processedResults/tabulatedVotes.csv .* found AudioWAV, SentenceFilenames.csv",
    ),
]


@pytest.mark.parametrize(("corpus", "spoil", "match"), PARTS)
def test_a_part_of_a_release_is_refused_by_every_command_that_reads_it(
    tmp_path: Path, corpus: str, spoil: Callable[[Path], None], match: str
) -> None:
    MAKERS[corpus](tmp_path / "release", odd=False)
    spoil(tmp_path / "release")
    before = files_under(tmp_path)
    extracted = amber("extract", "--corpus", corpus, "--root", "release", *BUILTIN, cwd=tmp_path)
    assert_refused(extracted, match)
    looked = amber("corpus", "release", "--corpus", corpus, cwd=tmp_path)
    assert_refused(looked, match)
    assert "--root" not in looked.err  # it has an argument for that
    assert files_under(tmp_path) == before


@pytest.mark.parametrize("corpus", [*MAKERS, "demo"])
def test_no_refusal_of_a_reader_names_an_option_that_amber_corpus_lacks(
    tmp_path: Path, corpus: str
) -> None:
    for place in ("nowhere", "."):
        finished = amber("corpus", place, "--corpus", corpus, cwd=tmp_path)
        assert_refused(finished, "wanted|name another corpus with --corpus")
        assert "--root" not in finished.err
