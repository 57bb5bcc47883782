"""Several processes give what one gives: the chunks are the same, only who trains them differs."""

from pathlib import Path

import pytest

from tests.commands import amber

SMALL = ("--epochs", "2", "--seeds", "2", "--hidden", "8", "--quiet")


def test_two_workers_write_the_same_runs_as_one(workplace: Path) -> None:
    for workers, folder in (("1", "one"), ("2", "two")):
        done = amber("fit", *SMALL, "--workers", workers, "--out", folder, cwd=workplace)
        assert done.status == 0, done.err
    for name in ("runs.csv", "curves.csv", "summary.json", "config.json"):
        one, two = (workplace / folder / name for folder in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("workers", ["0", "-2"])
def test_fewer_than_one_worker_is_refused(workers: str, workplace: Path) -> None:
    done = amber("fit", *SMALL, "--workers", workers, cwd=workplace)
    assert done.status == 2
    assert done.err == f"amber: --workers {workers}: must be at least 1, and 1 on a GPU\n"
    assert not (workplace / "runs").exists()


def test_gpu_is_short_for_the_device_and_refused_where_there_is_none(workplace: Path) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    done = amber("fit", *SMALL, "--gpu", cwd=workplace)
    assert done.status == 2
    assert done.err.startswith("amber: --device cuda, or --gpu: no CUDA device is available")
    assert done.err.count("\n") == 1
