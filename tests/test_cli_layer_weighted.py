"""`amber fit --layer` and `amber grid --grid layer=...`: one layer of several, or a sum of all."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from safetensors.numpy import load_file

from amber_cache.store import DONE, FAILED, make_embedding, open_cache, write_cache
from tests.commands import Finished, amber, run_folders
from tests.made_corpora import assert_refused, extract, voice, write_audio, write_table
from tests.small_caches import small_cache, utterances
from tests.tiny_models import save_audio_model

FAST = ("--epochs", 2, "--lr", 3e-3, "--hidden", 4, "--seeds", 2, "--num-folds", 3, "--loss", "js")
LONG = ("--epochs", 6, "--batch-size", 4)  # so that something is learned
WIDTH = 6
W2V = [f"org--w2v@layer{number}" for number in range(4)]
TELLING = 2  # the layer that knows the label; of the text model, 0


def layered_cache(
    path: Path,
    names: Mapping[str, list[str]] | None = None,
    *,
    failed: Mapping[str, list[int]] | None = None,
    attrs: Mapping[str, Mapping[str, object]] | None = None,
    widths: Mapping[str, int] | None = None,
) -> Path:
    """A cache of layers by modality; text is one entry unless it is named."""
    made = utterances(90)
    small_cache(path, made, entries=(("text", "hash"),))
    with open_cache(path) as cache:
        content = cache.content()
    leads = sorted({one.consensus for one in made})
    lead = np.eye(WIDTH)[[leads.index(one.consensus) for one in made]]
    entries = []
    names = names or {"audio": W2V}
    for modality, some in names.items():
        for number, name in enumerate(some):
            random = np.random.default_rng([9, len(modality), number])
            tells = name.endswith(f"layer{TELLING if modality == 'audio' else 0}")
            vectors = random.normal(size=(len(made), WIDTH)) * 10.0**number + 3 * number
            vectors += 4 * lead * tells * 10.0**number
            status = np.full(len(made), DONE, np.uint8)
            status[list((failed or {}).get(name, []))] = FAILED
            about = {"encoder": re.split("[@+~]", name)[0].replace("--", "/"), "layer": number}
            width = (widths or {}).get(name, WIDTH)
            entries.append(
                make_embedding(
                    np.resize(vectors.astype(np.float32), (len(made), width)),
                    modality=modality,
                    name=name,
                    status=status,
                    attrs={**about, "pooling": "mean", **(attrs or {}).get(name, {})},
                )
            )
    text = () if "text" in names else content.embeddings
    path.unlink()
    write_cache(path, replace(content, embeddings=(*entries, *text)))
    return path


def train(place: Path, command: str, name: str, *arguments: object) -> Finished:
    finished = amber(command, *FAST, "--out", name, *arguments, cwd=place)
    assert finished.status == 0, finished.err
    return finished


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text(encoding="utf-8"))


def rows(folder: Path, name: str = "runs.csv") -> list[dict[str, str]]:
    with (folder / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def figures(folder: Path, entry: str | None = None) -> list[dict[str, str]]:
    """The rows of runs.csv through an entry, but for what the run is called."""
    found = [row for row in rows(folder) if entry in (None, row.get("audio_encoder"))]
    return [{k: v for k, v in row.items() if k not in ("run", "audio_encoder")} for row in found]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("layers")
    layered_cache(place / "data" / "cache.h5")
    finished = train(place, "fit", "weighted/fit", *LONG, "--layer", "weighted")
    (place / "told.txt").write_text(finished.out)
    train(place, "grid", "grid", *LONG, "--grid", "layer=1,weighted,2")
    return place


def test_the_weights_of_the_layers_stand_in_the_summary_and_in_a_table(place: Path) -> None:
    summary = read(place / "weighted" / "fit", "summary.json")
    assert summary["encoders"] == {"audio": "org--w2v@weighted", "text": "hash"}
    (learned,) = summary["layer_weights"]
    assert (learned["modality"], learned["layers"]) == ("audio", W2V)
    assert list(learned["heads"]) == ["audio", "fusion"]
    for found in learned["heads"].values():
        assert found["runs"] == 3 * 2
        assert sum(found["mean"]) == pytest.approx(1)
        assert np.argmax(found["mean"]) == TELLING
        assert min(found["std"]) > 0
    table = rows(place / "weighted" / "fit", "layers.csv")
    assert [row["layer"] for row in table] == [f"audio: {name}" for name in W2V]
    mean, std = (learned["heads"]["audio"][key][TELLING] for key in ("mean", "std"))
    assert table[TELLING]["own head"] == f"{mean:.3f} ± {std:.3f}"
    told = (place / "told.txt").read_text()
    assert "(audio=org--w2v@weighted, text=hash)" in told
    assert "Layers' weights, as learned" in told
    assert "they start at 1/4 = 0.250" in told


def softmax(logits: np.ndarray) -> np.ndarray:
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=-1, keepdims=True))


def test_what_the_run_holds_is_enough_to_use_the_model_again(place: Path) -> None:
    folder = place / "weighted" / "fit"
    tensors, told = load_file(folder / "model.safetensors"), read(folder, "model.json")
    audio = told["modalities"][0]
    assert (audio["entry"], audio["dimension"], audio["layers"]) == ("org--w2v@weighted", 6, W2V)
    assert (audio["encoder"], audio["layer"], audio["pooling"]) == ("org/w2v", "weighted", "mean")
    assert audio["scale"] == 30
    with (
        open_cache(place / "data" / "cache.h5") as cache,
        h5py.File(folder / "predictions.h5") as file,
    ):
        layers = np.stack([cache.embeddings("audio", name).vectors for name in W2V], axis=1)
        tested, fold_of = file["test"][()], file["fold"][()]
    for fold in range(3):
        x = (layers - tensors[f"fold{fold}/audio.mean"]) / tensors[f"fold{fold}/audio.scale"]
        for seed in range(2):
            own = {
                n: tensors[f"fold{fold}/seed{seed}/audio.{n}"]
                for n in (
                    "layers.scores",
                    "hidden.weight",
                    "hidden.bias",
                    "output.weight",
                    "output.bias",
                )
            }
            summed = np.einsum("l,nld->nd", softmax(30 * own["layers.scores"]), x)
            hidden = np.maximum(summed @ own["hidden.weight"].T + own["hidden.bias"], 0)
            p = softmax(hidden @ own["output.weight"].T + own["output.bias"])
            np.testing.assert_allclose(
                tested[seed, 0][fold_of == fold], p[fold_of == fold], atol=1e-5
            )
            assert tensors[f"fold{fold}/seed{seed}/fusion.layers.audio.scores"].shape == (4,)


def test_the_layers_may_be_named_as_an_entry_and_the_config_runs_again(place: Path) -> None:
    for words in (
        ("--audio-encoder", "org/w2v@weighted"),
        ("--layer", "weighted", "--audio-encoder", "org/w2v"),
        ("--config", "weighted/fit/config.json"),
    ):
        finished = train(place, "fit", "weighted/fit", *LONG, *words)
        assert "holds this run already" in finished.out
    settings = read(place / "weighted" / "fit", "config.json")["settings"]
    assert settings["encoder"] == {"audio": "org--w2v@weighted", "text": "hash"}
    assert "layer" not in settings


def test_layers_are_an_axis_whose_cells_are_fits(place: Path) -> None:
    names = [W2V[1], "org--w2v@weighted", W2V[2]]
    cells = read(place / "grid", "summary.json")["configurations"]
    assert [one["settings"]["audio_encoder"] for one in cells] == names
    assert figures(place / "grid", names[1]) == figures(place / "weighted" / "fit")
    train(place, "fit", "alone/fit", *LONG, "--layer", "2")
    assert figures(place / "grid", W2V[2]) == figures(place / "alone" / "fit")
    assert read(place / "alone" / "fit", "summary.json")["encoders"]["audio"] == W2V[2]
    table = rows(place / "grid", "grid.csv")
    assert [row["audio encoder"] for row in table[:3]] == names
    again = amber("grid", "--config", "grid/config.json", "--out", "grid", cwd=place)
    assert "holds this run already" in again.out


def test_workers_and_chunks_change_no_byte(place: Path) -> None:
    train(place, "fit", "two/fit", *LONG, "--layer", "weighted", "--workers", 2, "--memory", 0.001)
    for name in ("runs.csv", "summary.json", "model.safetensors", "layers.csv"):
        one, other = (place / folder / "fit" / name for folder in ("weighted", "two"))
        assert one.read_bytes() == other.read_bytes()


def test_where_no_layers_are_summed_nothing_is_said_of_layers(place: Path) -> None:
    train(place, "fit", "alone3/fit", "--layer", "3")
    folder = place / "alone3" / "fit"
    assert not (folder / "layers.csv").exists()
    assert "layer_weights" not in read(folder, "summary.json")
    assert "layers" not in read(folder, "model.json")["modalities"][0]
    assert not [name for name in load_file(folder / "model.safetensors") if "layers" in name]


def test_emo_superbs_protocol_is_one_command(place: Path) -> None:
    how = ("--modalities", "audio", "--layer", "weighted", "--loss", "cb-ce", "--smoothing", 0.05)
    finished = train(place, "fit", "emo", *how)
    assert "f1_multilabel" in finished.out
    summary = read(place / "emo", "summary.json")
    assert summary["heads"] == ["audio"]
    assert list(summary["layer_weights"][0]["heads"]) == ["audio"]
    assert list(rows(place / "emo", "layers.csv")[0]) == ["layer", "audio head"]


def test_every_modality_with_several_layers_has_its_own_weights(tmp_path: Path) -> None:
    text = ["bert@layer0+first", "bert@layer1+first"]
    layered_cache(tmp_path / "data/cache.h5", {"audio": W2V, "text": text})
    train(tmp_path, "fit", "fit", *LONG, "--layer", "weighted")
    audio, words = read(tmp_path / "fit", "summary.json")["layer_weights"]
    assert (audio["layers"], words["layers"]) == (W2V, text)
    assert list(words["heads"]) == ["text", "fusion"]
    assert words["entry"] == "bert@weighted+first"
    assert np.argmax(words["heads"]["text"]["mean"]) == 0


def test_bfloat16_products_are_near_float32(place: Path) -> None:
    train(place, "fit", "low", *LONG, "--layer", "weighted", "--precision", "bfloat16")
    js = [
        read(place / name, "summary.json")["selected"]["heads"]["audio"]["test"]["js"]["mean"]
        for name in ("weighted/fit", "low")
    ]
    assert js[0] != js[1]
    assert js[0] == pytest.approx(js[1], abs=0.05)


def test_an_utterance_that_lacks_a_layer_is_left_out_with_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "data/cache.h5"
    layered_cache(path, failed={W2V[1]: [3], W2V[3]: [3, 17]})
    train(tmp_path, "fit", "fit", "--layer", "weighted")
    told = read(tmp_path / "fit", "summary.json")["utterances"]
    assert told == {"used": 88, "left_out": {"without every layer of audio": 2}}
    train(tmp_path, "grid", "grid", "--grid", "layer=0,weighted", "--epochs", 1, "--seeds", 1)
    assert read(tmp_path / "grid", "summary.json")["utterances"]["used"] == 88


@pytest.mark.parametrize(("is_last", "used"), [(True, W2V), (False, [*W2V, "org--w2v"])])
def test_the_last_layer_counts_once_under_whatever_name(
    tmp_path: Path, is_last: bool, used: list[str]
) -> None:
    path = layered_cache(tmp_path / "data/cache.h5", {"audio": [*W2V, "org--w2v"]})
    if is_last:
        with open_cache(path) as cache:
            content = cache.content()
        last = next(one for one in content.embeddings if one.name == W2V[3])
        nearly = make_embedding(
            last.vectors * np.float32(1 + 1e-6),
            modality="audio",
            name="org--w2v",
            status=last.status,
            attrs={"encoder": "org/w2v", "layer": -1},
        )
        kept = [one for one in content.embeddings if one.name != "org--w2v"]
        path.unlink()
        write_cache(path, replace(content, embeddings=(*kept, nearly)))
    train(tmp_path, "fit", "fit", "--layer", "weighted")
    assert read(tmp_path / "fit", "summary.json")["layer_weights"][0]["layers"] == used


def test_a_layer_that_came_later_is_other_data(tmp_path: Path) -> None:
    path = layered_cache(tmp_path / "data/cache.h5", {"audio": W2V[:3]})
    few = ("fit", "--epochs", 1, "--hidden", 4, "--seeds", 1)
    assert amber(*few, "--layer", "weighted", cwd=tmp_path).status == 0
    (folder,) = run_folders(tmp_path)
    path.unlink()
    layered_cache(path)
    again = amber("fit", "--config", folder / "config.json", cwd=tmp_path)
    assert "ran on other data; the figures will differ" in again.err
    assert len(run_folders(tmp_path)) == 2


def test_two_encoders_are_told_apart_by_name(tmp_path: Path) -> None:
    other = ["hub@layer0", "hub@layer1"]
    layered_cache(tmp_path / "data/cache.h5", {"audio": [*W2V, *other, "mel"]})
    refused = amber("fit", "--layer", "weighted", cwd=tmp_path)
    assert_refused(refused, "audio, hub@weighted or org--w2v@weighted can be meant; name one with")
    train(tmp_path, "fit", "fit", "--layer", "weighted", "--audio-encoder", "hub")
    assert read(tmp_path / "fit", "summary.json")["layer_weights"][0]["layers"] == other
    train(tmp_path, "fit", "one", "--layer", "1", "--encoder", "audio=org/w2v")
    assert read(tmp_path / "one", "summary.json")["encoders"]["audio"] == W2V[1]
    axis = ("--grid", "layer=0,weighted", "--audio-encoder", "hub", "--epochs", 1)
    train(tmp_path, "grid", "grid", *axis)
    cells = read(tmp_path / "grid", "summary.json")["configurations"]
    assert [one["settings"]["audio_encoder"] for one in cells] == ["hub@layer0", "hub@weighted"]


@pytest.mark.parametrize(
    ("command", "words", "match"),
    [
        ("fit", "--layer 9", "has no layer 9 of audio; of audio it has org--w2v@layer0, "),
        ("fit", "--layer all", "--layer all: a head reads one layer .* as weighted; `amber grid"),
        ("fit", "--layer 0,2", "--layer 0,2: a head reads one layer"),
        ("fit", "--layer heavy", "--layer heavy: a head reads one layer"),
        (
            "fit",
            "--layer weighted --modalities text --loss js",
            "no modality .*text: hash.*--layer all",
        ),
        ("fit", "--layer weighted --audio-encoder org--w2v@layer1", "is one layer of several"),
        ("fit", "--layer 2 --audio-encoder org--w2v@layer1", "has no layer 2 of org--w2v@layer1"),
        (
            "fit",
            "--audio-encoder hub@weighted",
            "no several layers for audio=hub@weighted, pooled alike",
        ),
        ("fit", "--layer weighted --audio-encoder hub", "no modality .* has several layers"),
        ("grid", "--grid layer=9,2", "--layer 9: .* has no layer 9"),
        ("grid", "--grid layer=all", "--grid layer all: a head reads one layer"),
        ("grid", "--grid layer=2,2", "the entry org--w2v@layer2 stands there twice"),
        ("grid", "--grid layer=,", "--grid audio_encoder=: no values"),
        ("grid", "--grid layer=1,2 --layer 2", "--layer and --grid layer=... disagree"),
        ("grid", "--grid layer=1,2 --grid audio-encoder=a,b", "no modality of .* has several"),
        (
            "grid",
            "--grid audio-encoder=org/w2v@weighted,hub@weighted",
            "--grid audio-encoder=hub@weighted: .* no several layers for audio=hub@weighted",
        ),
    ],
)
def test_what_is_no_layer_is_refused_in_one_line(
    place: Path, command: str, words: str, match: str
) -> None:
    assert_refused(amber(command, *FAST, *words.split(), "--out", "no", cwd=place), match)
    assert not (place / "no").exists()


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ({"widths": {W2V[2]: 4}}, "layer0 has 6 features and org--w2v@layer2 has 4"),
        ({"attrs": {W2V[1]: {"weights_sha256": "b"}, W2V[0]: {"weights_sha256": "a"}}},
         "layer0 has weights_sha256 a and org--w2v@layer1 has b"),
        ({"names": {"audio": ["e@layer0", "e@layer1+first", "e@layer2~bfloat16"]}},
         r"no modality .* \(audio: e@layer0, e@layer1\+first, e@layer2~bfloat16; text: hash\)"),
    ],
)  # fmt: skip
def test_layers_that_do_not_belong_together_are_refused(
    tmp_path: Path, how: dict[str, Any], match: str
) -> None:
    layered_cache(tmp_path / "data/cache.h5", **how)
    assert_refused(amber("fit", "--layer", "weighted", cwd=tmp_path), match)


@pytest.mark.parametrize(
    ("toml", "words", "entry"),
    [
        ("layer = 'all'", "--layer weighted", "org--w2v@weighted"),
        ("layer = [0, 2]", "--layer 1", W2V[1]),
        ("layer = [0, 2]", "--audio-encoder org--w2v@layer3", W2V[3]),
        ("layer = 2", "", W2V[2]),
        ("layer = 9", "--audio-encoder org--w2v@layer3", W2V[3]),
        ("layer = 'weighted'", "", "org--w2v@weighted"),
    ],
)
def test_what_the_file_says_to_extract_is_no_reason_to_refuse(
    place: Path, tmp_path: Path, toml: str, words: str, entry: str
) -> None:
    (tmp_path / "amber.toml").write_text(f"cache = '{place / 'data/cache.h5'}'\n{toml}\n")
    few = ("--epochs", 1, "--hidden", 4, "--seeds", 1, "--json")
    done = amber("fit", *few, *words.split(), cwd=tmp_path)
    assert done.status == 0, done.err
    assert json.loads(done.out)["encoders"]["audio"] == entry


def test_from_audio_to_learned_weights(tmp_path: Path) -> None:
    """The two commands of the README, with a tiny encoder."""
    model = save_audio_model(tmp_path / "w2v", "wav2vec2-group")
    table, votes = [], []
    for number in range(12):
        write_audio(tmp_path / f"a/{number}.wav", voice(3_000, seed=number))
        row = {"id": f"u{number:02d}", "audio": f"a/{number}.wav", "session": number % 3}
        table.append({**row, "text": f"so {number}"})
        votes += [
            {"id": row["id"], "rater": r, "label": ("happy", "sad")[(number + r) % 2]}
            for r in range(2 + number % 2)
        ]
    write_table(tmp_path / "votes.csv", votes)
    manifest = write_table(tmp_path / "manifest.csv", table)
    encoders = ("--audio-encoder", model, "--text-encoder", "hash")
    assert extract(manifest, "--layer", "all", encoders=encoders).status == 0
    few = ("--epochs", 1, "--hidden", 4, "--seeds", 1, "--num-folds", 3)
    done = amber("fit", "--cache", "cache.h5", "--layer", "weighted", *few, "--json", cwd=tmp_path)
    assert done.status == 0, done.err
    (learned,) = json.loads(done.out)["layer_weights"]
    assert learned["layers"] == ["w2v@layer0", "w2v@layer1", "w2v@layer2"]
