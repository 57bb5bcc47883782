"""Encoders of a cache as axes of a grid: a cell is a fit through them, on the same utterances."""

from __future__ import annotations

import csv
import itertools
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from safetensors.numpy import load_file

from amber_cache.errors import InterruptError
from amber_cache.store import DONE, FAILED, make_embedding, open_cache, write_cache
from amber_heads.configuration.settings import GridConfig
from amber_heads.experiment import run_experiment
from amber_heads.preparation import prepare
from tests.commands import Finished, amber
from tests.small_caches import small_cache, utterances

FAST = ("--epochs", 3, "--lr", 3e-2, "--hidden", 4, "--seeds", 2, "--num-folds", 5)
AXIS = ("--grid", "audio-encoder=mel,org/wide")
WIDTHS = {"mel": 6, "org--wide@layer2": 9}
WIDE = "org--wide@layer2"


def two_entries(
    path: Path, *, failed: dict[str, list[int]] | None = None, seed_of_wide: int = 2
) -> Path:
    """Audio twice: mel knows the classes of sessions 0 to 2, the wider one those of the others."""
    made = utterances()
    small_cache(path, made, entries=(("text", "hash"), ("text", "other")))
    with open_cache(path) as cache:
        content = cache.content()
    lead = np.eye(6)[[sorted({u.consensus for u in made}).index(u.consensus) for u in made]]
    session = np.array([int(one.session[1:]) for one in made])
    entries = []
    for number, (name, width) in enumerate(WIDTHS.items()):
        knows = (session < 3) == (number == 0)
        vectors = (
            np.random.default_rng([(2, seed_of_wide)[number], number]).normal(
                size=(len(made), width)
            )
            + 3 * number
        )
        vectors[:, :6] += 4 * lead * knows[:, None]
        status = np.full(len(made), DONE, np.uint8)
        status[(failed or {}).get(name, [])] = FAILED
        entries.append(
            make_embedding(
                vectors.astype(np.float32),
                modality="audio",
                name=name,
                status=status,
                attrs={"encoder": name.partition("@")[0].replace("--", "/"), "layer": number},
            )
        )
    path.unlink()
    write_cache(path, replace(content, embeddings=(*entries, *content.embeddings)))
    return path


def train(place: Path, command: str, name: str, *arguments: object) -> Finished:
    text = () if any("text-encoder" in str(one) for one in arguments) else ("--text-encoder=hash",)
    out = ("--out", name)
    finished = amber(command, *FAST, *text, *out, *arguments, cwd=place)
    assert finished.status == 0, finished.err
    return finished


def rows(folder: Path, name: str = "runs.csv") -> list[dict[str, str]]:
    with (folder / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text(encoding="utf-8"))


def figures(folder: Path, **cell: str) -> list[dict[str, str]]:
    """A cell's rows of runs.csv, but for what the cell is called."""
    found = [row for row in rows(folder) if all(row[key] == cell[key] for key in cell)]
    return [
        {k: v for k, v in row.items() if k != "run" and not k.endswith("_encoder")} for row in found
    ]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("axes")
    two_entries(place / "data" / "cache.h5")
    train(place, "grid", "grid", *AXIS)
    for number, entry in enumerate(WIDTHS):  # each beside its own kept runs: trained anew
        train(place, "fit", f"alone{number}/fit", "--audio-encoder", entry)
    return place


def test_each_cell_is_the_fit_through_its_encoder(place: Path) -> None:
    for number, entry in enumerate(WIDTHS):
        cell = figures(place / "grid", audio_encoder=entry)
        assert len(cell) == 5 * 2 * 3 * 2
        assert cell == figures(place / f"alone{number}" / "fit")
    names = [row["run"] for row in rows(place / "grid")]
    assert len(set(names)) == 2 * 5 * 2


def test_a_fit_has_no_column_of_an_axis(place: Path) -> None:
    assert not [name for name in rows(place / "alone0" / "fit")[0] if "encoder" in name]


def test_folds_are_judged_through_the_encoder_that_is_best_on_their_validation_part(
    place: Path,
) -> None:
    js: dict[str, np.ndarray] = {entry: np.zeros(5) for entry in WIDTHS}
    for row in rows(place / "grid"):
        if row["head"] == "fusion" and row["split"] == "validation":
            js[row["audio_encoder"]][int(row["fold"])] += float(row["js"])
    best = [min(js, key=lambda entry: js[entry][fold]) for fold in range(5)]
    assert set(best) == set(WIDTHS)  # else this would show nothing
    chosen = read(place / "grid", "summary.json")["selected"]["settings"]
    assert [one["audio_encoder"] for one in chosen] == best


def chosen_fits(place: Path) -> list[Path]:
    """For each fold, the fit through the encoder that is selected there."""
    chosen = read(place / "grid", "summary.json")["selected"]["settings"]
    return [place / f"alone{[*WIDTHS].index(one['audio_encoder'])}" / "fit" for one in chosen]


