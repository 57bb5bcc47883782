"""From prepared data to trained and selected runs: the table, what is kept of it, the choice.

Finished chunks are kept beside the run directories, in a folder named after all that their bits
follow from: the data, the folds, standardisation, precision, the kind of device and torch.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from amber_cache.errors import ConfigError
from amber_cache.store import data_hash
from amber_heads.combinations import Combinations
from amber_heads.configuration.checks import check_memory
from amber_heads.configuration.settings import (
    CompareConfig,
    RunSettings,
    TrainingConfig,
    expand,
    heads_of,
    parse_seeds,
)
from amber_heads.data import Dataset
from amber_heads.folds import Fold
from amber_heads.grid import make_table
from amber_heads.heads import Architecture
from amber_heads.preparation import Prepared
from amber_heads.processes import Processes
from amber_heads.progress import Progress
from amber_heads.selection import select
from amber_heads.stack.material import Material
from amber_heads.stack.runs import Run, RunResult
from amber_heads.trained import Shapes, TrainedRuns

#: Raised when the engine's arithmetic changes in a way that its bits show.
ENGINE_VERSION = 1

#: Where finished chunks are kept, beside the run directories.
KEPT = ".trained"


@dataclass(frozen=True)
class How:
    """How a table is trained, which its figures do not depend on.

    Attributes:
        place: The folder that the run directory stands in.
        anew: Take nothing that is kept.
        memory_gib: What runs that train at once may take; None: what suits the device.
    """

    place: Path
    processes: Processes
    anew: bool = False
    memory_gib: float | None = None


@dataclass(frozen=True)
class Training:
    """A trained table.

    Attributes:
        results: Every run's, in the table's order.
        choice: Which of `settings` each fold's test part is judged with; none of a comparison's.
    """

    trained: Combinations
    settings: tuple[RunSettings, ...]
    seeds: tuple[int, ...]
    heads: tuple[str, ...]
    results: tuple[RunResult, ...]
    choice: tuple[int, ...]

    def material(self, settings: RunSettings) -> Material:
        """What some settings' runs were trained on."""
        return self.trained.material(settings.encoders)

    def finish(self) -> None:
        """The run directory has the parameters that it needs."""
        self.trained.drop_parameters()


def train(prepared: Prepared, how: How, progress: Progress) -> Training:
    """Train what a configuration asks for and select on validation.

    Raises:
        AmberError: The device, the data or the place can't be used.
    """
    config, folds = prepared.config, prepared.folds
    settings, seeds = expand(config), parse_seeds(config.seeds)
    heads = heads_of(config.modalities)
    device = _device(config)
    check_memory(how.memory_gib)
    how.processes.number(device)  # refuses before anything is read
    with _arithmetic(config):
        trained = _combinations(prepared, how, device)
        if any(one.loss == "cb-ce" for one in settings):
            # Refuses data that give none before anything is told.
            _ = trained.material(settings[0].encoders).class_weights
        table = make_table(settings, num_folds=len(folds), seeds=seeds)
        if how.anew:
            trained.start_anew(table)
        results = _results(table, trained, how, progress)
        choice: tuple[int, ...] = ()
        if not isinstance(config, CompareConfig):  # whose systems choose each among their own
            choice = _selected(prepared, settings, heads, results)
            _again(table, [settings[one] for one in choice], trained, how, progress)
    results = [trained.result(run) for run in table]
    return Training(trained, settings, seeds, heads, tuple(results), choice)


def _selected(
    prepared: Prepared,
    settings: Sequence[RunSettings],
    heads: Sequence[str],
    results: Sequence[RunResult],
) -> tuple[int, ...]:
    config, folds = prepared.config, prepared.folds
    return select(
        results,
        settings=settings,
        heads=heads,
        num_folds=len(folds),
        how=getattr(config, "select", "nested"),
        by=getattr(config, "select_by", "js"),
        target=prepared.dataset.target,
        folds=folds,
    )


def _combinations(prepared: Prepared, how: How, device: str) -> Combinations:
    config = prepared.config

    def make(dataset: Dataset) -> Material:
        return Material(
            dataset,
            prepared.folds,
            standardize=config.standardize,
            device=device,
            product_dtype=torch.bfloat16 if config.precision == "bfloat16" else None,
        )

    stores = {
        encoders: TrainedRuns(
            how.place / KEPT / _name(prepared, dataset), fits=_fitting(prepared, dataset)
        )
        for encoders, dataset in prepared.datasets.items()
    }
    return Combinations(prepared.datasets, stores, make)


def _fitting(prepared: Prepared, dataset: Dataset) -> Callable[[Run, Shapes], bool]:
    """Whether what is kept of a run can be a run's on these data."""
    inputs = tuple((name, vectors.shape[1]) for name, vectors in dataset.inputs.items())

    def fits(run: Run, shapes: Shapes) -> bool:
        fold = prepared.folds[run.fold]
        model = Architecture(inputs, run.settings.hidden, len(dataset.classes))
        each = (len(model.heads), len(dataset.classes))
        wanted: dict[str, tuple[int, ...]]
        wanted = {f"tests/{name}": (len(part), *each) for name, part in fold.tests.items()}
        wanted |= {"validation": (len(fold.validation), *each), "best_epoch": each[:1]}
        wanted |= {"parameters": (model.num_parameters,)} if "parameters" in shapes else {}
        tests = [name for name in shapes if name.startswith("tests/")]
        return len(tests) == len(fold.tests) and all(
            shapes.get(name) == shape for name, shape in wanted.items()
        )

    return fits


def _results(
    runs: Sequence[Run], trained: Combinations, how: How, progress: Progress
) -> list[RunResult]:
    budget = None if how.memory_gib is None else int(how.memory_gib * 2**30)
    return trained.train(runs, budget=budget, processes=how.processes, progress=progress)


def _again(
    table: Sequence[Run],
    by_fold: Sequence[RunSettings],
    trained: Combinations,
    how: How,
    progress: Progress,
) -> None:
    """Train chosen runs once more whose parameters a former command dropped."""
    chosen = [run for run in table if run.settings == by_fold[run.fold]]
    missing = [run for run in chosen if not trained.has_parameters(run)]
    if missing:
        trained.forget(missing)
        _results(missing, trained, how, progress)


@contextmanager
def _arithmetic(config: TrainingConfig) -> Iterator[None]:
    """TensorFloat-32 products on a GPU where they are asked for, and nowhere else."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = config.precision == "tf32"
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def _name(prepared: Prepared, dataset: Dataset) -> str:
    config = prepared.config
    told = [
        ENGINE_VERSION,
        torch.__version__,
        dataset.fingerprint,
        [_parts(fold) for fold in prepared.folds],
        config.standardize,
        config.precision,
        config.device.split(":")[0],
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def _parts(fold: Fold) -> list[str]:
    tests = [text for name, part in fold.tests.items() for text in (name, data_hash(part))]
    return [data_hash(fold.train), data_hash(fold.validation), *tests]


def _device(config: TrainingConfig) -> str:
    if not re.fullmatch(r"cpu|cuda(:[0-9]+)?", config.device):
        raise ConfigError(f"--device {config.device}: must be cpu, cuda or cuda:N")
    if config.device != "cpu" and not torch.cuda.is_available():
        raise ConfigError(
            f"--device {config.device}, or --gpu: no CUDA device is available here; "
            "leave it out for the CPU"
        )
    if int(config.device.partition(":")[2] or 0) >= max(1, torch.cuda.device_count()):
        raise ConfigError(
            f"--device {config.device}: there are {torch.cuda.device_count()} CUDA devices"
        )
    return config.device
