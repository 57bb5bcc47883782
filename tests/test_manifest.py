"""The manifest reader: every vote and every cell as it stands in the files, in both formats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from amber_cache.corpora import read_corpus
from amber_cache.errors import CorpusError
from amber_cache.records import Corpus, Vote
from tests.made_corpora import extract, read_cache, write_table

HASH = ("--text-encoder", "hash")

MANIFEST = [
    {"id": "b", "text": "Grüße, 你好", "speaker": "S1", "start": "1.5", "end": "2.25"},
    {"id": "a", "text": 'she said "no", twice', "speaker": "", "start": "", "end": ""},
]
VOTES = [
    {"id": "a", "rater": "r2", "label": "  Happy ", "kind": "", "primary": ""},
    {"id": "b", "rater": "r1", "label": "勇敢", "kind": "self", "primary": "true"},
    {"id": "a", "rater": "r1", "label": "SAD", "kind": "voice", "primary": "False"},
    {"id": "a", "rater": "r1", "label": "ängstlich", "kind": "external", "primary": "no"},
    {"id": "b", "rater": "", "label": "sad", "kind": "", "primary": "1"},
]
WANTED = {
    "a": [
        Vote("r2", "happy"),
        Vote("r1", "sad", "voice", primary=False),
        Vote("r1", "ängstlich", primary=False),
    ],
    "b": [Vote("r1", "勇敢", "self"), Vote("", "sad")],
}


def read(path: Path, **options: Path) -> Corpus:
    return read_corpus("manifest", path, **options)


def write_both(folder: Path, kind: str = "csv") -> Path:
    write_table(folder / f"votes.{kind}", VOTES)
    return write_table(folder / f"manifest.{kind}", MANIFEST)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_the_cache_holds_every_vote_as_it_was_cast(tmp_path: Path, kind: str) -> None:
    manifest = write_both(tmp_path, kind)
    assert extract(manifest, encoders=HASH).status == 0
    content = read_cache(manifest)
    votes = content.votes
    found: dict[str, list[Vote]] = {}
    for row in range(len(votes)):
        vote = Vote(
            votes.rater[row],
            votes.labels[votes.label[row]],
            votes.kind[row],
            primary=bool(votes.primary[row]),
        )
        found.setdefault(content.utterances.id[votes.utterance[row]], []).append(vote)
    assert found == WANTED
    assert votes.labels == ("happy", "sad", "ängstlich", "勇敢")


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_the_cells_are_kept_and_the_utterances_sorted(tmp_path: Path, kind: str) -> None:
    corpus = read(write_both(tmp_path, kind))
    one, two = corpus.utterances
    assert (one.id, one.text, one.speaker) == ("a", 'she said "no", twice', "")
    assert (one.start_s, one.end_s, one.audio) == (None, None, None)
    assert (two.id, two.text, two.speaker) == ("b", "Grüße, 你好", "S1")
    assert (two.start_s, two.end_s, two.place_s) == (1.5, 2.25, 1.5)
    assert (corpus.modalities, corpus.warnings) == (("text",), ())


@pytest.mark.parametrize("encode", ["utf-8-sig", "utf-8"])
@pytest.mark.parametrize("newline", ["\r\n", "\n", "\r"])
def test_byte_order_marks_and_line_ends_do_not_matter(
    tmp_path: Path, encode: str, newline: str
) -> None:
    plain = read(write_both(tmp_path))
    for name in ("manifest.csv", "votes.csv"):
        text = (tmp_path / name).read_bytes().decode().replace("\r\n", newline)
        (tmp_path / name).write_bytes(text.encode(encode))
    assert read(tmp_path / "manifest.csv") == plain


def test_column_names_and_cells_may_have_spaces_and_capitals(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(" ID , Text ,CONSENSUS\n x , words , Sad \n")
    (one,) = read(tmp_path / "m.csv").utterances
    assert (one.id, one.text, one.consensus) == ("x", "words", "sad")


def test_blank_lines_are_passed_over_and_lines_are_still_counted(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text('id,text\n\na,"two\nlines"\n\nb\n')
    with pytest.raises(CorpusError, match=r"m\.csv, line 6: 1 cells"):
        read(tmp_path / "m.csv")


def test_json_rows_may_lack_columns(tmp_path: Path) -> None:
    rows = [{"id": "a", "text": "one"}, {"id": "b", "audio": "b.wav", "primary": 1}]
    corpus = read(write_table(tmp_path / "m.jsonl", rows))
    assert corpus.modalities == ("audio", "text")
    assert [one.text for one in corpus.utterances] == ["one", ""]
    assert [one.audio for one in corpus.utterances] == [None, Path("b.wav")]


def test_a_separator_inside_a_json_text_breaks_no_line(tmp_path: Path) -> None:
    text = "one\u2028two\u0085three"
    (tmp_path / "m.jsonl").write_text(json.dumps({"id": "a", "text": text}, ensure_ascii=False))
    assert read(tmp_path / "m.jsonl").utterances[0].text == text


def test_votes_may_stand_elsewhere(tmp_path: Path) -> None:
    manifest = write_both(tmp_path)
    other = write_table(tmp_path / "o/mine.jsonl", [{"id": "b", "rater": "x", "label": "sad"}])
    found = {one.id: one.votes for one in read(manifest, votes_file=other).utterances}
    assert found == {"a": (), "b": (Vote("x", "sad"),)}


def test_paths_are_relative_to_the_manifest(tmp_path: Path) -> None:
    manifest = write_table(tmp_path / "deep/m.csv", [{"id": "a", "audio": "wav/a.wav"}])
    corpus = read(manifest)
    assert (corpus.root, corpus.utterances[0].audio) == (tmp_path / "deep", Path("wav/a.wav"))


def test_a_column_without_a_name_is_told(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("id,text,\na,one,\n")
    warnings = read(tmp_path / "m.csv").warnings
    assert warnings[0].endswith("unknown columns are left out: one without a name")


@pytest.mark.parametrize("number", ["1e400", "inf", "1,5", "0:01"])
def test_a_time_that_is_no_number_is_refused_with_its_line(tmp_path: Path, number: str) -> None:
    manifest = write_table(tmp_path / "m.csv", [{"id": "a", "text": "t", "end": number}])
    with pytest.raises(CorpusError, match=r"m\.csv, line 2: end is '.*'; it must be a number"):
        read(manifest)
