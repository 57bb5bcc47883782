"""`amber extract` on manifests and votes that can't be used: one line, exit 2, nothing written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands import amber
from tests.made_corpora import (
    BUILTIN,
    assert_refused,
    extract,
    files_under,
    make_corpus,
    read_cache,
    read_rows,
    write_table,
)

TEXTS = [{"id": "a", "text": "one"}, {"id": "b", "text": "two"}]
VOTES = [{"id": "a", "rater": "r1", "label": "happy"}]


def texts_only(folder: Path, *, manifest: bytes | None = None, votes: bytes | None = None) -> Path:
    """A manifest of texts, with another content of one of its files where one is given."""
    path = write_table(folder / "manifest.csv", TEXTS)
    write_table(folder / "votes.csv", VOTES)
    if manifest is not None:
        path.write_bytes(manifest)
    if votes is not None:
        (folder / "votes.csv").write_bytes(votes)
    return path


def refuse(manifest: Path, match: str, *options: object) -> None:
    """The command refuses, and leaves all files as they are."""
    before = files_under(manifest.parent)
    finished = extract(manifest, *options, encoders=("--text-encoder", "hash"))
    assert_refused(finished, match)
    assert files_under(manifest.parent) == before


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", r"manifest\.csv: has no utterances; it needs one a row"),
        (b"id,text\n", r"manifest\.csv: has no utterances; it needs one a row"),
        (b"\x89PNG\r\n\x1a\n\xff\xfe\x00", r"manifest\.csv: is no text in UTF-8 .*; save it as"),
        ("id,text\na,ö\n".encode("utf-16"), r"manifest\.csv: is no text in UTF-8"),
        (b'id,text\na,"he said "no", and left"\n', r"manifest\.csv, line 2: is no CSV: .*doubled"),
        (b'id,text\na,one\nb,"never closed\n', r"manifest\.csv, line 3: is no CSV: .*doubled"),
        (b"id,text\na,one,more\n", r"line 2: 3 cells, but 2 columns; .*in quotes"),
        (b"id,text\na,one\nb\n", r"line 3: 1 cells, but 2 columns"),
        (b"id;text\na;one\n", r"needs a column id .*parted by commas; it has id;text"),
        (b"name,text\na,one\n", r"needs a column id .*; it has name, text"),
        (b"id,speaker\na,one\n", r"at least one of audio and text.*; it has id, speaker"),
        (b"id,text,Text\na,one,two\n", r"line 1: the column 'text' stands twice"),
        (b"id,text\na,one\n,two\n", r"line 3: the id is empty; every utterance needs one"),
        (
            b"id,text\na,one\nb,two\na,three\n",
            r"line 4: the id 'a' stands in line 2 already; .*uni",
        ),
        (b'id,text\n"a",one\n a ,two\n', r"line 3: the id 'a' stands in line 2 already"),
        (b'id,text\n"a\nb",one\n', r"line 3: the id 'a\\nb' has a line break in it"),
        (b"id,text,start\na,one,soon\n", r"line 2: start is 'soon'; it must be a number of secon"),
        (b"id,text,end\na,one,nan\n", r"line 2: end is 'nan'; it must be a number of seconds"),
        (b"id,text\na,on\x00e\n", r"line 2: text is 'on\\x00e', which has a zero byte"),
    ],
)
def test_a_manifest_that_cant_be_read_is_refused_with_its_line(
    tmp_path: Path, content: bytes, match: str
) -> None:
    refuse(texts_only(tmp_path, manifest=content), match)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ('{"id": "a", "text": "one"}\n{"id": "b", \n', r"\.jsonl, line 2: not JSON: "),
        ('["a", "one"]\n', r"\.jsonl, line 1: not a JSON object"),
        ('{"id": "a", "text": "one"}\n\n{"text": "two"}\n', r"\.jsonl, line 3: the id is empty"),
        ('{"id": "a", "text": {"en": "one"}}\n', r"line 1: text is no plain value"),
        ('{"id": "a", "ID": "b", "text": "one"}\n', r"line 1: the column 'id' stands twice"),
        ('{"id": "a", "id": "b", "text": "one"}\n', r"line 1: the column 'id' stands twice"),
        (
            '{"id": "a", "text": "\\ud83d"}\n',
            r"line 1: text is '\\ud83d', which has .* half a char",
        ),
        ("[" * 100_000 + "\n", r"line 1: not JSON"),
    ],
)
def test_json_lines_that_cant_be_read_are_refused_with_their_line(
    tmp_path: Path, content: str, match: str
) -> None:
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text(content, encoding="utf-8")
    refuse(manifest, match)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("absent.csv", r"absent\.csv: can't be read: No such file or directory"),
        ("folder.csv", r"folder\.csv: can't be read: Is a directory"),
        ("manifest.txt", r"manifest\.txt: must be a \.csv or \.jsonl file"),
        (".", r": must be a \.csv or \.jsonl file"),
        ("x" * 300 + ".csv", r"can't be read: File name too long"),
    ],
)
def test_a_root_that_is_no_manifest_is_refused(tmp_path: Path, name: str, match: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "manifest.txt").write_text("id,text\na,one\n")
    options = ("--corpus", "manifest", "--root", tmp_path / name, "--text-encoder", "hash")
    before = files_under(tmp_path)
    assert_refused(amber("extract", *options, cwd=tmp_path), match)
    assert files_under(tmp_path) == before


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (
            b"id,rater,label\nc,r1,sad\n",
            r"votes\.csv, line 2: a vote for 'c', which .*manifest\.csv",
        ),
        (b"id,rater,label\na,r1,\n", r"line 2: the vote for 'a' has no label; name one or take"),
        (b"id,rater\na,r1\n", r"needs the columns id, rater and label.*; it has id, rater"),
        (b"id,rater,label,primary\na,r1,sad,maybe\n", r"primary is 'maybe'; it must be true or f"),
        (b"id,rater,label\na,r1\n", r"votes\.csv, line 2: 2 cells, but 3 columns"),
        (b"\xff\xfe", r"votes\.csv: is no text in UTF-8"),
    ],
)
def test_votes_that_cant_be_read_are_refused_with_their_line(
    tmp_path: Path, content: bytes, match: str
) -> None:
    refuse(texts_only(tmp_path, votes=content), match)


def test_a_json_vote_without_a_label_is_refused_with_its_line(tmp_path: Path) -> None:
    manifest = texts_only(tmp_path)
    lines = [{"id": "a", "rater": "r1", "label": "sad"}, {"id": "b", "rater": "r1"}]
    votes = write_table(tmp_path / "other.jsonl", lines)
    refuse(manifest, r"other\.jsonl, line 2: the vote for 'b' has no label", "--votes-file", votes)


def test_a_votes_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    match = r"nowhere\.csv: can't be read: No such file or directory"
    refuse(texts_only(tmp_path), match, "--votes-file", tmp_path / "nowhere.csv")


def test_a_refused_manifest_leaves_the_cache_as_it_was(tmp_path: Path) -> None:
    manifest = texts_only(tmp_path)
    assert extract(manifest, encoders=("--text-encoder", "hash")).status == 0
    manifest.write_text("id,text\na,one\na,two\n")
    refuse(manifest, r"the id 'a' stands in line 2 already")


def test_unknown_columns_are_named_in_a_warning_and_left_out(tmp_path: Path) -> None:
    manifest = texts_only(
        tmp_path,
        manifest=b"id,text,mood,speakr\na,one,x,y\n",
        votes=b"id,rater,label,date\na,r1,sad,1\n",
    )
    finished = extract(manifest, encoders=("--text-encoder", "hash"))
    assert finished.status == 0
    assert "manifest.csv: unknown columns are left out: mood, speakr\n" in finished.err
    assert "votes.csv: unknown columns are left out: date\n" in finished.err


def test_a_corpus_without_votes_is_extracted_and_told(tmp_path: Path) -> None:
    manifest = texts_only(tmp_path)
    (tmp_path / "votes.csv").unlink()
    finished = extract(manifest, encoders=("--text-encoder", "hash"))
    assert finished.status == 0
    assert "no votes.csv, .jsonl or .parquet; nothing can be trained on it" in finished.err
    assert "2 without votes" in finished.out
    assert len(read_cache(manifest).votes) == 0


def test_an_utterance_without_votes_is_counted_and_no_failure(tmp_path: Path) -> None:
    finished = extract(texts_only(tmp_path), encoders=("--text-encoder", "hash"))
    assert finished.status == 0
    assert finished.out.splitlines()[-1].endswith("1 without votes, 0 failed")


def test_a_vote_that_stands_twice_is_kept_and_told(tmp_path: Path) -> None:
    votes = b"id,rater,label\na,r1,sad\na,r1,sad\na,,sad\na,,sad\n"
    manifest = texts_only(tmp_path, votes=votes)
    finished = extract(manifest, encoders=("--text-encoder", "hash"))
    assert finished.status == 0
    assert "1 votes stand more than once and are counted as often, first 'a'" in finished.err
    assert len(read_cache(manifest).votes) == 4


def test_an_unknown_corpus_is_refused_with_those_on_offer(tmp_path: Path) -> None:
    finished = amber("extract", "--corpus", "radio", cwd=tmp_path)
    assert_refused(finished, r"--corpus radio: no such corpus; choose from .*\bmanifest\b")


def test_a_manifest_without_root_is_refused(tmp_path: Path) -> None:
    finished = amber("extract", "--corpus", "manifest", cwd=tmp_path)
    assert_refused(finished, r"--corpus manifest needs --root with the manifest's file")


def test_a_demo_root_without_the_demo_is_refused(tmp_path: Path) -> None:
    finished = amber("extract", "--root", tmp_path / "none", cwd=tmp_path)
    assert_refused(
        finished, r"none: the demo corpus is not there .*name another corpus with --corpus$"
    )


def test_votes_for_the_demo_are_refused(tmp_path: Path) -> None:
    finished = amber("extract", "--votes-file", "votes.csv", cwd=tmp_path)
    assert_refused(finished, r"--votes-file: the demo corpus brings its own votes")


def test_an_encoder_for_what_the_corpus_lacks_is_refused(tmp_path: Path) -> None:
    match = r"--encoder audio=\.\.\.: the corpus has text only"
    assert_refused(extract(texts_only(tmp_path), encoders=BUILTIN), match)


def test_a_removed_utterance_is_refused_and_the_cache_kept(tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path)
    assert extract(manifest).status == 0
    before = (tmp_path / "cache.h5").read_bytes()
    write_table(manifest, read_rows(manifest)[1:])
    votes = [row for row in read_rows(tmp_path / "votes.csv") if row["id"] != "u1"]
    write_table(tmp_path / "votes.csv", votes)
    assert_refused(extract(manifest), r"1 of its utterances \('u1', \.\.\.\) are not .*--cache")
    assert (tmp_path / "cache.h5").read_bytes() == before


def test_json_numbers_and_nulls_are_read_as_text_and_as_nothing(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text(json.dumps({"id": 7, "text": "seven", "speaker": None}) + "\n")
    write_table(tmp_path / "votes.jsonl", [{"id": 7, "rater": 1, "label": "SAD", "primary": False}])
    assert extract(manifest, encoders=("--text-encoder", "hash")).status == 0
    content = read_cache(manifest)
    assert (content.utterances.id[0], content.utterances.speaker[0]) == ("7", "")
    assert (content.votes.rater[0], content.votes.primary[0]) == ("1", False)
