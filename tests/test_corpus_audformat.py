"""audformat databases, written by the format's own library, read vote by vote."""

from __future__ import annotations

import pickle
import random
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import audformat
import numpy as np
import pandas as pd
import pytest

from amber_cache.corpora import read_corpus
from amber_cache.corpora.audformat_files import Segment
from amber_cache.records import Corpus, Rating, Utterance, Vote
from tests.commands import amber
from tests.made_corpora import assert_refused, files_under, read_cache, voice, write_audio

EMOTIONS = {"anger": "angry", "happiness": "happy", "neutral": "neutral", "Boredom": "boredom"}
RATERS = ("r1", "r2", "r3")


def read(folder: Path, name: str = "audformat") -> Corpus:
    return read_corpus(name, folder)


def refuse(folder: Path, match: str, name: str = "audformat") -> None:
    """`amber extract` refuses the database, and leaves all files as they are."""
    before = files_under(folder)
    finished = amber("extract", "--corpus", name, "--root", folder, cwd=folder)
    assert_refused(finished, match)
    assert files_under(folder) == before


def base(languages: Sequence[str] = ("deu",)) -> audformat.Database:
    """A database with raters and schemes, and no table yet."""
    db = audformat.Database("made", languages=list(languages), usage="research", source="a test")
    for name in RATERS:
        db.raters[name] = audformat.Rater("human")
    db.raters["gold"] = audformat.Rater("human")
    db.raters["settled"] = audformat.Rater("vote")
    db.raters["model"] = audformat.Rater("machine")
    for name in ("train", "dev", "test"):
        db.splits[name] = audformat.Split(name)
    db.splits["test2"] = audformat.Split("test")
    db.schemes["emotion"] = audformat.Scheme(labels=list(EMOTIONS))
    db.schemes["arousal"] = audformat.Scheme("float", minimum=0, maximum=1)
    return db


def add(
    db: audformat.Database,
    table: str,
    index: pd.Index,
    columns: dict[str, tuple[str, str | None, Sequence[object]]],
    *,
    split: str | None = None,
) -> None:
    """A table with columns of (scheme, rater, values)."""
    db[table] = audformat.Table(index, split_id=split)
    for name, (scheme, rater, values) in columns.items():
        db[table][name] = audformat.Column(scheme_id=scheme, rater_id=rater)
        db[table][name].set(list(values))


def files(num: int) -> pd.Index:
    return audformat.filewise_index([f"wav/{i}.wav" for i in range(num)])


def found(corpus: Corpus) -> dict[str, Utterance]:
    return {one.id: one for one in corpus.utterances}


