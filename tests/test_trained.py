"""Finished runs on disk: what is read back, what is trained again, and what a kill leaves."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amber_cache.errors import InterruptError, RunError
from amber_heads import processes
from amber_heads.grid import make_table
from amber_heads.grid import train_table as train_table_with
from amber_heads.processes import Processes
from amber_heads.stack.material import Material
from amber_heads.stack.runs import Run, RunResult
from amber_heads.trained import TrainedRuns
from tests.reference_data import settings, small_dataset, unlike_folds

MATERIAL = Material(small_dataset({"audio": 7, "text": 5}), unlike_folds())
CELLS = [settings("amber2", "fusion", kappa=kappa, epochs=2) for kappa in (2.0, 4.0, 8.0)]


def train_table(*given: Any, workers: int = 1, **named: Any) -> list[RunResult]:
    """With one worker, so that chunks train in order."""
    return train_table_with(*given, processes=Processes(workers), **named)


def table(cells: int = 3) -> tuple[Run, ...]:
    return make_table(CELLS[:cells], num_folds=3, seeds=[0, 1])


def assert_same(found: Sequence[RunResult], wanted: Sequence[RunResult]) -> None:
    assert [one.run for one in found] == [one.run for one in wanted]
    for one, other in zip(found, wanted, strict=True):
        for name in ("training_loss", "validation_js", "expert_weights", "best_epoch"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert one.parameters.tobytes() == other.parameters.tobytes()
        assert one.validation.tobytes() == other.validation.tobytes()
        assert one.tests["test"].tobytes() == other.tests["test"].tobytes()


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The chunks that were trained, as names."""
    seen: list[list[str]] = []
    real = processes.train_stack

    def counted(runs: Sequence[Run], *given: object, **named: object) -> list[RunResult]:
        seen.append([run.name for run in runs])
        return real(runs, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(processes, "train_stack", counted)
    return seen


def kill_after(chunks: int) -> Callable[[str, int, int], None]:
    """A progress that ends the process's work once so many chunks are kept."""

    def progress(stage: str, done: int, total: int, note: str = "") -> None:
        if done >= chunks * 4 * 2 + 1:  # four runs of two epochs a chunk
            raise KeyboardInterrupt

    return progress


def test_what_is_kept_is_what_training_gave(tmp_path: Path) -> None:
    store = TrainedRuns(tmp_path / "kept")
    found = train_table(table(), MATERIAL, store=store)
    assert_same(found, train_table(table(), MATERIAL))
    assert_same([TrainedRuns(tmp_path / "kept").result(r) for r in table()], found)


def test_a_table_that_was_cut_off_goes_on_where_it_stopped(
    tmp_path: Path, trained: list[list[str]]
) -> None:
    wanted = train_table(table(), MATERIAL, size=4)
    whole = trained.copy()
    trained.clear()
    for _ in range(2):
        store = TrainedRuns(tmp_path)
        with pytest.raises(InterruptError, match="of 18 runs are kept"):
            train_table(table(), MATERIAL, store=store, size=4, progress=kill_after(1))
    assert len(trained) == 4  # each time one that is kept and one that was cut off
    store = TrainedRuns(tmp_path)
    assert_same(train_table(table(), MATERIAL, store=store, size=4), wanted)
    assert [chunk for chunk in trained if trained.count(chunk) == 1] == [whole[0], *whole[3:]]
    assert not list(tmp_path.glob("plan-*"))


def test_what_was_interrupted_before_anything_was_kept_leaves_nothing(tmp_path: Path) -> None:
    store = TrainedRuns(tmp_path / "runs" / "kept")
    with pytest.raises(KeyboardInterrupt):
        train_table(table(), MATERIAL, store=store, size=4, progress=kill_after(0))
    assert list(tmp_path.iterdir()) == []


def test_a_larger_table_trains_what_is_new(tmp_path: Path, trained: list[list[str]]) -> None:
    train_table(table(2), MATERIAL, store=TrainedRuns(tmp_path))
    trained.clear()
    found = train_table(table(3), MATERIAL, store=TrainedRuns(tmp_path))
    new = {run.name for run in table(3)} - {run.name for run in table(2)}
    assert {name for chunk in trained for name in chunk} == new
    assert_same(found, train_table(table(3), MATERIAL))


def test_a_begun_table_keeps_its_plan(tmp_path: Path, trained: list[list[str]]) -> None:
    with pytest.raises(InterruptError):
        train_table(table(), MATERIAL, store=TrainedRuns(tmp_path), size=4, progress=kill_after(1))
    whole = train_table(table(), MATERIAL, size=4)
    trained.clear()
    assert_same(train_table(table(), MATERIAL, store=TrainedRuns(tmp_path), size=9), whole)
    assert {len(chunk) for chunk in trained} == {2, 4}


def test_parameters_can_be_dropped_and_trained_again(tmp_path: Path) -> None:
    store = TrainedRuns(tmp_path)
    whole = train_table(table(), MATERIAL)
    train_table(table(), MATERIAL, store=store)
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    store.drop_parameters()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < size
    again = TrainedRuns(tmp_path)
    assert all(run in again and not again.has_parameters(run) for run in table())
    assert again.result(table()[0]).validation.tobytes() == whole[0].validation.tobytes()
    again.forget(table()[:3])
    assert_same(train_table(table()[:3], MATERIAL, store=again), whole[:3])


@pytest.mark.parametrize("damage", [b"", b"no such thing", b"\xff" * 64])
def test_a_damaged_file_holds_nothing(tmp_path: Path, damage: bytes) -> None:
    train_table(table(), MATERIAL, store=TrainedRuns(tmp_path), size=6)
    sorted(tmp_path.glob("*.safetensors"))[0].write_bytes(damage)
    store = TrainedRuns(tmp_path)
    assert sum(run in store for run in table()) == 12
    assert_same(train_table(table(), MATERIAL, store=store), train_table(table(), MATERIAL))


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = TrainedRuns(tmp_path / "file" / "kept")
    with pytest.raises(RunError, match="what was trained can't be kept there"):
        train_table(table(), MATERIAL, store=store)


@pytest.mark.parametrize("size", [None, 1, 4])
def test_several_workers_give_the_bytes_of_one(tmp_path: Path, size: int | None) -> None:
    wanted = train_table(table(), MATERIAL)
    for workers in (2, 5):
        store = TrainedRuns(tmp_path / str(workers))
        found = train_table(table(), MATERIAL, store=store, size=size, workers=workers)
        assert_same(found, wanted)


def test_when_one_stack_fails_the_others_end_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    long = settings("js", epochs=100_000)
    runs = [Run(long, 0, 0), Run(settings("js", epochs=1, hidden=8), 0, 0)]
    real = processes.train_stack

    def failing(chunk: Sequence[Run], *given: Any, **named: Any) -> list[RunResult]:
        if chunk[0].settings is not long:
            raise RuntimeError("no more")
        return real(chunk, *given, **named)

    monkeypatch.setattr(processes, "train_stack", failing)
    began = time.monotonic()
    with pytest.raises(RuntimeError, match="no more"):
        train_table(runs[::-1], MATERIAL, size=1, workers=2)
    assert time.monotonic() - began < 30
