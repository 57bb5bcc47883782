"""Finished runs on disk, so that a killed table goes on, and a larger one trains what is new.

One file a chunk of runs, written whole or not at all. What a run gives depends on the run alone, so
that it may be read wherever the data, the folds and the arithmetic are the same: those name the
folder. Predictions and curves are kept, and parameters until the run directory has those it needs.
The folder may be deleted at any time; what is missing is trained again.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save

from amber_cache.errors import RunError
from amber_cache.store import parse_json, read_json
from amber_heads.files.tensor_files import open_tensors, require_header
from amber_heads.files.whole_folders import write_file
from amber_heads.stack.outputs import StoredOutputs
from amber_heads.stack.runs import Run, RunResult

FORMAT = "amber-trained-1"

_SMALL = ("training_loss", "validation_js", "expert_weights", "best_epoch")

#: Every tensor of a run but its parameters, and how many axes it has; tests/NAME have three.
_NUM_AXES = {
    "training_loss": 1,
    "validation_js": 2,
    "expert_weights": 2,
    "best_epoch": 1,
    "validation": 3,
}

#: A run's tensors by name, and their shapes.
Shapes = Mapping[str, tuple[int, ...]]


class TrainedRuns:
    """The finished runs of one kind of training, by name.

    Args:
        folder: May be missing.
        fits: Whether a run can have tensors of these shapes; what can't be is trained again.
    """

    def __init__(
        self, folder: Path, *, fits: Callable[[Run, Shapes], bool] = lambda run, shapes: True
    ) -> None:
        self.folder = folder
        self._fits = fits
        self._made: list[Path] = []
        self._look()

    def __contains__(self, run: Run) -> bool:
        shapes = self._shapes.get(run.name)
        return run.name in self._place and (shapes is None or self._fits(run, shapes))

    def has_parameters(self, run: Run) -> bool:
        """Whether a run's parameters stand there too."""
        return self._place.get(run.name, (None, False))[1]

    def add(self, results: Sequence[RunResult]) -> None:
        """Write a chunk; it stands there whole when this returns.

        Raises:
            RunError: It can't be written.
        """
        tensors: dict[str, np.ndarray] = {}
        for one in results:
            name = one.run.name
            tensors |= {f"{name}/{key}": getattr(one, key) for key in _SMALL}
            tensors |= {f"{name}/{key}": getattr(one, key) for key in ("parameters", "validation")}
            tensors |= {f"{name}/tests/{key}": value for key, value in one.tests.items()}
        self._write([one.run.name for one in results], tensors, has_parameters=True)

    def result(self, run: Run) -> RunResult:
        """A run's result; its parameters and predictions are read when they are asked for."""
        path, _ = self._place[run.name]
        with self._errors(), open_tensors(path) as file:
            small = {key: np.asarray(file.get_tensor(f"{run.name}/{key}")) for key in _SMALL}
        return RunResult(run=run, outputs=StoredOutputs(path, run.name), **small)

    def drop_parameters(self) -> None:
        """Make the files smaller once nobody needs the parameters."""
        for path in sorted({path for path, has in self._place.values() if has}):
            with self._errors(), open_tensors(path) as file:
                names = [n for n in file.keys() if not n.endswith("/parameters")]  # noqa: SIM118
                tensors = {name: file.get_tensor(name) for name in names}
            runs = [name for name, (place, _) in self._place.items() if place == path]
            self._write(runs, tensors, has_parameters=False, path=path)

    def start_anew(self, table: str, runs: Iterable[Run]) -> None:
        """Take a table as never begun."""
        self.forget_plan(table)
        self.forget(runs)

    def plan(self, table: str) -> dict[str, Any] | None:
        """How a table that was begun here is laid out; None where it was not."""
        try:
            plan = read_json(self._plan_path(table))
        except (OSError, ValueError):
            return None
        is_plan = isinstance(plan, dict) and plan.get("format") == FORMAT
        chunks = plan.get("chunks") if is_plan else None
        is_plan = isinstance(chunks, list) and all(map(_is_names, chunks))
        return plan if is_plan else None

    def forget(self, runs: Iterable[Run]) -> None:
        """Take runs as not there, so that they are trained again."""
        for run in runs:
            self._place.pop(run.name, None)

    def write_plan(self, table: str, *, chunks: Sequence[Sequence[str]]) -> None:
        """Keep how a table is laid out until it is done.

        Raises:
            RunError: It can't be written.
        """
        plan = {"format": FORMAT, "chunks": [list(chunk) for chunk in chunks]}
        with self._errors():
            self._make_folder()
            write_file(self._plan_path(table), json.dumps(plan).encode())

    def forget_plan(self, table: str) -> None:
        """The table is done."""
        self._plan_path(table).unlink(missing_ok=True)

    def leave(self, table: str) -> None:
        """Leave no trace of a table of which nothing is kept."""
        if any(self.folder.glob("*.safetensors")):
            return
        self.forget_plan(table)
        with contextlib.suppress(OSError):
            for folder in self._made:
                folder.rmdir()

    def _make_folder(self) -> None:
        self._made += [one for one in (self.folder, *self.folder.parents) if not one.exists()]
        self.folder.mkdir(parents=True, exist_ok=True)

    def _look(self) -> None:
        self._place: dict[str, tuple[Path, bool]] = {}
        self._shapes: dict[str, Shapes] = {}
        for path in sorted(self.folder.glob("*.safetensors")) if self.folder.is_dir() else ():
            self._take_in(path)

    def _plan_path(self, table: str) -> Path:
        return self.folder / f"plan-{table}.json"

    def _write(
        self,
        runs: Iterable[str],
        tensors: Mapping[str, np.ndarray],
        *,
        has_parameters: bool,
        path: Path | None = None,
    ) -> None:
        names = list(runs)
        described = {
            "format": FORMAT,
            "runs": json.dumps(names),
            "parameters": str(has_parameters),
        }
        whole = {name: np.ascontiguousarray(one) for name, one in tensors.items()}
        path = path or self.folder / f"{secrets.token_hex(8)}.safetensors"
        with self._errors():
            self._make_folder()
            write_file(path, save(whole, metadata=described))
        self._place |= {name: (path, has_parameters) for name in names}
        for name in names:
            self._shapes.pop(name, None)  # they are what training gave

    def _take_in(self, path: Path) -> None:
        """Look what a file holds; one that is damaged holds nothing."""
        try:
            require_header(path)
            with open_tensors(path) as file:
                described = file.metadata() or {}
                if described.get("format") != FORMAT:
                    return
                names = parse_json(described["runs"].encode())
                has = described.get("parameters") == "True"
                if not _is_names(names):
                    return
                shapes = _shapes(file, names, has_parameters=has)
        except (OSError, ValueError, KeyError):
            return
        for name in names:
            if not self._place.get(name, (path, False))[1]:
                self._place[name], self._shapes[name] = (path, has), shapes[name]

    def _errors(self) -> _Complaint:
        return _Complaint(self.folder)


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _shapes(file: Any, runs: Iterable[str], *, has_parameters: bool) -> dict[str, Shapes]:
    """By run, its tensors and their shapes; no value is read.

    Raises:
        ValueError: One is missing, of another kind, or its axes do not agree with the others'.
    """
    tests: dict[str, list[str]] = {}
    for name in file.keys():  # noqa: SIM118
        run, parted, inner = name.partition("/")
        if parted and inner.startswith("tests/"):
            tests.setdefault(run, []).append(inner)
    own = (*_NUM_AXES, *(["parameters"] if has_parameters else []))
    found: dict[str, Shapes] = {}
    for run in runs:
        names = (*own, *tests.get(run, ()))
        one = {name: _shape(file, f"{run}/{name}", _num_axes(name)) for name in names}
        steps = (*one["training_loss"], *one["best_epoch"])  # (epoch, head)
        if {one["validation_js"], one["expert_weights"]} != {steps} or not steps[0]:
            raise ValueError(f"{run}: its tensors do not belong together")
        found[run] = one
    return found


def _num_axes(name: str) -> int:
    return 1 if name == "parameters" else _NUM_AXES.get(name, 3)


def _shape(file: Any, name: str, num_axes: int) -> tuple[int, ...]:
    part = file.get_slice(name)
    kinds = ("I64",) if name.endswith("/best_epoch") else ("F32", "F64")
    shape = tuple(part.get_shape())
    if part.get_dtype() not in kinds or len(shape) != num_axes:
        raise ValueError(f"{name}: is {part.get_dtype()} of {shape}")
    return shape


class _Complaint:
    """Turns what the file system says into one line."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError | ValueError | SafetensorError):
            reason = getattr(error, "strerror", None) or error
            raise RunError(
                f"{self._folder}: what was trained can't be kept there: {reason}; make room "
                "or name another place with --out; the same command goes on with what is kept"
            ) from error
