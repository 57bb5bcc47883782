"""A manifest and votes as Parquet: what the CSV of the same content gives, and refusals."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amber_cache.corpora import read_corpus
from amber_cache.errors import CorpusError
from amber_cache.records import Corpus, Vote
from tests.commands import amber
from tests.made_corpora import assert_refused, extract, files_under, make_corpus, read_rows

Columns = Mapping[str, Sequence[object]]

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=8)
SECONDS = st.none() | st.floats(0, 1e5)


def write_csv(path: Path, columns: Columns) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            writer.writerow(["" if one is None else one for one in row])


def write_both(folder: Path, manifest: Columns, votes: Columns) -> None:
    """The same content in folder/csv and in folder/parquet."""
    for kind in ("csv", "parquet"):
        (folder / kind).mkdir()
    for name, columns in (("manifest", manifest), ("votes", votes)):
        write_csv(folder / f"csv/{name}.csv", columns)
        pq.write_table(pa.table(dict(columns)), folder / f"parquet/{name}.parquet")


def read(folder: Path, kind: str) -> Corpus | str:
    """The corpus, or why it is refused; without what names the file."""
    try:
        corpus = read_corpus("manifest", folder / kind / f"manifest.{kind}")
    except CorpusError as error:
        return str(error).split(": ", 1)[1]
    warnings = tuple(one.split(": ", 1)[1] for one in corpus.warnings)
    return replace(corpus, root=folder, warnings=warnings)


@st.composite
def _tables(draw: st.DrawFn) -> tuple[Columns, Columns]:
    num = draw(st.integers(1, 5))
    several = st.lists(TEXT, min_size=num, max_size=num)
    manifest = {
        "id": [f"u{i}" for i in range(num)],
        "text": draw(several),
        "start": draw(st.lists(SECONDS, min_size=num, max_size=num)),
        "end": draw(st.lists(SECONDS, min_size=num, max_size=num)),
        "speaker": draw(st.lists(st.none() | TEXT, min_size=num, max_size=num)),
        "session": draw(st.lists(st.none() | st.integers(1, 9), min_size=num, max_size=num)),
        "mood": draw(several),
    }
    cast = draw(st.integers(1, 6))
    votes = {
        "id": draw(st.lists(st.sampled_from(manifest["id"]), min_size=cast, max_size=cast)),
        "rater": draw(st.lists(st.none() | TEXT, min_size=cast, max_size=cast)),
        "label": draw(
            st.lists(st.sampled_from(["Sad", " happy", "wütend"]), min_size=cast, max_size=cast)
        ),
        "primary": draw(st.lists(st.none() | st.booleans(), min_size=cast, max_size=cast)),
    }
    return manifest, votes


@given(tables=_tables())
def test_typed_columns_give_what_the_csv_of_the_same_content_gives(
    tmp_path_factory: pytest.TempPathFactory, tables: tuple[Columns, Columns]
) -> None:
    folder = tmp_path_factory.mktemp("tables")
    write_both(folder, *tables)
    found = read(folder, "parquet")
    assert isinstance(found, Corpus)
    assert found == read(folder, "csv")


def test_votes_and_times_are_those_that_were_written(tmp_path: Path) -> None:
    manifest = {"id": [2, 1], "text": ["b", "a"], "start": [0.5, None], "end": [1.25, 2]}
    votes = {"id": [1, 1, 2], "rater": [7, None, 8], "label": ["SAD", "x", "y"]}
    votes |= {"primary": [False, None, True]}
    write_both(tmp_path, manifest, votes)
    corpus = read_corpus("manifest", tmp_path / "parquet/manifest.parquet")
    one, two = corpus.utterances
    assert (one.id, one.start_s, one.end_s) == ("1", None, 2.0)
    assert (two.id, two.start_s, two.end_s) == ("2", 0.5, 1.25)
    assert one.votes == (Vote("7", "sad", primary=False), Vote("", "x"))
    assert two.votes == (Vote("8", "y"),)


def test_a_corpus_is_extracted_from_it_to_the_same_bytes(tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path)
    for name in ("manifest", "votes"):
        rows = read_rows(tmp_path / f"{name}.csv")
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{name}.parquet")
    assert extract(manifest, "--cache", tmp_path / "csv.h5").status == 0
    (tmp_path / "votes.csv").unlink()
    other = tmp_path / "manifest.parquet"
    finished = extract(other, "--cache", tmp_path / "csv.h5")
    assert "nothing was missing" in finished.out, finished
    votes = ("--votes-file", tmp_path / "votes.parquet")
    assert "nothing was missing" in extract(manifest, "--cache", tmp_path / "csv.h5", *votes).out


def table(**columns: object) -> pa.Table:
    return pa.table(columns)


@pytest.mark.parametrize(
    ("manifest", "match"),
    [
        (table(id=["a", "b", "a"], text=["x"] * 3), r"row 3: the id 'a' stands in row 1 already"),
        (table(id=["a", None], text=["x", "y"]), r"row 2: the id is empty"),
        (table(id=["a"], text=["x"], start=["soon"]), r"row 1: start is 'soon'; it must be a nu"),
        (table(id=["a"], text=["x"], end=[float("nan")]), r"row 1: end is 'nan'; it must be a nu"),
        (table(name=["a"], text=["x"]), r"needs a column id .* audio and text; it has name, text"),
        (table(id=["a"], speaker=["x"]), r"at least one of audio and text; it has id, speaker"),
        (table(id=["a"], text=[["x"]]), r"the column 'text' holds list"),
        (table(id=["a"], text=["x"], Text=["x"]), r"its columns: the column 'text' stands twice"),
        (table(id=["a"], text=["x\0y"]), r"row 1: text is 'x\\x00y', which has a zero byte"),
        (table(id=pa.array([], "string"), text=pa.array([], "string")), r"has no utterances"),
    ],
)
def test_a_manifest_that_cant_be_used_is_refused_with_its_row(
    tmp_path: Path, manifest: pa.Table, match: str
) -> None:
    path = tmp_path / "manifest.parquet"
    pq.write_table(manifest, path)
    before = files_under(tmp_path)
    options = ("--corpus", "manifest", "--root", path, "--text-encoder", "hash")
    assert_refused(amber("extract", *options, cwd=tmp_path), r"manifest\.parquet.*" + match)
    assert files_under(tmp_path) == before


def test_votes_that_cant_be_used_are_refused_with_their_row(tmp_path: Path) -> None:
    pq.write_table(table(id=["a"], text=["x"]), tmp_path / "manifest.parquet")
    options = ("--corpus", "manifest", "--root", tmp_path / "manifest.parquet")
    for votes, match in (
        (table(id=["c"], rater=["r"], label=["sad"]), r"row 1: a vote for 'c', which "),
        (table(id=["a"], rater=["r"], label=[None]), r"row 1: the vote for 'a' has no label"),
        (table(id=["a"], rater=["r"], label=["sad"], primary=[2]), r"row 1: primary is '2'"),
        (table(id=["a"], rater=["r"]), r"needs the columns id, rater and label; it has id, rater"),
    ):
        pq.write_table(votes, tmp_path / "votes.parquet")
        assert_refused(amber("extract", *options, cwd=tmp_path), r"votes\.parquet.*" + match)


def test_a_column_that_nobody_reads_may_hold_anything(tmp_path: Path) -> None:
    path = tmp_path / "manifest.parquet"
    pq.write_table(table(id=["a"], text=["x"], frames=[[1.0, 2.0]]), path)
    corpus = read_corpus("manifest", path)
    assert corpus.warnings[0].endswith("unknown columns are left out: frames")


def test_words_in_categories_are_read(tmp_path: Path) -> None:
    path = tmp_path / "manifest.parquet"
    text = pa.array(["one", "two", "one"]).dictionary_encode()
    pq.write_table(table(id=["a", "b", "c"], text=text), path, row_group_size=2)
    assert [one.text for one in read_corpus("manifest", path).utterances] == ["one", "two", "one"]
