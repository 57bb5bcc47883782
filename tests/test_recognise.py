"""Which reader a place is for: each corpus's folder, alone and held; what is not known."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from amber_cache.corpora import READERS
from amber_cache.corpora.recognise import recognise
from amber_cache.errors import CorpusError
from tests.commands import ROOT
from tests.fake_crema_d import make_crema_d
from tests.fake_iemocap import make_iemocap
from tests.fake_msp_podcast import RELEASES, make_msp_podcast
from tests.made_corpora import make_corpus

SMALL = {
    "iemocap": lambda folder: make_iemocap(folder, dialogues=1, utterances=1, audio=False),
    "crema-d": lambda folder: make_crema_d(folder, sentences=("ITH",), audio=False),
    "msp-podcast": lambda folder: make_msp_podcast(folder, num_segments=20, num_votes=40),
}


@pytest.mark.parametrize("name", SMALL)
def test_a_release_is_known_in_its_folder_and_in_one_that_holds_it(
    tmp_path: Path, name: str
) -> None:
    SMALL[name](tmp_path / "release")
    assert recognise(tmp_path / "release") == (name, tmp_path / "release")
    assert recognise(tmp_path) == (name, tmp_path)
    assert READERS[name](tmp_path).utterances


@pytest.mark.parametrize("release", RELEASES)
def test_every_release_of_msp_podcast_is_known(tmp_path: Path, release: str) -> None:
    make_msp_podcast(tmp_path, release=release, num_segments=20, num_votes=40)
    assert recognise(tmp_path)[0] == "msp-podcast"


def test_the_table_of_crema_d_is_known_by_itself(tmp_path: Path) -> None:
    made = make_crema_d(tmp_path / "release", sentences=("ITH",), audio=False)
    shutil.copy(made.root / "processedResults" / "tabulatedVotes.csv", tmp_path / "alone.csv")
    (tmp_path / "flat").mkdir()
    shutil.copy(tmp_path / "alone.csv", tmp_path / "flat" / "tabulatedVotes.csv")
    assert recognise(tmp_path / "flat") == ("crema-d", tmp_path / "flat")


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_manifest_is_known_as_a_file_and_in_its_folder(tmp_path: Path, kind: str) -> None:
    manifest = tmp_path / f"manifest.{kind}"
    manifest.write_text("")
    other = tmp_path / f"other.{kind}"
    other.write_text("")
    assert recognise(manifest) == recognise(tmp_path) == ("manifest", manifest)
    assert recognise(other) == ("manifest", other)


def test_an_audformat_database_is_known_by_its_header(tmp_path: Path) -> None:
    header = tmp_path / "made" / "db.yaml"
    header.parent.mkdir()
    header.write_text("")
    assert recognise(tmp_path / "made") == ("audformat", tmp_path / "made")
    other = header.rename(header.with_name("other.yaml"))
    assert recognise(other) == ("audformat", other)
    with pytest.raises(CorpusError, match="made: no corpus is known"):
        recognise(tmp_path / "made")
    header.write_text("")
    with pytest.raises(CorpusError, match="no corpus is known"):  # its reader looks no deeper
        recognise(tmp_path)


def test_the_demo_is_known_by_its_place_and_a_copy_is_a_manifest(tmp_path: Path) -> None:
    demo = ROOT / "data" / "demo"
    assert recognise(demo) == recognise(demo / "manifest.csv") == ("demo", demo)
    shutil.copy(demo / "manifest.csv", tmp_path)
    assert recognise(tmp_path) == ("manifest", tmp_path / "manifest.csv")


def test_two_corpora_in_one_folder_are_refused_with_the_way_out(tmp_path: Path) -> None:
    make_corpus(tmp_path)
    SMALL["iemocap"](tmp_path)
    with pytest.raises(CorpusError, match=r"may be of iemocap or manifest; name .* --corpus$"):
        recognise(tmp_path)
    (tmp_path / "apart").mkdir()
    for name in ("iemocap", "crema-d"):
        SMALL[name](tmp_path / "apart" / name)
    with pytest.raises(CorpusError, match="may be of crema-d or iemocap"):
        recognise(tmp_path / "apart")


@pytest.mark.parametrize(
    ("there", "match"),
    [
        ((), r"by what stands there \(nothing\): looked for manifest\.csv, .*, Session1"),
        (
            ("notes.txt",),
            r"\(notes\.txt\): .*Labels/labels_\*\.csv .*tabulatedV.* db\.yaml \(aud",
        ),
        (tuple(f"f{n:02d}" for n in range(12)), r"\(f00, .*, f07, \.\.\.\): looked for"),
        (("labels.txt",), r"\(labels\.txt\)"),  # too common a name outside a folder Labels
        ((".hidden",), r"\(nothing\)"),
    ],
)
def test_an_unknown_folder_is_told_with_what_was_looked_for(
    tmp_path: Path, there: tuple[str, ...], match: str
) -> None:
    for name in there:
        (tmp_path / name).write_text("")
    with pytest.raises(CorpusError, match=match):
        recognise(tmp_path)


def test_what_is_not_there_and_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        CorpusError,
        match=r"nowhere: no such file .*\.parquet\), an audformat database \(db\.yaml\) or the f",
    ):
        recognise(tmp_path / "nowhere")
    (tmp_path / "table.txt").write_text("")
    with pytest.raises(CorpusError, match=r"table\.txt: is no cache \(HDF5\) and no manifest;"):
        recognise(tmp_path / "table.txt")