def make_large(folder: Path, *, storage: str, seed: int = 0) -> dict[str, Utterance]:
    """A database with segments, raters, splits, ratings and facts; and what must come out of it."""
    draw = random.Random(seed)
    db = base()
    db["speakers"] = audformat.MiscTable(pd.Index(["s1", "s2"], name="speaker", dtype="string"))
    db.schemes["gender"] = audformat.Scheme(labels=["female", "male"])
    db["speakers"]["gender"] = audformat.Column(scheme_id="gender")
    db["speakers"]["gender"].set(["female", "male"])
    db.schemes["speaker"] = audformat.Scheme("str", labels="speakers")
    db.schemes["transcription"] = audformat.Scheme(labels={"a01": 'Der, "Lappen"', "a02": "Das"})
    db.schemes["day"] = audformat.Scheme("date")
    wanted: dict[str, Utterance] = {}
    for split in ("train", "dev", "test", "test2"):
        names = [f"wav/{split}{i // 3}.wav" for i in range(12)]
        starts = [round(1.7 * (i % 3) + 0.001 * i, 3) for i in range(12)]
        ends = [None if i == 11 else round(start + 1.5, 3) for i, start in enumerate(starts)]
        index = audformat.segmented_index(
            names,
            [pd.Timedelta(one, "s") for one in starts],
            [pd.NaT if one is None else pd.Timedelta(one, "s") for one in ends],
        )
        cast = {r: [draw.choice([None, *EMOTIONS]) for _ in names] for r in RATERS}
        gold = [draw.choice([None, *EMOTIONS]) for _ in names]
        felt = {r: [draw.choice([None, 0.125, 0.3, 1.0]) for _ in names] for r in RATERS}
        columns = {f"emotion.{r}": ("emotion", r, cast[r]) for r in RATERS}
        columns |= {f"arousal.{r}": ("arousal", r, felt[r]) for r in RATERS}
        columns["emotion"] = ("emotion", "gold", gold)
        columns["guess"] = ("emotion", "model", cast["r1"])
        columns["day"] = ("day", None, [pd.Timestamp("2020-01-01")] * 12)
        add(db, f"emotion.{split}", index, columns, split=split)
        for i, name in enumerate(names):
            end = "" if ends[i] is None else f",{ends[i]:g}"
            one = Utterance(
                id=f"{name}#t={starts[i]:g}{end}",
                audio=Path(name),
                start_s=starts[i],
                end_s=ends[i],
                place_s=starts[i],
                text='Der, "Lappen"' if split == "train" else "Das",
                speaker="s1" if split == "train" else "s2",
                gender="female" if split == "train" else "male",
                language="deu",
                split=split,
                consensus=EMOTIONS.get(str(gold[i]), ""),
                votes=tuple(Vote(r, EMOTIONS[cast[r][i]]) for r in RATERS if cast[r][i]),
                ratings=tuple(
                    Rating(r, "arousal", felt[r][i]) for r in RATERS if felt[r][i] is not None
                ),
            )
            wanted[one.id] = one
    every = sorted({one.audio.as_posix() for one in wanted.values()})
    is_train = ["train" in name for name in every]
    facts = {
        "speaker": ("speaker", None, ["s1" if one else "s2" for one in is_train]),
        "words": ("transcription", None, ["a01" if one else "a02" for one in is_train]),
    }
    add(db, "files", audformat.filewise_index(every), facts)
    db.save(str(folder), storage_format=storage)
    return wanted


@pytest.mark.parametrize("storage", ["csv", "parquet"])
def test_every_vote_rating_and_fact_is_what_was_put_in(tmp_path: Path, storage: str) -> None:
    wanted = make_large(tmp_path, storage=storage)
    corpus = read(tmp_path)
    assert found(corpus) == wanted
    assert [one.id for one in corpus.utterances] == sorted(wanted)
    assert (corpus.name, corpus.modalities, corpus.root) == (
        "audformat",
        ("audio", "text"),
        tmp_path,
    )
    assert len(corpus.warnings) == 4  # a machine's column in each table
    assert "the rater 'model' is a machine; left out" in corpus.warnings[0]


def test_both_formats_and_the_header_itself_give_the_same_corpus(tmp_path: Path) -> None:
    for storage in ("csv", "parquet"):
        make_large(tmp_path / storage, storage=storage, seed=3)
    one, two = read(tmp_path / "csv"), read(tmp_path / "parquet")
    assert replace(one, root=two.root) == two
    assert read(tmp_path / "csv" / "db.yaml") == one


@pytest.mark.filterwarnings("ignore")  # of its own, about pandas
def test_the_librarys_own_reading_gives_the_same_counts(tmp_path: Path) -> None:
    make_large(tmp_path, storage="csv", seed=5)
    loaded = audformat.Database.load(str(tmp_path), load_data=True)
    counts: Counter[tuple[str, str]] = Counter()
    for split in ("train", "dev", "test", "test2"):
        for rater in RATERS:
            values = loaded[f"emotion.{split}"][f"emotion.{rater}"].get().dropna()
            counts.update((rater, EMOTIONS[one]) for one in values)
    votes = [vote for one in read(tmp_path).utterances for vote in one.votes]
    assert Counter((vote.rater, vote.label) for vote in votes) == counts


