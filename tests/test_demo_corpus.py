"""The demo corpus under data/demo: what its README promises, and that its plan makes it again."""

from __future__ import annotations

import csv
import doctest
import importlib
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

DATA = Path(__file__).resolve().parents[1] / "data"
DEMO = DATA / "demo"
EMOTIONS = ("neutral", "happy", "angry", "sad")


def read_csv(name: str) -> list[dict[str, str]]:
    with (DEMO / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def manifest() -> list[dict[str, str]]:
    return read_csv("manifest.csv")


@pytest.fixture(scope="module")
def truth() -> dict[str, dict[str, str]]:
    return {row["id"]: row for row in read_csv("truth.csv")}


@pytest.fixture(scope="module")
def votes() -> dict[str, list[str]]:
    by_id: dict[str, list[str]] = {}
    for row in read_csv("votes.csv"):
        by_id.setdefault(row["id"], []).append(row["label"])
    return by_id


@pytest.fixture(scope="module")
def audio(manifest: list[dict[str, str]]) -> dict[str, np.ndarray]:
    decoded = {}
    for row in manifest:
        samples, sampling_rate_hz = soundfile.read(DEMO / row["audio"], always_2d=True)
        assert (sampling_rate_hz, samples.shape[1]) == (16_000, 1), row["id"]
        decoded[row["id"]] = samples[:, 0]
    return decoded


@pytest.fixture(scope="module")
def scripts() -> tuple[ModuleType, ModuleType]:
    """demo_plan and make_demo, imported as they import each other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DATA))
        patch.setattr(sys, "dont_write_bytecode", True)
        return importlib.import_module("demo_plan"), importlib.import_module("make_demo")


@pytest.fixture(scope="module")
def plan(scripts: tuple[ModuleType, ModuleType]) -> list:
    sentences = tomllib.loads((DATA / "demo_sentences.toml").read_text(encoding="utf-8"))
    return scripts[0].make_plan(sentences)


def test_tables_come_out_of_the_plan_byte_for_byte(scripts, plan):
    for name, content in scripts[0].tables(plan).items():
        assert (DEMO / name).read_bytes() == content.encode(), name


def test_another_seed_gives_another_corpus_of_the_same_size(scripts, plan):
    sentences = tomllib.loads((DATA / "demo_sentences.toml").read_text(encoding="utf-8"))
    other = scripts[0].make_plan(sentences, seed=1)
    assert [line.id for line in other] == [line.id for line in plan]
    assert [line.votes for line in other] != [line.votes for line in plan]
    assert [line.text for line in other] != [line.text for line in plan]


def test_readme_and_license_are_what_the_script_writes(scripts, plan, audio):
    written = (DEMO / "README.md").read_text(encoding="utf-8")
    version = re.search(r"espeak-ng (\d[\d.]*\d)", written)
    assert version is not None
    seconds = sum(len(samples) for samples in audio.values()) / 16_000
    assert written == scripts[1].readme(plan, seconds=seconds, version=version[1])
    assert (DEMO / "LICENSE").read_text(encoding="utf-8") == scripts[1].LICENSE
    assert "synthetic" in written
    assert "CC0" in written


def test_counts_and_uniqueness(manifest):
    assert len(manifest) == 300
    ids = [row["id"] for row in manifest]
    assert ids == sorted(set(ids))
    assert len({row["text"].lower() for row in manifest}) == 300
    assert set(Counter(row["speaker"] for row in manifest).values()) == {30}
    assert set(Counter(row["session"] for row in manifest).values()) == {60}
    assert set(Counter(row["dialogue"] for row in manifest).values()) == {10}
    for row in manifest:
        assert re.fullmatch(r"Demo0[1-5][FM]_d0[1-6]_0(0[1-9]|10)", row["id"])
        assert row["id"].startswith(row["speaker"])
        assert row["speaker"].startswith(row["session"])
        assert row["dialogue"].startswith(row["session"])


def test_columns_are_those_of_the_manifest_contract(manifest):
    contract = {"id", "audio", "text", "start", "end", "speaker", "session", "dialogue", "split"}
    assert set(manifest[0]) <= contract | {"consensus"}
    assert list(read_csv("votes.csv")[0]) == ["id", "rater", "label", "kind", "primary"]


def test_exactly_a_third_conflicts_balanced_over_sessions_and_emotions(manifest, truth):
    conflicts = [row for row in manifest if truth[row["id"]]["conflict"] == "true"]
    assert len(conflicts) == 100
    assert set(Counter(row["speaker"] for row in conflicts).values()) == {10}
    for channel in ("voice_emotion", "words_emotion"):
        for rows, count in ((conflicts, 5), (manifest, 15)):
            cells = Counter((row["session"], truth[row["id"]][channel]) for row in rows)
            assert len(cells) == 20
            assert set(cells.values()) == {count}
    for row in truth.values():
        assert row["conflict"] == str(row["voice_emotion"] != row["words_emotion"]).lower()


def test_six_raters_vote_and_consensus_is_their_strict_majority(manifest, votes):
    rows = read_csv("votes.csv")
    assert len({(row["id"], row["rater"]) for row in rows}) == len(rows) == 1800
    assert {(row["kind"], row["primary"]) for row in rows} == {("external", "true")}
    for row in manifest:
        given = Counter(votes[row["id"]])
        assert given.total() == 6
        majority = [label for label, count in given.items() if count > 3]
        assert row["consensus"] == (majority[0] if majority else "")


def test_raters_agree_lean_and_split(votes):
    top = [Counter(labels).most_common(1)[0][1] for labels in votes.values()]
    unanimous, split = top.count(6), sum(count <= 3 for count in top)
    assert min(unanimous, split, 300 - unanimous - split) >= 45


def test_some_votes_lie_outside_the_four_and_most_utterances_stay_all_in(votes):
    labels = [label for given in votes.values() for label in given]
    outside = {label for label in labels if label not in EMOTIONS}
    assert outside == {"excited", "surprise", "frustrated", "other"}
    assert 0.03 <= np.mean([label in outside for label in labels]) <= 0.06
    kept = {*EMOTIONS, "excited"}
    assert sum(kept.issuperset(given) for given in votes.values()) >= 230


def test_raters_disagree_more_where_voice_and_words_conflict(truth, votes):
    entropy: dict[str, list[float]] = {"true": [], "false": []}
    for name, given in votes.items():
        share = np.array(list(Counter(given).values())) / len(given)
        entropy[truth[name]["conflict"]].append(float(-(share * np.log2(share)).sum()))
    assert np.mean(entropy["true"]) > np.mean(entropy["false"]) + 0.5


def test_every_audio_file_can_be_heard_and_none_is_clipped(audio):
    for name, samples in audio.items():
        assert 1.0 < len(samples) / 16_000 < 6.0, name
        assert 0.01 < np.sqrt(np.mean(samples**2)) < 0.3, name
        assert np.abs(samples).max() < 1.0, name


def test_the_voice_carries_its_emotion(manifest, truth, audio):
    level: dict[str, list[float]] = {emotion: [] for emotion in EMOTIONS}
    pace: dict[str, list[float]] = {emotion: [] for emotion in EMOTIONS}
    for row in manifest:
        samples, voice = audio[row["id"]], truth[row["id"]]["voice_emotion"]
        level[voice].append(10 * np.log10(np.mean(samples**2)))
        pace[voice].append(16_000 * len(row["text"]) / len(samples))
    assert np.mean(level["angry"]) > np.mean(level["neutral"]) + 2
    assert np.mean(level["sad"]) < np.mean(level["neutral"]) - 2
    assert np.mean(pace["angry"]) > np.mean(pace["neutral"]) > np.mean(pace["sad"])
    # Informative, not separable: some neutral utterances are louder than some angry ones.
    assert max(level["neutral"]) > min(level["angry"])


def test_folder_holds_what_its_tables_name_and_stays_small(manifest):
    files = {path.relative_to(DEMO).as_posix() for path in DEMO.rglob("*") if path.is_file()}
    tables = {"manifest.csv", "votes.csv", "truth.csv", "README.md", "LICENSE"}
    assert files == tables | {row["audio"] for row in manifest}
    assert sum((DEMO / name).stat().st_size for name in files) <= 6_000_000


def test_rater_with_all_weight_on_one_channel_ignores_the_other(scripts):
    demo_plan = scripts[0]
    ear, eye = (demo_plan.Rater("", weight, 4.0, 0.0) for weight in (1.0, 0.0))
    chances = demo_plan.choice_probabilities
    assert chances(ear, "sad", "happy", 0.7) == chances(ear, "sad", "angry", 0.7)
    assert chances(eye, "sad", "happy", 0.7) == chances(eye, "angry", "happy", 1.0)
    # By hand: evidence 1 for happy, 0 for the others.
    happy = chances(eye, "sad", "happy", 0.7)["happy"]
    assert happy == pytest.approx(np.exp(4) / (np.exp(4) + 3))


def test_doctests_of_the_plan(scripts):
    result = doctest.testmod(scripts[0])
    assert result.attempted > 0
    assert result.failed == 0


def test_encoded_bytes_depend_on_the_samples_alone(scripts, tmp_path):
    samples = 0.1 * np.sin(np.arange(16_000) / 10)
    first, again, other = (scripts[1].encode(samples, serial=s) for s in (7, 7, 8))
    assert first == again != other
    (tmp_path / "a.ogg").write_bytes(first)  # a page with a wrong checksum would not decode
    decoded, sampling_rate_hz = soundfile.read(tmp_path / "a.ogg")
    assert sampling_rate_hz == 16_000
    assert len(decoded) == len(samples)
    assert np.corrcoef(decoded, samples)[0, 1] > 0.95


def test_without_espeak_one_line_names_the_package_and_nothing_is_written(tmp_path):
    script = [sys.executable, str(DATA / "make_demo.py"), "--out", str(tmp_path / "out")]
    environment = {"PATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "install the package espeak-ng" in done.stderr
    assert not (tmp_path / "out").exists()
