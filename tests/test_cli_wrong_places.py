"""The wrong kind of place, the wrong option, nothing to write to: one line that says what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from amber_heads.printing import print_forecast
from amber_heads.using.forecast import Forecast
from tests.commands import ROOT, Finished, amber
from tests.small_caches import small_cache
from tests.small_runs import small_run

LAYERS = tuple(
    (modality, f"{name}@layer{number}")
    for modality, name in (("audio", "w2v"), ("text", "bert"))
    for number in (0, 1)
)


def assert_refused(finished: Finished, told: str) -> None:
    assert (finished.status, finished.out) == (2, "")
    assert told in finished.err
    assert finished.err.count("\n") == 1


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small cache, and a finished run on it; read only."""
    folder = tmp_path_factory.mktemp("place")
    small_run(small_cache(folder / "cache.h5"), folder / "run")
    return folder


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--backend", "slurm"), "--backend slurm: choose from threading, loky, dask, ray"),
        (("--backend", "loky"), "--backend loky has no effect with one worker"),
        (("--workers", 0), "--workers 0: must be at least 1"),
        (("--memory", 0), "--memory is 0.0; it must be positive"),
        (("--memory", "nan"), "--memory is nan; it must be positive"),
    ],
)
def test_a_stored_result_is_no_reason_to_take_an_impossible_option(
    place: Path, options: tuple[object, ...], told: str
) -> None:
    again = ("--config", "run/config.json", "--out", "run")
    assert "holds this run already" in amber("fit", *again, cwd=place).out
    assert_refused(amber("fit", *again, *options, cwd=place), told)


def test_a_report_of_what_is_no_run_says_so(place: Path, tmp_path: Path) -> None:
    for wrong in (tmp_path, place / "cache.h5", tmp_path / "gone"):
        finished = amber("report", wrong, cwd=tmp_path)
        assert_refused(finished, f"{wrong}: is no run directory; name folders that amber fit")


def test_a_folder_in_the_place_of_its_manifest_is_told_which_file(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "manifest.jsonl").write_text("")
    finished = amber("extract", "--corpus", "manifest", "--root", "corpus", cwd=tmp_path)
    assert_refused(finished, "it holds corpus/manifest.jsonl: name that file")


def test_layers_in_two_modalities_are_no_one_axis(tmp_path: Path) -> None:
    small_cache(tmp_path / "cache.h5", entries=LAYERS)
    cache = ("--cache", "cache.h5")
    refused = amber("grid", *cache, "--grid", "layer=0,1", cwd=tmp_path)
    assert_refused(refused, "audio and text of cache.h5 have several layers of one encoder each")
    assert "--grid audio-encoder=w2v@layer1,w2v@weighted" in refused.err
    assert_refused(amber("fit", *cache, cwd=tmp_path), "`amber fit --layer N` takes a layer")


def test_an_axis_of_layers_wants_layers(place: Path) -> None:
    refused = amber("grid", "--cache", "cache.h5", "--grid", "layer=0,1", cwd=place)
    assert_refused(refused, "no modality of cache.h5 has several layers of one encoder")


def test_a_figure_that_can_not_be_written_is_not_called_a_cache(place: Path) -> None:
    figures = place / "cache.h5" / "figures"
    finished = amber("corpus", "cache.h5", "--figures", figures, cwd=place)
    assert finished.status == 2
    assert "the file could not be written: Not a directory" in finished.err
    assert "--cache" not in finished.err


@pytest.mark.parametrize("command", ["verify", "merge", "export"])
def test_quiet_is_quiet_everywhere(place: Path, tmp_path: Path, command: str) -> None:
    words: dict[str, tuple[object, ...]] = {
        "verify": (place / "cache.h5",),
        "merge": ("out.h5", place / "cache.h5"),
        "export": ("--cache", place / "cache.h5", "--out", "shared.h5", "--salt-file", "salt"),
    }
    finished = amber(command, *words[command], "--quiet", cwd=tmp_path)
    if command == "merge":
        assert_refused(finished, "is no shard")
    elif command == "export":  # but for what goes out to others
        assert finished.status == 0
        assert "not anonymous" in finished.err
    else:
        assert (finished.status, finished.err) == (0, "")
        assert finished.out


def test_no_answers_are_no_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    nothing: dict[str, tuple[Any, ...]] = {"groups": (), "failures": (), "notes": ()}
    forecast = Forecast(run=Path("run"), classes=("happy", "sad"), conflict_mark="", **nothing)
    print_forecast(forecast, "jsonl", [])
    assert capsys.readouterr().out == ""


def test_the_list_of_commands_cuts_no_sentence_and_brings_nothing_heavy() -> None:
    code = "import sys, cli\ntry: cli.main(['--help'])\nexcept SystemExit: print(*sys.modules)\n"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8", check=True
    )
    listed, loaded = done.stdout.rstrip("\n").rsplit("\n", 1)
    assert "extract" in listed
    assert "..." not in listed.partition("Commands:")[2]
    assert not set(loaded.split()) & {"torch", "numpy", "h5py", "rich.console"}