def test_only_a_gold_standard_gives_one_vote_that_nobody_cast_alone(tmp_path: Path) -> None:
    for number, rater in enumerate((None, "gold", "settled")):
        db = base()
        columns = {"emotion": ("emotion", rater, ["anger", "neutral", None])}
        add(db, "emotion", files(3), columns)
        db.save(str(tmp_path / str(number)), storage_format="csv")
        corpus = read(tmp_path / str(number))
        assert [one.votes for one in corpus.utterances] == [
            (Vote("", "angry", "gold"),),
            (Vote("", "neutral", "gold"),),
            (),
        ]
        assert [one.consensus for one in corpus.utterances] == ["angry", "neutral", ""]
        assert "no rater's own votes are there" in corpus.warnings[0]


def test_gold_beside_raters_is_the_consensus_and_no_vote(tmp_path: Path) -> None:
    db = base()
    add(db, "a", files(2), {"x": ("emotion", "r1", ["anger", "anger"])})
    add(db, "b", files(2), {"emotion": ("emotion", None, ["neutral", None])})
    db.save(str(tmp_path), storage_format="csv")
    corpus = read(tmp_path)
    assert [one.votes for one in corpus.utterances] == [(Vote("r1", "angry"),)] * 2
    assert [one.consensus for one in corpus.utterances] == ["neutral", ""]
    assert corpus.warnings == ()


def test_a_vote_that_stands_in_two_tables_is_one_and_told(tmp_path: Path) -> None:
    db = base()
    add(db, "all", files(2), {"x": ("emotion", "r1", ["anger", "neutral"])})
    add(db, "test", files(1), {"x": ("emotion", "r1", ["anger"])}, split="test")
    db.save(str(tmp_path), storage_format="csv")
    corpus = read(tmp_path)
    assert [one.votes for one in corpus.utterances] == [
        (Vote("r1", "angry"),),
        (Vote("r1", "neutral"),),
    ]
    assert [one.split for one in corpus.utterances] == ["test", ""]
    assert "'r1' says 'angry' in all/x and in test/x; counted once" in corpus.warnings[0]


def test_labels_that_are_numbers_are_read_by_their_words(tmp_path: Path) -> None:
    db = base()
    del db.schemes["emotion"]
    db.schemes["feeling"] = audformat.Scheme(labels={0: "anger", 1: "joy", 2: "no agreement"})
    columns = {"r": ("feeling", "r1", [1, 0, None]), "g": ("feeling", "gold", [2, 0, 1])}
    add(db, "t", files(3), columns)
    db.save(str(tmp_path), storage_format="parquet")
    utterances = read(tmp_path).utterances
    assert [[vote.label for vote in one.votes] for one in utterances] == [["happy"], ["angry"], []]
    assert [one.consensus for one in utterances] == ["", "angry", "happy"]


def test_a_value_that_the_scheme_lacks_is_left_out_and_told(tmp_path: Path) -> None:
    db = base()
    add(db, "t", files(2), {"x": ("emotion", "r1", ["anger", "neutral"])})
    db.save(str(tmp_path), storage_format="csv")
    path = tmp_path / "db.t.csv"
    path.write_text(path.read_text().replace("neutral", "glee"))
    corpus = read(tmp_path)
    assert [len(one.votes) for one in corpus.utterances] == [1, 0]
    assert corpus.warnings == ("t/x, line 3: 'glee' is no label of the scheme 'emotion'; left out",)


def test_facts_of_a_segment_come_before_those_of_its_file(tmp_path: Path) -> None:
    db = base(languages=("deu", "eng"))
    db.schemes["speaker"] = audformat.Scheme(
        labels={"s1": {"gender": "male", "language": "deu"}, "s2": {"sex": "female"}}
    )
    index = audformat.segmented_index(["wav/0.wav"] * 2, ["0s", "1s"], ["1s", "2s"])
    columns = {
        "x": ("emotion", "r1", ["anger", "anger"]),
        "speaker": ("speaker", None, ["s2", None]),
    }
    add(db, "t", index, columns)
    add(db, "f", files(1), {"speaker": ("speaker", None, ["s1"])})
    db.save(str(tmp_path), storage_format="csv")
    told = [(one.speaker, one.gender, one.language) for one in read(tmp_path).utterances]
    assert told == [("s2", "female", ""), ("s1", "male", "deu")]


