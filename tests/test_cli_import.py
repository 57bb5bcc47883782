"""`amber import` on good features: what it writes, adds, keeps, lists and says."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import pytest

from amber_cache.store import open_cache, verify_cache
from tests.commands import Finished, amber, run_folders
from tests.made_corpora import (
    assert_refused,
    extract,
    files_under,
    make_corpus,
    read_cache,
    reasons,
    vectors,
    write_table,
)

SMALL = ("--epochs", "2", "--seeds", "2", "--hidden", "8", "--quiet")


def import_(manifest: Path, *options: object) -> Finished:
    place = () if "--cache" in options else ("--cache", manifest.parent / "cache.h5")
    corpus = ("--root", manifest)
    return amber("import", *corpus, *place, *options, cwd=manifest.parent)


def bare_corpus(folder: Path, *, num: int = 4) -> Path:
    """A manifest with ids, sessions and votes, and nothing that an encoder could read."""
    rows = [{"id": f"u{i:03d}", "session": f"s{i % 5}"} for i in range(num)]
    labels = ("happy", "sad", "angry")
    votes = [
        {"id": row["id"], "rater": f"r{r}", "label": labels[(i // 5 + r * (i % 2)) % 3]}
        for i, row in enumerate(rows)
        for r in range(3)
    ]
    write_table(folder / "votes.csv", votes)
    return write_table(folder / "manifest.csv", rows)


def ids_of(manifest: Path) -> list[str]:
    with manifest.open(encoding="utf-8", newline="") as file:
        return [row["id"] for row in csv.DictReader(file)]


def matrix(num: int, width: int = 3, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(num, width)).astype(np.float32)


def write_npz(path: Path, ids: list[str], values: np.ndarray) -> Path:
    np.savez(path, ids=np.array(ids), vectors=values)
    return path


def by_id(ids: list[str], values: np.ndarray) -> dict[str, list[float]]:
    return {name: row.tolist() for name, row in zip(ids, values, strict=True)}


def plain(found: Mapping[str, np.ndarray]) -> dict[str, list[float]]:
    return {name: row.tolist() for name, row in found.items()}


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return bare_corpus(tmp_path)


def test_vectors_votes_and_attributes_are_those_that_were_given(manifest: Path) -> None:
    ids, values = ids_of(manifest), matrix(4)
    shuffled = [2, 0, 3, 1]
    path = write_npz(manifest.parent / "open.npz", [ids[i] for i in shuffled], values[shuffled])
    finished = import_(manifest, "--features", f"face={path}")
    place = manifest.parent / "cache.h5"
    assert finished.status == 0, finished.err
    assert (
        finished.out
        == f"{place}: written: 4 utterances of manifest, 4 new in face/open, 0 failed\n"
    )
    content = read_cache(manifest)
    assert plain(vectors(content, "face/open")) == by_id(ids, values)
    assert len(content.votes) == 12
    (entry,) = content.embeddings
    assert entry.attrs == {
        "encoder": "open",
        "revision": "",
        "weights_sha256": "",
        "features_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    assert verify_cache(place).ok, verify_cache(place).lines


def test_the_encoders_name_may_be_given(manifest: Path) -> None:
    path = write_npz(manifest.parent / "x.npz", ids_of(manifest), matrix(4))
    options = ("--features", f"audio={path}", "--encoder", "audio=facebook/wav2vec2-base")
    assert import_(manifest, *options).status == 0
    with open_cache(manifest.parent / "cache.h5") as cache:
        assert cache.encoders("audio") == ("facebook--wav2vec2-base",)
        assert cache.embeddings("audio", "facebook/wav2vec2-base").attrs["encoder"] == (
            "facebook/wav2vec2-base"
        )


def test_settings_may_stand_in_the_file_and_in_the_environment(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_npz(manifest.parent / "f.npz", ids_of(manifest), matrix(4))
    toml = 'root = "manifest.csv"\ncache = "c.h5"\n[features]\nface = "f.npz"\n'
    encoders = '[encoder]\ntext = "bert-base-uncased"\nface = "mine"\n'
    (manifest.parent / "amber.toml").write_text(toml + encoders)
    finished = amber("import", "--json", cwd=manifest.parent)
    assert json.loads(finished.out)["imported"] == {"face/mine": 4}
    monkeypatch.setenv("AMBER_FEATURES", "gait=f.npz")
    finished = amber("import", "--json", cwd=manifest.parent)
    assert json.loads(finished.out)["imported"] == {"gait/f": 4}


def test_the_same_import_again_says_that_nothing_is_missing(manifest: Path) -> None:
    path = write_npz(manifest.parent / "f.npz", ids_of(manifest), matrix(4))
    import_(manifest, "--features", f"face={path}")
    before = files_under(manifest.parent)
    finished = import_(manifest, "--features", f"face={path}")
    assert finished.status == 0
    assert "nothing was missing: 4 utterances of manifest, 0 new in face/f" in finished.out
    assert files_under(manifest.parent) == before


def test_what_has_no_usable_row_is_kept_with_its_reason_and_ends_in_1(manifest: Path) -> None:
    ids, values = ids_of(manifest), matrix(4)
    values[1, 0], values[1, 2] = np.nan, np.inf
    path = write_npz(manifest.parent / "f.npz", [*ids[:3], "x1", "x2"], values[[0, 1, 2, 3, 3]])
    finished = import_(manifest, "--features", f"face={path}")
    assert finished.status == 1
    assert reasons(read_cache(manifest), "face/f") == {
        "u001": "2 of its 3 features in f.npz are not finite",
        "u003": "no row in f.npz",
    }
    assert "failed: u003 (face): no row in f.npz\n" in finished.err
    assert "face: 2 of its ids are no utterance's and are left out: 'x1', 'x2'\n" in finished.err
    assert finished.out.endswith("2 new in face/f, 2 vectors without an utterance, 2 failed\n")
    assert verify_cache(manifest.parent / "cache.h5").ok


def test_json_lists_all_and_words_the_first_few(manifest: Path) -> None:
    ids = ids_of(manifest)
    strangers = [f"x{i}" for i in range(9)]
    path = write_npz(manifest.parent / "f.npz", [*strangers, *ids[1:]], matrix(12))
    finished = import_(manifest, "--features", f"face={path}", "--json")
    report = json.loads(finished.out)
    assert (finished.status, finished.err) == (1, "")
    assert report["unmatched"] == {"face": strangers}
    assert report["failures"] == [{"id": "u000", "modality": "face", "reason": "no row in f.npz"}]
    told = import_(manifest, "--features", f"face={path}").err
    assert (
        "9 of its ids are no utterance's and are left out: 'x0', 'x1', 'x2', 'x3', 'x4', ..."
        in told
    )


def test_new_utterances_come_to_those_that_are_there(manifest: Path) -> None:
    values = matrix(6)
    path = write_npz(manifest.parent / "f.npz", ids_of(manifest), values[:4])
    import_(manifest, "--features", f"face={path}")
    grown = bare_corpus(manifest.parent, num=6)
    write_npz(path, ids_of(grown), values)
    finished = import_(grown, "--features", f"face={path}", "--json")
    assert json.loads(finished.out)["imported"] == {"face/f": 2}
    assert plain(vectors(read_cache(grown), "face/f")) == by_id(ids_of(grown), values)


def test_other_content_under_the_same_name_is_refused(manifest: Path) -> None:
    values = matrix(4)
    path = write_npz(manifest.parent / "f.npz", ids_of(manifest), values)
    import_(manifest, "--features", f"face={path}")
    cache = (manifest.parent / "cache.h5").read_bytes()
    for other, match in (
        (values + np.eye(4, 3, -1, dtype="f4"), r"other vectors than .*f\.npz for 3 utt.*'u001'"),
        (matrix(4, 5), r"face/f has 3 features, .*f\.npz has 5; name this one .*--encoder face="),
    ):
        write_npz(path, ids_of(manifest), other)
        assert_refused(import_(manifest, "--features", f"face={path}"), match)
    write_npz(path, ids_of(manifest)[1:], values[1:])
    match = r"other vectors than .*f\.npz for 1 utterances, first 'u000'"
    assert_refused(import_(manifest, "--features", f"face={path}"), match)
    assert (manifest.parent / "cache.h5").read_bytes() == cache


def test_an_entry_is_not_taken_for_what_an_encoder_made_nor_the_other_way(tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path)
    assert extract(manifest).status == 0
    path = write_npz(tmp_path / "mel.npz", ["u1", "u2", "u3"], matrix(3, 104))
    match = r"its audio/mel was made by an encoder and not imported; name this one otherwise"
    assert_refused(import_(manifest, "--features", f"audio={path}"), match)
    (tmp_path / "cache.h5").unlink()
    assert import_(manifest, "--features", f"audio={path}").status == 0
    assert_refused(extract(manifest), r"its audio/mel was made with ")


def test_entries_that_encoders_made_stay_as_they_are(tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path)
    extract(manifest)
    before = read_cache(manifest)
    path = write_npz(tmp_path / "f.npz", ["u1", "u2", "u3"], matrix(3))
    assert (
        import_(manifest, "--features", f"face={path}", "--features", f"audio={path}").status == 0
    )
    after = read_cache(manifest)
    for name in ("audio/mel", "text/hash"):
        assert plain(vectors(after, name)) == plain(vectors(before, name))
    assert after.utterances.audio_sha256.tolist() == before.utterances.audio_sha256.tolist()
    finished = extract(manifest)
    assert "nothing was missing" in finished.out
    assert finished.status == 0


def test_audio_that_is_gone_costs_nothing(tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path)
    extract(manifest)
    for path in (tmp_path / "audio").iterdir():
        path.unlink()
    path = write_npz(tmp_path / "f.npz", ["u1", "u2", "u3"], matrix(3))
    finished = import_(manifest, "--features", f"audio={path}")
    assert finished.status == 0, finished.err
    assert "audio files missing: 3" in finished.err
    assert len(vectors(read_cache(manifest), "audio/mel")) == 3


def test_audio_that_was_never_there_is_not_asked_for(tmp_path: Path) -> None:
    rows = [{"id": "a", "audio": "no/a.wav", "start": 1, "end": 3}]
    manifest = write_table(tmp_path / "manifest.csv", rows)
    path = write_npz(tmp_path / "f.npz", ["a"], matrix(1))
    finished = import_(manifest, "--features", f"audio={path}")
    assert finished.status == 0, finished.err
    content = read_cache(manifest)
    assert (content.utterances.audio_path[0], content.utterances.duration_s[0]) == ("no/a.wav", 2)


def test_three_modalities_train(tmp_path: Path) -> None:
    manifest = bare_corpus(tmp_path, num=40)
    ids = ids_of(manifest)
    options = []
    for seed, modality in enumerate(("audio", "text")):
        path = write_npz(tmp_path / f"{modality}.npz", ids, matrix(40, 4 + seed, seed=seed))
        options += ["--features", f"{modality}={path}"]
    assert import_(manifest, *options).status == 0
    rows = [
        {"ID": name, **{f"f{i}": value for i, value in enumerate(row)}}
        for name, row in zip(ids, matrix(40, 2, seed=9).tolist(), strict=True)
    ]
    face = write_table(tmp_path / "face.csv", rows)
    assert import_(manifest, "--features", f"face={face}").status == 0
    done = amber("fit", "--cache", "cache.h5", "--keep", "any-vote", *SMALL, cwd=tmp_path)
    assert done.status == 0, done.err
    (run,) = run_folders(tmp_path)
    with (run / "runs.csv").open(newline="") as file:
        heads = {row["head"] for row in csv.DictReader(file)}
    assert heads == {"audio", "text", "face", "fusion"}
    model = json.loads((run / "model.json").read_text())
    assert [(one["name"], one["dimension"]) for one in model["modalities"]] == [
        ("audio", 4),
        ("text", 5),
        ("face", 2),
    ]
    assert model["modalities"][2]["features_sha256"] == (
        hashlib.sha256(face.read_bytes()).hexdigest()
    )


def test_extracted_exported_and_imported_trains_to_the_same_figures(
    demo_cache: Path, tmp_path: Path
) -> None:
    options = []
    with h5py.File(demo_cache) as file:
        ids = np.array([one.decode() for one in file["utterances/id"]])
        for entry in ("audio/mel", "text/hash"):
            path = tmp_path / f"{entry.split('/')[1]}.npz"
            done = file[f"embeddings/{entry}/status"][:] == 1
            values = file[f"embeddings/{entry}/vectors"][:]
            np.savez_compressed(path, ids=ids[done], vectors=values[done])
            options += ["--features", f"{entry.split('/')[0]}={path}"]
    imported = tmp_path / "imported.h5"
    corpus = ("--corpus", "demo", "--cache", imported, "--quiet")
    assert amber("import", *corpus, *options, cwd=tmp_path).status == 0
    figures = []
    for number, cache in enumerate((demo_cache, imported)):
        out = tmp_path / f"run{number}"
        done = amber("fit", "--cache", cache, "--out", out, *SMALL, cwd=tmp_path)
        assert done.status == 0, done.err
        figures.append((out / "runs.csv").read_bytes())
    assert figures[0] == figures[1]
