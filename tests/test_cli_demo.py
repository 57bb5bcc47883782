"""`amber demo` with its defaults, but for two seeds of five: the longest run of the suite."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from tests.commands import Finished, amber
from tests.small_caches import small_cache


@dataclass(frozen=True)
class Demo:
    place: Path
    finished: Finished

    @property
    def lines(self) -> list[str]:
        return self.finished.out.splitlines()

    @property
    def folders(self) -> list[Path]:
        told = [line.removeprefix("Results: ") for line in self.lines if line.startswith("Results")]
        return [self.place / one for one in told]

    def summary(self, number: int) -> Any:
        return json.loads((self.folders[number] / "summary.json").read_text())


CB_CE, AMBER2, GRID = range(3)

SEEDS = ("--seeds", "2")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    place = tmp_path_factory.mktemp("demo")
    finished = amber("demo", *SEEDS, cwd=place)
    assert finished.status == 0, finished.err
    return Demo(place, finished)


def _js(summary: Any, head: str) -> float:
    return float(summary["selected"]["heads"][head]["test"]["js"]["mean"])


@pytest.mark.parametrize("number", [AMBER2, GRID], ids=["fit", "grid"])
def test_amber2s_fusion_beats_both_single_heads_and_both_beat_the_training_mean(
    demo: Demo, number: int
) -> None:
    summary = demo.summary(number)
    floor = summary["floors"]["training mean"]["test"]["js"]["mean"]
    assert _js(summary, "fusion") < min(_js(summary, "audio"), _js(summary, "text"))
    assert max(_js(summary, "audio"), _js(summary, "text")) < floor


def test_every_seeds_fusion_beats_its_own_single_heads(demo: Demo) -> None:
    heads = demo.summary(AMBER2)["selected"]["heads"]
    js = {name: np.array(found["test"]["js"]["per_seed"]) for name, found in heads.items()}
    assert (js["fusion"] < np.minimum(js["audio"], js["text"])).all()


def test_the_figures_are_those_of_the_stored_predictions(demo: Demo) -> None:
    with h5py.File(demo.folders[AMBER2] / "predictions.h5", "r") as file:
        y, p = file["target"][()], file["test"][()]
        heads = list(file.attrs["heads"])
    assert p.shape == (2, 3, 251, 4)
    for h, head in enumerate(heads):
        js = np.mean([np.mean(jensenshannon(y, one[h], base=2, axis=1) ** 2) for one in p])
        assert _js(demo.summary(AMBER2), head) == pytest.approx(js, abs=1e-6)


def test_it_ends_with_the_tables_and_the_three_results(demo: Demo) -> None:
    assert len(demo.folders) == 3
    assert demo.lines[-3:] == [f"Results: {one.relative_to(demo.place)}" for one in demo.folders]
    losses = [demo.summary(number)["selected"]["settings"][0]["loss"] for number in range(3)]
    assert losses == ["cb-ce", "amber2", "amber2"]
    assert demo.lines[0].startswith("data/cache.h5: written: 300 utterances of demo")
    assert sorted(one.name for one in demo.place.iterdir()) == ["data", "runs"]


def test_every_table_is_headed_as_synthetic(demo: Demo) -> None:
    rules = [i for i, line in enumerate(demo.lines) if re.fullmatch(r" ─+ ", line)]
    assert len(rules) == 1 + 1 + 2 + 1 + 5  # cb-ce, amber2, grid, conflict, utterances
    for rule in rules:
        title = demo.lines[rule - 3]
        assert title.startswith("SYNTHETIC DEMO: "), title


def test_the_search_is_the_papers_grid_with_its_selection_marked(demo: Demo) -> None:
    summary = demo.summary(GRID)
    assert len(summary["configurations"]) == 9
    assert summary["selected"]["how"] == "nested"
    chosen = [len(one["selected_in_folds"]) for one in summary["configurations"]]
    assert sum(chosen) == 5
    marks = re.findall(r"([1-5]) of 5 folds", demo.finished.out)
    assert sorted(map(int, marks)) == sorted(count for count in chosen if count)


def test_conflict_is_shown_in_thirds_from_agreement_to_disagreement(demo: Demo) -> None:
    rows = [
        line.split() for line in demo.lines if re.match(r" (agree|between|disagree) third", line)
    ]
    assert [row[0] for row in rows] == ["agree", "between", "disagree"]
    assert sum(int(row[2]) for row in rows) == 251
    conflict = [float(row[3]) for row in rows]
    assert conflict == sorted(conflict)
    for row in rows:  # audio, text, fusion, and the training mean, which knows nothing
        *_, fusion, floor = map(float, row[3:])
        assert fusion < floor


def test_the_most_ambiguous_utterances_come_with_their_words_and_bars(demo: Demo) -> None:
    titles = [line for line in demo.lines if "raters' entropy" in line and "conflict" in line]
    titles = [line for line in titles if line.startswith("SYNTHETIC DEMO: ")]
    assert len(titles) == 5
    bits = [float(re.findall(r"entropy ([\d.]+) bits", line)[0]) for line in titles]
    assert bits == sorted(bits, reverse=True)
    assert all(re.search(r": ['\"].+['\"]  \(raters'", line) for line in titles)
    bars = [line for line in demo.lines if "█" in line]
    assert len([line for line in bars if line.startswith(" raters ")]) == 5
    assert len(bars) == 5 * 4


def test_progress_tells_rates_on_stderr(demo: Demo) -> None:
    # 90 runs of 30 epochs, less the 10 that the fit before it has trained and kept
    assert re.search(r"^training \(run epochs\): 2400/2400 \(\S+/s\) in", demo.finished.err, re.M)
    assert "\x1b" not in demo.finished.err + demo.finished.out


def test_again_it_finds_all_three_runs_and_prints_the_same(demo: Demo) -> None:
    again = amber("demo", *SEEDS, "--quiet", cwd=demo.place)
    assert (again.status, again.err) == (0, "")
    assert again.out.count("holds this run already; this is its stored result:") == 3
    told = [line for line in again.out.splitlines() if "holds this run already" not in line]
    assert told[0].startswith("data/cache.h5: nothing was missing")
    assert told[1:] == demo.lines[1:]


def test_the_commands_of_the_day_find_what_the_demo_made(demo: Demo) -> None:
    """`amber fit --kappa 4` and `amber grid` ask for the very runs that the demo has trained."""
    for command, number in ((("fit", "--kappa", 4), AMBER2), (("grid",), GRID)):
        finished = amber(*command, *SEEDS, "--json", cwd=demo.place)
        told = json.loads(finished.out)
        assert (finished.status, told["stored"]) == (0, True)
        assert demo.place / told["folder"] == demo.folders[number]


def test_json_is_one_object_with_every_run(demo: Demo) -> None:
    finished = amber("demo", *SEEDS, "--json", cwd=demo.place)
    assert (finished.status, finished.err) == (0, "")
    told = json.loads(finished.out)
    assert [demo.place / one["folder"] for one in told["runs"]] == demo.folders
    assert told["extract"]["num_utterances"] == 300
    assert len(told["ambiguity"]) == 6


def test_it_leaves_another_corpuss_cache_alone(tmp_path: Path) -> None:
    cache = small_cache(tmp_path / "data" / "cache.h5")
    before = cache.read_bytes()
    finished = amber("demo", *SEEDS, "--quiet", cwd=tmp_path)
    assert (finished.status, finished.out) == (2, "")
    assert "name another file with --cache" in finished.err
    assert cache.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["data"]