def make_ambiguous(folder: Path) -> None:
    db = base()
    db.schemes["acted"] = audformat.Scheme(labels=["anger", "neutral"])
    columns = {
        "x": ("emotion", "r1", ["Boredom", "anger"]),
        "y": ("acted", None, ["neutral", "anger"]),
    }
    add(db, "t", files(2), columns)
    db.save(str(folder), storage_format="csv")


def test_several_schemes_of_emotions_are_refused_with_what_there_is(tmp_path: Path) -> None:
    make_ambiguous(tmp_path)
    match = r"several can be .*--corpus audformat:NAME; there are emotion \(t/x\); acted \(t/y\)"
    refuse(tmp_path, match)
    refuse(tmp_path, r"has no labels 'mood'.*emotion \(t/x\)", "audformat:mood")
    refuse(tmp_path, r"several can be meant by the labels 't'", "audformat:t")


@pytest.mark.parametrize("name", ["emotion", "x"])
def test_the_labels_may_be_named(tmp_path: Path, name: str) -> None:
    make_ambiguous(tmp_path)
    corpus = read(tmp_path, f"audformat:{name}")
    assert [one.votes for one in corpus.utterances] == [
        (Vote("r1", "boredom"),),
        (Vote("r1", "angry"),),
    ]
    assert corpus.name == "audformat"


def test_what_contradicts_itself_is_refused(tmp_path: Path) -> None:
    db = base()
    columns = {"g": ("emotion", None, ["anger"]), "h": ("emotion", "gold", ["neutral"])}
    add(db, "t", files(1), columns)
    db.save(str(tmp_path / "gold"), storage_format="csv")
    refuse(tmp_path / "gold", r"'wav/0\.wav' is 'angry' in t/g and 'neutral' in t/h")
    db = base()
    for split in ("train", "test"):
        add(db, split, files(1), {"x": ("emotion", "r1", ["anger"])}, split=split)
    db.save(str(tmp_path / "splits"), storage_format="csv")
    refuse(tmp_path / "splits", r"in the official part test \(table test\) and in train \(table")


def test_a_rater_whom_the_header_lacks_is_refused(tmp_path: Path) -> None:
    db = base()
    add(db, "t", files(1), {"x": ("emotion", "r1", ["anger"])})
    db.save(str(tmp_path), storage_format="csv")
    path = tmp_path / "db.yaml"
    path.write_text(path.read_text().replace("rater_id: r1", "rater_id: r9"))
    refuse(tmp_path, r"t/x names the rater 'r9', whom the header does not have")


