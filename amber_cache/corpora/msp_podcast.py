"""MSP-Podcast, releases 1.8 to 2.0, as it unpacks: every rater's votes, partitions, transcripts.

`Audios/*.wav`, `Transcripts/*.txt` (one a segment; older releases have none), `Labels/` (its files:
msp_labels.py), `Partitions.txt` ("Train; NAME.wav") and `Speaker_ids.txt` ("NAME.wav; 127" and
"Speaker_127; Male"); audio and transcripts may lie in further folders. Votes and ratings come from
the label file with most detail; consensus, speaker, gender and split from the consensus file, and
where that is silent from labels.txt, Speaker_ids.txt and Partitions.txt.

An utterance is a segment, named as its file is without .wav; its dialogue is the podcast's number
in that name. The speaker "Unknown" becomes "", as many people share it: group by dialogue then.
"NA" is a name like any other. Segments that have no public labels (Test3) are kept without votes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from amber_cache.corpora.msp_ballots import Ballots
from amber_cache.corpora.msp_facts import Facts, gather_facts
from amber_cache.corpora.msp_labels import read_ballots
from amber_cache.corpora.msp_release import (
    VOTE_FILES,
    WAY_OUT,
    Release,
    files_below,
    find_release,
    listed,
)
from amber_cache.corpora.msp_text import Notes, decoded
from amber_cache.errors import CorpusError
from amber_cache.records import Corpus, Utterance

_PODCAST = re.compile(r"MSP-PODCAST_(\d+)_", re.IGNORECASE)


def read_msp_podcast(root: Path | None, *, votes_file: Path | None = None) -> Corpus:
    """Read the release at `root`: the folder with Audios and Labels, or the one above it.

    Raises:
        CorpusError: It is no such release or only a part of it, a file contradicts itself, labels
            and audio belong to different releases, or `votes_file` is given: the corpus brings
            its own votes.
    """
    if votes_file is not None:
        raise CorpusError("--votes-file: MSP-Podcast brings its own votes; use --corpus manifest")
    if root is None:
        raise CorpusError("--corpus msp-podcast needs --root with the release's folder")
    notes = Notes()
    release = find_release(root)
    audio = files_below(release, release.audio, ".wav", notes)
    transcripts = files_below(release, release.transcripts, ".txt", notes)
    ballots = Ballots(release.root, notes)
    if release.votes is not None:
        ballots = read_ballots(release.votes, notes)
    facts = gather_facts(release, ballots, notes)
    _compare(release, audio, ballots, facts, notes)
    texts = _read_texts(release, transcripts, audio.keys() | facts.keys(), notes)
    utterances = tuple(
        _utterance(name, release, audio, ballots, facts.get(name, Facts()), texts)
        for name in sorted(audio.keys() | facts.keys())
    )
    modalities = tuple(name for name, has in (("audio", audio), ("text", texts)) if has)
    if not modalities:
        raise CorpusError(
            f"{root}: is only a part of a release: looked for Audios/*.wav and Transcripts/*.txt, "
            f"found {listed(release.root)}; {WAY_OUT}"
        )
    corpus = Corpus(
        name="msp-podcast",
        root=release.root,
        utterances=utterances,
        protocol="msp-podcast-8",
        modalities=modalities,
    )
    _count_gaps(release, corpus, notes)
    return replace(corpus, warnings=tuple(notes.told()))


def _utterance(
    name: str,
    release: Release,
    audio: Mapping[str, str],
    ballots: Ballots,
    facts: Facts,
    texts: Mapping[str, str],
) -> Utterance:
    podcast = _PODCAST.match(name)
    place = audio.get(name)
    if place is None and release.audio is not None:  # so that it is missed under its name
        place = (release.audio.relative_to(release.root) / f"{name}.wav").as_posix()
    return Utterance(
        id=name,
        audio=None if place is None else Path(place),
        text=texts.get(name, ""),
        speaker=facts.speaker,
        gender=facts.gender,
        dialogue=podcast[1] if podcast else "",
        split=facts.split,
        consensus=facts.consensus or "",
        language="en",
        votes=tuple(ballots.votes.pop(name, ())),
        ratings=tuple(ballots.ratings.pop(name, ())),
    )


def _compare(
    release: Release,
    audio: Mapping[str, str],
    ballots: Ballots,
    facts: Mapping[str, Facts],
    notes: Notes,
) -> None:
    """Tell where labels, audio and consensus do not fit each other.

    Raises:
        CorpusError: No segment that is labelled has audio, and there is audio.
    """
    if audio and facts.keys().isdisjoint(audio):
        some, other = min(audio), min(facts)
        raise CorpusError(
            f"{release.root}: no audio file belongs to a label ({some}.wav and {other}, for "
            "example): they are of different releases; unpack one release into one folder"
        )
    for name in sorted(facts.keys() - audio.keys()) if audio else ():
        place, line = facts[name].path, facts[name].line
        notes.add("audio files missing", f"{place}", f"{name} has no audio file", line=line)
    for name in sorted(audio.keys() - facts.keys()):
        told = f"{audio[name]} stands in no label file and no partition; it is kept without votes"
        notes.add("audio without labels", release.root, told)
    for name, votes in ballots.votes.items():
        counts = Counter(vote.label for vote in votes if vote.primary)
        winners = [label for label, count in counts.items() if count == max(counts.values())]
        consensus = facts[name].consensus
        if consensus is None or not winners or consensus in winners:
            continue
        if consensus or len(winners) == 1:
            told = f"{name}: the consensus is {consensus or 'none'}, the votes' {'/'.join(winners)}"
            notes.add("consensus against votes", f"{facts[name].path}", told, line=facts[name].line)


def _read_texts(
    release: Release, places: Mapping[str, str], wanted: Collection[str], notes: Notes
) -> dict[str, str]:
    """The transcripts by segment, each in one line, but empty ones."""
    texts: dict[str, str] = {}
    for name, place in places.items():
        if name not in wanted:
            told = f"{place} belongs to no segment and is left out"
            notes.add("transcripts without segments", release.root, told)
            continue
        try:
            with open(f"{release.root}/{place}", "rb") as file:
                data = file.read()
        except OSError as error:
            told = f"{place} can't be read: {error.strerror}"
            notes.add("unreadable transcripts", release.root, told)
            continue
        if text := " ".join(decoded(data).split()):
            texts[name] = text
    return texts


def _count_gaps(release: Release, corpus: Corpus, notes: Notes) -> None:
    """Tell in a line each what the release lacks, and what is missing from how many segments."""
    for name, folder in (("audio", "Audios/*.wav"), ("text", "Transcripts/*.txt")):
        if name not in corpus.modalities:
            notes.add(name, release.root, f"no {folder}; the corpus is read without {name}")
    if release.votes is None:
        told = f"no {', '.join(VOTE_FILES)}; without raters' votes nothing can be trained on it"
        notes.add("votes", release.root, told)
    gaps = {
        "votes: they are for prediction": [one for one in corpus.utterances if not one.votes],
        "transcript": [one for one in corpus.utterances if not one.text],
        "known speaker: group them by dialogue": [
            one for one in corpus.utterances if not one.speaker
        ],
        "split": [one for one in corpus.utterances if not one.split],
    }
    if "text" not in corpus.modalities:
        del gaps["transcript"]
    for what, missing in gaps.items():
        if missing:
            counts = Counter(one.split or "no split" for one in missing).most_common()
            parts = ", ".join(f"{split} {count}" for split, count in counts)
            told = f"{len(missing)} of {len(corpus.utterances)} segments ({parts}) have no {what}"
            notes.add(what, release.root, told)