def test_predictions_are_the_selected_encoders(place: Path) -> None:
    with h5py.File(place / "grid" / "predictions.h5", "r") as file:
        test, validation, fold_of = file["test"][()], file["validation"][()], file["fold"][()]
    for fold, fit in enumerate(chosen_fits(place)):
        with h5py.File(fit / "predictions.h5", "r") as file:
            tested = fold_of == fold
            np.testing.assert_array_equal(test[:, :, tested], file["test"][()][:, :, tested])
            np.testing.assert_array_equal(validation[fold], file["validation"][fold])


def test_weights_standardisation_and_description_are_the_selected_encoders(place: Path) -> None:
    tensors = load_file(place / "grid" / "model.safetensors")
    described = read(place / "grid", "model.json")
    names = set()
    for fold, fit in enumerate(chosen_fits(place)):
        alone = load_file(fit / "model.safetensors")
        mine = {name for name in alone if name.startswith(f"fold{fold}/")}
        names |= mine
        for name in mine:
            np.testing.assert_array_equal(tensors[name], alone[name])
        assert described["modalities"][fold] == read(fit, "model.json")["modalities"]
        audio = described["modalities"][fold][0]
        assert audio["dimension"] == WIDTHS[audio["entry"]]
        assert tensors[f"fold{fold}/audio.mean"].shape == (audio["dimension"],)
    assert set(tensors) == names


def test_the_table_has_the_axis_and_the_title_names_both(place: Path) -> None:
    table = rows(place / "grid", "grid.csv")
    assert [row["audio encoder"] for row in table[:3]] == ["mel", WIDE, "as selected"]
    title = (place / "grid" / "grid.md").read_text().splitlines()[0].replace("\\", "")
    assert f"(audio=mel or {WIDE}, text=hash)" in title
    assert read(place / "grid", "summary.json")["axes"] == ["audio_encoder"]


def test_the_runs_config_gives_the_same_run_again(place: Path) -> None:
    again = amber("grid", "--config", "grid/config.json", "--out", "grid", cwd=place)
    assert again.status == 0, again.err
    assert "holds this run already" in again.out
    assert read(place / "grid", "config.json")["settings"]["grid"] == {
        "audio_encoder": f"mel,{WIDE}"
    }


def test_only_utterances_complete_in_every_entry_are_used_by_any_cell(tmp_path: Path) -> None:
    bad = [3, 17]
    two_entries(tmp_path / "data" / "cache.h5", failed={WIDE: bad})
    two_entries(tmp_path / "both.h5", failed=dict.fromkeys(WIDTHS, bad))
    train(tmp_path, "grid", "grid", *AXIS)
    train(tmp_path, "fit", "alone/fit", "--cache", "both.h5", "--audio-encoder", "mel")
    assert figures(tmp_path / "grid", audio_encoder="mel") == figures(tmp_path / "alone" / "fit")
    told = read(tmp_path / "grid", "summary.json")["utterances"]
    assert told == {"used": 38, "left_out": {f"without audio of {WIDE}": 2}}


def test_what_a_fit_kept_serves_the_grid(place: Path, tmp_path: Path) -> None:
    two_entries(tmp_path / "data" / "cache.h5")
    fit = train(tmp_path, "fit", "fit", "--audio-encoder", "mel")
    assert "\ntraining (run epochs): 30/30 " in fit.err
    grid = train(tmp_path, "grid", "grid", *AXIS)
    assert f"\naudio={WIDE}: training (run epochs): 30/30 " in grid.err
    # Of mel, the selected runs alone, whose weights are no longer kept: 2 folds of 2 seeds.
    told = read(tmp_path / "grid", "summary.json")["configurations"][0]["selected_in_folds"]
    again = re.findall(r"audio=mel: training \(run epochs\): \d+/(\d+)", grid.err)
    assert set(again) == {str(len(told) * 2 * 3)}
    assert rows(tmp_path / "grid") == rows(place / "grid")