class Hostile:
    """An object whose unpickling makes a file."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return (open, (str(self.place), "w"))


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    folder, planted = tmp_path / "db", tmp_path / "planted"
    db = base()
    add(db, "t", files(1), {"x": ("emotion", "r1", ["anger"])})
    db.save(str(folder), storage_format="csv")
    (folder / "db.t.pkl").write_bytes(pickle.dumps(Hostile(planted)))
    assert read(folder).utterances[0].votes == (Vote("r1", "angry"),)
    (folder / "db.t.csv").unlink()
    refuse(folder, r"db\.t\.pkl: is a pickle, which could run code .* storage_format=\"parquet\"")
    assert not planted.exists()


def test_a_header_runs_no_code(tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    (tmp_path / "db.yaml").write_text(
        f"name: !!python/object/apply:builtins.open ['{planted}', 'w']\ntables: {{}}\n"
    )
    refuse(tmp_path, r"db\.yaml: is no plain YAML, which is all that is read: could not determine")
    assert not planted.exists()


@pytest.mark.parametrize(
    ("header", "match"),
    [
        ("", r"is no header of an audformat database: it has no tables"),
        ("- a\n- b\n", r"is no header of an audformat database"),
        ("tables: {t: [", r"is no plain YAML"),
        ("tables: {t: 5}\n", r"its tables are no table of names and settings"),
        ("tables: {t: {}}\n", r"db\.t\.parquet: no such file, nor \.csv; the header names this"),
        ("tables: {../t: {}}\n", r"'\.\./t' is no name of a table"),
        ("tables: {}\nschemes: {s: {labels: 5}}\n", r"the scheme 's' has labels that are no list"),
        ("tables: {}\nschemes: {s: {labels: m}}\n", r"there is no misc table 'm' of one index"),
        ("tables: {}\n", r"has no scheme of emotions; .* there are no columns of labels"),
        ("[" * 5_000, r"is no plain YAML|can't be read"),
    ],
)
def test_a_header_that_cant_be_used_is_refused(tmp_path: Path, header: str, match: str) -> None:
    (tmp_path / "db.yaml").write_text(header)
    refuse(tmp_path, match)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("file,start,end\na,0 days 00:00:00,\n", r"db\.t\.csv: has no column 'x', which the head"),
        ("file,start,end,x\na,soon,,anger\n", r"line 2: 'soon' is no time such as '0 days 00:00"),
        ("file,start,end,x\n,,,anger\n", r"line 2: names no file"),
        ("file,start,end,x\na,,,anger\na,,,anger\n", r"line 3: 'a' stands there twice"),
        ("file,start,end,x\n\xff,,,anger\n", r"is no text in UTF-8"),
    ],
)
def test_a_table_that_cant_be_used_is_refused(tmp_path: Path, content: str, match: str) -> None:
    db = base()
    index = audformat.segmented_index(["a"], ["0s"], ["1s"])
    add(db, "t", index, {"x": ("emotion", "r1", ["anger"])})
    db.save(str(tmp_path), storage_format="csv")
    (tmp_path / "db.t.csv").write_bytes(content.encode("latin-1"))
    refuse(tmp_path, match)


def test_a_root_that_is_no_database_is_refused(tmp_path: Path) -> None:
    refuse(tmp_path, r"db\.yaml: can't be read: No such file .*; wanted the folder of an audformat")
    finished = amber("extract", "--corpus", "audformat", cwd=tmp_path)
    assert_refused(finished, r"--corpus audformat needs --root with the database's folder")
    options = ("--corpus", "audformat", "--root", tmp_path, "--votes-file", "votes.csv")
    match = r"--votes-file: an audformat database brings its own votes; .*audformat:NAME"
    assert_refused(amber("extract", *options, cwd=tmp_path), match)
    finished = amber("extract", "--corpus", "manifest:emotion", cwd=tmp_path)
    assert_refused(finished, r"--corpus manifest:emotion: no such corpus; choose from .*audformat")


def test_segments_are_cut_out_and_features_join_by_the_same_ids(tmp_path: Path) -> None:
    write_audio(tmp_path / "wav/0.wav", voice(16_000))
    db = base()
    index = audformat.segmented_index(["wav/0.wav"] * 2, ["0s", "0.5s"], ["0.25s", pd.NaT])
    add(db, "t", index, {"x": ("emotion", "r1", ["anger", "neutral"])})
    db.save(str(tmp_path), storage_format="parquet")
    corpus = ("--corpus", "audformat", "--root", tmp_path, "--cache", tmp_path / "cache.h5")
    finished = amber("extract", *corpus, "--audio-encoder", "mel", cwd=tmp_path)
    assert finished.status == 0, finished.err
    content = read_cache(tmp_path / "manifest.csv")
    ids = ["wav/0.wav#t=0,0.25", "wav/0.wav#t=0.5"]
    assert content.utterances.id.tolist() == ids
    np.testing.assert_allclose(content.utterances.duration_s, [0.25, 0.5], atol=1e-3)
    np.savez(tmp_path / "face.npz", **{one: np.ones(2) for one in ids})
    features = ("--features", f"face={tmp_path / 'face.npz'}")
    assert amber("import", *corpus, *features, cwd=tmp_path).status == 0


def test_a_segments_id_says_its_times_exactly() -> None:
    parts = defaultdict(list)
    for start in (0, 1, 999_999_999, 10**9, 10**10, 1_500_000_000):
        parts[Segment("a", start, start + 10**9).id].append(start)
    assert all(re.fullmatch(r"a#t=[\d.]*\d,[\d.]*\d", one) for one in parts)
    assert all(len(one) == 1 for one in parts.values())
    assert Segment("a", 10**10, None).id == "a#t=10"
