"""The CREMA-D reader, on made-up releases and, where it is at hand, on the real table of votes."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from amber_cache.corpora.crema_d import NUM_CLIPS, read_crema_d
from amber_cache.errors import CorpusError
from amber_cache.records import Corpus, Vote
from tests.commands import ROOT
from tests.fake_crema_d import LETTERS, SHOWN, TEXTS, make_crema_d, write_lines

REAL = ROOT.parent / "shared" / "data" / "crema-d"
TABLE = Path("processedResults/tabulatedVotes.csv")
HEADER = '"","A","D","F","H","N","S","fileName","numResponses","agreement","emoVote"'


def write_table(root: Path, *rows: str, header: str = HEADER) -> Path:
    write_lines(root / TABLE, [header, *rows])
    return root


@pytest.mark.parametrize("seed", range(3))
def test_everything_that_was_put_in_is_found_vote_by_vote(tmp_path: Path, seed: int) -> None:
    made = make_crema_d(tmp_path / "release", sentences=tuple(TEXTS), seed=seed)
    corpus = read_crema_d(made.root)
    assert len(corpus.utterances) == 3 * (16 + 11 * 6)
    for found, expected in zip(corpus.utterances, made.utterances, strict=True):
        assert found == expected
    assert (corpus.name, corpus.root) == ("crema-d", made.root)
    assert corpus.modalities == ("audio", "text")
    assert corpus.warnings == (f"{made.root}: has 246 clips; the full release has 7442",)


def test_odd_copies_give_the_same_and_every_flaw_is_told(tmp_path: Path) -> None:
    made = make_crema_d(tmp_path / "release", odd=True)
    corpus = read_crema_d(made.root)
    assert corpus.utterances == made.utterances
    told = "\n".join(corpus.warnings)
    assert [flaw for flaw in made.flaws if f"{flaw}: " not in told] == []
    assert len(made.flaws) == 5
    assert f"{made.silent[0]}: missing" in told
    assert f"{made.unvoted[0]}: has no votes" in told
    assert "._" not in told


def test_a_release_without_audio_is_read_and_says_so(tmp_path: Path) -> None:
    made = make_crema_d(tmp_path / "release", sentences=("ITH",), audio=False)
    corpus = read_crema_d(made.root)
    assert corpus.utterances == made.utterances
    assert corpus.modalities == ("text",)
    assert "has no AudioWAV/<clip>.wav; the corpus is read without" in corpus.warnings[0]


def test_rows_worked_by_hand(tmp_path: Path) -> None:
    root = write_table(
        tmp_path,
        '"100001",2,0,0,0,1,0,"1001_IEO_NEU_XX",3,0.67,"A"',
        '"200001",0,0,0,0,0,1,"1001_IEO_NEU_XX",1,1,"S"',
        '"300001",0,1,0,1,0,0,"1001_IEO_NEU_XX",2,0.5,"D:H"',
        '"300002",0,0,0,0,3.0,0,"1002_DFA_ANG_HI",3,1,"N"',
        '"100003",0,0,0,0,0,0,"1002_XYZ_ANG_HI",0,0,""',
    )
    first, second, third = read_crema_d(root).utterances
    assert first.votes == (
        Vote("", "angry", "voice"),
        Vote("", "angry", "voice"),
        Vote("", "neutral", "voice"),
        Vote("", "sad", "face"),
        Vote("", "disgust", "multimodal"),
        Vote("", "happy", "multimodal"),
    )
    assert (first.consensus, first.speaker, first.text) == ("", "1001", "It's eleven o'clock.")
    assert second.id == "1002_DFA_ANG_HI"
    assert (second.consensus, second.text) == ("neutral", "Don't forget a jacket.")
    assert second.votes == 3 * (Vote("", "neutral", "multimodal"),)
    assert (third.votes, third.text, third.consensus) == ((), "", "")
    told = "\n".join(read_crema_d(root).warnings)
    assert "1002_DFA_ANG_HI: has no voice votes\n1002_DFA_ANG_HI: has no face votes" in told
    assert "1002_XYZ_ANG_HI: its sentence is none of the twelve" in told


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ('"100002",1,0,0,0,0,0,"1001_IEO_HAP_LO",1', "9 cells, but 11 columns"),
        ('"100002",1,0,0,0,0,0,"1001_IEO_HAP', "8 cells, but 11 columns"),
        ('"100002",1,0,0,0,0,0,"",1,1,"A"', "'' is no clip's name"),
        ('"100002",1,0,0,0,0,0,"1001_IEO",1,1,"A"', "'1001_IEO' is no clip's name"),
        ('"500002",1,0,0,0,0,0,"1001_IEO_HAP_LO",1,1,"A"', "the row's id '500002' must be 1, 2"),
        ('"100002",,0,0,0,0,0,"1001_IEO_HAP_LO",1,1,"A"', "'' is no number of votes"),
        ('"100002",-1,2,0,0,0,0,"1001_IEO_HAP_LO",1,1,"A"', "'-1' is no number of votes"),
        ('"100002",0.5,0.5,0,0,0,0,"1001_IEO_HAP_LO",1,1,"A"', "'0.5' is no number of votes"),
        ('"100002",nan,1,0,0,0,0,"1001_IEO_HAP_LO",1,1,"A"', "'nan' is no number of votes"),
        ('"100002",1e9,0,0,0,0,0,"1001_IEO_HAP_LO",1e9,1,"A"', "'1e9' is no number of votes"),
        ('"100002",2,0,0,0,0,0,"1001_IEO_HAP_LO",1,1,"A"', "2 votes, but numResponses is 1"),
        ('"100002",1,0,0,0,0,0,"1001_IEO_HAP_MD",1,1,"A"', "clip 00002 is 1001_IEO_HAP_LO in Sent"),
    ],
)
def test_a_row_that_cannot_be_trusted_is_left_out(tmp_path: Path, row: str, reason: str) -> None:
    names = ['1,"1001_IEO_NEU_XX"', '2,"1001_IEO_HAP_LO"', '3,"1001_IEO_HAP_MD"']
    write_lines(tmp_path / "SentenceFilenames.csv", ['"Stimulus_Number","Filename"', *names])
    whole = '"{}",1,0,0,0,0,0,"{}",1,1,"A"'
    root = write_table(
        tmp_path,
        whole.format("100001", "1001_IEO_NEU_XX"),
        row,
        whole.format("100003", "1001_IEO_HAP_MD"),
    )
    corpus = read_crema_d(root)
    assert [one.id for one in corpus.utterances] == ["1001_IEO_HAP_MD", "1001_IEO_NEU_XX"]
    assert [len(one.votes) for one in corpus.utterances] == [1, 1]
    assert f"{root / TABLE}, line 3: {reason}" in corpus.warnings[0]


def test_the_clip_whose_file_has_another_name_is_found(tmp_path: Path) -> None:
    root = make_crema_d(tmp_path / "release", actors=(1040,), sentences=("ITH",)).root
    by_id = {one.id: str(one.audio) for one in read_crema_d(root).utterances}
    assert by_id["1040_ITH_SAD_XX"] == "AudioWAV/1040_ITH_SAD_X.wav"
    (root / "AudioWAV/1040_ITH_SAD_X.wav").rename(root / "AudioWAV/1040_ITH_SAD_XX.WAV")
    corpus = read_crema_d(root)
    by_id = {one.id: str(one.audio) for one in corpus.utterances}
    assert by_id["1040_ITH_SAD_XX"] == "AudioWAV/1040_ITH_SAD_XX.WAV"
    assert len(corpus.warnings) == 1  # the number of clips


@pytest.mark.parametrize("place", ["", "CREMA-D", "processedResults"])
def test_the_table_is_found_where_it_stands(tmp_path: Path, place: str) -> None:
    made = make_crema_d(tmp_path / "release", actors=(1001,))
    roots = {"": made.root, "CREMA-D": tmp_path, "processedResults": made.root / "processedResults"}
    corpus = read_crema_d(roots[place])
    assert (corpus.root, corpus.utterances) == (made.root, made.utterances)
    (made.root / TABLE).rename(made.root / TABLE.name)
    (made.root / TABLE.parent).rmdir()
    assert read_crema_d(made.root).utterances == made.utterances


def test_without_demographics_the_gender_is_unknown(tmp_path: Path) -> None:
    made = make_crema_d(tmp_path / "release", actors=(1001,))
    (made.root / "VideoDemographics.csv").unlink()
    assert {one.gender for one in read_crema_d(made.root).utterances} == {""}


def test_what_is_no_release_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"nowhere: no such folder; wanted the folder"):
        read_crema_d(tmp_path / "nowhere")
    with pytest.raises(CorpusError, match=r"looked for processedResults/tabul.* found nothing"):
        read_crema_d(tmp_path)
    (tmp_path / "AudioWAV").mkdir()
    with pytest.raises(CorpusError, match=r"one level below, found AudioWAV"):
        read_crema_d(tmp_path)
    with pytest.raises(CorpusError, match=r"needs --root with the folder of the release"):
        read_crema_d(None)
    with pytest.raises(CorpusError, match=r"--votes-file: CREMA-D brings its own votes"):
        read_crema_d(tmp_path, votes_file=tmp_path / "votes.csv")


def test_a_table_that_cannot_be_trusted_is_refused(tmp_path: Path) -> None:
    row = '"100001",1,0,0,0,0,0,"1001_IEO_NEU_XX",1,1,"A"'
    with pytest.raises(CorpusError, match=r"line 3: the voice votes of 1001_IEO_NEU_XX stand"):
        read_crema_d(write_table(tmp_path, row, row.replace("100001", "100002")))
    with pytest.raises(CorpusError, match=r"has no column A, D, F, H, N, S, fileName; it begins"):
        read_crema_d(write_table(tmp_path, header="version https://host/spec/v1"))
    with pytest.raises(CorpusError, match=r"has no row that can be read; .*line 2: 1 cells"):
        read_crema_d(write_table(tmp_path, "cut"))
    with pytest.raises(CorpusError, match=r"has no column A, D"):
        read_crema_d(write_table(tmp_path, header=""))


@pytest.fixture(scope="module")
def real() -> tuple[Corpus, list[dict[str, str]]]:
    """The real table as it is read, and its rows."""
    if not (REAL / TABLE.name).is_file():
        pytest.skip(f"the real table of votes is not at hand ({TABLE.name} in {REAL})")
    with (REAL / TABLE.name).open(newline="") as file:
        return read_crema_d(REAL), list(csv.DictReader(file))


def test_the_real_table_is_read_whole(real: tuple[Corpus, list[dict[str, str]]]) -> None:
    corpus, rows = real
    assert len(corpus.utterances) == NUM_CLIPS == 7_442
    assert len({one.speaker for one in corpus.utterances}) == 91
    assert {one.text for one in corpus.utterances} == set(TEXTS.values())
    num_votes = sum(len(one.votes) for one in corpus.utterances)
    assert num_votes == sum(int(row["numResponses"]) for row in rows)
    assert len(corpus.warnings) == 1  # there is no audio


def test_the_real_tables_winners_are_the_votes_winners(
    real: tuple[Corpus, list[dict[str, str]]],
) -> None:
    corpus, rows = real
    counts: dict[tuple[str, str], Counter[str]] = {}
    for one in corpus.utterances:
        for vote in one.votes:
            counts.setdefault((one.id, vote.kind), Counter())[vote.label] += 1
    consensus = {one.id: one.consensus for one in corpus.utterances}
    num_single = 0
    for row in rows:
        kind, winner = dict(SHOWN)[row[""][0]], LETTERS.get(row["emoVote"], "")
        if winner:
            num_single += 1
            cast = counts[row["fileName"], kind]
            assert [label for label, n in cast.items() if n == max(cast.values())] == [winner]
        if kind == "multimodal":
            assert consensus[row["fileName"]] == winner
    assert num_single == 20_792