def test_several_axes_are_a_product_and_workers_change_nothing(place: Path) -> None:
    axes = (*AXIS, "--grid", "text-encoder=other,hash", "--seeds", 1, "--epochs", 1)
    train(place, "grid", "product/here", *axes)
    train(place, "grid", "product2/there", *axes, "--workers", 2)
    one, other = place / "product" / "here", place / "product2" / "there"
    cells = dict.fromkeys((r["audio_encoder"], r["text_encoder"]) for r in rows(one))
    assert list(cells) == list(itertools.product(WIDTHS, ("other", "hash")))
    for name in ("runs.csv", "model.safetensors", "summary.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes()


def test_the_hash_of_the_data_covers_the_vectors_of_every_entry(tmp_path: Path) -> None:
    prints = set()
    for seed in (2, 3):
        config = GridConfig(
            cache=two_entries(tmp_path / f"{seed}.h5", seed_of_wide=seed),
            encoder=(("text", "hash"),),
            grid=(("audio-encoder", "mel,org/wide"),),
        )
        found = prepare(config, {})
        prints.add(found.fingerprint)
        first, second = found.datasets.values()
        assert first.inputs["text"] is second.inputs["text"]  # in memory once
        np.testing.assert_array_equal(first.target, second.target)
    assert len(prints) == 2


def test_any_modality_has_an_axis(tmp_path: Path) -> None:
    entries = (("audio", "mel"), ("head-pose", "a"), ("head-pose", "b"))
    small_cache(tmp_path / "data" / "cache.h5", entries=entries)
    few = ("grid", "--epochs", 1, "--hidden", 4, "--seeds", 1, "--grid", "head-pose-encoder=b,a")
    assert amber(*few, "--out", "grid", cwd=tmp_path).status == 0
    assert [*dict.fromkeys(r["head_pose_encoder"] for r in rows(tmp_path / "grid"))] == ["b", "a"]
    done = amber(*few, "--encoder", "head-pose=a", cwd=tmp_path)
    assert done.status == 2
    assert done.err == "amber: --encoder and --grid head-pose-encoder=... disagree\n"


def test_an_interrupted_table_counts_what_is_kept_of_all_combinations(tmp_path: Path) -> None:
    path = two_entries(tmp_path / "cache.h5")
    config = GridConfig(
        cache=path,
        grid=(("audio-encoder", "mel,org/wide"),),
        encoder=(("text", "hash"),),
        seeds="2",
        epochs=1,
        hidden=4,  # type: ignore[arg-type]
    )

    def kill(stage: str, done: int, total: int, note: str = "") -> None:
        if WIDE in stage:
            raise KeyboardInterrupt

    with pytest.raises(InterruptError, match="10 of 20 runs are kept, and the same command"):
        run_experiment(config, {}, out=tmp_path / "runs" / "grid", progress=kill)


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (
            ("--grid", "audio-encoder=mel,opus"),
            r"^amber: --grid audio-encoder=opus: .*'opus'; name one .*: mel, org--wide@layer2$",
        ),
        (("--grid", "video-encoder=a,b"), r"no such modality is used; .* audio, text$"),
        (
            (*AXIS, "--modalities", "text", "--loss", "js"),
            "--grid audio-encoder: no such modality is used; the modalities are text",
        ),
        (("--grid", "audio-encoder=mel,mel"), "the entry mel stands there twice"),
        (("--grid", f"audio-encoder=org/wide,{WIDE}"), f"the entry {WIDE} stands there twice"),
        (
            (*AXIS, "--audio-encoder", "mel"),
            "--audio-encoder and --grid audio-encoder=... disagree",
        ),
        (
            (*AXIS, "--encoder", "audio=mel"),
            "--audio-encoder and --grid audio-encoder=... disagree",
        ),
        (("--grid", "audio-encoder=,"), "--grid audio-encoder=,: no values"),
        (("--grid", "encoders=mel"), "no such axis; .* patience, audio-encoder, text-encoder$"),
    ],
)
def test_what_is_no_axis_is_refused_in_one_line(
    place: Path, arguments: tuple[object, ...], wanted: str
) -> None:
    done = amber("grid", *FAST, "--encoder", "text=hash", *arguments, "--out", "no", cwd=place)
    assert done.status == 2
    assert len(done.err.splitlines()) == 1
    assert re.search(wanted, done.err.strip()), done.err
    assert not (place / "no").exists()


@pytest.mark.parametrize(
    ("flags", "environment", "toml", "wanted"),
    [
        (AXIS, {}, "audio-encoder = 'mel'", [*WIDTHS]),
        (AXIS, {"AMBER_AUDIO_ENCODER": "mel"}, "", [*WIDTHS]),
        (
            (),
            {},
            "encoder = {audio = 'mel'}\n[grid]\naudio-encoder = ['mel', 'org/wide']",
            [*WIDTHS],
        ),
        (("--text-encoder", "hash", *AXIS), {}, "encoder = {audio = 'mel'}", [*WIDTHS]),
        (("--encoder", "text=hash", *AXIS), {}, "encoder = {audio = 'mel'}", [*WIDTHS]),
        (("--audio-encoder", "mel"), {"AMBER_GRID": "audio-encoder=org/wide,kappa=4"}, "", [None]),
    ],
)
def test_what_is_nearer_to_the_user_wins(
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flags: tuple[object, ...],
    environment: dict[str, str],
    toml: str,
    wanted: list[str | None],
) -> None:
    (tmp_path / "amber.toml").write_text("text-encoder = 'hash'\n" * ("enc" not in toml[:3]) + toml)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    few = ("--epochs", 1, "--hidden", 4, "--seeds", 1, "--cache", place / "data" / "cache.h5")
    text = () if "text" in str(flags) else ("--encoder", "text=hash")
    done = amber("grid", *few, *text, *flags, "--json", cwd=tmp_path)
    assert done.status == 0, done.err
    cells = [one["settings"] for one in json.loads(done.out)["configurations"]]
    assert [one.get("audio_encoder") for one in cells] == wanted
