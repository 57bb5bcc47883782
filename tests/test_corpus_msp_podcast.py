"""The MSP-Podcast reader against what the maker put in, and against cases worked by hand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from amber_cache.corpora.base import Reader
from amber_cache.corpora.msp_podcast import read_msp_podcast
from amber_cache.corpora.msp_words import label_of
from amber_cache.errors import CorpusError
from amber_cache.records import Corpus, Utterance
from amber_cache.storage.tables import ratings_table, utterance_table, votes_table
from tests.fake_msp_podcast import RELEASES, Segment, make_msp_podcast

DETAILED, BLOCKS, JSON = "labels_detailed.csv", "labels.txt", "labels_detailed.json"
ONE, TWO = "MSP-PODCAST_0001_0139", "MSP-PODCAST_0002_0007"
FIRST, SECOND = "WORKER00000001", "WORKER00000018"
LEVELS = "A:3.000000; V:3.000000; D:4.000000;"
HEAD = f"{ONE}.wav; N; A:2.400000; V:4.000000; D:2.800000;"
COLUMNS = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"


def write_release(
    root: Path, files: Mapping[str, str | bytes], audio: str = f"{ONE} {TWO}"
) -> Path:
    """A release by hand: these files, these empty audio files."""
    named = {**files, **{f"Audios/{name}.wav": b"" for name in audio.split()}}
    for name, content in named.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        data = content if isinstance(content, bytes) else content.encode()
        (root / name).write_bytes(data)
    return root


def read_blocks(root: Path, *lines: str) -> Corpus:
    """The corpus of a labels.txt with these lines, and nothing else but audio."""
    return read_msp_podcast(write_release(root, {"Labels/labels.txt": "\n".join(lines) + "\n"}))


def by_id(corpus: Corpus) -> dict[str, Utterance]:
    return {one.id: one for one in corpus.utterances}


def votes(one: Utterance) -> list[tuple[str, str, bool]]:
    return [(vote.rater, vote.label, vote.primary) for vote in one.votes]


def assert_as_made(corpus: Corpus, made: Mapping[str, Segment]) -> None:
    assert [one.id for one in corpus.utterances] == sorted(made)
    for one in corpus.utterances:
        put_in = made[one.id]
        assert votes(one) == put_in.votes, one.id
        ratings = [(rating.rater, rating.dimension, rating.value) for rating in one.ratings]
        assert ratings == put_in.ratings, one.id
        for name in ("speaker", "gender", "split", "consensus", "text"):
            assert getattr(one, name) == getattr(put_in, name), (one.id, name)
        assert (one.language, one.dialogue) == ("en", one.id.split("_")[1])
        assert one.audio is not None
        assert (corpus.root / one.audio).is_file() == put_in.has_audio
    assert all(vote.kind == "external" for one in corpus.utterances for vote in one.votes)


@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize("release", RELEASES)
def test_every_release_is_read_vote_by_vote(tmp_path: Path, release: str, odd: bool) -> None:
    made = make_msp_podcast(tmp_path / "release", release=release, seed=1, odd=odd, nested=odd)
    corpus = read_msp_podcast(tmp_path / "release")
    assert_as_made(corpus, made)
    assert (corpus.name, corpus.protocol) == ("msp-podcast", "msp-podcast-8")
    assert ("text" in corpus.modalities) == RELEASES[release].has_transcripts
    assert sum(len(one.votes) for one in corpus.utterances) > 240


@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize(
    ("name", "shape"), [(DETAILED, "lines"), (DETAILED, "columns"), (BLOCKS, None), (JSON, None)]
)
def test_every_label_file_is_read_vote_by_vote(
    tmp_path: Path, name: str, shape: str | None, odd: bool
) -> None:
    made = make_msp_podcast(tmp_path, label_files=(name,), detailed=shape, seed=2, odd=odd)
    assert_as_made(read_msp_podcast(tmp_path), made)


def test_without_a_consensus_file_the_other_files_say_it(tmp_path: Path) -> None:
    made = make_msp_podcast(tmp_path, label_files=(BLOCKS,), has_consensus=False, seed=3)
    assert_as_made(read_msp_podcast(tmp_path), made)
    assert len({one.consensus for one in made.values()}) > 3


def test_the_consensus_alone_gives_no_votes_and_says_so(tmp_path: Path) -> None:
    made = make_msp_podcast(tmp_path, label_files=(), seed=3)
    corpus = read_msp_podcast(tmp_path)
    assert not any(one.votes or one.ratings for one in corpus.utterances)
    assert {one.id: one.consensus for one in corpus.utterances} == {
        name: one.consensus for name, one in made.items()
    }
    assert any("labels_detailed.csv, labels.txt" in one for one in corpus.warnings)


def test_a_clean_release_has_only_counts_to_tell(tmp_path: Path) -> None:
    make_msp_podcast(tmp_path, num_segments=100, num_votes=500, seed=4)
    told = read_msp_podcast(tmp_path).warnings
    assert [one.split(": ", 1)[1].split(" (")[0] for one in told[:2]] == ["5 of 100 segments"] * 2
    assert len(told) == 3
    assert "(Test3 5) have no votes" in told[0]
    assert "(Test3 5) have no transcript" in told[1]
    assert "have no known speaker: group them by dialogue" in told[2]


def test_odd_lines_are_told_with_file_and_line(tmp_path: Path) -> None:
    make_msp_podcast(tmp_path, seed=1, label_files=(BLOCKS,), odd=True)
    told = "\n".join(read_msp_podcast(tmp_path).warnings)
    path = tmp_path / "Labels" / "labels.txt"
    cut = 1 + path.read_text(encoding="latin-1").splitlines().index("WORKER00000044; Surp")
    for text in (
        f"{path}, line {cut}: 'WORKER00000044; Surp' is no whole line of a rater",
        f"{path}, line {cut + 3}: MSP-PODCAST_0001_0001, WORKER",
        "'Bewildered' is no known label and is not counted",
        "'Wistful' is no known label",
        "stands there 2 times; each is counted",
        "MSP-PODCAST_0001_0006, WORKER",
        "arousal is 'NaN', no number from 1 to 7",
        "MSP-PODCAST_0001_0005 stands in no consensus file and no partition; it is kept",
        f"{tmp_path}/Labels/labels_consensus.csv, line 6: MSP-PODCAST_0001_0004 has no audio file",
        "Audios/MSP-PODCAST_9999_0001.wav stands in no label file and no partition",
        "Transcripts/MSP-PODCAST_8888_0001.txt belongs to no segment",
        "'MSP-PODCAST_0001_00' is no whole line of a rater below a segment's",
        "unreadable lines: ",
    ):
        assert text in told, text
    assert "._" not in told


def test_many_of_a_kind_are_told_in_five_lines_and_a_count(tmp_path: Path) -> None:
    lines = [f"WORKER{i:08d}; Angsty; A:3; V:3; D:3;" for i in range(12)]
    corpus = read_blocks(tmp_path, HEAD, *lines)
    told = [one for one in corpus.warnings if "Angsty" in one or "unknown labels" in one]
    assert len(told) == 6
    assert told[-1] == "unknown labels: 7 more, 12 in all"


def test_the_example_of_the_release_notes_worked_by_hand(tmp_path: Path) -> None:
    corpus = read_blocks(
        tmp_path,
        HEAD,
        f"{FIRST}; Other-confused; Concerned,Confused; {LEVELS}",
        f"{SECOND}; Surprise; Neutral,Surprise; A:1.000000; V:4.000000; D:2.000000;",
        "",
    )
    one = by_id(corpus)[ONE]
    assert votes(one) == [
        (FIRST, "other", True),
        (FIRST, "concerned", False),
        (FIRST, "confused", False),
        (SECOND, "surprise", True),
        (SECOND, "neutral", False),
        (SECOND, "surprise", False),
    ]
    assert [rating.value for rating in one.ratings] == [3, 3, 4, 1, 4, 2]
    assert (one.consensus, one.dialogue) == ("neutral", "0001")
    assert not by_id(corpus)[TWO].votes


@pytest.mark.parametrize(
    ("line", "primary", "secondary"),
    [
        (f"{FIRST}; Sad; {LEVELS}", "sad", ""),
        (f"{FIRST}; Sad; ; {LEVELS}", "sad", ""),
        (f"{FIRST};; Sad;; Fear;; {LEVELS}", "sad", "fear"),
        (f"{FIRST}; Sad; Fear, Fear,,; A:3;; V: 3 ; D:4  ", "sad", "fear"),
        (f"  {FIRST} ;u;a,S ,oTHER; {LEVELS} ;", "surprise", "angry sad other"),
        (f"{FIRST}; Other-a; b; Happy; {LEVELS}", "other", "happy"),
        (f"{FIRST}; Sad; Other-torn, wry,Fear; {LEVELS}", "sad", "other fear"),
        (f"{FIRST}; Sad; Other-a; b,Fear; {LEVELS}", "sad", "other fear"),
        (f"{FIRST}; ; Fear; {LEVELS}", "", "fear"),
        (f"{FIRST}; X; X; {LEVELS}", "", ""),
        (f"{FIRST}; NA; NA; {LEVELS}", "", ""),
        (f"{FIRST}; Otherwise; Fear; {LEVELS}", "", "fear"),
    ],
)
def test_a_raters_line_worked_by_hand(
    tmp_path: Path, line: str, primary: str, secondary: str
) -> None:
    corpus = read_blocks(tmp_path, HEAD, line)
    one = by_id(corpus)[ONE]
    assert [vote.label for vote in one.votes if vote.primary] == primary.split()
    assert [vote.label for vote in one.votes if not vote.primary] == secondary.split()
    assert [rating.value for rating in one.ratings] == [3, 3, 4]
    told = any("is no known label" in text for text in corpus.warnings)
    assert told == (not primary)


@pytest.mark.parametrize(
    "line",
    [
        FIRST,
        f"{FIRST}; Sad",
        f"{FIRST}; Sad; Fear; A:3.0; V:4.0",
        f"{FIRST}; Sur{SECOND}; Sad; Fear; {LEVELS}",
        f"{FIRST}{SECOND}; Sad; Fear; {LEVELS}",
        f"{FIRST}; Sur{TWO}.wav; N; {LEVELS}",
        f"MSP-PODCAST_0002_00; N; {LEVELS}",
        f"{FIRST}; {LEVELS}",
    ],
)
def test_a_cut_line_gives_no_vote_and_is_told(tmp_path: Path, line: str) -> None:
    corpus = read_blocks(tmp_path, HEAD, line, "", f"{TWO}.wav; S;", f"{SECOND}; Sad; {LEVELS}")
    assert votes(by_id(corpus)[ONE]) == []
    assert votes(by_id(corpus)[TWO]) == [(SECOND, "sad", True)]
    assert any("labels.txt, line 2: " in told for told in corpus.warnings)


@pytest.mark.parametrize(
    ("name", "shape"), [(BLOCKS, None), (DETAILED, "lines"), (DETAILED, "columns")]
)
def test_no_cut_line_ever_gives_a_vote_to_another(
    tmp_path: Path, name: str, shape: str | None
) -> None:
    made = make_msp_podcast(
        tmp_path, num_segments=12, num_votes=48, label_files=(name,), detailed=shape, seed=8
    )
    path = tmp_path / "Labels" / name
    lines = path.read_bytes().splitlines(keepends=True)
    random = np.random.default_rng(9)
    for _ in range(80):
        row = int(random.integers(1, len(lines)))
        whole = lines[row].rstrip(b"\n")
        cut = whole[: int(random.integers(0, len(whole) + 1))] + b"\n" * int(random.integers(2))
        path.write_bytes(b"".join((*lines[:row], cut, *lines[row + 1 :])))
        corpus = read_msp_podcast(tmp_path)
        assert [one.id for one in corpus.utterances] == list(made)
        lost = 0
        for one in corpus.utterances:
            there, put_in = Counter(votes(one)), Counter(made[one.id].votes)
            assert there <= put_in, (cut, one.id)
            lost += (put_in - there).total()
        told = any(f"{name}, line " in told for told in corpus.warnings)
        assert told or not lost or not cut.strip(), cut


@pytest.mark.parametrize("header", ["MSP-PODCAST_0002_00", "MSP-PODCAST_0002_00; S; A:2;", "?", ""])
def test_votes_below_a_broken_header_are_nobodys(tmp_path: Path, header: str) -> None:
    own, others = f"{FIRST}; Happy; {LEVELS}", f"{SECOND}; Sad; {LEVELS}"
    corpus = read_blocks(tmp_path, HEAD, own, header, others)
    assert votes(by_id(corpus)[ONE]) == [(FIRST, "happy", True)]
    assert votes(by_id(corpus)[TWO]) == []
    assert any(f"line 4: '{SECOND}; Sad" in told for told in corpus.warnings)


def test_a_whole_header_opens_its_block_whatever_follows_the_name(tmp_path: Path) -> None:
    corpus = read_blocks(tmp_path, HEAD, f"{TWO}.wav; S{FIRST}; Sad", f"{SECOND}; Sad; {LEVELS}")
    assert votes(by_id(corpus)[TWO]) == [(SECOND, "sad", True)]
    assert by_id(corpus)[TWO].consensus == ""
    assert any("line 2: " in told and "has no consensus label" in told for told in corpus.warnings)


def test_csv_fields_may_stand_in_quotes_or_not(tmp_path: Path) -> None:
    line = f"{FIRST}; Other-so, so; Neutral,Fear; {LEVELS}"
    for number, row in enumerate(
        (f'{ONE}.wav,"{line}"', f'"{ONE}.wav", "{line}"', f"{ONE}.wav,{line}")
    ):
        files = {f"Labels/{DETAILED}": f"FileName,EmoDetail\n{row}\n"}
        corpus = read_msp_podcast(write_release(tmp_path / str(number), files))
        labels = [vote.label for vote in by_id(corpus)[ONE].votes]
        assert labels == ["other", "neutral", "fear"], row


def test_a_quote_that_nothing_ends_swallows_no_other_line(tmp_path: Path) -> None:
    rows = (f'{ONE}.wav,"{FIRST}; Sad; Fe', f"{TWO}.wav,{SECOND}; Sad; {LEVELS}")
    files = {f"Labels/{DETAILED}": "\n".join(("FileName,EmoDetail", *rows))}
    corpus = read_msp_podcast(write_release(tmp_path, files))
    assert votes(by_id(corpus)[TWO]) == [(SECOND, "sad", True)]
    assert any("line 2: " in told for told in corpus.warnings)


def test_details_win_for_votes_and_the_consensus_file_for_the_rest(tmp_path: Path) -> None:
    files = {
        f"Labels/{DETAILED}": f"FileName,EmoDetail\n{ONE}.wav,{FIRST}; Sad; {LEVELS}\n",
        f"Labels/{BLOCKS}": f"{HEAD}\n{FIRST}; Happy; {LEVELS}\n",
        "Labels/labels_consensus.csv": f"{COLUMNS}\n{ONE}.wav,H,1,1,1,127,Male,Train\n",
        "Partitions.txt": f"Test1; {ONE}.wav\nTest3; {TWO}.wav\n",
        "Speaker_ids.txt": f"Speaker_9; Female\n{ONE}.wav; 126\n{TWO}.wav; Speaker_9\n",
    }
    corpus = read_msp_podcast(write_release(tmp_path, files))
    one, two = by_id(corpus)[ONE], by_id(corpus)[TWO]
    assert [vote.label for vote in one.votes] == ["sad"]
    assert (one.consensus, one.speaker, one.gender, one.split) == ("happy", "127", "male", "Train")
    assert (two.consensus, two.speaker, two.gender, two.split) == ("", "9", "female", "Test3")
    told = "\n".join(corpus.warnings)
    assert f"{ONE}: the split is Train, and Test1 in {tmp_path}/Partitions.txt, line 1" in told
    assert f"{ONE}: the speaker is 127, and 126 in {tmp_path}/Speaker_ids.txt, line 2" in told
    assert f"{ONE}: the consensus is happy, the votes' sad" in told


def test_unknown_speakers_are_no_speaker_and_na_is_a_name(tmp_path: Path) -> None:
    rows = (f"{ONE}.wav,X,1,1,1,Unknown,Unknown,Test1", f"{TWO}.wav,NA,1,1,1,NA,NA,NA")
    files = {"Labels/labels_concensus.csv": "\n".join((COLUMNS, *rows))}
    corpus = read_msp_podcast(write_release(tmp_path, files))
    one, two = by_id(corpus)[ONE], by_id(corpus)[TWO]
    assert (one.consensus, one.speaker, one.gender, one.split) == ("", "", "", "Test1")
    assert (two.consensus, two.speaker, two.gender, two.split) == ("", "NA", "NA", "NA")
    told = "\n".join(corpus.warnings)
    assert "line 3: " in told
    assert "the consensus 'NA' is no known label" in told
    assert "the split 'NA' is kept as it is" in told


def test_json_takes_numbers_and_lists_and_loses_no_twin(tmp_path: Path) -> None:
    said = {
        "EmoClass_Major": "Sad",
        "EmoClass_Second": ["Fear", "Amused"],
        "EmoAct": 3,
        "EmoVal": None,
    }
    text = json.dumps(said)
    both = f'{{"{ONE}.wav": {{"{FIRST}": {text}, "{FIRST}": {text}}}}}'
    one = by_id(read_msp_podcast(write_release(tmp_path, {"labels/labels.json": both})))[ONE]
    assert [vote.label for vote in one.votes] == ["sad", "fear", "amused"] * 2
    assert [(rating.dimension, rating.value) for rating in one.ratings] == [("arousal", 3.0)] * 2


def test_json_consensus_is_read_where_there_is_no_csv(tmp_path: Path) -> None:
    row = {"EmoClass": "C", "SpkrID": "12", "Gender": "Female", "Split_Set": "Train"}
    files = {"Labels/labels_consensus.json": json.dumps({f"{ONE}.wav": row})}
    one = by_id(read_msp_podcast(write_release(tmp_path, files)))[ONE]
    assert (one.consensus, one.speaker, one.gender, one.split) == (
        "contempt",
        "12",
        "female",
        "Train",
    )


def test_codes_and_words_are_known_in_any_case() -> None:
    codes = {"A": "angry", "S": "sad", "H": "happy", "U": "surprise", "F": "fear", "D": "disgust"}
    for word, label in {**codes, "C": "contempt", "N": "neutral", "O": "other", "X": ""}.items():
        assert label_of(word) == label_of(f" {word.lower()} ") == label
    assert {label_of(text) for text in ("Other-sad", "OTHER", "other (x)", "others: y")} == {
        "other"
    }
    assert [label_of(text) for text in ("", "NA", "Otherwise", "Sadd", "neut")] == [None] * 5


def test_equal_votes_and_ratings_are_one_object(tmp_path: Path) -> None:
    make_msp_podcast(tmp_path, num_segments=300, num_votes=3000, num_raters=10, seed=5)
    corpus = read_msp_podcast(tmp_path)
    for records in ("votes", "ratings"):
        everything = [record for one in corpus.utterances for record in getattr(one, records)]
        assert len({id(record) for record in everything}) == len(set(everything))
        assert len(set(everything)) < len(everything) / 4


def test_the_reader_gives_the_same_from_the_folder_above_and_in_any_order(tmp_path: Path) -> None:
    make_msp_podcast(tmp_path / "above" / "release", seed=6, odd=True)
    corpus = read_msp_podcast(tmp_path / "above")
    assert corpus == read_msp_podcast(tmp_path / "above" / "release")
    assert corpus.root == tmp_path / "above" / "release"
    assert isinstance(read_msp_podcast, Reader)


def test_what_is_read_fits_into_a_cache(tmp_path: Path) -> None:
    make_msp_podcast(tmp_path, seed=7, odd=True)
    corpus = read_msp_podcast(tmp_path)
    assert len(utterance_table(corpus.utterances)) == len(corpus.utterances)
    assert len(votes_table(corpus.utterances)) == sum(len(one.votes) for one in corpus.utterances)
    ratings = ratings_table(corpus.utterances)
    assert ratings is not None
    assert 1 <= ratings.value.min() <= ratings.value.max() <= 7


def test_missing_parts_are_told_and_the_rest_is_read(tmp_path: Path) -> None:
    files = {"Labels/labels.txt": HEAD, f"Transcripts/{ONE}.txt": "Some words.\n"}
    text_only = read_msp_podcast(write_release(tmp_path / "text", files, audio=""))
    assert (text_only.modalities, text_only.utterances[0].audio) == (("text",), None)
    assert any("no Audios/*.wav; the corpus is read without audio" in t for t in text_only.warnings)
    audio_only = read_blocks(tmp_path / "audio", HEAD)
    assert audio_only.modalities == ("audio",)
    assert any("no Transcripts/*.txt" in told for told in audio_only.warnings)


BAD: list[tuple[dict[str, str | bytes], str]] = [
    (
        {"readme.txt": "hello"},
        "no label file: looked for labels_detailed.csv, labels.txt, .* found Audios, readme.txt; "
        "wanted the folder",
    ),
    (
        {"a/Labels/labels.txt": HEAD, "b/Labels/labels.txt": HEAD},
        "several folders hold a release: a, b; name one of them",
    ),
    (
        {"Labels/labels_consensus.csv": f"{COLUMNS}\n" + f"{ONE}.wav,N,1,1,1,1,Male,Train\n" * 2},
        rf"labels_consensus.csv, line 3: {ONE} stands there in line 2 already",
    ),
    (
        {
            "Labels/labels_consensus.json": f'{{"{ONE}": {{"EmoClass": "N"}}, "{ONE}.wav": '
            '{"EmoClass": "N"}}'
        },
        f"labels_consensus.json: {ONE} stands there once already",
    ),
    (
        {"Labels/labels_consensus.csv": "FileName,Class\n"},
        "needs the columns FileName and EmoClass",
    ),
    ({"Labels/labels_consensus.csv": f"{COLUMNS}\n{ONE}.wav,N\n"}, "no row that can be read"),
    (
        {"Labels/labels_detailed.csv": "FileName,Detail\n"},
        "FileName, Workers and .* FileName, Detail",
    ),
    ({"Labels/labels_detailed.csv": ""}, "it has nothing"),
    ({"Labels/labels_detailed.csv": "FileName,EmoDetail\n"}, "no votes that can be read"),
    ({"Labels/labels.txt": b"\x00\x01\xff" * 40}, "labels.txt: has no votes that can be read"),
    ({"Labels/labels_detailed.json": '{"a.wav": '}, "labels_detailed.json: is no JSON"),
    ({"Labels/labels_detailed.json": "[1]"}, "is no JSON object"),
    ({"Labels/labels_detailed.json": '{"a.wav": {"EmoClass": "N"}}'}, "'a.wav' is not {worker"),
    ({"Labels/labels_detailed.json": '{"EmoClass_Major": "Sad"}'}, "is no JSON object"),
    ({"Labels/labels_consensus.json": '{"a.wav": {}}'}, "'a.wav' is not {EmoClass"),
    (
        {"Labels/labels.txt": HEAD, "Partitions.txt": f"Train; {ONE}.wav\nTest1; {ONE}.wav\n"},
        f"Partitions.txt, line 2: {ONE} is 'Test1', but another in line 1",
    ),
    (
        {"Labels/labels.txt": HEAD, "Speaker_ids.txt": f"{ONE}.wav; 1\n{ONE}.wav; 2\n"},
        f"Speaker_ids.txt, line 2: {ONE} is '2', but another in line 1",
    ),
    ({"Labels/labels.txt": "a.wav; N;"}, "no audio file belongs to a label"),
]


@pytest.mark.parametrize(("files", "message"), BAD)
def test_what_makes_the_whole_untrustworthy_is_refused(
    tmp_path: Path, files: dict[str, str | bytes], message: str
) -> None:
    with pytest.raises(CorpusError, match=message) as caught:
        read_msp_podcast(write_release(tmp_path, files))
    assert "\n" not in str(caught.value)


def test_a_part_of_a_release_is_refused(tmp_path: Path) -> None:
    write_release(tmp_path, {"Labels/labels.txt": HEAD, "Audios.zip": ""}, audio="")
    with pytest.raises(
        CorpusError, match=r"only a part .* found Audios.zip, Labels; wanted the folder"
    ):
        read_msp_podcast(tmp_path)
    with pytest.raises(CorpusError, match="no label file: .* found nothing"):
        read_msp_podcast((tmp_path / "empty").mkdir() or tmp_path / "empty")
    with pytest.raises(CorpusError, match="no such folder"):
        read_msp_podcast(tmp_path / "nowhere")


def test_wrong_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="needs --root with the release's folder"):
        read_msp_podcast(None)
    with pytest.raises(CorpusError, match="--votes-file: MSP-Podcast brings its own votes"):
        read_msp_podcast(tmp_path, votes_file=tmp_path / "votes.csv")
